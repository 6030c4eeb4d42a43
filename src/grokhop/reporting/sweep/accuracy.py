"""The section on accuracy against phi."""

from collections.abc import Callable
from dataclasses import dataclass

from grokhop.core.formatting import percent, unbroken
from grokhop.core.statistics import CellScore
from grokhop.reporting.plot import ID, MIXED, OOD, UNTRAINED, Figure
from grokhop.reporting.sweep.evidence import LEGEND, SweepEvidence, legend_height, level_name, paper_labels, paper_lines
from grokhop.runs.sweep_result import SweepRow

Series = tuple[str, str, bool, Callable[[SweepRow], CellScore | None]]
"""Name, colour, whether it is seen at once, and the score of a row."""


@dataclass(frozen=True, kw_only=True)
class AccuracySection:
    """The section on accuracy.

    Attributes:
        asked: what was asked in place of queries, in words.
        own_lengths: whether contenders were asked chains of different lengths.
        hidden: whether the legend shows more when it is clicked.
        figure: None before any level has been asked.
    """

    heading: str
    seeds: int
    asked: str | None
    own_lengths: bool
    hidden: bool
    figure: Figure | None


def accuracy_section(evidence: SweepEvidence) -> AccuracySection:
    return AccuracySection(
        heading=unbroken(_heading(evidence)),
        seeds=len(evidence.sweep.seeds),
        asked=_asked(evidence),
        own_lengths=len(set(evidence.result.hops.values())) > 1,
        hidden=any(not shown for _, _, shown, _ in _series(evidence)),
        figure=accuracy_lines(evidence) if evidence.rows else None,
    )


def _heading(evidence: SweepEvidence) -> str:
    if not evidence.rows:
        return "No level has been asked the test queries"
    low, high = (level_name(row) for row in min_and_max(evidence))
    if not evidence.few:
        return _range(evidence)
    texts = [
        f"{f'{contender} ' if len(evidence.contenders) > 1 else ''}{_first_and_last(known)}"
        for contender in evidence.contenders
        if (known := [share for row in evidence.of_contender(contender) if (share := row.ood.accuracy) is not None])
    ]
    levels = low if low == high else f"{low} and {high}"
    return f"Out of distribution at phi {levels}: {', '.join(texts)}" if texts else "Accuracy against phi"


def _first_and_last(shares: list[float]) -> str:
    return " and ".join(percent(share) for share in (shares[0], *shares[1:][-1:]))


def _range(evidence: SweepEvidence) -> str:
    """The best and the worst of many contenders at their highest levels."""
    rows = [(name, evidence.of_contender(name)[-1:]) for name in evidence.contenders]
    ends = [(share, name) for name, last in rows for row in last if (share := row.ood.accuracy) is not None]
    if not ends:
        return "Accuracy against phi"
    worst, best = (f"{percent(share)} ({name})" for share, name in (min(ends), max(ends)))
    return f"Out of distribution at the highest phi: from {worst} to {best}"


def _asked(evidence: SweepEvidence) -> str | None:
    """What was asked where that are no queries of chains, of which there are too few."""
    names = {"id": "in distribution", "ood": "out of distribution"}
    other = {(name, kind) for _, row in evidence.rows for name, kind in row.asked.items() if kind != "queries"}
    if not other:
        return None
    texts = " and ".join(f"{names[name]} {kind}" for name, kind in sorted(other))
    return f"The graph has too few chains to be asked, so {texts} were asked instead."


def min_and_max(evidence: SweepEvidence) -> tuple[SweepRow, SweepRow]:
    """The rows of the lowest and of the highest phi."""
    rows = [row for _, row in evidence.rows]
    return min(rows, key=lambda row: row.phi), max(rows, key=lambda row: row.phi)


def accuracy_lines(evidence: SweepEvidence) -> Figure:
    """A line for each contender and cell: means over seeds with their interval, and a small dot for each seed."""
    pairs = [(contender, series) for contender in evidence.contenders for series in _series(evidence)]
    at_once = [pair for pair in pairs if pair[1][2]]
    data: list[Figure] = []
    for contender, series in pairs:
        place = at_once.index((contender, series)) if series[2] else 0
        data += _line(evidence, contender, series, evidence.beside(place, len(at_once)))
    foot = 66 + legend_height(trace["name"] for trace in data if "name" in trace)
    return {
        "data": data,
        "layout": {
            "height": 500 + foot,
            "margin": {"l": 60, "r": 16, "t": 72, "b": foot},
            "hovermode": "closest",
            "legend": LEGEND,
            "xaxis": evidence.phi_axis(),
            "yaxis": {"tickformat": ".0%", "range": [-0.03, 1.04], "title": {"text": "accuracy on test queries"}},
            "shapes": paper_lines(),
            "annotations": list(paper_labels()),
        },
    }


def _series(evidence: SweepEvidence) -> list[Series]:
    """In and out of distribution, and what a click on the legend shows: other cells, and chains never trained."""
    series: list[Series] = [
        ("in distribution (ID)", ID, True, lambda row: row.id),
        ("out of distribution (OOD)", OOD, True, lambda row: row.ood),
        ("one fact held out (IO)", MIXED, False, lambda row: row.cells["2"]["IO"]),
        ("one fact held out (OI)", MIXED, False, lambda row: row.cells["2"]["OI"]),
    ]
    longer = sorted({int(hops) for _, row in evidence.rows for hops in row.untrained})
    if longer:
        key = str(longer[0])
        name = f"{key} hops, never trained"
        series.append((name, UNTRAINED, False, lambda row: row.untrained.get(key, {}).get("0")))
    series = series if evidence.few else series[:2]
    return [entry for entry in series if any((score := entry[3](row)) and score.n for _, row in evidence.rows)]


def _line(evidence: SweepEvidence, contender: str, series: Series, aside: float) -> list[Figure]:
    name, colour, at_once, score = series
    known = [(row, found) for row in evidence.of_contender(contender) if (found := score(row)) and found.n]
    if not known:
        return []
    label = evidence.label(name, contender)
    common = {"type": "scatter", "legendgroup": label, "visible": True if at_once else "legendonly"}
    xs = [row.phi * aside for row, _ in known]
    scores = [found for _, found in known]
    means = {
        **common,
        "mode": "lines+markers",
        "name": label,
        "x": xs,
        "y": [s.accuracy for s in scores],
        "line": {"color": colour, "width": 2.4, "dash": evidence.dash(contender)},
        "marker": {"color": colour, "size": 9, "symbol": evidence.symbol(contender)},
        "error_y": {"type": "data", **_error_bars(scores), "thickness": 1.3, "width": 4, "color": colour},
        "customdata": [[level_name(row), s.n, percent(s.low), percent(s.high)] for row, s in known],
        "hovertemplate": f"{label}, phi %{{customdata[0]}}: %{{y:.1%}} of %{{customdata[1]}}<br>"
        "95 % interval %{customdata[2]} to %{customdata[3]}<extra></extra>",
    }
    seeds = [(x, share) for x, s in zip(xs, scores, strict=True) if len(s.per_seed) > 1 for share in s.per_seed]
    dots = {
        **common,
        "mode": "markers",
        "x": [x for x, _ in seeds],
        "y": [share for _, share in seeds],
        "marker": {"color": colour, "size": 5, "opacity": 0.55, "symbol": evidence.symbol(contender)},
        "showlegend": False,
        "hovertemplate": f"{label}, one seed: %{{y:.1%}}<extra></extra>",
    }
    return [means, *([dots] if seeds else [])]


def _error_bars(scores: list[CellScore]) -> Figure:
    """How far the ends of each interval are from its accuracy; something was asked for each score."""
    known = [(s.low or 0.0, s.accuracy or 0.0, s.high or 0.0) for s in scores]
    return {"array": [high - mean for _, mean, high in known], "arrayminus": [mean - low for low, mean, _ in known]}
