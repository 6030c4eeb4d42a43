"""Models for Hugging Face: weights carried to GPT2LMHeadModel and back, and a folder that `from_pretrained` reads.

A token is written as by Wang et al. (2024), its label between '<' and '>', and tokens stand one after another, as in
'<Chad> <head of state>'. In labels '<' and '>' become '‹' and '›'; where several tokens would then read alike, such as
an entity and a relation of one label, all but the first get a number, '<capital #2>'. Text that is no such token is
refused by the tokenizer, not left out: there is no token for what is unknown, and none to pad with.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from grokhop.config import GPT2Config
from grokhop.core.errors import InputError
from grokhop.models.gpt2 import POSITIONS, Gpt2

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel
from grokhop.core.optional import library

_LAYER = {
    "attention_norm": "ln_1",
    "query_key_value": "attn.c_attn",
    "output": "attn.c_proj",
    "mlp_norm": "ln_2",
    "up": "mlp.c_fc",
    "down": "mlp.c_proj",
}
"""What the parts of a layer are called here and there, where all but norms are a `Conv1D`, a transposed `Linear`."""
_TANH_GELU = ("gelu_new", "gelu_pytorch_tanh")
_EPSILON = nn.LayerNorm(1).eps


def to_hf(model: Gpt2) -> "GPT2LMHeadModel":
    """The model as transformers' own, with the same logits; layers that are applied again are written out again.

    Raises:
        InputError: transformers is not installed.
    """
    transformers, settings = library(), model.settings
    config = transformers.GPT2Config(
        vocab_size=model.embedding.num_embeddings,
        n_positions=POSITIONS,
        n_embd=settings.d_model,
        n_layer=len(model.layers) * model.repeats,
        n_head=settings.n_heads,
        n_inner=settings.mlp_ratio * settings.d_model,
        activation_function="gelu_new",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        layer_norm_epsilon=_EPSILON,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )
    hf, weights = transformers.GPT2LMHeadModel(config), model.state_dict()
    names = _names(len(model.layers), model.repeats)
    hf.transformer.load_state_dict({theirs: _turned(theirs, weights[ours]) for ours, theirs in names})
    return hf.eval()


def from_hf(hf: "GPT2LMHeadModel") -> Gpt2:
    """The model as our own, in float32, with the same logits; of its positions the first are kept that rows can have.

    Raises:
        InputError: it is of a shape that ours does not have.
    """
    config = hf.config
    _refuse(hf)
    try:
        settings = GPT2Config(
            d_model=config.n_embd,
            n_heads=config.n_head,
            n_layers=config.n_layer,
            mlp_ratio=(config.n_inner or 4 * config.n_embd) // config.n_embd,
        )
    except ValidationError as error:
        raise InputError(f"this GPT-2 cannot be held: {error.errors()[0]['msg']}") from error
    model, weights = Gpt2(settings, vocabulary=config.vocab_size), hf.transformer.state_dict()
    weights["wpe.weight"] = weights["wpe.weight"][:POSITIONS]
    model.load_state_dict({ours: _turned(theirs, weights[theirs]).float() for ours, theirs in _names(config.n_layer)})
    return model.eval()


def _refuse(hf: "GPT2LMHeadModel") -> None:
    config = hf.config
    wrong = {
        f"its activation is {config.activation_function}, not gelu_new": config.activation_function not in _TANH_GELU,
        "its read-out is not tied to its embeddings": not torch.equal(hf.lm_head.weight, hf.transformer.wte.weight),
        f"its n_inner {config.n_inner} is no multiple of its width {config.n_embd}": bool(
            (config.n_inner or 0) % config.n_embd
        ),
        f"it has {config.n_positions} positions, fewer than {POSITIONS}": config.n_positions < POSITIONS,
        f"its layer_norm_epsilon is {config.layer_norm_epsilon}, not {_EPSILON}": config.layer_norm_epsilon != _EPSILON,
        "its attention is scaled in another way": config.scale_attn_by_inverse_layer_idx
        or not config.scale_attn_weights,
        "it has cross-attention": config.add_cross_attention,
    }
    reasons = [reason for reason, holds in wrong.items() if holds]
    if reasons:
        raise InputError(f"this GPT-2 cannot be held: {', '.join(reasons)}")


def _names(layers: int, repeats: int = 1) -> Iterator[tuple[str, str]]:
    """All weights by their names here and there."""
    yield from (("embedding.weight", "wte.weight"), ("position.weight", "wpe.weight"))
    for place in range(layers * repeats):
        for ours, theirs in _LAYER.items():
            for kind in ("weight", "bias"):
                yield f"layers.{place % layers}.{ours}.{kind}", f"h.{place}.{theirs}.{kind}"
    yield from ((f"final_norm.{kind}", f"ln_f.{kind}") for kind in ("weight", "bias"))


def _turned(theirs: str, weight: Tensor) -> Tensor:
    return weight.T if ".c_" in theirs and weight.ndim == 2 else weight


def token_texts(labels: Sequence[str]) -> list[str]:
    """How each token is written, no two alike."""
    bare = [label.replace("<", "‹").replace(">", "›") for label in labels]
    taken = set(bare)
    texts: dict[str, None] = {}
    for label in bare:
        text, number = f"<{label}>", 1
        while text in texts or (number > 1 and text[1:-1] in taken):
            number += 1
            text = f"<{label} #{number}>"
        texts[text] = None
    return list(texts)


def make_tokenizer(texts: Sequence[str]) -> Any:
    """A tokenizer of transformers that knows these tokens, by their order, and nothing else."""
    library()
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({text: token for token, text in enumerate(texts)}))
    # No label holds a '<', so that a blank before one stands between two tokens.
    words.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\s+(?=<)|\s+\z"), "removed"),
            pre_tokenizers.Split(Regex(r"<[^<>]*>"), "isolated"),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words, clean_up_tokenization_spaces=False, model_max_length=POSITIONS
    )
