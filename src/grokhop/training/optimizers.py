"""Optimizers by name: what is published to make grokking faster, beside what is usual.

`muon`: Muon for the matrices inside the block (`grokhop.training.muon`), AdamW for all else. `adamw`: AdamW alone
(Loshchilov and Hutter 2019). `grokfast`: AdamW on gradients whose slow part is amplified (Lee et al. 2024, arXiv
2405.20233). `orthograd`: AdamW on gradients made orthogonal to the weights, which with the loss `stablemax`
(`grokhop.training.losses`) is what Prieto et al. (2025, arXiv 2501.04697) propose. The last two come from the library
pytorch_optimizer.
"""

from typing import Any, Protocol, TypedDict

from torch import nn
from torch.optim import AdamW, Optimizer

from grokhop.config import OptimizerConfig
from grokhop.core.optional import imported
from grokhop.core.registry import Registry
from grokhop.models.base import Model
from grokhop.training.muon import Muon

GROKFAST_ALPHA, GROKFAST_LAMBDA = 0.98, 2.0
"""How slow the part is that is amplified, and by how much: the published defaults."""


class MakeOptimizers(Protocol):
    """Makes the optimizers of all weights of a model; none may be left out, and none be in two."""

    def __call__(self, model: Model, settings: OptimizerConfig, *, threads: int) -> list[Optimizer]: ...


class Group(TypedDict):
    """Weights with a decay of their own, as torch's optimizers take them."""

    params: list[nn.Parameter]
    weight_decay: float


_HERE = "grokhop.training.optimizers"
OPTIMIZERS: Registry[MakeOptimizers] = Registry(
    "optimizer",
    {name: f"{_HERE}:{name}" for name in ("muon", "adamw", "grokfast", "orthograd")},
    option="optimizer.name",
)


def make_optimizers(model: Model, settings: OptimizerConfig, *, threads: int = 1) -> list[Optimizer]:
    """Make the optimizers of all weights of a model, whose steps are shared out among threads where that pays.

    Raises:
        InputError: there is no such optimizer, or pytorch_optimizer is needed and is not installed.
    """
    return OPTIMIZERS.get(settings.name)(model, settings, threads=threads)


def muon(model: Model, settings: OptimizerConfig, *, threads: int) -> list[Optimizer]:
    """Make Muon for the matrices inside the block, and AdamW for all else."""
    matrices = [p for p in model.layers.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if not any(p is m for m in matrices)]
    inside = Muon(matrices, lr=settings.muon_lr, weight_decay=settings.muon_decay, threads=threads)
    return [inside, _adamw(others, settings)]


def adamw(model: Model, settings: OptimizerConfig, *, threads: int) -> list[Optimizer]:
    """Make AdamW for all weights."""
    return [_adamw(list(model.parameters()), settings)]


def orthograd(model: Model, settings: OptimizerConfig, *, threads: int) -> list[Optimizer]:
    """Make AdamW on gradients that are orthogonal to the weights."""
    return [_library("orthograd").OrthoGrad(_adamw(list(model.parameters()), settings))]


def grokfast(model: Model, settings: OptimizerConfig, *, threads: int) -> list[Optimizer]:
    """Make AdamW on gradients whose slow part is amplified."""
    made: Optimizer = _library("grokfast").GrokFastAdamW(
        _groups(list(model.parameters()), settings),
        lr=settings.adam_lr,
        betas=(0.9, settings.adam_beta2),
        grokfast_alpha=GROKFAST_ALPHA,
        grokfast_lamb=GROKFAST_LAMBDA,
        normalize_lr=False,  # or the rate would be divided by the amplification, and the decay with it
    )
    return [made]


def _library(name: str) -> Any:
    missing = f"the optimizer {name!r} needs a library: pip install 'grokhop[accelerators]'"
    return imported("pytorch_optimizer", missing)


def _adamw(weights: list[nn.Parameter], settings: OptimizerConfig) -> AdamW:
    groups = [{**group} for group in _groups(weights, settings)]
    return AdamW(groups, lr=settings.adam_lr, betas=(0.9, settings.adam_beta2), fused=True)


def _groups(weights: list[nn.Parameter], settings: OptimizerConfig) -> list[Group]:
    """Matrices and embeddings, which decay, and gains and biases, which do not, as published."""
    decaying = [w for w in weights if w.ndim > 1]
    others = [w for w in weights if w.ndim <= 1]
    return [{"params": decaying, "weight_decay": settings.adam_decay}, {"params": others, "weight_decay": 0.0}]
