"""Comparisons: decoded row by row into labels and judged by hand."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pytest
from graphs import answers_by_force, parted, random_graph, triples

from grokhop.calendar import UNITS
from grokhop.compare import COMPARED, LOOPS, OPERATORS, Comparing, Kind, comparable, sides
from grokhop.encode import GIVEN, NEVER_DUE, NO_TARGET, Rows
from grokhop.graph import Graph, GraphBuilder, Part, Question
from grokhop.query import LESS, MORE, SAME

PEOPLE = 90


def asked_graph(*, forks: bool = True) -> Graph:
    """Films with directors, people with dates of birth and one or two countries; some pairs of each are asked."""
    rng, builder = np.random.default_rng(1), GraphBuilder(source="test")
    born, directs, country = [], [], []
    for i in range(PEOPLE):
        year, month, day = (int(rng.integers(*span)) for span in ((1900, 1930), (1, 5), (1, 29)))
        key = f"date:{year}" if i % 9 == 0 else f"date:{year}-{month:02d}-{day:02d}"
        born.append(builder.fact(f"p{i}", "born", key))
        country.append(builder.fact(f"p{i}", "country", f"c{rng.integers(8)}"))
        directs.append(builder.fact(f"f{i}", "director", f"p{i}"))
        if forks and i % 4 == 0:
            builder.fact(f"p{i}", "country", f"c{rng.integers(8)}")
            builder.fact(f"f{i}", "director", f"p{(i + 1) % PEOPLE}")
    for i in range(0, 40, 2):
        j = i + 1
        for name, kind, facts in (
            ("country", "comparison", (country[i], country[j])),
            ("born", "comparison", (born[i], born[j])),
            ("film", "bridge_comparison", (directs[i], born[i], directs[j], born[j])),
        ):
            builder.question(Question(id=f"{name}{i}", type=kind, text="?", answer="!", facts=facts))
    graph = builder.build()
    pairs = sorted({(graph.entities[h].label, graph.relations[r]) for h, r, _ in triples(graph)})
    parts = rng.choice([Part.TRAIN, Part.VALIDATION, Part.TEST], len(pairs), p=[0.6, 0.2, 0.2])
    return parted(graph, {pair: Part(int(part)) for pair, part in zip(pairs, parts, strict=True)})


PLAIN = asked_graph()
GRAPH = comparable(PLAIN)
COMPARING = Comparing(GRAPH)
TRAINED = COMPARING.rows(Part.TRAIN, per_kind=400)


@dataclass(frozen=True)
class Side:
    head: str
    relations: tuple[str, ...]
    ends: tuple[str, ...]


@dataclass(frozen=True)
class Compared:
    """A row as labels; the sides of a row that compares two entities by themselves have no relations."""

    sides: tuple[Side, Side]
    operator: str
    answer: str

    @property
    def kind(self) -> tuple[tuple[str, ...], str]:
        return self.sides[0].relations, self.operator


def decoded(graph: Graph, rows: Rows) -> Iterator[Compared]:
    names = [*(entity.key for entity in graph.entities), *graph.relations]
    for tokens, due, targets in zip(rows.tokens.tolist(), rows.due.tolist(), rows.targets.tolist(), strict=True):
        length = due.index(NEVER_DUE) if NEVER_DUE in due else len(due)
        second = next(i for i in range(1, length) if tokens[i] < len(graph.entities))
        found = []
        for start, stop in ((0, second), (second, length - 1)):
            relations, ends = (tuple(names[t] for t in c[start + 1 : stop]) for c in (tokens, targets))
            found.append(Side(names[tokens[start]], relations, ends))
        answer = names[targets[length - 1]].removeprefix("answer:")
        yield Compared((found[0], found[1]), names[tokens[length - 1]], answer)


def facts_of(graph: Graph) -> dict[tuple[str, str, str], Part]:
    return {
        (graph.entities[h].key, graph.relations[r], graph.entities[t].key): Part(part)
        for (h, r, t), part in zip(triples(graph), graph.part.tolist(), strict=True)
    }


def steps_of(row: Compared) -> Iterator[tuple[str, str, str]]:
    for side in row.sides:
        yield from zip((side.head, *side.ends), side.relations, side.ends, strict=False)


def compared(rows: Rows, graph: Graph = GRAPH) -> list[Compared]:
    return [row for row in decoded(graph, rows) if row.sides[0].relations]


def parts_used(graph: Graph, rows: Rows) -> set[Part]:
    """The parts of the facts of all rows, the calendar's aside."""
    facts = facts_of(graph)
    return {facts[step] for row in compared(rows, graph) for step in steps_of(row) if step[1] not in UNITS}


# What is compared.


def test_what_is_compared_is_read_from_the_questions() -> None:
    relation = {label: i for i, label in enumerate(GRAPH.relations)}
    dated = [("born",), ("director", "born")]
    expected = {
        Kind(tuple(relation[r] for r in (*path, unit)), o) for path, unit, o in product(dated, UNITS, OPERATORS)
    }
    assert set(COMPARING.kinds) == expected | {Kind((relation["country"],), SAME)}
    assert len(COMPARING.kinds) == len(set(COMPARING.kinds))


def test_a_graph_whose_questions_compare_nothing_stays_as_it_is_and_has_no_comparisons() -> None:
    chains = replace(PLAIN, questions=tuple(q for q in PLAIN.questions if q.type not in COMPARED))
    for graph in (chains, random_graph(entities=12, relations=4, degree=3, holdout=0.2)):
        assert comparable(graph) is graph
        assert [len(Comparing(graph).rows(part)) for part in Part] == [0, 0, 0]


def test_questions_of_other_shapes_compare_no_sides() -> None:
    one = PLAIN.questions[0]
    assert sides(one) is not None
    assert sides(replace(one, type="compositional")) is None
    assert sides(replace(one, type="bridge_comparison")) is None
    assert sides(replace(one, facts=one.facts[:1])) is None


# What may be trained.


def test_no_training_comparison_holds_a_held_out_fact() -> None:
    assert {Part.VALIDATION, Part.TEST} <= set(facts_of(GRAPH).values())
    assert parts_used(GRAPH, TRAINED) == {Part.TRAIN}


def test_the_check_above_sees_a_held_out_fact_that_is_smuggled_in() -> None:
    smuggled = Comparing(replace(GRAPH, part=np.zeros_like(GRAPH.part))).rows(Part.TRAIN, per_kind=400)
    assert parts_used(GRAPH, smuggled) == set(Part)


def test_no_answer_depends_on_a_held_out_fact_beside_the_branch() -> None:
    """A film of two directors, one of whose births is held out, would tell of it by its 'yes'."""
    held_out = {(h, r) for (h, r, _), part in facts_of(GRAPH).items() if part != Part.TRAIN}
    onward = defaultdict(set)
    for h, r, t in facts_of(GRAPH):
        onward[h, r].add(t)
    for row in compared(TRAINED):
        for side in row.sides:
            reached = {side.head}
            for relation in side.relations:
                assert not held_out & {(entity, relation) for entity in reached}
                reached = {t for entity in reached for t in onward[entity, relation]}


@pytest.mark.parametrize("part", [Part.VALIDATION, Part.TEST])
def test_rows_of_a_held_out_part_are_of_its_facts_only(part: Part) -> None:
    rows = COMPARING.rows(part, per_kind=100)
    assert len(rows) > 100
    assert parts_used(GRAPH, rows) == {part}
    assert all(row.sides[0].relations for row in decoded(GRAPH, rows))


def test_two_heads_that_a_question_compares_are_in_no_row() -> None:
    asked = {}
    for question in GRAPH.questions:
        by_relation = defaultdict(list)
        for h, r, _ in question.facts:
            by_relation[GRAPH.relations[r]].append(GRAPH.entities[h].key)
        asked[frozenset(next(iter(by_relation.values()))), tuple(by_relation)] = question

    def touched(graph: Graph) -> int:
        rows = compared(Comparing(graph).rows(Part.TRAIN, per_kind=2000), graph)
        heads = [frozenset(side.head for side in row.sides) for row in rows]
        paths = [tuple(r for r in row.sides[0].relations if r not in UNITS) for row in rows]
        return sum(key in asked for key in zip(heads, paths, strict=True))

    trainable = replace(GRAPH, part=np.zeros_like(GRAPH.part))
    first_of_each = (GRAPH.questions[0], GRAPH.questions[1], GRAPH.questions[2])
    assert len(asked) == len(GRAPH.questions)
    assert touched(trainable) == 0
    assert touched(replace(trainable, questions=first_of_each)) > 0


# What is answered.


def test_every_hop_is_told_the_end_of_a_fact_from_the_end_before() -> None:
    facts = facts_of(GRAPH)
    assert all(step in facts for row in compared(TRAINED) for step in steps_of(row))
    assert all(row.sides[0].relations == row.sides[1].relations for row in compared(TRAINED))
    assert all(row.sides[0].head != row.sides[1].head for row in compared(TRAINED))


def number(key: str) -> int:
    return int(key.split(":")[1])


def by_hand(row: Compared, graph: Graph) -> str:
    ids = {entity.key: i for i, entity in enumerate(graph.entities)}
    if row.operator == SAME:
        relations = [graph.relations.index(r) for r in row.sides[0].relations]
        one, two = (answers_by_force(graph, ids[side.head], relations) for side in row.sides)
        return "yes" if one & two else "no"
    one_end, two_end = (number((side.head, *side.ends)[-1]) for side in row.sides)
    if one_end == two_end:
        return "equal"
    wanted = {LESS: min, MORE: max}[row.operator](one_end, two_end)
    return "first" if one_end == wanted else "second"


@pytest.mark.parametrize("part", list(Part))
def test_every_answer_is_right_by_hand(part: Part) -> None:
    rows = list(decoded(GRAPH, COMPARING.rows(part, per_kind=60)))
    assert len(rows) > 100
    for row in rows:
        assert row.answer == by_hand(row, GRAPH), row


def test_one_shared_country_of_two_is_the_same() -> None:
    builder = GraphBuilder(source="test")
    one, two, three, four = (builder.fact(*fact) for fact in (("a", "is", "x"), ("b", "is", "y"), ("c", "is", "x"),
                                                              ("d", "is", "z")))  # fmt: skip
    builder.fact("a", "is", "y")
    builder.question(Question(id="q", type="comparison", text="?", answer="no", facts=(three, four)))
    graph = comparable(builder.build())
    found = {(r.sides[0].head, r.sides[1].head): r.answer for r in compared(Comparing(graph).rows(Part.TRAIN), graph)}
    assert found["a", "b"] == found["b", "a"] == found["a", "c"] == "yes"
    assert found["b", "c"] == found["a", "d"] == "no"
    assert ("c", "d") not in found
    assert (one, two) != (three, four)


def test_no_answer_can_be_guessed_from_the_kind() -> None:
    answers: dict[tuple[tuple[str, ...], str], Counter[str]] = defaultdict(Counter)
    for row in decoded(GRAPH, TRAINED):
        answers[row.kind][row.answer] += 1
    assert len(answers) == len(COMPARING.kinds) + len(OPERATORS)
    for kind, counted in answers.items():
        assert max(counted.values()) <= 0.75 * counted.total(), kind
        if kind[1] != SAME:
            first, second = counted["first"], counted["second"]
            assert abs(first - second) <= 4 * (first + second) ** 0.5, kind


# How rows are laid out.


def test_the_operator_is_due_two_loops_after_the_last_hop_and_padding_never() -> None:
    lengths = set()
    for tokens, due, targets in zip(TRAINED.tokens, TRAINED.due, TRAINED.targets, strict=True):
        used = int((due != NEVER_DUE).sum())
        k = (used - 3) // 2
        lengths.add(k)
        assert due.tolist() == [GIVEN, *range(1, k + 1)] * 2 + [k + LOOPS] + [NEVER_DUE] * (len(due) - used)
        assert (tokens[used:] == 0).all()
        np.testing.assert_array_equal(targets == NO_TARGET, due <= GIVEN)
    assert LOOPS == 2
    assert lengths == {0, 1, 2, 3}


def test_the_row_of_a_question_is_as_those_that_were_trained_without_targets() -> None:
    trained = next(row for row in compared(TRAINED) if row.kind == (("director", "born", "year"), LESS))
    ids = {entity.key: i for i, entity in enumerate(GRAPH.entities)}
    asked = sides(next(q for q in GRAPH.questions if q.type == "bridge_comparison"))
    assert asked is not None
    heads = (ids[trained.sides[0].head], ids[trained.sides[1].head])
    row = COMPARING.query(replace(asked, heads=heads), LESS, "year")
    width = TRAINED.tokens.shape[1] - len(row.tokens)
    found = (TRAINED.tokens == np.array([*row.tokens, *[0] * width])).all(axis=1)
    assert found.any()
    assert (TRAINED.due[found] == np.array([*row.due, *[NEVER_DUE] * width])).all()
    assert set(row.targets) == {NO_TARGET}


def test_the_same_seed_makes_the_same_rows() -> None:
    again, other = (COMPARING.rows(Part.TEST, per_kind=50, seed=seed) for seed in (0, 1))
    first = Comparing(GRAPH).rows(Part.TEST, per_kind=50)
    for column in ("tokens", "due", "targets"):
        np.testing.assert_array_equal(getattr(first, column), getattr(again, column))
    assert other.tokens.tolist() != first.tokens.tolist()


def test_a_relation_of_the_graphs_own_that_is_called_year_is_none_of_the_calendar() -> None:
    builder = GraphBuilder(source="test")
    builder.entity("date:1975-03-08", label="8 March 1975")
    born = tuple(builder.fact(person, "date of birth", "date:1975-03-08") for person in ("a", "b"))
    builder.fact("a", "year", "b")
    question = Question(id="q", type="comparison", text="Who was born first, a or b?", answer="a", facts=born)
    builder.question(question)
    graph = comparable(builder.build())
    comparing = Comparing(graph)
    assert graph.relations.count("year") == 2
    assert comparing.units["year"] != graph.relations.index("year")
    assert all(graph.relations.index("year") not in kind.relations for kind in comparing.kinds)
