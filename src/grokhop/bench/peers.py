"""Time to grok: seconds and training examples until held-out queries are answered, beside the published recipe.

All are trained on the same facts and paths of one graph drawn by chance, and asked the same two-hop queries: II, of
facts that were trained in compositions, and OO, of facts that never were. Asking takes part of the time of each. Who
does not get there in the time limit counts as 'not reached', and enters the ratio as a lower bound.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch

from grokhop.bench.clock import SECONDS, result
from grokhop.bench.recipe import BATCH, Peer, Recipe
from grokhop.chains import Queries
from grokhop.encode import Vocabulary
from grokhop.graph import Graph
from grokhop.lesson import Lesson
from grokhop.run import compose_as
from grokhop.scores import Score
from grokhop.settings import Budget, preset
from grokhop.sources import synthetic
from grokhop.train import Trainer

GRAPH = synthetic.Composition(entities=200, relations=20, out_degree=8, holdout=0.1)
"""1,600 facts."""
TARGETS = {"II": 0.99, "OO": 0.95}
LOOK_EVERY = 100
"""Steps of a peer between two looks at the queries."""
PEERS = {
    "published recipe, 8 layers": Recipe(),
    "its recurrent variant, 4 layers twice": Recipe(repeats=2),
}
OURS = "grokhop, loop"


@dataclass(frozen=True)
class Reached:
    """When a contender answered so many of the queries of a cell; None where it did not."""

    seconds: float | None
    examples: int | None
    best: float


def bench_peers(
    *,
    drawn: synthetic.Composition = GRAPH,
    limit: float = 600.0,
    threads: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Train each peer once, and ours before, between and after them, with another seed each time.

    Args:
        drawn: the graph that all are trained on.
        limit: seconds for each contender.

    Returns:
        `rows`: for each target (99 % of II, 95 % of OO) and each contender the `median`, `low` and `high` seconds, the
        `examples` trained until then, the `best` accuracy that was seen and the `ratio` to ours.

    Raises:
        InputError: transformers is not installed.
    """
    torch.set_num_threads(threads or torch.get_num_threads())
    graph = synthetic.draw(drawn)
    peers = {name: peer_of(recipe, graph) for name, recipe in PEERS.items()}
    found = {OURS: [ours(graph, limit, seed=0)]}
    say(f"{OURS}: {found[OURS][-1]}")
    for seed, (name, (peer, asked)) in enumerate(peers.items(), start=1):
        found[name] = [grok(peer, asked, limit)]
        say(f"{name}: {found[name][-1]}")
        found[OURS].append(ours(graph, limit, seed=seed))
        say(f"{OURS}: {found[OURS][-1]}")
    told = f"{len(graph):,} facts, batch {BATCH}, {torch.get_num_threads()} threads, at most {limit:g} s"
    return result(list(_rows(found, limit, told)))


def ours(graph: Graph, limit: float, *, seed: int) -> dict[str, Reached]:
    """The preset `loop`, as `grokhop train` trains it, until both targets are reached."""
    settings = replace(preset("loop", compare=False), id_target=TARGETS["II"], ood_target=TARGETS["OO"], cooldown=False)
    made = compose_as(graph, settings)
    asked = {2: _asked(made.cells["test"][2])}
    lesson = replace(Lesson.of(graph, made, prefixes=settings.prefixes), validation=asked)
    with TemporaryDirectory() as folder:
        trainer = Trainer(lesson, settings, seed=seed, folder=Path(folder) / "seed")
        trainer.run(Budget(seconds=limit))
    looks = [(look.seconds, look.step * settings.batch_rows, look.cells["2"]) for look in trainer.looks]
    return _reached(looks)


def peer_of(recipe: Recipe, graph: Graph) -> tuple[Peer, dict[str, Queries]]:
    """A peer, and what it is asked."""
    settings = preset("paper", compare=False)
    made = compose_as(graph, settings)
    lesson = Lesson.of(graph, made, prefixes=False)
    return Peer(recipe, lesson, Vocabulary.of(graph)), _asked(made.cells["test"][2])


def grok(peer: Peer, asked: dict[str, Queries], limit: float) -> dict[str, Reached]:
    """Train a peer until both targets are reached or the time is over."""
    began, looks = time.perf_counter(), list[tuple[float, int, dict[str, float | None]]]()
    while True:
        peer.take_step()
        seconds = time.perf_counter() - began
        if peer.step % LOOK_EVERY and seconds < limit:
            continue
        accuracies = {cell: Score.of(peer.are_right(queries)).accuracy for cell, queries in asked.items()}
        looks.append((time.perf_counter() - began, peer.step * BATCH, accuracies))
        if seconds >= limit or all((accuracies[cell] or 0) >= target for cell, target in TARGETS.items()):
            return _reached(looks)


def _asked(cells: dict[str, Queries]) -> dict[str, Queries]:
    return {cell: cells[cell] for cell in TARGETS}


def _reached(looks: list[tuple[float, int, dict[str, float | None]]]) -> dict[str, Reached]:
    found = {}
    for cell, target in TARGETS.items():
        seconds, examples = next(((s, n) for s, n, by_cell in looks if (by_cell[cell] or 0) >= target), (None, None))
        best = max(by_cell[cell] or 0 for _, _, by_cell in looks)
        found[cell] = Reached(seconds=seconds, examples=examples, best=best)
    return found


def _rows(found: dict[str, list[dict[str, Reached]]], limit: float, told: str) -> Iterator[dict[str, Any]]:
    for cell, target in TARGETS.items():
        ours_ = [run[cell].seconds for run in found[OURS]]
        known = [s for s in ours_ if s is not None]
        reference = median(known) if len(known) == len(ours_) else None
        for name, runs in found.items():
            seconds = [run[cell].seconds for run in runs]
            reached = [s for s in seconds if s is not None]
            whole = len(reached) == len(seconds)
            middle = median(reached) if whole else None
            examples = [run[cell].examples for run in runs]
            yield {
                "name": f"seconds to {target:.0%} {cell}",
                "contender": name,
                "median": middle,
                "low": min(reached) if whole else None,
                "high": max(reached) if whole else None,
                "unit": SECONDS,
                "ratio": (middle or limit) / reference if reference else None,
                "reached": whole,
                "note": ""
                if whole
                else f"not reached in {limit:g} s by {len(seconds) - len(reached)} of {len(seconds)}",
                "examples": examples,
                "best": [run[cell].best for run in runs],
                "runs": seconds,
                "conditions": told,
            }
