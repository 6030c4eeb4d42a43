"""The oracle: answers looked up in the facts of a graph, held-out ones too, with no model.

It reads a question as the models' questions are read (`grokhop.language.parser`). What it misses is therefore nobody's
reasoning, and it says whose fault it is: of the facts, of the reader, or of the data.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from grokhop.evaluation.baseline_types import Asked
from grokhop.evaluation.qa_metrics import Prediction, evidence_scores, exact_match, f1, normalize, score
from grokhop.graph.graph import Graph
from grokhop.graph.paths import Longs, PathIndex, Queries
from grokhop.graph.queries import LESS, LIVED_LONGER, NO, SAME, YES, Query, Triple
from grokhop.runs.evaluation import Miss, QuestionScore
from grokhop.tasks.calendar import number_of, parts_of

NO_ANSWER = "noanswer"
"""The benchmark's word for none: the question was understood, and nothing answers it."""

UNKNOWN = "its facts are not all in the graph"
NOT_UNDERSTOOD = "not understood"
READ_OTHERWISE = "understood as another question"
SAY_OTHERWISE = "its facts give another answer, or none"

Fact = tuple[int, int, int]


class Oracle:
    """Answers by the facts of a graph, with no model. Of several answers that they give, it finds the wanted one."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.chaining = graph, PathIndex(graph)

    def ends(self, queries: Queries) -> Longs:
        """(Q,) an end of each query by the facts; the number of entities, which is none of them, where it has none."""
        found = self.chaining.answers(queries.head, queries.relations)
        first = np.where(np.diff(found.offsets) > 0, found.offsets[:-1], len(found.answers))
        return np.append(found.answers, len(self.graph.entities))[first]

    def walks(self, head: int, relations: Sequence[int]) -> list[tuple[Fact, ...]]:
        """All paths from an entity along relations, fact by fact."""
        found: list[tuple[Fact, ...]] = [()]
        for relation in relations:
            ended = [(walk, walk[-1][2] if walk else head) for walk in found]
            found = [(*walk, (end, relation, tail)) for walk, end in ended for tail in self.tails(end, relation)]
        return found

    def tails(self, head: int, relation: int) -> list[int]:
        """Return the tails of an entity and a relation."""
        return self.graph.tail[self.chaining.facts_of_pairs(np.array([head]), np.array([relation]))[1]].tolist()

    def answers(self, query: Query) -> list[Prediction]:
        """Every answer that facts give, each with the facts behind it."""
        walks = [self.walks(branch.head, branch.relations) for branch in query.branches]
        reached = [{walk[-1][2] for walk in found} for found in walks]
        same = bool(set.intersection(*reached))
        return [
            Prediction(
                answer=(YES if same else NO) if query.operator == SAME else self._answer(query, chosen),
                evidence=tuple(dict.fromkeys(self.triple(fact) for walk in chosen for fact in walk)),
            )
            for chosen in product(*walks)
        ]

    def triple(self, fact: Fact) -> Triple:
        """Put a fact into words."""
        head, relation, tail = fact
        return self.graph.entities[head].label, self.graph.relations[relation], self.graph.entities[tail].label

    def _answer(self, query: Query, walks: Sequence[tuple[Fact, ...]]) -> str:
        ends = [walk[-1][2] for walk in walks]
        if query.operator is None:
            return self.graph.entities[ends[0]].label
        one, other = self._lives(ends) if query.operator == LIVED_LONGER else map(self._value, ends)
        known = min(len(one), len(other))  # of two dates of which one is a year alone, the years are compared
        if one[:known] == other[:known]:
            return NO_ANSWER
        is_first = (one < other) == (query.operator in (LESS, LIVED_LONGER))
        return self.graph.entities[query.branches[0 if is_first else -1].head].label

    def _value(self, entity: int) -> tuple[float, ...]:
        """What is put into order: year, month and day as far as they are known, or a number."""
        known = self.graph.entities[entity]
        number = number_of(known.key, known.label)
        return tuple(parts_of(known.key).values()) or (() if number is None else (number,))

    def _lives(self, dates: Sequence[int]) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Of two people the days they lived below zero, so that the longer life comes first; nothing if unknown."""
        from grokhop.tasks.calendar import days_since_zero

        days = [day for date in dates if (day := days_since_zero(self.graph.entities[date].key)) is not None]
        return ((days[0] - days[1],), (days[2] - days[3],)) if len(days) == len(dates) else ((), ())

    def scores(self, asked: Sequence[Asked]) -> QuestionScore:
        """Scores of questions; how many the facts answer in several ways (`ambiguous`); misses, counted by `causes`."""
        found = [self.answers(one.query) if isinstance(one.query, Query) else [] for one in asked]
        best = [_best(one, answers) for one, answers in zip(asked, found, strict=True)]
        misses = tuple(
            _miss(one, guess, self.cause(one, answers))
            for one, answers, guess in zip(asked, found, best, strict=True)
            if guess.answer is None or not exact_match(guess.answer, one.gold.answers)
        )
        return replace(
            score([one.gold for one in asked], [best]),
            ambiguous=sum(len({normalize(a.answer or "") for a in answers}) > 1 for answers in found),
            causes=dict(Counter(miss.cause for miss in misses if miss.cause is not None)),
            misses=misses,
        )

    def cause(self, one: Asked, found: Sequence[Prediction]) -> str:
        """Say whose fault a miss is: of the graph, of the reader, or of the data."""
        if not one.question.facts:
            return UNKNOWN
        if isinstance(one.query, str):
            return NOT_UNDERSTOOD
        followed = {triple for prediction in found for triple in prediction.evidence}
        needed = set(map(self.triple, one.question.facts))
        return SAY_OTHERWISE if needed <= followed else READ_OTHERWISE


def _best(one: Asked, found: Sequence[Prediction]) -> Prediction:
    def worth(guess: Prediction) -> tuple[float, ...]:
        answer, gold = guess.answer or "", one.gold
        return (
            exact_match(answer, gold.answers),
            f1(answer, gold.answers),
            evidence_scores(guess.evidence, gold.evidence).f1,
        )

    return max(found, key=worth, default=Prediction(answer=None if isinstance(one.query, str) else NO_ANSWER))


def _miss(one: Asked, guess: Prediction, cause: str) -> Miss:
    question = one.question
    return Miss(id=question.id, question=question.text, expected=question.answer, answer=guess.answer, cause=cause)
