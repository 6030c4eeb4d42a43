"""The section on the test: accuracy in each cell, cells being told apart by which facts were held out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import floor

from grokhop.core.formatting import count, percent, plural
from grokhop.core.statistics import CellScore
from grokhop.reporting.evidence import Beside, Evidence, accuracy_beside
from grokhop.reporting.plot import ID, MIXED, OOD, Figure, labelled_axis, safe
from grokhop.runs.evaluation import EvalResult, Floor

_MEANING = {
    "II": "both facts occur in training chains, this chain does not",
    "IO": "the second fact occurs in no training chain",
    "OI": "the first fact occurs in no training chain",
    "OO": "neither fact occurs in any training chain",
}
_COMPARED = {
    "id": "two trainable facts, compared with others in training but not with each other",
    "ood": "two held-out facts, compared with nothing in training",
}


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """The score of a set of queries, and what they ask."""

    label: str
    meaning: str
    score: CellScore


@dataclass(frozen=True, kw_only=True)
class CellRow(ScoreRow):
    """The score of a cell; `untrained` says that no chain of so many hops was trained.

    Attributes:
        floor: None where an older version asked the cell.
        beside: accuracies of controls and baselines.
    """

    cell: str
    hops: int
    untrained: bool
    floor: Floor | None = None
    beside: tuple[float | None, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ComparisonRow(ScoreRow):
    """The score of comparisons; `majority` is the share that the commonest answers would get right."""

    majority: float | None


@dataclass(frozen=True, kw_only=True)
class CellsSection:
    """The section on the test.

    Attributes:
        empty: why no query is in cell OO, where that is so.
        beside: names of controls and baselines, one column each.
    """

    heading: str
    beside: list[str]
    empty: str | None
    rows: list[CellRow]
    comparisons: list[ComparisonRow]
    atomic: list[ScoreRow]
    figure: Figure | None


def cells_section(evidence: Evidence) -> CellsSection | None:
    found = evidence.evaluation
    if found is None:
        return None
    trained = evidence.run.settings.task.hops
    rows = list(_rows(found, trained, evidence.beside))
    return CellsSection(
        heading=_cells_heading(rows, trained),
        beside=list(evidence.beside),
        empty=_empty(evidence),
        rows=rows,
        comparisons=[
            ComparisonRow(
                label=f"{cell.upper()} comparison",
                meaning=_COMPARED[cell],
                score=compared.score,
                majority=compared.majority,
            )
            for cell, compared in found.comparison.items()
            if compared.score.n
        ],
        atomic=[
            ScoreRow(label="facts on their own", meaning="every fact is trained as an atomic fact", score=found.atomic),
            ScoreRow(
                label="held-out facts on their own", meaning="trained as atomic facts only", score=found.atomic_held_out
            ),
        ],
        figure=cell_dots(rows) if any(row.score.n for row in rows) else None,
    )


def _rows(found: EvalResult, trained: int, beside: Mapping[str, Beside]) -> Iterator[CellRow]:
    """The cells of all lengths, the shortest first."""
    for hops, cells in sorted((int(hops), cells) for hops, cells in found.cells.items()):
        for cell, score in cells.items():
            yield CellRow(
                label=f"{hops} hops, {cell}" + ("" if cell in _MEANING else " held out"),
                meaning=_MEANING.get(cell) or f"{cell} of {hops} facts held out",
                score=score,
                cell=cell,
                hops=hops,
                untrained=hops > trained,
                floor=found.floors.get(str(hops), {}).get(cell),
                beside=tuple(accuracy_beside(other, hops, cell) for other in beside.values()),
            )


def _empty(evidence: Evidence) -> str | None:
    """Why no query is in cell OO, where the graph's questions ask for chains of held-out facts."""
    asked = evidence.questions("ood")
    if evidence.cells(2)["OO"].n or not asked.n:
        return None
    return (
        "No query is in cell OO: what a question of the graph asks is not asked again as a query. Out of distribution, "
        f"the test is the {plural(asked.n, 'question')} over held-out facts alone, further down: "
        f"{percent(asked.accuracy)}."
    )


def _accuracy(row: ScoreRow) -> float:
    """The accuracy of a row that has queries."""
    return row.score.accuracy or 0.0


def _cells_heading(rows: list[CellRow], trained: int) -> str:
    known = [row for row in rows if row.score.n and not row.untrained]
    if not known:
        return "No test query fell in any cell"
    worst = min(map(_accuracy, known))
    sizes = "two-hop" if trained == 2 else f"2- to {trained}-hop"
    if worst == 1:
        start = f"Every {sizes} test query was answered by every seed (n = {count(sum(row.score.n for row in known))})"
    else:
        empty = any(not row.untrained and not row.score.n for row in rows)
        start = f"{percent(worst)} or more in every {sizes} cell{' that has queries' if empty else ''}"
    longer = [row for row in rows if row.score.n and row.untrained]
    if not longer:
        return start
    low = min(longer, key=_accuracy)
    share = _accuracy(low)
    return f"{start}; {low.hops} hops, never trained, {percent(share)}{' or more' * (share < 1)}"


def cell_colour(cell: str, hops: int) -> str:
    """ID where none of the facts is held out, OOD where all are, else MIXED; cells are 'IO' or a number held out."""
    held_out = int(cell) if cell.isdigit() else cell.count("O")
    return ID if held_out == 0 else OOD if held_out == hops else MIXED


def cell_dots(rows: Sequence[CellRow]) -> Figure:
    """Accuracy with its interval for each cell that has queries, and a small dot for each seed."""
    rows = [row for row in rows if row.score.n]
    ys = list(range(len(rows), 0, -1))
    colours = [cell_colour(row.cell, row.hops) for row in rows]
    seeds = [
        (accuracy, y, colour)
        for row, y, colour in zip(rows, ys, colours, strict=True)
        if len(row.score.per_seed) > 1
        for accuracy in row.score.per_seed
    ]
    low = min((row.score.low or 0.0 for row in rows), default=0.0)
    intervals = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [row.score.low, row.score.high],
            "y": [y, y],
            "line": {"color": c, "width": 3},
            "opacity": 0.55,
            "hoverinfo": "skip",
            "showlegend": False,
        }
        for row, y, c in zip(rows, ys, colours, strict=True)
    ]
    means = {
        "type": "scatter",
        "mode": "markers",
        "x": [row.score.accuracy for row in rows],
        "y": ys,
        "marker": {"color": colours, "size": 11},
        "customdata": [[safe(row.label), row.score.n] for row in rows],
        "hovertemplate": "%{customdata[0]}: %{x:.2%} of %{customdata[1]}<extra></extra>",
        "showlegend": False,
    }
    per_seed = {
        "type": "scatter",
        "mode": "markers",
        "x": [a for a, _, _ in seeds],
        "y": [y - 0.26 for _, y, _ in seeds],
        "marker": {"color": [c for _, _, c in seeds], "size": 5, "opacity": 0.7},
        "hovertemplate": "one seed: %{x:.2%}<extra></extra>",
        "showlegend": False,
    }
    left = max(0.0, floor(low * 20 - 0.2) / 20)
    return {
        "data": [*intervals, means, per_seed],
        "layout": {
            "height": 92 + 34 * max(1, len(rows)),
            "margin": {"l": 8, "r": 24, "t": 30, "b": 44},
            "xaxis": {
                "tickformat": ".0%",
                "range": [left, 1 + (1 - left) * 0.02],
                "title": {"text": "accuracy on test queries"},
            },
            "yaxis": labelled_axis([row.label for row in rows], ys) if rows else {"visible": False},
        },
    }
