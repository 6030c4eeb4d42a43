"""Time to grok: seconds and training examples until held-out queries are answered, beside the published recipe.

All are trained on the same facts and paths of one graph drawn by chance, and asked the same two-hop queries: II, of
facts that were trained in compositions, and OO, of facts that never were. Asking takes part of the time of each. Who
does not get there in the time limit counts as 'not reached', and enters the ratio as a lower bound.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch

from grokhop.bench.clock import Quantity, result, row_of
from grokhop.bench.reference_gpt2 import BATCH, Peer, Recipe, answers_per_row
from grokhop.bench.rows import BenchResult, PeerRow
from grokhop.config import Budget, preset
from grokhop.core.statistics import Score
from grokhop.datasets import synthetic
from grokhop.graph.graph import Graph
from grokhop.graph.paths import Queries
from grokhop.inference.predict import are_right
from grokhop.runs.callbacks import Callback
from grokhop.runs.metrics import EvalRecord
from grokhop.tasks.dataset import build_dataset
from grokhop.tasks.vocabulary import Vocabulary
from grokhop.training.trainer import Trainer

GRAPH = synthetic.Composition(entities=200, relations=20, out_degree=8, holdout=0.1)
"""1,600 facts."""
TARGETS = {"II": 0.99, "OO": 0.95}
LOOK_EVERY = 100
"""Steps of a peer between two looks at the queries."""
RECIPES = {
    "published recipe, 8 layers": Recipe(),
    "its recurrent variant, 4 layers twice": Recipe(repeats=2),
}
"""Of transformers."""
OURS, PLAIN = "grokhop, loop", "grokhop, paper"


@dataclass(frozen=True)
class Reached:
    """When a contender answered so many of the queries of a cell, after how many rows and supervised answers; None
    where it did not. `best` is the accuracy that it came to at most.
    """

    seconds: float | None
    rows: int | None
    answers: int | None
    best: float


@dataclass(frozen=True)
class Seen:
    """A look at the queries: after so many seconds and rows, the accuracy of each cell."""

    seconds: float
    rows: int
    accuracy: dict[str, float | None]


def bench_peers(
    *,
    drawn: synthetic.Composition = GRAPH,
    limit: float = 600.0,
    threads: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> BenchResult:
    """Train each peer once, and ours before, between and after them, with another seed each time.

    Beside the recipe stands the preset `paper`, which is the same architecture with the layers, decay and warm-up that
    were found to grok soonest here (docs/log.md).

    Args:
        drawn: the graph that all are trained on.
        limit: seconds for each contender.

    Returns:
        `rows`: for each target (99 % of II, 95 % of OO) and each contender the `median`, `low` and `high` seconds, the
        rows and supervised answers trained until then (a row of ours has an answer for each of its hops), the `best`
        accuracy that was seen and the `ratio` to ours.

    Raises:
        InputError: transformers is not installed.
    """
    torch.set_num_threads(threads or torch.get_num_threads())
    graph = synthetic.draw(drawn)
    peers: dict[str, Callable[[], dict[str, Reached]]] = {
        name: partial(recipe_groks, recipe, graph, limit) for name, recipe in RECIPES.items()
    }
    peers[PLAIN] = partial(preset_groks, "paper", graph, limit, seed=0)
    found: dict[str, list[dict[str, Reached]]] = {OURS: [preset_groks("loop", graph, limit, seed=0)]}
    for seed, (name, groks) in enumerate(peers.items(), start=1):
        found[name] = [groks()]
        say(f"{name}: {found[name][-1]}")
        found[OURS].append(preset_groks("loop", graph, limit, seed=seed))
        say(f"{OURS}: {found[OURS][-1]}")
    told = (
        f"{len(graph):,} facts, batch {BATCH}, {torch.get_num_threads()} threads, at most {limit:g} s; "
        f"{len(found[OURS])} seeds of ours, one of each other"
    )
    return result(rows_of(found, limit, told))


def preset_groks(name: str, graph: Graph, limit: float, *, seed: int) -> dict[str, Reached]:
    """A preset, as `grokhop train` trains it: validation queries say when the rate falls and when training ends, and
    the queries that all contenders are asked are looked at beside."""
    targets = [f"train.id_target={TARGETS['II']}", f"train.ood_target={TARGETS['OO']}"]
    settings = preset(name, compare=False, changes=targets)
    dataset = build_dataset(graph, settings.task)
    asked, looks = _asked(dataset.test[2]), list[Seen]()
    with TemporaryDirectory() as folder:
        trainer = Trainer(dataset, settings, seed=seed, folder=Path(folder) / "seed")

        class Look(Callback):
            def on_eval(self, seed: int, record: EvalRecord) -> None:
                look(record)

        def look(own: EvalRecord) -> None:
            right = {cell: are_right(trainer.average.model, dataset.vocabulary, q) for cell, q in asked.items()}
            accuracy = {cell: Score.of(mask).accuracy for cell, mask in right.items()}
            looks.append(Seen(own.seconds, own.step * settings.train.batch_size, accuracy))

        trainer.run(Budget(seconds=limit), Look())
    return reached(looks, answers_per_row(trainer))


def recipe_groks(recipe: Recipe, graph: Graph, limit: float) -> dict[str, Reached]:
    """The published recipe, until both targets are reached or the time is over."""
    dataset = build_dataset(graph, preset("paper", compare=False).task)
    peer = Peer(recipe, dataset, Vocabulary.of(graph))
    asked = _asked(dataset.test[2])
    began, looks = time.perf_counter(), list[Seen]()
    while True:
        peer.take_step()
        seconds = time.perf_counter() - began
        if peer.step % LOOK_EVERY and seconds < limit:
            continue
        accuracy = {cell: Score.of(peer.are_right(queries)).accuracy for cell, queries in asked.items()}
        looks.append(Seen(seconds, peer.step * BATCH, accuracy))
        if seconds >= limit or all((accuracy[cell] or 0) >= target for cell, target in TARGETS.items()):
            return reached(looks, 1.0)


def _asked(cells: dict[str, Queries]) -> dict[str, Queries]:
    return {cell: cells[cell] for cell in TARGETS}


def reached(looks: Sequence[Seen], answers_per_row: float) -> dict[str, Reached]:
    """For each target the first look that met it."""
    found = {}
    for cell, target in TARGETS.items():
        best = max(look.accuracy[cell] or 0 for look in looks)
        first = next((look for look in looks if (look.accuracy[cell] or 0) >= target), None)
        if first is None:
            found[cell] = Reached(None, None, None, best)
        else:
            found[cell] = Reached(first.seconds, first.rows, round(first.rows * answers_per_row), best)
    return found


def rows_of(found: dict[str, list[dict[str, Reached]]], limit: float, conditions: str) -> Iterator[PeerRow]:
    """The rows of a benchmark, target by target; ours is the first of `found`."""
    for cell, target in TARGETS.items():
        quantity = Quantity(name=f"seconds to {target:.0%} {cell}")
        ours = _median([run[cell] for run in next(iter(found.values()))])
        for name, runs in found.items():
            here = [run[cell] for run in runs]
            late = sum(run.seconds is None for run in here)
            row = row_of(
                quantity,
                name,
                [run.seconds for run in here],
                reached=not late,
                ours=ours,
                limit=limit,
                note=f"not reached in {limit:g} s by {late} of {len(here)}" if late else "",
                conditions=conditions,
            )
            yield PeerRow(
                **vars(row),
                trained_rows=[run.rows for run in here],
                trained_answers=[run.answers for run in here],
                best=[run.best for run in here],
            )


def _median(runs: Sequence[Reached]) -> float | None:
    """Of the seconds; None where a run did not get there."""
    seconds = [run.seconds for run in runs]
    return None if None in seconds else median(s for s in seconds if s is not None)
