"""Tokens: every entity and every relation is one, and nothing else is in the vocabulary.

A row is `h r1 ... rk`. Each position is *due* after a number of loops: what is given (the head) after none, the end
of the i-th hop after i, since it waits for the bridge before it. With a causal mask every prefix of a chain is a
query of its own, so each position of a row has its own answer and a fact costs nothing extra.

Shapes: N rows, T positions, k hops.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grokhop.chains import NO_FACT, Longs, Queries
from grokhop.graph import Graph

GIVEN = 0
NEVER_DUE = -1
"""Marks padding: it stands behind the last token of a shorter row, where no earlier position can see it."""
NO_TARGET = -100
"""The index that torch's cross-entropy leaves out."""


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """Entities are tokens 0..E-1, relations E..E+R-1."""

    entities: int
    relations: int

    @property
    def size(self) -> int:
        return self.entities + self.relations

    @staticmethod
    def of(graph: Graph) -> "Vocabulary":
        return Vocabulary(entities=len(graph.entities), relations=len(graph.relations))


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Model input.

    Attributes:
        tokens: (N, T) token ids.
        due: (N, T) the loop after which each position holds its answer; `GIVEN` or `NEVER_DUE` where it has none.
        targets: (N, T) the entity to answer, `NO_TARGET` where none is.
    """

    tokens: Longs
    due: NDArray[np.int8]
    targets: Longs

    def __len__(self) -> int:
        return len(self.tokens)


def encode_paths(graph: Graph, paths: Longs) -> Rows:
    """Rows of (N, k) fact indices, with the tail of each fact as the target of its position."""
    exists = paths != NO_FACT
    relations = np.where(exists, graph.relation[paths] + len(graph.entities), 0)
    heads = graph.head[paths[:, 0]]
    return Rows(
        tokens=np.column_stack([heads, relations]).astype(np.int64),
        due=_due(exists),
        targets=np.column_stack(
            [np.full(len(paths), NO_TARGET), np.where(exists, graph.tail[paths], NO_TARGET)]
        ).astype(np.int64),
    )


def encode_queries(vocabulary: Vocabulary, queries: Queries) -> Rows:
    """Rows of queries, without targets."""
    tokens = np.column_stack([queries.head, queries.relations + vocabulary.entities])
    due = _due(np.ones(queries.relations.shape, bool))
    return Rows(tokens=tokens, due=due, targets=np.full(tokens.shape, NO_TARGET))


def _due(exists: NDArray[np.bool_]) -> NDArray[np.int8]:
    hops = np.arange(1, exists.shape[1] + 1)
    return np.column_stack([np.full(len(exists), GIVEN), np.where(exists, hops, NEVER_DUE)]).astype(np.int8)
