"""Paths counted by relation without listing them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from grokhop.core.errors import InputError
from grokhop.graph.graph import Graph

if TYPE_CHECKING:
    from scipy import sparse


Longs = NDArray[np.int64]
_MOST_PATHS = 2.0**62
_BLOCK_WALKS = 20_000_000
_DEAD_END_ROUNDS = 8


@dataclass(frozen=True, kw_only=True)
class PathCounts:
    """How many paths there are, in all and for each relation; the arrays are (R,) int64.

    `entities` are those at which a fact begins or ends.
    """

    entities: int
    paths: int
    returning: int
    facts: Longs
    heads: Longs
    first: Longs
    last: Longs
    using: Longs


def count_paths(graph: Graph, *, hops: int = 2) -> PathCounts:
    """Count the paths of `hops` facts.

    Two hops take O(F log F). Three take the sum over relations of the facts that begin where one of the relation
    ends, a few F where relations keep to their own entities. More take O(k R F), and closed walks more than that.

    Raises:
        InputError: there are more than 64-bit integers hold.
    """
    steps = _Steps(graph)
    from_ = steps.walks(hops - 1, forward=True)
    to = steps.walks(hops - 1, forward=False)
    paths = steps.total(from_[-1], hops)
    order, bounds = _by_relation(graph)
    head, tail = graph.head[order], graph.tail[order]
    onward, before = from_[hops - 1][tail], to[hops - 1][head]
    first, last = _sums(onward, bounds), _sums(before, bounds)
    # Closed walks need no relation: numpy and scipy let them be counted on a second core.
    with ThreadPoolExecutor(1) as beside:
        if hops == 2:
            returning = beside.submit(_there_and_back, head, tail, (before > 0) & (onward > 0), len(graph.entities))
        else:
            returning = beside.submit(_returning, steps.matrix, hops)
        heads, shared = _heads_and_shared(head, tail, bounds, len(graph.entities))
        if hops == 2:
            using = first + last - shared
        elif hops == 3:
            using = first + last + _by_the_middle(steps, head, tail, bounds, from_[1], to[1])
        else:
            using = paths - _avoiding(steps, head, tail, bounds, hops)
    return PathCounts(
        entities=int(np.count_nonzero(from_[1] + to[1])),
        paths=paths,
        returning=returning.result(),
        facts=np.diff(bounds),
        heads=heads,
        first=first,
        last=last,
        using=using,
    )


class _Steps:
    """The matrix A (E, E) with the number of facts between two entities, and the walks over it."""

    def __init__(self, graph: Graph) -> None:
        self._graph, self._size = graph, len(graph.entities)

    @cached_property
    def matrix(self) -> "sparse.csr_array":
        from scipy import sparse  # here, so that two hops need not wait for it

        ones = np.ones(len(self._graph), np.int64)
        return sparse.csr_array((ones, (self._graph.head, self._graph.tail)), shape=(self._size, self._size))

    @cached_property
    def out(self) -> Longs:
        """(E,) facts that begin at each entity."""
        return np.bincount(self._graph.head, minlength=self._size)

    @cached_property
    def into(self) -> Longs:
        """(E,) facts that end at each entity."""
        return np.bincount(self._graph.tail, minlength=self._size)

    def walks(self, hops: int, *, forward: bool) -> list[Longs]:
        """For each length 0..hops the (E,) number of walks that start (or, backward, end) at each entity."""
        walks = [np.ones(self._size, np.int64), self.out if forward else self.into]
        while len(walks) <= hops:
            self.total(walks[-1], len(walks), forward=forward)
            walks.append((self.matrix if forward else self.matrix.T) @ walks[-1])
        return walks

    def total(self, walks: Longs, hops: int, *, forward: bool = True) -> int:
        """How many walks of so many hops there are, of the (E,) walks of one hop less.

        Raises:
            InputError: there are more than 64-bit integers hold.
        """
        before = self.into if forward else self.out
        # No dot product: its library's threads would spin on after it, beside what is counted next.
        total = float(np.multiply(before, walks, dtype=float).sum())
        if total > _MOST_PATHS:
            raise InputError(f"the graph has about {total:.0e} paths of {hops} hops: lower --hops")
        return int(before @ walks)


def _by_relation(graph: Graph) -> tuple[Longs, Longs]:
    """The facts sorted by relation, and the (R + 1,) bounds of each relation among them."""
    facts = np.bincount(graph.relation, minlength=len(graph.relations))
    # Numpy sorts 16-bit integers by radix: several times faster on millions of facts.
    relation = graph.relation.astype(np.int16) if len(graph.relations) < 2**15 else graph.relation
    return np.argsort(relation, kind="stable"), np.concatenate([[0], np.cumsum(facts)])


def _sums(values: Longs, bounds: Longs) -> Longs:
    """Of each relation, (R,), the sum over its facts."""
    sums, used = np.zeros(len(bounds) - 1, np.int64), bounds[1:] > bounds[:-1]
    sums[used] = np.add.reduceat(values, bounds[:-1][used])
    return sums


def _heads_and_shared(
    head: NDArray[np.int32], tail: NDArray[np.int32], bounds: Longs, entities: int
) -> tuple[Longs, Longs]:
    """For each relation r its distinct heads, and the two-hop paths r r."""
    found, out = np.zeros((2, len(bounds) - 1), np.int64), np.zeros(entities, np.int64)
    for r, (start, stop) in enumerate(pairwise(bounds)):
        heads, n_out = _distinct(head[start:stop])
        out[heads] = n_out
        found[:, r] = len(heads), out[tail[start:stop]].sum()
        out[heads] = 0
    return found[0], found[1]


def _distinct(numbers: NDArray[np.int32]) -> tuple[NDArray[np.int32], Longs]:
    """As `np.unique` with counts, but always by sorting, which is faster here than hashing."""
    ordered = np.sort(numbers)
    begins = np.ones(len(ordered) + 1, bool)  # a stretch of equal numbers; the last is behind all
    np.not_equal(ordered[1:], ordered[:-1], out=begins[1:-1])
    starts = np.flatnonzero(begins)
    return ordered[starts[:-1]], starts[1:] - starts[:-1]


def _there_and_back(head: NDArray[np.int32], tail: NDArray[np.int32], goes_on: NDArray[np.bool_], entities: int) -> int:
    """The closed walks of two hops: loops go there and back by themselves, others meet facts the other way round.

    Args:
        goes_on: (F,) whether some fact leads to the head of a fact, and some fact on from its tail; others meet none.
    """
    kept = np.flatnonzero(goes_on)
    head, tail = head[kept], tail[kept]
    loops = np.bincount(head[head == tail]).astype(np.int64)
    ends = np.minimum(head, tail).astype(np.int64) * entities + np.maximum(head, tail)
    there, back = np.sort(ends[head < tail]), np.sort(ends[head > tail])
    start = np.searchsorted(there, back)
    met = np.append(there, -1)[start] == back
    meetings = np.searchsorted(there, back[met], "right") - start[met]
    return int(loops @ loops + 2 * meetings.sum())


def _by_the_middle(
    steps: _Steps, head: NDArray[np.int32], tail: NDArray[np.int32], bounds: Longs, from_1: Longs, to_1: Longs
) -> Longs:
    """For each relation the three-hop paths that use it in the middle alone, less those that use it at both ends.

    With those that use it first and those that use it last, that is all which use it.
    """
    out, into = np.zeros_like(from_1), np.zeros_like(to_1)  # facts of the relation alone
    found = np.zeros(len(bounds) - 1, np.int64)
    for r, (start, stop) in enumerate(pairwise(bounds)):
        if start == stop:
            continue
        (heads, n_out), (tails, n_in) = _distinct(head[start:stop]), _distinct(tail[start:stop])
        out[heads], into[tails] = n_out, n_in
        before = to_1[head[start:stop]] - into[head[start:stop]]
        after = from_1[tail[start:stop]] - out[tail[start:stop]]
        found[r] = before @ after - n_in @ (steps.matrix[tails] @ out)
        out[heads] = into[tails] = 0
    return found


def _avoiding(steps: _Steps, head: NDArray[np.int32], tail: NDArray[np.int32], bounds: Longs, hops: int) -> Longs:
    """For each relation the paths that never use it."""
    found = np.zeros(len(bounds) - 1, np.int64)
    for r, (start, stop) in enumerate(pairwise(bounds)):
        walks = np.ones(steps.matrix.shape[0], np.int64)
        for _ in range(hops):
            onward = walks[tail[start:stop]]
            walks = steps.matrix @ walks
            np.subtract.at(walks, head[start:stop], onward)
        found[r] = walks.sum()
    return found


def _returning(matrix: "sparse.csr_array", hops: int) -> int:
    """The closed walks, trace(A^k): walks of i facts from an entity that meet walks of k - i facts to it.

    The sum of A^i * (A^(k-i))^T is taken over blocks of rows, so that memory stays bounded.
    """
    matrix = _without_dead_ends(matrix)
    there, back = hops - hops // 2, hops // 2
    backward, walks = matrix.T.tocsr(), np.ones(matrix.shape[0], np.int64)
    for _ in range(there):
        walks = matrix @ walks
    blocks = np.searchsorted(np.cumsum(walks), np.arange(_BLOCK_WALKS, walks.sum(), _BLOCK_WALKS))
    bounds = np.unique(np.concatenate([[0], blocks, [matrix.shape[0]]]))
    total = 0
    for start, stop in pairwise(bounds):
        out, into = matrix[start:stop], backward[start:stop]
        for _ in range(there - 1):
            out = out @ matrix
        for _ in range(back - 1):
            into = into @ backward
        total += int(out.multiply(into).sum())
    return total


def _without_dead_ends(matrix: "sparse.csr_array") -> "sparse.csr_array":
    """The rows and columns of entities at which facts both begin and end, most others taken away one by one.

    No closed walk goes through an entity that cannot be left or reached, nor through one that only leads there.
    """
    alive = np.ones(matrix.shape[0], np.int64)
    for _ in range(_DEAD_END_ROUNDS):
        left = alive * ((matrix @ alive) > 0) * ((matrix.T @ alive) > 0)
        if left.sum() == alive.sum():
            break
        alive = left
    kept = np.flatnonzero(alive)
    return matrix[kept][:, kept] if len(kept) < len(alive) else matrix
