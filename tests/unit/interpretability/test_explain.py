"""The circuit: measures on a model whose circuit is built by hand, on real ones against nnsight, and of whole runs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from grokhop.cli.main import app
from grokhop.config import Budget, preset
from grokhop.core.errors import InputError
from grokhop.graph.graph import Graph, Split
from grokhop.graph.paths import PathIndex, Queries
from grokhop.interpretability.counterfactuals import corrupt, donors
from grokhop.interpretability.explain import explain
from grokhop.interpretability.faithfulness import score
from grokhop.interpretability.hooks import ATTENTION, HEADS, PARTS, RESIDUAL, Place, last_logits, patch, watch
from grokhop.interpretability.logit_lens import lens, mean_lens, members
from grokhop.interpretability.patching import Contrast, ablate, bridge_place, carried_over, trace
from grokhop.interpretability.progress import Snapshots
from grokhop.models.base import HookPoint, Model
from grokhop.models.gpt2 import Gpt2, Nodes
from grokhop.models.looped import LoopTransformer
from grokhop.runs.run import Run
from grokhop.tasks.encoding import encode_queries
from grokhop.tasks.vocabulary import Vocabulary
from grokhop.training.lr_schedule import is_snapshot
from grokhop.training.train import train
from tests.graphs import built, random_graph
from tests.settings import ran, shape_of

SURE = 40.0
"""The logit of what is read out, where all others are 0."""

GRAPH = random_graph(entities=30, relations=4, degree=3, holdout=0.1)
CHAINING = PathIndex(GRAPH)


def two_hops(graph: Graph = GRAPH, most: int = 60) -> Queries:
    paths = PathIndex(graph).paths([np.ones(len(graph), bool)] * 2, limit=10_000, rng=np.random.default_rng(0))
    queries, _ = PathIndex(graph).queries(paths)
    return queries.where(np.random.default_rng(1).permutation(len(queries))[:most])


class Facts(nn.Module):
    """What a layer of a known circuit does: what stands before is fetched, the fact of that entity and of the relation
    that stands here is looked up, and its object takes the place of both; where there is none, nothing changes.
    """

    def __init__(self, graph: Graph, width: int) -> None:
        super().__init__()
        self.hook_resid_pre, self.hook_z, self.hook_attn_out, self.hook_mlp_out = (
            HookPoint(),
            HookPoint(),
            HookPoint(),
            HookPoint(),
        )
        self.entities, self.width = len(graph.entities), width
        facts = zip(graph.head.tolist(), graph.relation.tolist(), graph.tail.tolist(), strict=True)
        self.table = {(h, self.entities + r): t for h, r, t in facts}

    def looked_up(self, here_ND: Tensor, before_ND: Tensor, row: Tensor, position: Tensor) -> Tensor:
        fetched_ND = self.hook_attn_out(self.hook_z(before_ND[:, None], row, position).flatten(1), row, position)
        keys = zip(*(x.argmax(-1).tolist() for x in (fetched_ND, here_ND)), strict=True)
        found = torch.tensor([self.table.get(key, -1) for key in keys])
        object_ND = nn.functional.one_hot(found.clamp(min=0), self.width).float()
        object_ND = torch.where((found >= 0)[:, None], object_ND, here_ND)
        return here_ND + fetched_ND + self.hook_mlp_out(object_ND - here_ND - fetched_ND, row, position)


class Lookup(Facts):
    """The layer of a loop."""

    def forward(self, x_BTD: Tensor, row: Tensor, position: Tensor) -> Tensor:
        return self.looked_up(x_BTD[row, position], x_BTD[row, position - 1], row, position)


class PlainLookup(Facts):
    """A layer of a plain decoder."""

    def forward(self, x_MD: Tensor, nodes: Nodes, chosen: Tensor | None = None) -> Tensor:
        x_MD = self.hook_resid_pre(x_MD, nodes.row, nodes.position)
        some = nodes if chosen is None else nodes.where(chosen)
        before = some.path.gather(1, (some.position - 1).clamp(min=0)[:, None]).squeeze(1)
        return self.looked_up(x_MD if chosen is None else x_MD[chosen], x_MD[before], some.row, some.position)


class Scale(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return SURE * x


def hand_built(graph: Graph = GRAPH, architecture: str = "loop") -> Any:
    """A model with one-hot embeddings and known layers: the loop with one, a plain decoder with two."""
    vocabulary = Vocabulary.of(graph).size
    width = 4 * -(-vocabulary // 4)
    settings = shape_of(architecture=architecture, d_model=width, n_heads=1)
    model: Any = {"loop": LoopTransformer, "gpt2": Gpt2}[architecture](settings, vocabulary=vocabulary)
    with torch.no_grad():
        model.embedding.weight.copy_(torch.eye(width)[:vocabulary])
        if architecture == "gpt2":
            model.position.weight.zero_()
    layers = [Lookup(graph, width)] if architecture == "loop" else [PlainLookup(graph, width) for _ in range(2)]
    model.layers, model.final_norm = nn.ModuleList(layers), Scale()
    return model.eval()


BRIDGE = Place(RESIDUAL, 1, 1)
both = pytest.mark.parametrize("architecture", ["loop", "gpt2"])


def small(architecture: str, layers: int) -> Any:
    """A model of random weights, none of them so small that nothing would depend on it."""
    torch.manual_seed(0)
    settings = shape_of(architecture=architecture, d_model=16, n_heads=2, n_layers=layers)
    model = {"loop": LoopTransformer, "gpt2": Gpt2}[architecture](settings, vocabulary=Vocabulary.of(GRAPH).size)
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.5)
    return model.eval()


MODELS = [("gpt2", 1), ("gpt2", 3), ("loop", 1), ("loop", 2)]
any_model = pytest.mark.parametrize(("architecture", "layers"), MODELS)


def rows_of(queries: Queries) -> Any:
    return encode_queries(Vocabulary.of(GRAPH), queries)


# A circuit that is known: what the head is told at (0, 0) is fetched to (1, 1) and from there to the end.

CIRCUIT = {
    0: {(0, 0), (1, 1)},
    1: {(0, 1), (1, 1)},
    2: {(0, 2), (1, 2)},
}
"""By the corrupted position, the places of the residual stream through which all of the answer goes."""


@both
@pytest.mark.parametrize("corrupted", CIRCUIT)
def test_causal_tracing_finds_the_circuit_that_was_built_and_nothing_else(corrupted: int, architecture: str) -> None:
    found = trace(hand_built(architecture=architecture), CHAINING, two_hops())[corrupted].to_dict()
    assert found["n"] >= 20
    for row in found[RESIDUAL]:
        wanted = float((row["depth"], row["position"]) in CIRCUIT[corrupted])
        assert row["restored"] == pytest.approx(wanted, abs=1e-3), row
    assert len(found[RESIDUAL]) == 6


def test_attention_and_its_only_head_are_traced_where_they_fetch_what_differs() -> None:
    by_head, _, by_relation = (found.to_dict() for found in trace(hand_built(), CHAINING, two_hops()))
    for part in (ATTENTION, HEADS):
        restored = {(row["depth"], row["position"]): row["restored"] for row in by_head[part]}
        assert restored == {(1, 1): pytest.approx(1, abs=1e-3), (2, 2): pytest.approx(1, abs=1e-3)}
        # Another last relation changes nothing of what is fetched.
        assert all(row["restored"] == pytest.approx(0, abs=1e-3) for row in by_relation[part])


@both
def test_the_bridge_is_found_at_the_place_of_the_first_hop_after_the_first_layer(architecture: str) -> None:
    assert bridge_place(hand_built(architecture=architecture), CHAINING, two_hops()) == BRIDGE


@both
def test_the_bridge_of_another_query_carries_the_answer_over(architecture: str) -> None:
    found = carried_over(hand_built(architecture=architecture), CHAINING, two_hops(), BRIDGE).to_dict()
    assert found["n"] >= 20
    assert found["restored"] == pytest.approx(1, abs=1e-3)
    assert found["answered"] == 1.0


def test_a_place_that_holds_something_else_carries_nothing_over() -> None:
    found = carried_over(hand_built(), CHAINING, two_hops(), Place(RESIDUAL, 1, 2)).to_dict()
    assert found["answered"] <= 0.2  # by chance, among thirty entities


@both
def test_without_the_bridge_the_answer_is_lost_and_without_the_second_entity_it_is_not(architecture: str) -> None:
    found = ablate(hand_built(architecture=architecture), CHAINING, two_hops(), BRIDGE).to_dict()
    assert found["n"] >= 20
    assert found["second"] == 1.0
    assert found["bridge"] <= 0.2  # by chance another entity leads there too
    assert found["second_leads_there"] <= 0.2


def test_the_lens_names_the_bridge_after_one_loop_and_the_answer_after_two() -> None:
    queries = two_hops()
    ends = [
        members(CHAINING.answers(queries.head, queries.relations[:, :k]), Vocabulary.of(GRAPH).size) for k in (1, 2)
    ]
    rows = {(r.depth, r.position): r.to_dict() for r in mean_lens(lens(hand_built(), rows_of(queries)), ends)}
    assert rows[1, 1]["probability"][0] == pytest.approx(1, abs=1e-6)
    assert rows[1, 1]["rank"][0] == 1
    assert rows[2, 2]["probability"][1] == pytest.approx(1, abs=1e-6)
    assert rows[0, 1]["probability"] == pytest.approx([0, 0], abs=1e-6)
    assert rows[0, 1]["rank"][0] > 1


@both
def test_every_right_answer_of_the_circuit_has_the_right_reason(architecture: str) -> None:
    queries = two_hops()
    found = score(hand_built(architecture=architecture), CHAINING, queries).to_dict()
    assert found["n"] == found["right"] == found["right_and_named"] == len(queries)
    assert found["bridge_named"] == 1.0
    assert found["right_for_wrong_reason"] == []


class Recaller(Lookup):
    """Names a wrong bridge, and yet gives the answers, which it has by heart: its last place looks at the head."""

    def __init__(self, graph: Graph, width: int, queries: Queries) -> None:
        super().__init__(graph, width)
        first, last = zip(queries.offsets[:-1], strict=True), queries.relations[:, 1].tolist()
        answers = [int(queries.answers[i]) for (i,) in first]
        keys = zip(queries.head.tolist(), last, strict=True)
        self.by_heart = {(h, self.entities + r): a for (h, r), a in zip(keys, answers, strict=True)}

    def forward(self, x_BTD: Tensor, row: Tensor, position: Tensor) -> Tensor:
        named = []
        for i, p in zip(row.tolist(), position.tolist(), strict=True):
            head, here = (int(x_BTD[i, place].argmax()) for place in (0, p))
            right = self.table.get((head, here), 0)
            named.append((right + 1) % self.entities if p == 1 else self.by_heart.get((head, here), 0))
        h_ND = nn.functional.one_hot(torch.tensor(named), self.width).float()
        self.hook_z(h_ND[:, None], row, position)
        self.hook_attn_out(h_ND, row, position)
        return self.hook_mlp_out(h_ND, row, position)


def test_a_model_that_recalls_is_right_for_the_wrong_reason_and_the_examples_say_so() -> None:
    queries = two_hops()
    distinct = np.unique(np.column_stack([queries.head, queries.relations[:, 1]]), axis=0, return_index=True)[1]
    queries = queries.where(np.sort(distinct))
    model = hand_built()
    model.layers = nn.ModuleList([Recaller(GRAPH, model.embedding.weight.shape[1], queries)])
    found = score(model, CHAINING, queries).to_dict()
    assert found["right"] == len(queries)
    assert found["bridge_named"] is not None and found["bridge_named"] < 0.2
    example = found["right_for_wrong_reason"][0]
    assert len(example["query"]) == 3 and len(example["named"]) == 1
    head, first, _ = example["query"]
    true = {
        (GRAPH.entities[h].label, GRAPH.relations[r], GRAPH.entities[t].label)
        for h, r, t in zip(GRAPH.head.tolist(), GRAPH.relation.tolist(), GRAPH.tail.tolist(), strict=True)
    }
    assert (head, first, example["named"][0]) not in true


# Pairs.


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_corrupted_query_differs_in_one_token_and_shares_no_answer(position: int) -> None:
    pairs = corrupt(CHAINING, two_hops(), position, np.random.default_rng(0))
    assert len(pairs) >= 20
    for i in range(len(pairs)):
        one, other = ([int(q.head[i]), *q.relations[i].tolist()] for q in (pairs.clean, pairs.corrupted))
        assert [p for p in range(3) if one[p] != other[p]] == [position]
        mine, theirs = (set(q.where(np.array([i])).answers.tolist()) for q in (pairs.clean, pairs.corrupted))
        assert theirs and not mine & theirs
        assert theirs == answers_by_force(other)


def answers_by_force(query: list[int], graph: Graph = GRAPH) -> set[int]:
    found = {query[0]}
    facts = list(zip(graph.head.tolist(), graph.relation.tolist(), graph.tail.tolist(), strict=True))
    for relation in query[1:]:
        found = {t for h, r, t in facts if h in found and r == relation}
    return found


@pytest.mark.parametrize("tails", [1, 2])
def test_a_donor_leads_to_the_same_bridge_from_another_head_by_another_relation(tails: int) -> None:
    graph = random_graph(entities=30, relations=8, degree=4, holdout=0.1, tails=tails)
    if tails == 2:  # so that some pairs have one end, and others two
        graph = graph.where(np.arange(len(graph)) % 3 > 0)
    queries = two_hops(graph, most=200)
    places, others = donors(PathIndex(graph), queries, np.random.default_rng(0))
    assert len(places) >= 20
    for place, i in zip(places.tolist(), range(len(others)), strict=True):
        assert queries.head[place] != others.head[i]
        assert (queries.relations[place] != others.relations[i]).all()
        mine, theirs = (
            answers_by_force([int(q.head[j]), int(q.relations[j, 0])], graph)
            for q, j in ((queries, place), (others, i))
        )
        assert mine == theirs
        assert len(mine) == 1


def test_queries_that_have_no_counterpart_are_left_out() -> None:
    lonely = built([("a", "r", "b"), ("b", "s", "c")])
    chaining = PathIndex(lonely)
    queries = two_hops(lonely)
    assert len(queries) == 1
    for position in range(3):
        assert len(corrupt(chaining, queries, position, np.random.default_rng(0))) == 0
    assert [row.n for row in trace(hand_built(lonely), chaining, queries)] == [0, 0, 0]
    assert carried_over(hand_built(lonely), chaining, queries, Place(RESIDUAL, 1, 1)).n == 0


# Patching real models.


def contrasted(position: int = 0) -> tuple[Any, Any]:
    pairs = corrupt(CHAINING, two_hops(most=12), position, np.random.default_rng(0))
    return rows_of(pairs.clean), rows_of(pairs.corrupted)


@any_model
def test_watching_changes_no_answer_and_leaves_no_hook(architecture: str, layers: int) -> None:
    model, (rows, _) = small(architecture, layers), contrasted()
    before = last_logits(model(torch.from_numpy(rows.tokens), torch.from_numpy(rows.read_at)))
    torch.testing.assert_close(watch(model, rows).last_logits(), before)
    assert not any(module._forward_hooks for module in model.modules())


@any_model
def test_with_every_position_before_the_first_layer_patched_a_run_is_the_clean_one(
    architecture: str, layers: int
) -> None:
    model, (clean, corrupted) = small(architecture, layers), contrasted()
    source = watch(model, clean)
    everything = [place for place in source.places(RESIDUAL) if place.depth == 0]
    found = last_logits(patch(model, corrupted, source, everything))
    assert not torch.allclose(found, watch(model, corrupted).last_logits())
    torch.testing.assert_close(found, source.last_logits())


@any_model
def test_to_put_back_what_is_there_changes_nothing(architecture: str, layers: int) -> None:
    model, (_, corrupted) = small(architecture, layers), contrasted()
    source = watch(model, corrupted)
    for part in PARTS:
        for place in source.places(part):
            found = last_logits(patch(model, corrupted, source, [place]))
            torch.testing.assert_close(found, source.last_logits())


@any_model
def test_all_heads_together_are_what_attention_adds(architecture: str, layers: int) -> None:
    model, (clean, corrupted) = small(architecture, layers), contrasted()
    source = watch(model, clean)
    for place in source.places(ATTENTION):
        heads = [Place(HEADS, place.depth, place.position, head) for head in range(2)]
        together = last_logits(patch(model, corrupted, source, heads))
        torch.testing.assert_close(together, last_logits(patch(model, corrupted, source, [place])))


def test_the_lens_at_the_last_depth_is_the_answer_of_a_plain_decoder() -> None:
    model, (rows, _) = small("gpt2", 3), contrasted()
    found = lens(model, rows)
    torch.testing.assert_close(found[3, 2], watch(model, rows).last_logits().softmax(-1))
    # After its first layer it says what a decoder with that layer alone would answer.
    shallow = small("gpt2", 3)
    shallow.layers = shallow.layers[:1]
    (read,) = shallow(torch.from_numpy(rows.tokens), torch.from_numpy(rows.read_at))
    torch.testing.assert_close(found[1, 1], read.logits[read.position == 1].softmax(-1))


@any_model
def test_a_patch_through_nnsight_comes_to_the_same_number(architecture: str, layers: int) -> None:
    nnsight = pytest.importorskip("nnsight", reason="nnsight is an extra: pip install 'grokhop[explain]'")
    model, (clean, corrupted) = small(architecture, layers), contrasted()
    source = watch(model, clean)
    tokens, read_at = torch.from_numpy(corrupted.tokens), torch.from_numpy(corrupted.read_at)
    opened = nnsight.NNsight(model)
    with opened.trace(tokens, read_at):
        stream = opened.layers[0].hook_resid_pre.output.view(*tokens.shape, -1)
        stream[:, 0] = source.values[RESIDUAL, 0][:, 0]
        read_outs = opened.output.save()
    ours = last_logits(patch(model, corrupted, source, [Place(RESIDUAL, 0, 0)]))
    torch.testing.assert_close(last_logits(read_outs), ours, rtol=0, atol=0)


def test_a_contrast_holds_only_pairs_that_are_answered_rightly() -> None:
    model: Any = hand_built()
    model.layers[0].table.pop(next(iter(model.layers[0].table)))
    pairs = corrupt(CHAINING, two_hops(), 0, np.random.default_rng(0))
    contrast = Contrast(model, Vocabulary.of(GRAPH), pairs)
    assert 0 < len(contrast) < len(pairs)
    assert contrast.restored(Place(RESIDUAL, 0, 0)) == pytest.approx(1, abs=1e-3)


# Whole runs.


def test_snapshots_are_dense_early_and_as_many_for_each_tenfold() -> None:
    assert [step for step in range(1, 1001) if is_snapshot(step, 3)] == [1, 2, 5, 10, 22, 46, 100, 215, 464, 1000]
    assert not any(is_snapshot(step, 0) for step in range(1, 100))


@pytest.fixture(scope="module")
def toy_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy run that kept snapshots, grokked or not."""
    folder = tmp_path_factory.mktemp("explain")
    random_graph(entities=40, relations=4, degree=4, holdout=0.2).write(folder / "graph")
    settings = preset("toy", changes=["train.checkpoints_per_decade=4", "model.d_model=32"])
    train(folder / "graph", folder / "run", settings=ran(settings, budget=Budget(steps=60), preset="toy"))
    return folder / "run"


@pytest.fixture(scope="module")
def explained(toy_run: Path) -> dict[str, Any]:
    return explain(toy_run, threads=1).to_dict()


def test_a_run_keeps_its_weights_at_the_steps_that_its_settings_name(toy_run: Path) -> None:
    assert list(Run.read(toy_run).snapshots(0)) == [step for step in range(1, 61) if is_snapshot(step, 4)]


def test_the_bridge_forms_in_the_steps_that_were_kept(toy_run: Path, explained: dict[str, Any]) -> None:
    assert [row["step"] for row in explained["formation"]] == list(Run.read(toy_run).snapshots(0))
    first, last = explained["formation"][0], explained["formation"][-1]
    assert first["train"]["accuracy"] < last["train"]["accuracy"]
    assert first["id"]["bridge"][0]["probability"] < last["id"]["bridge"][0]["probability"]
    assert last["id"]["bridge"][0]["rank"] < first["id"]["bridge"][0]["rank"]


def numbers(queries: Queries) -> set[tuple[int, ...]]:
    return {(int(h), *r) for h, r in zip(queries.head, queries.relations.tolist(), strict=True)}


def test_no_test_query_and_no_fact_held_out_for_test_is_asked_while_a_circuit_forms(toy_run: Path) -> None:
    run = Run.read(toy_run)
    graph, made = run.graph, run.dataset.compositions
    asked = Snapshots(PathIndex(graph), made)
    sets = {name: numbers(queries) for name, queries in asked.sets.items()}
    assert not sets["train"] & (sets["id"] | sets["ood"])
    facts = zip(graph.head.tolist(), graph.relation.tolist(), graph.tail.tolist(), graph.part.tolist(), strict=True)
    ends: dict[tuple[int, int], set[tuple[int, int]]] = {}
    for h, r, t, part in facts:
        ends.setdefault((h, r), set()).add((t, part))
    tested = set.union(*map(numbers, made.cells["test"][2].values()))
    for queries in (*asked.sets.values(), *(q for p in asked.pairs.values() for q in (p.clean, p.corrupted))):
        found = numbers(queries)
        assert found
        assert not found & tested
        for h, first, second in found:
            bridges = ends[h, first]
            parts = {part for t, part in bridges} | {part for t, _ in bridges for _, part in ends.get((t, second), ())}
            assert Split.TEST not in parts


def test_what_is_explained_is_written_and_is_what_others_rely_on(toy_run: Path, explained: dict[str, Any]) -> None:
    assert json.loads((toy_run / "explain.json").read_text()) == explained
    assert {"bridge_named", "right_for_wrong_reason", "patching", "formation"} <= explained.keys()
    id_, ood = (explained["seeds"][0][name]["score"] for name in ("id", "ood"))
    assert ood["n"] == len(Run.read(toy_run).dataset.test[2]["OO"])
    assert id_["right"] > 0
    assert id_["bridge_named"] == id_["right_and_named"] / id_["right"]


def test_a_run_without_queries_out_of_distribution_is_explained_in_distribution(tmp_path: Path) -> None:
    random_graph(entities=30, relations=4, degree=4, holdout=0.0).write(tmp_path / "graph")
    settings = preset("toy", changes=["model.d_model=32", "train.checkpoints_per_decade=1"])
    train(tmp_path / "graph", tmp_path / "run", settings=ran(settings, budget=Budget(steps=20), preset="toy"))
    found = explain(tmp_path / "run", threads=1).to_dict()
    assert found["bridge_named"] is None
    assert found["seeds"][0]["ood"]["score"]["n"] == 0
    assert found["seeds"][0]["id"]["score"]["n"] > 0
    assert set(found["formation"][0]) == {"seed", "step", "train", "id"}


def test_a_single_query_is_told_place_by_place(toy_run: Path) -> None:
    graph = Run.read(toy_run).graph
    queries = two_hops(graph, most=1)
    names = [graph.entities[queries.head[0]].label, *(graph.relations[r] for r in queries.relations[0])]
    (found,) = explain(toy_run, texts=[" / ".join(names)], threads=1).to_dict()["queries"]
    assert found["query"] == names
    assert found["expected"] == [graph.entities[a].label for a in queries.answers]
    at = [(place["depth"], place["position"]) for place in found["places"]]
    assert at == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 2)]
    assert all(len(place["top"]) == 3 for place in found["places"])


def test_the_command_shows_the_score_and_the_places(toy_run: Path) -> None:
    graph = Run.read(toy_run).graph
    names = [graph.entities[0].label, *graph.relations[:1]]
    shown = CliRunner().invoke(app, ["explain", str(toy_run), "--query", " / ".join(names)])
    assert shown.exit_code == 0, shown.output
    for words in ("does the explanation hold?", "out of distribution", "reads out"):
        assert words in shown.output


def test_what_cannot_be_looked_into_is_refused_in_one_line(toy_run: Path, tmp_path: Path) -> None:
    class Bare(Model):
        def __init__(self) -> None:
            super().__init__(shape_of(), vocabulary=1)
            self.layers = nn.ModuleList([nn.Linear(2, 2)])

    with pytest.raises(InputError, match="cannot be looked into"):
        watch(Bare(), rows_of(two_hops(most=1)))
    with pytest.raises(InputError, match="grokhop train"):
        explain(tmp_path / "none")
