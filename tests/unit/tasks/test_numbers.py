"""More or fewer: what is written as a number is put into order as it is, without the calendar."""

import pytest

from grokhop.graph.graph import Graph, GraphBuilder, Question, Split
from grokhop.graph.queries import LESS, MORE
from grokhop.language.parser import QuestionParser
from grokhop.tasks.calendar import number_of
from grokhop.tasks.comparison import Comparing, Kind, comparable

PEOPLE = {f"Town {chr(65 + i)}{chr(65 + j)}": (i * 17 + j * 5) % 23 * 10_500 + 1 for i in range(5) for j in range(6)}


def towns() -> Graph:
    builder = GraphBuilder(source="test")
    facts = [builder.fact(town, "population", f"{people:,}") for town, people in PEOPLE.items()]
    builder.question(Question(id="q", type="comparison", text="?", answer="Town AA", facts=(facts[0], facts[1])))
    return builder.build()


GRAPH = comparable(towns())


@pytest.mark.parametrize(
    ("label", "number"),
    [("8,336,817", 8336817.0), ("42", 42.0), ("-3.5", -3.5), ("1,234.5", 1234.5), ("12,34", None), ("1,2345", None),
     ("3 km", None), ("", None), ("three", None), ("1.", None)],
)  # fmt: skip
def test_a_label_is_a_number_when_it_is_written_as_one(label: str, number: float | None) -> None:
    assert number_of(f"thing:{label}", label) == number


def test_numbers_are_compared_by_order_without_a_unit() -> None:
    population = GRAPH.relations.index("population")
    assert Comparing(GRAPH).kinds == [Kind((population,), LESS)]


def test_every_comparison_of_numbers_is_right_by_hand() -> None:
    comparing = Comparing(GRAPH)
    rows = comparing.rows(Split.TRAIN, per_kind=400)
    assert len(rows) > 200
    words = {comparing.token[word]: word for word in ("first", "second", "equal")}
    seen = set()
    for tokens, answer in zip(rows.tokens.tolist(), rows.last_targets().tolist(), strict=True):
        a, b = (PEOPLE[GRAPH.entities[tokens[i]].label] for i in (0, 3))
        assert words[answer] == ("equal" if a == b else "first" if a < b else "second")
        seen.add(words[answer])
    assert seen == {"first", "second", "equal"}


def test_all_numbers_that_are_compared_are_operands() -> None:
    comparing = Comparing(GRAPH)
    rows = comparing.operands(n=4000)
    numbers = {i for i, entity in enumerate(GRAPH.entities) if number_of(entity.key, entity.label) is not None}
    order = rows.tokens[rows.tokens[:, 2] == comparing.token[LESS]]
    assert set(order[:, 1].tolist()) == numbers


@pytest.mark.parametrize(
    ("question", "operator"),
    [
        ("Which town has the larger population, Town AB or Town AC?", MORE),
        ("Which town has more inhabitants, Town AB or Town AC?", MORE),
        ("Which town has the smaller population, Town AB or Town AC?", LESS),
        ("Which town has fewer inhabitants, Town AB or Town AC?", LESS),
    ],
)
def test_more_and_fewer_are_understood(question: str, operator: str) -> None:
    query = QuestionParser(towns()).understand(question).query
    assert query.operator == operator
    assert [towns().entities[branch.head].label for branch in query.branches] == ["Town AB", "Town AC"]
    assert {branch.relations for branch in query.branches} == {(0,)}
