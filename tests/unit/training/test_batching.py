"""What is trained in which order: every chain once in an epoch, by the seed and the step alone."""

from collections import defaultdict
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import grokhop.tasks.dataset as lessons
from grokhop.core.errors import InputError
from grokhop.graph.graph import Graph, Split
from grokhop.graph.paths import NO_FACT
from grokhop.graph.queries import LESS, SAME
from grokhop.tasks.calendar import UNITS
from grokhop.tasks.comparison import Comparing, comparable
from grokhop.tasks.composition import compose
from grokhop.tasks.dataset import MOST_ATOMIC_SHARE, TaskDataset
from grokhop.tasks.encoding import GIVEN, NEVER_DUE, NO_TARGET, TokenBatch, encode_paths, stack
from grokhop.tasks.leakage import check_fed
from grokhop.training.batching import (
    CHECKED_STEPS,
    COMPARISON_SHARE,
    OPERAND_SHARE,
    Mixed,
    Shuffled,
    Stream,
    check_batches,
)
from tests.graphs import random_graph, triples
from tests.unit.tasks.test_comparison import asked_graph, decoded, facts_of

GRAPH = random_graph(entities=30, relations=6, degree=4, holdout=0.2)
MADE = compose(GRAPH)
LESSON = TaskDataset.of(GRAPH, MADE)

PLAIN = asked_graph()
ASKED = comparable(PLAIN)
COMPOSED = compose(PLAIN)
COMPARES = TaskDataset.of(ASKED, COMPOSED)


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
    assert TaskDataset.of(GRAPH, few).atomic_share == MOST_ATOMIC_SHARE
    assert Mixed(TaskDataset.of(GRAPH, few), 20, seed=0).chain_rows == 2


def test_the_probe_asks_queries_of_training_rows_and_no_others() -> None:
    rows = {tuple(row) for row in LESSON.rows.tokens[:, : 1 + MADE.chains.shape[1]].tolist()}
    prefixes = {row[:n] for row in rows for n in (2, 3)}
    for queries in LESSON.probe:
        asked = np.column_stack([queries.head, queries.relations + LESSON.vocabulary.entities]).tolist()
        assert {tuple(row) for row in asked} <= prefixes
    assert 0 < sum(map(len, LESSON.probe)) <= min(1000, len(LESSON.rows))


def test_the_lesson_holds_the_validation_queries_and_no_test_query() -> None:
    assert LESSON.validation is MADE.cells["validation"]


# Comparisons.


def test_a_lesson_of_a_graph_that_compares_nothing_has_no_comparisons() -> None:
    made = [LESSON.comparisons, LESSON.operands, *LESSON.compared.values()]
    assert [len(rows) for rows in made] == [0, 0, 0, 0]


def test_the_facts_of_the_calendar_are_trained_on_their_own_and_in_no_chain() -> None:
    names = list(ASKED.relations)
    units = {len(ASKED.entities) + names.index(unit) for unit in UNITS}
    chains, alone = np.split(COMPARES.rows.tokens, [COMPARES.chains])
    assert not np.isin(chains, list(units)).any()
    shown = {tuple(row) for row in alone[:, :2].tolist()}
    calendar = {(h, len(ASKED.entities) + r) for h, r, _ in triples(ASKED) if names[r] in UNITS}
    assert len(calendar) > 100
    assert calendar <= shown
    assert len(alone) == len(COMPOSED.atomic) + len(ASKED) - len(PLAIN)
    np.testing.assert_array_equal(chains, encode_paths(ASKED, COMPOSED.chains).tokens)


def test_the_comparisons_of_a_lesson_hold_no_tested_chain() -> None:
    strict, careless = (Comparing(ASKED, tested=tested).rows(Split.TRAIN) for tested in (COMPOSED.tested, None))
    np.testing.assert_array_equal(COMPARES.comparisons.tokens, strict.tokens)
    assert strict.tokens.tolist() != careless.tokens.tolist()


def test_a_lesson_that_would_leak_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Careless(Comparing):
        def rows(self, *_: object, **_settings: object) -> TokenBatch:
            everything = replace(self.graph, part=np.zeros_like(self.graph.part))
            return Comparing(everything).rows(Split.TRAIN)

    monkeypatch.setattr(lessons, "Comparing", Careless)
    with pytest.raises(InputError, match=r"leakage: .* in comparison rows"):
        TaskDataset.of(ASKED, COMPOSED)


def test_validation_compares_held_out_facts_and_held_out_pairs_but_nothing_that_is_tested() -> None:
    facts = facts_of(ASKED)
    trained = {row.asks for row in decoded(COMPARES.comparisons, ASKED)}
    tested = {row.asks for row in decoded(Comparing(ASKED).rows(Split.TRAIN, pairs=Split.TEST), ASKED)}
    used = []
    for row in decoded(stack(list(COMPARES.compared.values())), ASKED):
        assert row.asks not in trained | tested
        used.append((row.operator, {facts[step] for step in row.steps() if step[1] not in UNITS}))
    assert min(used.count((operator, {Split.VALIDATION})) for operator in (SAME, LESS)) > 40
    assert [parts for _, parts in used].count({Split.TRAIN}) > 0
    assert all(parts in ({Split.VALIDATION}, {Split.TRAIN}) for _, parts in used)


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


# Streams of one kind of row.


def in_rows(columns: list[Tensor]) -> list[tuple[int, ...]]:
    tokens, read_at, targets = columns
    return [tuple(row) for row in torch.cat([tokens, read_at.long(), targets], dim=1).tolist()]


def as_rows(rows: TokenBatch) -> list[tuple[int, ...]]:
    return [tuple(row) for row in np.column_stack([rows.tokens, rows.read_at, rows.targets]).tolist()]


def test_a_stream_shows_each_of_its_rows_once_in_an_epoch() -> None:
    stream, rows = Stream(COMPARES.compared["id"], 70, 0.1, seed=0), as_rows(COMPARES.compared["id"])
    assert stream.count == 7
    steps = -(-2 * len(rows) // stream.count)
    shown = [row for step in range(steps) for row in in_rows(stream.of_step(step))]
    first, second = shown[: len(rows)], shown[len(rows) : 2 * len(rows)]
    assert sorted(first) == sorted(second) == sorted(rows)
    assert first != second


def test_a_stream_of_a_step_follows_from_the_seed_and_the_step_alone() -> None:
    one, again, other = (Stream(COMPARES.operands, 20, 0.5, seed=seed) for seed in (3, 3, 4))
    forwards = [in_rows(one.of_step(step)) for step in range(4)]
    assert [in_rows(again.of_step(step)) for step in (3, 2, 1, 0)] == forwards[::-1]
    assert in_rows(other.of_step(0)) != forwards[0]


def test_a_stream_of_no_rows_is_no_part_of_a_batch() -> None:
    stream = Stream(LESSON.comparisons, 100, 0.5, seed=0)
    assert stream.count == 0
    assert [len(column) for column in stream.of_step(5)] == [0, 0, 0]


# The batches.


def facts_of_step(batches: Mixed, step: int) -> list[Tensor]:
    """Tokens, due and targets of chains and facts on their own."""
    return batches.of_step(step)[0]


def places(batches: Mixed, step: int) -> list[tuple[int, ...]]:
    return in_rows(facts_of_step(batches, step))


def test_a_batch_without_comparisons_is_one_group() -> None:
    assert len(Mixed(LESSON, 64, seed=0).of_step(0)) == 1


def test_a_batch_that_compares_has_groups_of_operands_and_of_comparisons_by_their_shares() -> None:
    batches = Mixed(COMPARES, 200, seed=0)
    assert (COMPARISON_SHARE, OPERAND_SHARE) == (0.1, 0.5)
    operands, comparisons = set(as_rows(COMPARES.operands)), set(as_rows(COMPARES.comparisons))
    for step in range(3):
        facts, *others = batches.of_step(step)
        assert [len(group[0]) for group in others] == [100, 20]
        assert set(in_rows(others[0])) <= operands
        assert set(in_rows(others[1])) <= comparisons
        assert len(facts[0]) == batches.chain_rows + batches.facts // 2
        assert batches.chain_rows + batches.facts == 80
        assert abs(batches.facts - 80 * COMPARES.atomic_share) <= 1


def test_every_group_of_a_batch_depends_on_the_seed_and_the_step_only() -> None:
    forwards, backwards = Mixed(COMPARES, 64, seed=7), Mixed(COMPARES, 64, seed=7)
    expected = [[in_rows(group) for group in forwards.of_step(step)] for step in range(6)]
    assert [[in_rows(group) for group in backwards.of_step(step)] for step in reversed(range(6))] == expected[::-1]
    other = [in_rows(group) for group in Mixed(COMPARES, 64, seed=8).of_step(0)]
    assert all(one != another for one, another in zip(other, expected[0], strict=True))


def test_a_batch_depends_on_the_seed_and_the_step_only() -> None:
    forwards, backwards = Mixed(LESSON, 64, seed=7), Mixed(LESSON, 64, seed=7)
    expected = [places(forwards, step) for step in range(12)]
    assert [places(backwards, step) for step in reversed(range(12))] == expected[::-1]
    assert places(Mixed(LESSON, 64, seed=8), 0) != expected[0]


def test_a_batch_has_the_size_and_the_share_of_facts_that_was_asked_for() -> None:
    batches = Mixed(LESSON, 64, seed=0)
    _, read_at, _ = facts_of_step(batches, 3)
    assert abs(batches.facts - 64 * LESSON.atomic_share) <= 1
    assert batches.chain_rows + batches.facts == 64
    assert len(read_at) == batches.chain_rows + batches.facts // 2


def facts_of_row(row: list[int], when: list[int], answers: list[int]) -> list[tuple[int, int, int]]:
    """The facts that stand in a row one after another, which is nothing else."""
    facts = [(row[at], row[at + 1], answers[at + 1]) for at in range(0, len(row) - 1, 2) if when[at] == GIVEN]
    assert when == [GIVEN, 1] * len(facts) + [NEVER_DUE] * (len(row) - 2 * len(facts))
    assert row[2 * len(facts) :] == [0] * (len(row) - 2 * len(facts))
    assert [x for x in answers if x != NO_TARGET] == [tail for _, _, tail in facts]
    return facts


@pytest.mark.parametrize(("hops", "extra_hops", "together"), [(2, 1, 2), (2, 2, 3), (3, 1, 3), (3, 3, 4)])
def test_facts_on_their_own_make_rows_as_long_as_the_longest_chain_that_is_asked(
    hops: int, extra_hops: int, together: int
) -> None:
    dataset = TaskDataset.of(GRAPH, compose(GRAPH, hops=hops, extra_hops=extra_hops))
    batches = Mixed(dataset, 128, seed=0)
    assert batches.together == together
    assert 2 * together >= 1 + hops + extra_hops > 2 * (together - 1)
    alone = {(row[0], row[1], dataset.rows.targets[i][1]) for i, row in enumerate(dataset.rows.tokens)}
    lengths = set[int]()
    for step in range(40):
        columns = [column[batches.chain_rows :].tolist() for column in facts_of_step(batches, step)]
        assert len(columns[0]) * together == batches.facts
        for row in zip(*columns, strict=True):
            facts = facts_of_row(*row)
            assert set(facts) <= alone
            lengths.add(len(facts))
            for (head, _, tail), (later_head, _, later_tail) in combinations(facts, 2):
                assert tail != later_head, "a chain stands side by side"
                assert head != later_tail, "a chain stands side by side, the other way round"
    assert lengths == set(range(1, together + 1)), "no row was cut short, or none was full"


def objects_of_pairs(graph: Graph) -> dict[tuple[int, int], set[int]]:
    found = defaultdict[tuple[int, int], set[int]](set)
    for head, relation, tail in triples(graph):
        found[head, relation].add(tail)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_no_object_of_a_packed_fact_begins_another_fact_of_the_row_shown_or_not(seed: int) -> None:
    """Where a pair has several objects, the row shows one of them; the others must not stand beside it either."""
    graph = random_graph(entities=25, relations=4, degree=3, holdout=0.3, tails=3, seed=seed)
    dataset = TaskDataset.of(graph, compose(graph))
    batches, objects, packs = Mixed(dataset, 128, seed=seed), objects_of_pairs(graph), 0
    for step in range(40):
        for row in zip(*(c[batches.chain_rows :].tolist() for c in facts_of_step(batches, step)), strict=True):
            facts = [(head, token - len(graph.entities)) for head, token, _ in facts_of_row(*row)]
            packs += len(facts) > 1
            for (head, relation), (other, further) in combinations(facts, 2):
                assert other not in objects[head, relation] or other == head
                assert head not in objects[other, further] or other == head
    assert packs > 100


def test_the_check_of_batches_reads_every_packed_row_and_refuses_facts_that_continue_one_another() -> None:
    graph = random_graph(entities=25, relations=4, degree=3, holdout=0.3, tails=3, seed=1)
    dataset = TaskDataset.of(graph, compose(graph))
    batches = Mixed(dataset, 128, seed=0)
    fed = [row for step in range(CHECKED_STEPS) for row in facts_of_step(batches, step)[0].tolist()]
    packed = sum(len(row) >= 4 and row[3] >= len(graph.entities) > row[2] for row in fed)
    assert check_batches(batches, dataset) == packed > 0
    head, relation, tail = next(f for f in triples(graph) if f[0] != f[2])
    further = next(r for h, r, _ in triples(graph) if h == tail)
    shift = len(graph.entities)
    for row in ([head, relation + shift, tail, further + shift], [tail, further + shift, head, relation + shift]):
        with pytest.raises(InputError, match="packed beside"):
            check_fed(dataset.objects, shift, len(graph.relations), np.array([row]))


def test_the_batches_of_an_epoch_show_each_chain_once() -> None:
    batches = Mixed(LESSON, 64, seed=0)
    steps = -(-LESSON.chains // batches.chain_rows)
    shown = [row for step in range(steps) for row in places(batches, step)[: batches.chain_rows]]
    chains = np.column_stack([LESSON.rows.tokens, LESSON.rows.targets])[: LESSON.chains].tolist()
    assert sorted((*row[:3], *row[8:11]) for row in shown[: LESSON.chains]) == sorted(map(tuple, chains))
    assert batches.epochs(steps) == len(shown) / LESSON.chains


def test_a_lesson_without_facts_on_their_own_is_all_chains() -> None:
    chains_only = TaskDataset.of(GRAPH, replace(MADE, atomic=MADE.atomic[:0]))
    batches = Mixed(chains_only, 16, seed=0)
    assert batches.facts == 0
    assert len(facts_of_step(batches, 0)[0]) == 16
