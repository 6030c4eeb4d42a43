"""Answers to queries of every kind, with the hops that led to them: what `ask` shows and what questions are scored by.

A comparison of dates asks for the years first; where the model calls them equal, for the months, and then the days.
Which of two people lived longer takes a difference of dates, which is no query of the language: the four dates are read
out by the model and subtracted here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from grokhop.answer import answer
from grokhop.benchmark import Triple
from grokhop.calendar import DAY, MONTH, UNITS, YEAR, parts_of
from grokhop.compare import ANSWERS, EQUAL, FIRST, OPERATORS, SECOND, Comparing, Row, Sides, stack
from grokhop.encode import GIVEN, NO_TARGET
from grokhop.graph import Graph
from grokhop.model import LoopTransformer
from grokhop.query import LIVED_LONGER, SAME, Branch, Query


@dataclass(frozen=True)
class Hop:
    """One read-out: at which position of the row, after which loop, which token, how sure, by which relation."""

    branch: int
    position: int
    loop: int
    token: int
    probability: float


@dataclass(frozen=True)
class Response:
    """The answer in words and the hops behind it, those of the branches first."""

    answer: str
    probability: float
    hops: tuple[Hop, ...]


class Responder:
    """Asks one model of one (comparable) graph."""

    def __init__(self, graph: Graph, model: LoopTransformer) -> None:
        self.graph, self.model, self.comparing = graph, model, Comparing(graph)

    def respond(self, queries: Sequence[Query]) -> list[Response]:
        """Answer all queries, as many at once as there are."""
        chains = {i: q for i, q in enumerate(queries) if q.operator is None}
        compared = {i: q for i, q in enumerate(queries) if q.operator in OPERATORS}
        found = dict(zip(chains, self._chains([q.branches[0] for q in chains.values()]), strict=True))
        found |= self._compare(compared)
        lives = {i: q for i, q in enumerate(queries) if q.operator == LIVED_LONGER}
        dates = self._chains([branch for q in lives.values() for branch in q.branches])
        for place, (i, query) in enumerate(lives.items()):
            found[i] = self._longer(query, dates[4 * place : 4 * place + 4])
        return [found[i] for i in range(len(queries))]

    def label(self, token: int) -> str:
        """What a token is called: an entity, or a relation where an untrained model reads one."""
        entities = len(self.graph.entities)
        return self.graph.entities[token].label if token < entities else self.graph.relations[token - entities]

    def evidence(self, query: Query, response: Response) -> tuple[Triple, ...]:
        """The facts that the hops amount to: subject, relation and object of each, in the order of the branches."""
        triples = []
        for number, branch in enumerate(query.branches):
            subject = branch.head
            read = [hop.token for hop in response.hops if hop.branch == number]
            for relation, token in zip(branch.relations, read, strict=False):
                triples.append((self.label(subject), self.graph.relations[relation], self.label(token)))
                subject = token
        return tuple(dict.fromkeys(triples))

    def _chains(self, branches: Sequence[Branch]) -> list[Response]:
        rows = [self._chain(branch) for branch in branches]
        return [Response(self.label(hops[-1].token), hops[-1].probability, tuple(hops)) for hops in self._read(rows)]

    def _chain(self, branch: Branch) -> Row:
        relations = [len(self.graph.entities) + r for r in branch.relations]
        due = [GIVEN, *range(1, len(relations) + 1)]
        return Row([branch.head, *relations], due, [NO_TARGET] * len(due))

    def _read(self, rows: Sequence[Row]) -> list[list[Hop]]:
        """The hops of each row; a named entity begins a branch, the operator stands behind the last."""
        trace = answer(self.model, stack(list(rows)))
        read = []
        for i, row in enumerate(rows):
            branch, hops = -1, []
            for position, loop in enumerate(row.due):
                if loop == GIVEN:
                    branch += 1
                else:
                    token, probability = int(trace.entity[i, position]), float(trace.probability[i, position])
                    hops.append(Hop(branch, position, loop, token, probability))
            read.append(hops)
        return read

    def _compare(self, queries: dict[int, Query]) -> dict[int, Response]:
        found: dict[int, Response] = {}
        left = queries
        for unit in UNITS:
            rows = [
                self.comparing.query(_sides(q), str(q.operator), None if q.operator == SAME else unit)
                for q in left.values()
            ]
            equal = {}
            for (i, query), hops in zip(left.items(), self._read(rows), strict=True):
                kept = found[i].hops if i in found else tuple(hops)
                found[i] = Response(self._winner(query, hops[-1].token), hops[-1].probability, kept)
                if hops[-1].token == self.comparing.token[EQUAL] and query.operator != SAME:
                    equal[i] = query
            left = equal
        return found

    def _winner(self, query: Query, token: int) -> str:
        word = {self.comparing.token[word]: word for word in ANSWERS}.get(token)
        if word in (FIRST, SECOND):
            return self.label(query.branches[word == SECOND].head)
        return word or self.label(token)

    def _longer(self, query: Query, dates: Sequence[Response]) -> Response:
        days = [_day(self.graph.entities[d.hops[-1].token].key) if self._is_entity(d) else None for d in dates]
        hops = tuple(Hop(i, h.position, h.loop, h.token, h.probability) for i, d in enumerate(dates) for h in d.hops)
        probability = float(np.prod([d.probability for d in dates]))
        if None in days:
            return Response("unknown", probability, hops)
        born, died, born_too, died_too = (day for day in days if day is not None)
        place = 0 if died - born >= died_too - born_too else 2
        return Response(self.label(query.branches[place].head), probability, hops)

    def _is_entity(self, response: Response) -> bool:
        return response.hops[-1].token < len(self.graph.entities)


def _sides(query: Query) -> Sides:
    a, b = query.branches
    return Sides((a.head, b.head), a.relations)


def _day(key: str) -> float | None:
    """Days since the year 0, near enough to tell two lives apart; None for what is no date."""
    parts = parts_of(key)
    return None if not parts else 365.25 * parts[YEAR] + 30.4 * (parts.get(MONTH, 1) - 1) + parts.get(DAY, 1)
