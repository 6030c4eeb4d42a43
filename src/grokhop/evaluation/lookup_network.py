"""The look-up network: a small network that knows single facts, and a program that asks it once for each hop.

It is trained on facts alone and sees no composition. The entity that it answers of the first hop is the head of the
second, as the program is told by the query. What it reaches is what a told hop structure is worth; a model that learned
to compose by itself is to be held against it.

- `lookup` learns all facts, held-out ones too, as the run's models do.
- `unseen` learns all but the held-out facts: what inverses, twins and frequencies give away of a fact that was never
  seen, and so the floor of all O cells.

The network is an embedding of head and relation, one hidden layer, and a softmax over the entities by the same
embedding. Where several tails answer a pair, each of them is an equal share of the target. The program goes on from the
likeliest alone, and so ends nowhere where only another tail would have led on.

Shapes: B pairs of head and relation in a batch, Q queries, E entities.
"""

from collections.abc import Sequence
from dataclasses import replace
from time import process_time

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from grokhop.core.parallel import one_thread_each
from grokhop.core.statistics import over_seeds
from grokhop.evaluation.baseline_types import Asked, Exam, cell_scores
from grokhop.evaluation.lookup import NOT_UNDERSTOOD, UNKNOWN, Fact, Oracle
from grokhop.evaluation.qa_metrics import Prediction
from grokhop.graph.graph import Graph, Split
from grokhop.graph.paths import Longs, PathIndex, Queries
from grokhop.graph.queries import Query
from grokhop.runs.baselines import BaselineResult
from grokhop.runs.evaluation import QuestionScore

WIDTH = 128
BATCH = 512
STEPS, EPOCHS = 400, 40
"""A small graph is trained for so many steps, a larger one for so many passes over its facts."""
LEARNING_RATE = 3e-3
NOT_A_FACT = "a hop was answered with what is no fact of the graph"


class FactNetwork(nn.Module):
    """Says which entity a head and a relation lead to."""

    def __init__(self, entities: int, relations: int, *, seed: int, width: int = WIDTH) -> None:
        super().__init__()
        self.entities = entities
        drawn = torch.Generator().manual_seed(seed)
        self.embedding = _drawn(entities + relations, width, drawn, std=0.02)
        self.up = _drawn(4 * width, 2 * width, drawn, std=(2 * width) ** -0.5)
        self.down = _drawn(width, 4 * width, drawn, std=(4 * width) ** -0.5)
        self.norm_in, self.norm_out = nn.RMSNorm(2 * width), nn.RMSNorm(width)

    def forward(self, heads: Tensor, relations: Tensor) -> Tensor:
        """Return (B, E) logits of the tails of (B,) heads and (B,) relations."""
        both = torch.cat([self.embedding[heads], self.embedding[relations + self.entities]], dim=-1)
        hidden = F.gelu(F.linear(self.norm_in(both), self.up))
        return self.norm_out(F.linear(hidden, self.down)) @ self.embedding[: self.entities].T


def _drawn(rows: int, columns: int, drawn: torch.Generator, *, std: float) -> nn.Parameter:
    return nn.Parameter(torch.randn(rows, columns, generator=drawn) * std)


def learn(graph: Graph, *, seed: int = 0) -> FactNetwork:
    """Train a network on the facts of a graph, each on its own.

    It is trained on one thread, so that one seed gives one network to the last digit.
    """
    network = FactNetwork(len(graph.entities), len(graph.relations), seed=seed)
    facts = _single_facts(graph)
    rows = np.random.default_rng(seed)
    steps = max(STEPS, EPOCHS * len(facts) // BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
    falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, 2 * (steps - step) / steps))
    order: Longs = np.empty(0, np.int64)
    with one_thread_each():
        for _ in range(steps):
            if not len(order):
                order = rows.permutation(len(facts))
            batch, order = facts.where(order[:BATCH]), order[BATCH:]
            optimizer.zero_grad()
            _loss(network, batch).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            falling.step()
    return network


def _single_facts(graph: Graph) -> Queries:
    """Return every pair of head and relation, with all its tails."""
    return PathIndex(graph).queries(np.arange(len(graph))[:, None])[0]


def _loss(network: FactNetwork, facts: Queries) -> Tensor:
    """Measure cross-entropy to a target of which each tail of a pair is an equal share."""
    tails = np.diff(facts.offsets)
    row = torch.from_numpy(np.repeat(np.arange(len(facts)), tails))
    share = torch.from_numpy(np.repeat(1 / tails, tails)).float()
    chosen = network(_long(facts.head), _long(facts.relations[:, 0])).log_softmax(dim=-1)[row, _long(facts.answers)]
    return -(chosen * share).sum() / len(facts)


def _long(numbers: Longs) -> Tensor:
    return torch.from_numpy(numbers.astype(np.int64))


class Program(Oracle):
    """Follows a query by asking a network once for each hop, and compares ends as the oracle does.

    It never looks a fact of the graph up; `graph` gives it names, and says of a miss why it was one.
    """

    def __init__(self, graph: Graph, network: FactNetwork) -> None:
        super().__init__(graph)
        self.network = network
        self._facts = set(zip(graph.head.tolist(), graph.relation.tolist(), graph.tail.tolist(), strict=True))

    def ends(self, queries: Queries) -> Longs:
        """Return the (Q,) ends of queries: the answer of a hop is the head of the next."""
        reached: Longs = queries.head
        for hop in range(queries.hops):
            reached = self._hop(reached, queries.relations[:, hop])
        return reached

    def tails(self, head: int, relation: int) -> list[int]:
        """Return the one entity that the network answers."""
        return self._hop(np.array([head]), np.array([relation])).tolist()

    def _hop(self, heads: Longs, relations: Longs) -> Longs:
        starts = range(0, len(heads), BATCH)
        found = [self._likeliest(heads[i : i + BATCH], relations[i : i + BATCH]) for i in starts]
        return np.concatenate([np.empty(0, np.int64), *found])

    def _likeliest(self, heads: Longs, relations: Longs) -> Longs:
        with torch.no_grad():
            return self.network(_long(heads), _long(relations)).argmax(dim=-1).numpy()

    def scores(self, asked: Sequence[Asked]) -> QuestionScore:
        """Score questions as the oracle does; a network answers in one way, so that nothing is ambiguous."""
        return replace(super().scores(asked), ambiguous=None)

    def cause(self, one: Asked, found: Sequence[Prediction]) -> str:
        """Say whose fault a miss is, as the oracle does, but for hops that the network answered wrongly."""
        cause = super().cause(one, found)
        if cause in (UNKNOWN, NOT_UNDERSTOOD) or not isinstance(one.query, Query):
            return cause
        walked = {fact for branch in one.query.branches for fact in self._walk(branch.head, branch.relations)}
        return cause if walked <= self._facts else NOT_A_FACT

    def _walk(self, head: int, relations: Sequence[int]) -> tuple[Fact, ...]:
        (walk,) = self.walks(head, relations)
        return walk


def lookup(exam: Exam) -> BaselineResult:
    """Learn all facts, each on its own, and look them up hop by hop."""
    return _answered(exam, exam.graph)


def unseen(exam: Exam) -> BaselineResult:
    """Do the same without the held-out facts."""
    return _answered(exam, exam.graph.trainable)


def _answered(exam: Exam, known: Graph) -> BaselineResult:
    """Have a network that knows the facts `known` answer an exam."""
    exam.notice(f"a network learns {len(known):,} facts, each on its own")
    start = process_time()
    program = Program(exam.graph, learn(known))
    seconds = process_time() - start
    facts = _single_facts(exam.graph)
    right = facts.are_right(program.ends(facts))
    pairs = exam.graph.pair_id(facts.head, facts.relations[:, 0])
    held_out = np.isin(pairs, exam.graph.pair[exam.graph.part != Split.TRAIN])
    return BaselineResult(
        atomic=over_seeds([right]),
        atomic_held_out=over_seeds([right[held_out]]),
        cpu_seconds=seconds,
        questions={
            kind: {cell: program.scores(asked) for cell, asked in by_cell.items()}
            for kind, by_cell in exam.groups.items()
        },
        cells=cell_scores(exam.cells, program.ends),
    )
