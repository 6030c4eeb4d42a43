"""How the circuit came about: accuracy, the bridge and what its place brings back, at each snapshot of the weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean

from grokhop.core.formatting import count
from grokhop.reporting.plot import ID, MIXED, OOD, TRAIN, Figure
from grokhop.runs.explanation import Formation, Formed

Series = dict[int, dict[int, float]]
"""By seed and step."""
_SETS = (("train", "training", TRAIN), ("id", "in distribution (ID)", ID), ("ood", "out of distribution (OOD)", OOD))
_DASHES = ("dash", "dot", "dashdot", "longdash", "longdashdot")
_HALF, _GROKKED = 0.5, 0.95


@dataclass(frozen=True, kw_only=True)
class FormationSection:
    """The part on how the circuit came about.

    Attributes:
        asked: the set that `reading` is about, 'id' or 'ood'. names_last: whether the last depth is drawn though it
            names the bridge in any case.
    """

    heading: str
    reading: str
    asked: str
    snapshots: int
    seeds: int
    names_last: bool
    figure: Figure


def formation_section(rows: Sequence[Formation], last: int) -> FormationSection | None:
    """The figure and what can be read from it; None where no snapshots were kept.

    Args:
        rows: of each seed and step, as in `explain.json`.
        last: the number of layers that are applied, one after another.
    """
    if not rows:
        return None
    asked = "ood" if any(row.ood for row in rows) else "id"
    bridges = {depth: _bridge(rows, asked, depth) for depth in _depths(rows, asked)}
    useful = {depth: series for depth, series in bridges.items() if depth < last} or bridges
    named = _first_named(useful)
    reached = [_first(_mean(_accuracy(rows, asked)), share) for share in (_HALF, _GROKKED)]
    return FormationSection(
        heading=_heading(named, reached[0]),
        reading=_reading(named, reached, asked),
        asked=asked,
        snapshots=len({row.step for row in rows}),
        seeds=len({row.seed for row in rows}),
        names_last=last in bridges and last not in useful,
        figure=_figure(rows, asked, bridges, last if last not in useful else None),
    )


def _first_named(bridges: dict[int, Series]) -> tuple[int, int] | None:
    """The first step, and there the first depth, at which the bridge is named with more than half."""
    found = {depth: _first(_mean(series), _HALF) for depth, series in bridges.items()}
    return min(((step, depth) for depth, step in found.items() if step is not None), default=None)


def _first(means: dict[int, float], share: float) -> int | None:
    return next((step for step, value in means.items() if value > share), None)


def _heading(named: tuple[int, int] | None, answered: int | None) -> str:
    if named is None and answered is None:
        return "Neither the bridge nor the answer came by the last snapshot"
    if named is None:
        return f"The answer came at step {count(answered)}, the bridge not by the last snapshot"
    if answered is None:
        return f"The bridge came at step {count(named[0])}, the answer not by the last snapshot"
    if named[0] == answered:
        return f"Bridge and answer came together, at step {count(answered)}"
    if named[0] < answered:
        return f"The bridge came at step {count(named[0])}, the answer after it at step {count(answered)}"
    return f"The answer came at step {count(answered)}, before the bridge at step {count(named[0])}"


def _reading(named: tuple[int, int] | None, reached: Sequence[int | None], asked: str) -> str:
    where = f"{'out of' if asked == 'ood' else 'in'} distribution"
    bridge = (
        f"At step {count(named[0])} the bridge is first named with a mean probability over 50 % (at depth {named[1]})"
        if named
        else "At no snapshot is the bridge named with a mean probability over 50 %"
    )
    half, most = (f"at step {count(step)}" if step is not None else None for step in reached)
    times = f"first over 50 % {half} and over 95 % {most or 'at no snapshot'}" if half else "over 50 % at no snapshot"
    return f"{bridge}; accuracy {where} is {times}."


def _depths(rows: Sequence[Formation], asked: str) -> list[int]:
    return sorted({reading.depth for row in rows if (formed := row.of(asked)) for reading in formed.bridge})


def _accuracy(rows: Sequence[Formation], name: str) -> Series:
    return _series(rows, name, lambda formed: formed.accuracy)


def _restored(rows: Sequence[Formation], name: str) -> Series:
    return _series(rows, name, lambda formed: formed.restored)


def _bridge(rows: Sequence[Formation], name: str, depth: int) -> Series:
    def probability(formed: Formed) -> float | None:
        return next((reading.probability for reading in formed.bridge if reading.depth == depth), None)

    return _series(rows, name, probability)


def _series(rows: Sequence[Formation], name: str, value: Callable[[Formed], float | None]) -> Series:
    """A value of one set of queries, where it is known."""
    found: Series = {}
    for row in sorted(rows, key=lambda row: row.step):
        formed = row.of(name)
        known = None if formed is None else value(formed)
        if known is not None:
            found.setdefault(row.seed, {})[row.step] = known
    return found


def _mean(series: Series) -> dict[int, float]:
    """The mean at each step of which every seed tells; one that has ended is kept at its last value."""
    means = {}
    for step in sorted({step for found in series.values() for step in found}):
        values = [found.get(step, found[max(found)] if max(found) < step else None) for found in series.values()]
        known = [value for value in values if value is not None]
        if len(known) == len(values):
            means[step] = mean(known)
    return means


def _figure(rows: Sequence[Formation], asked: str, bridges: dict[int, Series], last: int | None) -> Figure:
    traces = [
        trace
        for name, label, colour in _SETS
        for trace in _lines(f"accuracy, {label}", _accuracy(rows, name), {"color": colour, "width": 2.6})
    ]
    for number, (depth, series) in enumerate(bridges.items()):
        line = {"color": MIXED, "width": 2.2, "dash": _DASHES[number % len(_DASHES)]}
        name = f"bridge at depth {depth}{', the last' if depth == last else ''}, {asked.upper()}"
        traces += _lines(name, series, line, opacity=0.5 if depth == last else 1.0)
    for name, _, colour in _SETS[1:]:
        means = _mean(_restored(rows, name))
        marker = {"color": colour, "size": 9, "symbol": "diamond-open", "line": {"width": 1.8}}
        if means:
            label = f"brought back by the bridge’s place, {name.upper()}"
            traces.append({**_trace(label, means), "mode": "markers", "marker": marker})
    return {"data": traces, "layout": _layout()}


def _lines(name: str, series: Series, line: Figure, *, opacity: float = 1.0) -> list[Figure]:
    """A thin line for each seed, if there are several, and one for their mean."""
    if not series:
        return []
    thin = [
        {
            **_trace(f"{name}, seed {seed}", found),
            "line": {**line, "width": 1},
            "opacity": 0.35,
            "legendgroup": name,
            "showlegend": False,
            "hoverinfo": "skip",
        }
        for seed, found in series.items()
    ]
    bold = {**_trace(name, _mean(series)), "line": line, "opacity": opacity, "legendgroup": name}
    bold["hovertemplate"] = f"{name} %{{y:.1%}}<extra></extra>"
    return [*(thin if len(thin) > 1 else []), bold]


def _trace(name: str, means: dict[int, float]) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": list(means),
        "y": [round(value, 6) for value in means.values()],
        "hovertemplate": f"{name} %{{y:.1%}}<extra></extra>",
    }


def _layout() -> Figure:
    return {
        "height": 460,
        "margin": {"l": 56, "r": 16, "t": 96, "b": 48},
        "hovermode": "x unified",
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"},
        "xaxis": {"title": {"text": "step"}, "type": "log"},
        "yaxis": {"tickformat": ".0%", "range": [-0.02, 1.03], "dtick": 0.25},
    }
