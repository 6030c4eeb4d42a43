"""Losses: what a step of training makes smaller."""

from collections import Counter
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from grokhop.core.registry import Registry
from grokhop.models.base import ReadOut
from grokhop.tasks.encoding import NO_TARGET

LOSSES: Registry[Callable[[Tensor], Tensor]] = Registry(
    "loss",
    {"softmax": "grokhop.training.losses:log_softmax", "stablemax": "grokhop.training.losses:log_stablemax"},
    option="train.loss",
)
"""Each makes (N, V) logarithms of probabilities from (N, V) logits, of which the cross-entropy is taken."""


def loss(
    read_outs: list[ReadOut], targets: Tensor, *, kind: str = "softmax", counts: Mapping[int, int] | None = None
) -> Tensor:
    """Cross-entropy of the due positions: the mean of each loop, summed, so that hops count alike.

    Args:
        targets: (B, T) entities, `NO_TARGET` where none is.
        kind: name of a registered loss.
        counts: as `targets_by_loop` of all rows of which these are a share; the losses of the shares sum up to theirs.
    """
    counts = targets_by_loop(read_outs, targets) if counts is None else counts
    log_probabilities, terms = LOSSES.get(kind), []
    for read in read_outs:
        missed = F.nll_loss(log_probabilities(read.logits), targets[read.row, read.position], reduction="sum")
        terms.append(missed / max(1, counts[read.loop]))
    return torch.stack(terms).sum()


def targets_by_loop(read_outs: list[ReadOut], targets: Tensor) -> Counter[int]:
    """How many of the read-outs after each loop have a target."""
    counted: Counter[int] = Counter()
    for read in read_outs:
        counted[read.loop] += int((targets[read.row, read.position] != NO_TARGET).sum())
    return counted


def log_softmax(logits_NV: Tensor) -> Tensor:
    """(N, V) logarithms of the softmax, in float32."""
    return logits_NV.float().log_softmax(-1)


def log_stablemax(logits_NV: Tensor) -> Tensor:
    """(N, V) logarithms of s(x) / sum s(x), where s(x) is x + 1 from zero on and 1 / (1 - x) below.

    It grows linearly where softmax grows exponentially, so that rounding does not absorb the small terms and the
    gradient of what is already right does not vanish (Prieto et al. 2025, equation 5). In float64, as they compute it.
    """
    x = logits_NV.double()
    # Both branches are computed; the clamps keep each finite where the other is taken, for the gradient's sake.
    log_s = torch.where(x >= 0, torch.log1p(x.clamp(min=0)), -torch.log1p(-x.clamp(max=0)))
    return log_s - log_s.logsumexp(-1, keepdim=True)
