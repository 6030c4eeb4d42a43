"""What is trained in which order: every chain once in an epoch, by the seed and the step alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from graphs import random_graph
from hypothesis import given
from hypothesis import strategies as st

from grokhop.chains import NO_FACT
from grokhop.compose import compose
from grokhop.encode import GIVEN, NEVER_DUE, NO_TARGET, encode_paths
from grokhop.lesson import MOST_ATOMIC_SHARE, Batches, Lesson, Shuffled

GRAPH = random_graph(entities=30, relations=6, degree=4, holdout=0.2)
MADE = compose(GRAPH)
LESSON = Lesson.of(GRAPH, MADE)


def test_the_rows_are_the_chains_and_behind_them_the_facts_on_their_own() -> None:
    chains = encode_paths(GRAPH, MADE.chains)
    assert LESSON.chains == len(chains)
    assert len(LESSON.rows) == len(chains) + len(MADE.atomic)
    np.testing.assert_array_equal(LESSON.rows.tokens[: LESSON.chains], chains.tokens)
    alone = LESSON.rows.targets[LESSON.chains :]
    np.testing.assert_array_equal(alone[:, 1], GRAPH.tail[MADE.atomic])
    assert (alone[:, 2:] == NO_TARGET).all()


def test_a_fact_on_its_own_is_looked_up_as_often_as_a_fact_in_chains_is_on_average() -> None:
    per_epoch = LESSON.chains / (1 - LESSON.atomic_share) * LESSON.atomic_share / len(MADE.atomic)
    in_chains = MADE.chains[MADE.chains != NO_FACT]
    assert per_epoch == pytest.approx(np.bincount(in_chains)[np.unique(in_chains)].mean())


def test_chains_keep_a_place_in_every_batch_however_few_they_are() -> None:
    few = replace(MADE, chains=MADE.chains[:3], atomic=np.arange(len(GRAPH)))
    assert Lesson.of(GRAPH, few).atomic_share == MOST_ATOMIC_SHARE
    assert Batches(Lesson.of(GRAPH, few), 20, seed=0).chain_rows == 2


def test_the_probe_asks_queries_of_training_rows_and_no_others() -> None:
    rows = {tuple(row) for row in LESSON.rows.tokens[:, : 1 + MADE.chains.shape[1]].tolist()}
    prefixes = {row[:n] for row in rows for n in (2, 3)}
    for queries in LESSON.probe:
        asked = np.column_stack([queries.head, queries.relations + LESSON.vocabulary.entities]).tolist()
        assert {tuple(row) for row in asked} <= prefixes
    assert 0 < sum(map(len, LESSON.probe)) <= min(1000, len(LESSON.rows))


def test_the_lesson_holds_the_validation_queries_and_no_test_query() -> None:
    assert LESSON.validation is MADE.cells["validation"]


# The endless stream.


@pytest.mark.parametrize("first", [0, 100])
def test_each_epoch_of_the_stream_shows_each_row_once(first: int) -> None:
    stream = Shuffled(first, 17, seed=3)
    epochs = [stream.take(17 * epoch, 17).tolist() for epoch in range(4)]
    assert all(sorted(epoch) == list(range(first, first + 17)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


@given(st.integers(1, 9), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 30)), max_size=5))
def test_any_stretch_taken_in_any_order_equals_the_stream(n: int, stretches: list[tuple[int, int]]) -> None:
    whole = Shuffled(5, n, seed=1).take(0, 100).tolist()
    stream = Shuffled(5, n, seed=1)
    for start, count in stretches:
        assert stream.take(start, count).tolist() == whole[start : start + count]


# The batches.


def places(batches: Batches, step: int) -> list[tuple[int, ...]]:
    tokens, due, targets = batches.of_step(step)
    return [tuple(row) for row in torch.cat([tokens, due.long(), targets], dim=1).tolist()]


def test_a_batch_depends_on_the_seed_and_the_step_only() -> None:
    forwards, backwards = Batches(LESSON, 64, seed=7), Batches(LESSON, 64, seed=7)
    expected = [places(forwards, step) for step in range(12)]
    assert [places(backwards, step) for step in reversed(range(12))] == expected[::-1]
    assert places(Batches(LESSON, 64, seed=8), 0) != expected[0]


def test_a_batch_has_the_size_and_the_share_of_facts_that_was_asked_for() -> None:
    batches = Batches(LESSON, 64, seed=0)
    _, due, _ = batches.of_step(3)
    assert abs(batches.facts - 64 * LESSON.atomic_share) <= 1
    assert batches.chain_rows + batches.facts == 64
    assert len(due) == batches.chain_rows + batches.facts // 2


def test_facts_on_their_own_stand_two_in_a_row_each_asked_of_a_named_entity() -> None:
    batches = Batches(LESSON, 64, seed=0)
    alone = {(row[0], row[1], LESSON.rows.targets[i][1]) for i, row in enumerate(LESSON.rows.tokens)}
    for step in range(20):
        rows = [column[batches.chain_rows :].tolist() for column in batches.of_step(step)]
        for row, when, answers in zip(*rows, strict=True):
            assert answers[0] == answers[2] == NO_TARGET
            assert (row[0], row[1], answers[1]) in alone
            if when != [GIVEN, 1, NEVER_DUE, NEVER_DUE]:
                assert when == [GIVEN, 1, GIVEN, 1]
                assert (row[2], row[3], answers[3]) in alone


def test_two_facts_that_would_make_a_chain_are_never_side_by_side() -> None:
    batches = Batches(LESSON, 64, seed=0)
    left_out = 0
    for step in range(200):
        tokens, due, targets = (column[batches.chain_rows :] for column in batches.of_step(step))
        both = due[:, 2] == GIVEN
        assert not (both & (targets[:, 1] == tokens[:, 2])).any()
        assert not (both & (targets[:, 3] == tokens[:, 0])).any()
        assert (tokens[~both, 2:] == 0).all()
        assert (targets[~both, 2:] == NO_TARGET).all()
        left_out += int((~both).sum())
    assert left_out > 0


def test_the_batches_of_an_epoch_show_each_chain_once() -> None:
    batches = Batches(LESSON, 64, seed=0)
    steps = -(-LESSON.chains // batches.chain_rows)
    shown = [row for step in range(steps) for row in places(batches, step)[: batches.chain_rows]]
    chains = np.column_stack([LESSON.rows.tokens, LESSON.rows.targets])[: LESSON.chains].tolist()
    assert sorted((*row[:3], *row[8:11]) for row in shown[: LESSON.chains]) == sorted(map(tuple, chains))
    assert batches.epochs(steps) == len(shown) / LESSON.chains


def test_a_lesson_without_facts_on_their_own_is_all_chains() -> None:
    chains_only = Lesson.of(GRAPH, replace(MADE, atomic=MADE.atomic[:0]))
    batches = Batches(chains_only, 16, seed=0)
    assert batches.facts == 0
    assert len(batches.of_step(0)[0]) == 16
