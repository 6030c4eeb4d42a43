"""Rows of tokens say what the facts and queries say, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
from graphs import parted_graphs, paths_by_force, random_graph, rows_of, triples
from hypothesis import given
from hypothesis import strategies as st

from grokhop.chains import NO_FACT, Chaining
from grokhop.encode import GIVEN, NEVER_DUE, NO_TARGET, Vocabulary, encode_paths, encode_queries
from grokhop.graph import Graph

GRAPH = random_graph(entities=12, relations=5, degree=3, holdout=0.2)


def some_paths(graph: Graph, hops: int, width: int) -> list[list[int]]:
    """Paths of 1 to `hops` hops, padded to `width`."""
    everything = np.ones(len(graph), bool)
    paths = [path for k in range(1, hops + 1) for path in sorted(paths_by_force(graph, [everything] * k))]
    return [[*path, *[NO_FACT] * (width - len(path))] for path in paths]


def test_each_entity_and_each_relation_is_one_token_and_nothing_else_is() -> None:
    vocabulary = Vocabulary.of(GRAPH)
    assert (vocabulary.entities, vocabulary.relations) == (len(GRAPH.entities), len(GRAPH.relations))
    assert vocabulary.size == 12 + 5
    used = set(encode_paths(GRAPH, np.arange(len(GRAPH))[:, None]).tokens.flatten().tolist())
    assert used == set(range(vocabulary.size))


@given(parted_graphs(), st.integers(1, 3))
def test_rows_of_paths_decode_back_to_their_facts(graph: Graph, hops: int) -> None:
    paths = some_paths(graph, hops, width=3)
    rows = encode_paths(graph, np.array(paths))
    for path, tokens, due, targets in zip(
        paths, rows.tokens.tolist(), rows.due.tolist(), rows.targets.tolist(), strict=True
    ):
        facts = [triples(graph)[fact] for fact in path if fact != NO_FACT]
        n = len(facts)
        assert tokens[0] == facts[0][0]
        assert [token - len(graph.entities) for token in tokens[1 : n + 1]] == [r for _, r, _ in facts]
        assert targets == [NO_TARGET, *(tail for _, _, tail in facts), *[NO_TARGET] * (3 - n)]
        assert due == [GIVEN, *range(1, n + 1), *[NEVER_DUE] * (3 - n)]


def test_padding_is_never_due_and_has_no_target() -> None:
    rows = encode_paths(GRAPH, np.array([[0, NO_FACT, NO_FACT], [1, NO_FACT, NO_FACT]]))
    assert rows.due.tolist() == [[GIVEN, 1, NEVER_DUE, NEVER_DUE]] * 2
    assert (rows.targets[:, 2:] == NO_TARGET).all()
    assert len(rows) == 2


def test_every_position_before_the_padding_has_its_own_answer_and_every_answer_is_an_entity() -> None:
    rows = encode_paths(GRAPH, np.array(some_paths(GRAPH, 3, width=3)))
    np.testing.assert_array_equal(rows.due > GIVEN, rows.targets != NO_TARGET)
    assert rows.targets.max() < len(GRAPH.entities)
    assert (rows.tokens >= 0).all()


@pytest.mark.parametrize("hops", [1, 2, 3])
def test_rows_of_queries_decode_back_and_have_no_targets(hops: int) -> None:
    everything = np.ones(len(GRAPH), bool)
    paths = np.array(sorted(paths_by_force(GRAPH, [everything] * hops)))
    queries, _ = Chaining(GRAPH).queries(paths)
    rows = encode_queries(Vocabulary.of(GRAPH), queries)
    decoded = np.column_stack([rows.tokens[:, 0], rows.tokens[:, 1:] - len(GRAPH.entities)])
    assert [tuple(row) for row in decoded.tolist()] == rows_of(queries)
    assert rows.due.tolist() == [[GIVEN, *range(1, hops + 1)]] * len(queries)
    assert (rows.targets == NO_TARGET).all()


def test_a_path_and_its_query_are_one_row_but_for_the_targets() -> None:
    path = np.array([min(paths_by_force(GRAPH, [np.ones(len(GRAPH), bool)] * 2))])
    trained = encode_paths(GRAPH, path)
    asked = encode_queries(Vocabulary.of(GRAPH), Chaining(GRAPH).queries(path)[0])
    without_targets = replace(trained, targets=asked.targets)
    for name in ("tokens", "due", "targets"):
        np.testing.assert_array_equal(getattr(without_targets, name), getattr(asked, name), strict=True)
