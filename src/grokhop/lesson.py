"""Lessons: which encoded rows are trained, and in which order.

Every batch mixes chains with facts on their own (held-out facts, and facts that begin no chain), and comparisons where
the graph's questions compare. The order of rows follows from the seed and the number of the step alone, so that a
stopped run goes on exactly.
"""

from dataclasses import dataclass, replace
from math import ceil
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from grokhop.chains import NO_FACT, Chaining, Longs, Queries
from grokhop.compare import Comparing, check_comparisons
from grokhop.compose import Compositions
from grokhop.encode import NEVER_DUE, NO_TARGET, Rows, Vocabulary, encode_paths, stack, token_labels
from grokhop.errors import InputError
from grokhop.graph import Graph, Part
from grokhop.rules import rule_rows

PROBE_ROWS = 1000
"""Training rows on which training accuracy is measured."""
MOST_ATOMIC_SHARE = 0.9
COMPARISON_SHARE, OPERAND_SHARE = 0.1, 0.5
"""Of a batch, where anything is compared: comparisons of facts, and of numbers and entities by themselves."""
DRAWN_PHI = 25
"""Comparisons drawn for each trainable fact, of which those are trained that a phi asks for."""
RULE_SHARE = 0.1
"""Of a batch, where there are examples of rules."""
VALIDATION_ROWS_PER_KIND = 60
FACT_TOKENS = 2


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """All that training reads: encoded rows and the validation queries.

    Attributes:
        labels: what each token is called, for models that know words.
        rows: chains first, then the facts that are trained on their own.
        chains: how many of `rows` are chains.
        atomic_share: of each batch, the share of rows that are facts on their own.
        probe: queries of training rows, by their hops, on which training accuracy is measured...
        probed: ...and so are these comparisons.
        validation: queries by hops and cell.
        rules: examples of composed relations; none where no question uses one or no trainable path is free.
        comparisons: rows that compare two branches; none where nothing is compared.
        operands: rows that compare two numbers or entities by themselves.
        compared: comparisons for validation: "id" of trainable facts whose pairs are held out, "ood" of held-out facts.
        mixed: whether batches are mixed by kind; if not, each row is one query with one answer, as frequent as any.
    """

    vocabulary: Vocabulary
    labels: tuple[str, ...]
    rows: Rows
    chains: int
    atomic_share: float
    probe: list[Queries]
    probed: Rows
    validation: dict[int, dict[str, Queries]]
    rules: Rows
    comparisons: Rows
    operands: Rows
    compared: dict[str, Rows]
    mixed: bool = True

    @staticmethod
    def of(graph: Graph, made: Compositions, *, prefixes: bool = True, phi: float = 0.0) -> "Lesson":
        """The lesson of a graph and of what was composed of it, before it was made comparable.

        Args:
            prefixes: as `made` was composed; without, only the end of a row is supervised.
            phi: at most so many comparisons are trained for each trainable fact, all if 0.

        Raises:
            InputError: a comparison would leak, or nothing but comparisons is trained and there are fewer than asked.
        """
        # What the calendar adds stands behind the facts that were composed, and begins no chain.
        atomic = np.concatenate([made.atomic, np.arange(made.facts, len(graph))])
        lonely = np.full((len(atomic), made.chains.shape[1]), NO_FACT)
        lonely[:, 0] = atomic
        paths = np.concatenate([made.chains, lonely])
        comparing = Comparing(graph, tested=made.tested)
        comparisons = trained_comparisons(comparing, made, phi=phi)
        lesson = Lesson(
            vocabulary=Vocabulary.of(graph),
            labels=token_labels(graph),
            rows=encode_paths(graph, paths),
            chains=len(made.chains),
            atomic_share=_atomic_share(made.chains, len(atomic)),
            probe=_probe(graph, paths),
            probed=comparisons.sample(PROBE_ROWS, np.random.default_rng(0)),
            validation=made.cells["validation"],
            rules=rule_rows(graph, tested=made.tested),
            comparisons=comparisons,
            operands=comparing.operands(),
            compared=_held_out(comparing),
        )
        return lesson if prefixes else lesson.of_single_answers()

    def of_single_answers(self) -> "Lesson":
        """The same as one kind of row, each with one answer at its end; no operands, which no fact tells."""
        rows = stack([self.rows, self.comparisons, self.rules]).ends()
        none = stack([])
        return replace(self, rows=rows, comparisons=none, operands=none, rules=none, mixed=False)


def trained_comparisons(comparing: Comparing, made: Compositions, *, phi: float = 0.0) -> Rows:
    """Comparisons of trainable facts, checked; with `phi` at most so many for each of these facts.

    Raises:
        InputError: one would leak, or nothing but comparisons is trained and there are fewer than asked.
    """
    graph = comparing.graph
    if phi:
        facts = np.count_nonzero(graph.part[: made.facts] == Part.TRAIN)
        # As many for any phi, so that fewer are a part of more.
        draws = round(DRAWN_PHI * facts / max(1, len(comparing.kinds)))
        rows, most = comparing.rows(Part.TRAIN, per_kind=draws).distinct(), round(phi * facts)
        if not len(made.chains) and len(rows) < most:
            raise InputError(
                f"of {DRAWN_PHI} comparisons drawn for each fact, {len(rows) / facts:.2f} differ, less than the phi of "
                f"{phi:g} asked for: give a lower phi"
            )
        rows = rows.sample(most, np.random.default_rng(0))
    else:
        rows = comparing.rows(Part.TRAIN)
    check_comparisons(comparing, rows)
    return rows


def _held_out(comparing: Comparing) -> dict[str, Rows]:
    sets = {"id": (Part.TRAIN, Part.VALIDATION), "ood": (Part.VALIDATION, Part.TRAIN)}
    return {
        cell: comparing.rows(facts, pairs=pairs, per_kind=VALIDATION_ROWS_PER_KIND)
        for cell, (facts, pairs) in sets.items()
    }


def _probe(graph: Graph, paths: Longs) -> list[Queries]:
    chosen = paths[np.random.default_rng(0).permutation(len(paths))[:PROBE_ROWS]]
    hops = (chosen != NO_FACT).sum(axis=1)
    return [Chaining(graph).queries(chosen[hops == k, :k])[0] for k in np.unique(hops)]


def _atomic_share(chains: Longs, alone: int) -> float:
    """The share of rows with which a fact on its own is looked up as often as a fact in chains is on average."""
    in_chains = chains[chains != NO_FACT]
    if not len(in_chains):
        return MOST_ATOMIC_SHARE
    lookups = len(in_chains) / np.count_nonzero(np.bincount(in_chains))
    weight = lookups * alone
    return min(MOST_ATOMIC_SHARE, weight / (weight + len(chains)))


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

    def __init__(self, rows: Rows, batch: int, share: float, seed: int) -> None:
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


def batches(lesson: Lesson, rows: int, seed: int) -> Batches:
    """Batches of `rows` rows, as the lesson wants them."""
    return (Mixed if lesson.mixed else Uniform)(lesson, rows, seed)


class Uniform:
    """Every row as often as any other, in an order that is drawn anew each epoch."""

    def __init__(self, lesson: Lesson, rows: int, seed: int) -> None:
        self._stream = Stream(lesson.rows, rows, 1.0, seed)
        self._rows, self._in_all = rows, len(lesson.rows)

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

    def __init__(self, lesson: Lesson, rows: int, seed: int) -> None:
        alone = len(lesson.rows) - lesson.chains
        self._compared = Stream(lesson.comparisons, rows, COMPARISON_SHARE, seed)
        self._operands = Stream(lesson.operands, rows, OPERAND_SHARE, seed)
        self._rules = Stream(lesson.rules, rows, RULE_SHARE, seed)
        rows -= self._compared.count + self._operands.count + self._rules.count
        share = lesson.atomic_share if lesson.chains else 1.0  # a graph may have comparisons and no chains
        self.together = ceil((1 + max(lesson.validation)) / FACT_TOKENS)
        packs = min(max(1, round(rows * share / self.together)), rows // self.together)
        self.facts = packs * self.together if alone else 0
        self.chain_rows = rows - self.facts if lesson.chains else 0
        self.chains_per_epoch = lesson.chains
        self._chains = Shuffled(0, lesson.chains, seed)
        self._alone = Shuffled(lesson.chains, alone, seed)
        self._rows = _columns(lesson.rows, max(self.together * FACT_TOKENS, lesson.rows.tokens.shape[1]))

    def of_step(self, step: int) -> list[list[Tensor]]:
        """Chains, facts on their own and examples of rules; operands; comparisons."""
        chains = torch.from_numpy(self._chains.take(step * self.chain_rows, self.chain_rows))
        alone = torch.from_numpy(self._alone.take(step * self.facts, self.facts))
        packs = _packed([column[alone] for column in self._rows], self.together)
        streams = ([column[chains] for column in self._rows], packs, self._rules.of_step(step, packs[0].shape[1]))
        facts = [torch.cat(columns) for columns in zip(*streams, strict=True)]
        return [facts, *(stream.of_step(step) for stream in (self._operands, self._compared) if stream.count)]

    def epochs(self, steps: int) -> float:
        return steps * self.chain_rows / max(1, self.chains_per_epoch)


PADDINGS = (0, NEVER_DUE, NO_TARGET)
"""Of tokens, due and targets."""


def _columns(rows: Rows, width: int) -> list[Tensor]:
    return _padded([torch.from_numpy(c) for c in (rows.tokens, rows.due, rows.targets)], width)


def _padded(columns: list[Tensor], width: int) -> list[Tensor]:
    missing = max(0, width - columns[0].shape[1])
    return [F.pad(c, (0, missing), value=padding) for c, padding in zip(columns, PADDINGS, strict=True)]


def _packed(alone: list[Tensor], together: int) -> list[Tensor]:
    """Columns of (N, T) rows that begin with one fact to those of (N / together, T) rows that begin with so many."""
    width = alone[0].shape[1]
    columns = _padded([c[:, :FACT_TOKENS].reshape(-1, together * FACT_TOKENS) for c in alone], width)
    tokens, _, targets = columns
    heads, tails = (c[:, start : together * FACT_TOKENS : FACT_TOKENS] for c, start in ((tokens, 0), (targets, 1)))
    for later in range(1, together):
        touching = (tails[:, :later] == heads[:, [later]]) | (heads[:, :later] == tails[:, [later]])
        for column, padding in zip(columns, PADDINGS, strict=True):
            column[touching.any(1), later * FACT_TOKENS :] = padding
    return columns
