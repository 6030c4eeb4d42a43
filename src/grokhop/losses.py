"""Losses: what a step of training makes smaller."""

import torch
import torch.nn.functional as F
from torch import Tensor

from grokhop.model import ReadOut


def loss(read_outs: list[ReadOut], targets: Tensor, *, kind: str = "softmax") -> Tensor:
    """Cross-entropy of the due positions: the mean of each loop, summed, so that hops count alike.

    Args:
        targets: (B, T) entities, `NO_TARGET` where none is.
        kind: `softmax`, or `stablemax` for the same of another distribution.
    """
    terms = []
    for read in read_outs:
        wanted = targets[read.row, read.position]
        if kind == "stablemax":
            terms.append(F.nll_loss(log_stablemax(read.logits), wanted))
        else:
            terms.append(F.cross_entropy(read.logits.float(), wanted))
    return torch.stack(terms).sum()


def log_stablemax(logits_NV: Tensor) -> Tensor:
    """(N, V) logarithms of s(x) / sum s(x), where s(x) is x + 1 from zero on and 1 / (1 - x) below.

    It grows linearly where softmax grows exponentially, so that rounding does not absorb the small terms and the
    gradient of what is already right does not vanish (Prieto et al. 2025, equation 5). In float64, as they compute it.
    """
    x = logits_NV.double()
    # Both branches are computed; the clamps keep each finite where the other is taken, for the gradient's sake.
    log_s = torch.where(x >= 0, torch.log1p(x.clamp(min=0)), -torch.log1p(-x.clamp(max=0)))
    return log_s - log_s.logsumexp(-1, keepdim=True)
