"""The baseline `llm`: a language model behind an endpoint answers what a run's models are asked.

Abramov et al. (2025) asked GPT-4o and o1-mini the same questions. Their prompts are not known to us, so that these
are our own: the model may write down how it gets to the answer, and gives the answer apart, which alone is scored, by
the benchmark's rules.

Closed-book, a prompt holds the question and nothing of the graph. Open-book, it lists facts of the graph as well, held
out or not: those about the entities that the question begins at and about the entities those lead to, so that the
facts that are needed are among others; where a graph is so sparse that they are few, facts of the same relations about
others join them. They are sorted, so that their places tell nothing. That asks for reading, not knowing.

Every request goes through `grokhop.core.llm_client`, within its budget and from its cache. What the budget or the
endpoint leaves without an answer is counted, and no score is about it; an answer that cannot be read is wrong.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from grokhop.core.errors import InputError
from grokhop.core.llm_client import (
    BROKEN,
    BUSY,
    GARBLED,
    OVERHEAD,
    REJECTED,
    SILENT,
    TRUNCATED,
    UNREACHABLE,
    BudgetError,
    Client,
)
from grokhop.evaluation.baseline_types import Asked, Cells, Exam, Groups, without_evidence
from grokhop.evaluation.lookup import Fact, Oracle
from grokhop.evaluation.qa_metrics import Gold, Prediction, exact_match, score
from grokhop.graph.graph import Graph
from grokhop.graph.paths import Longs, PathIndex, Queries
from grokhop.graph.queries import Branch, Query
from grokhop.runs.baselines import BaselineResult, Endpoint
from grokhop.runs.evaluation import Counts, Miss, QuestionScore

try:
    from pydantic import BaseModel, ConfigDict
except ImportError as error:
    raise InputError("pydantic is not installed: pip install 'grokhop[llm]'") from error


LEAST_LISTED, MOST_LISTED = 20, 100
"""Facts in an open-book prompt. All that are needed are there; of the others some are drawn where there are more."""
MOST_KEPT = 300
"""Letters of a wrong answer in the result."""
OFTEN = 25
"""After so many questions there is a line of progress."""
SEED = 0

ANSWERED, UNREADABLE, NOT_ASKED, FAILED = "answered", "unreadable", "not_asked", "failed"
_NO_REPLY = (BUSY, BROKEN, SILENT, UNREACHABLE, REJECTED, GARBLED)
"""Reasons for which there is no answer that could be wrong; none of them is kept in the cache."""

_CLOSED_BOOK = "Answer the question from what you know."
_OPEN_BOOK = "Answer the question from these facts alone. Each line is a subject, a relation and an object."
_NOTATION = (
    "The question is written as a path, 'entity / relation / relation': begin at the entity, go on to the object of "
    "the first relation, from there to the object of the next, and so on. The answer is where the path ends."
)
_FORM = (
    "First say in a sentence or two which facts lead to the answer ('reasoning'), then give the answer alone "
    "('result'): a name as the title of an encyclopedia's article has it, a date as day, month and year, a number, or "
    "yes or no. If you are not sure, give the likeliest."
)


def _strict(schema: dict[str, Any]) -> None:
    """Strict for an endpoint that enforces the schema; one that does not may leave the reasoning out."""
    schema |= {"additionalProperties": False, "required": ["reasoning", "result"]}
    schema["properties"]["reasoning"].pop("default")


# The client sorts a schema's fields by name, and models write them in that order: the reasoning has to come first.
class Answer(BaseModel):
    """The reply to a question."""

    model_config = ConfigDict(json_schema_extra=_strict)
    reasoning: str = ""
    result: str


@dataclass(frozen=True, kw_only=True)
class Posed:
    """What is asked in words or as a path.

    Attributes:
        heads: the entities it begins at. depth: how many facts from there the last one that is needed may begin.
        facts: those that are needed, as far as they are known.
    """

    text: str
    gold: Gold
    heads: tuple[int, ...]
    depth: int
    facts: frozenset[Fact]


@dataclass(kw_only=True)
class _Replies:
    """What became of the questions of one cell."""

    golds: list[Gold] = field(default_factory=list)
    guesses: list[Prediction] = field(default_factory=list)
    misses: list[Miss] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)

    def add(self, posed: Posed, state: str, answer: str | None) -> None:
        self.states[state] += 1
        if state in (ANSWERED, UNREADABLE):
            self.golds.append(posed.gold)
            self.guesses.append(Prediction(answer=answer))
            if answer is None or not exact_match(answer, posed.gold.answers):
                shown = None if answer is None else answer[:MOST_KEPT]
                self.misses.append(Miss(question=posed.text, expected=posed.gold.answers[0], answer=shown))

    def scores(self) -> QuestionScore:
        scored = without_evidence(score(self.golds, [self.guesses]))
        return replace(scored, counts=_counts(self.states), misses=tuple(self.misses))


def ask_endpoint(exam: Exam) -> BaselineResult:
    """Ask the questions or, where there are none, at most `limit` queries of each of the cells.

    One of each cell is asked in turn, in an order that a fixed seed draws, so that a budget that ends midway leaves
    all cells with as many answers, and another call goes on where it ended.

    Returns:
        The endpoint, and scores of questions or of cells, each with its counts.

    Raises:
        InputError: there is no endpoint, or see `Client.ask`; what was answered before is in the cache.
    """
    if exam.client is None:
        raise InputError("--baseline llm needs an endpoint: give --base-url and --model")
    client, groups = exam.client, exam.groups
    posed = _of_questions(groups) if groups else _of_cells(exam.graph, exam.cells, exam.limit)
    prompts, turns = _Prompts(exam.graph, exam.open_book), [turn for rank in _ranks(posed) for turn in rank]
    replies = {group: _Replies() for group in posed}
    for number, (group, one) in enumerate(turns, 1):
        state, answer = _ask(client, prompts.prompt(one))
        replies[group].add(one, state, answer)
        if (number % OFTEN == 0 and state != NOT_ASKED) or number == len(turns):
            exam.notice(f"{client.endpoint.model}: {number:,} of {len(turns):,}; {client.usage.cost_line()}")
    endpoint = Endpoint(
        model=client.endpoint.model,
        base_url=client.endpoint.base_url,
        open_book=exam.open_book,
        counts=_counts(sum((got.states for got in replies.values()), Counter())),
        limit=None if groups else exam.limit,
        usage=client.usage.record(),
        cost=client.usage.cost_line(),
    )
    if groups:
        return BaselineResult(endpoint=endpoint, questions=_scores(replies))
    return BaselineResult(endpoint=endpoint, cells=_scores(replies))


def _scores(replies: Mapping[tuple[str, str], _Replies]) -> dict[str, dict[str, QuestionScore]]:
    """The scores of each group by its two names."""
    scores: dict[str, dict[str, QuestionScore]] = defaultdict(dict)
    for (outer, cell), got in replies.items():
        scores[outer][cell] = got.scores()
    return dict(scores)


def _counts(states: Mapping[str, int]) -> Counts:
    return Counts(
        asked=states.get(ANSWERED, 0) + states.get(UNREADABLE, 0),
        not_asked=states.get(NOT_ASKED, 0),
        unreadable=states.get(UNREADABLE, 0),
        failed=states.get(FAILED, 0),
    )


Posing = Mapping[tuple[str, str], Sequence[Posed]]
"""What is asked by type or hops, and cell."""


def _ranks(posed: Posing) -> Iterator[list[tuple[tuple[str, str], Posed]]]:
    """The first of each group, the second of each group, and so on."""
    for rank in range(max(map(len, posed.values()), default=0)):
        yield [(group, members[rank]) for group, members in posed.items() if rank < len(members)]


def _drawn(n: int) -> list[int]:
    """The numbers below `n` in an order by chance, of which any beginning is a sample."""
    return np.random.default_rng(SEED).permutation(n).tolist()


def _of_questions(groups: Groups) -> Posing:
    return {
        (kind, cell): [_of_question(asked[i]) for i in _drawn(len(asked))]
        for kind, by_cell in groups.items()
        for cell, asked in by_cell.items()
    }


def _of_question(one: Asked) -> Posed:
    question, query = one.question, one.query
    heads, depth = tuple[int, ...](), 1
    if question.path:
        heads, depth = (question.path[0],), max(1, len(question.facts) - 1)
    elif question.facts:
        tails = {tail for _, _, tail in question.facts}
        heads = tuple(head for head, _, _ in question.facts if head not in tails)
    elif isinstance(query, Query):
        heads = tuple(branch.head for branch in query.branches)
        depth = max(1, *(len(branch.relations) - 1 for branch in query.branches))
    return Posed(text=question.text, gold=one.gold, heads=heads, depth=depth, facts=frozenset(question.facts))


def _of_cells(graph: Graph, cells: Cells, limit: int) -> Posing:
    oracle = Oracle(graph)
    return {
        (str(hops), cell): [_of_query(oracle, queries.where(np.array([i]))) for i in _drawn(len(queries))[:limit]]
        for hops, by_cell in cells.items()
        for cell, queries in by_cell.items()
    }


def _of_query(oracle: Oracle, query: Queries) -> Posed:
    """One query of a cell, as a path."""
    head, relations = int(query.head[0]), tuple(query.relations[0].tolist())
    ends = [oracle.graph.entities[entity] for entity in query.answers.tolist()]
    return Posed(
        text=Query((Branch(head, relations),)).describe(oracle.graph),
        gold=Gold(type="path", answers=tuple(name for end in ends for name in end.names)),
        heads=(head,),
        depth=max(1, len(relations) - 1),
        facts=frozenset(fact for walk in oracle.walks(head, relations) for fact in walk),
    )


class _Prompts:
    """Writes prompts. Closed-book nothing of the graph is looked at: what is asked is all that a prompt tells of it."""

    def __init__(self, graph: Graph, open_book: bool) -> None:
        self._graph, self._chaining, self._open_book = graph, PathIndex(graph), open_book

    def prompt(self, posed: Posed) -> str:
        is_path = " / " in posed.text and not posed.text.endswith("?")
        parts = [
            "\n".join([_OPEN_BOOK, *self._listed(posed)]) if self._open_book else _CLOSED_BOOK,
            _NOTATION if is_path else "",
            f"Question: {posed.text}",
            _FORM,
        ]
        return "\n\n".join(part for part in parts if part)

    def _listed(self, posed: Posed) -> list[str]:
        """Facts about the heads and the entities that they lead to, as sorted lines."""
        graph, chosen, heads = self._graph, set(posed.facts), set(posed.heads)
        others: set[Fact] = set()
        for _ in range(posed.depth + 1):
            _, facts = self._chaining.facts_of_heads(np.array(sorted(heads), np.int64))
            others |= self._rows(facts)
            heads = set(graph.tail[facts].tolist())
        spare = sorted(others - chosen)
        room = max(0, MOST_LISTED - len(chosen))
        chosen |= {spare[i] for i in _drawn(len(spare))[:room]}
        chosen |= self._further(posed, chosen)
        labels = ((graph.entities[h].label, graph.relations[r], graph.entities[t].label) for h, r, t in chosen)
        return sorted(" | ".join(names) for names in labels)

    def _further(self, posed: Posed, chosen: set[Fact]) -> set[Fact]:
        """Facts by chance of the relations that were chosen, of any where none was, up to `LEAST_LISTED` in all."""
        alike = np.flatnonzero(np.isin(self._graph.relation, [relation for _, relation, _ in chosen]))
        pool = alike if len(alike) else np.arange(len(self._graph))
        lacking = min(len(pool), max(0, LEAST_LISTED - len(chosen)))
        return self._rows(np.random.default_rng([SEED, *posed.heads]).choice(pool, lacking, replace=False))

    def _rows(self, facts: Longs) -> set[Fact]:
        graph = self._graph
        columns = (graph.head[facts].tolist(), graph.relation[facts].tolist(), graph.tail[facts].tolist())
        return set(zip(*columns, strict=True))


def _ask(client: Client, prompt: str) -> tuple[str, str | None]:
    """What became of a prompt, and the answer if there is one."""
    failures, cached = client.usage.failures.copy(), client.usage.cached
    try:
        reply = client.ask(prompt, Answer)
    except BudgetError:
        return NOT_ASKED, None
    if reply is not None:
        answer = " ".join(reply.result.split())
        return (ANSWERED, answer) if answer else (UNREADABLE, None)
    (reason,) = client.usage.failures - failures
    if reason in _NO_REPLY:
        return FAILED, None
    if reason == TRUNCATED and client.usage.cached == cached and _is_spent(client, prompt):
        return NOT_ASKED, None  # the end of the budget cut it off, so it is asked for again under a new one
    return UNREADABLE, None


def _is_spent(client: Client, prompt: str) -> bool:
    """Whether the budget has no more tokens left than what was held back for this prompt."""
    left = client.endpoint.max_tokens - client.usage.tokens
    return left <= 2 * OVERHEAD + len(prompt.encode()) + len(str(Answer.model_json_schema()))
