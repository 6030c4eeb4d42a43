"""The report's figures, as plain Plotly dicts: nothing here needs Plotly, or a browser, to be made and tested.

Text colours and grids are left to the page, which knows whether it is light, dark or printed. Labels come from
the data, and Plotly reads a little HTML in every text, so each label passes through `safe`. Categories are put on
numbered axes with the labels as tick texts, because shortened labels may coincide.
"""

from collections.abc import Callable, Iterable, Sequence
from html import escape
from math import floor
from statistics import mean, median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grokhop.metrics import Look

Figure = dict[str, Any]
Floats = NDArray[np.float64]

TRAIN, ID, OOD, MIXED, UNTRAINED = "#8a8f98", "#1f83c6", "#d55e00", "#a65aa0", "#009e73"
"""Told apart by colour-blind readers (after Okabe and Ito), on white, on black and on paper."""
MOST_RELATIONS = 30
"""More bars than this, or rows of the heat map, cannot be read on a page."""
WANG_TARGET = 3.6
_MOST_POINTS = 600
_LONGEST_LABEL = 34
_BAND = "rgba(128,128,128,0.10)"
_ACCURACY_SCALE = [[0, "#d55e00"], [0.5, "#f6d8a8"], [0.8, "#a3cdea"], [1, "#1f83c6"]]


def safe(label: str, *, longest: int = _LONGEST_LABEL) -> str:
    """A label as Plotly may read it: on one line, not too long, with no markup of its own."""
    line = " ".join(label.split())
    return escape(line if len(line) <= longest else line[: longest - 1] + "…", quote=False)


def cell_colour(cell: str, hops: int) -> str:
    """ID where none of the facts is held out, OOD where all are, else MIXED; cells are 'IO' or a number held out."""
    held_out = int(cell) if cell.isdigit() else cell.count("O")
    return ID if held_out == 0 else OOD if held_out == hops else MIXED


# --- accuracy over training ------------------------------------------------------------------------------------

UNITS: dict[str, tuple[str, Callable[[Look], float]]] = {
    "seconds": ("seconds of training", lambda look: look.seconds),
    "steps": ("steps", lambda look: float(look.step)),
    "epochs": ("epochs (passes over the training rows)", lambda look: look.epochs),
}
_EVENTS = (("train_99", "training 99 %", TRAIN), ("id_95", "ID 95 %", ID), ("ood_95", "OOD 95 %", OOD))


def curves(looks: dict[int, list[Look]], groks: dict[int, dict[str, Any]], *, untrained: str | None) -> Figure:
    """Accuracies and loss over training: a thin line for each seed, a bold one for their mean.

    A seed that has ended counts in the mean with its last value. The figure has one view for each unit of the
    horizontal axis; a view replaces the x and y of every trace.

    Args:
        looks: of each seed, at least one look each.
        groks: of each seed, the grokking times as in `metrics.summary`.
        untrained: a key of `Look.cells` for chains longer than any in training, or None.
    """
    looks = {seed: _thinned(seen) for seed, seen in looks.items()}
    series = [
        ("training", TRAIN, "solid", "y", lambda look: look.train),
        ("in distribution (ID)", ID, "solid", "y", lambda look: look.id),
        ("out of distribution (OOD)", OOD, "solid", "y", lambda look: look.ood),
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


def _untrained_series(hops: str) -> tuple[str, str, str, str, Callable[[Look], float | None]]:
    return (f"{hops} hops, never trained", UNTRAINED, "dash", "y", lambda look: look.cells.get(hops, {}).get("0"))


def _thinned(looks: list[Look]) -> list[Look]:
    """At most `_MOST_POINTS` of the looks, evenly spread: a long run has more than a screen has pixels."""
    if len(looks) <= _MOST_POINTS:
        return looks
    return [looks[i] for i in np.linspace(0, len(looks) - 1, _MOST_POINTS).round().astype(int)]


def _lines(
    looks: dict[int, list[Look]],
    name: str,
    colour: str,
    dash: str,
    axis: str,
    value: Callable[[Look], float | None],
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


def _event_dots(groks: dict[int, dict[str, Any]], key: str, name: str, colour: str, *, row: int) -> Figure:
    reached = {seed: grok[key] for seed, grok in groks.items() if grok.get(key)}
    xs = {unit: [when[unit] for when in reached.values()] for unit in UNITS}
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


def _cooldowns(looks: dict[int, list[Look]]) -> Figure:
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


def _marks(looks: dict[int, list[Look]], groks: dict[int, dict[str, Any]], unit: str) -> list[Figure]:
    """Of the middle seed: its cool-down as a grey band, and a dotted line at the time of each event."""
    at = UNITS[unit][1]
    spans = [(at(begun), at(seen[-1])) for seen in looks.values() if (begun := _cooling_from(seen)) is not None]
    lines = [
        _shape("line", when, when, line={"color": colour, "width": 1.2, "dash": "dot"})
        for key, _, colour in _EVENTS
        if (reached := [grok[key][unit] for grok in groks.values() if grok.get(key)])
        for when in [median(reached)]
    ]
    if not spans:
        return lines
    start, stop = (median(edges) for edges in zip(*spans, strict=True))
    return [_shape("rect", start, stop, fillcolor=_BAND, line={"width": 0}, layer="below"), *lines]


def _shape(kind: str, x0: float, x1: float, **style: Any) -> Figure:
    return {"type": kind, "xref": "x", "yref": "paper", "x0": x0, "x1": x1, "y0": 0, "y1": 1, **style}


def _cooling_from(looks: list[Look]) -> Look | None:
    """The last look before the rate was seen falling: the fall began there or soon after."""
    first = next((i for i, look in enumerate(looks) if look.cooling), None)
    return None if first is None else looks[max(0, first - 1)]


def _curves_layout(looks: dict[int, list[Look]]) -> Figure:
    last, first = max(seen[-1].step for seen in looks.values()), min(seen[0].step for seen in looks.values())
    logarithmic = last >= 200 * max(1, first)
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
        "yaxis3": {"domain": [0, 0.2], "title": {"text": "loss"}, "type": "log", "nticks": 4, "tickformat": "~g"},
    }


# --- phi, cells and pairs --------------------------------------------------------------------------------------


def phi_bars(rows: Sequence[dict[str, Any]], *, target: float) -> Figure:
    """A bar of phi for each relation.

    Args:
        rows: `{relation, after, before, observed}` from largest to smallest: phi after hold-out, before it (None
            to leave the mark out), and before augmentation (None without one). At least one.
    """
    ys = list(range(len(rows), 0, -1))
    labels = [safe(row["relation"], longest=200) for row in rows]
    after, observed = ([row[name] for row in rows] for name in ("after", "observed"))
    if any(phi is not None for phi in observed):
        width = 0.4
        data = [
            _bars([y + width / 2 for y in ys], labels, after, "with added facts", ID, width),
            _bars([y - width / 2 for y in ys], labels, observed, "observed facts alone", TRAIN, width),
        ]
    else:
        width = 0.68
        data = [_bars([*ys], labels, after, "after hold-out", ID, width)]
    if any(row["before"] is not None for row in rows):
        data.append(_before_marks(ys, labels, [r["before"] for r in rows]))
    widest = max([target, *(r[k] for r in rows for k in ("after", "before", "observed") if r[k] is not None)])
    return {
        "data": data,
        "layout": {
            "height": 126 + round(16 / width) * len(rows),
            "margin": {"l": 8, "r": 16, "t": 56, "b": 78},
            "barmode": "overlay",
            "legend": {"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom"},
            "xaxis": {"title": {"text": "phi: inferred facts for each atomic fact"}, "range": [0, widest * 1.09]},
            "yaxis": _labelled_axis([r["relation"] for r in rows], ys),
            "shapes": [_target_line(WANG_TARGET, "dot"), _target_line(target, "dash")],
            "annotations": [
                _target_label(WANG_TARGET, f"{WANG_TARGET:g}: Wang et al. 2024", "right"),
                _target_label(target, f"{target:g}: target", "left"),
            ],
        },
    }


def _bars(ys: list[float], labels: list[str], xs: list[Any], name: str, colour: str, width: float) -> Figure:
    """Bars with their values as texts: inside where they fit, never shrunk."""
    return {
        "type": "bar",
        "orientation": "h",
        "x": xs,
        "y": ys,
        "width": width,
        "name": name,
        "marker": {"color": colour},
        "customdata": labels,
        "hovertemplate": f"%{{customdata}}<br>{name}: phi %{{x:.2f}}<extra></extra>",
        "text": ["" if x is None else f"{x:.1f}" for x in xs],
        "textposition": "auto",
        "insidetextanchor": "end",
        "insidetextfont": {"color": "#fff", "size": 11},
        "outsidetextfont": {"size": 11},
        "constraintext": "none",
        "textangle": 0,
        "cliponaxis": False,
    }


def _before_marks(ys: list[int], labels: list[str], xs: list[float | None]) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": xs,
        "y": ys,
        "name": "before hold-out",
        "marker": {"symbol": "line-ns-open", "size": 13, "color": TRAIN, "line": {"width": 2.5, "color": TRAIN}},
        "customdata": labels,
        "hovertemplate": "%{customdata}<br>before hold-out: phi %{x:.2f}<extra></extra>",
    }


def _labelled_axis(labels: Iterable[str], positions: list[int]) -> Figure:
    return {
        "tickvals": positions,
        "ticktext": [safe(label) + " " for label in labels],
        "automargin": True,
        "showgrid": False,
        "zeroline": False,
        "range": [min(positions, default=0) - 0.6, max(positions, default=0) + 0.6],
    }


def _target_line(x: float, dash: str) -> Figure:
    return {**_shape("line", x, x, line={"width": 1.4, "dash": dash}), "layer": "above"}


def _target_label(x: float, text: str, anchor: str) -> Figure:
    where = {"x": x, "xref": "x", "xanchor": anchor, "y": 1, "yref": "paper", "yanchor": "bottom"}
    return {**where, "text": text, "showarrow": False}


def cell_dots(rows: Sequence[dict[str, Any]]) -> Figure:
    """Accuracy with its interval for each cell, and a small dot for each seed.

    Args:
        rows: `label`, `cell`, `hops` and the score of each; those without queries are left out.
    """
    rows = [row for row in rows if row["n"]]
    ys = list(range(len(rows), 0, -1))
    colours = [cell_colour(row["cell"], row["hops"]) for row in rows]
    seeds = [
        (accuracy, y, colour)
        for row, y, colour in zip(rows, ys, colours, strict=True)
        if len(row["per_seed"]) > 1
        for accuracy in row["per_seed"]
    ]
    low = min((row["low"] for row in rows), default=0.0)
    intervals = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [row["low"], row["high"]],
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
        "x": [row["accuracy"] for row in rows],
        "y": ys,
        "marker": {"color": colours, "size": 11},
        "customdata": [[safe(row["label"]), row["n"]] for row in rows],
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
            "yaxis": _labelled_axis([row["label"] for row in rows], ys) if rows else {"visible": False},
        },
    }


def pair_map(pairs: Sequence[dict[str, Any]], relations: Sequence[str]) -> Figure:
    """Accuracy of each first relation (row) with each second one (column), over the given relations.

    A relation gets a row only where it comes first in some pair, and a column only where it comes second.
    """
    shown = [pair for pair in pairs if set(pair["relations"]) <= set(relations)]
    rows, columns = ([r for r in relations if any(pair["relations"][i] == r for pair in shown)] for i in (0, 1))
    z: list[list[float | None]] = [[None] * len(columns) for _ in rows]
    hover = [["no test queries"] * len(columns) for _ in rows]
    for pair in shown:
        i, j = rows.index(pair["relations"][0]), columns.index(pair["relations"][1])
        z[i][j], hover[i][j] = pair["accuracy"], _pair_hover(pair)
    lowest = min((pair["accuracy"] for pair in shown), default=0.0)
    xs, ys = list(range(len(columns))), list(range(len(rows)))
    return {
        "data": [
            {
                "type": "heatmap",
                "z": z,
                "x": xs,
                "y": ys,
                "zmin": min(0.9, floor(lowest * 10) / 10),
                "zmax": 1,
                "xgap": 2,
                "ygap": 2,
                "colorscale": _ACCURACY_SCALE,
                "colorbar": {"tickformat": ".0%", "thickness": 12, "outlinewidth": 0},
                "customdata": hover,
                "hovertemplate": "%{customdata}<extra></extra>",
                "hoverongaps": False,
            }
        ],
        "layout": {
            "height": max(400, 200 + 24 * len(rows)),
            "margin": {"l": 8, "r": 8, "t": 30, "b": 8},
            "xaxis": {**_labelled_axis(columns, xs), "tickangle": -50},
            "yaxis": {**_labelled_axis(rows, ys), "range": [len(rows) - 0.4, -0.6]},
        },
    }


def _pair_hover(pair: dict[str, Any]) -> str:
    first, second = (safe(label, longest=200) for label in pair["relations"])
    return f"{first} → {second}<br>{pair['accuracy']:.1%} of {pair['n']} queries"


def mean_of(values: Iterable[float | None]) -> float | None:
    """The mean of what is known, None where nothing is."""
    known = [value for value in values if value is not None]
    return mean(known) if known else None
