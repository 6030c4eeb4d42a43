"""The data set of a run: built once, kept whole, read back the same, and asked as it was kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import grokhop.tasks.dataset as dataset_stage
from grokhop.config import Budget, preset
from grokhop.core.errors import InputError
from grokhop.evaluation.evaluate import evaluate
from grokhop.graph.graph import Graph, Split
from grokhop.graph.paths import Queries
from grokhop.inference.ask import ask
from grokhop.interpretability.explain import explain
from grokhop.runs.run import DATASET, Run
from grokhop.sweeps.sweep import sweep
from grokhop.tasks.comparison import comparable
from grokhop.tasks.composition import Compositions, compose
from grokhop.tasks.dataset import TaskDataset, build_dataset
from grokhop.tasks.encoding import NO_TARGET, TokenBatch
from grokhop.tasks.leakage import check_rows
from grokhop.tasks.storage import content_hash, read_dataset, save_dataset
from grokhop.training.train import train
from tests.graphs import random_graph
from tests.settings import ran
from tests.unit.tasks.test_comparison import asked_graph

COMPARES = asked_graph()
SEVERAL = random_graph(entities=25, relations=6, degree=4, holdout=0.2, tails=2)


def data_of(graph: Graph, *, prefixes: bool = True, hops: int = 2) -> TaskDataset:
    return TaskDataset.of(comparable(graph), compose(graph, hops=hops, prefixes=prefixes), prefixes=prefixes)


def assert_same(one: object, other: object) -> None:
    """Compare two values to the last number, whatever holds them."""
    if isinstance(one, np.ndarray):
        assert isinstance(other, np.ndarray)
        assert (one.shape, one.dtype.kind) == (other.shape, other.dtype.kind)
        assert np.array_equal(one, other)
    elif isinstance(one, TaskDataset | Compositions | TokenBatch | Queries):
        for name, value in vars(one).items():
            assert_same(value, getattr(other, name))
    elif isinstance(one, dict):
        assert isinstance(other, dict)
        assert list(one) == list(other)
        for key, value in one.items():
            assert_same(value, other[key])
    elif isinstance(one, list):
        assert isinstance(other, list)
        for a, b in zip(one, other, strict=True):
            assert_same(vars(a) if hasattr(a, "word") else a, vars(b) if hasattr(b, "word") else b)
    else:
        assert one == other


@pytest.mark.parametrize("graph", [COMPARES, SEVERAL], ids=["comparisons", "several objects"])
@pytest.mark.parametrize("prefixes", [True, False])
@pytest.mark.parametrize("hops", [2, 3])
def test_a_data_set_is_read_back_as_it_was(tmp_path: Path, graph: Graph, prefixes: bool, hops: int) -> None:
    made = data_of(graph, prefixes=prefixes, hops=hops)
    sha256 = save_dataset(tmp_path / "dataset", made)
    back = read_dataset(tmp_path / "dataset")
    assert_same(made, back)
    assert content_hash(back) == sha256 == content_hash(made)


def test_any_other_row_query_or_answer_has_another_hash() -> None:
    made = data_of(SEVERAL)
    cells, ii = made.compositions.cells, made.test[2]["II"]
    other = replace(ii, answers=(ii.answers + 1) % 25)
    changed = replace(made.compositions, cells={**cells, "test": {**cells["test"], 2: {**made.test[2], "II": other}}})
    variants = [
        replace(made, rows=made.rows.where(np.arange(len(made.rows))[::-1])),
        replace(made, compositions=changed),
        replace(made, objects=made.objects[1:]),
    ]
    assert len({content_hash(variant) for variant in (made, *variants)}) == 4


def test_a_file_that_was_changed_is_found_by_the_hash(tmp_path: Path) -> None:
    save_dataset(tmp_path / "one", data_of(SEVERAL))
    save_dataset(tmp_path / "other", data_of(random_graph(entities=25, relations=6, degree=4, holdout=0.2, seed=5)))
    (tmp_path / "one" / "queries.parquet").write_bytes((tmp_path / "other" / "queries.parquet").read_bytes())
    with pytest.raises(InputError, match="is damaged"):
        read_dataset(tmp_path / "one")


@pytest.mark.parametrize("name", ["dataset.json", "facts.parquet", "rows.parquet", "queries.parquet"])
def test_half_a_file_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    save_dataset(tmp_path / "dataset", data_of(SEVERAL))
    whole = (tmp_path / "dataset" / name).read_bytes()
    (tmp_path / "dataset" / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"damaged.*--force") as error:
        read_dataset(tmp_path / "dataset")
    assert "\n" not in str(error.value)


def test_a_run_without_a_data_set_says_that_an_older_version_made_it(mini_graph: Path, tmp_path: Path) -> None:
    run = train(mini_graph, tmp_path / "run", settings=ran(preset("toy"), budget=Budget(steps=3), preset="toy"))
    for file in (run.path / DATASET).iterdir():
        file.unlink()
    with pytest.raises(InputError, match="older grokhop"):
        evaluate(run.path)


def test_no_stage_composes_again_what_the_run_holds(
    mini_graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that would compose other queries evaluates a run on its own."""
    settings = preset("toy")
    run = train(mini_graph, tmp_path / "run", settings=ran(settings, budget=Budget(steps=3), preset="toy"))
    before = evaluate(run.path).cells

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("composed again")

    monkeypatch.setattr(dataset_stage, "compose", refuse)
    assert evaluate(run.path).cells == before
    assert "bridge_named" in explain(run.path).to_dict()
    graph = Run.read(run.path).graph
    head, relation, _ = graph.head[0], graph.relation[0], graph.tail[0]
    assert ask(run.path, f"{graph.entities[head].label} / {graph.relations[relation]}").hops
    budget = Budget(steps=3)
    train(mini_graph, tmp_path / "run", settings=ran(settings, budget=budget, seeds=2, preset="toy"), resume=True)


def test_a_sweep_composes_each_cell_once(mini_graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    composed = []

    def counted(*args: object, **more: object) -> Compositions:
        composed.append(more["phi"])
        return compose(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(dataset_stage, "compose", counted)
    sweep(mini_graph, tmp_path / "sweep", phis=[1, 2], presets=["toy"], seeds=2, budget="3 steps", jobs=1)
    assert composed == [1.0, 2.0]


# The certificate over encoded rows.


def with_row(batch: TokenBatch, tokens: list[int], targets: list[int]) -> TokenBatch:
    """The rows and one more, of two hops."""
    return TokenBatch(
        tokens=np.vstack([batch.tokens, tokens]),
        read_at=np.vstack([batch.read_at, [0, 1, 2]]).astype(np.int8),
        targets=np.vstack([batch.targets, targets]),
    )


@pytest.mark.parametrize("held_out_hop", [0, 1])
def test_an_encoded_row_with_a_held_out_fact_is_refused(held_out_hop: int) -> None:
    graph, made = SEVERAL, compose(SEVERAL)
    rows = TaskDataset.of(graph, made).rows
    held_out = graph.part != Split.TRAIN
    one, other = next(
        (i, j)
        for i in range(len(graph))
        for j in range(len(graph))
        if graph.tail[i] == graph.head[j] and [held_out[i], held_out[j]] == [held_out_hop == 0, held_out_hop == 1]
    )
    shift = len(graph.entities)
    tokens = [int(graph.head[one]), int(graph.relation[one]) + shift, int(graph.relation[other]) + shift]
    spoiled = with_row(rows, tokens, [NO_TARGET, int(graph.tail[one]), int(graph.tail[other])])
    assert check_rows(graph, rows, cells=made.cells, facts=made.facts) == {"leak_checked_rows": len(rows)}
    with pytest.raises(InputError, match="1 held-out facts"):
        check_rows(graph, spoiled, cells={}, facts=made.facts)


def test_an_encoded_row_of_a_tested_query_is_refused() -> None:
    graph, made = SEVERAL, compose(SEVERAL)
    rows, asked = TaskDataset.of(graph, made).rows, made.cells["test"][2]["II"]
    head, (first, second) = int(asked.head[0]), asked.relations[0].tolist()
    bridge = next(
        int(t)
        for h, r, t in zip(graph.head, graph.relation, graph.tail, strict=True)
        if (h, r) == (head, first) and ((graph.head == t) & (graph.relation == second)).any()
    )
    shift = len(graph.entities)
    spoiled = with_row(rows, [head, first + shift, second + shift], [NO_TARGET, bridge, int(asked.answers[0])])
    with pytest.raises(InputError, match="1 tested queries"):
        check_rows(graph, spoiled, cells=made.cells, facts=made.facts)


def test_building_a_data_set_says_how_many_rows_were_checked() -> None:
    made = build_dataset(SEVERAL, preset("loop").task)
    assert made.counts["leak_checked_rows"] == len(made.rows) > 0
