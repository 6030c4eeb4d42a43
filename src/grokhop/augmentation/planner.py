"""Which facts to add so that every relation reaches its phi: Algorithm 2 of Abramov et al. 2025, without an LLM.

A fact (h, r, t) makes in(h) paths that r ends and out(t) paths that r begins. The plan adds one small batch of
facts after another, always those that make the most *useful* paths: paths of a relation that is still short,
counted once for each relation they help, less what the new fact itself demands (`target` paths, when its
relation has none to spare).

To reach phi with the fewest facts one would pile all of them on a few hubs, which satisfies the number and
teaches a model nothing. So the plan fills like water: no entity is given facts beyond a *maximal degree* in either
direction, and the maximum, which begins at the target, rises only when nothing useful is left below it.

What may be added is decided in `grokhop.augmentation.constraints`. New entities only ever serve as subjects, where no
known subject has room; each ranks below all others in the order that keeps cycles out.

Shapes: E entities (growing), R relations.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from grokhop.augmentation.constraints import (
    Longs,
    cycle_free_order,
    find_kinds,
    most_objects,
    objects_limit,
    sustainable,
    untouchable_pairs,
)
from grokhop.core.errors import InputError
from grokhop.graph.graph import Graph, Split
from grokhop.graph.splits import question_pairs

ROLE_SHARE = 0.25
"""A relation that is used as first (or later) hop needs this part of the target as paths in that role."""
MOST_CELLS = 10**8
"""Relations times entities above which the planner's tables would not fit into memory."""
PHI, FIRST_HOP, LATER_HOP = "phi", "first hop", "later hop"
Lack = tuple[int, str]
"""A relation and what it is short of: PHI, or paths in a role."""
_BATCHES = 50  # A batch is about this part of what is missing: a few facts on graphs of a few thousand.
_PATIENCE = 100  # Facts that may be added without coming closer before the maximal degree rises...
_RISES = 6  # ...which it does at most this often, by half each time.

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Addition:
    """A fact to add, the relation and role that are short of paths and that it was chosen for, and where it is from."""

    head: int
    relation: int
    tail: int
    for_relation: int
    role: str
    source: str = "graph"


@dataclass(frozen=True, kw_only=True)
class _Counts:
    """(R,) trainable facts, and trainable paths with the relation as first hop, as later hop, and in all."""

    facts: Longs
    first: Longs
    later: Longs
    paths: Longs


@dataclass(frozen=True, kw_only=True)
class _Shortage:
    """What is missing. All arrays are (R,).

    Attributes:
        first, later: 1 where another path with the relation as first (later) hop helps, else 0.
        relative: missing paths as a part of those wanted.
        spare: paths beyond those wanted.
        empty: whether the relation needs its first trainable fact.
        paths: missing in all.
        worst: the relation that misses the largest part of what it needs, and what that is.
    """

    first: Longs
    later: Longs
    relative: Floats
    spare: Floats
    empty: NDArray[np.bool_]
    paths: float
    worst: Lack


@dataclass(frozen=True, kw_only=True)
class _Choice:
    """The relation of the next batch, with its possible subjects and objects, the best first."""

    gain: float
    relation: int
    heads: Longs
    tails: Longs


class Plan:
    """The additions for one graph; `run` makes them.

    Attributes:
        additions: in the order in which they were chosen; ids of new entities go on from the graph's.
        new_subject_of: for each new entity the relation whose subject it was made to be.
        rejected: how many facts or (subject, relation) pairs were left out, by reason.
        reachable: (R,) whether the relation can reach the target at all, see `reason`.
    """

    def __init__(
        self, graph: Graph, *, target: float, max_degree: int, rng: np.random.Generator, given_up: Collection[Lack] = ()
    ) -> None:
        R, E = len(graph.relations), len(graph.entities)
        if R * E > MOST_CELLS:
            raise InputError(
                f"the graph is too large to be augmented: {R} relations times {E} entities exceed {MOST_CELLS}; "
                "ingest fewer relations"
            )
        self.graph, self.target, self.max_degree, self.rng = graph, target, max_degree, rng
        self.additions: list[Addition] = []
        self.new_subject_of: list[int] = []
        self.limit = objects_limit(graph)
        self._read_kinds(cycle_free_order(graph, rng))
        self._count_facts()
        self.rejected = self._rejected_pairs()
        self._find_goals(set(given_up))

    def _read_kinds(self, rank: Longs) -> None:
        kinds = find_kinds(self.graph)
        self.rank, self.subject, self.object = rank, kinds.subject, kinds.object
        self.members = [m[np.argsort(rank[m], kind="stable")] for m in kinds.members]
        self.kinds, self.most_out = kinds, most_objects(kinds, self.limit)

    def _count_facts(self) -> None:
        graph, R, E = self.graph, len(self.graph.relations), len(self.graph.entities)
        trainable = graph.trainable
        self.into, self.out, self.objects = (np.zeros((R, E), np.int64) for _ in range(3))
        np.add.at(self.into, (trainable.relation, trainable.tail), 1)
        np.add.at(self.out, (trainable.relation, trainable.head), 1)
        np.add.at(self.objects, (graph.relation, graph.head), 1)
        self.closed = np.zeros((R, E), np.bool_)
        head, relation = np.divmod(untouchable_pairs(graph), R)
        self.closed[relation, head] = True
        self.known = {(h, r, t) for h, r, t in zip(*self._columns_of_many_valued(), strict=True)}

    def _columns_of_many_valued(self) -> tuple[list[int], list[int], list[int]]:
        """Facts that could be added twice: elsewhere no subject is given a second object at all."""
        graph = self.graph
        many = self.limit[graph.relation] > 1
        return graph.head[many].tolist(), graph.relation[many].tolist(), graph.tail[many].tolist()

    def _rejected_pairs(self) -> Counter[str]:
        rejected: Counter[str] = Counter()
        for r in np.flatnonzero(self.subject >= 0):
            heads, tails = self.members[self.subject[r]], self.members[self.object[r]]
            closed, full = self.closed[r, heads], self.objects[r, heads] >= self.limit[r]
            last = self.rank[heads] >= self.rank[tails].max()
            rejected["the pair is held out or asked by a question"] += int(closed.sum())
            rejected["the subject has its objects"] += int((full & ~closed).sum())
            rejected["every object would close a cycle"] += int((last & ~full & ~closed).sum())
        return rejected

    def _find_goals(self, given_up: set[Lack]) -> None:
        """A role counts when trainable paths or questions use it and the kinds of entities allow its share.

        Questions held out for test have no say: what is added must not depend on what will be asked.
        """
        R, counts = len(self.graph.relations), self._counts()
        self.could_reach = sustainable(self.kinds, self.limit, counts.facts, counts.paths, self.target)
        dropped = {what: np.array([(r, what) in given_up for r in range(R)]) for what in (PHI, FIRST_HOP, LATER_HOP)}
        self.reachable = self.could_reach & ~dropped[PHI]
        used_first, used_later = counts.first > 0, counts.later > 0
        test_pairs = set(self.graph.pair[self.graph.part == Split.TEST].tolist())
        for question in self.graph.questions:
            path = question.path
            if path and test_pairs.isdisjoint(question_pairs(self.graph, question)):
                used_first[path[1][0]] = True
                used_later[list(path[1][1:])] = True
        room_first = self.most_out[self.object] >= ROLE_SHARE * self.target
        self.as_first = used_first & room_first & self.reachable & ~dropped[FIRST_HOP]
        self.as_later = used_later & np.isin(self.subject, self.object) & self.reachable & ~dropped[LATER_HOP]

    def run(self, *, most: int) -> Lack | None:
        """Add facts until nothing is missing, and return None; or return what is missing most when nothing helps.

        Raises:
            InputError: more than `most` facts would be added.
        """
        fewest_missing, added_then, rises = np.inf, 0, 0
        while (shortage := self.shortage()) is not None:
            if shortage.paths < fewest_missing:
                fewest_missing, added_then = shortage.paths, len(self.additions)
            stalled = len(self.additions) - added_then > max(_PATIENCE, len(self.graph) // 4)
            choice = None if stalled else self._best(shortage)
            if choice is not None:
                self._add(choice, shortage)
                if len(self.additions) > most:
                    raise InputError(
                        f"--target-phi {self.target:g} needs more than {most} added facts: lower it, or give a "
                        "graph with more facts per entity"
                    )
            elif rises == _RISES:
                return shortage.worst
            else:
                self.max_degree, fewest_missing, rises = ceil(1.5 * self.max_degree), np.inf, rises + 1
        return None

    def _counts(self) -> _Counts:
        first, later = self.into @ self.out.sum(0), self.out @ self.into.sum(0)
        return _Counts(
            facts=self.into.sum(1), first=first, later=later, paths=first + later - (self.into * self.out).sum(1)
        )

    def shortage(self) -> _Shortage | None:
        """Return what is missing, or None when every reachable relation has its phi and its roles."""
        n = self._counts()
        wanted = np.maximum(self.target * n.facts, 1.0)  # A relation that is wholly held out needs a path, too.
        share = ROLE_SHARE * wanted
        missing = np.maximum(
            [
                np.where(self.reachable, wanted - n.paths, 0),
                np.where(self.as_first, share - n.first, 0),
                np.where(self.as_later, share - n.later, 0),
            ],
            0,
        )
        if not missing.any():
            return None
        # What is missing in a role comes behind phi: it is smaller by its share.
        what, r = np.unravel_index((missing / wanted).argmax(), missing.shape)
        return _Shortage(
            first=((missing[0] > 0) | (missing[1] > 0)).astype(np.int64),
            later=((missing[0] > 0) | (missing[2] > 0)).astype(np.int64),
            relative=missing[0] / wanted,
            spare=n.paths - wanted,
            empty=self.reachable & (n.facts == 0),
            paths=float(missing.sum()),
            worst=(int(r), (PHI, FIRST_HOP, LATER_HOP)[what]),
        )

    def _best(self, shortage: _Shortage) -> _Choice | None:
        """Return the batch of the relation whose best fact gains most; relations without facts come first."""
        ends_in, starts = self.into.sum(0), self.out.sum(0)
        jitter = 1e-3 * self.rng.random((2, len(self.rank)))
        # What one more fact from an entity (to an entity) makes of the facts that end (start) there.
        from_head = shortage.first @ self.into + jitter[0]
        to_tail = shortage.later @ self.out + jitter[1]
        room_out, room_in = starts < self.max_degree, ends_in < self.max_degree
        relations = np.flatnonzero(shortage.empty if shortage.empty.any() else self.subject >= 0)
        best: _Choice | None = None
        for r in relations.tolist():
            heads, tails = self.members[self.subject[r]], self.members[self.object[r]]
            heads = heads[room_out[heads] & (self.objects[r, heads] < self.limit[r]) & ~self.closed[r, heads]]
            tails = tails[room_in[tails]]
            if not len(tails):
                continue
            head_gain = from_head[heads] + shortage.later[r] * ends_in[heads]
            tail_gain = to_tail[tails] + shortage.first[r] * starts[tails]
            useful, cut = self._best_cut(heads, head_gain, tails, tail_gain)
            if useful < 0.5 and not shortage.empty[r]:
                continue
            gain = useful - (self.target if self.reachable[r] and shortage.spare[r] < self.target else 0)
            if best is None or gain > best.gain:
                below, above = self.rank[heads] < cut, self.rank[tails] >= cut
                best = _Choice(
                    gain=gain,
                    relation=r,
                    heads=heads[below][np.argsort(-head_gain[below])],
                    tails=tails[above][np.argsort(-tail_gain[above])],
                )
        return best

    def _best_cut(self, heads: Longs, head_gain: Floats, tails: Longs, tail_gain: Floats) -> tuple[float, int]:
        """Return the most that a fact from a lower to a higher rank gains, and the rank of its tail.

        Every head below that rank may be joined to every tail from it on. `heads` and `tails` are sorted by
        rank. A new entity is a head below all others that gains nothing.
        """
        best_before = np.concatenate([[0.0], np.maximum.accumulate(np.maximum(head_gain, 0))])
        gain = tail_gain + best_before[np.searchsorted(self.rank[heads], self.rank[tails], "left")]
        i = int(gain.argmax())
        return float(gain[i]), int(self.rank[tails[i]])

    def _add(self, choice: _Choice, shortage: _Shortage) -> None:
        r = choice.relation
        size = max(1, int(shortage.paths / self.target / _BATCHES))
        tails = choice.tails[: 1 if shortage.empty[r] else size]
        heads = choice.heads[: len(tails)] if len(choice.heads) else self._new_subjects(r, len(tails))
        for head, tail in zip(heads.tolist(), tails.tolist(), strict=False):
            if (head, r, tail) in self.known:
                self.rejected["the fact is there already"] += 1
                self.closed[r, head] = True
                continue
            for_relation, role = self._purpose(head, r, tail, shortage)
            self.known.add((head, r, tail))
            self.into[r, tail] += 1
            self.out[r, head] += 1
            self.objects[r, head] += 1
            self.additions.append(Addition(head=head, relation=r, tail=tail, for_relation=for_relation, role=role))

    def _purpose(self, head: int, r: int, tail: int, shortage: _Shortage) -> tuple[int, str]:
        """Of the relations and roles that the fact helps, the one that is shortest of paths."""
        first = shortage.first * (self.into[:, head] > 0)
        later = shortage.later * (self.out[:, tail] > 0)
        first[r] |= shortage.first[r] * (self.out[:, tail].sum() > 0)
        later[r] |= shortage.later[r] * (self.into[:, head].sum() > 0)
        # A relation short in a role alone is behind every relation that is short of phi.
        by_role = np.stack([first, later]) * (1e-6 + shortage.relative)
        if not by_role.any():  # the first fact of a relation
            return r, FIRST_HOP if self.as_first[r] else LATER_HOP
        role, relation = np.unravel_index(by_role.argmax(), by_role.shape)
        return int(relation), (FIRST_HOP, LATER_HOP)[role]

    def _new_subjects(self, r: int, n: int) -> Longs:
        made = np.arange(len(self.rank), len(self.rank) + n)
        self.new_subject_of += [r] * n
        ranks = self.rank.min() - 1 - np.arange(n)
        self.rank = np.concatenate([self.rank, ranks])
        kind = self.subject[r]
        self.members[kind] = np.concatenate([made[::-1], self.members[kind]])
        self.into, self.out, self.objects = (np.pad(x, ((0, 0), (0, n))) for x in (self.into, self.out, self.objects))
        self.closed = np.pad(self.closed, ((0, 0), (0, n)))
        return made

    def reason(self, r: int) -> str:
        """Why relation `r` does not reach the target."""
        most = int(self.most_out[self.object[r]])
        onward = f"at most {most} fact{'s' * (most > 1)} each" if most else "no facts of their own"
        if self.could_reach[r]:
            return (
                "no plan was found: what would help is held out, asked by a question, a second object of a "
                f"subject that takes one, or closes a cycle; its objects can have {onward}"
            )
        if not np.isin(self.subject[r], self.object):
            return f"no relation leads to its subjects, and its objects can have {onward}"
        return f"the relations that lead to its subjects fall short with it, and its objects can have {onward}"
