"""The leakage check: held-out facts and tested queries looked for in the rows that were really made."""

from typing import Protocol

import numpy as np

from grokhop.core.errors import InputError
from grokhop.graph.graph import Graph, Split
from grokhop.graph.paths import NO_FACT, Longs, Queries, distinct_rows


class Composed(Protocol):
    """The (C, K) facts of the chains that are trained, and the queries that test them by part, hops and cell."""

    @property
    def chains(self) -> Longs: ...

    @property
    def cells(self) -> dict[str, dict[int, dict[str, Queries]]]: ...


def check_leakage(graph: Graph, made: Composed) -> dict[str, int]:
    """Look for held-out facts and tested queries in the training rows, and return what was compared.

    The comparison goes over the pairs and the exact numbers of queries, not over the masks and hashes that made them.

    Raises:
        InputError: one was found; nothing may be trained then.
    """
    in_chains = distinct_rows(graph.pair[made.chains[made.chains != NO_FACT], None])
    held_out = distinct_rows(graph.pair[graph.part != Split.TRAIN, None])
    leaked_pairs = _count_common(in_chains, held_out)
    tested = [q for by_hops in made.cells.values() for by_cell in by_hops.values() for q in by_cell.values()]
    compared = leaked_queries = 0
    for k in range(2, made.chains.shape[1] + 1):
        asked = [(path[0], *path[1]) for q in graph.questions if (path := q.path) and len(path[1]) == k]
        rows = [np.column_stack([q.head, q.relations]) for q in tested if q.hops == k]
        forbidden = distinct_rows(np.concatenate([*rows, np.array(asked, np.int64).reshape(-1, k + 1)]))
        pieces = _pieces(graph, made.chains, k)
        compared += len(pieces)
        leaked_queries += _count_common(pieces, forbidden)
    if leaked_pairs or leaked_queries:
        raise InputError(
            f"leakage: {leaked_pairs} held-out facts and {leaked_queries} tested queries are in training rows; "
            "nothing was trained, please report this"
        )
    return {
        "leak_checked_pieces": compared,
        "leaked_facts": leaked_pairs,
        "leaked_queries": leaked_queries,
    }


def _pieces(graph: Graph, chains: Longs, k: int) -> Longs:
    """(N, k + 1) head and relations of every distinct piece of k hops in the chains."""
    spans = [chains[:, i : i + k] for i in range(chains.shape[1] - k + 1)]
    facts = np.concatenate(spans)
    facts = facts[(facts != NO_FACT).all(axis=1)]
    return distinct_rows(np.column_stack([graph.head[facts[:, 0]], graph.relation[facts]])).astype(np.int64)


def _count_common(a: Longs, b: Longs) -> int:
    """How many rows two arrays of distinct rows share."""
    both = np.concatenate([a, b])
    return len(both) - len(distinct_rows(both))
