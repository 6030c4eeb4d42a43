"""Batches: rows of each kind shuffled, mixed, packed and padded, by seed and step alone."""

from math import ceil
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from grokhop.config import TrainConfig
from grokhop.core.errors import InputError
from grokhop.graph.paths import Longs
from grokhop.tasks.dataset import TaskDataset
from grokhop.tasks.encoding import NEVER_DUE, NO_TARGET, TokenBatch
from grokhop.tasks.leakage import check_fed

COMPARISON_SHARE, OPERAND_SHARE = 0.1, 0.5
"""Of a batch, where anything is compared: comparisons of facts, and of numbers and entities by themselves."""
RULE_SHARE = 0.1
"""Of a batch, where there are examples of rules."""
FACT_TOKENS = 2
CHECKED_STEPS = 10
"""Of each seed, whose batches are checked for leakage before it is trained."""


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


class Stream:
    """Of one kind of row, about `share` of each batch of `batch` rows; none where there is no such row."""

    def __init__(self, rows: TokenBatch, batch: int, share: float, seed: int) -> None:
        self.count = round(batch * share) if len(rows) else 0
        self._columns = _columns(rows, rows.tokens.shape[1])
        self._order = Shuffled(0, len(rows), seed)

    def of_step(self, step: int, width: int = 0) -> list[Tensor]:
        """(count, T) tokens, due and targets, padded to at least `width`."""
        chosen = torch.from_numpy(self._order.take(step * self.count, self.count))
        return _padded([column[chosen] for column in self._columns], width)


class Batches(Protocol):
    """What each step trains."""

    def of_step(self, step: int) -> list[list[Tensor]]:
        """(B, T) tokens, due and targets of the `step`-th step, counted from 0, in groups of rows of like length."""

    def epochs(self, steps: int) -> float:
        """How often each chain was seen after so many steps, or each row where there is no chain."""


def batches(dataset: TaskDataset, settings: TrainConfig, seed: int) -> Batches:
    """Make the batches that the settings ask for."""
    if settings.mixing == "by_row":
        return Uniform(dataset, settings.batch_size, seed)
    return Mixed(dataset, settings.batch_size, seed, packing=settings.packing, fact_share=settings.fact_share)


def check_batches(made: Batches, dataset: TaskDataset) -> int:
    """Check the first batches as a model is fed them, and return how many packed rows were compared.

    Raises:
        InputError: a fact stands beside another that continues it (`grokhop.tasks.leakage.check_fed`).
    """
    size = dataset.vocabulary
    return sum(
        check_fed(dataset.objects, size.entities, size.relations, group[0].numpy())
        for step in range(CHECKED_STEPS)
        for group in made.of_step(step)[:1]
    )


class Uniform:
    """Every row as often as any other, in an order that is drawn anew each epoch."""

    def __init__(self, dataset: TaskDataset, rows: int, seed: int) -> None:
        together = dataset.all_rows()
        self._stream = Stream(together, rows, 1.0, seed)
        self._rows, self._in_all = rows, len(together)

    def of_step(self, step: int) -> list[list[Tensor]]:
        return [self._stream.of_step(step)]

    def epochs(self, steps: int) -> float:
        return steps * self._rows / self._in_all


class Mixed:
    """The rows of each step: chains, and among them as many facts on their own as their share asks for.

    Facts on their own stand several in a row, `h r g s`, each due after one loop, as many as make a row as long as the
    longest chain that will be asked. So a lookup is learned at every place where it will have to work, and beside
    tokens that have nothing to do with it, as within a chain. Without this, a model trained on few chains answers a
    fact alone and misses it as a second hop, and one that is asked for more hops than it was trained on stands at
    places that it has never seen. Where a fact ends in the entity that another in the row begins with, the row
    ends before the later of the two: not even side by side are they shown.
    """

    def __init__(
        self, dataset: TaskDataset, rows: int, seed: int, *, packing: bool = True, fact_share: float = 0.0
    ) -> None:
        alone = len(dataset.rows) - dataset.chains
        self._compared = Stream(dataset.comparisons, rows, COMPARISON_SHARE, seed)
        self._operands = Stream(dataset.operands, rows, OPERAND_SHARE, seed)
        self._rules = Stream(dataset.rules, rows, RULE_SHARE, seed)
        rows -= self._compared.count + self._operands.count + self._rules.count
        share = (
            (fact_share or dataset.atomic_share) if dataset.chains else 1.0
        )  # a graph may have comparisons and no chains
        self.together = ceil((1 + max(dataset.validation)) / FACT_TOKENS) if packing else 1
        room = rows - bool(dataset.chains)
        packs = min(max(1, round(rows * share / self.together)), room // self.together)
        self.facts = packs * self.together if alone else 0
        self.chain_rows = rows - self.facts if dataset.chains else 0
        self.chains_per_epoch = dataset.chains
        if (dataset.chains and not self.chain_rows) or (alone and not self.facts):
            raise InputError(
                f"a batch of {rows} rows beside comparisons and rules has no room for chains and for facts on their "
                "own: give a higher train.batch_size, or another train.fact_share"
            )
        self._chains = Shuffled(0, dataset.chains, seed)
        self._alone = Shuffled(dataset.chains, alone, seed)
        self._follows = Follows(dataset)
        self._rows = _columns(dataset.rows, max(self.together * FACT_TOKENS, dataset.rows.tokens.shape[1]))

    def of_step(self, step: int) -> list[list[Tensor]]:
        """Chains, facts on their own and examples of rules; operands; comparisons."""
        chains = torch.from_numpy(self._chains.take(step * self.chain_rows, self.chain_rows))
        alone = torch.from_numpy(self._alone.take(step * self.facts, self.facts))
        packs = _packed([column[alone] for column in self._rows], self.together, self._follows)
        streams = ([column[chains] for column in self._rows], packs, self._rules.of_step(step, packs[0].shape[1]))
        facts = [torch.cat(columns) for columns in zip(*streams, strict=True)]
        return [facts, *(stream.of_step(step) for stream in (self._operands, self._compared) if stream.count)]

    def epochs(self, steps: int) -> float:
        return steps * self.chain_rows / max(1, self.chains_per_epoch)


PADDINGS = (0, NEVER_DUE, NO_TARGET)
"""Of tokens, due and targets."""


def _columns(rows: TokenBatch, width: int) -> list[Tensor]:
    return _padded([torch.from_numpy(c) for c in (rows.tokens, rows.read_at, rows.targets)], width)


def _padded(columns: list[Tensor], width: int) -> list[Tensor]:
    missing = max(0, width - columns[0].shape[1])
    return [F.pad(c, (0, missing), value=padding) for c, padding in zip(columns, PADDINGS, strict=True)]


class Follows:
    """Says of two facts whether the one continues the other, by any object of its pair, shown in the row or not."""

    def __init__(self, dataset: TaskDataset) -> None:
        self._objects = torch.tensor(dataset.objects)
        self._entities, self._relations = dataset.vocabulary.entities, dataset.vocabulary.relations

    def __call__(self, heads: Tensor, relations: Tensor, others: Tensor) -> Tensor:
        """(N, ...) whether the entity `others` is an object of the fact `heads`, `relations` (a token)."""
        codes = (heads * self._relations + relations - self._entities) * self._entities + others
        places = torch.searchsorted(self._objects, codes.contiguous()).clamp(max=len(self._objects) - 1)
        return self._objects[places] == codes


def _packed(alone: list[Tensor], together: int, follows: Follows) -> list[Tensor]:
    """Columns of (N, T) rows that begin with one fact to those of (N / together, T) rows that begin with so many."""
    width = alone[0].shape[1]
    columns = _padded([c[:, :FACT_TOKENS].reshape(-1, together * FACT_TOKENS) for c in alone], width)
    tokens = columns[0][:, : together * FACT_TOKENS].clone()
    heads, relations = tokens[:, ::FACT_TOKENS], tokens[:, 1::FACT_TOKENS]
    for later in range(1, together):
        before, head, relation = slice(0, later), heads[:, [later]], relations[:, [later]]
        touching = follows(heads[:, before], relations[:, before], head.expand(-1, later))
        touching |= follows(head.expand(-1, later), relation.expand(-1, later), heads[:, before])
        for column, padding in zip(columns, PADDINGS, strict=True):
            column[touching.any(1), later * FACT_TOKENS :] = padding
    return columns
