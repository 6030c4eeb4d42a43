"""The outcome of a reproduction, as `reproduction.json` holds it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grokhop.core.records import Hardware, Record
from grokhop.core.statistics import CellScore
from grokhop.experiments.recipes import Recipe, RecipePlan
from grokhop.experiments.recipes.pattern import Pattern, PatternFigures
from grokhop.runs.metrics import GROKKED, GrokTime

NOT_RUN_HERE = "not run here"
TOLD = ("title", "paper", "where", "reported", "unknown", "assumed", "not_run")
"""The fields of `Recipe` that a result repeats, since they tell of the paper."""


@dataclass(frozen=True, kw_only=True)
class BlindCellScore(CellScore):
    """A score, and the share that is right whatever is asked; None where that is not known."""

    blind: float | None = None

    @staticmethod
    def of(score: CellScore, blind: float | None = None) -> "BlindCellScore":
        """Return a score with that share beside it."""
        return BlindCellScore(**vars(score), blind=blind)


@dataclass(frozen=True, kw_only=True)
class Ours:
    """The figures of a reproduction.

    Attributes:
        drawn: the sizes of a graph that was drawn.
        facts_before, inferred_before: facts and questions before an augmentation; None without one.
        facts_id: the trainable facts.
        inferred: the inferred facts that are trained.
        grok: of each mark, when each seed reached it; None where one did not.
        steps, train_seconds: of each seed.
        marks: which validation queries the marks are of.
        look_every: steps between two looks at them.
    """

    drawn: Mapping[str, Any]
    facts_before: int | None
    inferred_before: int | None
    facts: int
    facts_id: int
    inferred: int
    grok: dict[str, list[GrokTime | None]]
    steps: list[int]
    train_seconds: list[float]
    id: BlindCellScore
    ood: BlindCellScore
    marks: str
    look_every: int
    seeds: int
    hardware: Hardware | None

    def times(self, mark: str, unit: str) -> list[float | None]:
        """Return when each seed reached a mark, in 'steps' or 'seconds'."""
        return [None if when is None else getattr(when, unit) for when in self.grok[mark]]

    def measured(self) -> PatternFigures:
        """Return what decides whether a pattern shows."""
        return PatternFigures(
            train_99_steps=self.times("train_99", "steps"),
            id_95_steps=self.times("id_95", "steps"),
            look_every=self.look_every,
            ood=self.ood,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the figures for JSON, without those before an augmentation where there was none."""
        before = {"facts_before": self.facts_before, "inferred_before": self.inferred_before}
        return {
            **self.drawn,
            **{name: number for name, number in before.items() if number is not None},
            "facts": self.facts,
            "facts_id": self.facts_id,
            "inferred": self.inferred,
            "phi": self.inferred / self.facts_id,
            "phi_all": self.inferred / self.facts,
            "id_accuracy": self.id.accuracy,
            "ood_accuracy": self.ood.accuracy,
            **{f"{mark}_{unit}": self.times(mark, unit) for unit in ("steps", "seconds") for mark in GROKKED},
            "steps": self.steps,
            "train_seconds": self.train_seconds,
            "id": self.id.to_dict(),
            "ood": self.ood.to_dict(),
            "marks": self.marks,
            "look_every": self.look_every,
            "seeds": self.seeds,
            "hardware": self.hardware and self.hardware.to_dict(),
        }


@dataclass(frozen=True, kw_only=True)
class Reproduction(Record):
    """Reported figures beside those that came of the same steps here.

    Attributes:
        published: the plan of the published size. here: the plan that was run.
        report: the HTML file of the run.
    """

    recipe: Recipe
    published: RecipePlan
    here: RecipePlan
    ours: Ours
    pattern: Pattern
    report: Path

    @property
    def published_size(self) -> str:
        """Whether the published size was run here, in words."""
        return "run here" if self.here.published else NOT_RUN_HERE

    def to_dict(self) -> dict[str, Any]:
        """Return the reproduction for JSON, with what the recipe says of the paper."""
        return {
            "recipe": self.recipe.name,
            **{name: getattr(self.recipe, name) for name in TOLD},
            "published_size": self.published_size,
            "published": self.published.to_dict(),
            "here": self.here.to_dict(),
            "ours": self.ours.to_dict(),
            "pattern": self.pattern.to_dict(),
            "report": str(self.report),
        }
