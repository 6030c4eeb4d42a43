"""A loaded model: its batches answer as `ask` does, and its named activations are those that the hooks give."""

from pathlib import Path
from typing import Any

import pytest
import torch

from grokhop.config import Budget, ModelConfig
from grokhop.core.errors import InputError
from grokhop.graph.graph import GraphBuilder, Question
from grokhop.inference.ask import ask
from grokhop.interpretability.hooks import ATTENTION, HEADS, MLP, RESIDUAL, patch, watch
from grokhop.interpretability.loaded import LoadedModel, ModelAnswer, load
from grokhop.training.train import train
from tests.settings import ran, settings_of, shape_of

PEOPLE = [f"Person {chr(65 + i)}{chr(97 + i)}" for i in range(12)]
TEXTS = [
    "Person Bb / mother / father",
    "Person Cc / mother",
    "Who is the maternal grandfather of Person Dd?",
    "Person Aa / father / mother / mother",
    "person ee / father",
]
SHAPES = {"loop": 1, "gpt2": 2, "pretrained": 0}
"""Layers of each architecture; of a pretrained one all."""


def families(*, questions: bool) -> GraphBuilder:
    """Families in a ring; a question compares two of them if there are to be any."""
    builder, born = GraphBuilder(source="test"), []
    for i, person in enumerate(PEOPLE):
        builder.fact(person, "mother", PEOPLE[(i + 1) % 12])
        builder.fact(person, "father", PEOPLE[(i + 5) % 12])
        born.append(builder.fact(person, "date of birth", f"date:{1900 + i}"))
    if questions:
        builder.question(Question(id="q", type="comparison", text="?", answer=PEOPLE[0], facts=(born[0], born[1])))
    return builder


def trained(folder: Path, model: ModelConfig, *, questions: bool = False) -> Path:
    """A run of three steps."""
    families(questions=questions).build().write(folder / "graph")
    settings = settings_of(model=model, batch_size=16)
    train(folder / "graph", folder / "run", settings=ran(settings, budget=Budget(steps=3)))
    return folder / "run"


@pytest.fixture(scope="module", params=SHAPES)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of each architecture."""
    folder, name = tmp_path_factory.mktemp("loaded"), request.param
    begin = ""
    if name == "pretrained":
        pytest.importorskip("transformers", reason="pip install 'grokhop[pretrained]'")
        from tests.unit.models.test_pretrained import checkpoint

        begin = str(checkpoint(folder / "checkpoint"))
    own = {"pretrained": begin} if begin else {}
    shape = shape_of(name, d_model=16, n_heads=2, n_layers=SHAPES[name], **own)
    return trained(folder, shape)


@pytest.fixture(scope="module")
def model(run: Path) -> LoadedModel:
    return load(run)


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = tmp_path_factory.mktemp("comparing")
    return load(trained(folder, shape_of(d_model=16, n_heads=2), questions=True))


def as_asked(run: Path, texts: list[str]) -> list[tuple[Any, ...]]:
    found = [ask(run, text) for text in texts]
    return [(f.understood, f.answer, pytest.approx(f.probability, rel=1e-4)) for f in found]


def told(answers: list[ModelAnswer]) -> list[tuple[Any, ...]]:
    return [(answer.understood, answer.entity, answer.probability) for answer in answers]


def test_a_batch_is_answered_as_each_question_alone(run: Path, model: LoadedModel) -> None:
    answers = model.answer(TEXTS)
    assert told(answers) == as_asked(run, TEXTS)
    assert [answer.question for answer in answers] == TEXTS


def test_questions_of_one_length_share_a_pass(model: LoadedModel) -> None:
    passes: list[int] = []
    handle = model.model.register_forward_hook(lambda _model, given, _made: passes.append(given[0].shape[1]))
    model.answer(TEXTS * 3)
    handle.remove()
    assert sorted(passes) == [2, 3, 4]


def test_no_question_has_no_answer(model: LoadedModel) -> None:
    assert model.answer([]) == []


def test_comparisons_are_answered_among_chains(loop: LoadedModel) -> None:
    texts = ["Who is older, Person Bb or Person Cc?", *TEXTS[:2], "Who is younger, Person Dd or Person Ee?"]
    assert told(loop.answer(texts)) == as_asked(loop.run.path, texts)


def test_the_answer_beside_the_cache_is_the_same(model: LoadedModel) -> None:
    for text in TEXTS:
        answer, _ = model.run_with_cache(text)
        (alone,) = model.answer([text])
        assert (answer.entity, answer.understood) == (alone.entity, alone.understood)
        assert answer.probability == pytest.approx(alone.probability, rel=1e-4)


def row_of(model: LoadedModel, text: str) -> Any:
    return model._row(model._query(text).branches[0])


@pytest.mark.parametrize("run", ["loop", "gpt2"], indirect=True)
def test_named_activations_are_those_that_the_hooks_give_by_number(model: LoadedModel) -> None:
    _, cache = model.run_with_cache(TEXTS[0])
    seen = watch(model.model, row_of(model, TEXTS[0]))
    names = {RESIDUAL: "hook_resid_pre", ATTENTION: "hook_attn_out", MLP: "hook_mlp_out", HEADS: "hook_z"}
    assert cache.tokens == ("Person Bb", "mother", "father")
    places = [place for part in names for place in seen.places(part)]
    assert len({place.part for place in places}) == 4
    for place in places:
        layer = place.depth - (place.part != RESIDUAL)
        named = cache[names[place.part], layer, cache.tokens[place.position]]
        torch.testing.assert_close(named, seen.values[place.part, place.depth][0, place.position])
        torch.testing.assert_close(named, cache[names[place.part], layer, place.position])
        torch.testing.assert_close(named, cache[names[place.part], layer][place.position])
    torch.testing.assert_close(cache["logits", seen.loops, "father"], seen.last_logits()[0])


@pytest.mark.parametrize("run", ["loop"], indirect=True)
def test_the_bridge_stands_at_the_first_relation_after_the_first_loop(model: LoadedModel) -> None:
    _, cache = model.run_with_cache(TEXTS[0])
    expected = cache["logits", 1, "mother"].softmax(-1) @ model.model.embedding.weight
    torch.testing.assert_close(cache["hook_resid_pre", 1, "mother"], expected.detach())


@pytest.mark.parametrize("run", ["loop", "gpt2"], indirect=True)
def test_the_cache_can_be_patched_from(model: LoadedModel) -> None:
    _, cache = model.run_with_cache(TEXTS[0])
    other = row_of(model, "Person Gg / mother / father")
    activations = cache.activations
    heads_and_relations = activations.places(RESIDUAL)
    patched = patch(model.model, other, activations, heads_and_relations)
    torch.testing.assert_close(patched[-1].logits[-1], activations.last_logits()[0])


@pytest.mark.parametrize("run", ["pretrained"], indirect=True)
def test_the_layers_of_a_pretrained_model_are_seen_from_outside(model: LoadedModel) -> None:
    rows, network = row_of(model, TEXTS[0]), model.model
    _, cache = model.run_with_cache(TEXTS[0])
    embedded = network.embedding(torch.from_numpy(rows.tokens))
    decoder: Any = network.get_submodule("decoder")
    states = decoder(inputs_embeds=embedded, output_hidden_states=True).hidden_states
    for layer in range(len(network.layers)):
        for position, token in enumerate(cache.tokens):
            torch.testing.assert_close(cache["hook_resid_pre", layer, token], states[layer][0, position].detach())
        if layer + 1 < len(network.layers):
            added = cache["hook_attn_out", layer] + cache["hook_mlp_out", layer]
            torch.testing.assert_close(
                cache["hook_resid_pre", layer] + added, cache["hook_resid_pre", layer + 1], atol=1e-4, rtol=1e-4
            )


@pytest.mark.parametrize("run", ["loop"], indirect=True)
@pytest.mark.parametrize(
    ("key", "said"),
    [
        (("resid_pre", 0, "mother"), r"no 'resid_pre' .* nearest are 'hook_resid_pre', "),
        (("hook_resid_pre", 7, "mother"), r"hook_resid_pre has no number 7: it has 0, 1"),
        (("hook_resid_pre", 0, "mothers"), r"no token 'mothers' .* nearest are 'mother', "),
        (("hook_resid_pre", 0, 3), r"no position 3: the row has 3"),
        (("hook_attn_out", 0, "father"), r"hook_attn_out 0 was not computed at 'father', only at 'mother'"),
        ("hook_resid_pre", r"'hook_resid_pre' is no key: give a point, a layer and a token"),
    ],
)
def test_keys_that_do_not_exist_are_refused_with_the_nearest_names(model: LoadedModel, key: Any, said: str) -> None:
    _, cache = model.run_with_cache(TEXTS[0])
    with pytest.raises(InputError, match=said) as refused:
        cache[key]
    assert "\n" not in str(refused.value)


def test_a_label_that_stands_twice_is_asked_for_by_its_position(model: LoadedModel) -> None:
    _, cache = model.run_with_cache("Person Bb / mother / mother")
    with pytest.raises(InputError, match="'mother' stands at 1 and 2: give the position"):
        cache["hook_resid_pre", 0, "mother"]
    assert not torch.equal(cache["hook_resid_pre", 0, 1], cache["hook_resid_pre", 0, 0])


@pytest.mark.parametrize("run", ["loop"], indirect=True)
def test_a_cache_lists_what_it_holds(model: LoadedModel) -> None:
    _, cache = model.run_with_cache(TEXTS[0])
    points = ["hook_attn_out", "hook_mlp_out", "hook_resid_pre", "hook_z"]
    assert cache.keys() == sorted([*((p, i) for p in points for i in (0, 1)), ("logits", 1), ("logits", 2)])
    assert all(key in cache for key in cache.keys())  # noqa: SIM118 - it is no mapping
    assert ("hook_resid_pre", 1, "father") in cache
    assert ("hook_resid_pre", 2, "father") not in cache


def test_mistakes_are_one_line(model: LoadedModel, loop: LoadedModel, run: Path) -> None:
    with pytest.raises(InputError, match=r"seed 3 of .* has not finished: choose one of 0"):
        load(run, seed=3)
    with pytest.raises(InputError, match="a list of questions is answered, not one text"):
        model.answer("Person Bb / mother")
    with pytest.raises(InputError, match="not in the graph"):
        model.answer(["Person Bb / mother", "Nobody / mother"])
    with pytest.raises(InputError, match="compares, and only chains are looked into"):
        loop.run_with_cache("Who is older, Person Bb or Person Cc?")
