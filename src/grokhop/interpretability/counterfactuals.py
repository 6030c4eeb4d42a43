"""Pairs of queries that differ in one token and in their answer: clean and corrupted, for activation patching.

Corrupting the head entity, the first relation or the second changes what is asked in one place alone; whatever carries
the difference must be among what that place feeds. (Symmetric token replacement: Zhang and Nanda 2023,
arXiv 2309.16042, who find it better than noise, which leads a model out of what it knows.)

Shapes: Q queries of k hops; position 0 of a row is the head, position i the i-th relation.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grokhop.graph.paths import Longs, Mask, PathIndex, Queries
from grokhop.tasks.composition import query_codes

_CANDIDATES = 200
"""Other tokens that are tried for a place, if there are more."""


@dataclass(frozen=True)
class Pairs:
    """P pairs of queries.

    Attributes:
        clean: what is asked. corrupted: the same with another token at one position, none of whose answers is an answer
            of the clean one.
    """

    clean: Queries
    corrupted: Queries

    def __len__(self) -> int:
        return len(self.clean)


def corrupt(
    chaining: PathIndex,
    queries: Queries,
    position: int,
    rng: np.random.Generator,
    *,
    excluded: NDArray[np.uint64] | None = None,
) -> Pairs:
    """Pair each query with one that differs at `position`, drawn by chance.

    Of other heads that have a fact of the first relation, or of other relations, up to 200 are tried; a query for
    which none of them fits is left out.

    Args:
        excluded: codes of queries that must not be asked (`grokhop.tasks.composition.query_codes`).
    """
    if not len(queries):
        return Pairs(queries, queries)
    graph = chaining.graph
    tokens = np.column_stack([queries.head, queries.relations]).astype(np.int64)
    pools = [np.arange(len(graph.relations))]
    if position == 0:
        pools = [np.unique(graph.head[graph.relation == relation]) for relation in range(len(graph.relations))]
    chosen_from = [pools[first if position == 0 else 0] for first in tokens[:, 1].tolist()]
    others = [rng.permutation(pool)[:_CANDIDATES] for pool in chosen_from]
    row = np.repeat(np.arange(len(queries)), [len(tried) for tried in others])
    tried = tokens[row]
    tried[:, position] = np.concatenate(others)
    found = chaining.answers(tried[:, 0], tried[:, 1:])
    fits = _fits(queries, found, row) & (tried[:, position] != tokens[row, position])
    if excluded is not None:
        fits &= ~np.isin(query_codes(found.head, found.relations), excluded)
    fitting = np.flatnonzero(fits)
    chosen, first = np.unique(row[fitting], return_index=True)
    return Pairs(queries.where(chosen), found.where(fitting[first]))


def _fits(queries: Queries, found: Queries, row: Longs) -> Mask:
    """(N,) whether each found query has answers, none of them one of the query at its `row`, (N,)."""
    sizes = np.diff(found.offsets)
    number = np.repeat(np.arange(len(found)), sizes)
    mine = np.repeat(np.arange(len(queries)), np.diff(queries.offsets))
    span = 1 + max(int(found.answers.max(initial=0)), int(queries.answers.max(initial=0)))
    shared = np.isin(row[number] * span + found.answers, mine * span + queries.answers)
    alike = np.bincount(number, weights=shared, minlength=len(found)) > 0
    fits: Mask = (sizes > 0) & ~alike
    return fits


def donors(chaining: PathIndex, queries: Queries, rng: np.random.Generator) -> tuple[Longs, Queries]:
    """For each two-hop query another that shares the bridge and no token: another head by another relation leads there.

    Only queries with one bridge have a donor, and donors have no other.

    Returns:
        (P,) the places in `queries` of those that have one, and for each the donor.
    """
    graph, places, rows = chaining.graph, [], []
    _, pair, objects = np.unique(graph.pair, return_inverse=True, return_counts=True)
    single = objects[pair] == 1
    by_tail = np.argsort(graph.tail, kind="stable")
    tails = graph.tail[by_tail]
    for place, (head, (first, second)) in enumerate(zip(queries.head, queries.relations, strict=True)):
        bridges = chaining.answers(np.array([head]), np.array([[first]])).answers
        if len(bridges) != 1:
            continue
        facts = by_tail[np.searchsorted(tails, bridges[0]) : np.searchsorted(tails, bridges[0], "right")]
        facts = facts[single[facts] & (graph.head[facts] != head) & (graph.relation[facts] != first)]
        onward = graph.relation[chaining.facts_of_heads(bridges.astype(np.int64))[1]]
        onward = onward[onward != second]
        if len(facts) and len(onward):
            fact = rng.choice(facts)
            places.append(place)
            rows.append((graph.head[fact], graph.relation[fact], rng.choice(onward)))
    made = np.array(rows, np.int64).reshape(-1, 3)
    return np.array(places, np.int64), chaining.answers(made[:, 0], made[:, 1:])
