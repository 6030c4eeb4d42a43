"""Compositions: which chains are trained and which queries are asked.

Training rows are paths over trainable facts alone. This file decides, for every query, whether it may be trained:

- a path with a held-out fact is never a training row;
- a query held out by hash, or asked by one of the graph's questions, is in no training row, neither as the whole
  nor as a part of a longer chain;
- a query of several paths is tested in a cell only when all its paths lie in that cell, so that no trainable road
  to a right answer passes for generalisation over held-out facts.

`check_leakage` looks for what must not be in the rows that were really made, by another road than made them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from grokhop.core.errors import InputError
from grokhop.graph.graph import Graph, Split
from grokhop.graph.paths import NO_FACT, Longs, Mask, PathIndex, Queries
from grokhop.graph.splits import VALIDATION_SHARE, question_pairs
from grokhop.tasks.leakage import check_leakage

ID_SHARE = 0.1
"""Share of the distinct trainable queries of each length that are held out for ID validation and test..."""
ID_LIMIT = 3000
"""...but not more than about this many, since more would sharpen no interval that matters."""


class QueryParts:
    """Decides from its numbers alone what a query over trainable facts is for; no query changes sides by its order."""

    def __init__(self, graph: Graph, *, id_share: float) -> None:
        self.id_share = id_share
        asks = any(question.path for question in graph.questions)
        part_of = dict(zip(graph.pair.tolist(), graph.part.tolist(), strict=True)) if asks else {}
        by_part: dict[bool, list[NDArray[np.uint64]]] = {False: [], True: []}
        for question in graph.questions:
            if path := question.path:
                parts = {part_of[pair] for pair in question_pairs(graph, question)}
                code = query_codes(np.array([path[0]]), np.array([path[1]]))
                by_part[parts == {Split.VALIDATION}].append(code)
        none = np.empty(0, np.uint64)
        self._reserved = np.unique(np.concatenate([none, *by_part[False]]))
        self._asked = np.unique(np.concatenate([self._reserved, *by_part[True]]))

    def of(self, head: Longs, relations: Longs) -> NDArray[np.int8]:
        """(Q,) the `Split` of each query; those that the graph's questions ask are for TEST and never trained."""
        codes = query_codes(head, relations)
        return np.where(np.isin(codes, self._asked), Split.TEST, split_codes(codes, self.id_share)).astype(np.int8)

    def tested(self, cells: dict[str, dict[int, dict[str, Queries]]]) -> NDArray[np.uint64]:
        """The sorted codes of the queries in the cells and of those that questions ask."""
        queries = [q for by_hops in cells.values() for by_cell in by_hops.values() for q in by_cell.values()]
        return np.unique(np.concatenate([self._asked, *(query_codes(q.head, q.relations) for q in queries)]))

    def are_reserved(self, queries: Queries) -> Mask:
        """(Q,) whether a question asks the query, other than one whose facts are all held out for validation."""
        return np.isin(query_codes(queries.head, queries.relations), self._reserved)


def hold_tested(graph: Graph, paths: Longs, tested: NDArray[np.uint64]) -> Mask:
    """(P,) whether a part of the path, two hops or longer, is one of the queries with the codes `tested`."""
    return _any_piece(graph, paths, lambda head, relations: np.isin(query_codes(head, relations), tested))


def _any_piece(graph: Graph, paths: Longs, found: Callable[[Longs, Longs], Mask]) -> Mask:
    """(P,) whether `found` is true of the head and relations of any part of the path, two hops or longer."""
    result = np.zeros(len(paths), bool)
    for start, stop in _spans(paths.shape[1]):
        piece = paths[:, start:stop]
        result |= found(graph.head[piece[:, 0]].astype(np.int64), graph.relation[piece])
    return result


def split_codes(codes: NDArray[np.uint64], share: float) -> NDArray[np.int8]:
    """(Q,) the `Split` of each code, with `share` of them held out.

    Whether a query is held out and for which part are drawn apart, so that a larger graph, of which a smaller share
    is held out, never makes a validation query of a test query.
    """
    for_validation = _splitmix(codes) / 2.0**64 < VALIDATION_SHARE
    held_out = np.where(for_validation, Split.VALIDATION, Split.TEST)
    return np.where(codes / 2.0**64 < share, held_out, Split.TRAIN).astype(np.int8)


def query_codes(head: Longs, relations: Longs) -> NDArray[np.uint64]:
    """(Q,) a 64-bit hash of each query (splitmix64 over its numbers)."""
    code = _splitmix(head.astype(np.uint64))
    for hop in range(relations.shape[1]):
        code = _splitmix(code ^ relations[:, hop].astype(np.uint64))
    return code


def _splitmix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One step of splitmix64 (Steele, Lea and Flood, 2014), which mixes every bit into every other."""
    with np.errstate(over="ignore"):
        x = x + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


@dataclass(frozen=True, kw_only=True)
class Compositions:
    """What is trained and what is asked.

    Attributes:
        chains: (C, K) fact indices of training paths of two to K hops, `NO_FACT` behind shorter ones.
        atomic: (A,) facts that begin no chain and so are trained in rows of their own; held-out facts are among them.
        cells: queries by part ("validation", "test"), hops and cell.
        facts: how many facts the graph has that this was made of.
        tested: sorted codes of all queries in `cells` and of all that the graph's questions ask (see `query_codes`).
        counts: what was made and left out, for the manifest and for people.
    """

    chains: Longs
    atomic: Longs
    cells: dict[str, dict[int, dict[str, Queries]]]
    facts: int
    tested: NDArray[np.uint64]
    counts: dict[str, int]


def compose(
    graph: Graph,
    *,
    hops: int = 2,
    extra_hops: int = 1,
    phi: float = 0.0,
    prefixes: bool = True,
    required: bool = True,
    limit: int = 1_000_000,
    cell_limit: int = 2000,
    seed: int = 0,
) -> Compositions:
    """Make the training rows of up to `hops` hops, and the queries of 2 to `hops` + `extra_hops` hops that test them.

    Args:
        phi: of each length so many inferred facts are kept for each trainable atomic fact, all if 0. Whatever
            is asked stays the same, so that phi alone moves, and a lower phi keeps a part of what a higher one does.
        prefixes: whether a path supervises all its prefixes; if not, each of them has a row of its own.
        required: whether a graph without compositions is refused: where its facts are compared they may do alone.
        limit: of paths drawn for each length; a graph with fewer gives all of them.
        cell_limit: of queries in each test cell (a quarter of it for validation).

    Raises:
        InputError: no two trainable facts form a path, there are fewer than `phi` asks for, or a row would leak.
    """
    chaining, rng = PathIndex(graph), np.random.default_rng(seed)
    trainable = graph.part == Split.TRAIN
    by_length = {k: chaining.paths([trainable] * k, limit=limit, rng=rng) for k in range(hops, 1, -1)}
    pairs = by_length[2]
    distinct = len(np.unique(query_codes(graph.head[pairs[:, 0]], graph.relation[pairs])))
    share = min(ID_SHARE, ID_LIMIT / max(1, distinct))
    parts = QueryParts(graph, id_share=share)
    kept = {k: paths[_may_be_trained(graph, paths, parts)] for k, paths in by_length.items()}
    if required and not len(kept[2]):
        raise InputError(
            "the graph has no compositions to train: no trainable fact ends where another begins, or all that do are "
            "asked by questions; see 'grokhop phi', then add facts with 'grokhop augment'"
        )
    cells = _cells(chaining, parts, hops + extra_hops, cell_limit, rng, by_length)
    if phi and (required or len(kept[2])):
        kept = _thinned(graph, kept, round(phi * int(trainable.sum())), seed)
    chains = _without_prefixes(kept, hops) if prefixes else _stacked([kept[k] for k in sorted(kept)], hops)
    atomic = np.setdiff1d(np.arange(len(graph)), chains[:, 0]) if prefixes else np.arange(len(graph))
    counts = {
        "paths": sum(map(len, by_length.values())),
        "chains": len(chains),
        "atomic_rows": len(atomic),
        "held_out_facts": int((~trainable).sum()),
        "trainable_facts": int(trainable.sum()),
        **{f"trained_{k}_hops": len(paths) for k, paths in sorted(kept.items())},
        **{f"{part}_queries": sum(len(q) for by in sets.values() for q in by.values()) for part, sets in cells.items()},
    }
    made = Compositions(
        chains=chains, atomic=atomic, cells=cells, facts=len(graph), tested=parts.tested(cells), counts=counts
    )
    counts.update(check_leakage(graph, made))
    return made


def _may_be_trained(graph: Graph, paths: Longs, parts: QueryParts) -> Mask:
    """(P,) whether no part of the path, two hops or longer, is a query that is held out."""
    return ~_any_piece(graph, paths, lambda head, relations: parts.of(head, relations) != Split.TRAIN)


def _spans(hops: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(hops) for j in range(i + 2, hops + 1)]


def _without_prefixes(paths: dict[int, Longs], hops: int) -> Longs:
    """Stack paths of all lengths; one that begins a longer row is left out, since the row supervises it already."""
    rows = [paths[hops]]
    for k in range(hops - 1, 1, -1):
        longer = np.concatenate([r[:, :k] for r in rows])
        _, index = np.unique(np.concatenate([longer, paths[k]]), axis=0, return_index=True)
        rows.append(paths[k][index[index >= len(longer)] - len(longer)])
    return _stacked(rows, hops)


def _stacked(paths: Sequence[Longs], hops: int) -> Longs:
    """(C, hops) paths of several lengths, with `NO_FACT` behind the shorter ones."""
    return np.concatenate([np.pad(p, ((0, 0), (0, hops - p.shape[1])), constant_values=NO_FACT) for p in paths])


def _thinned(graph: Graph, paths: dict[int, Longs], most: int, seed: int) -> dict[int, Longs]:
    """Of each length exactly `most` paths: longer ones go on from shorter ones that are kept, so that a row's prefixes
    are no inferred facts beside those counted. All paths of one query stay or go together, but for the last.

    Raises:
        InputError: there are fewer.
    """
    kept: dict[int, Longs] = {}
    for k in sorted(paths):
        found = paths[k] if k == 2 else paths[k][_in_rows(paths[k][:, : k - 1], kept[k - 1])]
        if len(found) < most:
            trainable = int((graph.part == Split.TRAIN).sum())
            raise InputError(
                f"the graph offers phi {len(found) / trainable:.2f} of {k} hops for training, less than the "
                f"{most / trainable:g} asked for: give a lower phi, or add facts with 'grokhop augment'"
            )
        codes = query_codes(graph.head[found[:, 0]], graph.relation[found])
        order = np.argsort(_splitmix(codes ^ np.uint64(seed)), kind="stable")
        kept[k] = found[np.sort(order[:most])]
    return kept


def _in_rows(rows: Longs, others: Longs) -> Mask:
    """(N,) whether each row is one of `others`, none of which occurs twice."""
    distinct, place = np.unique(rows, axis=0, return_inverse=True)
    both = np.concatenate([distinct, others])
    _, first, count = np.unique(both, axis=0, return_index=True, return_counts=True)
    return np.isin(place.reshape(-1), first[count > 1])


def cell_name(out_of_distribution: Sequence[bool]) -> str:
    """'II', 'IO', 'OI' or 'OO' for two hops; for more, the number of hops that are out of distribution."""
    if len(out_of_distribution) == 2:
        return "".join("O" if ood else "I" for ood in out_of_distribution)
    return str(sum(out_of_distribution))


def cell_names(hops: int) -> list[str]:
    """All cells of `hops` hops, from fully in to fully out of distribution."""
    return list(dict.fromkeys(cell_name(pattern) for pattern in product((False, True), repeat=hops)))


def _cells(
    chaining: PathIndex,
    parts: QueryParts,
    longest: int,
    limit: int,
    rng: np.random.Generator,
    trained: dict[int, Longs],
) -> dict[str, dict[int, dict[str, Queries]]]:
    """Queries of 2 to `longest` hops, by part, hops and cell."""
    cells: dict[str, dict[int, dict[str, Queries]]] = {}
    for part, most in ((Split.VALIDATION, limit // 4), (Split.TEST, limit)):
        for k in range(2, longest + 1):
            paths: dict[str, list[Longs]] = {name: [] for name in cell_names(k)}
            for pattern in product((False, True), repeat=k):
                paths[cell_name(pattern)].append(_cell_paths(chaining, parts, pattern, part, most, rng, trained))
            by_cell = cells.setdefault(part.name.lower(), {}).setdefault(k, {})
            for name, found in paths.items():
                by_cell[name] = _at_most(most, _testable(chaining, parts, np.concatenate(found)), rng)
    return cells


def _cell_paths(
    chaining: PathIndex,
    parts: QueryParts,
    pattern: Sequence[bool],
    part: Split,
    most: int,
    rng: np.random.Generator,
    trained: dict[int, Longs],
) -> Longs:
    """Paths of one cell; of trainable facts alone, those held out, or any where that length is untrained."""
    graph, k = chaining.graph, len(pattern)
    steps = [graph.part == (part if ood else Split.TRAIN) for ood in pattern]
    if any(pattern):
        return chaining.paths(steps, limit=4 * most, rng=rng)
    if k not in trained:
        trained, parts = {k: chaining.paths(steps, limit=6 * most, rng=rng)}, QueryParts(graph, id_share=1.0)
    paths = trained[k]
    return paths[parts.of(graph.head[paths[:, 0]].astype(np.int64), graph.relation[paths]) == part]


def _testable(chaining: PathIndex, parts: QueryParts, paths: Longs) -> Queries:
    """The queries of `paths` that lie in one cell with all their paths and are asked by no test question."""
    found, pure = chaining.queries(paths)
    return found.where(pure & ~parts.are_reserved(found))


def _at_most(most: int, queries: Queries, rng: np.random.Generator) -> Queries:
    return queries if len(queries) <= most else queries.where(np.sort(rng.choice(len(queries), most, replace=False)))
