"""Comparisons: two branches of facts whose ends are compared, `a r b r SAME` or `a r1 r2 year b r1 r2 year LESS`.

Which branches are compared with which operator is read from the graph's comparison questions; a date is compared by
its year, and by month and day where years are equal. What is later is asked as what is earlier, with the branches
exchanged, so one operator knows all order there is.

Two kinds of row are trained. *Comparisons* join the branches of trainable facts, never two heads that a question
compares. *Operands*, `1953 LESS 1975 LESS`, hold no fact of the graph, for a branch that is read out stands in its row
as named entities would: the order of all years and the sameness of all entities are learned there, and serve at the
end of any branch. All are balanced: as many 'yes' as 'no', as many 'first' as 'second', half of the pairs near to each
other.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grokhop.core.errors import InputError
from grokhop.graph.graph import Entity, Graph, Question, Split
from grokhop.graph.paths import Longs, Mask, PathIndex
from grokhop.graph.queries import EQUAL, FIRST, LESS, NO, SAME, SECOND, YES
from grokhop.graph.splits import VALIDATION_SHARE
from grokhop.tasks.calendar import SOURCE as CALENDAR
from grokhop.tasks.calendar import UNITS, YEAR, number_of, with_calendar
from grokhop.tasks.composition import ID_SHARE, hold_tested, query_codes, split_codes
from grokhop.tasks.encoding import NO_TARGET, Branches, TokenBatch, encode_comparisons, encode_operands, stack
from grokhop.tasks.vocabulary import Vocabulary

SOURCE = "operators"
OPERATORS = (SAME, LESS)
ANSWERS = (YES, NO, FIRST, SECOND, EQUAL)
COMPARED = ("comparison", "bridge_comparison")
"""Question types that compare two branches."""
ROWS_PER_KIND = 2000
OPERAND_ROWS = 100_000
"""Of order, and as many of sameness."""
ALIKE_SHARE = 0.1
"""Of these rows, those with the same entities before both operands."""
NEAR = 6
"""Branches whose values are at most so many values apart in order count as near."""
MOST_BRANCHES = 200_000
_HELD_OUT = {
    Split.TRAIN: 1.0,
    Split.VALIDATION: ID_SHARE * VALIDATION_SHARE,
    Split.TEST: ID_SHARE * (1 - VALIDATION_SHARE),
}
"""Of the pairs of trainable facts, about how many are for each part."""


def comparable(graph: Graph) -> Graph:
    """The graph with its calendar, operators and answers as further entities and relations, where questions compare."""
    if not any(question.type in COMPARED for question in graph.questions):
        return graph
    graph = with_calendar(graph)
    words = [Entity(key=f"answer:{word}", label=_free(word, graph)) for word in ANSWERS]
    return graph.extended([], source=SOURCE, entities=words, relations=OPERATORS, observed=True)


def is_comparable(graph: Graph) -> bool:
    """Whether the graph has the operators; a relation of its own that is called 'SAME' is none of them."""
    return SOURCE in graph.sources


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
    """Makes comparisons over one comparable graph.

    Args:
        tested: codes of chain queries that are tested (`grokhop.tasks.composition.Compositions.tested`); no branch of
            trainable facts holds one.
    """

    def __init__(self, graph: Graph, *, tested: NDArray[np.uint64] | None = None) -> None:
        self.graph, self.tested, self.chaining = graph, tested, PathIndex(graph)
        self.vocabulary = Vocabulary.of(graph)

    @cached_property
    def token(self) -> dict[str, int]:
        """Tokens of operators and answers (relations stand behind all entities)."""
        graph = self.graph
        keys = {entity.key: i for i, entity in enumerate(graph.entities)}
        answers = {word: keys[f"answer:{word}"] for word in ANSWERS}
        return answers | {o: self.vocabulary.relation_token(_last(graph, o)) for o in OPERATORS}

    @cached_property
    def units(self) -> dict[str, int]:
        """The relations of the calendar; a relation of the graph's own that is called 'year' is none of them."""
        return {unit: _last(self.graph, unit) for unit in UNITS} if CALENDAR in self.graph.sources else {}

    @cached_property
    def numbers(self) -> dict[int, float]:
        """The number of each entity that is a year, month or day, or is written as a number."""
        found = ((i, number_of(entity.key, entity.label)) for i, entity in enumerate(self.graph.entities))
        return {i: number for i, number in found if number is not None}

    def is_dated(self, relation: int) -> bool:
        """Whether most objects of a relation have a year; the others, such as an unknown date, are in no comparison."""
        return relation in self._dated

    @cached_property
    def _dated(self) -> set[int]:
        graph = self.graph
        has_year = np.isin(graph.tail, graph.head[graph.relation == self.units.get(YEAR, -1)])
        counts = (np.bincount(of, minlength=len(graph.relations)) for of in (graph.relation[has_year], graph.relation))
        dated, facts = counts
        return set(np.flatnonzero(2 * dated > facts).tolist())

    @cached_property
    def kinds(self) -> list[Kind]:
        """What the graph's questions compare; nothing in a graph without operators. Dates are compared by each unit."""
        if not is_comparable(self.graph):
            return []
        found: dict[Kind, None] = {}
        for path in dict.fromkeys(s.relations for s in map(sides, self.graph.questions) if s):
            tails = self.graph.tail[self.graph.relation == path[-1]].tolist()
            if self.is_dated(path[-1]):
                found |= {Kind((*path, unit), LESS): None for unit in self.units.values()}
            else:
                found[Kind(path, LESS if all(tail in self.numbers for tail in tails) else SAME)] = None
        return list(found)

    @cached_property
    def _asked(self) -> set[tuple[frozenset[int], tuple[int, ...]]]:
        found = (sides(question) for question in self.graph.questions)
        return {(frozenset(s.heads), s.relations) for s in found if s}

    def rows(
        self,
        facts: Split,
        *,
        pairs: Split = Split.TRAIN,
        operators: Sequence[str] = OPERATORS,
        per_kind: int = ROWS_PER_KIND,
        seed: int = 0,
    ) -> TokenBatch:
        """Comparisons of branches whose observed facts are all of the part `facts`.

        Args:
            pairs: of trainable facts, the part for which the two heads together are; a share of such pairs is held
                out for each of the other parts (ID queries). Pairs of held-out facts are not divided.
        """
        return stack(
            [
                self._of_kind(kind, facts, pairs, per_kind, np.random.default_rng([seed, int(facts), int(pairs), i]))
                for i, kind in enumerate(self.kinds)
                if kind.operator in operators
            ]
        )

    def operands(self, *, n: int = OPERAND_ROWS, seed: int = 0) -> TokenBatch:
        """About `n` rows on the order of numbers and `n` on whether two entities are the same, all of them named.

        Before each operand stand as many entities by chance as a branch may have, since what is compared stands at the
        end of a branch. In some rows they are the same on both sides, so that they are no hint.
        """
        rng, made = np.random.default_rng([seed, 17]), []
        every = np.arange(len(self.graph.entities))
        ordered = dict.fromkeys(kind.relations[-1] for kind in self.kinds if kind.operator == LESS)
        scales = [np.unique(self.graph.tail[self.graph.relation == relation]) for relation in ordered]
        for operator in OPERATORS:
            lengths = sorted({len(kind.relations) for kind in self.kinds if kind.operator == operator})
            for before in lengths:
                if operator == SAME:
                    pairs = _equal_pairs(every, n // len(lengths), rng)
                    made.append(self._operands(SAME, every, *pairs, before, rng))
                    continue
                for ids in scales:
                    # As many rows for each number of each scale: there are more years than months to put into order.
                    share = len(ids) / sum(map(len, scales)) / len(lengths)
                    pairs = _near_pairs(self._numbers(ids), round(n * share), rng)
                    made.append(self._operands(LESS, ids, *pairs, before, rng))
        return stack(made)

    def _operands(
        self, operator: str, ids: Longs, one: Longs, other: Longs, before: int, rng: np.random.Generator
    ) -> TokenBatch:
        a, b = ids[one], ids[other]
        x, y = rng.integers(len(self.graph.entities), size=(2, len(a), before))
        y = np.where(rng.random((len(a), 1)) < ALIKE_SHARE, x, y)
        same = np.where(a == b, self.token[YES], self.token[NO])
        return encode_operands(
            np.column_stack([x, a]),
            np.column_stack([y, b]),
            operator=self.token[operator],
            answers=same if operator == SAME else self._order(a, b),
        )

    def _share(self, one: Branches, other: Branches) -> Longs:
        """(N,) answer tokens: whether any end of the one branch is an end of the other."""
        shared = np.zeros(len(one.head), bool)
        shared[np.intersect1d(self._ends(one), self._ends(other)) // len(self.graph.entities)] = True
        return np.where(shared, self.token[YES], self.token[NO])

    def _ends(self, side: Branches) -> Longs:
        """Row number * E + entity of all ends of all branches, those over other facts of the same pairs too."""
        rows, entities = np.arange(len(side.head)), len(self.graph.entities)
        found = self.chaining.answers(side.head.astype(np.int64), side.relations - entities)
        return np.repeat(rows, np.diff(found.offsets)) * entities + found.answers

    def branches(self, kind: Kind, part: Split) -> Longs:
        """(P, k) facts: every branch of a kind whose facts are of `part`; the calendar is of every part."""
        relation = self.graph.relation
        return self._paths([relation == r for r in kind.relations], part)

    def _paths(self, steps: Sequence[Mask], part: Split) -> Longs:
        """(P, k) paths over facts of `part` and the calendar within the masks `steps`.

        Left out are paths beside which the same relations lead over facts of another part, since an answer would tell
        of them, and trainable ones that hold a tested chain.
        """
        graph = self.graph
        allowed = (graph.part == part) | np.isin(graph.relation, list(self.units.values()))
        paths = self.chaining.paths(
            [step & allowed for step in steps], limit=MOST_BRANCHES, rng=np.random.default_rng(0)
        )
        paths = paths[self.chaining.of_one_part(paths)]
        if part is not Split.TRAIN or self.tested is None:
            return paths
        return paths[~hold_tested(graph, paths, self.tested)]

    def _of_kind(self, kind: Kind, facts: Split, pairs: Split, n: int, rng: np.random.Generator) -> TokenBatch:
        branches = self.branches(kind, facts)
        ends = self.graph.tail[branches[:, -1]]
        # Of trainable facts few pairs are held out: so many more are drawn.
        draws = round(n / _HELD_OUT[pairs]) if facts is Split.TRAIN else n
        same = kind.operator == SAME
        one, other = _equal_pairs(ends, draws, rng) if same else _near_pairs(self._numbers(ends), draws, rng)
        heads = self.graph.head[branches[:, 0]].astype(np.int64)
        part = pairs if facts is Split.TRAIN else None
        keep = self._may_be_paired(kind.relations, np.column_stack([heads[one], heads[other]]), part)
        one, other = one[keep][:n], other[keep][:n]
        a, b = self._side(branches[one]), self._side(branches[other])
        answers = self._share(a, b) if kind.operator == SAME else self._order(ends[one], ends[other])
        return encode_comparisons(a, b, operator=self.token[kind.operator], answers=answers)

    def _side(self, paths: Longs) -> Branches:
        """The branches of (N, k) facts."""
        relations = self.vocabulary.relation_token(self.graph.relation[paths])
        return Branches(head=self.graph.head[paths[:, 0]], relations=relations, ends=self.graph.tail[paths])

    def _may_be_paired(self, relations: Sequence[int], heads: Longs, part: Split | None) -> Mask:
        """(N,) whether the ends of `relations` may be compared from two heads: they differ, no question compares them,
        by whatever unit of the calendar, and their pair is for `part`.
        """
        path = tuple(relation for relation in relations if relation not in self.units.values())
        asked = {pair for pair, relations in self._asked if relations == path}
        free = np.array([frozenset(pair) not in asked for pair in heads.tolist()], bool)
        if part is not None:
            low, high = np.sort(heads, axis=1).T
            codes = query_codes(low, np.column_stack([high, np.tile(path, (len(high), 1))]))
            free &= split_codes(codes, ID_SHARE) == part
        return free & (heads[:, 0] != heads[:, 1])

    def _numbers(self, entities: Longs) -> NDArray[np.float64]:
        return np.array([self.numbers[entity] for entity in entities.tolist()])

    def _order(self, one: Longs, other: Longs) -> Longs:
        """(N,) answer tokens: which of two (N,) entities is the lesser number."""
        a, b = self._numbers(one), self._numbers(other)
        return np.where(a == b, self.token[EQUAL], np.where(a < b, self.token[FIRST], self.token[SECOND]))

    def query(self, compared: Sides, operator: str, unit: str | None) -> TokenBatch:
        """The one row that asks a question, without targets; dates by a `unit` of the calendar."""
        path = (*compared.relations, *([self.units[unit]] if unit else []))
        relations = self.vocabulary.relation_token(np.array([path]))
        untold = np.full((1, len(path)), NO_TARGET)
        one, other = (Branches(head=np.array([h]), relations=relations, ends=untold) for h in compared.heads)
        return encode_comparisons(one, other, operator=self.token[operator])


def check_comparisons(comparing: Comparing, rows: TokenBatch) -> dict[str, int]:
    """Look for held-out facts, tested chains and asked pairs in comparison rows, and return what was compared.

    Rows are read back from their tokens and targets, not from the masks and hashes that made them.

    Raises:
        InputError: one was found; nothing may be trained then.
    """
    graph, entities = comparing.graph, len(comparing.graph.entities)
    held_out = set(graph.pair[graph.part != Split.TRAIN].tolist())
    calendar = set(comparing.units.values())
    marks = {comparing.token[operator] for operator in OPERATORS} if len(rows) else set()
    tested = frozenset[int]() if comparing.tested is None else frozenset(comparing.tested.tolist())
    found: Counter[str] = Counter()
    pieces: defaultdict[int, set[tuple[int, ...]]] = defaultdict(set)
    for tokens, targets in zip(rows.tokens.tolist(), rows.targets.tolist(), strict=True):
        operators = [i for i, token in enumerate(tokens) if token in marks]
        heads, path = [], ()
        for start, stop in ((0, operators[0]), (operators[0] + 1, operators[1])):
            ends = [tokens[start], *targets[start + 1 : stop]]
            relations = [token - entities for token in tokens[start + 1 : stop]]
            pairs = [graph.pair_id(e, r) for e, r in zip(ends, relations, strict=False)]
            found["facts"] += sum(pair in held_out for pair in pairs)
            for i in range(len(relations)):
                for j in range(i + 2, len(relations) + 1):
                    pieces[j - i].add((ends[i], *relations[i:j]))
            heads.append(tokens[start])
            path = tuple(r for r in relations if r not in calendar)
        found["pairs"] += (frozenset(heads), path) in comparing._asked
    for piece in pieces.values():
        numbers = np.array(sorted(piece))
        found["queries"] += sum(code in tested for code in query_codes(numbers[:, 0], numbers[:, 1:]).tolist())
    if found.total():
        raise InputError(
            f"leakage: {found['facts']} held-out facts, {found['queries']} tested queries and {found['pairs']} asked "
            "pairs are in comparison rows; nothing was trained, please report this"
        )
    return {"comparison_rows": len(rows)}


def _last(graph: Graph, label: str) -> int:
    """The last relation of a label: calendar and operators stand behind all relations of the graph's own."""
    return len(graph.relations) - 1 - graph.relations[::-1].index(label)


def _near_pairs(values: NDArray[Any], n: int, rng: np.random.Generator) -> tuple[Longs, Longs]:
    """Places of `n` pairs of values, half of them near in order, the rest by chance; none of fewer than two."""
    places = len(values)
    n = 0 if places < 2 else n
    # By the order of the values, not of their places: where many branches share a value, near places would be ties.
    distinct, rank = np.unique(values, return_inverse=True)
    order, at = np.argsort(rank, kind="stable"), rng.integers(places, size=n)
    near = np.clip(rank[at] + rng.integers(-NEAR, NEAR + 1, size=n), 0, len(distinct) - 1)
    low, high = (np.searchsorted(rank[order], near, side) for side in ("left", "right"))
    close = order[low + (rng.random(n) * (high - low)).astype(np.int64)]
    return at, np.where(rng.random(n) < 0.5, close, rng.integers(places, size=n))


def _equal_pairs(values: Longs, n: int, rng: np.random.Generator) -> tuple[Longs, Longs]:
    """Places of `n` pairs of values, half of them equal, the rest by chance; none of fewer than two values."""
    places = len(values)
    n = 0 if places < 2 else n
    order, at = np.argsort(values, kind="stable"), rng.integers(places, size=n)
    low, high = (np.searchsorted(values[order], values[at], side) for side in ("left", "right"))
    alike = order[low + (rng.random(n) * (high - low)).astype(np.int64)]
    return at, np.where(rng.random(n) < 0.5, alike, rng.integers(places, size=n))
