"""Places in a model: values that can be watched while rows are answered, and put in place of others.

A place is a part of the model at a depth and a position of the row. Depths count applied layers: the *residual stream*
at depth d is what d layers have made of each position, so at depth 0 it holds the tokens' embeddings, and in the loop,
after a read-out, the re-embedded entity. *Attention*, *heads* and the *MLP* of depth d are what the d-th layer adds.

Activation patching runs a model on one row (the corrupted one) with the value of one place taken from its run on
another (the clean one): Vig et al. 2020 (arXiv 2004.12265), Meng et al. 2022 (arXiv 2202.05262); for what can be
concluded from it see Heimersheim and Nanda 2024 (arXiv 2404.15255).

Shapes: B rows of one length and with equal due positions, T positions, H heads, K = D / H, V tokens.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from grokhop.core.errors import InputError
from grokhop.models.base import HookPoint, Model, ReadOut
from grokhop.tasks.encoding import TokenBatch

RESIDUAL, ATTENTION, MLP, HEADS = "residual", "attention", "mlp", "heads"
PARTS = (RESIDUAL, ATTENTION, MLP, HEADS)
Replace = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Given the values (N, ...) of a part at one depth, and their rows and positions, (N,) each: those to go on with."""


@dataclass(frozen=True, order=True)
class Site:
    """A part at a depth and a position; of the heads one, or all where `head` is None."""

    part: str
    depth: int
    position: int
    head: int | None = None


@dataclass(frozen=True)
class ActivationCache:
    """What a model did with B rows.

    Attributes:
        values: by part and depth, (B, T, ...) values; NaN at positions where nothing was computed.
        read_outs: as the model returned them.
    """

    values: dict[tuple[str, int], Tensor]
    read_outs: list[ReadOut]

    @property
    def depths(self) -> int:
        """How many layers were applied, one after another."""
        return 1 + max(depth for part, depth in self.values if part == RESIDUAL)

    @property
    def loops(self) -> int:
        """After how many loops anything was read out: one in a plain decoder."""
        return max(read.loop for read in self.read_outs)

    def places(self, part: str) -> list[Site]:
        """Where something was computed, by depth and position."""
        return [
            Site(part, depth, position)
            for (name, depth), value in sorted(self.values.items())
            if name == part
            for position in range(value.shape[1])
            if not value[:, position].isnan().any()
        ]

    def last_logits(self) -> Tensor:
        """(B, V) the logits at the last position."""
        return last_logits(self.read_outs)

    def where(self, kept: Tensor) -> "ActivationCache":
        """The run of some of its rows, chosen by their numbers in order."""
        read_outs = []
        for read in self.read_outs:
            here = torch.isin(read.row, kept)
            row = torch.searchsorted(kept, read.row[here])
            read_outs.append(read._replace(row=row, position=read.position[here], logits=read.logits[here]))
        return ActivationCache({key: value[kept] for key, value in self.values.items()}, read_outs)


def last_logits(read_outs: Sequence[ReadOut]) -> Tensor:
    """(B, V) the logits at the position that was read out last in each row; the rows must have equal due positions."""
    last = read_outs[-1]
    at_end = last.position == last.position.max()
    return last.logits[at_end]


def answered(model: Model, rows: TokenBatch) -> list[ReadOut]:
    """Answer rows wherever the model lies; the read-outs lie in the memory of the processor."""
    tokens, read_at = torch.from_numpy(rows.tokens), torch.from_numpy(rows.read_at)
    read_outs = model(tokens.to(model.device), read_at.to(model.device))
    return [ReadOut(loop, row.cpu(), position.cpu(), logits.cpu()) for loop, row, position, logits in read_outs]


@torch.no_grad()
def watch(model: Model, rows: TokenBatch) -> ActivationCache:
    """Answer rows and keep the values of all places.

    Raises:
        InputError: the model has no places to watch, as pretrained ones.
    """
    values: dict[tuple[str, int], Tensor] = {}

    def keep(part: str, depth: int) -> Replace:
        def kept(value: Tensor, row: Tensor, position: Tensor) -> Tensor:
            # A model may have tokens of its own behind a row.
            width = max(rows.tokens.shape[1], int(position.max()) + 1)
            grid = torch.full((len(rows), width, *value.shape[1:]), float("nan"))
            grid[row.cpu(), position.cpu()] = value.cpu()
            values[part, depth] = grid
            return value

        return kept

    with replaced(model, keep):
        read_outs = answered(model, rows)
    return ActivationCache(values, read_outs)


@torch.no_grad()
def patch(model: Model, rows: TokenBatch, source: ActivationCache, places: Sequence[Site]) -> list[ReadOut]:
    """Answer rows with the values of the places taken from another run of as many rows. Returns the read-outs.

    This is the one function by which values are exchanged: residual stream, attention, MLP or single heads, whatever
    the places name.
    """

    def exchange(part: str, depth: int) -> Replace | None:
        chosen = [place for place in places if (place.part, place.depth) == (part, depth)]
        if not chosen:
            return None

        def exchanged(value: Tensor, row: Tensor, position: Tensor) -> Tensor:
            value = value.clone()
            for place in chosen:
                at = torch.nonzero(position == place.position).squeeze(1)
                theirs = source.values[part, depth][row[at].cpu(), place.position].to(value.device)
                if place.head is None:
                    value[at] = theirs
                else:
                    value[at, place.head] = theirs[:, place.head]
            return value

        return exchanged

    with replaced(model, exchange):
        return answered(model, rows)


@contextmanager
def replaced(model: Model, replace: Callable[[str, int], Replace | None]) -> Iterator[None]:
    """Let `replace` name, for each part and depth, what is done to its values within the block.

    Raises:
        InputError: the model has no places, as pretrained ones.
    """
    hooks = []
    try:
        for number, layer in enumerate(model.layers):
            for part, point in _points(layer).items():
                hook = _Hook(part, number, len(model.layers), replace)
                hooks.append(point.register_forward_hook(hook, with_kwargs=False))
        yield
    finally:
        for handle in hooks:
            handle.remove()


class _Hook:
    """Counts how often a layer was applied, and so at which depth it is."""

    def __init__(self, part: str, layer: int, layers: int, replace: Callable[[str, int], Replace | None]) -> None:
        self.part, self.depth, self.layers, self.replace = part, layer + (part != RESIDUAL), layers, replace

    def __call__(self, _point: Any, given: tuple[Any, ...], value: Tensor) -> Tensor:
        change, self.depth = self.replace(self.part, self.depth), self.depth + self.layers
        if change is None:
            return value
        row, position = given[1:]
        if row is not None:
            return change(value, row, position)
        B, T = value.shape[:2]
        row, position = torch.cartesian_prod(*(torch.arange(n, device=value.device) for n in (B, T))).unbind(1)
        return change(value.flatten(0, 1), row, position).view_as(value)


def _points(layer: Any) -> dict[str, HookPoint]:
    """The points of a layer, by the part that each hands on."""
    attention = layer if hasattr(layer, "hook_z") else getattr(layer, "attention", None)
    found = {
        RESIDUAL: getattr(layer, "hook_resid_pre", None),
        ATTENTION: getattr(layer, "hook_attn_out", None),
        MLP: getattr(layer, "hook_mlp_out", None),
        HEADS: getattr(attention, "hook_z", None),
    }
    if not all(isinstance(point, HookPoint) for point in found.values()):
        raise InputError("this model cannot be looked into: its layers lack hook points (see grokhop.models.base)")
    return {part: point for part, point in found.items() if isinstance(point, HookPoint)}
