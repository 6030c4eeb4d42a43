"""Chains: paths of facts, and the queries that remain of them when the bridges are left out.

A *path* of k hops is k facts, each beginning where the one before ends; a *query* is `h r1 ... rk`, and is right when
it is answered with the end of any of its paths. Paths are enumerated or drawn; nothing is decided here about what may
be trained.

Shapes: F facts, P paths, Q queries, k hops.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from grokhop.graph.graph import Graph

Longs = NDArray[np.integer[Any]]
Mask = NDArray[np.bool_]

_MOST_BITS = 62
NO_FACT = -1
"""Behind the last fact of a path that is shorter than its row."""


@dataclass(frozen=True, kw_only=True)
class Queries:
    """Q chain queries of k hops with every right answer.

    Attributes:
        head: (Q,) entity ids. relations: (Q, k) relation ids.
        answers: (N,) entity ids, those of query q at `offsets[q]:offsets[q + 1]`, sorted.
    """

    head: Longs
    relations: Longs
    answers: Longs
    offsets: Longs

    def __len__(self) -> int:
        return len(self.head)

    @property
    def hops(self) -> int:
        return int(self.relations.shape[1])

    def are_right(self, predicted: Longs) -> Mask:
        """(Q,) whether each of the (Q,) predicted entities is a right answer."""
        query = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        span = 1 + max(int(self.answers.max(initial=0)), int(predicted.max(initial=0)))
        return np.isin(np.arange(len(self)) * span + predicted, query * span + self.answers)

    def where(self, keep: Mask | Longs) -> "Queries":
        """The queries chosen by a mask or by indices."""
        chosen = np.flatnonzero(keep) if keep.dtype == bool else keep
        sizes = np.diff(self.offsets)[chosen]
        rows = np.repeat(self.offsets[chosen] - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes)
        return Queries(
            head=self.head[chosen],
            relations=self.relations[chosen],
            answers=self.answers[rows + np.arange(sizes.sum())] if len(chosen) else self.answers[:0],
            offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        )


class PathIndex:
    """Finds the facts that continue a chain. All arrays of facts are indices into the graph's columns."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    @cached_property
    def by_head(self) -> Longs:
        """(F,) facts in the order of their heads."""
        return _stable_order(self.graph.head)

    @cached_property
    def by_pair(self) -> Longs:
        """(F,) facts in the order of their pairs."""
        return _stable_order(self.graph.pair)

    @cached_property
    def _sorted_heads(self) -> Longs:
        return self.graph.head[self.by_head].astype(np.int64)

    @cached_property
    def _head_starts(self) -> Longs:
        """(E + 1,) where the facts of each entity begin in `by_head`."""
        sizes = np.bincount(self.graph.head, minlength=len(self.graph.entities))
        return np.concatenate([[0], np.cumsum(sizes)])

    @cached_property
    def _sorted_pairs(self) -> Longs:
        return self.graph.pair[self.by_pair]

    def facts_of_heads(self, entities: Longs) -> tuple[Longs, Longs]:
        """All facts that begin at each entity: (row, fact), `row` an index into `entities`."""
        return _expand(self._sorted_heads, self.by_head, entities)

    def facts_of_pairs(self, heads: Longs, relations: Longs) -> tuple[Longs, Longs]:
        """All facts of each (head, relation): (row, fact), `row` an index into the arguments."""
        return _expand(self._sorted_pairs, self.by_pair, self.graph.pair_id(heads, relations))

    def paths(self, steps: Sequence[Mask], *, limit: int, rng: np.random.Generator) -> Longs:
        """(P, k) fact indices: every path whose i-th fact is in the (F,) mask `steps[i]`, or a sample of `limit`.

        The sample is uniform over all such paths (each fact is drawn in proportion to the paths that go on from it)
        and then freed of doubles, so it may be a little smaller than `limit`.
        """
        onward = self._onward_counts(steps)
        if onward[0].sum() <= limit:
            return self._all_paths(steps, onward)
        columns: list[Longs] = [_draw(onward[0], limit, rng)]
        for weights in onward[1:]:
            columns.append(self._draw_next(columns[-1], weights, rng))
        return distinct_rows(np.stack(columns, axis=1))

    def _onward_counts(self, steps: Sequence[Mask]) -> list[NDArray[np.float64]]:
        """For each step the (F,) number of allowed paths from each fact to the last step."""
        counts = [steps[-1].astype(float)]
        for mask in reversed(steps[:-1]):
            by_entity = np.bincount(self.graph.head, counts[0], minlength=len(self.graph.entities))
            counts.insert(0, mask * by_entity[self.graph.tail])
        return counts

    def _all_paths(self, steps: Sequence[Mask], onward: Sequence[NDArray[np.float64]]) -> Longs:
        paths = np.flatnonzero(onward[0])[:, None]
        for weights in onward[1:]:
            row, fact = self.facts_of_heads(self.graph.tail[paths[:, -1]].astype(np.int64))
            keep = weights[fact] > 0
            paths = np.column_stack([paths[row[keep]], fact[keep]])
        return paths

    def _draw_next(self, facts: Longs, weights: NDArray[np.float64], rng: np.random.Generator) -> Longs:
        """Draw for each fact one that begins at its tail, in proportion to `weights`."""
        total = np.concatenate([[0.0], np.cumsum(weights[self.by_head])])
        tails = self.graph.tail[facts]
        low, high = total[self._head_starts[tails]], total[self._head_starts[tails + 1]]
        place = np.minimum(low + rng.random(len(facts)) * (high - low), np.nextafter(high, low))
        drawn = _places(total, place, "right") - 1
        return self.by_head[drawn]

    def queries(self, paths: Longs) -> tuple[Queries, Mask]:
        """The distinct queries of (P, k) paths, and the (Q,) mask of those whose facts share one part at each hop."""
        rows = distinct_rows(np.column_stack([self.graph.head[paths[:, 0]], self.graph.relation[paths]]))
        return self.follow(rows[:, 0].astype(np.int64), rows[:, 1:].astype(np.int64))

    def of_one_part(self, paths: Longs) -> Mask:
        """(P,) whether the head and relations of each (P, k) path lead over facts of one part at each hop."""
        return self.follow(self.graph.head[paths[:, 0]], self.graph.relation[paths])[1]

    def answers(self, head: Longs, relations: Longs) -> Queries:
        """The queries of (Q,) heads and (Q, k) relations, in the given order, with all their right answers."""
        return self.follow(head, relations)[0]

    def follow(self, head: Longs, relations: Longs) -> tuple[Queries, Mask]:
        """As `answers`, and the (Q,) mask of those whose facts share one part at each hop."""
        query, entity, pure = np.arange(len(head)), head, np.ones(len(head), bool)
        for hop in range(relations.shape[1]):
            row, fact = self.facts_of_pairs(entity, relations[query, hop])
            query, entity = query[row], self.graph.tail[fact].astype(np.int64)
            part = self.graph.part[fact]
            last_part = np.zeros(len(head), np.int8)
            last_part[query] = part
            pure[query[part != last_part[query]]] = False
            query, entity = distinct_rows(np.column_stack([query, entity])).T
        offsets = np.concatenate([[0], np.cumsum(np.bincount(query, minlength=len(head)))]).astype(np.int64)
        return Queries(head=head, relations=relations, answers=entity, offsets=offsets), pure

    def go_along(self, head: Longs, relations: Longs, marked: Mask) -> Mask:
        """(Q,) whether every fact on the way of each query is one of those that are marked, (F,)."""
        query, entity, only = np.arange(len(head)), head, np.ones(len(head), bool)
        for hop in range(relations.shape[1]):
            row, fact = self.facts_of_pairs(entity, relations[query, hop])
            query, entity = query[row], self.graph.tail[fact].astype(np.int64)
            only[query[~marked[fact]]] = False
            query, entity = distinct_rows(np.column_stack([query, entity])).T
        return only


def _expand(sorted_keys: Longs, order: Longs, wanted: Longs) -> tuple[Longs, Longs]:
    low, high = (_places(sorted_keys, wanted, side) for side in ("left", "right"))
    sizes = high - low
    row = np.repeat(np.arange(len(wanted)), sizes)
    within = np.arange(len(row)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return row, order[low[row] + within]


def _places(ordered: NDArray[Any], wanted: NDArray[Any], side: Literal["left", "right"]) -> Longs:
    """As `np.searchsorted(ordered, wanted, side)`; faster for many numbers, since they are looked up in their order."""
    order = np.argsort(wanted)
    found = np.empty(len(wanted), np.int64)
    found[order] = np.searchsorted(ordered, wanted[order], side)
    return found


def _draw(weights: NDArray[np.float64], n: int, rng: np.random.Generator) -> Longs:
    """As `rng.choice(len(weights), n, p=weights / weights.sum())`, number for number, but faster."""
    share = np.cumsum(weights / weights.sum())
    share /= share[-1]
    return _places(share, rng.random(n), "right")


def distinct_rows(rows: Longs) -> Longs:
    """The distinct rows of (N, C) numbers from 0, sorted, as `np.unique(rows, axis=0)`.

    It is forty times as fast where a row fits into one number of 62 bits.
    """
    bits = [max(1, int(column.max(initial=0)).bit_length()) for column in rows.T]
    if sum(bits) > _MOST_BITS or rows.min(initial=0) < 0:
        return np.unique(rows, axis=0)
    packed = np.zeros(len(rows), np.int64)
    for column, width in zip(rows.T, bits, strict=True):
        packed = (packed << width) | column
    packed.sort()
    packed = packed[np.diff(packed, prepend=-1) > 0]
    found = np.empty((len(packed), rows.shape[1]), rows.dtype)
    for place in reversed(range(rows.shape[1])):
        found[:, place] = packed & ((1 << bits[place]) - 1)
        packed >>= bits[place]
    return found


def _stable_order(keys: Longs) -> Longs:
    """As `np.argsort(keys, kind="stable")` of (N,) numbers from 0; faster where number and place fit into 63 bits."""
    bits = len(keys).bit_length()
    if int(keys.max(initial=0)).bit_length() + bits > _MOST_BITS or keys.min(initial=0) < 0:
        return np.argsort(keys, kind="stable")
    packed = (keys.astype(np.int64) << bits) | np.arange(len(keys))
    packed.sort()
    return packed & ((1 << bits) - 1)
