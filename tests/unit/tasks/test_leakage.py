"""The cardinal sin: nothing that is tested was trained, by a check that knows labels and rows only.

The checker below shares nothing with `grokhop.tasks.composition`: it reads the encoded rows that a model is trained on,
token by token, and compares names.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from grokhop.core.errors import InputError
from grokhop.datasets import two_wiki, worldfacts
from grokhop.graph.graph import Graph, Question, Split
from grokhop.graph.paths import NO_FACT
from grokhop.graph.splits import hold_out
from grokhop.tasks.comparison import OPERATORS, comparable
from grokhop.tasks.composition import Compositions, compose
from grokhop.tasks.dataset import TaskDataset
from grokhop.tasks.encoding import GIVEN, NO_TARGET, stack
from grokhop.tasks.leakage import check_leakage
from grokhop.tasks.vocabulary import token_labels
from tests.graphs import random_graph, triples

Pair = tuple[str, str]
Asked = tuple[str, ...]
"""A subject and relations, as labels."""


@dataclass(frozen=True)
class TrainedRow:
    """What one row teaches, as labels: hop i asks `relations[i]` of `subjects[i]` and is told `answers[i]`."""

    subjects: tuple[str, ...]
    relations: tuple[str, ...]
    answers: tuple[str, ...]

    def pieces(self) -> Iterator[Asked]:
        """Every query of two hops or more in the row, at its beginning or further on."""
        for start, subject in enumerate(self.subjects):
            for stop in range(start + 2, len(self.relations) + 1):
                yield (subject, *self.relations[start:stop])


def trained_rows(graph: Graph, dataset: TaskDataset) -> Iterator[TrainedRow]:
    names = [*(entity.label for entity in graph.entities), *graph.relations]
    for tokens, targets in zip(dataset.rows.tokens.tolist(), dataset.rows.targets.tolist(), strict=True):
        hops = [(t, a) for t, a in zip(tokens[1:], targets[1:], strict=True) if a != NO_TARGET]
        answers = tuple(names[answer] for _, answer in hops)
        subjects = (names[tokens[0]], *answers[:-1])
        yield TrainedRow(subjects, tuple(names[token] for token, _ in hops), answers)


def held_out_pairs(graph: Graph) -> set[Pair]:
    pairs = zip(graph.head.tolist(), graph.relation.tolist(), graph.part.tolist(), strict=True)
    return {(graph.entities[h].label, graph.relations[r]) for h, r, part in pairs if part != Split.TRAIN}


def forbidden_queries(graph: Graph, made: Compositions) -> set[Asked]:
    """What the cells and the graph's questions ask."""
    asked = {
        (int(head), *map(int, relations))
        for cells in made.cells.values()
        for by_cell in cells.values()
        for queries in by_cell.values()
        for head, relations in zip(queries.head, queries.relations, strict=True)
    }
    asked |= {(path[0], *path[1]) for question in graph.questions if (path := question.path)}
    return {(graph.entities[h].label, *(graph.relations[r] for r in rs)) for h, *rs in asked}


def assert_nothing_leaks(graph: Graph, *, hops: int) -> None:
    made = compose(graph, hops=hops)
    rows = list(trained_rows(graph, TaskDataset.of(graph, made)))
    held_out, tested = held_out_pairs(graph), forbidden_queries(graph, made)
    facts = {(graph.entities[h].label, graph.relations[r], graph.entities[t].label) for h, r, t in triples(graph)}
    alone = set()
    for row in rows:
        taught = set(zip(row.subjects, row.relations, row.answers, strict=True))
        assert taught <= facts
        if len(row.relations) == 1:
            alone |= taught
        else:
            assert not held_out & set(zip(row.subjects, row.relations, strict=True))
            assert not tested & set(row.pieces())
    assert {fact for fact in facts if fact[:2] in held_out} <= alone
    assert any(len(row.relations) == hops for row in rows)
    assert len(held_out) > 5
    assert len(tested) > 100


@pytest.mark.parametrize("hops", [2, 3])
@pytest.mark.parametrize(("seed", "tails"), [(0, 1), (1, 1), (2, 2), (3, 3)])
def test_no_row_of_a_random_graph_leaks(seed: int, tails: int, hops: int) -> None:
    graph = random_graph(entities=25, relations=6, degree=4, holdout=0.2, tails=tails, seed=seed)
    assert_nothing_leaks(graph, hops=hops)


def walks(graph: Graph, asked: Asked) -> Iterator[TrainedRow]:
    """Every way in which the facts lead from the subject along the relations."""
    onward = defaultdict(list)
    for head, relation, tail in triples(graph):
        onward[graph.entities[head].label, graph.relations[relation]].append(graph.entities[tail].label)
    found: list[Asked] = [asked[:1]]
    for step in asked[1:]:
        found = [(*walk, tail) for walk in found for tail in onward[walk[-1], step]]
    return (TrainedRow(walk[:-1], asked[1:], walk[1:]) for walk in found)


@pytest.mark.parametrize("hops", [2, 3])
@pytest.mark.parametrize(("seed", "tails"), [(0, 1), (1, 1), (2, 2)])
def test_no_row_that_tells_its_end_alone_leaks(seed: int, tails: int, hops: int) -> None:
    """As the papers train: there the facts between are not told, so that a trainable walk must explain the answer."""
    graph = random_graph(entities=25, relations=6, degree=4, holdout=0.2, tails=tails, seed=seed)
    made = compose(graph, hops=hops, prefixes=False)
    dataset = TaskDataset.of(graph, made, prefixes=False)
    held_out, tested = held_out_pairs(graph), forbidden_queries(graph, made)
    names, lengths, alone = token_labels(graph), set(), set()
    for tokens, read_at, targets in zip(dataset.rows.tokens, dataset.rows.read_at, dataset.rows.targets, strict=True):
        (last,) = np.flatnonzero(read_at > GIVEN)
        assert np.flatnonzero(targets != NO_TARGET).tolist() == [last]
        asked, answer = tuple(names[token] for token in tokens[: last + 1]), names[targets[last]]
        lengths.add(last)
        if last == 1:
            alone.add(asked)
            continue
        assert asked not in tested
        assert any(
            walk.answers[-1] == answer
            and not held_out & set(zip(walk.subjects, walk.relations, strict=True))
            and not tested & set(walk.pieces())
            for walk in walks(graph, asked)
        )
    assert lengths == set(range(1, hops + 1))
    assert held_out <= alone


def test_comparisons_that_tell_their_end_alone_are_those_that_tell_more(two_wiki_sample: Path) -> None:
    """Which the tests below look into; and nothing stands beside them but chains, facts and examples of rules."""
    plain = hold_out(two_wiki.read([two_wiki_sample]), share=0.1)
    graph, made = comparable(plain), compose(plain, prefixes=False)
    told, alone = (TaskDataset.of(graph, made, prefixes=prefixes) for prefixes in (True, False))
    everything = stack([told.rows, told.comparisons, told.rules])
    np.testing.assert_array_equal(alone.all_rows().tokens, everything.tokens)
    np.testing.assert_array_equal(alone.all_rows().last_targets(), everything.last_targets())
    assert ((alone.all_rows().targets != NO_TARGET).sum(axis=1) == 1).all()
    assert len(told.comparisons) > 500
    assert not len(alone.operands)


def test_no_row_of_the_built_in_graph_leaks() -> None:
    assert_nothing_leaks(hold_out(worldfacts.read(), share=0.1), hops=2)


@pytest.mark.parametrize("hops", [2, 3])
def test_no_row_of_real_questions_leaks_with_a_third_of_them_held_out_by_name(two_wiki_sample: Path, hops: int) -> None:
    graph = two_wiki.read([two_wiki_sample])
    chained = [question.id for question in graph.questions if question.path]
    graph = hold_out(graph, share=0.1, ood_questions=chained[::3])
    random = np.random.default_rng(0)
    made = random.integers(0, len(graph.entities), (4000, 3))
    made[:, 1] = random.choice(graph.trainable.relation, len(made))
    new = made[~np.isin(made[:, 0] * len(graph.relations) + made[:, 1], graph.pair)]
    larger = graph.extended(list(map(tuple, np.unique(new, axis=0).tolist())), source="made")
    assert_nothing_leaks(larger, hops=hops)


@pytest.mark.parametrize("tails", [2, 3])
def test_all_objects_of_a_held_out_pair_are_held_out(tails: int) -> None:
    graph = random_graph(entities=25, relations=6, degree=4, holdout=0.2, tails=tails)
    parts = defaultdict(set)
    objects = defaultdict(set)
    for (head, relation, tail), part in zip(triples(graph), graph.part.tolist(), strict=True):
        parts[head, relation].add(part)
        objects[head, relation].add(tail)
    assert all(len(found) == 1 for found in parts.values())
    held_out = held_out_pairs(graph)
    for row in trained_rows(graph, TaskDataset.of(graph, compose(graph))):
        if len(row.relations) > 1:
            assert not held_out & set(zip(row.subjects, row.relations, strict=True))
    assert {len(found) for found in objects.values()} == {tails}


# The check that every composition passes must itself find a leak.

GRAPH = random_graph(entities=25, relations=6, degree=4, holdout=0.2)


def with_chain(made: Compositions, *facts: int) -> Compositions:
    """The compositions with one more training row, padded to their width."""
    row = [*facts, *[NO_FACT] * (made.chains.shape[1] - len(facts))]
    return replace(made, chains=np.concatenate([made.chains, [row]]))


def chain_of(graph: Graph, head: int, *relations: int) -> list[int]:
    facts = []
    for relation in relations:
        facts.append(next(i for i, (h, r, _) in enumerate(triples(graph)) if (h, r) == (head, relation)))
        head = int(graph.tail[facts[-1]])
    return facts


def test_the_check_passes_what_was_composed_and_counts_what_it_compared() -> None:
    made = compose(GRAPH)
    found = check_leakage(GRAPH, made)
    assert found["leaked_facts"] == found["leaked_queries"] == 0
    assert found["leak_checked_pieces"] == len(
        {p for r in trained_rows(GRAPH, TaskDataset.of(GRAPH, made)) for p in r.pieces()}
    )


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("part", [Split.VALIDATION, Split.TEST])
def test_the_check_finds_a_held_out_fact_in_a_chain(place: int, part: Split) -> None:
    held_out = int(np.flatnonzero(GRAPH.part == part)[0])
    chain = [0, 0]
    chain[place] = held_out
    with pytest.raises(InputError, match="leakage: 1 held-out facts"):
        check_leakage(GRAPH, with_chain(compose(GRAPH), *chain))


@pytest.mark.parametrize("part", ["validation", "test"])
def test_the_check_finds_a_tested_query_as_a_row(part: str) -> None:
    made = compose(GRAPH)
    query = made.cells[part][2]["II"]
    chain = chain_of(GRAPH, int(query.head[0]), *map(int, query.relations[0]))
    with pytest.raises(InputError, match="1 tested queries"):
        check_leakage(GRAPH, with_chain(made, *chain))


@pytest.mark.parametrize("behind", [True, False], ids=["behind another fact", "before another fact"])
def test_the_check_finds_a_tested_query_inside_a_longer_row(behind: bool) -> None:
    made = compose(GRAPH, hops=3)
    query = made.cells["test"][2]["II"]
    chain = chain_of(GRAPH, int(query.head[0]), *map(int, query.relations[0]))
    trainable = GRAPH.part == Split.TRAIN
    if behind:
        before = np.flatnonzero(trainable & (GRAPH.tail == GRAPH.head[chain[0]]))
        chain = [int(before[0]), *chain]
    else:
        after = np.flatnonzero(trainable & (GRAPH.head == GRAPH.tail[chain[-1]]))
        chain = [*chain, int(after[0])]
    with pytest.raises(InputError, match="tested queries are in training rows"):
        check_leakage(GRAPH, with_chain(made, *chain))


def test_the_check_finds_the_query_of_a_question() -> None:
    made = compose(GRAPH)
    facts = tuple(triples(GRAPH)[fact] for fact in made.chains[0])
    question = Question(id="q", type="compositional", text="?", answer="!", facts=facts)
    with pytest.raises(InputError, match="1 tested queries"):
        check_leakage(replace(GRAPH, questions=(question,)), made)


def test_the_check_tells_a_leak_in_one_line() -> None:
    held_out = int(np.flatnonzero(GRAPH.part != Split.TRAIN)[0])
    with pytest.raises(InputError) as caught:
        check_leakage(GRAPH, with_chain(compose(GRAPH), held_out, held_out))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("hops", [2, 3])
def test_no_comparison_holds_a_chain_that_is_tested_or_a_fact_that_is_held_out(
    two_wiki_sample: Path, hops: int
) -> None:
    plain = two_wiki.read([two_wiki_sample])
    plain = hold_out(plain, share=0.1, ood_questions=[question.id for question in plain.questions][::2])
    graph, made = comparable(plain), compose(plain, hops=hops)
    tested, held_out = forbidden_queries(plain, made), held_out_pairs(plain)
    rows = TaskDataset.of(graph, made).comparisons
    names = [*(entity.label for entity in graph.entities), *graph.relations]
    pieces = set()
    for tokens, targets in zip(rows.tokens.tolist(), rows.targets.tolist(), strict=True):
        first, last = (i for i, token in enumerate(tokens) if names[token] in OPERATORS)
        for start, stop in ((0, first), (first + 1, last)):
            subjects = [names[token] for token in (tokens[start], *targets[start + 1 : stop])]
            relations = [names[token] for token in tokens[start + 1 : stop]]
            for i, j in combinations(range(len(relations) + 1), 2):
                pieces.add((subjects[i], *relations[i:j]))
    assert len(pieces) > 500
    assert not pieces & tested
    assert not {piece[:2] for piece in pieces} & held_out


def test_operands_name_no_relation_of_the_graph(two_wiki_sample: Path) -> None:
    plain = hold_out(two_wiki.read([two_wiki_sample]), share=0.1)
    graph = comparable(plain)
    rows = TaskDataset.of(graph, compose(plain)).operands
    used = set(np.unique(rows.tokens).tolist())
    operators = {len(graph.entities) + graph.relations.index(operator) for operator in OPERATORS}
    assert {token for token in used if token >= len(graph.entities)} == operators
    assert len(used) > len(plain.entities)
