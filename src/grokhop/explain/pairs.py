"""Pairs of queries that differ in one token and in their answer: clean and corrupted, for activation patching.

Corrupting the head entity, the first relation or the second changes what is asked in one place alone; whatever carries
the difference must be among what that place feeds. (Symmetric token replacement: Zhang and Nanda 2023,
arXiv 2309.16042, who find it better than noise, which leads a model out of what it knows.)

Shapes: Q queries of k hops; position 0 of a row is the head, position i the i-th relation.
"""

from dataclasses import dataclass

import numpy as np

from grokhop.chains import Chaining, Longs, Mask, Queries

_CANDIDATES = 200
"""Other tokens that are tried for a place, if there are more."""


@dataclass(frozen=True)
class Pairs:
    """P pairs of queries.

    Attributes:
        clean: what is asked. corrupted: the same with another token at `position`, none of whose answers is an answer
            of the clean one.
    """

    position: int
    clean: Queries
    corrupted: Queries

    def __len__(self) -> int:
        return len(self.clean)


def corrupt(chaining: Chaining, queries: Queries, position: int, rng: np.random.Generator) -> Pairs:
    """Pair each query with one that differs at `position`, drawn by chance; those that have none are left out."""
    tokens = np.column_stack([queries.head, queries.relations]).astype(np.int64)
    graph = chaining.graph
    # Only entities with facts of the first relation can stand in for the head; any relation may for another.
    pool = np.arange(len(graph.relations)) if position else np.unique(graph.head)
    others = (
        np.stack([rng.permutation(pool)[:_CANDIDATES] for _ in range(len(queries))]) if len(queries) else pool[None]
    )
    n = others.shape[1]
    tried = np.repeat(tokens, n, axis=0)
    tried[:, position] = others.ravel()
    found = chaining.answers(tried[:, 0], tried[:, 1:])
    fits = _fits(queries, found, n) & (tried[:, position] != np.repeat(tokens[:, position], n))
    fits = fits.reshape(-1, n)
    chosen = np.flatnonzero(fits.any(axis=1))
    return Pairs(position, queries.where(chosen), found.where(chosen * n + fits[chosen].argmax(axis=1)))


def _fits(queries: Queries, found: Queries, n: int) -> Mask:
    """(Q * n,) whether each found query has answers, none of them one of its own query's."""
    sizes = np.diff(found.offsets)
    row = np.repeat(np.arange(len(found)), sizes)
    mine = np.repeat(np.arange(len(queries)), np.diff(queries.offsets))
    span = 1 + max(int(found.answers.max(initial=0)), int(queries.answers.max(initial=0)))
    shared = np.isin(row // n * span + found.answers, mine * span + queries.answers)
    alike = np.bincount(row, weights=shared, minlength=len(found)) > 0
    fits: Mask = (sizes > 0) & ~alike
    return fits


def donors(chaining: Chaining, queries: Queries, rng: np.random.Generator) -> tuple[Longs, Queries]:
    """For each two-hop query another that shares the bridge and no token: another head by another relation leads there.

    Returns:
        The places in `queries` of those that have one, and for each the donor.
    """
    graph, places, rows = chaining.graph, [], []
    by_tail = np.argsort(graph.tail, kind="stable")
    tails = graph.tail[by_tail]
    for place, (head, (first, second)) in enumerate(zip(queries.head, queries.relations, strict=True)):
        bridges = chaining.answers(np.array([head]), np.array([[first]])).answers
        if len(bridges) != 1:
            continue
        facts = by_tail[np.searchsorted(tails, bridges[0]) : np.searchsorted(tails, bridges[0], "right")]
        facts = facts[(graph.head[facts] != head) & (graph.relation[facts] != first)]
        onward = graph.relation[chaining.facts_of_heads(bridges.astype(np.int64))[1]]
        onward = onward[onward != second]
        if len(facts) and len(onward):
            fact = rng.choice(facts)
            places.append(place)
            rows.append((graph.head[fact], graph.relation[fact], rng.choice(onward)))
    made = np.array(rows, np.int64).reshape(-1, 3)
    return np.array(places, np.int64), chaining.answers(made[:, 0], made[:, 1:])
