"""The baselines of a run, scored: what 'grokhop eval --baseline' writes to `baselines.json`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from grokhop.core.records import INLINED, OMITTED, Conditions, Record
from grokhop.core.statistics import CellScore
from grokhop.runs.evaluation import Cells, Counts, Questions, QuestionScore

BASELINES_NAME = "baselines"
"""How the files that hold baselines begin."""


@dataclass(frozen=True, kw_only=True)
class BlindScore(Record):
    """The score of what is said whatever is asked: a share, which has no F1."""

    score: CellScore = field(metadata=INLINED)
    f1: None = None
    evidence_f1: None = None


Scored = QuestionScore | BlindScore | CellScore
"""The score of a set, with as much as is known of it."""


@dataclass(frozen=True, kw_only=True)
class EndpointUse(Record):
    """An endpoint as it was asked.

    Attributes:
        open_book: whether prompts listed facts. limit: the queries of each cell, at most; None of questions.
        usage: what was spent. cost: the same in words.
    """

    model: str
    base_url: str
    open_book: bool
    counts: Counts = field(metadata=INLINED)
    limit: int | None
    usage: dict[str, Any]
    cost: str


@dataclass(frozen=True, kw_only=True)
class BaselineResult(Record):
    """The scores of one baseline: questions by type and cell, queries by hops and cell.

    Attributes:
        atomic, atomic_held_out: facts on their own, of a baseline that was trained on some, in `cpu_seconds`.
    """

    atomic: CellScore | None = field(default=None, metadata=OMITTED)
    atomic_held_out: CellScore | None = field(default=None, metadata=OMITTED)
    cpu_seconds: float | None = field(default=None, metadata=OMITTED)
    endpoint: EndpointUse | None = field(default=None, metadata=INLINED)
    questions: Mapping[str, Mapping[str, QuestionScore | BlindScore]] | None = field(default=None, metadata=OMITTED)
    cells: Mapping[str, Mapping[str, QuestionScore | CellScore]] | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, kw_only=True)
class ModelScores(Record):
    """The scores of the run's models, to stand beside the baselines."""

    seeds: int
    control: str | None = field(default=None, metadata=OMITTED)
    questions: Questions
    cells: Cells = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AskedFile(Record):
    """The file whose questions were asked."""

    name: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class BaselinesResult(Record):
    """The content of `baselines.json` and `baselines-NAME.json`.

    Attributes:
        model: None where the run's models were not asked the same. file: None where the run's own queries are asked.
    """

    baselines: dict[str, BaselineResult]
    model: ModelScores | None
    file: AskedFile | None = field(default=None, metadata=OMITTED)
    conditions: Conditions | None = field(default=None, metadata=INLINED)
