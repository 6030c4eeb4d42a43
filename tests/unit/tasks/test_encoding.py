"""Rows of tokens say what the facts and queries say, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokhop.graph.graph import Graph
from grokhop.graph.paths import NO_FACT, PathIndex
from grokhop.tasks.encoding import (
    GIVEN,
    NEVER_DUE,
    NO_TARGET,
    Branches,
    TokenBatch,
    carried,
    encode_comparisons,
    encode_operands,
    encode_paths,
    encode_queries,
    stack,
)
from grokhop.tasks.vocabulary import Vocabulary
from tests.graphs import parted_graphs, paths_by_force, random_graph, rows_of, triples

GRAPH = random_graph(entities=12, relations=5, degree=3, holdout=0.2)


def some_paths(graph: Graph, hops: int, width: int) -> list[list[int]]:
    """Paths of 1 to `hops` hops, padded to `width`."""
    everything = np.ones(len(graph), bool)
    paths = [path for k in range(1, hops + 1) for path in sorted(paths_by_force(graph, [everything] * k))]
    return [[*path, *[NO_FACT] * (width - len(path))] for path in paths]


def test_each_entity_and_each_relation_is_one_token_and_nothing_else_is() -> None:
    vocabulary = Vocabulary.of(GRAPH)
    assert (vocabulary.entities, vocabulary.relations) == (len(GRAPH.entities), len(GRAPH.relations))
    assert vocabulary.relation_token(0) == len(GRAPH.entities)
    assert vocabulary.relation_token(np.arange(5)).tolist() == list(range(len(GRAPH.entities), vocabulary.size))
    assert vocabulary.size == 12 + 5
    used = set(encode_paths(GRAPH, np.arange(len(GRAPH))[:, None]).tokens.flatten().tolist())
    assert used == set(range(vocabulary.size))


@given(parted_graphs(), st.integers(1, 3))
def test_rows_of_paths_decode_back_to_their_facts(graph: Graph, hops: int) -> None:
    paths = some_paths(graph, hops, width=3)
    rows = encode_paths(graph, np.array(paths))
    for path, tokens, read_at, targets in zip(
        paths, rows.tokens.tolist(), rows.read_at.tolist(), rows.targets.tolist(), strict=True
    ):
        facts = [triples(graph)[fact] for fact in path if fact != NO_FACT]
        n = len(facts)
        assert tokens[0] == facts[0][0]
        assert [token - len(graph.entities) for token in tokens[1 : n + 1]] == [r for _, r, _ in facts]
        assert targets == [NO_TARGET, *(tail for _, _, tail in facts), *[NO_TARGET] * (3 - n)]
        assert read_at == [GIVEN, *range(1, n + 1), *[NEVER_DUE] * (3 - n)]


def test_padding_is_never_due_and_has_no_target() -> None:
    rows = encode_paths(GRAPH, np.array([[0, NO_FACT, NO_FACT], [1, NO_FACT, NO_FACT]]))
    assert rows.read_at.tolist() == [[GIVEN, 1, NEVER_DUE, NEVER_DUE]] * 2
    assert (rows.targets[:, 2:] == NO_TARGET).all()
    assert len(rows) == 2


def test_every_position_before_the_padding_has_its_own_answer_and_every_answer_is_an_entity() -> None:
    rows = encode_paths(GRAPH, np.array(some_paths(GRAPH, 3, width=3)))
    np.testing.assert_array_equal(rows.read_at > GIVEN, rows.targets != NO_TARGET)
    assert rows.targets.max() < len(GRAPH.entities)
    assert (rows.tokens >= 0).all()


@pytest.mark.parametrize("hops", [1, 2, 3])
def test_rows_of_queries_decode_back_and_have_no_targets(hops: int) -> None:
    everything = np.ones(len(GRAPH), bool)
    paths = np.array(sorted(paths_by_force(GRAPH, [everything] * hops)))
    queries, _ = PathIndex(GRAPH).queries(paths)
    rows = encode_queries(Vocabulary.of(GRAPH), queries)
    decoded = np.column_stack([rows.tokens[:, 0], rows.tokens[:, 1:] - len(GRAPH.entities)])
    assert [tuple(row) for row in decoded.tolist()] == rows_of(queries)
    assert rows.read_at.tolist() == [[GIVEN, *range(1, hops + 1)]] * len(queries)
    assert (rows.targets == NO_TARGET).all()


def test_a_path_and_its_query_are_one_row_but_for_the_targets() -> None:
    path = np.array([min(paths_by_force(GRAPH, [np.ones(len(GRAPH), bool)] * 2))])
    trained = encode_paths(GRAPH, path)
    asked = encode_queries(Vocabulary.of(GRAPH), PathIndex(GRAPH).queries(path)[0])
    without_targets = replace(trained, targets=asked.targets)
    for name in ("tokens", "read_at", "targets"):
        np.testing.assert_array_equal(getattr(without_targets, name), getattr(asked, name), strict=True)


# Comparisons.

OPERATOR = 90


def branches_of(*rows: tuple[int, tuple[int, ...], tuple[int, ...]]) -> Branches:
    """Head, relations and ends of each."""
    heads, relations, ends = zip(*rows, strict=True)
    return Branches(head=np.array(heads), relations=np.array(relations), ends=np.array(ends))


ONE = branches_of((1, (50, 51), (2, 3)), (4, (50, 51), (5, 6)))
OTHER = branches_of((7, (50, 51), (8, 9)), (10, (50, 51), (11, 12)))


def test_what_is_carried_is_told_from_padding_and_from_all_that_is_due() -> None:
    assert carried(1) < NEVER_DUE
    assert len({NEVER_DUE, *range(GIVEN, 9), *(carried(loop) for loop in range(1, 9))}) == 1 + 9 + 8


def test_a_comparison_is_two_branches_with_the_operator_behind_each() -> None:
    rows = encode_comparisons(ONE, OTHER, operator=OPERATOR, answers=np.array([20, 21]))
    assert rows.tokens.tolist() == [
        [1, 50, 51, OPERATOR, 7, 50, 51, OPERATOR],
        [4, 50, 51, OPERATOR, 10, 50, 51, OPERATOR],
    ]
    assert rows.read_at.tolist() == [[GIVEN, 1, 2, carried(3), GIVEN, 1, 2, 4]] * 2
    assert rows.targets.tolist() == [
        [NO_TARGET, 2, 3, NO_TARGET, NO_TARGET, 8, 9, 20],
        [NO_TARGET, 5, 6, NO_TARGET, NO_TARGET, 11, 12, 21],
    ]
    np.testing.assert_array_equal(rows.read_at > GIVEN, rows.targets != NO_TARGET)


def test_a_comparison_that_is_asked_has_no_answer() -> None:
    trained = encode_comparisons(ONE, OTHER, operator=OPERATOR, answers=np.array([20, 21]))
    asked = encode_comparisons(ONE, OTHER, operator=OPERATOR)
    np.testing.assert_array_equal(asked.tokens, trained.tokens)
    np.testing.assert_array_equal(asked.read_at, trained.read_at)
    np.testing.assert_array_equal(asked.targets[:, :-1], trained.targets[:, :-1])
    assert (asked.targets[:, -1] == NO_TARGET).all()


@pytest.mark.parametrize("before", [0, 1, 2])
def test_operands_are_named_at_the_places_where_branches_end(before: int) -> None:
    one, other = np.array([[1, 2, 3], [4, 5, 6]]), np.array([[7, 8, 9], [10, 11, 12]])
    one, other = one[:, 2 - before :], other[:, 2 - before :]
    rows = encode_operands(one, other, operator=OPERATOR, answers=np.array([20, 21]))
    assert rows.tokens.tolist() == [
        [*a, OPERATOR, *b, OPERATOR] for a, b in zip(one.tolist(), other.tolist(), strict=True)
    ]
    named = [GIVEN] * (before + 1)
    assert rows.read_at.tolist() == [[*named, carried(1), *named, 2]] * 2
    untold = [NO_TARGET] * (2 * before + 3)
    assert rows.targets.tolist() == [[*untold, 20], [*untold, 21]]


def test_rows_of_several_lengths_are_padded_behind_their_last_token() -> None:
    short = encode_operands(np.array([[1]]), np.array([[2]]), operator=OPERATOR, answers=np.array([20]))
    long = encode_comparisons(ONE, OTHER, operator=OPERATOR, answers=np.array([20, 21]))
    rows = stack([short, long])
    assert rows.tokens.tolist() == [[1, OPERATOR, 2, OPERATOR, 0, 0, 0, 0], *long.tokens.tolist()]
    assert rows.read_at.tolist() == [[GIVEN, carried(1), GIVEN, 2, *[NEVER_DUE] * 4], *long.read_at.tolist()]
    assert rows.targets.tolist() == [[*[NO_TARGET] * 3, 20, *[NO_TARGET] * 4], *long.targets.tolist()]
    assert rows.read_at.dtype == np.int8
    assert len(stack([])) == 0


def test_the_last_place_that_is_due_is_found_before_padding_and_behind_what_is_carried() -> None:
    operands = encode_operands(np.array([[1]]), np.array([[2]]), operator=OPERATOR, answers=np.array([20]))
    comparisons = encode_comparisons(ONE, OTHER, operator=OPERATOR, answers=np.array([21, 22]))
    chain = TokenBatch(
        tokens=np.array([[1, 50, 51]]),
        read_at=np.array([[GIVEN, 1, 2]], np.int8),
        targets=np.array([[NO_TARGET, 2, 3]]),
    )
    carries_last = TokenBatch(
        tokens=np.array([[1, 50, 51]]),
        read_at=np.array([[GIVEN, 1, carried(2)]], np.int8),
        targets=np.array([[NO_TARGET, 9, NO_TARGET]]),
    )
    rows = stack([operands, comparisons, chain, carries_last])
    assert rows.last.tolist() == [3, 7, 7, 2, 1]
    assert rows.last_targets().tolist() == [20, 21, 22, 3, 9]


def test_distinct_rows_are_one_of_each_with_its_own_due_and_targets() -> None:
    comparisons = encode_comparisons(ONE, OTHER, operator=OPERATOR, answers=np.array([21, 22]))
    operands = encode_operands(np.array([[1]]), np.array([[2]]), operator=OPERATOR, answers=np.array([20]))
    rows = stack([comparisons, operands, comparisons, operands])
    found = rows.distinct()

    def as_set(some: TokenBatch) -> set[tuple[int, ...]]:
        return {tuple(row) for row in np.column_stack([some.tokens, some.read_at, some.targets]).tolist()}

    assert len(found) == 3
    assert as_set(found) == as_set(rows)
    assert len(stack([]).distinct()) == 0
