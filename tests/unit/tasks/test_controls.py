"""Controls, row by row: what they leave as it was, and that nothing is left of what they take away."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import pairwise, product
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from grokhop.config import Control, TaskConfig, TrainConfig
from grokhop.core.errors import InputError
from grokhop.graph.graph import Graph, GraphBuilder, Question, Split
from grokhop.graph.paths import PathIndex
from grokhop.tasks.composition import compose
from grokhop.tasks.controls import changed_facts, check_shuffled, controlled_graph, permuted_heldout, scattered
from grokhop.tasks.dataset import TaskDataset, build_dataset, worded
from grokhop.tasks.encoding import NO_TARGET, TokenBatch
from grokhop.tasks.leakage import check_rows
from grokhop.tasks.storage import content_hash, read_dataset, save_dataset
from grokhop.training.batching import batches
from tests.graphs import answers_by_force, answers_of, parted, parted_graphs, random_graph, rows_of, triples
from tests.unit.tasks.test_comparison import asked_graph
from tests.unit.tasks.test_rules import family
from tests.unit.tasks.test_storage import assert_same

GRAPHS = {
    "one object": random_graph(entities=25, relations=6, degree=4, holdout=0.2),
    "several objects": random_graph(entities=25, relations=6, degree=4, holdout=0.2, tails=2),
    "comparisons": asked_graph(),
    "rules": family(),
}
CONTROLS: tuple[Control, ...] = get_args(Control)
OF_ROWS = [control for control in CONTROLS if control not in ("none", "permuted-heldout")]
Stated = tuple[tuple[int, ...], int]
"""A head, relations (as tokens), and an end."""

each_graph = pytest.mark.parametrize("name", GRAPHS)
each_supervision = pytest.mark.parametrize("supervision", ["every_hop", "answer"])


def task(control: Control, supervision: str = "every_hop", hops: int = 3) -> TaskConfig:
    return TaskConfig(control=control, hops=hops, supervision="every_hop" if supervision == "every_hop" else "answer")


@cache
def data_of(name: str, control: Control, supervision: str = "every_hop") -> TaskDataset:
    return build_dataset(GRAPHS[name], task(control, supervision))


def fed(dataset: TaskDataset) -> Iterator[list[int]]:
    """The tokens of rows as a model is fed them, in enough steps for every row; padding is left on."""
    for mixing in ("by_kind", "by_row"):
        made = batches(dataset, TrainConfig(mixing=mixing, batch_size=512), seed=0)
        for step in range(30):
            for group in made.of_step(step):
                yield from group[0].tolist()


def fed_pairs(graph: Graph, dataset: TaskDataset) -> set[int]:
    """Every entity with a relation right behind it, as the number of a pair."""
    entities = len(graph.entities)
    couples = {couple for row in fed(dataset) for couple in pairwise(row)}
    return {graph.pair_id(a, b - entities) for a, b in couples if a < entities <= b}


def stated(rows: TokenBatch, *, answers: bool = True) -> Iterator[tuple[int, int, Stated]]:
    """(row, place) of each told end of a chain or branch; the answer of a comparison is none."""
    columns = (rows.tokens, rows.read_at, rows.targets, rows.last)
    for i, (tokens, due, targets, last) in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        for place, (hops, target) in enumerate(zip(due, targets, strict=True)):
            is_answer = place == last and not answers
            if target != NO_TARGET and hops >= 1 and not is_answer:
                yield i, place, (tuple(tokens[place - hops : place + 1]), target)


def asked(dataset: TaskDataset) -> list[object]:
    rules = [(rule.word, rule.relations, rule.id, rule.ood) for rule in dataset.tested_rules]
    parts = [
        dataset.compositions.cells,
        dataset.compositions.tested,
        dataset.compared,
        dataset.tested_comparisons,
        dataset.objects,
    ]
    return [*parts, *(part for rule in rules for part in rule)]


@each_graph
@each_supervision
@pytest.mark.parametrize("control", OF_ROWS)
def test_what_is_asked_is_that_of_the_data_set_without_a_control(name: str, supervision: str, control: Control) -> None:
    plain, controlled = data_of(name, "none", supervision), data_of(name, control, supervision)
    assert_same(asked(plain), asked(controlled))


@each_graph
@pytest.mark.parametrize("control", CONTROLS)
@each_supervision
def test_a_controlled_data_set_is_read_back_as_it_was(
    tmp_path: Path, name: str, control: Control, supervision: str
) -> None:
    made = data_of(name, control, supervision)
    sha256 = save_dataset(tmp_path / "dataset", made)
    assert_same(made, read_dataset(tmp_path / "dataset"))
    assert sha256 == content_hash(build_dataset(GRAPHS[name], task(control, supervision)))


@each_graph
def test_no_two_controls_train_the_same(name: str) -> None:
    assert len({content_hash(data_of(name, control)) for control in CONTROLS}) == len(CONTROLS)


@each_graph
@pytest.mark.parametrize("control", CONTROLS)
@each_supervision
def test_the_counts_tell_the_rows_of_each_kind(name: str, control: Control, supervision: str) -> None:
    made = data_of(name, control, supervision)
    counts = made.counts
    assert counts["chains"] == made.chains
    assert counts["chains"] + counts["atomic_rows"] + counts["calendar_rows"] == len(made.rows)
    for kind in ("comparison", "operand", "rule"):
        assert counts[f"{kind}_rows"] == len(getattr(made, f"{kind.removesuffix('_rows')}s"))
    graph = worded(controlled_graph(GRAPHS[name], control), compare=True)
    held_out = set(graph.pair[graph.part != Split.TRAIN].tolist())
    alone = made.rows.tokens[made.chains :]
    pairs = graph.pair_id(alone[:, 0], alone[:, 1] - len(graph.entities)).tolist()
    assert counts["held_out_rows"] == sum(pair in held_out for pair in pairs)


@each_graph
@each_supervision
def test_without_chains_every_fact_has_a_row_and_no_row_composes(name: str, supervision: str) -> None:
    made = data_of(name, "no-chains", supervision)
    graph = worded(GRAPHS[name], compare=True)
    assert (made.chains, len(made.rules), len(made.comparisons), len(made.probed)) == (0, 0, 0, 0)
    entities = len(graph.entities)
    rows = [(query[0], query[1] - entities, end) for _, _, (query, end) in stated(made.rows)]
    assert sorted(rows) == sorted(triples(graph))
    assert {queries.hops for queries in made.probe} == {1}
    assert not any(rule.examples for rule in made.tested_rules)
    assert made.counts["left_out_2_hops"] == data_of(name, "none", supervision).counts["trained_2_hops"] > 0


@each_graph
@each_supervision
def test_without_chains_no_row_as_fed_has_two_relations_behind_one_another(name: str, supervision: str) -> None:
    def is_chain(row: list[int]) -> bool:
        return any(a >= entities and b >= entities for a, b in pairwise(row))

    entities = len(GRAPHS[name].entities) if name != "comparisons" else data_of(name, "none").vocabulary.entities
    assert any(map(is_chain, fed(data_of(name, "none", supervision))))
    assert not any(map(is_chain, fed(data_of(name, "no-chains", supervision))))


def test_operands_stay_without_chains_where_every_hop_is_supervised_and_hold_no_fact() -> None:
    told, answers = (data_of("comparisons", "no-chains", kind) for kind in ("every_hop", "answer"))
    assert_same(told.operands, data_of("comparisons", "none").operands)
    assert len(answers.operands) == 0
    graph = worded(GRAPHS["comparisons"], compare=True)
    entities = len(graph.entities)
    rows = told.operands.tokens
    followed = {(a, b) for row in rows[:2000].tolist() for a, b in pairwise(row) if b >= entities}
    assert not {graph.pair_id(a, b - entities) for a, b in followed} & set(graph.pair.tolist())


@each_graph
@each_supervision
def test_shuffled_ends_are_those_of_other_compositions_of_the_same_length(name: str, supervision: str) -> None:
    plain, shuffled = data_of(name, "none"), data_of(name, "shuffled-ends")
    new: defaultdict[Stated, set[int]] = defaultdict(set)
    for kind in ("rows", "rules", "comparisons"):
        before, after = getattr(plain, kind), getattr(shuffled, kind)
        assert np.array_equal(before.tokens, after.tokens)
        assert np.array_equal(before.read_at, after.read_at)
        for row, place, (query, end) in stated(before, answers=kind != "comparisons"):
            target = int(after.targets[row, place])
            if len(query) == 2:
                assert target == end, "a fact is told wrongly"
            else:
                new[query, end].add(target)
    assert all(len(ends) == 1 for ends in new.values()), "one composition has several false ends"
    for hops in {len(query) - 1 for query, _ in new}:
        of_length = {told: ends for told, ends in new.items() if len(told[0]) == hops + 1}
        assert Counter(end for _, end in of_length) == Counter(end for (end,) in of_length.values())
    right = {(query, end) for (query, _), (end,) in new.items()} & set(new)
    assert shuffled.counts["shuffled_ends"] == len(new)
    assert shuffled.counts["shuffled_ends_right"] == len(right) < len(new) / 2
    if supervision == "answer":  # the ends of longer rows alone are told, and they are false too
        alone = data_of(name, "shuffled-ends", "answer")
        true = {told for _, _, told in stated(data_of(name, "none", "answer").rows) if len(told[0]) > 2}
        false = [told for _, _, told in stated(alone.rows) if len(told[0]) > 2]
        assert sum(told in true for told in false) < len(false) / 2


def test_shuffled_answers_stay_among_one_operator_and_rows_that_are_the_same_keep_one() -> None:
    plain, shuffled = (data_of("comparisons", control).comparisons for control in ("none", "shuffled-ends"))
    new: defaultdict[Stated, set[int]] = defaultdict(set)
    columns = (plain.tokens, plain.last_targets(), shuffled.last_targets())
    for tokens, answer, other in zip(*(column.tolist() for column in columns), strict=True):
        new[tuple(tokens), answer].add(other)
    assert all(len(answers) == 1 for answers in new.values())
    for operator in {tokens[last] for tokens, last in zip(plain.tokens.tolist(), plain.last.tolist(), strict=True)}:
        found = {told: answers for told, answers in new.items() if operator in told[0]}
        assert Counter(answer for _, answer in found) == Counter(answer for (answer,) in found.values())
    right = sum((tokens, other) in new for (tokens, _), (other,) in new.items())
    assert 0.35 < right / len(new) < 0.65, "half of the answers are right by chance, neither more nor fewer"
    counts = data_of("comparisons", "shuffled-ends").counts
    assert counts["shuffled_answers"] == len(new)
    assert counts["shuffled_answers_right"] == len({(t, other) for (t, _), (other,) in new.items()} & set(new))


@each_graph
@each_supervision
def test_training_accuracy_is_measured_by_the_ends_that_were_told(name: str, supervision: str) -> None:
    made = data_of(name, "shuffled-ends", supervision)
    told: defaultdict[tuple[int, ...], set[int]] = defaultdict(set)
    for _, _, (query, end) in stated(made.rows):
        told[query].add(end)
    entities, composed = made.vocabulary.entities, 0
    for queries in made.probe:
        for (head, *relations), ends in zip(rows_of(queries), answers_of(queries), strict=True):
            if queries.hops > 1:
                assert ends == told[head, *(r + entities for r in relations)]
                composed += 1
    assert composed
    compared, probed = (
        {(*tokens, end) for tokens, end in zip(rows.tokens.tolist(), rows.last_targets().tolist(), strict=True)}
        for rows in (made.comparisons, made.probed)
    )
    assert probed <= compared


def test_a_shuffle_that_changes_a_fact_or_a_query_is_refused() -> None:
    plain, shuffled = (data_of("one object", control).rows for control in ("none", "shuffled-ends"))
    check_shuffled([plain], [shuffled])
    for name, place in (("tokens", 2), ("targets", 1)):
        changed = getattr(shuffled, name).copy()
        changed[3, place] += 1
        with pytest.raises(InputError, match="more than the ends"):
            check_shuffled([plain], [replace(shuffled, **{name: changed})])


@each_graph
@each_supervision
def test_held_out_facts_are_in_no_row_as_fed_when_they_are_left_out(name: str, supervision: str) -> None:
    graph = worded(GRAPHS[name], compare=True)
    held_out = set(graph.pair[graph.part != Split.TRAIN].tolist())
    assert fed_pairs(graph, data_of(name, "none", supervision)) >= held_out
    made = data_of(name, "no-heldout-facts", supervision)
    found = fed_pairs(graph, made)
    assert not found & held_out
    assert found >= set(graph.pair.tolist()) - held_out - set(made.rows.tokens[: made.chains, 0].tolist())
    assert all(
        not held_out & set(graph.pair_id(queries.head, queries.relations[:, 0]).tolist()) for queries in made.probe
    )


@each_graph
@each_supervision
def test_all_else_is_trained_as_before_when_held_out_facts_are_left_out(name: str, supervision: str) -> None:
    plain, made = data_of(name, "none", supervision), data_of(name, "no-heldout-facts", supervision)
    for kind in ("rules", "comparisons", "operands", "probed"):
        assert_same(getattr(plain, kind), getattr(made, kind))
    graph = worded(GRAPHS[name], compare=True)
    alone = plain.rows.tokens
    held_out = np.isin(
        graph.pair_id(alone[:, 0], alone[:, 1] - len(graph.entities)), graph.pair[graph.part != Split.TRAIN]
    )
    assert_same(plain.rows.where(~held_out), made.rows)
    assert plain.chains == made.chains


@given(parted_graphs(most_facts=30), st.sampled_from(OF_ROWS), st.sampled_from([2, 3]))
@settings(max_examples=60)
def test_on_any_small_graph_controls_ask_the_same_and_the_rows_pass_the_check(
    graph: Graph, control: Control, hops: int
) -> None:
    try:
        plain = build_dataset(graph, task("none", hops=hops))
    except InputError:
        assume(False)
    made = build_dataset(graph, task(control, hops=hops))
    assert_same(asked(plain), asked(made))
    if control != "shuffled-ends":  # ends that are false are no bridges to be read back
        check_rows(graph, made.rows, cells=made.compositions.cells, facts=len(graph))
    facts = {told for _, _, told in stated(made.rows) if len(told[0]) == 2}
    wanted = {
        ((head, relation + len(graph.entities)), tail)
        for (head, relation, tail), part in zip(triples(graph), graph.part.tolist(), strict=True)
        if control != "no-heldout-facts" or part == Split.TRAIN
    }
    assert facts == wanted


@given(st.lists(st.integers(0, 4), max_size=12), st.integers(0, 5))
def test_scattering_leaves_a_value_where_it_was_only_if_more_than_half_are_equal(values: list[int], seed: int) -> None:
    places = scattered(np.array(values, np.int64), np.random.default_rng(seed))
    assert sorted(places.tolist()) == list(range(len(values)))
    kept = sum(values[place] == value for place, value in zip(places.tolist(), values, strict=True))
    commonest = max(Counter(values).values(), default=0)
    assert kept == max(0, 2 * commonest - len(values))


@given(parted_graphs(most_facts=40))
def test_permuted_facts_keep_their_pairs_parts_and_the_tails_of_their_relation(graph: Graph) -> None:
    permuted = permuted_heldout(graph)
    for column in ("head", "relation", "part", "source"):
        assert np.array_equal(getattr(graph, column), getattr(permuted, column))
    held = graph.part != Split.TRAIN
    assert np.array_equal(graph.tail[~held], permuted.tail[~held])
    assert len(set(triples(permuted))) == len(graph), "a fact is there twice"
    for relation in range(len(graph.relations)):
        for part in Split:
            chosen = (graph.part == part) & (graph.relation == relation)
            assert Counter(graph.tail[chosen].tolist()) == Counter(permuted.tail[chosen].tolist())
    assert changed_facts(graph, permuted) == len(set(triples(permuted)) - set(triples(graph)))


def test_every_held_out_fact_that_can_change_does() -> None:
    graph = GRAPHS["one object"]
    permuted, stuck = permuted_heldout(graph), 0
    for relation, part in product(range(len(graph.relations)), (Split.VALIDATION, Split.TEST)):
        tails = graph.tail[(graph.part == part) & (graph.relation == relation)].tolist()
        stuck += max(0, 2 * max(Counter(tails).values(), default=0) - len(tails))
    held_out = int((graph.part != Split.TRAIN).sum())
    assert changed_facts(graph, permuted) == held_out - stuck > held_out / 2


@each_graph
@each_supervision
def test_permuted_truth_is_trained_alone_and_is_what_is_asked(name: str, supervision: str) -> None:
    made, graph = data_of(name, "permuted-heldout", supervision), permuted_heldout(GRAPHS[name])
    facts = set(triples(worded(graph, compare=True)))
    told = {
        (query[0], query[1] - made.vocabulary.entities, end)
        for _, _, (query, end) in stated(made.rows)
        if len(query) == 2
    }
    assert told == facts
    changed = 0
    for part in (made.validation, made.test):
        for queries in (queries for by_cell in part.values() for queries in by_cell.values() if len(queries)):
            before = PathIndex(GRAPHS[name]).answers(queries.head, queries.relations)
            for (head, *relations), ends in zip(rows_of(queries), answers_of(queries), strict=True):
                assert ends == answers_by_force(graph, head, relations)
            changed += sum(a != b for a, b in zip(answers_of(queries), answers_of(before), strict=True))
    assert changed
    assert made.counts["permuted_facts"] == changed_facts(GRAPHS[name], graph) > 0


def test_a_question_over_permuted_facts_is_asked_with_its_new_answer_or_not_at_all() -> None:
    graph = chained()
    permuted = permuted_heldout(graph)
    facts = {(h, r): t for h, r, t in triples(permuted)}
    kept = {question.id: question for question in permuted.questions}
    for question in graph.questions:
        (head, first, _), (_, second, _) = question.facts[:2]
        bridge = facts[head, first]
        if question.type == "comparison":
            changed = any((h, r, t) not in set(triples(permuted)) for h, r, t in question.facts)
            assert (question.id in kept) == (not changed)
        elif (bridge, second) in facts:
            end = facts[bridge, second]
            assert kept[question.id].facts == ((head, first, bridge), (bridge, second, end))
            assert kept[question.id].answer == permuted.entities[end].label
        else:
            assert question.id not in kept
    assert 0 < len(kept) < len(graph.questions)
    assert any(kept[q.id].facts != q.facts for q in graph.questions if q.id in kept)
    compose(permuted)  # every pair of every question is one of the graph


def chained() -> Graph:
    """Films with directors, of whom every second has a father; every chain of both is asked for, and some countries."""
    builder = GraphBuilder(source="test")
    directs = [builder.fact(f"f{i}", "director", f"p{i}") for i in range(16)]
    fathers = {i: builder.fact(f"p{i}", "father", f"q{i}") for i in range(0, 16, 2)}
    for i in fathers:
        builder.fact(f"q{i}", "father", f"q{i + 2}")
    lands = [builder.fact(f"f{i}", "country", f"c{i % 3}") for i in range(16)]
    for i, father in fathers.items():
        asked_ = Question(id=f"q{i}", type="compositional", text="?", answer=f"q{i}", facts=(directs[i], father))
        builder.question(asked_)
        both = (lands[i], lands[i + 1])
        builder.question(Question(id=f"c{i}", type="comparison", text="?", answer="no", facts=both))
    held = {(f"f{i}", "director"): Split.TEST for i in range(10)} | {(f"f{i}", "country"): Split.TEST for i in range(4)}
    return parted(builder.build(), held)
