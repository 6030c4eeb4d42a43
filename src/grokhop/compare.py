"""Comparisons: two branches of facts whose ends are compared, `a r b r SAME` or `a r1 r2 year b r1 r2 year LESS`.

Which branches are compared with which operator is read from the graph's comparison questions; a date is compared by
its year, and by month and day where years are equal. Training comparisons join trainable facts only, never two heads
that a question compares, and are balanced: as many 'yes' as 'no', as many 'first' as 'second', half of the pairs near
to each other. The order of years, months and days is also trained on its own (`1953 1975 LESS`), since it is no fact
of the graph; so dates that are in no training comparison are ordered all the same.

An answer is one of a few words: which of the two branches, or yes or no. So an answer that looks at one side alone
scores one half.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from grokhop.calendar import SOURCE as CALENDAR
from grokhop.calendar import UNITS, YEAR, number_of, with_calendar
from grokhop.chains import Chaining, Longs, Mask
from grokhop.compose import hold_tested
from grokhop.encode import GIVEN, NEVER_DUE, NO_TARGET, Rows
from grokhop.graph import Entity, Graph, Part, Question
from grokhop.query import LESS, MORE, SAME

OPERATORS = (SAME, LESS, MORE)
YES, NO, FIRST, SECOND, EQUAL = "yes", "no", "first", "second", "equal"
ANSWERS = (YES, NO, FIRST, SECOND, EQUAL)
COMPARED = ("comparison", "bridge_comparison")
"""Question types that compare two branches."""
LOOPS = 2
"""That an operator works: one to gather a value, one to look for it in the other branch."""
ROWS_PER_KIND = 3000
NEAR = 6
"""Branches at most so many places apart in order count as near."""


def comparable(graph: Graph) -> Graph:
    """The graph with its calendar, operators and answers as further entities and relations, where questions compare."""
    if not any(question.type in COMPARED for question in graph.questions):
        return graph
    graph = with_calendar(graph)
    words = [Entity(key=f"answer:{word}", label=_free(word, graph)) for word in ANSWERS]
    return graph.extended([], source="operators", entities=words, relations=OPERATORS, observed=True)


def _free(word: str, graph: Graph) -> str:
    taken = {entity.label for entity in graph.entities}
    return word if word not in taken else f"{word} (answer)"


@dataclass(frozen=True)
class Kind:
    """What is compared: the relations of both branches, and how."""

    relations: tuple[int, ...]
    operator: str


@dataclass(frozen=True)
class Sides:
    """The two heads and the relations that a question compares."""

    heads: tuple[int, int]
    relations: tuple[int, ...]


def sides(question: Question) -> Sides | None:
    """The two branches of a comparison question; None where its facts are not two branches of one path."""
    hops = {"comparison": 1, "bridge_comparison": 2}.get(question.type)
    relations = tuple(dict.fromkeys(relation for _, relation, _ in question.facts))
    if hops is None or len(relations) != hops:
        return None
    heads = list(dict.fromkeys(h for h, relation, _ in question.facts if relation == relations[0]))
    return Sides((heads[0], heads[1]), relations) if len(heads) == 2 else None


class Comparing:
    """Makes comparisons over one comparable graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.chaining = graph, Chaining(graph)

    @cached_property
    def token(self) -> dict[str, int]:
        """Tokens of operators and answers (relations stand behind all entities)."""
        graph = self.graph
        keys = {entity.key: i for i, entity in enumerate(graph.entities)}
        answers = {word: keys[f"answer:{word}"] for word in ANSWERS}
        return answers | {o: len(graph.entities) + _last(graph, o) for o in OPERATORS}

    @cached_property
    def units(self) -> dict[str, int]:
        """The relations of the calendar; a relation of the graph's own that is called 'year' is none of them."""
        return {unit: _last(self.graph, unit) for unit in UNITS} if CALENDAR in self.graph.sources else {}

    @cached_property
    def numbers(self) -> dict[int, int]:
        """The number of each entity that is a year, month or day."""
        found = ((i, number_of(entity.key)) for i, entity in enumerate(self.graph.entities))
        return {i: number for i, number in found if number is not None}

    @cached_property
    def kinds(self) -> list[Kind]:
        """What the graph's questions compare; nothing in a graph without operators. Dates are compared by each unit."""
        if SAME not in self.graph.relations:
            return []
        dated = set(self.graph.head[self.graph.relation == self.units.get(YEAR, -1)].tolist())
        found: dict[Kind, None] = {}
        for question in self.graph.questions:
            compared = sides(question)
            if compared is None:
                continue
            if all(fact[2] in dated for fact in question.facts if fact[1] == compared.relations[-1]):
                for unit in self.units.values():
                    path = (*compared.relations, unit)
                    found |= {Kind(path, operator): None for operator in OPERATORS}
            else:
                found[Kind(compared.relations, SAME)] = None
        return list(found)

    @cached_property
    def _asked(self) -> set[tuple[frozenset[int], tuple[int, ...]]]:
        found = (sides(question) for question in self.graph.questions)
        return {(frozenset(s.heads), s.relations) for s in found if s}

    def rows(
        self, part: Part, *, tested: NDArray[np.uint64] | None = None, per_kind: int = ROWS_PER_KIND, seed: int = 0
    ) -> Rows:
        """Comparisons of branches whose observed facts are all of `part`; for TRAIN the bare order of numbers too.

        Args:
            tested: codes of chain queries that are tested; a branch that holds one is left out. To be given for TRAIN.
        """
        rng = np.random.default_rng([seed, int(part)])
        made = [
            row
            for kind in self.kinds
            for row in self._of_kind(kind, self._branches(kind, part, tested), self._wanted(kind, per_kind), rng)
        ]
        if part is Part.TRAIN and self.kinds:
            made += self._bare(per_kind, rng)
        return stack(made)

    def _wanted(self, kind: Kind, per_kind: int) -> int:
        """Months and days only break ties; but which of them are the same is asked often.

        There are few countries to be the same, and a model that sees no others learns the pairs by heart.
        """
        tie = kind.relations[-1] in [self.units.get(unit) for unit in UNITS[1:]]
        return per_kind // (2 if kind.operator == SAME else 6) if tie else per_kind

    def _branches(self, kind: Kind, part: Part, tested: NDArray[np.uint64] | None) -> Longs:
        """(P, k) facts: every branch of a kind whose facts are of `part`; the calendar is of every part.

        A branch beside which the same relations lead over facts of another part is left out: the answer would tell
        of them.
        """
        graph = self.graph
        masks: list[Mask] = []
        for relation in kind.relations:
            calendar = relation in self.units.values()
            masks.append((graph.relation == relation) & (calendar | (graph.part == part)))
        paths = self.chaining.paths(masks, limit=200_000, rng=np.random.default_rng(0))
        paths = paths[self.chaining.follow(self.graph.head[paths[:, 0]], self.graph.relation[paths])[1]]
        return paths if tested is None else paths[~hold_tested(graph, paths, tested)]

    def _of_kind(self, kind: Kind, branches: Longs, n: int, rng: np.random.Generator) -> Iterator["Row"]:
        if len(branches) < 2:
            return
        ends = self.graph.tail[branches[:, -1]]
        values = np.array([self.numbers.get(int(e), int(e)) for e in ends])
        order = np.argsort(values, kind="stable")
        same_path = kind.relations[:-1] if kind.relations[-1] in self.units.values() else kind.relations
        for i, j in _pairs(order, values, n, rng, equal=kind.operator == SAME):
            a, b = branches[i], branches[j]
            heads = (int(self.graph.head[a[0]]), int(self.graph.head[b[0]]))
            if heads[0] == heads[1] or (frozenset(heads), same_path) in self._asked:
                continue
            answer = self._answer(kind, heads, int(values[i]), int(values[j]))
            yield self._row(kind, heads, self.graph.tail[a].tolist(), self.graph.tail[b].tolist(), answer)

    def _answer(self, kind: Kind, heads: tuple[int, int], a: int, b: int) -> str:
        if kind.operator == SAME:
            return YES if self._ends(heads[0], kind) & self._ends(heads[1], kind) else NO
        return judge(kind.operator, a, b)

    def _ends(self, head: int, kind: Kind) -> set[int]:
        found = self.chaining.answers(np.array([head]), np.array([kind.relations]))
        return set(found.answers.tolist())

    def _row(self, kind: Kind, heads: tuple[int, int], a: list[int], b: list[int], answer: str) -> "Row":
        relations = [len(self.graph.entities) + r for r in kind.relations]
        k = len(relations)
        due = [GIVEN, *range(1, k + 1)]
        return Row(
            tokens=[heads[0], *relations, heads[1], *relations, self.token[kind.operator]],
            due=[*due, *due, k + LOOPS],
            targets=[NO_TARGET, *a, NO_TARGET, *b, self.token[answer]],
        )

    def query(self, compared: Sides, operator: str, unit: str | None) -> "Row":
        """The row that asks a question: without targets."""
        kind = Kind((*compared.relations, *([self.units[unit]] if unit else [])), operator)
        row = self._row(kind, compared.heads, [NO_TARGET] * len(kind.relations), [NO_TARGET] * len(kind.relations), YES)
        return Row(row.tokens, row.due, [NO_TARGET] * len(row.tokens))

    def _bare(self, n: int, rng: np.random.Generator) -> Iterator["Row"]:
        """`1953 1975 LESS`: numbers of one unit by themselves, and whether two ends are the same."""
        for unit, relation in self.units.items():
            ids = np.unique(self.graph.tail[self.graph.relation == relation])
            values = np.array([self.numbers[int(e)] for e in ids])
            for operator in (LESS, MORE):
                for i, j in (
                    _pairs(np.argsort(values), values, 2 * n if unit == YEAR else n // 6, rng, equal=False)
                    if len(ids) > 1
                    else ()
                ):
                    word = judge(operator, int(values[i]), int(values[j]))
                    yield self._bare_row(int(ids[i]), int(ids[j]), operator, word)
        every = np.arange(len(self.graph.entities))
        for i, j in _pairs(every, every, 4 * n, rng, equal=True):
            yield self._bare_row(int(i), int(j), SAME, YES if i == j else NO)

    def _bare_row(self, a: int, b: int, operator: str, word: str) -> "Row":
        return Row([a, b, self.token[operator]], [GIVEN, GIVEN, LOOPS], [NO_TARGET, NO_TARGET, self.token[word]])


def _last(graph: Graph, label: str) -> int:
    """The last relation of a label: calendar and operators stand behind all relations of the graph's own."""
    return len(graph.relations) - 1 - graph.relations[::-1].index(label)


def judge(operator: str, a: int, b: int) -> str:
    """Which of two numbers is the lesser or the greater."""
    if a == b:
        return EQUAL
    return FIRST if (a < b) == (operator == LESS) else SECOND


def _pairs(order: Longs, values: Longs, n: int, rng: np.random.Generator, *, equal: bool) -> Iterator[tuple[int, int]]:
    """Places of `n` pairs: half of them equal (`equal`), or half near in order; the rest by chance."""
    places = len(order)
    for k in range(n):
        at = int(rng.integers(places))
        if k % 2 and equal:
            alike = np.flatnonzero(values == values[order[at]])
            others = alike[alike != order[at]]
            yield int(order[at]), int(rng.choice(others if len(others) else alike))
        elif k % 2:
            to = int(np.clip(at + rng.integers(-NEAR, NEAR + 1), 0, places - 1))
            yield int(order[at]), int(order[to])
        else:
            yield int(order[at]), int(order[int(rng.integers(places))])


@dataclass(frozen=True)
class Row:
    """One row before it is padded to the others; see `grokhop.encode.Rows`."""

    tokens: list[int]
    due: list[int]
    targets: list[int]


def stack(rows: list[Row]) -> Rows:
    """Rows of several lengths, padded to the longest."""
    width = max((len(row.tokens) for row in rows), default=1)
    columns = {}
    for name, padding in (("tokens", 0), ("due", NEVER_DUE), ("targets", NO_TARGET)):
        padded = [[*getattr(row, name), *[padding] * (width - len(row.tokens))] for row in rows]
        columns[name] = np.array(padded, np.int64).reshape(len(rows), width)
    return Rows(tokens=columns["tokens"], due=columns["due"].astype(np.int8), targets=columns["targets"])
