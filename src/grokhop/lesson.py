"""Lessons: which encoded rows are trained, and in which order.

Every batch mixes chains with facts on their own (held-out facts, and facts that begin no chain), and comparisons where
the graph's questions compare. The order of rows
follows from the seed and the number of the step alone, so that a stopped run goes on exactly.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from grokhop.chains import NO_FACT, Chaining, Longs, Queries
from grokhop.compare import Comparing
from grokhop.compose import Compositions
from grokhop.encode import NEVER_DUE, NO_TARGET, Rows, Vocabulary, encode_paths
from grokhop.graph import Graph, Part

PROBE_ROWS = 1000
"""Training rows on which training accuracy is measured."""
MOST_ATOMIC_SHARE = 0.9
COMPARISON_SHARE = 0.4
"""Of a batch, where anything is compared."""
VALIDATION_ROWS_PER_KIND = 60
FACT_TOKENS = 2
PACKED_TOKENS = 2 * FACT_TOKENS


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """All that training reads: encoded rows and the validation queries.

    Attributes:
        rows: chains first, then the facts that are trained on their own.
        chains: how many of `rows` are chains.
        atomic_share: of each batch, the share of rows that are facts on their own.
        probe: queries of training rows, by their hops, on which training accuracy is measured.
        validation: queries by hops and cell.
        comparisons: rows that compare two branches; none where nothing is compared.
        compared: the same of facts that are held out for validation.
    """

    vocabulary: Vocabulary
    rows: Rows
    chains: int
    atomic_share: float
    probe: list[Queries]
    validation: dict[int, dict[str, Queries]]
    comparisons: Rows
    compared: Rows

    @staticmethod
    def of(graph: Graph, made: Compositions) -> "Lesson":
        lonely = np.full((len(made.atomic), made.chains.shape[1]), NO_FACT)
        lonely[:, 0] = made.atomic
        paths = np.concatenate([made.chains, lonely])
        comparing = Comparing(graph)
        return Lesson(
            vocabulary=Vocabulary.of(graph),
            rows=encode_paths(graph, paths),
            chains=len(made.chains),
            atomic_share=_atomic_share(made),
            probe=_probe(graph, paths),
            validation=made.cells["validation"],
            comparisons=comparing.rows(Part.TRAIN, tested=made.tested),
            compared=comparing.rows(Part.VALIDATION, per_kind=VALIDATION_ROWS_PER_KIND),
        )


def _probe(graph: Graph, paths: Longs) -> list[Queries]:
    chosen = paths[np.random.default_rng(0).permutation(len(paths))[:PROBE_ROWS]]
    hops = (chosen != NO_FACT).sum(axis=1)
    return [Chaining(graph).queries(chosen[hops == k, :k])[0] for k in np.unique(hops)]


def _atomic_share(made: Compositions) -> float:
    """The share of rows with which a fact on its own is looked up as often as a fact in chains is on average."""
    in_chains = made.chains[made.chains != NO_FACT]
    lookups = len(in_chains) / len(np.unique(in_chains))
    weight = lookups * len(made.atomic)
    return min(MOST_ATOMIC_SHARE, weight / (weight + len(made.chains)))


class Shuffled:
    """An endless stream of `n` row numbers, shuffled anew each epoch; any stretch of it can be had at any time."""

    def __init__(self, first: int, n: int, seed: int) -> None:
        self.first, self.n, self.seed = first, n, seed
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def take(self, start: int, count: int) -> Longs:
        """Return the `count` row numbers from place `start` of the stream."""
        pieces = []
        while count:
            epoch, place = divmod(start, self.n)
            piece = self._of_epoch(epoch)[place : place + count]
            pieces.append(piece)
            start, count = start + len(piece), count - len(piece)
        return np.concatenate(pieces) if pieces else self._order[:0]

    def _of_epoch(self, epoch: int) -> Longs:
        if epoch != self._epoch:
            order = np.random.default_rng([self.seed, self.first, epoch]).permutation(self.n)
            self._epoch, self._order = epoch, self.first + order
        return self._order


class Batches:
    """The rows of each step: chains, and among them as many facts on their own as their share asks for.

    Facts on their own stand two in a row, `h r g s`, each due after one loop. So a lookup is learned at two places
    and beside tokens that have nothing to do with it, as it will have to work within a chain. Without this, a model
    trained on few chains answers a fact alone and misses it as a second hop. Where one of two facts ends in the
    entity that the other begins with, the second is left out: not even side by side are they shown.
    """

    def __init__(self, lesson: Lesson, rows: int, seed: int) -> None:
        alone = len(lesson.rows) - lesson.chains
        self.comparison_rows = round(rows * COMPARISON_SHARE) if len(lesson.comparisons) else 0
        rows -= self.comparison_rows
        self.facts = max(2, 2 * round(rows * lesson.atomic_share / 2)) if alone else 0
        self.chain_rows = rows - self.facts
        self.chains_per_epoch = lesson.chains
        self._chains = Shuffled(0, lesson.chains, seed)
        self._alone = Shuffled(lesson.chains, alone, seed)
        self._comparisons = Shuffled(0, len(lesson.comparisons), seed)
        width = max(PACKED_TOKENS, lesson.rows.tokens.shape[1], lesson.comparisons.tokens.shape[1])
        self._rows, self._compared = (_columns(rows, width) for rows in (lesson.rows, lesson.comparisons))

    def of_step(self, step: int) -> list[Tensor]:
        """(B, T) tokens, due and targets of the `step`-th step, counted from 0: chains, pairs of facts, comparisons."""
        chains = torch.from_numpy(self._chains.take(step * self.chain_rows, self.chain_rows))
        alone = torch.from_numpy(self._alone.take(step * self.facts, self.facts))
        compared = torch.from_numpy(self._comparisons.take(step * self.comparison_rows, self.comparison_rows))
        pairs = _packed([column[alone] for column in self._rows])
        streams = ([column[chains] for column in self._rows], pairs, [column[compared] for column in self._compared])
        return [torch.cat(columns) for columns in zip(*streams, strict=True)]

    def epochs(self, steps: int) -> float:
        """How often each chain was seen after so many steps."""
        return steps * self.chain_rows / self.chains_per_epoch


PADDINGS = (0, NEVER_DUE, NO_TARGET)
"""Of tokens, due and targets."""


def _columns(rows: Rows, width: int) -> list[Tensor]:
    columns = zip((rows.tokens, rows.due, rows.targets), PADDINGS, strict=True)
    return [F.pad(torch.from_numpy(c), (0, width - c.shape[1]), value=padding) for c, padding in columns]


def _packed(alone: list[Tensor]) -> list[Tensor]:
    """Columns of (N, T) rows that begin with one fact to those of (N / 2, T) rows that begin with two."""
    width = alone[0].shape[1]
    pairs = [column[:, :FACT_TOKENS].reshape(-1, PACKED_TOKENS) for column in alone]
    columns = [F.pad(c, (0, width - PACKED_TOKENS), value=p) for c, p in zip(pairs, PADDINGS, strict=True)]
    tokens, _, targets = columns
    touching = (targets[:, 1] == tokens[:, 2]) | (targets[:, 3] == tokens[:, 0])
    for column, padding in zip(columns, PADDINGS, strict=True):
        column[touching, FACT_TOKENS:] = padding
    return columns
