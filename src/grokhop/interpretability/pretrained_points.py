"""The layers of a pretrained model, watched from outside, since they have no hook points of their own.

Each decoder layer of transformers is given the residual stream, and its attention and its MLP are modules. Their values
are taken as they return them: where a model norms them once more before adding them, nobody sees it here.

Shapes: B rows, T positions, D width.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from grokhop.interpretability.hooks import ATTENTION, MLP, RESIDUAL, ActivationCache, answered
from grokhop.models.base import Model
from grokhop.tasks.encoding import TokenBatch

MODULES = {ATTENTION: ("self_attn", "attn", "attention"), MLP: ("mlp", "feed_forward")}
"""The names that parts have in the layers of transformers."""
Keep = Callable[[str, int, Tensor], None]


@torch.no_grad()
def watch_pretrained(model: Model, rows: TokenBatch) -> ActivationCache:
    """Answer rows and keep the (B, T, D) residual stream before each layer, and what its attention and MLP return."""
    values: dict[tuple[str, int], Tensor] = {}
    with _watched(model, lambda part, depth, value: values.update({(part, depth): value.cpu()})):
        read_outs = answered(model, rows)
    return ActivationCache(values, read_outs)


@contextmanager
def _watched(model: Model, keep: Keep) -> Iterator[None]:
    """Hand every value to `keep`, with its part and depth, within the block."""
    handles = []
    try:
        for number, layer in enumerate(model.layers):
            handles.append(layer.register_forward_pre_hook(_entering(keep, number), with_kwargs=True))
            for part, names in MODULES.items():
                module = next((child for name, child in layer.named_children() if name in names), None)
                if module is not None:
                    handles.append(module.register_forward_hook(_returning(keep, part, number + 1)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _entering(keep: Keep, depth: int) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None]:
    def entered(_layer: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        keep(RESIDUAL, depth, args[0] if args else named["hidden_states"])

    return entered


def _returning(keep: Keep, part: str, depth: int) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
    def returned(_module: nn.Module, _args: tuple[Any, ...], value: Any) -> None:
        keep(part, depth, value[0] if isinstance(value, tuple) else value)

    return returned
