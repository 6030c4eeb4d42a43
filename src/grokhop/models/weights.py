"""Weights as safetensors, replaced in one move."""

from pathlib import Path

from safetensors.torch import save
from torch import nn

from grokhop.core.artifacts import write_bytes
from grokhop.core.errors import InputError


def save_weights(path: Path, model: nn.Module) -> None:
    """Write the weights alone."""
    write_bytes(path, save({name: weight.detach() for name, weight in model.named_parameters()}))


def load_weights(path: Path, model: nn.Module) -> None:
    """Read the weights that `save_weights` wrote.

    Raises:
        InputError: the file is missing, damaged or of another model.
    """
    from safetensors.torch import load_model

    try:
        load_model(model, path)
    except Exception as error:
        raise InputError(f"{path} holds no weights of this model ({error}): train again with --force") from error
