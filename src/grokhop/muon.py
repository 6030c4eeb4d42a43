"""Muon in float32: momentum whose matrices are made orthogonal before each step.

Keller Jordan et al., *Muon: an optimizer for hidden layers in neural networks* (2024). `torch.optim.Muon` does the
same in bfloat16, which processors without bfloat16 units emulate at several times the cost.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


class Muon(torch.optim.Optimizer):
    """For the two-dimensional weights inside a network, not for embeddings or gains.

    Args:
        lr: size of a step; an update of an (m, n) weight has spectral norm of about lr * max(1, m / n) ** 0.5.
        momentum: of the running mean of gradients (Nesterov's form).
        weight_decay: share of a weight that a step of lr 1 removes.
    """

    def __init__(
        self, params: Iterable[Tensor], *, lr: float = 0.02, momentum: float = 0.95, weight_decay: float = 0.1
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # closures are never passed here
        """Update all weights; those of one shape are made orthogonal together, as one batch."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is not None:
                    by_shape[weight.shape].append(weight)
            for weights in by_shape.values():
                self._update(weights, group)

    def _update(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        directions = []
        for weight in weights:
            momentum = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
            assert weight.grad is not None
            momentum.lerp_(weight.grad, 1 - group["momentum"])
            directions.append(weight.grad.lerp(momentum, group["momentum"]))
        scale = max(1.0, weights[0].shape[0] / weights[0].shape[1]) ** 0.5
        for weight, update in zip(weights, orthogonalize(torch.stack(directions)), strict=True):
            weight.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-group["lr"] * scale)


def orthogonalize(x: Tensor, *, steps: int = 5) -> Tensor:
    """Bring the singular values of each matrix in (..., m, n) near to 1 by a Newton-Schulz iteration."""
    a, b, c = _COEFFICIENTS
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x
