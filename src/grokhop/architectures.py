"""The architectures that a model can have, by the name that its settings give."""

from grokhop.gpt2 import Gpt2
from grokhop.loop import LoopTransformer
from grokhop.model import Model
from grokhop.settings import ModelSettings


def make_model(settings: ModelSettings, *, vocabulary: int) -> Model:
    """A model as it begins, from torch's random state."""
    made = {"loop": LoopTransformer, "gpt2": Gpt2}[settings.architecture]
    return made(settings, vocabulary=vocabulary)
