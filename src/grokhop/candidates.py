"""Candidates: the tokens among which a step of training reads out, where there are too many to look at all.

They are the targets of the positions that are read out and others drawn by chance, each of which stands for as many of
those not drawn: to its logit the logarithm of their number is added, so that the sum under a softmax is on average that
of all tokens (sampled softmax: Jean et al. 2015, with a uniform draw without replacement). What is re-embedded is
weighted alike. Answers are read out over all tokens.

Shapes: N read-outs, C candidates, V tokens, D width.
"""

from math import log
from typing import NamedTuple

import torch
from torch import Tensor


class Candidates(NamedTuple):
    """Some of the tokens.

    Attributes:
        tokens: (C,) distinct. log_weight: (C,) logarithm of how many tokens each stands for.
        place: (V,) of each token among the candidates, where it is one.
    """

    tokens: Tensor
    log_weight: Tensor
    place: Tensor


class Sampler:
    """Draws candidates for the read-outs of a batch; the same ones for the same seed.

    Args:
        targets: (B, T) of the batch, `NO_TARGET` where there is none.
        others: how many tokens are drawn beside the targets.
        seed: of the draw.
    """

    def __init__(self, targets: Tensor, *, vocabulary: int, others: int, seed: int) -> None:
        self._targets, self._vocabulary, self._others = targets, vocabulary, others
        self._generator = torch.Generator().manual_seed(seed)

    def draw(self, row: Tensor, position: Tensor) -> Candidates | None:
        """Candidates for the positions named by `row` and `position`, (N,) each; None where there are too few other
        tokens to leave any out."""
        wanted = self._targets[row, position]
        is_target = torch.zeros(self._vocabulary, dtype=torch.bool, device=wanted.device)
        is_target[wanted[wanted >= 0]] = True
        targets, rest = (torch.nonzero(which).squeeze(1) for which in (is_target, ~is_target))
        if len(rest) <= self._others:
            return None
        chosen = torch.randperm(len(rest), generator=self._generator)[: self._others].to(rest.device)
        tokens = torch.cat([targets, rest[chosen]])
        log_weight = torch.zeros(len(tokens), device=wanted.device)
        log_weight[len(targets) :] = log(len(rest) / self._others)
        place = torch.zeros_like(is_target, dtype=torch.long)
        place[tokens] = torch.arange(len(tokens), device=wanted.device)
        return Candidates(tokens, log_weight, place)
