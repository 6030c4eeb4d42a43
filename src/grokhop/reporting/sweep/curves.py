"""The section on learning: how accuracy came about at each level, in small figures that share their axes."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, log10

import numpy as np

from grokhop.core.formatting import unbroken
from grokhop.reporting.plot import ID, OOD, TRAIN, Figure
from grokhop.reporting.sweep.evidence import SweepEvidence, level_name, log_ticks
from grokhop.runs.metrics import EvalRecord

Panel = tuple[str, dict[int, list[EvalRecord]]]
"""A title, and the looks of each seed."""
_SERIES: tuple[tuple[str, str, Callable[[EvalRecord], float | None]], ...] = (
    ("training", TRAIN, lambda look: look.train),
    ("in distribution (ID)", ID, lambda look: look.id),
    ("out of distribution (OOD)", OOD, lambda look: look.ood),
)
_MOST_COLUMNS, _LETTERS = 4, 150
"""Panels beside each other, and the letters of their titles that a row has room for."""
_MOST_POINTS = 120
_PANEL_HEIGHT, _TITLE = 150, 30


@dataclass(frozen=True, kw_only=True)
class CurvesSection:
    """The section on learning."""

    heading: str
    figure: Figure


def curves_section(evidence: SweepEvidence) -> CurvesSection | None:
    panels = [
        (evidence.label(f"phi {level_name(row)}", contender), looks)
        for contender, row in evidence.rows
        if (looks := evidence.looks(contender, row.level))
    ]
    if not panels:
        return None
    figure = small_curves(panels, columns=_columns(evidence, panels))
    return CurvesSection(heading=unbroken(_heading(panels)), figure=figure)


def _heading(panels: list[Panel]) -> str:
    """How often a seed answered what it was trained on before it answered OOD queries."""
    ends = [looks[-1] for _, seeds in panels for looks in seeds.values()]
    recalled = sum((look.train or 0) >= 0.99 and look.ood is not None and look.ood < 0.95 for look in ends)
    if not recalled:
        return "How accuracy came about"
    return f"{recalled} of {len(ends)} seeds ended with their training rows by heart and OOD below 95 %"


def _columns(evidence: SweepEvidence, panels: list[Panel]) -> int:
    """So many that titles have room, each contender of several levels begins a row, and no row is nearly empty."""
    levels = max(len(evidence.of_contender(contender)) for contender in evidence.contenders)
    together = levels if levels > 1 else len(panels)
    most = max(1, min(_MOST_COLUMNS, _LETTERS // max(len(title) for title, _ in panels)))
    return ceil(together / ceil(together / most))


def small_curves(panels: list[Panel], *, columns: int) -> Figure:
    """A panel for each run: training, ID and OOD accuracy of each seed against the logarithm of the step."""
    rows = ceil(len(panels) / columns)
    every = [look.step for _, seeds in panels for looks in seeds.values() for look in looks]
    span = [log10(max(1, min(every))) - 0.05, log10(max(every)) + 0.05]
    data: list[Figure] = []
    height = 110 + (_PANEL_HEIGHT + _TITLE) * rows
    layout: Figure = {
        "height": height,
        "margin": {"l": 52, "r": 12, "t": 30, "b": 80},
        "legend": {"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom"},
        "annotations": [],
    }
    for place, (title, seeds) in enumerate(panels):
        row, column = divmod(place, columns)
        number = place + 1
        x, y = _domains(row, column, rows, columns)
        lowest = place + columns >= len(panels)
        data += [{**line, "xaxis": f"x{number}", "yaxis": f"y{number}"} for line in _lines(seeds, first=not place)]
        layout[f"xaxis{number}"] = _steps_axis(span, x, number, lowest=lowest)
        layout[f"yaxis{number}"] = _share_axis(y, number, first=column == 0)
        where = {"x": x[0], "xref": "paper", "xanchor": "left", "y": y[1], "yref": "paper", "yanchor": "bottom"}
        layout["annotations"].append({**where, "text": title, "showarrow": False})
    return {"data": data, "layout": layout}


def _steps_axis(span: list[float], domain: list[float], number: int, *, lowest: bool) -> Figure:
    return {
        "domain": domain,
        "anchor": f"y{number}",
        **log_ticks(*span, most=5),
        "range": span,
        "showticklabels": lowest,
        **({"title": {"text": "step", "standoff": 4}} if lowest else {}),
    }


def _share_axis(domain: list[float], number: int, *, first: bool) -> Figure:
    return {
        "domain": domain,
        "anchor": f"x{number}",
        "range": [-0.03, 1.05],
        "tickformat": ".0%",
        "dtick": 0.5,
        "showticklabels": first,
    }


def _domains(row: int, column: int, rows: int, columns: int) -> tuple[list[float], list[float]]:
    """(x, y) spans of a panel, with room for a title above each."""
    gap_x, gap_y = 0.025, _TITLE / ((_PANEL_HEIGHT + _TITLE) * rows - _TITLE)
    width, height = (1 - gap_x * (columns - 1)) / columns, (1 - gap_y * (rows - 1)) / rows
    left, top = column * (width + gap_x), 1 - row * (height + gap_y)
    return [left, left + width], [max(0.0, top - height), top]


def _lines(seeds: dict[int, list[EvalRecord]], *, first: bool) -> list[Figure]:
    """One trace for each series, in which the seeds follow each other with a gap between."""
    lines = []
    for name, colour, value in _SERIES:
        xs: list[float | None] = []
        ys: list[float | None] = []
        for looks in seeds.values():
            known = [look for look in thinned(looks) if value(look) is not None]
            xs += [*(look.step for look in known), None]
            ys += [*(value(look) for look in known), None]
        lines.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                "legendgroup": name,
                "showlegend": first,
                "x": xs,
                "y": ys,
                "line": {"color": colour, "width": 1.6},
                "opacity": 0.8,
                "hovertemplate": f"{name} %{{y:.1%}} at step %{{x:,}}<extra></extra>",
            }
        )
    return lines


def thinned(looks: list[EvalRecord]) -> list[EvalRecord]:
    """At most so many of the looks as a small panel can show, evenly spread over the logarithm of the step."""
    if len(looks) <= _MOST_POINTS:
        return looks
    places = np.unique(np.geomspace(1, len(looks), _MOST_POINTS).round().astype(int)) - 1
    return [looks[i] for i in places]
