"""Tokens: every entity and every relation is one, and nothing else is in the vocabulary.

A row is `h r1 ... rk`. Each position is *due* after a number of loops: what is given (the head) after none, the end
of the i-th hop after i, since it waits for the bridge before it. With a causal mask every prefix of a chain is a
query of its own, so each position of a row has its own answer and a fact costs nothing extra. Two branches that are
compared stand in one row, each with the operator behind it (`encode_comparisons`).

Shapes: N rows, T positions, k hops.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grokhop.graph.graph import Graph
from grokhop.graph.paths import NO_FACT, Longs, Mask, Queries
from grokhop.tasks.vocabulary import Vocabulary

GIVEN = 0
NEVER_DUE = -1
"""Marks padding: it stands behind the last token of a shorter row, where no earlier position can see it."""
NO_TARGET = -100
"""The index that torch's cross-entropy leaves out."""
OPERATOR_LOOPS = 2
"""That an operator works: one to gather what stands before it, one to compare."""


def carried(loop: int) -> int:
    """What is due at a position that works until `loop` and keeps its state, without being read out."""
    return NEVER_DUE - loop


@dataclass(frozen=True, kw_only=True)
class TokenBatch:
    """Model input.

    Attributes:
        tokens: (N, T) token ids.
        read_at: (N, T) the loop after which each position holds its answer; `GIVEN`, `carried` or `NEVER_DUE` where it
            has none.
        targets: (N, T) the entity to answer, `NO_TARGET` where none is.
    """

    tokens: Longs
    read_at: NDArray[np.int8]
    targets: Longs

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def last(self) -> Longs:
        """(N,) the place of the last position of each row that is due."""
        return self.read_at.shape[1] - 1 - (self.read_at[:, ::-1] > GIVEN).argmax(axis=1)

    def last_targets(self) -> Longs:
        """(N,) the target of the last position of each row that is due."""
        return self.targets[np.arange(len(self)), self.last]

    def ends(self) -> "TokenBatch":
        """The same rows, read out and told the answer at the last position that is due alone."""
        last = np.arange(self.read_at.shape[1]) == self.last[:, None]
        return TokenBatch(
            tokens=self.tokens,
            read_at=np.where(last | (self.read_at == GIVEN), self.read_at, NEVER_DUE).astype(np.int8),
            targets=np.where(last, self.targets, NO_TARGET),
        )

    def where(self, keep: Mask | Longs) -> "TokenBatch":
        """The rows chosen by a mask or by indices."""
        return TokenBatch(tokens=self.tokens[keep], read_at=self.read_at[keep], targets=self.targets[keep])

    def sample(self, most: int, rng: np.random.Generator) -> "TokenBatch":
        """At most so many rows, drawn by chance; of more, a smaller sample is a part of a larger one."""
        return self.where(np.sort(rng.permutation(len(self))[:most]))

    def distinct(self) -> "TokenBatch":
        """Rows of which no two have the same tokens."""
        _, first = np.unique(self.tokens, axis=0, return_index=True)
        return self.where(first)


def encode_paths(graph: Graph, paths: Longs) -> TokenBatch:
    """Rows of (N, k) fact indices, with the tail of each fact as the target of its position."""
    exists = paths != NO_FACT
    relations = np.where(exists, Vocabulary.of(graph).relation_token(graph.relation[paths]), 0)
    heads = graph.head[paths[:, 0]]
    return TokenBatch(
        tokens=np.column_stack([heads, relations]).astype(np.int64),
        read_at=_due(exists),
        targets=np.column_stack(
            [np.full(len(paths), NO_TARGET), np.where(exists, graph.tail[paths], NO_TARGET)]
        ).astype(np.int64),
    )


def encode_queries(vocabulary: Vocabulary, queries: Queries) -> TokenBatch:
    """Rows of queries, without targets."""
    tokens = np.column_stack([queries.head, vocabulary.relation_token(queries.relations)])
    read_at = _due(np.ones(queries.relations.shape, bool))
    return TokenBatch(tokens=tokens, read_at=read_at, targets=np.full(tokens.shape, NO_TARGET))


@dataclass(frozen=True, kw_only=True)
class Branches:
    """One side of N comparisons.

    Attributes:
        head: (N,) entities. relations: (N, k) tokens; without any, the head itself is compared.
        ends: (N, k) the end of each hop, or `NO_TARGET` where none is told.
    """

    head: Longs
    relations: Longs
    ends: Longs


def encode_comparisons(one: Branches, other: Branches, *, operator: int, answers: Longs | None = None) -> TokenBatch:
    """Rows `a r1 ... rk OP b r1 ... rk OP`: two branches, and at the last position how their ends compare.

    The operator stands behind each branch, so that what it compares is always right before it, however long the
    branches are. It works `OPERATOR_LOOPS` loops, both places at once: in the first each gathers the end of its
    branch, in the next the last looks back at the other.

    Args:
        answers: (N,) tokens, left out of questions.
    """
    column = np.ones((len(one.head), 1), np.int64)
    untold, k = NO_TARGET * column, one.relations.shape[1]
    answer = untold if answers is None else answers[:, None]
    tokens, read_at, targets = [], [], []
    for side, works, target in ((one, carried(k + 1), untold), (other, k + OPERATOR_LOOPS, answer)):
        tokens += [side.head[:, None], side.relations, operator * column]
        read_at += [GIVEN, *range(1, k + 1), works]
        targets += [untold, side.ends, target]
    return TokenBatch(
        tokens=np.hstack(tokens).astype(np.int64),
        read_at=np.tile(np.array(read_at, np.int8), (len(column), 1)),
        targets=np.hstack(targets).astype(np.int64),
    )


def encode_operands(one: Longs, other: Longs, *, operator: int, answers: Longs) -> TokenBatch:
    """Rows `x1 ... xk a OP y1 ... yk b OP`, all named: what a comparison looks like once its branches are read out.

    Args:
        one: (N, k + 1) entities, of which the last is compared. other: (N, k + 1) the same of the second side.
        answers: (N,) tokens.
    """
    mark = np.full((len(one), 1), operator)
    tokens = np.hstack([one, mark, other, mark]).astype(np.int64)
    given = [GIVEN] * one.shape[1]
    read_at = np.array([*given, carried(1), *given, OPERATOR_LOOPS], np.int8)
    targets = np.full_like(tokens, NO_TARGET)
    targets[:, -1] = answers
    return TokenBatch(tokens=tokens, read_at=np.tile(read_at, (len(one), 1)), targets=targets)


def stack(rows: Sequence[TokenBatch]) -> TokenBatch:
    """Rows of several lengths, padded to the longest."""
    width = max((part.tokens.shape[1] for part in rows), default=1)

    def padded(name: str, value: int) -> NDArray[Any]:
        columns = [getattr(part, name) for part in rows]
        filled = [np.pad(c, ((0, 0), (0, width - c.shape[1])), constant_values=value) for c in columns]
        return np.concatenate([np.empty((0, width), np.int64), *filled])

    return TokenBatch(
        tokens=padded("tokens", 0),
        read_at=padded("read_at", NEVER_DUE).astype(np.int8),
        targets=padded("targets", NO_TARGET),
    )


def _due(exists: NDArray[np.bool_]) -> NDArray[np.int8]:
    hops = np.arange(1, exists.shape[1] + 1)
    return np.column_stack([np.full(len(exists), GIVEN), np.where(exists, hops, NEVER_DUE)]).astype(np.int8)
