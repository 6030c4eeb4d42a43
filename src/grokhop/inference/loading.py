"""The finished model of a seed, from its run folder."""

from grokhop.models.base import Model
from grokhop.models.registry import finished_model
from grokhop.models.weights import load_weights
from grokhop.runs.run import PRETRAINED, WEIGHTS, Run
from grokhop.tasks.vocabulary import Vocabulary


def load_model(run: Run, seed: int) -> Model:
    """The finished model of a seed.

    Raises:
        InputError: its weights are missing or damaged.
    """
    vocabulary = Vocabulary.of(run.graph)
    model = finished_model(run.settings.model, vocabulary=vocabulary.size, shape=run.path / PRETRAINED)
    load_weights(run.seed_folder(seed) / WEIGHTS, model)
    return model.eval()
