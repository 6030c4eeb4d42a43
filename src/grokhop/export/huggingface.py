"""A finished model as a Hugging Face folder with a model card."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grokhop.config import PRESETS
from grokhop.core.artifacts import new_folder, refuse_to_overwrite
from grokhop.core.errors import InputError
from grokhop.core.formatting import interval, percent, plural
from grokhop.graph.graph import Graph
from grokhop.graph.queries import LESS, SAME
from grokhop.inference.loading import load_model
from grokhop.models.gpt2 import Gpt2
from grokhop.runs.evaluation import EvalResult
from grokhop.runs.run import EVAL, PHI, Run
from grokhop.tasks.controls import control_words
from grokhop.tasks.encoding import GIVEN, encode_paths
from grokhop.tasks.vocabulary import Vocabulary, token_labels

if TYPE_CHECKING:
    pass
from grokhop.core.optional import library
from grokhop.core.records import Record
from grokhop.models.huggingface import make_tokenizer, to_hf, token_texts

CARD = "README.md"
LOOPED = ("recurrent", "loop")
"""Architectures that transformers has not."""


@dataclass(frozen=True, kw_only=True)
class Exported(Record):
    """The folder of an exported model, and the model's class and sizes."""

    export: str
    format: str = "hf"
    model: str
    seed: int
    parameters: int
    tokens: int


def export(run_path: Path, out: Path, *, seed: int = 0, force: bool = False) -> Exported:
    """Write a seed's model as a folder for transformers: weights, configuration, tokenizer and a model card.

    Raises:
        InputError: the run cannot be read, the seed has not finished, its architecture is not one of transformers, or
            `out` exists and may not be replaced.
    """
    run = Run.read(run_path)
    refuse_to_overwrite(out, kind="export", force=force)
    if run.settings.model.architecture in LOOPED:
        others = ", ".join(name for name, preset in PRESETS.items() if preset.model.architecture not in LOOPED)
        raise InputError(
            f"{run_path} is a {run.settings.model.architecture}, which transformers cannot run; runs of these presets "
            f"export: {others}"
        )
    seeds = run.finished_seeds()
    if seed not in seeds:
        raise InputError(f"seed {seed} of {run_path} has not finished: choose one of {', '.join(map(str, seeds))}")
    tokens = token_texts(token_labels(run.graph))
    tokenizer, hf = make_tokenizer(tokens), _as_hf(load_model(run, seed))
    exported = Exported(
        export=str(out),
        model=type(hf).__name__,
        seed=seed,
        parameters=sum(weight.numel() for weight in hf.parameters()),
        tokens=len(tokens),
    )
    manifest = {name: value for name, value in exported.to_dict().items() if name != "export"}
    with new_folder(out, kind="export", manifest=manifest, force=force) as folder:
        hf.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        (folder / CARD).write_text(card(run, tokens, exported))
    return exported


def _as_hf(model: Any) -> Any:
    """A model of transformers that generates one token, the answer, when it is not told otherwise."""
    hf = to_hf(model) if isinstance(model, Gpt2) else model.to_hf()
    hf.generation_config = library().GenerationConfig(max_new_tokens=1, do_sample=False)
    return hf


def card(run: Run, tokens: Sequence[str], exported: Exported) -> str:
    """The model card, in Markdown."""
    counts, settings = run.graph_manifest["counts"], run.settings
    paragraphs = [
        "---\nlibrary_name: transformers\npipeline_tag: text-generation\nlicense: other\n"
        "tags: [grokhop, knowledge-graph, multi-hop-reasoning]\n---",
        "# Answers about a knowledge graph",
        f"A {exported.model} of {exported.parameters:,} parameters that answers questions of several hops about one "
        f"knowledge graph: {plural(counts['facts'], 'fact')}, {counts['entities']:,} entities and "
        f"{plural(counts['relations'], 'relation')}, from {', '.join(counts['by_source'])}. "
        f"{plural(counts['held_out'], 'fact')} were trained on their own alone and held out of every composition. "
        f"It was trained by grokhop {metadata.version('grokhop')} ({', '.join(settings.model.words())}; preset "
        f"{settings.preset}, seed {exported.seed}).",
        f"It is a control: {control_words(settings.task.control, run.manifest['composed'])}." if run.control else "",
        _phi(run),
        "## Asking it",
        "Each entity and each relation is one token, its label between '<' and '>', and nothing else is in the "
        "vocabulary. A query is an entity and the relations that lead from it to the answer, which is the next token. "
        "Where labels were alike, all but the first have a number behind them, as in `<label #2>`; '<' and '>' "
        "within a label are written '‹' and '›'. Other text is refused. Rows of a batch must be equally long.",
        _language(run.graph, tokens),
        _example(run, tokens, exported.model),
        *_scores(run),
        "## Licence",
        "The weights hold the facts of the graph: the terms of its sources hold for them"
        + (", and so do those of the model that it began with" if exported.model != "GPT2LMHeadModel" else "")
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
            word = tokens[Vocabulary.of(graph).relation_token(graph.relations.index(operator))]
            rows.append(("a comparison", f"`<a> <r> {word} <b> <r> {word}`", answer))
    return _table(("what is asked", "query", "answer"), rows)


def _example(run: Run, tokens: Sequence[str], model: str) -> str:
    """Code that asks what the first path in the graph ends in."""
    chains = run.dataset.compositions.chains
    row = encode_paths(run.graph, chains[:1] if len(chains) else np.zeros((1, 1), np.int64))
    query = " ".join(tokens[token] for token in row.tokens[0][row.read_at[0] >= GIVEN])
    return f"""```python
from transformers import AutoTokenizer, {model}

folder = "."  # where this file lies
tokenizer, model = AutoTokenizer.from_pretrained(folder), {model}.from_pretrained(folder)
query = tokenizer({json.dumps(query, ensure_ascii=False)}, return_tensors="pt")
print(tokenizer.decode(model.generate(**query)[0, -1]))  # {tokens[row.last_targets()[0]]}, says the graph
```"""


def _scores(run: Run) -> list[str]:
    """What `grokhop eval` found, if it was asked."""
    found = run.find_record(EVAL, EvalResult.from_dict, made_by="grokhop eval")
    if found is None:
        return []
    scores = {f"{hops} hops, {cell}": score for hops, by in found.cells.items() for cell, score in by.items()}
    scores |= {f"{kind}, {cell}": s.score for kind, by in found.questions.items() for cell, s in by.items()}
    rows = [(name.replace("_", " "), percent(s.accuracy), interval(s), f"{s.n:,}") for name, s in scores.items() if s.n]
    return [
        "## Test queries",
        f"Mean of {plural(found.seeds, 'seed')} of the run, with an interval of 95 %. Cells tell by which facts a "
        "query is answered: I for one trained in compositions, O for one held out of them.",
        _table(("queries", "accuracy", "interval", "n"), rows),
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))
