"""A finished model at hand: questions answered in batches, and activations by the names of tokens.

model = load(Path("runs/demo/run"))
for answer in model.answer(["Chad / head of state", "Lakes of Ounianga / heritage site in"]):
    print(answer.entity, answer.probability)
answer, cache = model.run_with_cache("Lakes of Ounianga / heritage site in / head of state")
bridge = cache["hook_resid_pre", 1, "heritage site in"]
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from grokhop.core.errors import InputError
from grokhop.graph.paths import Queries
from grokhop.graph.queries import Branch, Query
from grokhop.inference.answering import QuestionAnswerer
from grokhop.inference.ask import check_finished, parser_of, understand
from grokhop.inference.loading import load_model
from grokhop.interpretability.hooks import ActivationCache, watch
from grokhop.interpretability.named_cache import NamedCache
from grokhop.interpretability.pretrained_points import watch_pretrained
from grokhop.models.base import Model
from grokhop.models.pretrained import Pretrained
from grokhop.runs.run import Run
from grokhop.tasks.encoding import TokenBatch, encode_queries
from grokhop.tasks.vocabulary import Vocabulary


@dataclass(frozen=True)
class ModelAnswer:
    """The answer to one question.

    Attributes:
        question: the text as it was given.
        understood: the query that it was taken for, as a path.
        entity: the label of what is answered; 'yes' or 'no' where two ends are asked to be the same.
        probability: how sure the last read-out is, from 0 to 1.
    """

    question: str
    understood: str
    entity: str
    probability: float


def load(path: Path | str, *, seed: int = 0, device: str | None = None) -> "LoadedModel":
    """Read the finished model of a seed of the run folder `path`.

    Raises:
        InputError: the run or its weights cannot be read, or the seed has not finished.
    """
    run = Run.read(Path(path))
    check_finished(run, seed)
    return LoadedModel(run, load_model(run, seed, device=device))


class LoadedModel:
    """A model of a run with the graph that it was trained on."""

    def __init__(self, run: Run, model: Model) -> None:
        self.run, self.model = run, model
        self._parser, self._answerer = parser_of(run), QuestionAnswerer(run.graph, model)

    def answer(self, texts: Sequence[str]) -> list[ModelAnswer]:
        """Answer questions in words or paths, as `grokhop ask` does, in the order given.

        Those of one shape (operator and numbers of hops) go through the model in one pass. Only an order of dates takes
        more, where the years are equal.

        Raises:
            InputError: a text is not understood, or asks for what the run was not trained on.
        """
        if isinstance(texts, str):
            raise InputError(f"a list of questions is answered, not one text: give [{texts!r}]")
        texts = list(texts)
        queries = [self._query(text) for text in texts]
        found: dict[int, ModelAnswer] = {}
        for numbers in _by_shape(queries):
            responses = self._answerer.respond([queries[i] for i in numbers])
            for i, response in zip(numbers, responses, strict=True):
                understood = queries[i].describe(self.run.graph)
                found[i] = ModelAnswer(texts[i], understood, response.answer, response.probability)
        return [found[i] for i in range(len(queries))]

    def run_with_cache(self, text: str) -> tuple[ModelAnswer, NamedCache]:
        """Answer one chain and keep what the model computes on the way, as `run_with_cache` of TransformerLens does.

        Returns:
            The answer, and the activations by hook point, layer and token (`NamedCache`).

        Raises:
            InputError: the text is not understood, compares, or asks for what the run was not trained on.
        """
        query = self._query(text)
        if query.operator is not None:
            raise InputError(
                f"{text!r} compares, and only chains are looked into: write 'entity / relation / relation'"
            )
        rows = self._row(query.branches[0])
        activations = self._watched(rows)
        best = activations.last_logits()[0].softmax(-1).max(-1)
        understood = query.describe(self.run.graph)
        answer = ModelAnswer(text, understood, self._answerer.label(int(best.indices)), float(best.values))
        tokens = tuple(self._answerer.label(token) for token in rows.tokens[0].tolist())
        return answer, NamedCache(tokens, activations)

    def _query(self, text: str) -> Query:
        return understand(self.run, self._parser, text).query

    def _row(self, branch: Branch) -> TokenBatch:
        """The one row of a chain."""
        relations, none = np.array([branch.asked or branch.relations]), np.empty(0, np.int64)
        chain = Queries(head=np.array([branch.head]), relations=relations, answers=none, offsets=np.zeros(2, np.int64))
        return encode_queries(Vocabulary.of(self.run.graph), chain)

    def _watched(self, rows: TokenBatch) -> ActivationCache:
        return (watch_pretrained if isinstance(self.model, Pretrained) else watch)(self.model, rows)


def _by_shape(queries: Sequence[Query]) -> list[list[int]]:
    """The numbers of the queries whose rows are equally long, together."""
    found: defaultdict[tuple[str | None, tuple[int, ...]], list[int]] = defaultdict(list)
    for number, query in enumerate(queries):
        hops = tuple(len(branch.asked or branch.relations) for branch in query.branches)
        found[query.operator, hops].append(number)
    return list(found.values())
