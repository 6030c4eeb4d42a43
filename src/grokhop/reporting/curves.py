"""The figure of accuracy and loss over training, with the grokking times."""

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grokhop.reporting.plot import ID, MIXED, OOD, TRAIN, UNTRAINED, Figure, vertical
from grokhop.runs.metrics import EvalRecord, GrokTime

Floats = NDArray[np.float64]
Groks = dict[int, dict[str, GrokTime | None]]
"""When each seed reached each threshold."""
_MOST_POINTS = 600
_BAND = "rgba(128,128,128,0.10)"

UNITS: dict[str, tuple[str, Callable[[EvalRecord], float]]] = {
    "seconds": ("seconds of training", lambda look: look.seconds),
    "steps": ("steps", lambda look: float(look.step)),
    "epochs": ("epochs (passes over the training rows)", lambda look: look.epochs),
}
_EVENTS = (("train_99", "training 99 %", TRAIN), ("id_95", "ID 95 %", ID), ("ood_95", "OOD 95 %", OOD))


def curves(looks: dict[int, list[EvalRecord]], groks: Groks, *, untrained: str | None) -> Figure:
    """Accuracies and loss over training: a thin line for each seed, a bold one for their mean.

    A seed that has ended counts in the mean with its last value. The figure has one view for each unit of the
    horizontal axis; a view replaces the x and y of every trace.

    Args:
        looks: of each seed, at least one look each.
        groks: of each seed, the grokking times as in `metrics.summary`.
        untrained: a key of `EvalRecord.cells` for chains longer than any in training, or None.
    """
    looks = {seed: _thinned(seen) for seed, seen in looks.items()}
    series = [
        ("training", TRAIN, "solid", "y", lambda look: look.train),
        ("in distribution (ID)", ID, "solid", "y", lambda look: look.id),
        ("out of distribution (OOD)", OOD, "solid", "y", lambda look: look.ood),
        ("comparisons, held out", MIXED, "solid", "y", lambda look: look.compared),
        *([_untrained_series(untrained)] if untrained else []),
        ("loss", TRAIN, "solid", "y3", lambda look: look.loss),
    ]
    lines = [line for entry in series for line in _lines(looks, *entry)]
    dots = [_event_dots(groks, *event, row=len(_EVENTS) - i) for i, event in enumerate(_EVENTS)]
    traces = [*lines, *dots, _cooldowns(looks)]
    views: list[Figure] = [
        {
            "label": unit,
            "data": {"x": [t["_views"][unit][0] for t in traces], "y": [t["_views"][unit][1] for t in traces]},
            "layout": {"xaxis.title.text": title, "shapes": _marks(looks, groks, unit)},
        }
        for unit, (title, _) in UNITS.items()
    ]
    first = views[0]
    data = [
        {**{k: v for k, v in trace.items() if k != "_views"}, "x": x, "y": y}
        for trace, x, y in zip(traces, first["data"]["x"], first["data"]["y"], strict=True)
    ]
    layout = {**_curves_layout(looks), "shapes": first["layout"]["shapes"]}
    return {"data": data, "layout": layout, "views": views}


def _untrained_series(hops: str) -> tuple[str, str, str, str, Callable[[EvalRecord], float | None]]:
    return (f"{hops} hops, never trained", UNTRAINED, "dash", "y", lambda look: look.cells.get(hops, {}).get("0"))


def _thinned(looks: list[EvalRecord]) -> list[EvalRecord]:
    """At most `_MOST_POINTS` of the looks, evenly spread: a long run has more than a screen has pixels."""
    if len(looks) <= _MOST_POINTS:
        return looks
    return [looks[i] for i in np.linspace(0, len(looks) - 1, _MOST_POINTS).round().astype(int)]


def _lines(
    looks: dict[int, list[EvalRecord]],
    name: str,
    colour: str,
    dash: str,
    axis: str,
    value: Callable[[EvalRecord], float | None],
) -> list[Figure]:
    """The thin lines of the seeds and the bold one of their mean; none where nothing was measured."""
    known = {s: found for s, seen in looks.items() if (found := [x for x in seen if value(x) is not None])}
    if not known:
        return []
    of_seeds = {
        seed: {unit: ([at(x) for x in seen], [value(x) for x in seen]) for unit, (_, at) in UNITS.items()}
        for seed, seen in known.items()
    }
    form = ".3g" if axis == "y3" else ".1%"
    common = {"type": "scatter", "mode": "lines", "yaxis": axis, "legendgroup": name}
    thin = [
        {
            **common,
            "name": f"{name}, seed {seed}",
            "line": {"color": colour, "width": 1, "dash": dash},
            "opacity": 0.4,
            "showlegend": False,
            "hoverinfo": "skip",
            "_views": views,
        }
        for seed, views in of_seeds.items()
    ]
    bold = {
        **common,
        "name": name,
        "showlegend": axis == "y",
        "line": {"color": colour, "width": 2.6, "dash": dash},
        "hovertemplate": f"{name} %{{y:{form}}}<extra></extra>",
        "_views": {unit: _mean_line([views[unit] for views in of_seeds.values()]) for unit in UNITS},
    }
    return [*(thin if len(thin) > 1 else []), bold]


def _mean_line(lines: Sequence[tuple[list[float], list[Any]]]) -> tuple[list[float], list[float]]:
    """The mean of lines seen at different places: from where all have begun, each kept at its end."""
    start = max(xs[0] for xs, _ in lines)
    grid: Floats = np.unique(np.concatenate([np.array(xs, float) for xs, _ in lines]))
    grid = grid[grid >= start]
    values: Floats = np.mean([np.interp(grid, xs, ys) for xs, ys in lines], axis=0)
    return [float(x) for x in grid], [round(float(value), 6) for value in values]


def _event_dots(groks: Groks, key: str, name: str, colour: str, *, row: int) -> Figure:
    reached = {seed: when for seed, grok in groks.items() if (when := grok.get(key))}
    xs = {unit: [getattr(when, unit) for when in reached.values()] for unit in UNITS}
    return {
        "type": "scatter",
        "mode": "markers",
        "yaxis": "y2",
        "name": name,
        "showlegend": False,
        "marker": {"color": colour, "size": 9, "symbol": "diamond", "opacity": 0.85},
        "customdata": [f"seed {seed}" for seed in reached],
        "hovertemplate": f"{name}: %{{customdata}} at %{{x}}<extra></extra>",
        "_views": {unit: (x, [row] * len(x)) for unit, x in xs.items()},
    }


def _cooldowns(looks: dict[int, list[EvalRecord]]) -> Figure:
    """A line below the events for each seed's cool-down, from where the rate began to fall to the end."""
    spans = [(begun, seen[-1]) for seen in looks.values() if (begun := _cooling_from(seen)) is not None]
    gap = 0.5 / max(1, len(spans))
    xs = {unit: [x for a, b in spans for x in (at(a), at(b), None)] for unit, (_, at) in UNITS.items()}
    ys = [y for i in range(len(spans)) for y in (0.25 - gap * i, 0.25 - gap * i, None)]
    return {
        "type": "scatter",
        "mode": "lines",
        "yaxis": "y2",
        "line": {"color": TRAIN, "width": 2.5},
        "hoverinfo": "skip",
        "showlegend": False,
        "_views": {unit: (x, ys) for unit, x in xs.items()},
    }


def _marks(looks: dict[int, list[EvalRecord]], groks: Groks, unit: str) -> list[Figure]:
    """Of the middle seed: its cool-down as a grey band, and a dotted line at the time of each event."""
    at = UNITS[unit][1]
    spans = [(at(begun), at(seen[-1])) for seen in looks.values() if (begun := _cooling_from(seen)) is not None]
    lines = [
        vertical("line", middle, middle, line={"color": colour, "width": 1.2, "dash": "dot"})
        for key, _, colour in _EVENTS
        if (reached := [getattr(when, unit) for grok in groks.values() if (when := grok.get(key))])
        for middle in [median(reached)]
    ]
    if not spans:
        return lines
    start, stop = (median(edges) for edges in zip(*spans, strict=True))
    return [vertical("rect", start, stop, fillcolor=_BAND, line={"width": 0}, layer="below"), *lines]


def _cooling_from(looks: list[EvalRecord]) -> EvalRecord | None:
    """The last look before the rate was seen falling: the fall began there or soon after."""
    first = next((i for i, look in enumerate(looks) if look.cooling), None)
    return None if first is None else looks[max(0, first - 1)]


def _curves_layout(looks: dict[int, list[EvalRecord]]) -> Figure:
    last, first = max(seen[-1].step for seen in looks.values()), min(seen[0].step for seen in looks.values())
    logarithmic = last >= 200 * max(1, first)
    losses = [look.loss for seen in looks.values() for look in seen if look.loss > 0] or [1.0]
    decades = max(losses) >= 50 * min(losses)  # else a tick at each power of ten might be none
    percent = {"tickformat": ".0%", "range": [-0.02, 1.03], "dtick": 0.25}
    return {
        "height": 540,
        "margin": {"l": 96, "r": 16, "t": 44, "b": 48},
        "hovermode": "x unified",
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"},
        "xaxis": {
            "title": {"text": UNITS["seconds"][0]},
            "anchor": "y3",
            "type": "log" if logarithmic else "linear",
            **({} if logarithmic else {"rangemode": "tozero"}),
        },
        "yaxis2": {
            "domain": [0.83, 1],
            "range": [-0.5, len(_EVENTS) + 0.6],
            "tickvals": list(range(len(_EVENTS), -1, -1)),
            "ticktext": [*(name for _, name, _ in _EVENTS), "cool-down"],
            "zeroline": False,
            "fixedrange": True,
        },
        "yaxis": {"domain": [0.27, 0.79], "title": {"text": "validation accuracy"}, **percent},
        "yaxis3": {
            "domain": [0, 0.2],
            "title": {"text": "loss"},
            "type": "log",
            "tickformat": "~g",
            **({"dtick": 1} if decades else {"nticks": 4}),
        },
    }
