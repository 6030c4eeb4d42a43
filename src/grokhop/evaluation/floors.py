"""Floors: what is right about a cell's queries without following any fact.

Three rules answer every query, and a model's accuracy means something above the highest of them:

- `majority` gives the commonest tail of the last relation among trainable facts, whoever is asked about;
- `pair` gives the commonest end of the last two relations among trained compositions;
- `head` repeats the entity that the query begins with.

Any two facts that follow one another in a trained chain count for `pair`, once each. Where no chain joins the two
relations it answers as `majority`. Trainable paths that are not trained do not count: ID queries are among them. Among
equally common entities the one with the lowest number is given. This module imports no torch.
"""

from collections.abc import Mapping

import numpy as np

from grokhop.graph.graph import Graph
from grokhop.graph.paths import NO_FACT, Longs, Queries, distinct_rows
from grokhop.runs.evaluation import Floor, Floors


def floors(graph: Graph, chains: Longs, cells: Mapping[int, Mapping[str, Queries]]) -> Floors:
    """Measure the floors of all cells, by hops and cell, of queries of two hops or more.

    Args:
        chains: (C, K) the trained chains as facts of `graph`, `NO_FACT` behind shorter ones.
    """
    guess = _Guesses(graph, chains)
    return {
        str(hops): {cell: guess.floor(queries) for cell, queries in by_cell.items()} for hops, by_cell in cells.items()
    }


def commonest_objects(graph: Graph) -> Longs:
    """Return the (R,) commonest object of each relation among trainable facts, the first of equals.

    Where a relation has no trainable facts it is the number of entities, which is none of them.
    """
    trained, found = graph.trainable, np.full(len(graph.relations), len(graph.entities))
    relations, objects = _commonest(trained.relation, trained.tail)
    found[relations] = objects
    return found


class _Guesses:
    """The answers of the three rules, counted once for all cells."""

    def __init__(self, graph: Graph, chains: Longs) -> None:
        self.relations = len(graph.relations)
        self.objects = commonest_objects(graph)
        joined = _joined(chains)
        first, second = graph.relation[joined].T.astype(np.int64)
        self.pairs, self.ends = _commonest(first * self.relations + second, graph.tail[joined[:, 1]])

    def floor(self, queries: Queries) -> Floor:
        """Score the three rules on the queries of a cell."""
        guesses = {"majority": self._majority(queries), "pair": self._pair(queries), "head": queries.head}
        shares = {name: _share(queries, guess) for name, guess in guesses.items()}
        return Floor(**shares)

    def _majority(self, queries: Queries) -> Longs:
        return self.objects[queries.relations[:, -1]]

    def _pair(self, queries: Queries) -> Longs:
        wanted = queries.relations[:, -2].astype(np.int64) * self.relations + queries.relations[:, -1]
        place = np.searchsorted(self.pairs, wanted)
        pairs, ends = np.append(self.pairs, -1), np.append(self.ends, -1)  # behind the last, which equals none
        return np.where(pairs[place] == wanted, ends[place], self._majority(queries))


def _share(queries: Queries, guess: Longs) -> float | None:
    return float(queries.are_right(guess).mean()) if len(queries) else None


def _joined(chains: Longs) -> Longs:
    """Return the (P, 2) distinct pairs of facts that follow one another in (C, K) chains."""
    windows = [chains[:, hop : hop + 2] for hop in range(chains.shape[1] - 1)]
    joined = np.concatenate(windows) if windows else np.empty((0, 2), np.int64)
    return distinct_rows(joined[joined[:, 1] != NO_FACT])


def _commonest(keys: Longs, values: Longs) -> tuple[Longs, Longs]:
    """Return the distinct keys, in order, and the commonest value of each, of equals the lowest."""
    span = 1 + int(values.max(initial=0))
    codes, counts = np.unique(keys.astype(np.int64) * span + values, return_counts=True)
    key, value = np.divmod(codes, span)
    order = np.lexsort((value, -counts, key))
    found, first = np.unique(key[order], return_index=True)
    return found, value[order][first]
