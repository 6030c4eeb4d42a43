"""Graphs drawn by chance are as published, follow from their seed alone, and can be composed and compared."""

import json
from collections import Counter
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from grokhop.cli.main import app
from grokhop.core.errors import InputError
from grokhop.datasets.ingest import ingest_synthetic
from grokhop.datasets.synthetic import MOST, Comparison, Composition, asked, draw
from grokhop.graph.graph import Graph, Split
from grokhop.graph.queries import LESS
from grokhop.graph.splits import VALIDATION_SHARE
from grokhop.language.parser import QuestionParser
from grokhop.phi.report import measure
from grokhop.tasks.comparison import Comparing, check_comparisons
from grokhop.tasks.composition import compose
from grokhop.tasks.dataset import worded
from grokhop.tasks.encoding import TokenBatch
from tests.graphs import paths_by_force, triples

SMALL = Composition(entities=40, relations=12, out_degree=6, holdout=0.1)
COMPARED = Comparison(entities=60, relations=3, values=9, holdout=0.2)
BOTH = pytest.mark.parametrize("settings", [SMALL, COMPARED], ids=["composition", "comparison"])
ANSWERS = {"first", "second", "equal"}


def with_seed(settings: Composition | Comparison, seed: int) -> Graph:
    return draw(type(settings)(**{**as_dict(settings), "seed": seed}))


def as_dict(settings: Composition | Comparison) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in type(settings).__dataclass_fields__}


def held_out(graph: Graph) -> set[tuple[int, int, int]]:
    return set(triples(graph.where(graph.part != Split.TRAIN)))


def comparisons(graph: Graph) -> tuple[Graph, Comparing, TokenBatch]:
    """The graph in words, and the rows that it trains."""
    made = compose(graph, required=False)
    words = worded(graph, compare=True)
    comparing = Comparing(words, tested=made.tested)
    return words, comparing, comparing.rows(Split.TRAIN, per_kind=300)


def read_back(graph: Graph, rows: TokenBatch) -> list[tuple[str, str, str, str, str]]:
    """Of each row `a r LESS b r LESS` the two heads, the two relations and the answer, as labels."""
    names = [*(entity.label for entity in graph.entities), *graph.relations]
    found = []
    for tokens, targets in zip(rows.tokens.tolist(), rows.targets.tolist(), strict=True):
        one, relation, operator, other, again, last = (names[token] for token in tokens)
        assert operator == last == LESS
        found.append((one, other, relation, again, names[targets[-1]]))
    return found


def test_a_composition_graph_has_the_published_sizes() -> None:
    graph = draw(Composition())
    counts = graph.counts()
    assert (counts.entities, counts.relations, counts.facts) == (2000, 200, 40_000)
    assert counts.held_out == 2000
    assert counts.questions == 0
    assert {entity.label for entity in graph.entities} == {f"e{i}" for i in range(2000)}
    assert set(graph.relations) == {f"r{i}" for i in range(200)}


def test_a_comparison_graph_has_the_published_sizes_with_as_many_held_out_of_each_relation() -> None:
    graph = draw(Comparison())
    counts = graph.counts()
    assert (counts.entities, counts.relations, counts.facts) == (1000 + 20, 20, 20_000)
    assert np.bincount(graph.relation[graph.part != Split.TRAIN]).tolist() == [100] * 20
    assert np.bincount(graph.head[graph.head < 1000]).tolist() == [20] * 1000
    assert {graph.entities[tail].label for tail in graph.tail.tolist()} == {str(i) for i in range(20)}


@BOTH
def test_the_same_seed_draws_the_same_graph_and_another_seed_another(settings: Composition | Comparison) -> None:
    graph, again, other = with_seed(settings, 3), with_seed(settings, 3), with_seed(settings, 4)
    assert triples(graph) == triples(again)
    assert graph.part.tolist() == again.part.tolist()
    assert graph.questions == again.questions
    assert triples(graph) != triples(other)
    assert held_out(graph) != held_out(other)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.123, 0.5, 0.9])
def test_exactly_the_share_that_was_asked_for_is_held_out(share: float) -> None:
    graph = draw(Composition(entities=50, relations=12, out_degree=6, holdout=share))
    assert len(held_out(graph)) == round(share * 300)


def test_what_is_held_out_is_divided_as_everywhere() -> None:
    for graph in (draw(Composition()), draw(Comparison())):
        counts = graph.counts()
        assert counts.held_out_validation + counts.held_out_test == counts.held_out
        assert counts.held_out_validation / counts.held_out == pytest.approx(VALIDATION_SHARE, abs=0.04)


def test_nothing_is_held_out_when_nothing_is_asked_for() -> None:
    assert not held_out(draw(Composition(entities=40, relations=12, out_degree=6, holdout=0)))
    graph = draw(Comparison(entities=10, relations=3, holdout=0))
    assert not held_out(graph)
    assert len(graph.questions) == 3


@BOTH
def test_another_share_leaves_the_facts_and_a_larger_one_holds_out_more(settings: Composition | Comparison) -> None:
    less, more = (draw(type(settings)(**{**as_dict(settings), "holdout": share})) for share in (0.2, 0.4))
    assert triples(less) == triples(more)
    assert held_out(less) < held_out(more)


def test_no_entity_has_a_relation_twice_and_each_has_as_many_as_asked_for() -> None:
    graph = draw(SMALL)
    assert max(Counter(graph.pair.tolist()).values()) == 1
    assert set(Counter(graph.head.tolist()).values()) == {6}
    full = draw(Composition(entities=20, relations=5, out_degree=5, holdout=0.1))
    assert set(Counter(full.relation.tolist()).values()) == {20}


def test_every_other_entity_may_be_the_tail_and_none_leads_back_to_itself() -> None:
    graph = draw(Composition(entities=5, relations=400, out_degree=400))
    found = Counter((head, tail) for head, _, tail in triples(graph))
    assert set(found) == {(head, tail) for head in range(5) for tail in range(5) if head != tail}
    assert min(found.values()) > 70  # of 100 that are expected
    assert [(h, t) for h, _, t in triples(draw(Composition(entities=2, relations=3, out_degree=1, holdout=0)))] == [
        (0, 1),
        (1, 0),
    ]


def test_phi_is_the_out_degree_and_what_counting_by_force_finds() -> None:
    graph = draw(SMALL)
    measured = measure(graph).to_dict()
    every = paths_by_force(graph, [np.ones(len(graph), bool)] * 2)
    left = paths_by_force(graph, [graph.part == Split.TRAIN] * 2)
    assert measured["phi"] == len(every) / len(graph) == 6
    assert measured["trainable"]["phi"] == len(left) / int((graph.part == Split.TRAIN).sum())


def test_no_held_out_fact_is_in_a_trained_chain() -> None:
    graph = draw(SMALL)
    made = compose(graph)
    facts = made.chains[made.chains >= 0]
    assert len(made.chains)
    assert set(graph.part[facts].tolist()) == {Split.TRAIN}
    assert {len(q) > 0 for q in made.cells["test"][2].values()} == {True}


def test_every_relation_of_a_comparison_graph_is_compared_by_order() -> None:
    graph = draw(COMPARED)
    words, comparing, rows = comparisons(graph)
    assert [(kind.relations, kind.operator) for kind in comparing.kinds] == [((i,), LESS) for i in range(3)]
    told = read_back(words, rows)
    assert Counter(relation for _, _, relation, _, _ in told).keys() == {"a0", "a1", "a2"}
    assert {answer for *_, answer in told} == ANSWERS
    assert check_comparisons(comparing, rows) == {"comparison_rows": len(rows)}


@pytest.mark.parametrize("part", Split)
def test_the_answer_of_every_comparison_follows_from_the_numbers_that_were_drawn(part: Split) -> None:
    graph = draw(COMPARED)
    names = [entity.label for entity in graph.entities]
    number = {(names[head], graph.relations[r]): int(names[tail]) for head, r, tail in triples(graph)}
    words, comparing, _ = comparisons(graph)
    told = read_back(words, comparing.rows(part, per_kind=300))
    assert told
    for one, other, relation, again, answer in told:
        assert relation == again
        a, b = number[one, relation], number[other, relation]
        assert answer == ("equal" if a == b else "first" if a < b else "second")


def test_no_held_out_fact_and_no_asked_pair_is_in_a_trained_comparison() -> None:
    graph = draw(COMPARED)
    names = [entity.label for entity in graph.entities]
    out = {(names[head], graph.relations[relation]) for head, relation, _ in held_out(graph)}
    asks = {(frozenset(names[fact[0]] for fact in q.facts), q.id) for q in graph.questions}
    words, _, rows = comparisons(graph)
    for one, other, relation, _, _ in read_back(words, rows):
        assert not out & {(one, relation), (other, relation)}
        assert (frozenset((one, other)), relation) not in asks


def test_the_questions_of_a_comparison_graph_are_understood_and_ask_facts_for_test() -> None:
    graph = draw(COMPARED)
    understander = QuestionParser(graph)
    part = dict(zip(triples(graph), graph.part.tolist(), strict=True))
    assert [question.id for question in graph.questions] == list(graph.relations)
    for question in graph.questions:
        query = understander.understand(question.text).query
        assert query.operator == LESS
        assert [(b.head, b.relations) for b in query.branches] == [(h, (r,)) for h, r, _ in question.facts]
        assert {part[fact] for fact in question.facts} == {Split.TEST}
        value = {graph.entities[h].label: int(graph.entities[t].label) for h, _, t in question.facts}
        assert question.answer == min(value, key=lambda name: value[name])
        assert len(set(value.values())) == 2


def test_a_question_about_values_of_which_all_are_alike_is_answered_with_equal() -> None:
    asks = [q for seed in range(20) for q in draw(Comparison(entities=2, relations=1, holdout=0, seed=seed)).questions]
    alike = [question.answer for question in asks if question.facts[0][2] == question.facts[1][2]]
    assert alike
    assert set(alike) == {"equal"}


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("composition", {"out_degree": 13, "relations": 12}, "--out-degree is 13.* the 12 relations at most once"),
        ("composition", {"out_degree": 0}, "--out-degree is 0: give 1 or more"),
        ("composition", {"entities": 1}, "--entities is 1: give 2 or more"),
        ("composition", {"relations": 0}, "--relations is 0: give 1 or more"),
        ("composition", {"relations": MOST + 1}, "--relations is 10,000,001: give 10,000,000 or fewer"),
        ("composition", {"entities": MOST}, "would have 200,000,000 facts"),
        ("composition", {"holdout": 1.0}, "--holdout is a share from 0 to below 1, not 1.0"),
        ("composition", {"holdout": -0.1}, "--holdout is a share"),
        ("composition", {"holdout": float("nan")}, "--holdout is a share"),
        ("composition", {"seed": -1}, "--seed is -1: give 0 or more"),
        ("composition", {"entities": 2, "out_degree": 1, "holdout": 0.1}, "the hold-out is empty"),
        ("composition", {"entities": 2, "out_degree": 1, "holdout": 0.9}, "every fact is held out"),
        ("composition", {"values": 3}, "--values is not for --kind composition: .* --kind comparison"),
        ("comparison", {"out_degree": 3}, "--out-degree is not for --kind comparison: .* --kind composition"),
        ("comparison", {"values": 1}, "--values is 1: give 2 or more"),
        ("comparison", {"holdout": 1.5}, "--holdout is a share"),
        ("comparison", {"entities": 3, "holdout": 0.5}, "--holdout 0.5 leaves 1 of 3 entities"),
        ("comparison", {"entities": 4, "holdout": 0.1}, "the hold-out is empty"),
        ("other", {}, "there is no kind 'other': choose composition or comparison"),
    ],
)
def test_a_graph_that_cannot_be_is_one_line_for_a_person_and_leaves_nothing(
    tmp_path: Path, kind: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        ingest_synthetic(tmp_path / "graph", kind=kind, **options)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_settings_that_are_left_out_are_as_published_and_none_can_be_changed_later() -> None:
    assert asked("composition", entities=None, seed=2) == Composition(seed=2)
    assert asked("comparison", values=5) == Comparison(values=5)
    with pytest.raises(FrozenInstanceError):
        SMALL.seed = 1  # type: ignore[misc]


def test_the_graph_folder_is_the_graph_and_its_manifest_says_how_it_was_drawn(tmp_path: Path) -> None:
    graph = ingest_synthetic(tmp_path / "graph", kind="comparison", entities=60, relations=3, holdout=0.2, seed=5)
    again = Graph.read(tmp_path / "graph")
    assert triples(again) == triples(graph)
    assert again.part.tolist() == graph.part.tolist()
    assert again.questions == graph.questions
    manifest = json.loads((tmp_path / "graph" / "manifest.json").read_text())
    numbers = {"entities": 60, "relations": 3, "values": 20, "holdout": 0.2, "seed": 5}
    assert manifest["settings"] == {"source": "synthetic", "kind": "comparison", **numbers}
    assert manifest["holdout"] == {"unit": "pair", "share": 0.2, "seed": 5}
    assert manifest["inputs"] == []


def test_the_command_draws_the_graph_that_the_function_draws(tmp_path: Path) -> None:
    words = ["--entities", "40", "--relations", "12", "--out-degree", "6", "--holdout", "0.1", "--seed", "7", "--json"]
    result = CliRunner().invoke(app, ["ingest", "synthetic", "-o", str(tmp_path / "graph"), *words])
    told = json.loads(result.stdout)
    assert (told["facts"], told["held_out"], told["by_source"]) == (240, 24, {"synthetic": 240})
    assert triples(Graph.read(tmp_path / "graph")) == triples(with_seed(SMALL, 7))
