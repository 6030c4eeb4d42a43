"""Answers to queries of every kind, with the hops that led to them: what `ask` shows and what questions are scored by.

A comparison of dates asks for the years first; where the model calls them equal, for the months, and then the days.
Which of two people lived longer takes a difference of dates, which is no query of the language: the four dates are read
out by the model and subtracted here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grokhop.graph.graph import Graph
from grokhop.graph.paths import Longs, Queries
from grokhop.graph.queries import EQUAL, FIRST, LESS, LIVED_LONGER, MORE, SAME, SECOND, Branch, Query, Triple
from grokhop.inference.predict import answer
from grokhop.models.base import Model
from grokhop.tasks.calendar import UNITS, days_since_zero
from grokhop.tasks.comparison import ANSWERS, Comparing, Sides
from grokhop.tasks.encoding import GIVEN, TokenBatch, encode_queries, stack
from grokhop.tasks.vocabulary import Vocabulary


@dataclass(frozen=True)
class Hop:
    """One read-out: at which position of the row, the relation or operator there, after which loop which token was
    read, and how sure.
    """

    branch: int
    position: int
    asked: int
    loop: int
    token: int
    probability: float


@dataclass(frozen=True)
class Response:
    """The answer in words and the hops behind it, those of the branches first."""

    answer: str
    probability: float
    hops: tuple[Hop, ...]


class QuestionAnswerer:
    """Asks one model of one (comparable) graph."""

    def __init__(self, graph: Graph, model: Model) -> None:
        self.graph, self.model, self.comparing = graph, model, Comparing(graph)

    def respond(self, queries: Sequence[Query]) -> list[Response]:
        """Answer all queries, as many at once as there are."""
        chains = {i: q for i, q in enumerate(queries) if q.operator is None}
        compared = {i: q for i, q in enumerate(queries) if q.operator in (SAME, LESS, MORE)}
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

    def _chain(self, branch: Branch) -> TokenBatch:
        head, relations = np.array([branch.head]), np.array([branch.asked or branch.relations])
        none = np.empty(0, np.int64)
        query = Queries(head=head, relations=relations, answers=none, offsets=np.zeros(2, np.int64))
        return encode_queries(Vocabulary.of(self.graph), query)

    def _read(self, rows: Sequence[TokenBatch]) -> list[list[Hop]]:
        """The hops of each row; a named entity begins a branch, the operator stands behind the last."""
        asked = stack(rows)
        trace = answer(self.model, asked)
        return [
            self._hops(asked.tokens[i], asked.read_at[i], trace.entity[i].numpy(), trace.probability[i].numpy())
            for i in range(len(asked))
        ]

    def _hops(self, tokens: Longs, read_at: Longs, read: Longs, probability: NDArray[np.floating[Any]]) -> list[Hop]:
        branch, hops = -1, []
        for position, loop in enumerate(read_at.tolist()):
            branch += loop == GIVEN
            if loop > GIVEN:
                hops.append(
                    Hop(
                        branch, position, int(tokens[position]), loop, int(read[position]), float(probability[position])
                    )
                )
        return hops

    def _compare(self, queries: dict[int, Query]) -> dict[int, Response]:
        found: dict[int, Response] = {}
        left = queries
        for unit in UNITS:
            rows = [self._comparison(query, unit) for query in left.values()]
            equal = {}
            for (i, query), hops in zip(left.items(), self._read(rows), strict=True):
                if query.operator == MORE:
                    hops = [*(replace(hop, branch=1 - hop.branch) for hop in hops[:-1]), hops[-1]]
                kept = found[i].hops if i in found else tuple(hops)
                found[i] = Response(self._winner(query, hops[-1].token), hops[-1].probability, kept)
                if hops[-1].token == self.comparing.token[EQUAL] and self._is_dated(query):
                    equal[i] = query
            left = equal
        return found

    def _comparison(self, query: Query, unit: str) -> TokenBatch:
        """Whether a is later is asked as whether b, put first, is earlier: 'first' is then said of a."""
        a, b = query.branches if query.operator != MORE else query.branches[::-1]
        operator = SAME if query.operator == SAME else LESS
        return self.comparing.query(
            Sides((a.head, b.head), a.relations), operator, unit if self._is_dated(query) else None
        )

    def _is_dated(self, query: Query) -> bool:
        """Whether dates are put into order, by years first; they are the same or not as they are."""
        return query.operator != SAME and self.comparing.is_dated(query.branches[0].relations[-1])

    def _winner(self, query: Query, token: int) -> str:
        word = {self.comparing.token[word]: word for word in ANSWERS}.get(token)
        if word in (FIRST, SECOND):
            return self.label(query.branches[word == SECOND].head)
        return word or self.label(token)

    def _longer(self, query: Query, dates: Sequence[Response]) -> Response:
        days = [
            days_since_zero(self.graph.entities[d.hops[-1].token].key) if self._is_entity(d) else None for d in dates
        ]
        hops = tuple(replace(hop, branch=i) for i, date in enumerate(dates) for hop in date.hops)
        probability = float(np.prod([d.probability for d in dates]))
        if None in days:
            return Response("unknown", probability, hops)
        born, died, born_too, died_too = (day for day in days if day is not None)
        place = 0 if died - born >= died_too - born_too else 2
        return Response(self.label(query.branches[place].head), probability, hops)

    def _is_entity(self, response: Response) -> bool:
        return response.hops[-1].token < len(self.graph.entities)
