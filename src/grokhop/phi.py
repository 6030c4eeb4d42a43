"""Phi: how many inferred facts a graph holds for each atomic fact, over all and relation by relation.

An inferred fact is the end of a path of k >= 2 facts, each starting where the one before ends. A transformer
generalises to unseen compositions only when phi passes a threshold for *every* relation of the task, reported
as 3.6 (Wang et al. 2024) to 6.25 (Abramov et al. 2025). Paths are counted, never listed: with A[h, t] the
number of facts from h to t, the walks of j facts that start at each entity are A^j 1, those that end there
(A^T)^j 1, and all counts are sums of their products.

Shapes: F facts, E entities, R relations, k hops.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from grokhop.errors import InputError
from grokhop.graph import Graph, Part

if TYPE_CHECKING:
    from scipy import sparse

TARGET = 6.25
"""The threshold reported by Abramov et al. 2025 for composition."""

Longs = NDArray[np.int64]
_MOST_PATHS = 2.0**62
_BLOCK_WALKS = 20_000_000
_DEAD_END_ROUNDS = 8


def measure(graph: Graph, *, hops: int = 2, target: float = TARGET) -> dict[str, Any]:
    """Return the phi of `graph` and of each of its relations, before and (under `trainable`) after hold-out.

    `branching` is b = |F|/|V| for the graph and, for a relation, its facts per distinct subject. The paper
    (Abramov et al. 2025, as reported) leaves the definition for a relation open, so nothing is decided by it:
    what passes or fails is decided by phi alone. `lemma_1_bound` is b^(k-1) (Lemma 1). It bounds phi
    asymptotically and for evenly spread degrees only: a real graph with hubs has more paths. `lemma_2_holds`
    says that every relation passes (Lemma 2: with one relation below, the graph as a whole cannot be fully
    generalised).

    Returns:
        A dict for JSON. `per_relation` is in the order of relation ids, without relations that have no fact.
        A path counts for a relation when it uses it at one hop or more; a relation with `never_bridge` is in
        no path at all. A relation whose facts are all held out has phi 0 under `trainable`.

    Raises:
        InputError: hops < 2, target <= 0, no facts, or more paths than 64-bit integers hold.
    """
    if hops < 2:
        raise InputError(f"--hops is {hops}, but an inferred fact needs at least 2 facts: give 2 or more")
    if not 0 < target < np.inf:
        raise InputError(f"--target is {target}, but phi needs a number above 0: give one, such as {TARGET}")
    if not len(graph):
        raise InputError("the graph has no facts, so phi is not defined: ingest at least one fact")
    in_use = np.flatnonzero(np.bincount(graph.relation)).tolist()
    whole = {"denominator": "all facts", **_measure(graph, in_use, hops, target)}
    trainable = graph.part == Part.TRAIN
    after = whole if trainable.all() else _measure(graph.where(trainable), in_use, hops, target)
    return {
        **whole,
        "verdict": _verdict(after, hops, target),
        "trainable": {**after, "denominator": "trainable facts"},
    }


def _measure(graph: Graph, in_use: list[int], hops: int, target: float) -> dict[str, Any]:
    counts = count_paths(graph, hops=hops)
    entities = counts.entities
    branching = len(graph) / entities if entities else 0.0
    per_relation = [_relation(graph.relations[r], counts, r, target) for r in in_use]
    failing = [row["relation"] for row in per_relation if not row["passes"]]
    return {
        "facts": len(graph),
        "entities": entities,
        "relations": len(in_use),
        "hops": hops,
        "paths": counts.paths,
        "paths_no_return": counts.paths - counts.returning,
        "phi": counts.paths / len(graph) if len(graph) else 0.0,
        "target": target,
        "passes": not failing,
        "branching": branching,
        "lemma_1_bound": branching ** (hops - 1),
        "lemma_2_holds": not failing,
        "failing": failing,
        "per_relation": per_relation,
    }


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


def _relation(label: str, counts: PathCounts, r: int, target: float) -> dict[str, Any]:
    facts, paths, heads = int(counts.facts[r]), int(counts.using[r]), int(counts.heads[r])
    phi = paths / facts if facts else 0.0
    return {
        "relation": label,
        "facts": facts,
        "first_hop_paths": int(counts.first[r]),
        "last_hop_paths": int(counts.last[r]),
        "paths": paths,
        "phi": phi,
        "branching": facts / heads if heads else 0.0,
        "passes": phi >= target,
        "never_bridge": paths == 0,
    }


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


def _verdict(after: dict[str, Any], hops: int, target: float) -> str:
    rows, n = after["per_relation"], after["relations"]
    relations = "relation" if n == 1 else "relations"
    if not after["paths"]:
        chain = "no fact ends where another begins" if hops == 2 else f"no {hops} facts form a chain"
        return f"After hold-out {chain}, so there is nothing to infer: see what 'grokhop augment' can add."
    below = [row for row in rows if not row["passes"]]
    if not below:
        return f"All {n} {relations} reach phi {target:g} after hold-out: nothing needs to be added."
    worst = min((row for row in below if row["paths"]), key=lambda row: row["phi"], default=None)
    alone = sum(row["never_bridge"] for row in below)
    notes = [f"worst: {worst['relation']} at {worst['phi']:.1f}"] if worst else []
    notes += [f"{alone} in no path at all"] if alone else []
    return (
        f"{len(below)} of {n} {relations} {'is' if len(below) == 1 else 'are'} below phi {target:g} after "
        f"hold-out ({'; '.join(notes)}), so the graph cannot be fully generalised: 'grokhop augment' adds what "
        "is missing."
    )
