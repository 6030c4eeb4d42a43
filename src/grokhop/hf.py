"""Models for Hugging Face: weights carried to GPT2LMHeadModel and back, and a folder that `from_pretrained` reads.

A token is written as by Wang et al. (2024), its label between '<' and '>', and tokens stand one after another, as in
'<Chad> <head of state>'. In labels '<' and '>' become '‹' and '›'; where several tokens would then read alike, such as
an entity and a relation of one label, all but the first get a number, '<capital #2>'. Text that is no such token is
refused by the tokenizer, not left out: there is no token for what is unknown, and none to pad with.
"""

import json
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from grokhop.encode import GIVEN, encode_paths, token_labels
from grokhop.errors import InputError
from grokhop.evaluate import load_model
from grokhop.folder import new_folder, refuse_to_overwrite
from grokhop.gpt2 import POSITIONS, Gpt2
from grokhop.graph import Graph
from grokhop.query import LESS, SAME
from grokhop.report.wording import interval, percent, plural
from grokhop.run import EVAL, PHI, Run
from grokhop.settings import PRESETS, ModelSettings

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel

CARD = "README.md"
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


def library() -> Any:
    """The library transformers.

    Raises:
        InputError: it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise InputError(
            "models of Hugging Face need the library transformers: pip install 'grokhop[pretrained]'"
        ) from error
    return transformers


def to_hf(model: Gpt2) -> "GPT2LMHeadModel":
    """The model as transformers' own, with the same logits; layers that are applied again are written out again.

    Raises:
        InputError: transformers is not installed.
    """
    transformers, settings = library(), model.settings
    config = transformers.GPT2Config(
        vocab_size=model.embedding.num_embeddings,
        n_positions=POSITIONS,
        n_embd=settings.width,
        n_layer=len(model.layers) * settings.repeats,
        n_head=settings.heads,
        n_inner=settings.mlp_ratio * settings.width,
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
    names = _names(len(model.layers), settings.repeats)
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
        settings = ModelSettings(
            architecture="gpt2",
            width=config.n_embd,
            heads=config.n_head,
            layers=config.n_layer,
            mlp_ratio=(config.n_inner or 4 * config.n_embd) // config.n_embd,
        )
    except ValueError as error:
        raise InputError(f"this GPT-2 cannot be held: {error}") from error
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


def export(run_path: Path, out: Path, *, seed: int = 0, force: bool = False) -> dict[str, Any]:
    """Write a seed's model as a folder for transformers: weights, configuration, tokenizer and a model card.

    Returns:
        `export`, the folder; its `format`; the `model`'s class, its `seed`, `parameters` and `tokens`.

    Raises:
        InputError: the run cannot be read, the seed has not finished, its architecture is not one of transformers, or
            `out` exists and may not be replaced.
    """
    run = Run.read(run_path)
    refuse_to_overwrite(out, kind="export", force=force)
    if run.settings.model.architecture == "loop":
        others = ", ".join(name for name, preset in PRESETS.items() if preset.model.architecture != "loop")
        raise InputError(f"{run_path} is a loop, which transformers cannot run; runs of these presets export: {others}")
    seeds = run.finished_seeds()
    if seed not in seeds:
        raise InputError(f"seed {seed} of {run_path} has not finished: choose one of {', '.join(map(str, seeds))}")
    tokens = token_texts(token_labels(run.graph))
    tokenizer, hf = make_tokenizer(tokens), _as_hf(load_model(run, seed))
    facts = {
        "model": type(hf).__name__,
        "seed": seed,
        "parameters": sum(weight.numel() for weight in hf.parameters()),
        "tokens": len(tokens),
    }
    with new_folder(out, kind="export", manifest={"format": "hf", **facts}, force=force) as folder:
        hf.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        (folder / CARD).write_text(card(run, tokens, facts))
    return {"export": str(out), "format": "hf", **facts}


def _as_hf(model: Any) -> Any:
    """A model of transformers that generates one token, the answer, when it is not told otherwise."""
    hf = to_hf(model) if isinstance(model, Gpt2) else model.to_hf()
    hf.generation_config = library().GenerationConfig(max_new_tokens=1, do_sample=False)
    return hf


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


def card(run: Run, tokens: Sequence[str], facts: dict[str, Any]) -> str:
    """The model card, in Markdown."""
    counts, settings = run.graph_manifest["counts"], run.settings
    paragraphs = [
        "---\nlibrary_name: transformers\npipeline_tag: text-generation\nlicense: other\n"
        "tags: [grokhop, knowledge-graph, multi-hop-reasoning]\n---",
        "# Answers about a knowledge graph",
        f"A {facts['model']} of {facts['parameters']:,} parameters that answers questions of several hops about one "
        f"knowledge graph: {plural(counts['facts'], 'fact')}, {counts['entities']:,} entities and "
        f"{plural(counts['relations'], 'relation')}, from {', '.join(counts['by_source'])}. "
        f"{plural(counts['held_out'], 'fact')} were trained on their own alone and held out of every composition. "
        f"It was trained by grokhop {metadata.version('grokhop')} ({', '.join(settings.model.words())}; preset "
        f"{run.manifest['preset']}, seed {facts['seed']}).",
        _phi(run),
        "## Asking it",
        "Each entity and each relation is one token, its label between '<' and '>', and nothing else is in the "
        "vocabulary. A query is an entity and the relations that lead from it to the answer, which is the next token. "
        "Where labels were alike, all but the first have a number behind them, as in `<label #2>`; '<' and '>' "
        "within a label are written '‹' and '›'. Other text is refused. Rows of a batch must be equally long.",
        _language(run.graph, tokens),
        _example(run, tokens, facts["model"]),
        *_scores(run),
        "## Licence",
        "The weights hold the facts of the graph: the terms of its sources hold for them"
        + (", and so do those of the model that it began with" if facts["model"] != "GPT2LMHeadModel" else "")
        + ". grokhop itself, under Apache-2.0, adds none.",
    ]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"


def _phi(run: Run) -> str:
    measured = run.read_json(PHI, made_by="grokhop train")
    after = measured["trainable"]["phi"]
    return (
        f"phi, the number of paths of {measured['hops']} facts for each fact, is {measured['phi']:.2f}, and "
        f"{after:.2f} among the facts that were not held out."
    )


def _language(graph: Graph, tokens: Sequence[str]) -> str:
    rows = [
        ("a fact", "`<h> <r>`", "what the fact ends in"),
        ("a path", "`<h> <r1> <r2>`", "what the last fact ends in"),
    ]
    for operator, answer in ((SAME, "whether both end in the same"), (LESS, "which of both ends in what is earlier")):
        if operator in graph.relations:
            word = tokens[len(graph.entities) + graph.relations.index(operator)]
            rows.append(("a comparison", f"`<a> <r> {word} <b> <r> {word}`", answer))
    return _table(("what is asked", "query", "answer"), rows)


def _example(run: Run, tokens: Sequence[str], model: str) -> str:
    """Code that asks what the first path in the graph ends in."""
    chains = run.compositions.chains
    row = encode_paths(run.graph, chains[:1] if len(chains) else np.zeros((1, 1), np.int64))
    query = " ".join(tokens[token] for token in row.tokens[0][row.due[0] >= GIVEN])
    return f"""```python
from transformers import AutoTokenizer, {model}

folder = "."  # where this file lies
tokenizer, model = AutoTokenizer.from_pretrained(folder), {model}.from_pretrained(folder)
query = tokenizer({json.dumps(query, ensure_ascii=False)}, return_tensors="pt")
print(tokenizer.decode(model.generate(**query)[0, -1]))  # {tokens[row.last_targets()[0]]}, says the graph
```"""


def _scores(run: Run) -> list[str]:
    """What `grokhop eval` found, if it was asked."""
    if not (run.path / EVAL).exists():
        return []
    found = run.read_json(EVAL, made_by="grokhop eval")
    scores = {f"{hops} hops, {cell}": score for hops, by in found["cells"].items() for cell, score in by.items()}
    scores |= {f"{kind}, {cell}": s for kind, by in found["questions"].items() for cell, s in by.items()}
    rows = [
        (name.replace("_", " "), percent(s["accuracy"]), interval(s), f"{s['n']:,}")
        for name, s in scores.items()
        if s["n"]
    ]
    return [
        "## Test queries",
        f"Mean of {plural(found['seeds'], 'seed')} of the run, with an interval of 95 %. Cells tell by which facts a "
        "query is answered: I for one trained in compositions, O for one held out of them.",
        _table(("queries", "accuracy", "interval", "n"), rows),
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))
