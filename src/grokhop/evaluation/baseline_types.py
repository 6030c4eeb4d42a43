"""What the baselines share: a question as it is asked, and groups of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from grokhop.graph.paths import Queries
from grokhop.graph.queries import Query

if TYPE_CHECKING:
    pass
from dataclasses import dataclass

from grokhop.evaluation.qa_metrics import Gold
from grokhop.graph.graph import Question

Cells = Mapping[int, Mapping[str, Queries]]
Notice = Callable[[str], None]


def without_evidence(scored: dict[str, Any]) -> dict[str, Any]:
    """Return a score of `grokhop.evaluation.qa_metrics` whose evidence is null, since a baseline gives none."""
    return {name: None if name.startswith("evidence") else value for name, value in scored.items()}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question, its right answers, how its words were understood or why not, and its cell."""

    question: Question
    gold: Gold
    query: Query | str
    cell: str


Groups = Mapping[str, Mapping[str, Sequence[Asked]]]
"""Questions by type and cell."""
