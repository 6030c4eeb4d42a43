"""The architectures that a model can have, by the name that its settings give."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from grokhop.config import ModelSettings
from grokhop.models.base import Model
from grokhop.models.gpt2 import Gpt2
from grokhop.models.looped import LoopTransformer


def make_model(settings: ModelSettings, *, vocabulary: int, labels: Sequence[str] = ()) -> Model:
    """A model as it begins, from torch's random state.

    Args:
        labels: what the tokens are called, from which a pretrained model's first embeddings are made; without them, as
            where finished weights are to be put in place, nothing pretrained is read but its shape.

    Raises:
        InputError: a pretrained model cannot be read.
    """
    if settings.architecture == "pretrained":
        from grokhop.models.pretrained import Pretrained

        return Pretrained(settings, vocabulary=vocabulary, labels=labels)
    made = {"loop": LoopTransformer, "gpt2": Gpt2}[settings.architecture]
    return made(settings, vocabulary=vocabulary)


def check_model(settings: ModelSettings) -> Any:
    """Whether a model can be made, before any work; of a pretrained one its shape, else None.

    Raises:
        InputError: a pretrained model cannot be read.
    """
    if settings.architecture != "pretrained":
        return None
    from grokhop.models.pretrained import check

    return check(settings)


def finished_model(settings: ModelSettings, *, vocabulary: int, shape: Path) -> Model:
    """A model in which weights of a run are to be put in place.

    Args:
        shape: the folder of the run that keeps the shape of what is pretrained, wherever it came from.

    Raises:
        InputError: the shape cannot be read.
    """
    if settings.architecture == "pretrained":
        settings = replace(settings, pretrained=str(shape.resolve()))
    return make_model(settings, vocabulary=vocabulary)
