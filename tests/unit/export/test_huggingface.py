"""GPT-2 against Hugging Face's own model, both ways, and the folder that is exported.

Needs transformers (`pip install 'grokhop[pretrained]'`, part of `dev`).
"""

import builtins
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from typer.testing import CliRunner

from grokhop.cli.main import app
from grokhop.config import Budget, GPT2Config, RunConfig, preset
from grokhop.core.artifacts import MANIFEST
from grokhop.core.errors import InputError
from grokhop.evaluation.evaluate import evaluate
from grokhop.export import huggingface as stage
from grokhop.export.huggingface import CARD, export
from grokhop.graph.graph import Graph, GraphBuilder
from grokhop.graph.splits import hold_out
from grokhop.inference.loading import load_model
from grokhop.models.gpt2 import POSITIONS, Gpt2
from grokhop.models.huggingface import from_hf, make_tokenizer, to_hf, token_texts
from grokhop.runs.run import Run
from grokhop.tasks.encoding import encode_queries
from grokhop.tasks.vocabulary import Vocabulary
from grokhop.training.train import train
from tests.graphs import random_graph
from tests.settings import ran, shape_of, with_

transformers: Any = pytest.importorskip("transformers", reason="pip install 'grokhop[pretrained]'")

VOCABULARY = 23
SHAPES = [
    {"d_model": 16, "n_heads": 2, "n_layers": 1},
    {"d_model": 32, "n_heads": 4, "n_layers": 3, "mlp_ratio": 2},
    {"d_model": 24, "n_heads": 1, "n_layers": 2, "repeats": 3},
    {"d_model": 128, "n_heads": 4, "n_layers": 2},
]


def filled(model: torch.nn.Module) -> Any:
    """The model with every weight drawn anew, biases and gains of norms too, that begin as 0 and 1."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
    return model.eval()


def model_of(**shape: Any) -> Gpt2:
    torch.manual_seed(0)
    return filled(Gpt2(shape_of(architecture="gpt2", **shape), vocabulary=VOCABULARY))


def theirs(**config: Any) -> Any:
    torch.manual_seed(0)
    shape = {"vocab_size": VOCABULARY, "n_positions": 64, "n_embd": 16, "n_layer": 2, "n_head": 2, **config}
    shape |= {"bos_token_id": None, "eos_token_id": None}
    return filled(transformers.GPT2LMHeadModel(transformers.GPT2Config(**shape)))


TOKENS = torch.randint(VOCABULARY, (3, POSITIONS), generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def own_logits(model: Gpt2) -> Tensor:
    """(B, T, V) at every position."""
    (read,) = model(TOKENS, torch.ones_like(TOKENS))
    return read.logits.view(*TOKENS.shape, -1)


@torch.no_grad()
def their_logits(model: Any) -> Tensor:
    return model(input_ids=TOKENS).logits


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_carried_over_answers_alike_at_every_position(shape: dict[str, int]) -> None:
    model = model_of(**shape)
    carried = to_hf(model)
    assert own_logits(model).std() > 0.1  # or being alike would say nothing
    torch.testing.assert_close(their_logits(carried), own_logits(model), atol=1e-5, rtol=1e-5)
    assert carried.config.n_layer == shape["n_layers"] * shape.get("repeats", 1)


@pytest.mark.parametrize(
    "config",
    [{}, {"n_embd": 32, "n_head": 4, "n_layer": 3, "n_inner": 96}, {"activation_function": "gelu_pytorch_tanh"}],
)
def test_what_is_carried_here_answers_alike_at_every_position(config: dict[str, Any]) -> None:
    model = theirs(**config)
    torch.testing.assert_close(own_logits(from_hf(model)), their_logits(model), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_there_and_back_changes_no_bit(shape: dict[str, int]) -> None:
    model = model_of(**shape)
    back = from_hf(to_hf(model))
    layers = shape["n_layers"] * shape.get("repeats", 1)
    assert back.settings == GPT2Config(**{**asdict(model.settings), "n_layers": layers, "repeats": 1})
    there_again = to_hf(back).state_dict()
    assert all(torch.equal(there_again[name], weight) for name, weight in to_hf(model).state_dict().items())
    if model.repeats == 1:
        assert all(torch.equal(back.state_dict()[name], weight) for name, weight in model.state_dict().items())


def test_weights_are_copied_and_not_shared() -> None:
    model = model_of(**SHAPES[0])
    before = own_logits(model)
    with torch.no_grad():
        for weight in to_hf(model).parameters():
            weight.zero_()
    assert torch.equal(own_logits(model), before)


def test_there_is_no_dropout_and_the_embeddings_are_tied() -> None:
    carried = to_hf(model_of(**SHAPES[0]))
    assert carried.lm_head.weight is carried.transformer.wte.weight
    carried.train()
    assert torch.equal(their_logits(carried), their_logits(carried.eval()))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"activation_function": "relu"}, "activation is relu"),
        ({"tie_word_embeddings": False}, "not tied"),
        ({"n_inner": 40}, "n_inner 40 is no multiple of its width 16"),
        ({"n_positions": 16}, "16 positions"),
        ({"n_embd": 18, "n_head": 2}, "d_model must be a multiple"),
        ({"layer_norm_epsilon": 1e-6}, "epsilon"),
        ({"scale_attn_weights": False}, "scaled in another way"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scaled in another way"),
        ({"add_cross_attention": True}, "cross-attention"),
    ],
)
def test_what_our_architecture_cannot_hold_is_refused(config: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        from_hf(theirs(**config))


# Tokens


def test_tokens_that_would_read_alike_get_numbers() -> None:
    labels = ["Chad", "capital", "capital #2", "a <b>", "a ‹b›", "capital", "capital"]
    assert token_texts(labels) == [
        "<Chad>",
        "<capital>",
        "<capital #2>",
        "<a ‹b›>",
        "<a ‹b› #2>",
        "<capital #3>",
        "<capital #4>",
    ]


LABELS = st.lists(st.text(alphabet="ab<>‹›# 2\n\té", max_size=6), min_size=1, max_size=12)


@given(labels=LABELS, data=st.data())
def test_any_labels_make_tokens_of_their_own_that_are_read_as_they_are_written(
    labels: list[str], data: st.DataObject
) -> None:
    texts = token_texts(labels)
    assert len(set(texts)) == len(labels)
    tokenizer = make_tokenizer(texts)
    row = data.draw(st.lists(st.integers(0, len(labels) - 1), min_size=1, max_size=5))
    blanks = st.sampled_from(["", " ", " \n"])
    text = "".join(data.draw(blanks) + texts[token] for token in row) + data.draw(blanks)
    assert tokenizer(text)["input_ids"] == row
    assert tokenizer(tokenizer.decode(row))["input_ids"] == row


@pytest.mark.parametrize("text", ["Chad <capital>", "<Chad> capital", "<Tschad> <capital>", "<Chad> and <capital>"])
def test_text_that_is_no_token_is_refused_and_not_left_out(text: str) -> None:
    tokenizer = make_tokenizer(["<Chad>", "<capital>"])
    with pytest.raises(Exception, match="WordLevel"):
        tokenizer(text)


# Folders

SETTINGS = with_(preset("paper"), model=shape_of(architecture="gpt2", d_model=16, n_heads=2, n_layers=2), batch_size=64)


def trained(graph: Graph, folder: Path, settings: RunConfig = SETTINGS, steps: int = 30) -> Path:
    graph.write(folder / "graph")
    train(folder / "graph", folder / "run", settings=ran(settings, budget=Budget(steps=steps), preset="paper"))
    return folder / "run"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a graph in which an entity and a relation have one label."""
    builder = GraphBuilder(source="test")
    for i in range(30):
        builder.fact(f"town {i}", "next to", f"town {(i + 1) % 30}")
        builder.fact(f"town {i}", "twin of", f"town {(i + 7) % 30}")
        builder.fact(f"town {i}", "like", "next to" if i % 2 else f"town {(i + 3) % 30}")
    return trained(hold_out(builder.build(), share=0.1), tmp_path_factory.mktemp("hf"))


def test_an_exported_folder_is_read_by_name_and_generates_what_the_run_answers(run: Path, tmp_path: Path) -> None:
    result = export(run, tmp_path / "out")
    assert (result["export"], result["format"]) == (str(tmp_path / "out"), "hf")
    model = transformers.GPT2LMHeadModel.from_pretrained(tmp_path / "out")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert result["parameters"] == sum(p.numel() for p in model.parameters())
    opened = Run.read(run)
    vocabulary, own = Vocabulary.of(opened.graph), load_model(opened, 0)
    assert len(tokenizer) == model.config.vocab_size == vocabulary.size == result["tokens"]
    texts = token_texts([*(entity.label for entity in opened.graph.entities), *opened.graph.relations])
    for cell, queries in opened.dataset.validation[2].items():
        rows = encode_queries(vocabulary, queries)
        if not len(rows):
            continue
        tokens = torch.from_numpy(rows.tokens)
        answers = own.hops(tokens, torch.from_numpy(rows.ends().read_at)).entity[:, -1].tolist()
        asked = tokenizer([" ".join(texts[token] for token in row) for row in rows.tokens], return_tensors="pt")
        assert torch.equal(asked["input_ids"], tokens)
        said = model.generate(**asked)
        assert said.shape == (len(rows), 4)
        assert said[:, -1].tolist() == answers, cell
        assert [tokenizer.decode(token) for token in said[:, -1]] == [texts[answer] for answer in answers]


def test_an_entity_and_a_relation_of_one_label_are_two_tokens(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "out")
    tokenizer, graph = transformers.AutoTokenizer.from_pretrained(tmp_path / "out"), Run.read(run).graph
    entity = [e.label for e in graph.entities].index("next to")
    relation = len(graph.entities) + graph.relations.index("next to")
    assert tokenizer("<next to><next to #2>")["input_ids"] == [entity, relation]


def test_the_code_of_the_model_card_runs_as_it_is_written(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    export(run, tmp_path / "out")
    (code,) = re.findall(r"```python\n(.*?)```", (tmp_path / "out" / CARD).read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path / "out")
    exec(compile(code, CARD, "exec"), {})
    assert re.fullmatch(r"<.+>\n", capsys.readouterr().out)


def test_the_model_card_says_graph_phi_and_scores_once_there_are_any(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "before")
    text = (tmp_path / "before" / CARD).read_text()
    opened = Run.read(run)
    assert f"{len(opened.plain_graph):,} facts" in text
    assert f"is {json.loads((run / 'phi.json').read_text())['phi']:.2f}" in text
    assert "Test queries" not in text and "Licence" in text
    try:
        found = evaluate(run, threads=1).to_dict()
        export(run, tmp_path / "after")
    finally:
        (run / "eval.json").unlink()
    row = next(line for line in (tmp_path / "after" / CARD).read_text().splitlines() if line.startswith("| 2 hops, II"))
    assert row.endswith(f"| {found['cells']['2']['II']['n']:,} |")


def test_a_folder_is_replaced_by_force_alone_and_only_if_it_is_an_export(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "out")
    with pytest.raises(InputError, match="--force"):
        export(run, tmp_path / "out")
    export(run, tmp_path / "out", force=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    with pytest.raises(InputError, match="not a grokhop export folder"):
        export(run, tmp_path / "mine", force=True)


def test_nothing_is_left_where_writing_fails(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> str:
        raise OSError("disk full")

    monkeypatch.setattr(stage, "card", fail)
    with pytest.raises(OSError, match="disk full"):
        export(run, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_loop_and_a_seed_that_has_not_finished_are_refused(run: Path, tmp_path: Path) -> None:
    graph = random_graph(entities=12, relations=3, degree=3, holdout=0.1)
    loop = with_(preset("toy"), model=shape_of(d_model=16, n_heads=2))
    with pytest.raises(InputError, match=r"is a loop.*presets export: gpt2, paper, paper-full"):
        export(trained(graph, tmp_path, loop, steps=1), tmp_path / "out")
    with pytest.raises(InputError, match=r"seed 3 of .* has not finished: choose one of 0"):
        export(run, tmp_path / "out", seed=3)
    assert not (tmp_path / "out").exists()


def test_without_transformers_one_line_says_what_to_install(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "transformers":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install 'grokhop\[pretrained\]'"):
        export(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_exports_and_says_so_in_json_or_in_words(run: Path, tmp_path: Path) -> None:
    words = ["export", str(run), "--to", "hf", "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 0, result.exception
    printed = json.loads(result.stdout)
    assert (printed["export"], printed["model"], printed["seed"]) == (str(tmp_path / "out"), "GPT2LMHeadModel", 0)
    assert json.loads((tmp_path / "out" / MANIFEST).read_text())["kind"] == "export"
    result = CliRunner().invoke(app, [*words, "--force"])
    assert result.exit_code == 0 and "README.md says how to ask it" in result.output
    wrong = CliRunner().invoke(app, ["export", str(run), "--to", "onnx", "-o", str(tmp_path / "other")])
    assert isinstance(wrong.exception, InputError) and "choose hf" in str(wrong.exception)
