"""The finished model of a seed, from its run folder."""

import torch

from grokhop.core.errors import InputError
from grokhop.models.base import Model
from grokhop.models.device import device_of
from grokhop.models.registry import finished_model
from grokhop.models.weights import load_weights
from grokhop.runs.run import PRETRAINED, WEIGHTS, Run
from grokhop.tasks.vocabulary import Vocabulary


def load_model(run: Run, seed: int, *, device: str | None = None) -> Model:
    """Read the finished model of a seed.

    Args:
        device: where it is put; None for where the run was trained, if this machine has such a device.

    Raises:
        InputError: its weights are missing or damaged, or there is no such device.
    """
    vocabulary = Vocabulary.of(run.graph)
    model = finished_model(run.settings.model, vocabulary=vocabulary.size, shape=run.path / PRETRAINED)
    load_weights(run.seed_folder(seed) / WEIGHTS, model)
    return model.to(_device(run, device)).eval()


def _device(run: Run, name: str | None) -> torch.device:
    if name is not None:
        return device_of(name)
    try:
        return device_of(run.settings.resources.device)
    except InputError:  # it was trained on another machine
        return device_of()
