"""Comparisons: decoded row by row into labels and judged by hand."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np
import pytest

from grokhop.core.errors import InputError
from grokhop.graph.graph import Graph, GraphBuilder, Question, Split
from grokhop.graph.queries import LESS, SAME
from grokhop.tasks.calendar import UNITS
from grokhop.tasks.comparison import (
    ALIKE_SHARE,
    COMPARED,
    NEAR,
    OPERATORS,
    Comparing,
    Kind,
    check_comparisons,
    comparable,
    sides,
)
from grokhop.tasks.composition import compose, query_codes
from grokhop.tasks.encoding import GIVEN, NEVER_DUE, NO_TARGET, OPERATOR_LOOPS, TokenBatch, carried, stack
from tests.graphs import answers_by_force, built, parted, random_graph, triples

PEOPLE = 90
Asked = tuple[frozenset[str], tuple[str, ...]]
"""Two heads, and the relations by which they are compared, the calendar's aside."""


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
    parts = rng.choice([Split.TRAIN, Split.VALIDATION, Split.TEST], len(pairs), p=[0.6, 0.2, 0.2])
    return parted(graph, {pair: Split(int(part)) for pair, part in zip(pairs, parts, strict=True)})


PLAIN = asked_graph()
GRAPH = comparable(PLAIN)
MADE = compose(PLAIN)
COMPARING = Comparing(GRAPH, tested=MADE.tested)
TRAINED = COMPARING.rows(Split.TRAIN, per_kind=400)
OPERANDS = COMPARING.operands(n=6000)
ALL_TRAINABLE = replace(GRAPH, part=np.zeros_like(GRAPH.part))


@dataclass(frozen=True)
class Side:
    head: str
    relations: tuple[str, ...]
    ends: tuple[str, ...]

    def steps(self) -> list[tuple[str, str, str]]:
        return list(zip((self.head, *self.ends), self.relations, self.ends, strict=False))


@dataclass(frozen=True)
class Compared:
    """A row of two branches as labels."""

    sides: tuple[Side, Side]
    operator: str
    answer: str

    @property
    def kind(self) -> tuple[tuple[str, ...], str]:
        return self.sides[0].relations, self.operator

    @property
    def asks(self) -> Asked:
        path = tuple(relation for relation in self.sides[0].relations if relation not in UNITS)
        return frozenset(side.head for side in self.sides), path

    def steps(self) -> list[tuple[str, str, str]]:
        return [step for side in self.sides for step in side.steps()]

    def pieces(self) -> Iterator[tuple[str, ...]]:
        """Every chain of two hops or more within either branch."""
        for side in self.sides:
            for start, subject in enumerate((side.head, *side.ends)):
                for stop in range(start + 2, len(side.relations) + 1):
                    yield (subject, *side.relations[start:stop])


@dataclass(frozen=True)
class Operands:
    """A row of named entities as labels: those before each operand, and the operands."""

    before: tuple[tuple[str, ...], tuple[str, ...]]
    operands: tuple[str, str]
    operator: str
    answer: str


def names_of(graph: Graph) -> list[str]:
    return [*(entity.key for entity in graph.entities), *graph.relations]


def cut(graph: Graph, rows: TokenBatch) -> Iterator[tuple[list[list[str]], list[list[int]], str, str]]:
    """Of each row the names and the targets of its two halves without the operators, the operator and the answer."""
    names = names_of(graph)
    for tokens, targets in zip(rows.tokens.tolist(), rows.targets.tolist(), strict=True):
        first, last = (i for i, t in enumerate(tokens) if t >= len(graph.entities) and names[t] in OPERATORS)
        assert tokens[first] == tokens[last]
        halves = (slice(0, first), slice(first + 1, last))
        answer = names[targets[last]].removeprefix("answer:")
        yield (
            [[names[token] for token in tokens[half]] for half in halves],
            [targets[half] for half in halves],
            names[tokens[last]],
            answer,
        )


def decoded(rows: TokenBatch, graph: Graph = GRAPH) -> list[Compared]:
    names, found = names_of(graph), []
    for halves, targets, operator, answer in cut(graph, rows):
        one, two = (
            Side(half[0], tuple(half[1:]), tuple(names[end] for end in ends[1:]))
            for half, ends in zip(halves, targets, strict=True)
        )
        found.append(Compared((one, two), operator, answer))
    return found


def decoded_operands(rows: TokenBatch, graph: Graph = GRAPH) -> list[Operands]:
    found = []
    for (one, two), targets, operator, answer in cut(graph, rows):
        assert {target for half in targets for target in half} == {NO_TARGET}
        found.append(Operands((tuple(one[:-1]), tuple(two[:-1])), (one[-1], two[-1]), operator, answer))
    return found


def facts_of(graph: Graph) -> dict[tuple[str, str, str], Split]:
    return {
        (graph.entities[h].key, graph.relations[r], graph.entities[t].key): Split(part)
        for (h, r, t), part in zip(triples(graph), graph.part.tolist(), strict=True)
    }


def parts_used(rows: TokenBatch) -> set[Split]:
    """The parts of the facts of all rows, the calendar's aside."""
    facts = facts_of(GRAPH)
    return {facts[step] for row in decoded(rows) for step in row.steps() if step[1] not in UNITS}


def asked_pairs(graph: Graph) -> set[Asked]:
    """What the graph's questions compare, each of one or two relations."""
    found = set()
    for question in graph.questions:
        by_relation = defaultdict(list)
        for h, r, _ in question.facts:
            by_relation[graph.relations[r]].append(graph.entities[h].key)
        found.add((frozenset(next(iter(by_relation.values()))), tuple(by_relation)))
    return found


def chains_of_cells(graph: Graph) -> set[tuple[str, ...]]:
    """The queries of all cells of what was composed of the graph."""
    names = names_of(graph)
    return {
        (names[head], *(graph.relations[r] for r in relations))
        for cells in MADE.cells.values()
        for by_cell in cells.values()
        for queries in by_cell.values()
        for head, relations in zip(queries.head.tolist(), queries.relations.tolist(), strict=True)
    }


def lengths_of(rows: TokenBatch) -> list[int]:
    return (rows.read_at != NEVER_DUE).sum(axis=1).tolist()


# What is compared.


def test_what_is_compared_is_read_from_the_questions_and_dates_have_an_order_only() -> None:
    relation = {label: i for i, label in enumerate(GRAPH.relations)}
    dated = [("born",), ("director", "born")]
    expected = {Kind(tuple(relation[r] for r in (*path, unit)), LESS) for path, unit in product(dated, UNITS)}
    assert set(COMPARING.kinds) == expected | {Kind((relation["country"],), SAME)}
    assert len(COMPARING.kinds) == len(set(COMPARING.kinds))


def test_every_kind_is_trained() -> None:
    trained = {row.kind for row in decoded(TRAINED)}
    assert trained == {(tuple(GRAPH.relations[r] for r in kind.relations), kind.operator) for kind in COMPARING.kinds}


def test_a_graph_whose_questions_compare_nothing_stays_as_it_is_and_has_no_comparisons() -> None:
    chains = replace(PLAIN, questions=tuple(q for q in PLAIN.questions if q.type not in COMPARED))
    for graph in (chains, random_graph(entities=12, relations=4, degree=3, holdout=0.2)):
        assert comparable(graph) is graph
        comparing = Comparing(graph)
        made = [comparing.rows(part, pairs=pairs) for part, pairs in product(Split, Split)]
        made.append(comparing.operands())
        assert [len(rows) for rows in made] == [0] * 10
        assert {rows.tokens.shape for rows in made} == {(0, 1)}
        assert check_comparisons(comparing, made[0]) == {"comparison_rows": 0}


def test_questions_of_other_shapes_compare_no_sides() -> None:
    one = PLAIN.questions[0]
    assert sides(one) is not None
    assert sides(replace(one, type="compositional")) is None
    assert sides(replace(one, type="bridge_comparison")) is None
    assert sides(replace(one, facts=one.facts[:1])) is None


def test_a_kind_without_branches_of_a_part_has_no_rows_of_it() -> None:
    """Of the only question no fact is held out, so that there is nothing of the other parts to compare."""
    builder = GraphBuilder(source="test")
    facts = [builder.fact(f"p{i}", "born", f"date:19{i:02d}") for i in range(10, 20)]
    builder.question(Question(id="q", type="comparison", text="?", answer="p10", facts=(facts[0], facts[1])))
    comparing = Comparing(comparable(builder.build()))
    assert [len(comparing.rows(part)) > 0 for part in Split] == [True, False, False]
    one_path = comparing.graph.relation == comparing.graph.relations.index("born")
    alone = replace(comparing.graph, part=np.where(one_path, Split.TEST, Split.TRAIN).astype(np.int8))
    alone.part[0] = Split.TRAIN
    assert len(Comparing(alone).rows(Split.TRAIN)) == 0


# What may be trained.


def test_no_training_comparison_holds_a_held_out_fact() -> None:
    assert {Split.VALIDATION, Split.TEST} <= set(facts_of(GRAPH).values())
    assert parts_used(TRAINED) == {Split.TRAIN}


def test_the_check_above_sees_a_held_out_fact_that_is_smuggled_in() -> None:
    assert parts_used(Comparing(ALL_TRAINABLE).rows(Split.TRAIN, per_kind=400)) == set(Split)


def test_no_answer_depends_on_a_held_out_fact_beside_the_branch() -> None:
    """A film of two directors, one of whose births is held out, would tell of it by its 'yes'."""
    held_out = {(h, r) for (h, r, _), part in facts_of(GRAPH).items() if part != Split.TRAIN}
    onward = defaultdict(set)
    for h, r, t in facts_of(GRAPH):
        onward[h, r].add(t)
    forks = 0
    for row in decoded(TRAINED):
        for side in row.sides:
            reached = {side.head}
            for relation in side.relations:
                assert not held_out & {(entity, relation) for entity in reached}
                reached = {t for entity in reached for t in onward[entity, relation]}
                forks += len(reached) > 1
    assert forks > 0


@pytest.mark.parametrize("part", [Split.VALIDATION, Split.TEST])
def test_rows_of_a_held_out_part_are_of_its_facts_only(part: Split) -> None:
    rows = COMPARING.rows(part, per_kind=100)
    assert len(rows) > 100
    assert parts_used(rows) == {part}


def test_two_heads_that_a_question_compares_are_in_no_row_by_whatever_unit() -> None:
    def touched(graph: Graph) -> set[Asked]:
        rows = Comparing(graph).rows(Split.TRAIN, per_kind=2000)
        return {row.asks for row in decoded(rows, graph)} & asked_pairs(GRAPH)

    assert len(asked_pairs(GRAPH)) == len(GRAPH.questions)
    assert touched(ALL_TRAINABLE) == set()
    assert len(touched(replace(ALL_TRAINABLE, questions=GRAPH.questions[:3]))) > 20


def test_no_training_comparison_holds_a_chain_that_is_tested() -> None:
    pieces = {piece for row in decoded(TRAINED) for piece in row.pieces()}
    tested = chains_of_cells(PLAIN)
    assert len(tested) > 50
    assert not pieces & tested
    careless = decoded(Comparing(GRAPH).rows(Split.TRAIN, per_kind=400))
    assert {piece for row in careless for piece in row.pieces()} & tested


def test_pairs_of_trainable_heads_are_for_one_part_each_and_about_a_tenth_is_held_out() -> None:
    """By whatever unit and from whichever side they are compared."""
    rows = {pairs: decoded(COMPARING.rows(Split.TRAIN, pairs=pairs, per_kind=3000)) for pairs in Split}
    compared = {pairs: {row.asks for row in found} for pairs, found in rows.items()}
    for one, other in combinations(Split, 2):
        assert not compared[one] & compared[other]
    seen = sum(map(len, compared.values()))
    shares = [len(compared[part]) / seen for part in Split]
    assert 0.02 < shares[Split.VALIDATION] < shares[Split.TEST] < 0.1
    assert not set.union(*compared.values()) & asked_pairs(GRAPH)
    for found in rows.values():
        by_unit = Counter(row.kind[0][-1] for row in found)
        assert set(by_unit) == {*UNITS, "country"}
        both_ways = {(row.sides[0].head, row.sides[1].head) for row in found}
        assert any((b, a) in both_ways for a, b in both_ways)


@pytest.mark.parametrize("pairs", [Split.VALIDATION, Split.TEST])
def test_held_out_pairs_are_of_trainable_facts_and_unchains_of_cells(pairs: Split) -> None:
    rows = COMPARING.rows(Split.TRAIN, pairs=pairs, per_kind=2000)
    assert parts_used(rows) == {Split.TRAIN}
    assert not {piece for row in decoded(rows) for piece in row.pieces()} & chains_of_cells(PLAIN)


def test_pairs_of_held_out_facts_are_not_divided() -> None:
    by_pairs = [decoded(COMPARING.rows(Split.TEST, pairs=pairs, per_kind=500)) for pairs in (Split.TRAIN, Split.TEST)]
    one, other = ({row.asks for row in rows} for rows in by_pairs)
    assert len(one & other) > 0.3 * len(one)


# The check that every dataset passes must itself find a leak.


def with_one(rows: TokenBatch, more: TokenBatch, place: int) -> TokenBatch:
    """The rows and one of others."""
    chosen = TokenBatch(tokens=more.tokens[[place]], read_at=more.read_at[[place]], targets=more.targets[[place]])
    return stack([rows, chosen])


def found_in(comparing: Comparing, rows: TokenBatch) -> str:
    with pytest.raises(InputError) as caught:
        check_comparisons(comparing, rows)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_check_passes_the_rows_that_are_made_and_counts_them() -> None:
    assert check_comparisons(COMPARING, TRAINED) == {"comparison_rows": len(TRAINED)}
    assert check_comparisons(Comparing(GRAPH), TRAINED) == {"comparison_rows": len(TRAINED)}


@pytest.mark.parametrize("part", [Split.VALIDATION, Split.TEST])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("hop", [0, 1])
def test_the_check_finds_a_held_out_fact_at_any_hop_of_either_branch(part: Split, side: int, hop: int) -> None:
    smuggled, facts = Comparing(ALL_TRAINABLE).rows(Split.TRAIN, per_kind=2000), facts_of(GRAPH)

    def held_out(row: Compared) -> list[tuple[int, int, Split]]:
        steps = [(s, h, facts[step]) for s in (0, 1) for h, step in enumerate(row.sides[s].steps())]
        return [found for found in steps if found[2] is not Split.TRAIN]

    rows = decoded(smuggled)
    place = next(i for i, row in enumerate(rows) if len(row.kind[0]) == 3 and held_out(row) == [(side, hop, part)])
    message = found_in(Comparing(GRAPH), with_one(TRAINED, smuggled, place))
    assert "leakage: 1 held-out facts, 0 tested queries and 0 asked pairs" in message


@pytest.mark.parametrize("piece", [slice(0, 2), slice(1, 3), slice(0, 3)], ids=["beginning", "end", "whole"])
@pytest.mark.parametrize("side", [0, 1])
def test_the_check_finds_a_tested_chain_in_any_place_of_either_branch(piece: slice, side: int) -> None:
    ids = {name: i for i, name in enumerate(names_of(GRAPH)[: len(GRAPH.entities)])}
    rows = decoded(TRAINED)
    place = next(i for i, row in enumerate(rows) if row.kind[0] == ("director", "born", "year"))
    branch = rows[place].sides[side]
    head = (branch.head, *branch.ends)[piece.start]
    relations = [GRAPH.relations.index(relation) for relation in branch.relations[piece]]
    tested = query_codes(np.array([ids[head]]), np.array([relations]))
    strict = Comparing(GRAPH, tested=np.sort(np.concatenate([MADE.tested, tested])))
    message = found_in(strict, with_one(stack([]), TRAINED, place))
    assert "leakage: 0 held-out facts, 1 tested queries and 0 asked pairs" in message
    kept = decoded(strict.rows(Split.TRAIN, per_kind=400))
    assert (head, *branch.relations[piece]) not in {found for row in kept for found in row.pieces()}


@pytest.mark.parametrize("exchanged", [False, True])
def test_the_check_finds_an_asked_pair_from_either_side(exchanged: bool) -> None:
    careless = Comparing(replace(GRAPH, questions=GRAPH.questions[:3])).rows(Split.TRAIN, per_kind=2000)
    rows, asked = decoded(careless), asked_pairs(GRAPH)
    places = [i for i, row in enumerate(rows) if row.asks in asked]
    ordered = [i for i in places if (rows[i].sides[0].head > rows[i].sides[1].head) == exchanged]
    message = found_in(Comparing(GRAPH), with_one(TRAINED, careless, ordered[0]))
    assert "leakage: 0 held-out facts, 0 tested queries and 1 asked pairs" in message
    assert f"{len(places)} asked pairs" in found_in(Comparing(GRAPH), careless)


# What is answered.


def test_every_hop_is_told_the_end_of_a_fact_from_the_end_before() -> None:
    facts = facts_of(GRAPH)
    for row in decoded(TRAINED):
        assert all(step in facts for step in row.steps())
        assert all(len(side.ends) == len(side.relations) for side in row.sides)
        assert row.sides[0].relations == row.sides[1].relations
        assert row.sides[0].head != row.sides[1].head


def number(key: str) -> int:
    return int(key.split(":")[1])


def order_by_hand(one: str, two: str) -> str:
    if number(one) == number(two):
        return "equal"
    return "first" if number(one) < number(two) else "second"


def by_hand(row: Compared, graph: Graph) -> str:
    if row.operator == LESS:
        return order_by_hand(row.sides[0].ends[-1], row.sides[1].ends[-1])
    ids = {entity.key: i for i, entity in enumerate(graph.entities)}
    relations = [graph.relations.index(r) for r in row.sides[0].relations]
    one, two = (answers_by_force(graph, ids[side.head], relations) for side in row.sides)
    return "yes" if one & two else "no"


@pytest.mark.parametrize(
    ("facts", "pairs"),
    [
        (Split.TRAIN, Split.TRAIN),
        (Split.TRAIN, Split.TEST),
        (Split.VALIDATION, Split.TRAIN),
        (Split.TEST, Split.TRAIN),
    ],
)
def test_every_answer_is_right_by_hand(facts: Split, pairs: Split) -> None:
    rows = decoded(COMPARING.rows(facts, pairs=pairs, per_kind=1000 if pairs else 60))
    assert len(rows) > 100
    for row in rows:
        assert row.answer == by_hand(row, GRAPH), row


def test_one_shared_country_of_two_is_the_same_whichever_of_them_the_row_names() -> None:
    builder = GraphBuilder(source="test")
    three, four, *_ = (
        builder.fact(*fact) for fact in (("c", "is", "x"), ("d", "is", "z"), ("a", "is", "x"), ("b", "is", "y"))
    )
    builder.fact("a", "is", "y")
    builder.question(Question(id="q", type="comparison", text="?", answer="no", facts=(three, four)))
    graph = comparable(builder.build())
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    ends: dict[tuple[str, str], set[str]] = defaultdict(set)
    for pairs in Split:
        for row in decoded(Comparing(graph).rows(Split.TRAIN, pairs=pairs), graph):
            heads = (row.sides[0].head, row.sides[1].head)
            found[heads].add(row.answer)
            ends[heads].add(row.sides[0].ends[-1])
    assert found["a", "b"] == found["b", "a"] == found["a", "c"] == {"yes"}
    assert ends["a", "b"] == {"x", "y"}
    assert found["b", "c"] == found["a", "d"] == {"no"}
    assert ("c", "d") not in found


def test_no_answer_can_be_guessed_from_the_kind() -> None:
    answers: dict[tuple[tuple[str, ...], str], Counter[str]] = defaultdict(Counter)
    for row in decoded(TRAINED):
        answers[row.kind][row.answer] += 1
    assert len(answers) == len(COMPARING.kinds)
    for kind, counted in answers.items():
        assert max(counted.values()) <= 0.75 * counted.total(), kind
        if kind[1] == LESS:
            first, second = counted["first"], counted["second"]
            assert abs(first - second) <= 4 * (first + second) ** 0.5, kind


# Operands by themselves.


def test_operands_are_named_and_no_relation_stands_between_them() -> None:
    entities = len(GRAPH.entities)
    names = names_of(GRAPH)
    used = OPERANDS.read_at != NEVER_DUE
    for tokens, known in zip(OPERANDS.tokens, used, strict=True):
        relations = [names[token] for token in tokens[known].tolist() if token >= entities]
        assert relations in ([SAME, SAME], [LESS, LESS])


def test_operands_stand_where_the_branches_of_a_comparison_end() -> None:
    """The operators are at the same places, and work as long after what they compare."""

    def places(rows: TokenBatch) -> set[tuple[str, tuple[int, ...]]]:
        names = names_of(GRAPH)
        found = set()
        for tokens in rows.tokens.tolist():
            named = [(i, names[t]) for i, t in enumerate(tokens) if t >= len(GRAPH.entities)]
            operators = [(i, name) for i, name in named if name in OPERATORS]
            found.add((operators[0][1], tuple(i for i, _ in operators)))
        return found

    assert places(OPERANDS) == places(TRAINED)
    for read_at, length in zip(OPERANDS.read_at.tolist(), lengths_of(OPERANDS), strict=True):
        before = length // 2 - 2
        expected = [*[GIVEN] * (before + 1), carried(1), *[GIVEN] * (before + 1), OPERATOR_LOOPS]
        assert read_at == expected + [NEVER_DUE] * (len(read_at) - length)
    np.testing.assert_array_equal(OPERANDS.read_at > GIVEN, OPERANDS.targets != NO_TARGET)


def test_every_answer_about_operands_is_right_by_hand_from_what_is_right_before_each_operator() -> None:
    for row in decoded_operands(OPERANDS):
        one, two = row.operands
        if row.operator == SAME:
            assert row.answer == ("yes" if one == two else "no"), row
        else:
            assert one.split(":")[0] == two.split(":")[0], row
            assert row.answer == order_by_hand(one, two), row


def test_the_order_of_every_number_and_the_sameness_of_every_entity_is_shown() -> None:
    rows = decoded_operands(OPERANDS)
    numbers = {t for _, r, t in facts_of(GRAPH) if r in UNITS}
    shown = {operator: {o for row in rows if row.operator == operator for o in row.operands} for operator in OPERATORS}
    assert shown[LESS] == numbers
    assert shown[SAME] == {entity.key for entity in GRAPH.entities}


def test_operands_are_as_many_of_each_operator_and_of_each_unit_as_it_has_numbers() -> None:
    rows = decoded_operands(OPERANDS)
    by_operator = Counter(row.operator for row in rows)
    units = {t: r for _, r, t in facts_of(GRAPH) if r in UNITS}
    by_unit = Counter(units[row.operands[0]] for row in rows if row.operator == LESS)
    sizes = Counter(units.values())
    assert by_operator[SAME] == 6000
    assert abs(by_operator[LESS] - 6000) <= len(by_unit) * 2
    for unit in UNITS:
        assert by_unit[unit] == pytest.approx(6000 * sizes[unit] / sizes.total(), abs=2)


def test_no_answer_about_operands_can_be_guessed() -> None:
    answers = {o: Counter(row.answer for row in decoded_operands(OPERANDS) if row.operator == o) for o in OPERATORS}
    assert answers[SAME].keys() == {"yes", "no"}
    assert answers[LESS].keys() == {"first", "second", "equal"}
    assert answers[SAME]["yes"] / answers[SAME].total() == pytest.approx(0.5, abs=0.04)
    first, second = answers[LESS]["first"], answers[LESS]["second"]
    assert abs(first - second) <= 4 * (first + second) ** 0.5
    assert answers[LESS]["equal"] <= 0.2 * answers[LESS].total()


def test_half_of_the_years_that_are_put_into_order_are_near_to_each_other() -> None:
    years = sorted({t for _, r, t in facts_of(GRAPH) if r == "year"}, key=number)
    rows = [row.operands for row in decoded_operands(OPERANDS) if row.operator == LESS and row.operands[0] in years]
    near = np.mean([abs(years.index(one) - years.index(two)) <= NEAR for one, two in rows])
    by_chance = np.mean([abs(i - j) <= NEAR for i, j in product(range(len(years)), repeat=2)])
    assert near == pytest.approx((1 + by_chance) / 2, abs=0.04)


def test_some_operands_have_the_same_entities_before_them_whatever_the_answer() -> None:
    for operator in OPERATORS:
        rows = [row for row in decoded_operands(OPERANDS) if row.operator == operator]
        alike = [row for row in rows if row.before[0] == row.before[1]]
        by_chance = 1 / len(GRAPH.entities)
        assert len(alike) / len(rows) == pytest.approx(ALIKE_SHARE + by_chance, abs=0.02)
        answers = Counter(row.answer for row in alike)
        assert min(answers.values()) > 0 and len(answers) == len({row.answer for row in rows})
    assert {len(row.before[0]) for row in decoded_operands(OPERANDS)} == {1, 2, 3}


def test_operands_hold_no_order_where_no_date_is_compared() -> None:
    country = [q for q in PLAIN.questions if q.id.startswith("country")]
    graph = comparable(replace(PLAIN, questions=tuple(country)))
    rows = decoded_operands(Comparing(graph).operands(n=100), graph)
    assert Counter(row.operator for row in rows) == {SAME: 100}


# How rows are laid out.


def test_the_operator_works_behind_both_branches_and_is_read_out_behind_the_second() -> None:
    lengths = set()
    for tokens, read_at, targets in zip(TRAINED.tokens, TRAINED.read_at, TRAINED.targets, strict=True):
        used = int((read_at != NEVER_DUE).sum())
        k = (used - 4) // 2
        lengths.add(k)
        branch = [GIVEN, *range(1, k + 1)]
        assert read_at[:used].tolist() == [*branch, carried(k + 1), *branch, k + OPERATOR_LOOPS]
        assert (read_at[used:] == NEVER_DUE).all()
        assert (tokens[used:] == 0).all()
        np.testing.assert_array_equal(targets == NO_TARGET, read_at <= GIVEN)
    assert OPERATOR_LOOPS == 2
    assert lengths == {1, 2, 3}


def test_the_row_of_a_question_is_as_those_that_were_trained_without_targets() -> None:
    trained = next(row for row in decoded(TRAINED) if row.kind == (("director", "born", "year"), LESS))
    ids = {entity.key: i for i, entity in enumerate(GRAPH.entities)}
    asked = sides(next(q for q in GRAPH.questions if q.type == "bridge_comparison"))
    assert asked is not None
    heads = (ids[trained.sides[0].head], ids[trained.sides[1].head])
    row = COMPARING.query(replace(asked, heads=heads), LESS, "year")
    assert row.tokens.shape == TRAINED.tokens[:1].shape
    found = (TRAINED.tokens == row.tokens).all(axis=1)
    assert found.any()
    assert (TRAINED.read_at[found] == row.read_at).all()
    assert set(row.targets.flatten().tolist()) == {NO_TARGET}


@pytest.mark.parametrize("operator", OPERATORS)
def test_rows_of_one_operator_alone_can_be_had(operator: str) -> None:
    rows = decoded(COMPARING.rows(Split.TRAIN, operators=(operator,), per_kind=50))
    kinds = {row.kind for row in decoded(TRAINED) if row.operator == operator}
    assert {row.kind for row in rows} == kinds


def test_the_same_seed_makes_the_same_rows() -> None:
    again, other = (COMPARING.rows(Split.TEST, per_kind=50, seed=seed) for seed in (0, 1))
    first = Comparing(GRAPH, tested=MADE.tested).rows(Split.TEST, per_kind=50)
    operands, more = COMPARING.operands(n=50, seed=0), COMPARING.operands(n=50, seed=1)
    for column in ("tokens", "read_at", "targets"):
        np.testing.assert_array_equal(getattr(first, column), getattr(again, column))
        np.testing.assert_array_equal(getattr(operands, column), getattr(Comparing(GRAPH).operands(n=50), column))
    assert other.tokens.tolist() != first.tokens.tolist()
    assert more.tokens.tolist() != operands.tokens.tolist()


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


def test_the_check_is_not_led_astray_by_a_relation_of_the_graphs_own_that_is_called_as_an_operator() -> None:
    plain = built([(f"p{i}", "LESS", f"c{i % 3}") for i in range(12)])
    question = Question(id="q", type="comparison", text="?", answer="no", facts=tuple(triples(plain)[:2]))
    graph = comparable(replace(plain, questions=(question,)))
    rows = Comparing(graph).rows(Split.TRAIN, per_kind=50)
    assert check_comparisons(Comparing(graph), rows) == {"comparison_rows": len(rows)}
    held_out = Comparing(replace(graph, part=np.full_like(graph.part, Split.TEST)))
    assert f"{2 * len(rows)} held-out facts" in found_in(held_out, rows)
