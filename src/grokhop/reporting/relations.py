"""The section on relations: which are hardest, as first or last hop and in pairs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import floor
from typing import NamedTuple, TypeVar

from grokhop.core.formatting import percent
from grokhop.core.statistics import CellScore
from grokhop.reporting.evidence import Evidence
from grokhop.reporting.plot import MOST_RELATIONS, Figure, labelled_axis, safe
from grokhop.runs.evaluation import PairScore

_HARDEST = 10
_ACCURACY_SCALE = [[0, "#d55e00"], [0.5, "#f6d8a8"], [0.8, "#a3cdea"], [1, "#1f83c6"]]


class RoleScore(NamedTuple):
    """The score of a relation as first or as last hop."""

    relation: str
    role: str
    score: CellScore


Scored = TypeVar("Scored", RoleScore, PairScore)


@dataclass(frozen=True, kw_only=True)
class RelationsSection:
    """The section on relations.

    Attributes:
        roles, pairs: the hardest that were missed. missed_pairs: how many there are, of `all_pairs`.
        shown: how many relations the map shows, of those `used`.
    """

    heading: str
    roles: list[RoleScore]
    pairs: list[PairScore]
    missed_pairs: int
    all_pairs: int
    shown: int
    used: int
    figure: Figure


def relations_section(evidence: Evidence) -> RelationsSection | None:
    found = evidence.evaluation
    if found is None or not found.per_pair:
        return None
    pairs = [pair for pair in found.per_pair if pair.score.n]
    roles = [
        RoleScore(row.relation, role, CellScore.pooled(by_cell.values()))
        for row in found.per_relation
        for role, by_cell in (("first hop", row.first_hop), ("last hop", row.last_hop))
    ]
    queries: dict[str, int] = {}
    for pair in pairs:
        for relation in pair.relations:
            queries[relation] = queries.get(relation, 0) + pair.score.n
    used = sorted(queries, key=lambda relation: -queries[relation])
    missed = _missed(pairs)
    return RelationsSection(
        heading=_hardest_heading(_missed(roles)),
        roles=_missed(roles)[:_HARDEST],
        pairs=missed[:_HARDEST],
        missed_pairs=len(missed),
        all_pairs=len(pairs),
        shown=min(len(used), MOST_RELATIONS),
        used=len(used),
        figure=pair_map(pairs, used[:MOST_RELATIONS]),
    )


def _missed(rows: Iterable[Scored]) -> list[Scored]:
    """Those with a miss, surely hard ones first: by the upper end of the interval, so few queries prove little."""
    missed = (row for row in rows if row.score.n and row.score.correct < row.score.n)
    return sorted(missed, key=lambda row: row.score.high or 0.0)


def _hardest_heading(roles: list[RoleScore]) -> str:
    if not roles:
        return "No relation was missed in any two-hop test query"
    worst = roles[0]
    return f"Hardest: “{worst.relation}” as {worst.role}, {percent(worst.score.accuracy)} right"


def pair_map(pairs: Sequence[PairScore], relations: Sequence[str]) -> Figure:
    """Accuracy of each first relation (row) with each second one (column), over the given relations.

    A relation gets a row only where it comes first in some pair, and a column only where it comes second.
    """
    shown = [pair for pair in pairs if set(pair.relations) <= set(relations)]
    rows, columns = ([r for r in relations if any(pair.relations[i] == r for pair in shown)] for i in (0, 1))
    z: list[list[float | None]] = [[None] * len(columns) for _ in rows]
    hover = [["no test queries"] * len(columns) for _ in rows]
    for pair in shown:
        i, j = rows.index(pair.relations[0]), columns.index(pair.relations[1])
        z[i][j], hover[i][j] = pair.score.accuracy, _pair_hover(pair)
    lowest = min((pair.score.accuracy or 0.0 for pair in shown), default=0.0)
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
            "xaxis": {**labelled_axis(columns, xs), "tickangle": -50},
            "yaxis": {**labelled_axis(rows, ys), "range": [len(rows) - 0.4, -0.6]},
        },
    }


def _pair_hover(pair: PairScore) -> str:
    first, second = (safe(label, longest=200) for label in pair.relations)
    return f"{first} → {second}<br>{pair.score.accuracy:.1%} of {pair.score.n} queries"
