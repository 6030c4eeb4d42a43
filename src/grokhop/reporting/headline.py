"""The answer at a glance: the verdict, the notes on what is missing, and the tiles."""

import shlex
from dataclasses import dataclass
from typing import NamedTuple

from grokhop.core.formatting import count, duration, percent, plural, with_n
from grokhop.core.statistics import CellScore
from grokhop.reporting.evidence import Evidence, accuracy_beside, mean_of
from grokhop.runs.evaluation import Floor
from grokhop.runs.metrics import ENOUGH_OOD_QUERIES
from grokhop.runs.run import EVAL
from grokhop.tasks.controls import control_words

ENOUGH = 0.95
"""Accuracy in and out of distribution from which on a run has grokked; the grokking times use the same."""
QUERIES, QUESTIONS = "two-hop test queries", "questions"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """An accuracy in or out of distribution.

    Attributes:
        on: what was asked; `which` narrows it. score: None of validation, of which only the accuracy is kept.
        floor: the accuracy without following a fact, where it is known.
        controls: the accuracies of controls, in words.
    """

    accuracy: float | None
    on: str
    which: str = ""
    score: CellScore | None = None
    floor: Floor | None = None
    controls: str = ""

    @staticmethod
    def of(score: CellScore, on: str, which: str, floor: Floor | None = None, controls: str = "") -> "Measured":
        """Take a score of the test."""
        return Measured(accuracy=score.accuracy, on=on, which=which, score=score, floor=floor, controls=controls)

    @property
    def n(self) -> int:
        return self.score.n if self.score else 0

    @property
    def note(self) -> str:
        if self.score is None:
            return self.on
        return "; ".join(filter(None, (with_n(self.score), self.which, floor_note(self.floor), self.controls)))


def floor_note(floor: Floor | None) -> str:
    """Put the highest floor and how it is reached into words; nothing where it is not known."""
    return f"floor {percent(floor.highest)}, {floor.named}" if floor and floor.named else ""


def _controls(evidence: Evidence, hops: int, cell: str) -> str:
    """Put the accuracies of controls in a cell into words; nothing where none was asked."""
    found = evidence.evaluation.controls if evidence.evaluation else {}
    return ", ".join(f"{name} {percent(accuracy_beside(control, hops, cell))}" for name, control in found.items())


class Tile(NamedTuple):
    """One number at the top of the page."""

    name: str
    value: str
    kind: str
    note: str


def verdict(evidence: Evidence) -> str:
    """One sentence: whether the run grokked, after how long, with what accuracies, over how many seeds.

    Of a control its name stands before it.
    """
    control = evidence.run.control
    return f"Control {control}. {_verdict(evidence)}" if control else _verdict(evidence)


def _verdict(evidence: Evidence) -> str:
    if not evidence.looks:
        return "Not trained yet: no seed has taken a look at its validation queries."
    in_, out = _headline(evidence)
    score_id, score_ood = in_.accuracy, out.accuracy
    if score_id is None and score_ood is None:
        return f"Trained for {_trained(evidence)}; there are no {in_.on} to measure generalisation with."
    numbers = f"{_numbers(in_, out)}{_over_seeds(evidence)}"
    if score_ood is None:
        return f"{numbers}, after {_trained(evidence)}; no query over held-out facts measures out of distribution."
    if min(score_id if score_id is not None else 1.0, score_ood) < ENOUGH:
        return f"Not grokked: {numbers}, after {_trained(evidence)}."
    reached = _grok_seconds(evidence)
    if len(reached) < len(evidence.looks):
        return f"Grokked with {len(reached)} of {plural(len(evidence.looks), 'seed')}: {numbers}."
    return f"Grokked in {duration(mean_of(reached) or 0)}: {numbers}."


def _headline(evidence: Evidence) -> tuple[Measured, Measured]:
    """The score in and that out of distribution: of the test if it was asked, else of validation.

    No cell holds the chains of held-out facts that a question of the graph asks. Where a cell has too few queries, the
    questions with the same facts therefore take its place.
    """
    if evidence.evaluation is None:
        last = [found.validation for found in evidence.summaries.values()]
        in_, out = (
            Measured(accuracy=mean_of(v[name] for v in last), on="validation queries") for name in ("id", "ood")
        )
        return in_, out
    cells = evidence.cells(2)
    any_held_out = CellScore.pooled(cells[cell] for cell in ("IO", "OI", "OO"))
    in_ = _first_with_enough(
        Measured.of(cells["II"], QUERIES, "", evidence.floor(2, "II"), _controls(evidence, 2, "II")),
        Measured.of(evidence.questions("id"), QUESTIONS, "questions"),
    )
    questions = evidence.questions("ood") if evidence.held_out else CellScore()
    out = _first_with_enough(
        Measured.of(cells["OO"], QUERIES, "both facts held out", evidence.floor(2, "OO"), _controls(evidence, 2, "OO")),
        Measured.of(questions, QUESTIONS, "questions over held-out facts alone"),
        Measured.of(any_held_out, QUERIES, "any fact held out", evidence.floor(2, "IO", "OI", "OO")),
    )
    return in_, out


def _first_with_enough(*measured: Measured) -> Measured:
    """The first score of enough queries, or where none has enough the one of most."""
    enough = (one for one in measured if one.n >= ENOUGH_OOD_QUERIES)
    return next(enough, max(measured, key=lambda one: one.n))


def _numbers(in_: Measured, out: Measured) -> str:
    named = [(found, name) for found, name in ((in_, "in"), (out, "out of")) if found.accuracy is not None]
    texts = [f"{percent(found.accuracy)} {name} distribution" for found, name in named]
    if len({found.on for found, _ in named}) == 1 and named[0][0].on != QUESTIONS:
        return f"{' and '.join(texts)} on {named[0][0].on}"
    asked = [f"{text} on {count(found.n)} {found.on}" for text, (found, _) in zip(texts, named, strict=True)]
    return " and ".join(asked)


def _grok_seconds(evidence: Evidence) -> list[float]:
    """For each seed that got there: when it had reached 95 % both in and out of distribution."""
    both = ((grok["id_95"], grok["ood_95"], seed) for seed, grok in evidence.groks.items())
    measured = {seed: found.validation for seed, found in evidence.summaries.items()}
    times = ([t for t, name in ((i, "id"), (o, "ood")) if measured[seed][name] is not None] for i, o, seed in both)
    return [max(t.seconds for t in found if t) for found in times if found and all(found)]


def _over_seeds(evidence: Evidence) -> str:
    seeds = evidence.evaluation.seeds if evidence.evaluation else len(evidence.looks)
    return f" (mean of {seeds} seeds)" if seeds > 1 else " (one seed)"


def _trained(evidence: Evidence) -> str:
    return duration(mean_of(s.train_seconds for s in evidence.summaries.values()) or 0)


def notes(evidence: Evidence) -> list[str]:
    """What is missing from the run, each with the command that makes it."""
    run = evidence.run
    name, found = shlex.quote(run.path.name), []
    if run.control:
        words = control_words(run.settings.task.control, run.manifest["composed"])
        found.append(f"This run is a control, no result by itself: {words}.")
    if evidence.unfinished:
        seeds = ", ".join(map(str, evidence.unfinished))
        found.append(
            f"Seed{'s' if len(evidence.unfinished) > 1 else ''} {seeds} of {evidence.seeds} not finished: "
            f"'grokhop train GRAPH --resume -o {name}' goes on."
        )
    if evidence.evaluation is None:
        found.append(f"No test query has been asked: 'grokhop eval {name}' asks them and makes {EVAL}.")
    elif evidence.evaluation.seeds < evidence.seeds - len(evidence.unfinished):
        found.append(f"{EVAL} is of {plural(evidence.evaluation.seeds, 'seed')}: 'grokhop eval {name}' asks all.")
    if not evidence.held_out:
        found.append(
            "No fact was held out of the training chains, so nothing here tells reasoning out of distribution from "
            "recall: 'grokhop ingest ... --holdout 0.1' holds some out."
        )
    return found


def tiles(evidence: Evidence) -> list[Tile]:
    tiles = [
        Tile(f"{name} distribution", percent(found.accuracy), kind, found.note)
        for found, name, kind in zip(_headline(evidence), ("in", "out of"), ("id", "ood"), strict=True)
    ]
    untrained = evidence.run.settings.task.hops + 1
    long = evidence.cells(untrained).get("0")
    if long and long.n:
        controls = _controls(evidence, untrained, "0")
        note = "; ".join(filter(None, (with_n(long), floor_note(evidence.floor(untrained, "0")), controls)))
        tiles.append(Tile(f"{untrained} hops, never trained", percent(long.accuracy), "untrained", note))
    reached = _grok_seconds(evidence)
    if reached:
        between = f" ({duration(min(reached))} to {duration(max(reached))})" if len(set(reached)) > 1 else ""
        note = f"on validation queries{between}; whole training {_trained(evidence)}"
        tiles.append(Tile("to 95 % ID and OOD", duration(mean_of(reached) or 0), "time", note))
    return tiles
