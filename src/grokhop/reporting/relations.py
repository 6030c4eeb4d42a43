"""The section on relations: which are hardest, as first or last hop and in pairs."""

from collections.abc import Sequence
from math import floor
from typing import Any

from grokhop.core.formatting import percent
from grokhop.reporting.evidence import Evidence, Row
from grokhop.reporting.plot import MOST_RELATIONS, Figure, labelled_axis, safe
from grokhop.runs.summary import pooled

_HARDEST = 10
_ACCURACY_SCALE = [[0, "#d55e00"], [0.5, "#f6d8a8"], [0.8, "#a3cdea"], [1, "#1f83c6"]]


def relations_section(evidence: Evidence) -> dict[str, Any] | None:
    if evidence.evaluation is None or not evidence.evaluation["per_pair"]:
        return None
    pairs = [row for row in evidence.evaluation["per_pair"] if row["n"]]
    roles = [
        {"relation": row["relation"], "role": role.replace("_", " "), **pooled(list(row[role].values()))}
        for row in evidence.evaluation["per_relation"]
        for role in ("first_hop", "last_hop")
    ]
    queries: dict[str, int] = {}
    for row in pairs:
        for relation in row["relations"]:
            queries[relation] = queries.get(relation, 0) + row["n"]
    used = sorted(queries, key=lambda relation: -queries[relation])
    return {
        "heading": _hardest_heading(_missed(roles)),
        "roles": _missed(roles)[:_HARDEST],
        "pairs": _missed(pairs)[:_HARDEST],
        "missed_pairs": len(_missed(pairs)),
        "all_pairs": len(pairs),
        "shown": min(len(used), MOST_RELATIONS),
        "used": len(used),
        "figure": pair_map(pairs, used[:MOST_RELATIONS]),
    }


def _missed(rows: list[Row]) -> list[Row]:
    """Those with a miss, surely hard ones first: by the upper end of the interval, so few queries prove little."""
    return sorted((row for row in rows if row["n"] and row["correct"] < row["n"]), key=lambda row: row["high"])


def _hardest_heading(roles: list[Row]) -> str:
    if not roles:
        return "No relation was missed in any two-hop test query"
    worst = roles[0]
    return f"Hardest: “{worst['relation']}” as {worst['role']}, {percent(worst['accuracy'])} right"


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
            "xaxis": {**labelled_axis(columns, xs), "tickangle": -50},
            "yaxis": {**labelled_axis(rows, ys), "range": [len(rows) - 0.4, -0.6]},
        },
    }


def _pair_hover(pair: dict[str, Any]) -> str:
    first, second = (safe(label, longest=200) for label in pair["relations"])
    return f"{first} → {second}<br>{pair['accuracy']:.1%} of {pair['n']} queries"
