"""The section on the grokking times against phi."""

from dataclasses import dataclass
from math import log10
from statistics import median

from grokhop.core.formatting import plural, unbroken
from grokhop.reporting.plot import ID, OOD, TRAIN, Figure, safe
from grokhop.reporting.sweep.evidence import (
    LEGEND,
    LONGEST_NAME,
    SweepEvidence,
    legend_height,
    level_name,
    log_ticks,
    paper_labels,
    paper_lines,
)
from grokhop.runs.metrics import GROKKED, GrokTime

EVENTS = {"train_99": ("training 99 %", TRAIN), "id_95": ("ID 95 %", ID), "ood_95": ("OOD 95 %", OOD)}
assert EVENTS.keys() == GROKKED.keys()
_LEAST = 0.01
"""A logarithmic axis has no zero."""
_PANELS = (("steps", "y", "steps"), ("seconds", "y2", "seconds of training"))


@dataclass(frozen=True, kw_only=True)
class TimesSection:
    """The section on the grokking times.

    Attributes:
        missed: how many thresholds were missed by seeds.
        figure: None where all of them were.
    """

    heading: str
    missed: int
    figure: Figure | None


def times_section(evidence: SweepEvidence) -> TimesSection:
    every = [when for _, row in evidence.rows for times in row.grok.values() for when in times]
    return TimesSection(
        heading=unbroken(_heading(evidence)),
        missed=every.count(None),
        figure=time_lines(evidence) if any(every) else None,
    )


def _heading(evidence: SweepEvidence) -> str:
    texts = []
    together = [(contender, evidence.of_contender(contender)) for contender in evidence.contenders]
    if not evidence.few:
        together = [("", [row for _, row in evidence.rows])]
    for contender, rows in together:
        times = [when for row in rows for when in row.grok["ood_95"]]
        reached = sum(when is not None for when in times)
        who = f"{contender} " if len(together) > 1 else ""
        texts.append(f"{who}by {reached:,} of {plural(len(times), 'seed')}")
    return f"95 % out of distribution was reached in validation{':' * (len(texts) > 1)} {', '.join(texts)}"


def time_lines(evidence: SweepEvidence) -> Figure:
    """Steps and seconds to each threshold, and above them how many seeds did not reach it."""
    pairs = [(contender, event) for contender in evidence.contenders for event in EVENTS]
    data: list[Figure] = []
    for i, (contender, event) in enumerate(pairs):
        aside = evidence.beside(i, len(pairs))
        data += [trace for panel in _PANELS for trace in _traces(evidence, contender, event, panel, aside)]
        data.append(_missed(evidence, contender, event, len(pairs) - i))
    names = [evidence.label(EVENTS[event][0], contender) for contender, event in pairs]
    rows = 22 * len(pairs)
    legend = legend_height(names if evidence.few else evidence.contenders)
    height = 564 + rows + legend
    foot = 1 - (rows + 6) / (height - 154 - legend)
    lower, upper = [0, foot * 0.45], [foot * 0.51, foot * 0.96]
    return {
        "data": data,
        "layout": {
            "height": height,
            "margin": {"l": 156 if len(evidence.contenders) > 1 else 110, "r": 16, "t": 72, "b": 82 + legend},
            "legend": LEGEND,
            "xaxis": {**evidence.phi_axis(), "anchor": "y2"},
            "yaxis": {"domain": upper, **_time_axis(evidence, "steps"), "title": {"text": "steps"}},
            "yaxis2": {"domain": lower, **_time_axis(evidence, "seconds"), "title": {"text": "seconds of training"}},
            "yaxis3": {
                "domain": [foot, 1],
                "range": [0.4, len(pairs) + 0.6],
                "tickvals": list(range(len(pairs), 0, -1)),
                "ticktext": [_coloured(name, event) for name, (_, event) in zip(names, pairs, strict=True)],
                "automargin": True,
                "showgrid": False,
                "zeroline": False,
                "fixedrange": True,
            },
            "shapes": paper_lines(),
            "annotations": [*paper_labels(), _title_of_strip()],
        },
    }


def _time_axis(evidence: SweepEvidence, unit: str) -> Figure:
    """Logarithmic, over a little more than the times of all seeds."""
    times = [getattr(when, unit) for _, row in evidence.rows for event in EVENTS for when in row.grok[event] if when]
    low, high = log10(max(_LEAST, min(times))) - 0.1, log10(max(_LEAST, *times)) + 0.1
    return {**log_ticks(low, high), "range": [low, high]}


def _coloured(name: str, event: str) -> str:
    return f'<span style="color:{EVENTS[event][1]}">{name}</span>'


def _title_of_strip() -> Figure:
    where = {"x": 0, "xref": "paper", "xanchor": "right", "y": 1, "yref": "paper", "yanchor": "bottom"}
    return {**where, "text": "seeds that did<br>not reach it", "align": "right", "xshift": -4, "showarrow": False}


def _traces(
    evidence: SweepEvidence, contender: str, event: str, panel: tuple[str, str, str], aside: float
) -> list[Figure]:
    """A dot for each seed that got there, and a line through the medians; one that did not counts as never."""
    unit, axis, words = panel
    name, colour = EVENTS[event]
    rows = evidence.of_contender(contender)
    label = evidence.label(name, contender)
    dots = [(row, getattr(when, unit)) for row in rows for when in row.grok[event] if when]
    middles = [_median(row.grok[event], unit) for row in rows]
    entry = label if evidence.few else safe(evidence.short(contender), longest=LONGEST_NAME)
    common = {"type": "scatter", "yaxis": axis, "legendgroup": entry, "name": entry}
    line = {
        **common,
        "mode": "lines",
        "x": [row.phi * aside for row in rows],
        "y": middles,
        "line": {"color": colour, "width": 2, "dash": evidence.dash(contender)},
        "connectgaps": False,
        "hoverinfo": "skip",
        "showlegend": False,
    }
    marks = {
        **common,
        "mode": "markers",
        "x": [row.phi * aside for row, _ in dots],
        "y": [max(value, _LEAST) for _, value in dots],
        "marker": {"color": colour, "size": 8, "opacity": 0.75, "symbol": evidence.symbol(contender)},
        "customdata": [level_name(row) for row, _ in dots],
        "hovertemplate": f"{label}, phi %{{customdata}}: %{{y:,.4~g}} {words}<extra></extra>",
        "showlegend": axis == "y" and (evidence.few or event == "ood_95"),
    }
    return [line, marks]


def _median(times: list[GrokTime | None], unit: str) -> float | None:
    """The median, where a time that was not reached is later than any; None where it is such a time."""
    known = sorted(getattr(when, unit) if when else float("inf") for when in times)
    middle = median(known) if known else float("inf")
    return None if middle == float("inf") else middle


def _missed(evidence: SweepEvidence, contender: str, event: str, place: int) -> Figure:
    """How many seeds of each level did not reach it, as text."""
    counts = [(row, sum(when is None for when in row.grok[event])) for row in evidence.of_contender(contender)]
    missed = [(row, n) for row, n in counts if n]
    return {
        "type": "scatter",
        "mode": "text",
        "yaxis": "y3",
        "x": [row.phi for row, _ in missed],
        "y": [place] * len(missed),
        "text": [f"{n}/{len(row.grok[event])}" for row, n in missed],
        "textposition": "middle right",
        "textfont": {"color": EVENTS[event][1], "size": 12},
        "customdata": [[level_name(row), n, len(row.grok[event])] for row, n in missed],
        "hovertemplate": f"{evidence.label(EVENTS[event][0], contender)} not reached by %{{customdata[1]}} of "
        "%{customdata[2]} seeds at phi %{customdata[0]}<extra></extra>",
        "showlegend": False,
    }
