"""The section on the graph's own questions, and what was missed of them."""

from dataclasses import dataclass, field
from typing import NamedTuple

from grokhop.core.formatting import percent, plural
from grokhop.core.statistics import CellScore
from grokhop.reporting.evidence import Evidence
from grokhop.runs.evaluation import Miss, Questions, QuestionScore, RuleScore

_MOST_MISSES = 40
_FACTS = {
    "id": "in distribution",
    "never_composed": "trainable, but one is in no trained composition",
    "ood": "out of distribution",
    "mixed": "some held out",
    "validation": "held out, for validation",
}
_SHORT = {"id": "ID", "ood": "OOD"}


class QuestionRow(NamedTuple):
    """The scores of a type of question; `facts` says which facts answer them."""

    type: str
    facts: str
    found: QuestionScore


@dataclass(frozen=True)
class MissRow:
    """A question that was missed in one way, and the seeds that did."""

    miss: Miss
    cell: str
    seeds: list[int | None] = field(default_factory=list)

    @property
    def facts(self) -> str:
        return _SHORT.get(self.cell, self.cell)


@dataclass(frozen=True, kw_only=True)
class QuestionsSection:
    """The section on questions.

    Attributes:
        rules: words that stand for a path, those with examples. more: how many misses are not shown.
    """

    heading: str
    rows: list[QuestionRow]
    parsed: float | None
    rules: list[RuleScore]
    all_right: bool
    misses: list[MissRow]
    more: int


def questions_section(evidence: Evidence) -> QuestionsSection | None:
    """Questions of the graph by type and cell, and those that were missed, with the seeds that missed them."""
    evaluation = evidence.evaluation
    if evaluation is None or not evaluation.questions:
        return None
    rows = [
        QuestionRow(kind.replace("_", " "), _FACTS.get(cell, cell), found)
        for kind, by_cell in evaluation.questions.items()
        for cell, found in by_cell.items()
    ]
    misses = _misses(evaluation.questions)
    return QuestionsSection(
        heading=_heading(evidence.questions("ood")),
        rows=rows,
        parsed=evaluation.parsed,
        rules=[rule for rule in evaluation.rules if rule.examples],
        all_right=all(row.found.score.correct == row.found.score.n for row in rows),
        misses=misses[:_MOST_MISSES],
        more=max(0, len(misses) - _MOST_MISSES),
    )


def _misses(questions: Questions) -> list[MissRow]:
    """Return what was missed, out of distribution first, and first what most seeds missed."""
    found: dict[tuple[str | None, tuple[str, ...] | None], MissRow] = {}
    for by_cell in questions.values():
        for cell, scored in by_cell.items():
            for miss in scored.misses or ():
                found.setdefault((miss.id, miss.read), MissRow(miss, cell)).seeds.append(miss.seed)
    return sorted(found.values(), key=lambda row: (row.cell != "ood", -len(row.seeds)))


def _heading(ood: CellScore) -> str:
    if not ood.n:
        return "Questions, asked in their words"
    return f"{percent(ood.accuracy)} of {plural(ood.n, 'real question')} over held-out facts were answered"
