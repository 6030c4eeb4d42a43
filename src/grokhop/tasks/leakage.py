"""The leakage check: held-out facts and tested queries looked for in what is trained, by another road than made it.

`check_leakage` reads chains of facts. `check_rows` reads the encoded training rows, and `check_fed` the rows of a batch
as a model is fed them, packed ones included. They compare pairs and the exact numbers of queries, and share no mask and
no hash with the code that made the rows.
"""

from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np

from grokhop.core.errors import InputError
from grokhop.graph.graph import Graph, Split
from grokhop.graph.paths import NO_FACT, Longs, Queries, distinct_rows
from grokhop.tasks.encoding import NO_TARGET, TokenBatch

Cells = Mapping[str, Mapping[int, Mapping[str, Queries]]]
"""Queries by part, hops and cell."""


class Composed(Protocol):
    """The (C, K) facts of the chains that are trained, and the queries that test them."""

    @property
    def chains(self) -> Longs: ...

    @property
    def cells(self) -> dict[str, dict[int, dict[str, Queries]]]: ...


def check_leakage(graph: Graph, made: Composed) -> dict[str, int]:
    """Look for held-out facts and tested queries in the training rows, and return what was compared.

    Raises:
        InputError: one was found; nothing may be trained then.
    """
    in_chains = distinct_rows(graph.pair[made.chains[made.chains != NO_FACT], None])
    leaked_pairs = _count_common(in_chains, _held_out(graph))
    compared = leaked_queries = 0
    for k in range(2, made.chains.shape[1] + 1):
        pieces = _pieces(graph, made.chains, k)
        compared += len(pieces)
        leaked_queries += _count_common(pieces, _forbidden(graph, made.cells, k))
    _refuse(leaked_pairs, leaked_queries)
    return {
        "leak_checked_pieces": compared,
        "leaked_facts": leaked_pairs,
        "leaked_queries": leaked_queries,
    }


def check_rows(graph: Graph, rows: TokenBatch, *, cells: Cells, facts: int) -> dict[str, int]:
    """Look for the same in encoded rows `h r1 ... rk`, read back from their tokens and targets.

    Args:
        graph: as it is trained, with the words of its questions.
        facts: how many of its facts were composed; the calendar's, behind them, are no hold-out.

    Raises:
        InputError: one was found; nothing may be trained then.
    """
    entities, longest = len(graph.entities), rows.tokens.shape[1] - 1
    relations = rows.tokens[:, 1:] - entities
    starts = np.column_stack([rows.tokens[:, :1], rows.targets[:, 1:longest]])
    told = rows.targets[:, 1:] != NO_TARGET
    composed = told[:, 1] if longest > 1 else np.zeros(len(rows), bool)
    pairs = graph.pair_id(starts, relations)[composed][told[composed]]
    held_out = distinct_rows(np.unique(graph.pair[:facts][graph.part[:facts] != Split.TRAIN])[:, None].astype(np.int64))
    leaked_pairs = _count_common(distinct_rows(pairs[:, None].astype(np.int64)), held_out)
    leaked_queries = 0
    for k in range(2, longest + 1):
        forbidden = _forbidden(graph, cells, k)
        for i in range(longest - k + 1):
            there = told[:, i : i + k].all(axis=1)
            pieces = np.column_stack([starts[there, i], relations[there, i : i + k]])
            leaked_queries += _count_common(distinct_rows(pieces), forbidden)
    _refuse(leaked_pairs, leaked_queries)
    return {"leak_checked_rows": len(rows)}


def check_fed(objects: Longs, entities: int, relations: int, tokens: Longs) -> int:
    """Look for packed facts that continue one another in a batch as it is fed, and return how many rows are packed.

    A row is packed where entities stand at several places and no operator compares them. No object of any fact in it,
    shown or not, may be the head of another fact of the row.

    Args:
        objects: pair * E + object of every fact of the graph, sorted.
        tokens: (B, T) of one group of a batch, with token 0 as padding.

    Raises:
        InputError: a fact stands beside another that continues it.
    """
    packed = 0
    for row in tokens:
        facts = list(_facts_in(row, entities))
        packed += len(facts) > 1
        for head, relation in facts:
            first = (head * relations + relation) * entities
            tails = objects[np.searchsorted(objects, first) : np.searchsorted(objects, first + entities)] - first
            beside = {other for other, _ in facts if other != head}
            if beside & set(tails.tolist()):
                raise InputError(
                    f"leakage: the fact of entity {head} and relation {relation} is packed beside a fact that "
                    "continues it; nothing more was trained, please report this"
                )
    return packed


def _facts_in(row: Longs, entities: int) -> Iterator[tuple[int, int]]:
    """(head, relation) of each `h r` of a row of facts on their own; none of a chain or a comparison."""
    is_relation = row >= entities
    width = 2 * (len(row) // 2)
    pairs, marks = row[:width].reshape(-1, 2), is_relation[:width].reshape(-1, 2)
    alone = marks[:, 1] & ~marks[:, 0]
    filled = np.flatnonzero(is_relation)
    if len(filled) and filled[-1] < 2 * alone.sum() and (filled % 2 == 1).all():
        yield from ((int(head), int(relation) - entities) for head, relation in pairs[alone])


def _held_out(graph: Graph) -> Longs:
    return distinct_rows(graph.pair[graph.part != Split.TRAIN, None])


def _forbidden(graph: Graph, cells: Cells, k: int) -> Longs:
    """(N, k + 1) head and relations of every query of k hops that is tested or asked by a question of the graph."""
    tested = [q for by_hops in cells.values() for by_cell in by_hops.values() for q in by_cell.values()]
    asked = [(path[0], *path[1]) for q in graph.questions if (path := q.path) and len(path[1]) == k]
    rows = [np.column_stack([q.head, q.relations]) for q in tested if q.hops == k]
    return distinct_rows(np.concatenate([*rows, np.array(asked, np.int64).reshape(-1, k + 1)]))


def _refuse(facts: int, queries: int) -> None:
    if facts or queries:
        raise InputError(
            f"leakage: {facts} held-out facts and {queries} tested queries are in training rows; "
            "nothing was trained, please report this"
        )


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
