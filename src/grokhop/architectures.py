"""The architectures that a model can have, by the name that its settings give."""

from collections.abc import Sequence

from grokhop.gpt2 import Gpt2
from grokhop.loop import LoopTransformer
from grokhop.model import Model
from grokhop.settings import ModelSettings


def make_model(settings: ModelSettings, *, vocabulary: int, labels: Sequence[str] = ()) -> Model:
    """A model as it begins, from torch's random state.

    Args:
        labels: what the tokens are called, from which a pretrained model's first embeddings are made; without them, as
            where finished weights are to be put in place, nothing pretrained is read but its shape.

    Raises:
        InputError: a pretrained model cannot be read.
    """
    if settings.architecture == "pretrained":
        from grokhop.pretrained import Pretrained

        return Pretrained(settings, vocabulary=vocabulary, labels=labels)
    made = {"loop": LoopTransformer, "gpt2": Gpt2}[settings.architecture]
    return made(settings, vocabulary=vocabulary)
