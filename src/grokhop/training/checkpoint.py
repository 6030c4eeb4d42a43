"""Checkpoints: weights, their mean and the optimizers' state in one safetensors file, replaced in one move."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from grokhop.core.artifacts import write_bytes
from grokhop.core.errors import InputError
from grokhop.training.ema import Average

MEAN = "mean"


@dataclass(frozen=True, kw_only=True)
class Where:
    """How far a run is, and when its rate began to fall; `cooldown_from` is None before that."""

    step: int
    seconds: float
    cooldown_from: int | None
    cooldown_steps: int


def save_checkpoint(path: Path, model: nn.Module, average: Average, optimizers: list[Optimizer], where: Where) -> None:
    """Write a checkpoint."""
    # Some optimizers count their steps beside their state.
    record = {**asdict(where), "steps": [[group.get("step") for group in o.param_groups] for o in optimizers]}
    tensors = {}
    means = dict(average.model.named_parameters()) if average.steps else {}
    for name, weight in model.named_parameters():
        tensors[name] = weight.detach()
        tensors.update({f"{name}/{MEAN}": means[name].detach()} if means else {})
        for optimizer in optimizers:
            tensors.update({f"{name}/{key}": value for key, value in optimizer.state.get(weight, {}).items()})
    write_bytes(path, save(tensors, metadata={"where": json.dumps(record)}))


def load_checkpoint(path: Path, model: nn.Module, average: Average, optimizers: list[Optimizer]) -> Where:
    """Put weights, their mean and optimizer state back in place and return what was kept with them.

    Raises:
        InputError: the checkpoint is damaged or of another model.
    """
    weights = dict(model.named_parameters())
    try:
        with safe_open(path, framework="pt") as file:
            record: dict[str, Any] = json.loads(file.metadata()["where"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - it is no dict
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(tensors.pop(name))
            for name, mean in average.model.named_parameters() if average.steps else ():
                mean.copy_(tensors.pop(f"{name}/{MEAN}"))
        for key, value in tensors.items():
            name, _, entry = key.rpartition("/")
            _owner(weights[name], optimizers).state[weights[name]][entry] = value.to(weights[name].device)
        for optimizer, steps in zip(optimizers, record["steps"], strict=True):
            for group, step in zip(optimizer.param_groups, steps, strict=True):
                group.update({} if step is None else {"step": step})
        where = Where(**{name: record[name] for name in ("step", "seconds", "cooldown_from", "cooldown_steps")})
    except Exception as error:
        raise InputError(f"{path} cannot be resumed ({error}): train again with --force") from error
    return where


def _owner(weight: Tensor, optimizers: list[Optimizer]) -> Optimizer:
    return next(o for o in optimizers if any(weight is p for group in o.param_groups for p in group["params"]))
