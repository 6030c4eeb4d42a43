"""The optimizers that settings name: what is published to make grokking faster, beside what is usual.

`muon`: Muon for the matrices inside the block (`grokhop.training.muon`), AdamW for all else. `adamw`: AdamW alone
(Loshchilov and Hutter 2019). `grokfast`: AdamW on gradients whose slow part is amplified (Lee et al. 2024, arXiv
2405.20233). `orthograd`: AdamW on gradients made orthogonal to the weights, which with the loss `stablemax`
(`grokhop.training.losses`) is what Prieto et al. (2025, arXiv 2501.04697) propose. The last two come from the library
pytorch_optimizer.
"""

from typing import Any

from torch import nn
from torch.optim import AdamW, Optimizer

from grokhop.config import TrainSettings
from grokhop.core.errors import InputError
from grokhop.models.base import Model
from grokhop.training.muon import Muon

GROKFAST_ALPHA, GROKFAST_LAMBDA = 0.98, 2.0
"""How slow the part is that is amplified, and by how much: the published defaults."""


def make_optimizers(model: Model, settings: TrainSettings, *, threads: int = 1) -> list[Optimizer]:
    """The optimizers of all weights of a model, whose steps are shared out among threads where that pays.

    Raises:
        InputError: pytorch_optimizer is needed and is not installed.
    """
    if settings.optimizer == "muon":
        matrices = [p for p in model.layers.parameters() if p.ndim == 2]
        others = [p for p in model.parameters() if not any(p is m for m in matrices)]
        muon = Muon(matrices, lr=settings.muon_lr, weight_decay=settings.muon_decay, threads=threads)
        return [muon, _adamw(others, settings)]
    weights = list(model.parameters())
    if settings.optimizer == "adamw":
        return [_adamw(weights, settings)]
    try:
        from pytorch_optimizer import GrokFastAdamW, OrthoGrad
    except ImportError as error:
        raise InputError(
            f"the optimizer {settings.optimizer!r} needs a library: pip install 'grokhop[accelerators]'"
        ) from error
    if settings.optimizer == "orthograd":
        return [OrthoGrad(_adamw(weights, settings))]
    return [
        GrokFastAdamW(
            _groups(weights, settings),
            lr=settings.adam_lr,
            betas=(0.9, settings.adam_beta2),
            grokfast_alpha=GROKFAST_ALPHA,
            grokfast_lamb=GROKFAST_LAMBDA,
            normalize_lr=False,  # or the rate would be divided by the amplification, and the decay with it
        )
    ]


def _adamw(weights: list[nn.Parameter], settings: TrainSettings) -> AdamW:
    return AdamW(_groups(weights, settings), lr=settings.adam_lr, betas=(0.9, settings.adam_beta2), fused=True)


def _groups(weights: list[nn.Parameter], settings: TrainSettings) -> list[dict[str, Any]]:
    """Matrices and embeddings, which decay, and gains and biases, which do not, as published."""
    decaying = [w for w in weights if w.ndim > 1]
    others = [w for w in weights if w.ndim <= 1]
    return [{"params": decaying, "weight_decay": settings.adam_decay}, {"params": others, "weight_decay": 0.0}]
