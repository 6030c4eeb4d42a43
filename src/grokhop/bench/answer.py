"""`grokhop bench answer`: questions per second and the time of one, beside transformers' `generate`, and of starting.

Both are asked the same queries of one graph drawn by chance (`grokhop.datasets.synthetic`). Weights are random: they
are multiplied as fast as trained ones. Our plain decoder and the GPT-2 of transformers hold the same weights, so that
they must give the same answers; the loop is another model, of the preset `loop`, beside that same GPT-2.
"""

import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

from grokhop.bench.clock import BenchContender, Quantity, alternate, peak_memory, result
from grokhop.bench.rows import AnswerAgreement, BenchResult, BenchRow
from grokhop.config import PRESETS
from grokhop.core.errors import InputError
from grokhop.core.optional import library
from grokhop.datasets.synthetic import Composition, draw
from grokhop.graph.graph import Graph
from grokhop.graph.paths import Longs, PathIndex, Queries
from grokhop.inference.answering import QuestionAnswerer
from grokhop.inference.predict import BATCH_SIZE, last_answers
from grokhop.language.parser import QuestionParser
from grokhop.models import huggingface as hf
from grokhop.models.base import Model
from grokhop.models.gpt2 import Gpt2
from grokhop.models.registry import make_model
from grokhop.tasks.encoding import encode_queries
from grokhop.tasks.vocabulary import Vocabulary, token_labels

OURS, THEIRS = "grokhop", "transformers generate"
GRAPH = Composition()
QUERIES, ASKS = 8192, 50
PRESET_OF = {"gpt2": "paper", "loop": "loop"}
COMMANDS = {"--help": ("--help",), "phi --help": ("phi", "--help"), "phi GRAPH": ("phi", "GRAPH")}
SMALL = Composition(entities=100, relations=10, out_degree=5)
"""What `grokhop phi` is started on."""


@dataclass(frozen=True, kw_only=True)
class AnswerTask:
    """A graph and the two-hop queries that are asked of it."""

    graph: Graph
    queries: Queries

    @staticmethod
    def of(settings: Composition, most: int, *, seed: int = 0) -> "AnswerTask":
        graph = draw(settings)
        chaining, every = PathIndex(graph), np.ones(len(graph), bool)
        rng = np.random.default_rng(seed)
        queries = chaining.queries(chaining.paths([every] * 2, limit=2 * most, rng=rng))[0]
        chosen = rng.permutation(len(queries))[:most]
        return AnswerTask(graph=graph, queries=queries.where(chosen))

    def texts(self, most: int) -> list[tuple[str, list[str]]]:
        """The first queries, each as a head and its relations."""
        heads, relations = self.queries.head[:most].tolist(), self.queries.relations[:most].tolist()
        return [
            (self.graph.entities[h].label, [self.graph.relations[r] for r in rs])
            for h, rs in zip(heads, relations, strict=True)
        ]


class OurModel:
    """A model with random weights, asked by grokhop."""

    def __init__(self, asked: AnswerTask, architecture: str, *, seed: int = 0) -> None:
        self.asked, self.vocabulary = asked, Vocabulary.of(asked.graph)
        self.settings = PRESETS[PRESET_OF[architecture]].model
        torch.manual_seed(seed)
        self.model: Model = make_model(self.settings, vocabulary=self.vocabulary.size).eval()

    def batch(self) -> Longs:
        """(Q,) answers to all queries."""
        return last_answers(self.model, encode_queries(self.vocabulary, self.asked.queries))

    @cached_property
    def _loaded(self) -> tuple[QuestionParser, QuestionAnswerer]:
        return QuestionParser(self.asked.graph), QuestionAnswerer(self.asked.graph, self.model)

    def ask(self, head: str, relations: Sequence[str]) -> str:
        """The answer in words to a query in words."""
        understander, responder = self._loaded
        return responder.respond([understander.understand(" / ".join([head, *relations])).query])[0].answer


class Theirs:
    """A plain decoder of ours as transformers' own, asked by `generate` for one token, the most probable.

    Raises:
        InputError: transformers is not installed.
    """

    def __init__(self, ours: OurModel) -> None:
        assert isinstance(ours.model, Gpt2)
        self.asked, self.vocabulary = ours.asked, ours.vocabulary
        self.model: Any = hf.to_hf(ours.model)
        self.model.generation_config = library().GenerationConfig(max_new_tokens=1, do_sample=False)
        self.labels = token_labels(ours.asked.graph)
        self.texts = hf.token_texts(self.labels)
        self.text_of = dict(zip(self.labels, self.texts, strict=True))
        self.tokenizer: Any = hf.make_tokenizer(self.texts)

    def batch(self) -> Longs:
        """(Q,) answers to all queries."""
        tokens = torch.from_numpy(encode_queries(self.vocabulary, self.asked.queries).tokens)
        return torch.cat([self._next(tokens[i : i + BATCH_SIZE]) for i in range(0, len(tokens), BATCH_SIZE)]).numpy()

    @torch.no_grad()
    def _next(self, tokens: torch.Tensor) -> torch.Tensor:
        generated: torch.Tensor = self.model.generate(tokens, attention_mask=torch.ones_like(tokens))
        return generated[:, -1]

    def ask(self, head: str, relations: Sequence[str]) -> str:
        """The answer in words to a query in words."""
        text = " ".join(self.text_of[label] for label in (head, *relations))
        token = self._next(self.tokenizer(text, return_tensors="pt")["input_ids"])
        return self.labels[int(token[0])]


def bench_answer(
    *,
    runs: int = 5,
    queries: int = QUERIES,
    asks: int = ASKS,
    graph: Composition = GRAPH,
    threads: int | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> BenchResult:
    """Measure batches, single questions and the start of commands.

    Returns:
        `rows` and conditions; `same`, how many `answers` of all `queries` transformers gives
        as we do, of the plain decoder that both hold; `notes`, what was left out.

    Raises:
        InputError: runs, queries or asks below 1.
    """
    for option, number in (("--queries", queries), ("--asks", asks)):
        if number < 1:
            raise InputError(f"{option} is {number}, but something must be asked: give 1 or more")
    torch.set_num_threads(threads or torch.get_num_threads())
    asked = AnswerTask.of(graph, queries)
    models = {architecture: OurModel(asked, architecture) for architecture in PRESET_OF}
    notes: list[str] = []
    theirs = _theirs(models["gpt2"], notes)
    rows = []
    for architecture, ours in models.items():
        say(f"{architecture}: {len(asked.queries):,} queries in batches, {asks} one by one")
        rows += _batches(architecture, ours, theirs, runs)
        rows += _singles(architecture, ours, theirs, asks, runs)
    say("starting commands")
    rows += starts(runs)
    return result(rows, same=_same(models["gpt2"], theirs), notes=notes)


def _theirs(ours: OurModel, notes: list[str]) -> Theirs | None:
    try:
        return Theirs(ours)
    except InputError as error:
        notes.append(f"{THEIRS} is left out: {error}")
        return None


def _same(ours: OurModel, theirs: Theirs | None) -> list[AnswerAgreement]:
    if theirs is None:
        return []
    n, equal = len(ours.asked.queries), int((ours.batch() == theirs.batch()).sum())
    what = f"gpt2, {THEIRS}: {equal:,} of {n:,} answers are ours"
    return [AnswerAgreement(what=what, same=equal == n, answers=equal, queries=n)]


def _batches(architecture: str, ours: OurModel, theirs: Theirs | None, runs: int) -> list[BenchRow]:
    def per_second(batch: Callable[[], Any]) -> Callable[[], float]:
        batch()  # the first run makes ready what is made once

        def measured() -> float:
            start = perf_counter()
            batch()
            return len(ours.asked.queries) / (perf_counter() - start)

        return measured

    contenders = [BenchContender(name=OURS, call=per_second(ours.batch), measures=True)]
    if theirs:
        contenders.append(BenchContender(name=THEIRS, call=per_second(theirs.batch), measures=True))
    rate = Quantity(name=f"{architecture}, answers in batches", unit="1/s", more_is_better=True)
    told = f"{_model_words(ours)}; {len(ours.asked.queries):,} queries, batches of {BATCH_SIZE:,}"
    return alternate(contenders, runs, quantities=[rate], conditions=told)


def _singles(architecture: str, ours: OurModel, theirs: Theirs | None, asks: int, runs: int) -> list[BenchRow]:
    texts = ours.asked.texts(asks)

    def milliseconds(ask: Callable[[str, Sequence[str]], str]) -> Callable[[], float]:
        ask(*texts[0])

        def measured() -> float:
            start = perf_counter()
            for head, relations in texts:
                ask(head, relations)
            return 1000 * (perf_counter() - start) / len(texts)

        return measured

    contenders = [BenchContender(name=OURS, call=milliseconds(ours.ask), measures=True)]
    if theirs:
        contenders.append(BenchContender(name=THEIRS, call=milliseconds(theirs.ask), measures=True))
    told = f"{_model_words(ours)}; from words to words, model loaded, mean of {len(texts)} in a run"
    latency = Quantity(name=f"{architecture}, one question", unit="ms")
    return alternate(contenders, runs, quantities=[latency], conditions=told)


def _model_words(ours: OurModel) -> str:
    threads, words = torch.get_num_threads(), ", ".join(ours.settings.words())
    return f"{words}, {ours.vocabulary.size:,} tokens, {threads} thread{'s' * (threads != 1)}"


def starts(runs: int) -> list[BenchRow]:
    """How long commands take from their start to their end, beside Python alone, which starts no sooner."""
    with tempfile.TemporaryDirectory(prefix="grokhop-bench-") as scratch:
        graph = Path(scratch) / "graph"
        draw(SMALL).write(graph)
        rows = []
        for name, arguments in COMMANDS.items():
            command = [str(graph) if part == "GRAPH" else part for part in arguments]
            contenders = [
                BenchContender(name=OURS, call=_started("-m", "grokhop", *command), measures=True),
                BenchContender(name="python, nothing imported", call=_started("-c", "pass"), measures=True),
            ]
            started = Quantity(name=f"start, grokhop {name}")
            rows += alternate(contenders, runs, quantities=[started], conditions="a program of its own")
    return rows


def _started(*arguments: str) -> Callable[[], float]:
    return lambda: peak_memory([sys.executable, *arguments]).seconds
