"""Answers to queries of every kind from a model that follows the facts, or errs where it is told to."""

from collections.abc import Callable
from typing import cast

import pytest
import torch
from torch import Tensor

from grokhop.graph.graph import Graph, GraphBuilder, Question
from grokhop.graph.queries import LESS, LIVED_LONGER, MORE, SAME, Branch, Query
from grokhop.inference.answering import QuestionAnswerer
from grokhop.models.base import Hops
from grokhop.models.looped import LoopTransformer
from grokhop.tasks.comparison import comparable
from grokhop.tasks.encoding import GIVEN, NEVER_DUE
from tests.graphs import triples

BORN = {
    "ann": "1900-05-07", "bob": "1901-02-03", "cyd": "1901-02-09", "dan": "1901-08-01", "eve": "1901-02-03",
    "fay": "-0044-03-15", "gus": "-0043-01-01",
}  # fmt: skip
DIED = {"ann": "1950-01-01", "bob": "1999-12-31", "cyd": "1999-12-31", "dan": "1920-01-01", "fay": "0010-01-01",
        "gus": "0009-01-01"}  # fmt: skip


def people(*more: tuple[str, str, str]) -> Graph:
    builder = GraphBuilder(source="test")
    born = [builder.fact(name, "born", f"date:{date}") for name, date in BORN.items()]
    for name, date in DIED.items():
        builder.fact(name, "died", f"date:{date}")
    for name in BORN:
        builder.fact(f"film of {name}", "director", name)
        builder.fact(name, "country", "north" if name < "cz" else "south")
    for fact in (("eve", "died", "date:unknown"), *more):
        builder.fact(*fact)
    facts = (born[0], born[1])
    builder.question(Question(id="q", type="comparison", text="?", answer="ann", facts=facts))
    return comparable(builder.build())


class Stub:
    """A model that follows the facts and compares keys; `told` overrides what is read at (row, position)."""

    device = torch.device("cpu")

    def __init__(self, graph: Graph, told: Callable[[int, int], int | None] = lambda _row, _position: None) -> None:
        self.graph, self.told, self.asked = graph, told, list[str]()
        self.rows = list[list[str]]()
        self.tail = {(h, r): t for h, r, t in triples(graph)}
        self.names = [*(entity.key for entity in graph.entities), *graph.relations]

    def hops(self, tokens: Tensor, read_at: Tensor) -> Hops:
        entities = torch.full_like(tokens, -1)
        for row, line in enumerate(tokens.tolist()):
            self.rows.append(
                [self.names[token] for token, loop in zip(line, read_at[row], strict=True) if loop != NEVER_DUE]
            )
            ends: list[int] = []
            for position, token in enumerate(line):
                loop = int(read_at[row, position])
                if loop == GIVEN:
                    ends.append(token)
                elif loop > GIVEN:
                    name = self.names[token]
                    if name in (SAME, LESS):
                        self.asked.append(self.names[line[position - 1]])
                        read = self.names.index(f"answer:{self.judged(name, *ends)}")
                    else:
                        read = ends[-1] = self.tail.get((ends[-1], token - len(self.graph.entities)), 0)
                    other = self.told(row, position)
                    entities[row, position] = read if other is None else other
        return Hops(entities, torch.where(entities < 0, 0.0, 0.5))

    def judged(self, operator: str, one: int, two: int) -> str:
        if operator == SAME:
            return "yes" if one == two else "no"
        a, b = (int(self.names[end].split(":")[1]) for end in (one, two))
        return "equal" if a == b else "first" if a < b else "second"


GRAPH = people()


def branch(head: str, *relations: str, graph: Graph = GRAPH) -> Branch:
    number = next(i for i, entity in enumerate(graph.entities) if entity.key == head)
    return Branch(number, tuple(graph.relations.index(r) for r in relations))


def responder_of(stub: Stub) -> QuestionAnswerer:
    return QuestionAnswerer(stub.graph, cast(LoopTransformer, stub))


def compares(operator: str, one: str, two: str, *relations: str, graph: Graph = GRAPH) -> Query:
    return Query((branch(one, *relations, graph=graph), branch(two, *relations, graph=graph)), operator)


def lives(one: str, two: str) -> Query:
    return Query(tuple(branch(name, date) for name in (one, two) for date in ("born", "died")), LIVED_LONGER)


def test_a_chain_is_answered_with_its_end_and_told_hop_by_hop() -> None:
    responder, query = responder_of(Stub(GRAPH)), Query((branch("film of dan", "director", "country"),))
    response = responder.respond([query])[0]
    assert (response.answer, response.probability) == ("south", 0.5)
    assert [(h.branch, h.position, h.loop, responder.label(h.token)) for h in response.hops] == [
        (0, 1, 1, "dan"),
        (0, 2, 2, "south"),
    ]
    assert responder.evidence(query, response) == (("film of dan", "director", "dan"), ("dan", "country", "south"))


@pytest.mark.parametrize(
    ("one", "two", "earlier", "units"),
    [
        ("ann", "bob", "ann", ["year"]),
        ("bob", "ann", "ann", ["year"]),
        ("dan", "bob", "bob", ["year", "month"]),
        ("cyd", "bob", "bob", ["year", "month", "day"]),
        ("gus", "fay", "fay", ["year"]),
        ("bob", "eve", "equal", ["year", "month", "day"]),
    ],
)
@pytest.mark.parametrize("by_film", [False, True])
def test_dates_are_compared_by_year_and_where_equal_by_month_and_day(
    one: str, two: str, earlier: str, units: list[str], by_film: bool
) -> None:
    path, prefix = (("director", "born"), "film of ") if by_film else (("born",), "")
    later = "equal" if earlier == "equal" else one if earlier == two else two
    for operator, winner in ((LESS, earlier), (MORE, later)):
        stub = Stub(GRAPH)
        query = compares(operator, prefix + one, prefix + two, *path)
        response = responder_of(stub).respond([query])[0]
        assert response.answer == (winner if winner == "equal" else prefix + winner)
        assert stub.asked == units


@pytest.mark.parametrize("by_film", [False, True])
def test_what_is_later_is_asked_as_what_is_earlier_with_the_branches_exchanged(by_film: bool) -> None:
    path, prefix = (("director", "born"), "film of ") if by_film else (("born",), "")
    one, two = f"{prefix}ann", f"{prefix}bob"
    stub = Stub(GRAPH)
    earlier, later = responder_of(stub).respond([compares(o, one, two, *path) for o in (LESS, MORE)])
    asked = [*path, "year", LESS]
    assert stub.rows == [[one, *asked, two, *asked], [two, *asked, one, *asked]]
    assert (earlier.answer, later.answer) == (one, two)


def test_the_hops_of_what_is_later_belong_to_the_branches_as_they_were_asked() -> None:
    query = compares(MORE, "film of dan", "film of ann", "director", "born")
    stub = Stub(GRAPH)
    responder = responder_of(stub)
    response = responder.respond([query])[0]
    ends = {branch: [responder.label(h.token) for h in response.hops[:-1] if h.branch == branch] for branch in (0, 1)}
    assert ends == {0: ["dan", "date:1901-08-01", "1901"], 1: ["ann", "date:1900-05-07", "1900"]}
    assert responder.evidence(query, response) == (
        ("film of dan", "director", "dan"),
        ("dan", "born", "date:1901-08-01"),
        ("film of ann", "director", "ann"),
        ("ann", "born", "date:1900-05-07"),
    )
    named = [["film of ann", "film of dan"][hop.position > 4] for hop in response.hops[:-1]]
    assert [stub.rows[0][0], stub.rows[0][5]] == ["film of ann", "film of dan"]
    assert [["film of dan", "film of ann"][hop.branch] for hop in response.hops[:-1]] == named


@pytest.mark.parametrize("operator", [LESS, MORE])
@pytest.mark.parametrize(("word", "winner"), [("first", "ann"), ("second", "bob")])
def test_the_first_and_the_second_are_those_of_the_question_whichever_stands_first_in_the_row(
    operator: str, word: str, winner: str
) -> None:
    """Ann put second is called the earlier one of the row by 'second': then it is Bob who is later."""
    read = next(i for i, entity in enumerate(GRAPH.entities) if entity.key == f"answer:{word}")
    stub = Stub(GRAPH, lambda _row, position: read if position == 7 else None)
    assert responder_of(stub).respond([compares(operator, "ann", "bob", "born")])[0].answer == winner


def test_every_hop_is_told_with_the_relation_or_operator_it_was_asked_by_and_what_is_carried_is_none() -> None:
    responder = responder_of(Stub(GRAPH))
    response = responder.respond([compares(LESS, "ann", "bob", "born")])[0]
    found = [(h.branch, h.position, h.loop, responder.label(h.asked), responder.label(h.token)) for h in response.hops]
    assert found == [
        (0, 1, 1, "born", "date:1900-05-07"),
        (0, 2, 2, "year", "1900"),
        (1, 5, 1, "born", "date:1901-02-03"),
        (1, 6, 2, "year", "1901"),
        (1, 7, 4, LESS, "first"),
    ]


def test_sameness_is_asked_of_a_graph_without_a_date_too() -> None:
    builder = GraphBuilder(source="test")
    facts = tuple(builder.fact(name, "country", end) for name, end in (("a", "x"), ("b", "x"), ("c", "y")))
    builder.question(Question(id="q", type="comparison", text="?", answer="yes", facts=facts[:2]))
    graph = comparable(builder.build())
    queries = [compares(SAME, "a", other, "country", graph=graph) for other in ("b", "c")]
    assert [response.answer for response in responder_of(Stub(graph)).respond(queries)] == ["yes", "no"]


@pytest.mark.parametrize(("one", "two", "expected"), [("ann", "bob", "yes"), ("ann", "dan", "no")])
def test_sameness_is_answered_with_yes_or_no_after_one_look(one: str, two: str, expected: str) -> None:
    stub = Stub(GRAPH)
    assert responder_of(stub).respond([compares(SAME, one, two, "country")])[0].answer == expected
    assert stub.asked == ["country"]


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [("ann", "bob", "bob"), ("bob", "ann", "bob"), ("cyd", "bob", "bob"), ("dan", "ann", "ann"), ("fay", "gus", "fay")],
)
def test_the_longer_life_is_the_difference_of_its_dates(one: str, two: str, expected: str) -> None:
    response = responder_of(Stub(GRAPH)).respond([lives(one, two)])[0]
    assert response.answer == expected
    assert [hop.branch for hop in response.hops] == [0, 1, 2, 3]
    assert response.probability == pytest.approx(0.5**4)


def test_a_life_without_a_known_end_makes_the_longer_one_unknown() -> None:
    assert responder_of(Stub(GRAPH)).respond([lives("ann", "eve")])[0].answer == "unknown"


def test_a_life_whose_end_is_read_as_a_relation_is_unknown_too() -> None:
    stub = Stub(GRAPH, lambda row, _position: len(GRAPH.entities) if row == 1 else None)
    assert responder_of(stub).respond([lives("ann", "bob")])[0].answer == "unknown"


def test_evidence_names_the_facts_of_both_branches_without_the_calendar() -> None:
    query = compares(LESS, "film of cyd", "film of bob", "director", "born")
    responder = responder_of(Stub(GRAPH))
    assert responder.evidence(query, responder.respond([query])[0]) == (
        ("film of cyd", "director", "cyd"),
        ("cyd", "born", "date:1901-02-09"),
        ("film of bob", "director", "bob"),
        ("bob", "born", "date:1901-02-03"),
    )


def test_evidence_of_two_lives_has_their_four_dates() -> None:
    responder = responder_of(Stub(GRAPH))
    found = responder.evidence(lives("ann", "bob"), responder.respond([lives("ann", "bob")])[0])
    expected = [(name, r, f"date:{of[name]}") for name in ("ann", "bob") for r, of in (("born", BORN), ("died", DIED))]
    assert list(found) == expected


def test_a_relation_that_is_read_as_an_answer_is_called_by_its_label() -> None:
    relation = len(GRAPH.entities) + GRAPH.relations.index("director")
    responder = responder_of(Stub(GRAPH, lambda _row, _position: relation))
    queries = [Query((branch("ann", "country"),)), compares(SAME, "ann", "bob", "country")]
    assert [response.answer for response in responder.respond(queries)] == ["director", "director"]


def test_queries_of_all_kinds_are_answered_in_their_order() -> None:
    queries = [
        lives("ann", "bob"),
        compares(LESS, "dan", "bob", "born"),
        Query((branch("film of ann", "director"),)),
        compares(SAME, "ann", "dan", "country"),
        compares(MORE, "ann", "bob", "born"),
        Query((branch("bob", "country"),)),
    ]
    responses = responder_of(Stub(GRAPH)).respond(queries)
    assert [response.answer for response in responses] == ["bob", "bob", "ann", "no", "bob", "north"]
    assert responder_of(Stub(GRAPH)).respond([]) == []


def test_entities_called_as_the_answers_are_change_none_of_them() -> None:
    graph = people(("equal", "country", "yes"), ("no", "country", "yes"))
    queries = [
        compares(LESS, "cyd", "bob", "born", graph=graph),
        compares(SAME, "ann", "bob", "country", graph=graph),
        compares(SAME, "ann", "dan", "country", graph=graph),
    ]
    assert [response.answer for response in responder_of(Stub(graph)).respond(queries)] == ["bob", "yes", "no"]
