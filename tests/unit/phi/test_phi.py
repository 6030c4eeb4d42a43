"""Phi against paths that were listed one by one, on real graphs, and at its edges."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grokhop.core.errors import InputError
from grokhop.datasets import triples, worldfacts
from grokhop.graph.graph import Graph, GraphBuilder, Split
from grokhop.graph.splits import hold_out
from grokhop.phi.report import PhiReport, measure

Fact = tuple[int, int, int]

facts_of_small_graphs = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=18, unique=True
)


def graph_of(facts: list[Fact]) -> Graph:
    builder = GraphBuilder(source="test")
    for head, relation, tail in facts:
        builder.fact(f"e{head}", f"r{relation}", f"e{tail}")
    return builder.build()


def listed_paths(facts: list[Fact], hops: int) -> list[tuple[Fact, ...]]:
    paths: list[tuple[Fact, ...]] = [(fact,) for fact in facts]
    for _ in range(hops - 1):
        paths = [(*path, fact) for path in paths for fact in facts if path[-1][2] == fact[0]]
    return paths


def test_a_report_is_read_as_it_was_written() -> None:
    report = measure(hold_out(worldfacts.read(), share=0.1))
    assert PhiReport.from_dict(report.to_dict()) == report


def row_of(measured: dict[str, Any], relation: str) -> dict[str, Any]:
    return next(row for row in measured["per_relation"] if row["relation"] == relation)


@pytest.mark.parametrize("hops", [2, 3, 4])
@settings(max_examples=60, deadline=None)
@given(facts=facts_of_small_graphs)
def test_every_count_equals_the_paths_listed_one_by_one(hops: int, facts: list[Fact]) -> None:
    measured, paths = measure(graph_of(facts), hops=hops).to_dict(), listed_paths(facts, hops)
    assert measured["paths"] == len(paths)
    assert measured["paths_no_return"] == sum(path[0][0] != path[-1][2] for path in paths)
    assert measured["phi"] == len(paths) / len(facts)
    first = Counter(path[0][1] for path in paths)
    last = Counter(path[-1][1] for path in paths)
    using = Counter(relation for path in paths for relation in {fact[1] for fact in path})
    for relation in {fact[1] for fact in facts}:
        of_relation = [fact for fact in facts if fact[1] == relation]
        row = row_of(measured, f"r{relation}")
        assert row["facts"] == len(of_relation)
        assert row["first_hop_paths"] == first[relation]
        assert row["last_hop_paths"] == last[relation]
        assert row["paths"] == using[relation]
        assert row["phi"] == using[relation] / len(of_relation)
        assert row["branching"] == len(of_relation) / len({fact[0] for fact in of_relation})
        assert row["never_bridge"] == (using[relation] == 0)


@pytest.mark.parametrize("hops", [2, 3, 4])
def test_closed_walks_are_the_same_when_counted_in_many_blocks(hops: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    facts = [(int(h), int(r), int(t)) for h, r, t in np.unique(rng.integers(0, (9, 3, 9), (60, 3)), axis=0)]
    in_one = measure(graph_of(facts), hops=hops).to_dict()
    monkeypatch.setattr("grokhop.phi.count._BLOCK_WALKS", 7)
    assert measure(graph_of(facts), hops=hops).to_dict() == in_one


def test_codex_s_has_the_known_number_of_paths(codex: Path) -> None:
    graph = triples.read([codex / f"{part}.txt" for part in ("train", "valid", "test")])
    measured = measure(graph).to_dict()
    assert (measured["facts"], measured["entities"], measured["relations"]) == (36543, 2034, 42)
    assert measured["paths"] == 847065
    assert measured["phi"] == pytest.approx(847065 / 36543)


def test_worldfacts_passes_without_augmentation() -> None:
    measured = measure(hold_out(worldfacts.read(), share=0.1)).to_dict()
    assert measured["trainable"]["passes"]
    assert measured["trainable"]["lemma_2_holds"]
    assert measured["trainable"]["failing"] == []
    assert measured["verdict"] == "All 22 relations reach phi 6.25 after hold-out: nothing needs to be added."


@given(facts=facts_of_small_graphs, seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_hold_out_changes_the_trainable_numbers_only(facts: list[Fact], seed: int) -> None:
    graph = graph_of(facts)
    part = np.random.default_rng(seed).integers(0, len(Split), len(graph)).astype(np.int8)
    held_out = replace(graph, part=part)
    before, after = measure(graph).to_dict(), measure(held_out).to_dict()
    assert {**after, "trainable": 0, "verdict": 0} == {**before, "trainable": 0, "verdict": 0}
    left = [fact for fact, p in zip(facts, part, strict=True) if p == Split.TRAIN]
    assert after["trainable"]["facts"] == len(left)
    assert after["trainable"]["paths"] == len(listed_paths(left, 2))
    assert after["denominator"] == "all facts"
    assert after["trainable"]["denominator"] == "trainable facts"


def test_a_relation_that_is_wholly_held_out_is_listed_and_fails() -> None:
    graph = graph_of([(0, 0, 1), (1, 1, 2)])
    row = row_of(measure(replace(graph, part=np.array([0, 2], np.int8)), target=0.5).to_dict()["trainable"], "r1")
    assert (row["facts"], row["phi"], row["branching"], row["passes"]) == (0, 0.0, 0.0, False)


def test_a_relation_in_no_path_is_named_never_bridge_and_fails() -> None:
    measured = measure(graph_of([(0, 0, 1), (1, 1, 2), (3, 2, 4)]), target=0.5).to_dict()
    assert [row["never_bridge"] for row in measured["per_relation"]] == [False, False, True]
    assert measured["failing"] == ["r2"]
    assert not measured["lemma_2_holds"]
    assert "1 in no path at all" in measured["verdict"]


def test_a_graph_without_paths_has_phi_zero_and_a_verdict_that_says_why() -> None:
    measured = measure(graph_of([(0, 0, 1), (2, 0, 3)])).to_dict()
    assert (measured["paths"], measured["phi"], measured["passes"]) == (0, 0.0, False)
    assert "no fact ends where another begins" in measured["verdict"]


def test_the_lemma_1_bound_holds_for_evenly_spread_degrees() -> None:
    ring = graph_of([(i, r, (i + r + 1) % 6) for i in range(6) for r in range(3)])
    measured = measure(ring, hops=3).to_dict()
    assert measured["branching"] == 3
    assert measured["phi"] == measured["lemma_1_bound"] == 9


@pytest.mark.parametrize(("settings_", "word"), [({"hops": 1}, "--hops"), ({"target": 0.0}, "--target")])
def test_a_wrong_setting_is_refused_by_name(settings_: dict[str, Any], word: str) -> None:
    with pytest.raises(InputError, match=word):
        measure(graph_of([(0, 0, 1)]), **settings_).to_dict()


def test_a_target_that_is_no_number_is_refused() -> None:
    with pytest.raises(InputError, match="--target"):
        measure(graph_of([(0, 0, 1)]), target=float("nan")).to_dict()


def test_an_empty_graph_is_refused() -> None:
    with pytest.raises(InputError, match="no facts"):
        measure(graph_of([(0, 0, 1)]).where(np.zeros(1, bool))).to_dict()


def test_more_paths_than_an_integer_holds_are_refused() -> None:
    dense = graph_of([(i, r, j) for i in range(6) for r in range(4) for j in range(6)])
    with pytest.raises(InputError, match="lower --hops"):
        measure(dense, hops=30).to_dict()
