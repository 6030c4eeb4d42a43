"""What the baselines share: a question as it is asked, and groups of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from grokhop.evaluation.qa_metrics import Gold
from grokhop.graph.graph import Question
from grokhop.graph.paths import Queries
from grokhop.graph.queries import Query
from grokhop.runs.evaluation import QuestionScore

Cells = Mapping[int, Mapping[str, Queries]]
Notice = Callable[[str], None]


def without_evidence(scored: QuestionScore) -> QuestionScore:
    """Return a score whose evidence is None, since a baseline gives none."""
    return replace(
        scored,
        evidence_em=None,
        evidence_f1=None,
        evidence_f1_low=None,
        evidence_f1_high=None,
        evidence_precision=None,
        evidence_recall=None,
    )


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question, its right answers, how its words were understood or why not, and its cell."""

    question: Question
    gold: Gold
    query: Query | str
    cell: str


Groups = Mapping[str, Mapping[str, Sequence[Asked]]]
"""Questions by type and cell."""
