"""A published language model as a beginning: its layers as they are, its vocabulary replaced by the graph's tokens.

A causal language model of the library transformers is read by its name on the Hugging Face hub, from its folder, or
from a `.gguf` file, and computed in float32, without dropout. The first `layers` of its layers are kept. Its own
embeddings are not: each entity and relation gets one of its own, tied to the read-out, that begins as the mean of the
embeddings of the pieces which the model's tokenizer makes of its label. Nothing else is in the vocabulary.

The shape is kept in the run folder, so that a run can be read where the model it began with is out of reach.

Shapes: B rows, T positions, N read-outs, D width, V tokens.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from grokhop.config import PretrainedConfig
from grokhop.core.errors import InputError
from grokhop.core.optional import library
from grokhop.models.base import Model, ReadOut
from grokhop.models.gpt2 import POSITIONS
from grokhop.tasks.encoding import GIVEN

_WEIGHT_FILES = ("*.safetensors", "*.bin")
_TOLERANCE = 1e-3


class Pretrained(Model):
    """A decoder that somebody else has trained, asked at the due positions after its last layer."""

    Config = PretrainedConfig

    def __init__(self, settings: PretrainedConfig, *, vocabulary: int, labels: Sequence[str] = ()) -> None:
        """Read the model that the settings name.

        Args:
            labels: what the tokens are called; without any, as for `settings.random_init`, the weights are random.

        Raises:
            InputError: it cannot be read, or is no decoder that can be given another vocabulary.
        """
        super().__init__(settings, vocabulary=vocabulary)
        config = read_shape(settings)
        begins = bool(labels) and not settings.random_init
        causal = _read_weights(settings, config) if begins else _random_weights(settings, config, vocabulary)
        _refuse_what_cannot_be_carried(causal, settings.pretrained)
        self.embedding = _embedding(causal, vocabulary, _pieces(settings, labels) if begins else [])
        self.decoder = causal.base_model
        self.decoder.set_input_embeddings(self.embedding)
        _fit(self.decoder.config, vocabulary)
        self.layers = layers_of(self.decoder)

    @classmethod
    def check(cls, settings: PretrainedConfig) -> Any:
        """Return the shape of a model that can be begun with: `read_shape`, and a look at what else is needed.

        Raises:
            InputError: as `read_shape`, or there are no weights or no tokenizer beside it.
        """
        config, folder = read_shape(settings), Path(settings.pretrained)
        if settings.random_init or folder.suffix == ".gguf":  # which holds all three
            return config
        if folder.is_dir() and not any(found for pattern in _WEIGHT_FILES for found in folder.glob(pattern)):
            raise InputError(
                f"{folder} holds no weights: --set model.random_init=true begins with random ones of its shape"
            )
        _tokenizer(settings)
        return config

    @classmethod
    def finished(cls, settings: PretrainedConfig, shape: Path) -> PretrainedConfig:
        """Return the settings that read the shape which a run kept, wherever the model came from."""
        return replace(settings, pretrained=str(shape.resolve()))

    def forward(self, tokens: Tensor, read_at: Tensor) -> list[ReadOut]:
        row, position = torch.nonzero(read_at > GIVEN, as_tuple=True)
        x_BTD = self.decoder(inputs_embeds=self.embedding(tokens), use_cache=False).last_hidden_state
        return [ReadOut(1, row, position, self.read_out(x_BTD[row, position]))]

    def read_out(self, x_ND: Tensor) -> Tensor:
        """(N, D) states, which went through the final norm in the decoder, to (N, V) logits: the tied embeddings."""
        return x_ND @ self.embedding.weight.T

    def to_hf(self) -> Any:
        """The same weights as a causal language model of its own class in transformers, tied to the new embeddings."""
        config = deepcopy(self.decoder.config)
        made = library().AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        made.base_model.load_state_dict(self.decoder.state_dict())
        head = made.get_output_embeddings()
        with torch.no_grad():
            head.weight.copy_(self.embedding.weight)  # a no-op where the class can tie them
            if head.bias is not None:
                head.bias.zero_()
        return made.eval()


def read_shape(settings: PretrainedConfig) -> Any:
    """The configuration of the model that the settings name, with the layers that are kept and no dropout.

    Raises:
        InputError: transformers is not installed, or there is no such model, or not with so many layers.
    """
    name = settings.pretrained
    if not name:
        raise InputError("no pretrained model is named: say which with --set model.pretrained=NAME_OR_FOLDER")
    if (Path(name).is_absolute() or name.startswith((".", "~"))) and not Path(name).exists():
        raise InputError(f"model.pretrained={name}: there is no such folder or file")
    with _one_line(name):
        config = library().AutoConfig.from_pretrained(**_place(name))
        layers, positions = config.num_hidden_layers, getattr(config, "max_position_embeddings", POSITIONS)
    if settings.n_layers > layers:
        raise InputError(f"model.n_layers={settings.n_layers}: {name} has no more than {layers} layers")
    if positions < POSITIONS:
        raise InputError(f"{name} has {positions} positions, and rows can be {POSITIONS} long: name another model")
    return _cut(config, layers, settings.n_layers or layers)


def layers_of(decoder: Any) -> nn.ModuleList:
    """The decoder layers, whatever they are called: the outermost list of as many modules as there are layers."""
    count = decoder.config.num_hidden_layers
    return next(m for m in decoder.modules() if isinstance(m, nn.ModuleList) and len(m) == count)


def _place(name: str) -> dict[str, str]:
    """Where transformers' readers are told to look."""
    path = Path(name)
    if path.suffix == ".gguf":
        return {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
    return {"pretrained_model_name_or_path": name}


def _cut(config: Any, layers: int, kept: int) -> Any:
    """Leave so many layers of a configuration, in lists with an entry for each too, and switch dropout off."""
    for name, value in config.to_dict().items():
        if isinstance(value, list) and len(value) == layers:
            setattr(config, name, value[:kept])
        if "drop" in name and isinstance(value, float):
            setattr(config, name, 0.0)
    config.num_hidden_layers = kept
    return config


def _fit(config: Any, vocabulary: int) -> None:
    """Make a configuration that of the new vocabulary, in which no token has a task of its own."""
    config.vocab_size, config.tie_word_embeddings, config.dtype = vocabulary, True, torch.float32
    config.bos_token_id = config.eos_token_id = config.pad_token_id = None


def _read_weights(settings: PretrainedConfig, config: Any) -> Any:
    name = settings.pretrained
    with _one_line(name):
        causal, found = library().AutoModelForCausalLM.from_pretrained(
            **_place(name), config=config, dtype=torch.float32, output_loading_info=True
        )
    missing = [key for key in found["missing_keys"] if key.startswith(causal.base_model_prefix)]
    if missing:  # which transformers fills by chance
        raise InputError(f"{name} lacks {len(missing)} weights of its own shape, such as {min(missing)}: name another")
    return causal


def _random_weights(settings: PretrainedConfig, config: Any, vocabulary: int) -> Any:
    _fit(config, vocabulary)
    with _one_line(settings.pretrained):
        return library().AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def _embedding(causal: Any, vocabulary: int, pieces: list[list[int]]) -> nn.Embedding:
    """(V, D) new embeddings: the mean of the old ones of a label's pieces, or random ones of the model's scale."""
    old_VD = causal.get_input_embeddings().weight.detach()
    made = nn.Embedding(vocabulary, old_VD.shape[1])
    nn.init.normal_(made.weight, std=getattr(causal.config, "initializer_range", None) or 0.02)
    with torch.no_grad():
        for token, ids in enumerate(pieces):
            made.weight[token] = old_VD[ids].mean(0) if ids else old_VD.mean(0)
    return made


def _pieces(settings: PretrainedConfig, labels: Sequence[str]) -> list[list[int]]:
    """The pieces of each label, as the model's own tokenizer makes them."""
    return _tokenizer(settings)(list(labels), add_special_tokens=False)["input_ids"]


def _tokenizer(settings: PretrainedConfig) -> Any:
    with _one_line(settings.pretrained, "tokenizer"):
        tokenizer = library().AutoTokenizer.from_pretrained(**_place(settings.pretrained))
    # Where there is none, transformers makes one that knows no word.
    if not set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens):
        raise InputError(f"{settings.pretrained} has no tokenizer, of whose pieces the first embeddings are made")
    return tokenizer


@torch.no_grad()
def _refuse_what_cannot_be_carried(causal: Any, name: str) -> None:
    """Ask the model four of its tokens: its answers must be its last states times its output embeddings, no later
    token may change them, and its embeddings must enter as they are.

    Raises:
        InputError: it is no decoder, or scales its embeddings or its logits.
    """
    head, inputs = causal.get_output_embeddings(), causal.get_input_embeddings()
    refused = InputError(f"{name} is no plain decoder (it is not causal, or scales embeddings or logits): name another")
    if head is None or causal.base_model is causal:
        raise refused
    causal.eval()
    ids = torch.arange(4)[None] % len(inputs.weight)
    own_1TV = causal(input_ids=ids, use_cache=False).logits
    for length in (4, 2):
        given_1TD = inputs.weight[ids[:, :length]]
        h_1TD = causal.base_model(inputs_embeds=given_1TD, use_cache=False).last_hidden_state
        carried_1TV = head(h_1TD)
        if not torch.allclose(carried_1TV, own_1TV[:, :length], atol=_TOLERANCE, rtol=_TOLERANCE):
            raise refused


@contextmanager
def _one_line(name: str, what: str = "causal language model") -> Iterator[None]:
    """Say in one line what transformers could not read, and let it say nothing else.

    Raises:
        InputError: it raised anything.
    """
    logging = library().logging
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        said = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise InputError(
            f"model.pretrained={name}: no {what} can be read there ({said.rstrip('.')}); give the name of one on the "
            "Hugging Face hub, its folder, or a .gguf file"
        ) from error
    finally:
        logging.set_verbosity(before)
