"""Models by the name of their architecture (`grokhop.config.models.MODELS`)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grokhop.config import ModelConfig
from grokhop.config.models import MODELS
from grokhop.models.base import Model


def make_model(settings: ModelConfig, *, vocabulary: int, labels: Sequence[str] = ()) -> Model:
    """Make a model as it begins, from torch's random state.

    Args:
        labels: the name of each token, from which a pretrained model's first embeddings are made; without them, as
            where finished weights are to be put in place, nothing pretrained is read but its shape.

    Raises:
        InputError: there is no such architecture, or a pretrained model cannot be read.
    """
    made: Model = MODELS.get(settings.architecture)(settings, vocabulary=vocabulary, labels=labels)
    return made


def check_model(settings: ModelConfig) -> Any:
    """Check that a model can be made, before any work, and return the shape that a run must keep, None without one.

    Raises:
        InputError: there is no such architecture, or a pretrained model cannot be read.
    """
    return MODELS.get(settings.architecture).check(settings)


def finished_model(settings: ModelConfig, *, vocabulary: int, shape: Path) -> Model:
    """Make a model in which weights of a run are to be put in place.

    Args:
        shape: the folder of the run that keeps the shape of what is pretrained, wherever it came from.

    Raises:
        InputError: the shape cannot be read.
    """
    finished = MODELS.get(settings.architecture).finished(settings, shape)
    return make_model(finished, vocabulary=vocabulary)
