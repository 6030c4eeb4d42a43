"""The outcome of a sweep, as `sweep.json` holds it: a row for each contender and level of phi.

Reading it needs no torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from grokhop.core.records import INLINED, Conditions, Record
from grokhop.core.statistics import CellScore
from grokhop.runs.evaluation import Cells, ComparisonScore, Questions
from grokhop.runs.metrics import GrokTime


@dataclass(frozen=True, kw_only=True)
class RelationRow(Record):
    """One relation at one level: its own phi, and the two-hop queries that use it at any hop.

    Attributes:
        trained: the distinct paths of two facts that use it and are trained.
        phi: None of a relation without a trainable fact.
    """

    relation: str
    trainable_facts: int
    trained: int
    phi: float | None
    id: CellScore
    ood: CellScore

    def score(self, name: str) -> CellScore:
        """Return the score 'id' or 'ood'."""
        return self.id if name == "id" else self.ood


@dataclass(frozen=True, kw_only=True)
class SweepRow(Record):
    """The outcome of one contender at one level.

    Attributes:
        trained: how many inferred facts of each length were trained.
        id, ood: what tells how well it does in and out of distribution, of the kind of queries that `asked` names.
        cells: of the lengths that were trained.
        untrained: of longer chains.
        comparison, questions: as in the run's `eval.json`.
        grok: of each threshold, when each seed reached it in validation; None where one did not.
        train_seconds, steps: of each seed.
    """

    level: str
    phi: float
    trained: dict[str, int]
    trainable_facts: int
    seeds: list[int]
    id: CellScore
    ood: CellScore
    asked: dict[str, str]
    cells: Cells
    untrained: Cells
    comparison: dict[str, ComparisonScore]
    questions: Questions
    grok: dict[str, list[GrokTime | None]]
    train_seconds: list[float]
    steps: list[int]
    per_relation: list[RelationRow]

    def score(self, name: str) -> CellScore:
        """Return the score 'id' or 'ood'."""
        return self.id if name == "id" else self.ood

    @property
    def inferred(self) -> int:
        """How many inferred facts were trained."""
        return sum(self.trained.values())


@dataclass(frozen=True, kw_only=True)
class Failure(Record):
    """A seed that failed, or the test queries of a run where `seed` is None."""

    contender: str
    level: str
    seed: int | None
    error: str

    @property
    def what(self) -> str:
        """'seed 1', or 'the test queries'."""
        return "the test queries" if self.seed is None else f"seed {self.seed}"


@dataclass(frozen=True, kw_only=True)
class SweepResult(Record):
    """The content of `sweep.json`.

    Attributes:
        graph: its name and counts.
        hops: the longest chains that each contender was trained on.
        budget: of a seed, as the manifest holds it.
        contenders: the rows of each, from the lowest level to the highest.
        thresholds: of each contender the smallest phi that was enough, in and out of distribution; None where none was.
        conditions: when, with what and on what it was made (`grokhop.core.artifacts.conditions`).
    """

    graph: Mapping[str, Any]
    hops: dict[str, int]
    budget: Mapping[str, Any]
    contenders: dict[str, list[SweepRow]]
    thresholds: dict[str, dict[str, float | None]]
    failed: list[Failure]
    conditions: Conditions = field(metadata=INLINED)
