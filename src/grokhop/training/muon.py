"""Muon in float32: momentum whose matrices are made orthogonal before each step.

Keller Jordan et al., *Muon: an optimizer for hidden layers in neural networks* (2024). `torch.optim.Muon` does the
same in bfloat16, which processors without bfloat16 units emulate at several times the cost.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from grokhop.core.parallel import spread

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


class Muon(torch.optim.Optimizer):
    """For the two-dimensional weights inside a network, not for embeddings or gains.

    Args:
        lr: size of a step; an update of an (m, n) weight has spectral norm of about lr * max(1, m / n) ** 0.5.
        momentum: of the running mean of gradients (Nesterov's form).
        weight_decay: share of a weight that a step of lr 1 removes.
        threads: among which the weights are shared out, each computed by one.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        *,
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.1,
        threads: int = 1,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.threads = threads

    def step(self, closure: None = None) -> None:  # type: ignore[override]  # closures are never passed here
        """Update all weights, the largest first, so that no thread is left with one of them in the end."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            spread(partial(self._update, group), sorted(weights, key=Tensor.numel, reverse=True), self.threads)

    @torch.no_grad()  # here, since each thread has a mode of its own
    def _update(self, group: dict[str, Any], weight: Tensor) -> None:
        state = self.state[weight]
        momentum = state.setdefault("momentum", torch.zeros_like(weight))
        assert weight.grad is not None
        momentum.lerp_(weight.grad, 1 - group["momentum"])
        update = orthogonalize(weight.grad.lerp(momentum, group["momentum"]))
        scale = max(1.0, weight.shape[0] / weight.shape[1]) ** 0.5
        weight.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-group["lr"] * scale)


def orthogonalize(x: Tensor, *, steps: int = 5) -> Tensor:
    """Bring the singular values of an (m, n) matrix near to 1 by a Newton-Schulz iteration.

    Each step multiplies by a polynomial of the matrix times its transpose. All of these commute, so that where the
    matrix is long the iteration goes over that small product, and the matrix is multiplied by what comes of it once.
    """
    x = x / (x.norm() + 1e-7)
    if x.shape[0] == x.shape[1]:
        for _ in range(steps):
            x = _polynomial(x @ x.mT) @ x
        return x
    tall = x.shape[0] > x.shape[1]
    gram = x.mT @ x if tall else x @ x.mT
    product = factor = _polynomial(gram)
    for _ in range(steps - 1):
        gram = factor @ gram @ factor
        factor = _polynomial(gram)
        product = factor @ product
    return x @ product if tall else product @ x


def _polynomial(gram: Tensor) -> Tensor:
    """What one step multiplies by."""
    a, b, c = _COEFFICIENTS
    found = torch.addmm(gram, gram, gram, beta=b, alpha=c)
    found.diagonal().add_(a)
    return found
