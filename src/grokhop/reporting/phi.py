"""The section on phi: whether the graph held enough inferred facts, relation by relation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grokhop.augmentation.report import Unreachable
from grokhop.core.formatting import plural
from grokhop.phi.report import PhiCounts
from grokhop.reporting.evidence import Evidence
from grokhop.reporting.plot import ID, MOST_RELATIONS, TRAIN, Figure, labelled_axis, safe, vertical

WANG_TARGET = 3.6


@dataclass(frozen=True, kw_only=True)
class PhiBar:
    """The phi of a relation after hold-out, before it, and before augmentation.

    Attributes:
        before: None to leave the mark out. observed: None without an augmentation.
    """

    relation: str
    after: float
    before: float | None
    observed: float | None


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """The parts of an augmentation's report that the section tells.

    Attributes:
        observed: the phi of each relation before facts were added.
    """

    added: int
    target: float
    phi_before: float
    phi_after: float
    observed: dict[str, float]
    unreachable: list[Unreachable]


@dataclass(frozen=True, kw_only=True)
class PhiSection:
    """The section on phi.

    Attributes:
        augmentation: what made the graph; None where no fact was added.
        shown: how many relations have a bar.
    """

    heading: str
    after: PhiCounts
    before: PhiCounts
    target: float
    augmentation: Augmentation | None
    shown: int
    figure: Figure | None


def phi_section(evidence: Evidence) -> PhiSection:
    measured = evidence.phi
    after, target = measured.trainable, measured.whole.target
    before = measured.whole.by_relation()
    augmentation = _augmentation(evidence.run.graph_manifest)
    observed = augmentation.observed if augmentation else {}
    used = sorted(after.per_relation, key=lambda row: -row.facts)[:MOST_RELATIONS]
    bars = [
        PhiBar(
            relation=row.relation,
            after=row.phi,
            before=before[row.relation].phi if row.relation in before and evidence.held_out and not observed else None,
            observed=observed.get(row.relation),
        )
        for row in sorted(used, key=lambda row: -row.phi)
    ]
    return PhiSection(
        heading=_phi_heading(after, target),
        after=after,
        before=measured.whole,
        target=target,
        augmentation=augmentation,
        shown=len(bars),
        figure=phi_bars(bars, target=target) if bars else None,
    )


def _phi_heading(after: PhiCounts, target: float) -> str:
    rows, failing = after.per_relation, after.failing
    if not failing:
        lowest = min(rows, key=lambda row: row.phi)
        return f"Every relation reaches the target phi of {target:g}: the lowest has {lowest.phi:.2f}"
    stay = "stays" if len(failing) == 1 else "stay"
    return f"{len(failing)} of {plural(len(rows), 'relation')} {stay} below the target phi of {target:g}"


def _augmentation(manifest: dict[str, Any]) -> Augmentation | None:
    """Read the augmentation that made the graph; None where no fact was added."""
    record = manifest.get("augment") or {}
    if not record.get("added"):
        return None
    return Augmentation(
        added=record["added"],
        target=record["target"],
        phi_before=record["phi_before"],
        phi_after=record["phi_after"],
        observed={row["relation"]: row["phi_before"] for row in record.get("per_relation", [])},
        unreachable=[Unreachable(**row) for row in record["unreachable"]],
    )


def phi_bars(rows: Sequence[PhiBar], *, target: float) -> Figure:
    """A bar of phi for each relation, of which there is at least one, from largest to smallest."""
    ys = list(range(len(rows), 0, -1))
    labels = [safe(row.relation, longest=200) for row in rows]
    after, observed = [row.after for row in rows], [row.observed for row in rows]
    if any(phi is not None for phi in observed):
        width = 0.4
        data = [
            _bars([y + width / 2 for y in ys], labels, after, "with added facts", ID, width),
            _bars([y - width / 2 for y in ys], labels, observed, "observed facts alone", TRAIN, width),
        ]
    else:
        width = 0.68
        data = [_bars([*ys], labels, after, "after hold-out", ID, width)]
    if any(row.before is not None for row in rows):
        data.append(_before_marks(ys, labels, [r.before for r in rows]))
    widest = max([target, *(phi for r in rows for phi in (r.after, r.before, r.observed) if phi is not None)])
    return {
        "data": data,
        "layout": {
            "height": 126 + round(16 / width) * len(rows),
            "margin": {"l": 8, "r": 16, "t": 56, "b": 78},
            "barmode": "overlay",
            "legend": {"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom"},
            "xaxis": {"title": {"text": "phi: inferred facts for each atomic fact"}, "range": [0, widest * 1.09]},
            "yaxis": labelled_axis([r.relation for r in rows], ys),
            "shapes": [_target_line(WANG_TARGET, "dot"), _target_line(target, "dash")],
            "annotations": [
                _target_label(WANG_TARGET, f"{WANG_TARGET:g}: Wang et al. 2024", "right"),
                _target_label(target, f"{target:g}: target", "left"),
            ],
        },
    }


def _bars(ys: list[float], labels: list[str], xs: list[Any], name: str, colour: str, width: float) -> Figure:
    """Bars with their values as texts: inside where they fit, away from the target lines, never shrunk."""
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
        "text": ["" if x is None else f"{x:.2f}" for x in xs],
        "textposition": "auto",
        "insidetextanchor": "start",
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


def _target_line(x: float, dash: str) -> Figure:
    return {**vertical("line", x, x, line={"width": 1.4, "dash": dash}), "layer": "above"}


def _target_label(x: float, text: str, anchor: str) -> Figure:
    where = {"x": x, "xref": "x", "xanchor": anchor, "y": 1, "yref": "paper", "yanchor": "bottom"}
    return {**where, "text": text, "showarrow": False}
