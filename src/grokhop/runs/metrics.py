"""Metrics: what is seen of a run at each look at its validation queries, and the three grokking times.

Read by the report, so nothing here needs torch.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from grokhop.core.artifacts import write_bytes
from grokhop.core.errors import InputError
from grokhop.core.records import OMITTED, Record
from grokhop.core.statistics import Score
from grokhop.tasks.composition import cell_name

METRICS = "metrics.jsonl"
ENOUGH_OOD_QUERIES = 30
"""With fewer fully OOD validation queries than this, those with any OOD fact are counted instead."""
GROKKED = {"train_99": ("train", 0.99), "id_95": ("id", 0.95), "ood_95": ("ood", 0.95)}


@dataclass(frozen=True, kw_only=True)
class EvalRecord:
    """One line of `metrics.jsonl`: how far a run is. Accuracies are of training rows and validation queries."""

    step: int
    seconds: float
    epochs: float
    loss: float
    rows_per_second: float
    train: float | None
    id: float | None
    ood: float | None
    cells: dict[str, dict[str, float | None]] = field(default_factory=dict)
    cooling: bool = False
    compared: float | None = None
    """Comparisons held out for validation."""
    seconds_left: float | None = None
    """At most; None where the budget sets no end."""


def append_look(folder: Path, look: EvalRecord) -> None:
    """Add a line to a seed's metrics."""
    with (folder / METRICS).open("a") as file:
        file.write(json.dumps(asdict(look)) + "\n")


def keep_looks(folder: Path, looks: list[EvalRecord]) -> None:
    """Replace a seed's metrics by these lines."""
    write_bytes(folder / METRICS, "".join(json.dumps(asdict(look)) + "\n" for look in looks).encode())


def read_looks(folder: Path) -> list[EvalRecord]:
    """The lines of a seed's metrics; a line that a stopped run left half-written is left out.

    Raises:
        InputError: another line is damaged.
    """
    if not (folder / METRICS).exists():
        return []
    lines = (folder / METRICS).read_text().split("\n")
    try:
        return [EvalRecord(**json.loads(line)) for line in lines[:-1]]
    except (ValueError, TypeError) as error:
        raise InputError(f"{folder / METRICS} is damaged ({error}): train again with --force") from error


@dataclass(frozen=True, kw_only=True)
class GrokTime(Record):
    """When a seed was first seen at a threshold."""

    seconds: float
    steps: int
    epochs: float


@dataclass(frozen=True, kw_only=True)
class TrainSummary(Record):
    """The outcome of the training of a seed, as its `summary.json` holds it.

    Attributes:
        validation: the last accuracies, of training rows (`train`) and validation queries (`id`, `ood`).
        grok: when each threshold of `GROKKED` was reached; None where one was not.
        packed_rows_checked: how many rows the check for leakage read; None before the training has ended.
    """

    steps: int
    train_seconds: float
    epochs: float
    rows_per_second: float
    validation: dict[str, float | None]
    grok: dict[str, GrokTime | None]
    packed_rows_checked: int | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, kw_only=True)
class TrainResult(Record):
    """The outcome of `grokhop train`: the run folder, and the numbers of its finished seeds with their summaries.

    `control` says which control the run is, if it is one.
    """

    run: str
    control: str | None = field(default=None, metadata=OMITTED)
    numbers: list[int]
    seeds: list[TrainSummary]


def summary(looks: list[EvalRecord]) -> TrainSummary:
    """Sum up a run: steps, seconds, last accuracies and the three grokking times (None where not reached)."""
    last = looks[-1]
    return TrainSummary(
        steps=last.step,
        train_seconds=last.seconds,
        epochs=last.epochs,
        rows_per_second=last.rows_per_second,
        validation={"train": last.train, "id": last.id, "ood": last.ood},
        grok={name: _first_time(looks, *wanted) for name, wanted in GROKKED.items()},
    )


def _first_time(looks: list[EvalRecord], name: str, threshold: float) -> GrokTime | None:
    reached = (look for look in looks if (getattr(look, name) or 0.0) >= threshold)
    look = next(reached, None)
    return None if look is None else GrokTime(seconds=look.seconds, steps=look.step, epochs=look.epochs)


Scores = dict[int, dict[str, Score]]


def id_score(scores: Scores, hops: int) -> Score:
    """Of held-out queries of trainable facts, over all trained lengths."""
    return _pooled(scores, hops, lambda k, cell: cell == cell_name([False] * k))


def ood_score(scores: Scores, hops: int) -> Score:
    """Of queries of held-out facts alone, or with any held-out fact where the former are too few."""
    full = _pooled(scores, hops, lambda k, cell: cell == cell_name([True] * k))
    if full.n >= ENOUGH_OOD_QUERIES:
        return full
    return held_score(scores, hops)


def held_score(scores: Scores, hops: int) -> Score:
    """Of queries with any held-out fact, over all trained lengths."""
    return _pooled(scores, hops, lambda k, cell: cell != cell_name([False] * k))


def _pooled(scores: Scores, hops: int, wanted: Callable[[int, str], bool]) -> Score:
    chosen = (s for k, by in scores.items() if k <= hops for cell, s in by.items() if wanted(k, cell))
    return sum(chosen, Score(0, 0))
