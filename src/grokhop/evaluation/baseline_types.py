"""What the baselines share: a question as it is asked, and groups of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from grokhop.core.registry import Registry
from grokhop.core.statistics import CellScore, over_seeds
from grokhop.evaluation.qa_metrics import Gold
from grokhop.graph.graph import Graph, Question
from grokhop.graph.paths import Longs, Queries
from grokhop.graph.queries import Query
from grokhop.runs.baselines import BaselineResult
from grokhop.runs.evaluation import QuestionScore

if TYPE_CHECKING:
    from grokhop.core.llm_client import Client

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


@dataclass(frozen=True, kw_only=True)
class Exam:
    """What a baseline is asked, and what it may use.

    Attributes:
        graph: all facts, held-out ones too; a floor or a control looks at `graph.trainable` alone.
        cells: test queries by hops and cell; none where the questions of a file are asked.
        client: the endpoint of 'llm', with `open_book`, whether its prompts list facts, and `limit`, so many queries
            of each cell where there are no questions.
        notice: is told how far the work is.
    """

    graph: Graph
    groups: Groups
    cells: Cells
    client: "Client | None" = None
    open_book: bool = False
    limit: int = 100
    notice: Notice = lambda _line: None


_HERE = "grokhop.evaluation"
BASELINES: Registry[Callable[[Exam], BaselineResult]] = Registry(
    "baseline",
    {
        "oracle": f"{_HERE}.baselines:oracle",
        "lookup": f"{_HERE}.lookup_network:lookup",
        "unseen": f"{_HERE}.lookup_network:unseen",
        "majority": f"{_HERE}.baselines:majority",
        "llm": f"{_HERE}.llm_baseline:ask_endpoint",
    },
    option="--baseline",
)
"""Each answers an exam; `cell_scores` scores answers to queries."""


def cell_scores(cells: Cells, answer: Callable[[Queries], Longs]) -> dict[str, dict[str, CellScore]]:
    """Score what `answer` makes of the queries of each cell: (Q,) entities."""
    return {
        str(hops): {cell: over_seeds([queries.are_right(answer(queries))]) for cell, queries in by_cell.items()}
        for hops, by_cell in cells.items()
    }
