"""What all models have in common: rows go in, read-outs come out, and the read-outs of a row are its hop trace.

Shapes: B rows, T positions, N read-outs, D width, H heads, K = D / H, V tokens. A tensor's suffix names its axes.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from grokhop.config import ModelConfig


class ReadOut(NamedTuple):
    """What one loop answered: for each of N due positions its row, its place in the row, and (N, V) logits."""

    loop: int
    row: Tensor
    position: Tensor
    logits: Tensor


class Hops(NamedTuple):
    """The hop trace: (B, T) entity read out at each position and its probability; -1 and 0 where none was."""

    entity: Tensor
    probability: Tensor


class HookPoint(nn.Module):
    """A place where a value can be watched or replaced by a forward hook; it hands on what it is given.

    Such identities are what TransformerLens (Nanda and Bloom 2022) calls hook points. They have no weights.
    """

    def forward(self, value: Tensor, row: Tensor | None, position: Tensor | None) -> Tensor:
        """Hand on (B, T, ...) values of all positions, or (N, ...) of those that `row` and `position` name, (N,)."""
        return value


def attend(q_NHK: Tensor, k_NTHK: Tensor, v_NTHK: Tensor, position: Tensor) -> Tensor:
    """(N, H, K) what N queries gather from the T places of their rows, each head by itself, up to their own positions,
    (N,).
    """
    score_NTH = (q_NHK[:, None] * k_NTHK).sum(-1) / math.sqrt(q_NHK.shape[-1])
    later_NT = torch.arange(k_NTHK.shape[1], device=position.device) > position[:, None]
    share_NTH = score_NTH.masked_fill(later_NT[..., None], -math.inf).softmax(dim=1)
    return (share_NTH[..., None] * v_NTHK).sum(1)


class Model(nn.Module):
    """A network of `layers` over the `embedding` of each token, with which it also reads out.

    A subclass becomes an architecture by its name in `grokhop.config.models.MODELS`. It takes what `__init__` takes
    here, names its own section of settings as `Config`, and answers in `forward`. `grokhop explain` looks into models
    whose `layers` each have the points `hook_resid_pre`, `hook_attn_out`, `hook_mlp_out` and `hook_z`.
    """

    Config: ClassVar[type[ModelConfig]] = ModelConfig
    embedding: nn.Embedding
    layers: nn.ModuleList
    final_norm: nn.Module

    def __init__(self, settings: ModelConfig, *, vocabulary: int, labels: Sequence[str] = ()) -> None:
        """Make the network for `vocabulary` tokens; `labels` name them for models that know words."""
        super().__init__()
        self.settings = settings

    @classmethod
    def check(cls, settings: Any) -> Any:
        """Check that the model can be made, and return what of its shape a run must keep, if anything."""
        return None

    @classmethod
    def finished(cls, settings: Any, shape: Path) -> Any:
        """Return the settings with which finished weights are put in place; `shape` is what a run kept."""
        return settings

    def prepare(self, seed: int, step: int) -> None:
        """Make ready for a step of training, counted from 0; what is drawn follows from the two numbers alone."""

    def limit_loops(self, loops: int) -> None:
        """Answer within so many loops from now on, where how often layers are applied is free.

        A model that goes on after its answer is there mends what is changed in it, so that no change would show.
        """

    @property
    def device(self) -> torch.device:
        """Where the model lies."""
        return self.embedding.weight.device

    def forward(self, tokens: Tensor, read_at: Tensor) -> list[ReadOut]:
        """Answer every due position.

        Args:
            tokens: (B, T) token ids.
            read_at: (B, T) the loop after which each position is read out (`grokhop.tasks.encoding.TokenBatch`).

        Returns:
            One `ReadOut` for each loop in which a position is due, in order.
        """
        raise NotImplementedError

    def read_out(self, x_ND: Tensor) -> Tensor:
        """(N, D) states to (N, V) logits: the final norm, then the tied embeddings."""
        return self.final_norm(x_ND) @ self.embedding.weight.T

    @torch.no_grad()
    def hops(self, tokens: Tensor, read_at: Tensor) -> Hops:
        """The entity that each position of (B, T) rows reads out, with its probability, wherever the model lies."""
        device = self.device
        tokens, read_at = tokens.to(device), read_at.to(device)
        entity = torch.full_like(tokens, -1)
        probability = torch.zeros(tokens.shape, device=device)
        for read in self(tokens, read_at):
            best = read.logits.softmax(-1).max(-1)
            entity[read.row, read.position] = best.indices
            probability[read.row, read.position] = best.values
        return Hops(entity.cpu(), probability.cpu())
