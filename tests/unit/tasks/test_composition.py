"""Paths are those that enumeration finds, and every query is trained or tested or neither, never both."""

from collections import Counter, defaultdict
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from grokhop.core.errors import InputError
from grokhop.graph.graph import Graph, Question, Split
from grokhop.graph.paths import NO_FACT, PathIndex, Queries
from grokhop.tasks.composition import Compositions, cell_name, cell_names, compose
from tests.graphs import (
    Query,
    answers_by_force,
    answers_of,
    built,
    parted,
    parted_graphs,
    paths_by_force,
    query_of,
    random_graph,
    rows_of,
    triples,
)

EVERYTHING = 10**6


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def small(seed: int = 0, *, tails: int = 1, entities: int = 25) -> Graph:
    return random_graph(entities=entities, relations=5, degree=4, holdout=0.2, tails=tails, seed=seed)


def chains_of(made: Compositions) -> list[tuple[int, ...]]:
    return [tuple(fact for fact in row if fact != NO_FACT) for row in made.chains.tolist()]


def pieces_of(graph: Graph, made: Compositions) -> set[Query]:
    """Every query of two hops or more that a training row holds, at its beginning or further on."""
    return {
        query_of(graph, chain[start:stop])
        for chain in chains_of(made)
        for start in range(len(chain))
        for stop in range(start + 2, len(chain) + 1)
    }


def queries_of(made: Compositions, part: str) -> list[tuple[int, str, Query]]:
    return [
        (hops, cell, query)
        for hops, by_cell in made.cells[part].items()
        for cell, queries in by_cell.items()
        for query in rows_of(queries)
    ]


def parts_met(graph: Graph, query: Query) -> list[set[int]]:
    """For each hop the parts of all facts that any walk along the query meets there."""
    reached, parts = {query[0]}, []
    for wanted in query[1:]:
        facts = [i for i, (h, r, _) in enumerate(triples(graph)) if h in reached and r == wanted]
        parts.append({int(graph.part[i]) for i in facts})
        reached = {int(graph.tail[i]) for i in facts}
    return parts


# Paths.


@given(parted_graphs(), st.integers(2, 4))
@hypothesis_settings(max_examples=60)
def test_paths_are_those_that_enumeration_finds_for_every_pattern_of_parts(graph: Graph, hops: int) -> None:
    trainable = graph.part == Split.TRAIN
    for pattern in product((trainable, ~trainable), repeat=hops):
        found = PathIndex(graph).paths(pattern, limit=EVERYTHING, rng=rng()).tolist()
        assert len(found) == len(set(map(tuple, found)))
        assert set(map(tuple, found)) == paths_by_force(graph, pattern)


@given(parted_graphs(), st.integers(2, 4), st.integers(1, 20))
def test_a_sample_of_paths_holds_true_paths_once_each(graph: Graph, hops: int, limit: int) -> None:
    masks = [np.ones(len(graph), bool)] * hops
    found = [tuple(path) for path in PathIndex(graph).paths(masks, limit=limit, rng=rng()).tolist()]
    whole = paths_by_force(graph, masks)
    assert set(found) <= whole
    assert len(found) == len(set(found)) <= limit
    assert found or not whole


@pytest.mark.parametrize("hops", [2, 3])
def test_a_sample_of_paths_is_uniform_though_the_graph_has_a_hub(hops: int) -> None:
    spokes = [("a", "r", "hub"), *(("hub", f"s{i}", "abc"[i % 3]) for i in range(7))]
    graph = built([*spokes, ("b", "r", "c"), ("c", "r", "b"), ("b", "s", "a")])
    chaining, generator = PathIndex(graph), rng()
    masks = [np.arange(len(graph)) != 3] * hops
    drawn = Counter(tuple(chaining.paths(masks, limit=1, rng=generator)[0].tolist()) for _ in range(6000))
    whole = paths_by_force(graph, masks)
    assert set(drawn) == whole
    assert chisquare([drawn[path] for path in whole]).pvalue > 0.001


def test_a_draw_at_the_very_end_of_its_range_still_continues_the_path() -> None:
    """With many paths, low + 0.999... * (high - low) rounds up to high, which belongs to the next entity."""

    class Highest(np.random.Generator):
        def random(self, *args: Any, **kwargs: Any) -> Any:
            return np.nextafter(np.ones(*args, **kwargs), 0)

    graph = built((f"e{i}", "r", f"e{(i + 1) % 50}") for i in range(50))
    paths = PathIndex(graph).paths([np.ones(50, bool)] * 3, limit=40, rng=Highest(np.random.PCG64(0)))
    assert (graph.tail[paths[:, :-1]] == graph.head[paths[:, 1:]]).all()


# Queries and their answers.


@given(parted_graphs(), st.integers(1, 3))
def test_a_query_is_right_with_the_end_of_any_of_its_paths_and_with_nothing_else(graph: Graph, hops: int) -> None:
    whole = paths_by_force(graph, [np.ones(len(graph), bool)] * hops)
    paths = np.array(sorted(whole), np.int64).reshape(-1, hops)
    queries, _ = PathIndex(graph).queries(paths)
    asked = rows_of(queries)
    assert set(asked) == {query_of(graph, path) for path in whole}
    assert len(asked) == len(set(asked))
    expected = [answers_by_force(graph, query[0], query[1:]) for query in asked]
    assert answers_of(queries) == expected or not asked
    for entity in range(len(graph.entities) + 2):
        right = queries.are_right(np.full(len(queries), entity))
        assert right.tolist() == [entity in answers for answers in expected]


def test_answers_keep_the_order_of_the_queries_asked_and_may_be_none() -> None:
    graph = built([("a", "r", "b"), ("b", "s", "c"), ("b", "s", "d"), ("d", "r", "a")])
    head, relations = np.array([3, 0, 2]), np.array([[0, 0], [0, 1], [0, 0]])
    queries = PathIndex(graph).answers(head, relations)
    assert rows_of(queries) == [(3, 0, 0), (0, 0, 1), (2, 0, 0)]
    assert answers_of(queries) == [{1}, {2, 3}, set()]
    assert queries.are_right(np.array([1, 3, 0])).tolist() == [True, True, False]


@given(st.lists(st.lists(st.integers(0, 9), max_size=3, unique=True), min_size=1, max_size=8), st.data())
def test_chosen_queries_keep_their_answers(answers: list[list[int]], data: st.DataObject) -> None:
    n = len(answers)
    queries = Queries(
        head=np.arange(n),
        relations=np.zeros((n, 2), np.int64),
        answers=np.array([a for some in answers for a in sorted(some)], np.int64),
        offsets=np.cumsum([0, *map(len, answers)]),
    )
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    for choice in (keep, np.flatnonzero(keep)):
        chosen = queries.where(choice)
        assert chosen.head.tolist() == np.flatnonzero(keep).tolist()
        assert [chosen.answers[i:j].tolist() for i, j in zip(chosen.offsets, chosen.offsets[1:], strict=False)] == [
            sorted(some) for some, kept in zip(answers, keep, strict=True) if kept
        ]


def test_a_cell_is_named_by_its_hops() -> None:
    assert cell_names(2) == ["II", "IO", "OI", "OO"]
    assert cell_names(3) == ["0", "1", "2", "3"]
    assert cell_name([True, False]) == "OI"
    assert cell_name([True, False, True]) == "2"


# What is trained and what is asked.


def test_a_query_with_a_trainable_and_a_held_out_road_is_in_no_cell() -> None:
    """From a, r leads to b and c; s goes on from both, from c as a held-out fact."""
    roads = [("a", "r", "b"), ("a", "r", "c"), ("b", "s", "d"), ("c", "s", "e")]
    pure = [("f", "r", "c"), ("d", "r", "b"), ("e", "r", "a")]
    graph = parted(built([*roads, *pure]), {("c", "s"): Split.TEST})
    made = compose(graph)
    id_of = {entity.label: i for i, entity in enumerate(graph.entities)}
    asked = {query for part in made.cells for hops, _, query in queries_of(made, part) if hops == 2}
    assert (id_of["f"], 0, 1) in asked
    assert (id_of["a"], 0, 1) not in asked


@pytest.mark.parametrize(("seed", "tails"), [(0, 1), (1, 1), (2, 2), (3, 2), (4, 3)])
def test_two_hop_cells_with_held_out_facts_are_those_that_enumeration_finds(seed: int, tails: int) -> None:
    graph = small(seed, tails=tails)
    whole = paths_by_force(graph, [np.ones(len(graph), bool)] * 2)
    roads = defaultdict(set)
    for path in whole:
        roads[query_of(graph, path)].add(tuple(graph.part[list(path)].tolist()))
    for part, name in ((Split.VALIDATION, "validation"), (Split.TEST, "test")):
        cells = compose(graph, cell_limit=EVERYTHING).cells[name][2]
        patterns = {"IO": (0, part), "OI": (part, 0), "OO": (part, part)}
        for cell, pattern in patterns.items():
            expected = {query for query, found in roads.items() if found == {pattern}}
            assert sorted(rows_of(cells[cell])) == sorted(expected)


@pytest.mark.parametrize(("seed", "tails"), [(0, 1), (1, 2)])
@pytest.mark.parametrize("hops", [2, 3])
def test_every_tested_query_meets_at_each_hop_facts_of_the_one_part_its_cell_says(
    seed: int, tails: int, hops: int
) -> None:
    graph = small(seed, tails=tails)
    made = compose(graph, hops=hops, cell_limit=100)
    for part in (Split.VALIDATION, Split.TEST):
        asked = queries_of(made, part.name.lower())
        assert {k for k, _, _ in asked} == set(range(2, hops + 2))
        for _, cell, query in asked:
            met = parts_met(graph, query)
            assert met == [{next(iter(parts))} for parts in met]
            assert all(parts <= {Split.TRAIN, part} for parts in met)
            assert cell_name([parts == {part} for parts in met]) == cell


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("hops", [2, 3])
def test_a_query_over_trainable_facts_alone_is_either_trained_or_tested(seed: int, hops: int) -> None:
    graph = small(seed, tails=1 + seed % 2)
    made = compose(graph, hops=hops, cell_limit=EVERYTHING)
    trained = pieces_of(graph, made)
    held_out = {query for part in made.cells for _, cell, query in queries_of(made, part) if cell in ("II", "0")}
    assert not trained & held_out
    whole = {
        query_of(graph, path)
        for k in range(2, hops + 2)
        for path in paths_by_force(graph, [graph.part == Split.TRAIN] * k)
    }
    pure = {query for query in whole if all(parts == {Split.TRAIN} for parts in parts_met(graph, query))}
    of_trained_length = {query for query in held_out if len(query) <= hops + 1}
    assert of_trained_length <= pure
    two_hops = {query for query in pure if len(query) == 3}
    assert two_hops <= trained | held_out
    assert {query for query in pure if len(query) == hops + 2} <= held_out
    assert len(of_trained_length & two_hops) / len(two_hops) == pytest.approx(0.1, abs=0.06)


@pytest.mark.parametrize("hops", [2, 3])
def test_validation_and_test_share_no_query(hops: int) -> None:
    made = compose(small(entities=60), hops=hops)
    validation, test = ({query for _, _, query in queries_of(made, part)} for part in ("validation", "test"))
    assert len(validation) > 100
    assert not validation & test


def test_cells_hold_no_more_than_their_limit_and_validation_a_quarter_of_it() -> None:
    made = compose(small(entities=60), cell_limit=40)
    sizes = {part: {len(q) for by in made.cells[part].values() for q in by.values()} for part in made.cells}
    assert max(sizes["test"]) == 40
    assert max(sizes["validation"]) == 10


@pytest.mark.parametrize("limit", [200, EVERYTHING])
def test_the_same_seed_composes_the_same(limit: int) -> None:
    one, two = (compose(small(), hops=3, limit=limit, cell_limit=20, seed=5) for _ in range(2))
    np.testing.assert_array_equal(one.chains, two.chains)
    np.testing.assert_array_equal(one.atomic, two.atomic)
    assert one.counts == two.counts
    assert [queries_of(one, part) for part in one.cells] == [queries_of(two, part) for part in two.cells]


def test_made_facts_move_no_held_out_query_into_training() -> None:
    """Facts of new pairs; another object for a pair would open another road to some queries."""
    graph = small()
    held_out = {query for part in ("validation", "test") for _, _, query in queries_of(compose(graph), part)}
    known, entities = set(graph.pair.tolist()), len(graph.entities)
    new = [(h, r, (h * r) % entities) for h in range(entities) for r in range(5) if h * 5 + r not in known]
    larger = graph.extended(new, source="made")
    made = compose(larger)
    assert made.counts["paths"] > 1.2 * compose(graph).counts["paths"]
    assert not pieces_of(larger, made) & held_out


def test_another_object_for_a_trainable_pair_moves_no_query_held_out_by_hash_into_training() -> None:
    graph = small()
    cells = [compose(graph).cells[part][2]["II"] for part in ("validation", "test")]
    used = set(triples(graph))
    wrong = {(h, r, (t + 1) % len(graph.entities)) for h, r, t in triples(graph.trainable)} - used
    larger = graph.extended(sorted(wrong), source="made")
    made = compose(larger)
    assert made.counts["paths"] > 2 * compose(graph).counts["paths"]
    assert not pieces_of(larger, made) & {query for cell in cells for query in rows_of(cell)}


def test_a_made_fact_of_a_held_out_pair_is_refused() -> None:
    graph = small()
    head, relation, tail = next(f for f, part in zip(triples(graph), graph.part, strict=True) if part)
    with pytest.raises(InputError, match="held out"):
        graph.extended([(head, relation, (tail + 1) % len(graph.entities))], source="made")


def test_a_trainable_fact_that_shares_its_pair_with_a_held_out_one_is_refused_as_leakage() -> None:
    graph = small()
    held_out = int(np.flatnonzero(graph.part)[0])
    head, relation = (np.append(column, column[held_out]) for column in (graph.head, graph.relation))
    tail = np.append(graph.tail, (graph.tail[held_out] + 1) % len(graph.entities)).astype(np.int32)
    part, source = (np.append(column, np.zeros(1, column.dtype)) for column in (graph.part, graph.source))
    split = replace(graph, head=head, relation=relation, tail=tail, part=part, source=source)
    with pytest.raises(InputError, match="leakage"):
        compose(split)


def test_a_question_is_neither_trained_nor_in_a_cell() -> None:
    graph = small()
    facts = triples(graph)
    paths = sorted(paths_by_force(graph, [graph.part == Split.TRAIN] * 2))[::9]
    questions = [
        Question(id=str(i), type="compositional", text="?", answer="!", facts=tuple(facts[f] for f in path))
        for i, path in enumerate(paths)
    ]
    made = compose(replace(graph, questions=tuple(questions)), hops=3)
    asked = {query_of(graph, path) for path in paths}
    assert not asked & pieces_of(graph, made)
    assert not asked & {query for part in made.cells for _, _, query in queries_of(made, part)}


# Rows of up to three hops.


@pytest.mark.parametrize("seed", range(3))
def test_rows_of_three_hops_supervise_each_allowed_path_once(seed: int) -> None:
    """Each path that may be trained is a row or the beginning of one, and no row begins another."""
    graph = small(seed)
    made = compose(graph, hops=3, cell_limit=EVERYTHING)
    chains = chains_of(made)
    beginnings = {chain[:k] for chain in chains for k in range(2, len(chain))}
    assert len(chains) == len(set(chains))
    assert not beginnings & set(chains)
    held_out = {query for part in made.cells for hops, _, query in queries_of(made, part) if hops < 4}
    for k in (2, 3):
        for path in paths_by_force(graph, [graph.part == Split.TRAIN] * k):
            parts = [query_of(graph, path[i:j]) for i in range(k) for j in range(i + 2, k + 1)]
            trained = path in beginnings or path in chains
            assert trained == (not held_out & set(parts))


def test_a_fact_is_trained_alone_when_it_begins_no_chain() -> None:
    graph = small()
    made = compose(graph)
    begins = {chain[0] for chain in chains_of(made)}
    assert sorted({*begins, *made.atomic.tolist()}) == list(range(len(graph)))
    assert not begins & set(made.atomic.tolist())
    assert set(np.flatnonzero(graph.part != Split.TRAIN).tolist()) <= set(made.atomic.tolist())


def test_a_graph_without_longer_paths_trains_the_shorter_ones() -> None:
    graph = built([(f"a{i}", "r", f"b{i}") for i in range(20)] + [(f"b{i}", "s", f"c{i}") for i in range(20)])
    made = compose(graph, hops=3)
    assert made.chains.shape[1] == 3
    assert {len(chain) for chain in chains_of(made)} == {2}


# What cannot be composed.


def asked_chain() -> Graph:
    graph = built([("a", "r", "b"), ("b", "s", "c")])
    question = Question(id="q", type="compositional", text="?", answer="c", facts=tuple(triples(graph)))
    return replace(graph, questions=(question,))


@pytest.mark.parametrize(
    "graph",
    [
        built([("a", "r", "b"), ("c", "r", "d")]),
        parted(built([("a", "r", "b"), ("b", "s", "c")]), {("b", "s"): Split.TEST}),
        asked_chain(),
    ],
    ids=["no path", "a path over a held-out fact", "a path that a question asks"],
)
@pytest.mark.parametrize("hops", [2, 3])
def test_a_graph_without_trainable_compositions_is_refused_in_one_line(graph: Graph, hops: int) -> None:
    with pytest.raises(InputError, match="no compositions") as caught:
        compose(graph, hops=hops)
    assert "\n" not in str(caught.value)
