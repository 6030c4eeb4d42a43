"""The section on relations: accuracy against each relation's own phi."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log2, log10, sqrt
from statistics import mean

from grokhop.core.formatting import percent, unbroken
from grokhop.core.statistics import CellScore
from grokhop.reporting.plot import ID, OOD, TRAIN, Figure, safe
from grokhop.reporting.sweep.evidence import PAPERS, SweepEvidence, level_name, log_ticks
from grokhop.runs.sweep_result import RelationRow, SweepRow

Dot = tuple[SweepRow, RelationRow]
"""The row of a level, and of a relation in it."""
_COLUMNS = (("id", "in distribution (ID)", ID), ("ood", "out of distribution (OOD)", OOD))
_PANEL_HEIGHT, _GAP, _GAP_PIXELS = 280, 0.06, 54


@dataclass(frozen=True, kw_only=True)
class SweepRelationsSection:
    """The section on relations.

    Attributes:
        untrained: how many relations have no trainable fact.
        none: whether of some relation no path was trained.
    """

    heading: str
    untrained: int
    none: bool
    figure: Figure


def relations_of_sweep(evidence: SweepEvidence) -> SweepRelationsSection | None:
    dots = [relation for _, row in evidence.rows for relation in row.per_relation]
    if not any(relation.id.n or relation.ood.n for relation in dots):
        return None
    return SweepRelationsSection(
        heading=unbroken(_heading(evidence)),
        untrained=len({relation.relation for relation in dots if relation.phi is None}),
        none=any(relation.phi == 0 for relation in dots),
        figure=relation_dots(evidence),
    )


def _heading(evidence: SweepEvidence) -> str:
    """What came, out of distribution, of relations below and above the lower of the papers' thresholds."""
    least = PAPERS[0][0]
    texts = []
    together = [(contender, evidence.of_contender(contender)) for contender in evidence.contenders]
    if not evidence.few:
        together = [("", [row for _, row in evidence.rows])]
    for contender, of_contender in together:
        rows = [(r.phi, r.ood) for row in of_contender for r in row.per_relation if r.phi is not None]
        sides = [CellScore.pooled(ood for phi, ood in rows if (phi >= least) == above) for above in (False, True)]
        known = [
            f"{percent(side.accuracy)} {name}"
            for side, name in zip(sides, (f"below {least:g}", f"at {least:g} and above"), strict=True)
            if side.n
        ]
        if known:
            texts.append(f"{f'{contender} ' if len(together) > 1 else ''}{' and '.join(known)}")
    return f"Out of distribution, by the relation’s phi: {'; '.join(texts)}" if texts else "Relation by relation"


def relation_dots(evidence: SweepEvidence) -> Figure:
    """A panel for each contender, in and out of distribution; a dot for each relation and level."""
    contenders = evidence.contenders
    phis = [r.phi for _, row in evidence.rows for r in row.per_relation if r.phi]
    low, high = min(phis, default=1.0), max(phis, default=1.0)
    nothing = low / 2  # zero has no place on a logarithmic axis
    data: list[Figure] = []
    layout: Figure = {
        "height": 96 + _PANEL_HEIGHT * len(contenders),
        "margin": {"l": 60, "r": 16, "t": 34, "b": 52},
        "showlegend": False,
        "annotations": [],
    }
    for i, contender in enumerate(contenders):
        for j, (name, words, colour) in enumerate(_COLUMNS):
            number = 1 + 2 * i + j
            axes = {"xaxis": f"x{number}", "yaxis": f"y{number}"}
            dots = [
                (row, r)
                for row in evidence.of_contender(contender)
                for r in row.per_relation
                if r.score(name).n and r.phi is not None
            ]
            data += [{**trace, **axes} for trace in (_dots(dots, name, colour, nothing), _trend(dots, name))]
            x, y = _domains(i, j, len(contenders))
            place = nothing if any(r.phi == 0 for _, r in dots) else None
            layout[f"xaxis{number}"] = _phi_axis(low, high, place, x, last=i == len(contenders) - 1)
            layout[f"xaxis{number}"]["anchor"] = axes["yaxis"]
            layout[f"yaxis{number}"] = {
                "domain": y,
                "anchor": axes["xaxis"],
                "range": [-0.06, 1.08],
                "tickformat": ".0%",
                "showticklabels": j == 0,
            }
            layout["annotations"].append(_panel_title(evidence.label(words, contender), x, y))
    return {"data": data, "layout": layout}


def _domains(i: int, j: int, rows: int) -> tuple[list[float], list[float]]:
    """(x, y) spans of the panel in row i, counted from above, and column j."""
    gap = _GAP_PIXELS / (_PANEL_HEIGHT * rows)
    height = (1 - gap * (rows - 1)) / rows
    top = 1 - i * (height + gap)
    width = (1 - _GAP) / 2
    return [j * (width + _GAP), j * (width + _GAP) + width], [max(0.0, top - height), top]


def _phi_axis(low: float, high: float, nothing: float | None, domain: list[float], *, last: bool) -> Figure:
    """From the lowest phi to the highest, with 0 at the place `nothing` where a relation has none."""
    pad = 0.05 * max(0.1, log10(high / (nothing or low)))
    axis = log_ticks(log10(low) - pad, log10(high) + pad)
    if nothing:
        axis = {**axis, "tickvals": [nothing, *axis["tickvals"]], "ticktext": ["0", *axis["ticktext"]]}
    return {
        **axis,
        "domain": domain,
        "range": [log10(nothing or low) - pad, log10(high) + pad],
        **({"title": {"text": "the relation’s own phi (logarithmic)"}} if last else {}),
    }


def _panel_title(text: str, x: list[float], y: list[float]) -> Figure:
    where = {"x": x[0], "xref": "paper", "xanchor": "left", "y": y[1], "yref": "paper", "yanchor": "bottom"}
    return {**where, "text": text, "showarrow": False}


def _dots(dots: Sequence[Dot], name: str, colour: str, nothing: float) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [r.phi or nothing for _, r in dots],
        "y": [r.score(name).accuracy for _, r in dots],
        "marker": {
            "color": colour,
            "size": [min(16.0, 3 + 0.8 * sqrt(r.score(name).n)) for _, r in dots],
            "opacity": 0.4,
            "line": {"width": 0},
        },
        "customdata": [[safe(r.relation, longest=200), level_name(row), r.phi, r.score(name).n] for row, r in dots],
        "hovertemplate": "%{customdata[0]}, phi %{customdata[2]:.2f} at level %{customdata[1]}<br>"
        "%{y:.1%} of %{customdata[3]} queries<extra></extra>",
    }


def _trend(dots: Sequence[Dot], name: str) -> Figure:
    """The accuracy of all queries of relations whose phi lies between one power of two and the next."""
    bins: dict[int, list[tuple[float, CellScore]]] = {}
    for _, relation in dots:
        if relation.phi:
            power = log2(relation.phi)
            bins.setdefault(floor(power), []).append((power, relation.score(name)))
    together = {least: CellScore.pooled(score for _, score in inside) for least, inside in sorted(bins.items())}
    middles = [2 ** mean(power for power, _ in bins[least]) for least in together]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": middles,
        "y": [score.accuracy for score in together.values()],
        "line": {"color": TRAIN, "width": 2},
        "marker": {"color": TRAIN, "size": 6},
        "customdata": [[f"{2.0**power:g} to {2.0 ** (power + 1):g}", score.n] for power, score in together.items()],
        "hovertemplate": "all relations of phi %{customdata[0]}: %{y:.1%} of %{customdata[1]} queries<extra></extra>",
    }
