"""The section on the test: accuracy in each cell, cells being told apart by which facts were held out."""

from collections.abc import Sequence
from math import floor
from typing import Any

from grokhop.core.formatting import count, percent, plural
from grokhop.reporting.evidence import Evidence, Row
from grokhop.reporting.plot import ID, MIXED, OOD, Figure, labelled_axis, safe
from grokhop.runs.summary import pooled

_MEANING = {
    "II": "both facts occur in training chains, this chain does not",
    "IO": "the second fact occurs in no training chain",
    "OI": "the first fact occurs in no training chain",
    "OO": "neither fact occurs in any training chain",
}


def cells_section(evidence: Evidence) -> dict[str, Any] | None:
    if evidence.evaluation is None:
        return None
    trained = evidence.run.settings.task.hops
    rows: list[Row] = []
    for hops, cells in sorted((int(hops), cells) for hops, cells in evidence.evaluation["cells"].items()):
        for cell, score in cells.items():
            meaning = _MEANING.get(cell) or f"{cell} of {hops} facts held out"
            label = f"{hops} hops, {cell}" + ("" if cell in _MEANING else " held out")
            rows.append(
                {**score, "cell": cell, "label": label, "meaning": meaning, "untrained": hops > trained, "hops": hops}
            )
    extra = {
        "atomic": ("facts on their own", "every fact is trained as an atomic fact"),
        "atomic_held_out": ("held-out facts on their own", "trained as atomic facts only"),
    }
    atomic = [
        {**evidence.evaluation[k], "label": a, "meaning": m} for k, (a, m) in extra.items() if k in evidence.evaluation
    ]
    compared = {
        "id": "two trainable facts, compared with others in training but not with each other",
        "ood": "two held-out facts, compared with nothing in training",
    }
    comparisons = [
        {**score, "label": f"{cell.upper()} comparison", "meaning": compared[cell]}
        for cell, score in evidence.evaluation.get("comparison", {}).items()
        if score["n"]
    ]
    return {
        "heading": _cells_heading(rows, trained),
        "comparisons": comparisons,
        "empty": _empty(evidence),
        "rows": rows,
        "atomic": atomic,
        "figure": cell_dots(rows) if any(row["n"] for row in rows) else None,
    }


def _empty(evidence: Evidence) -> str | None:
    """Why no query is in cell OO, where the graph's questions ask for chains of held-out facts."""
    asked = pooled(evidence.questions("ood"))
    if evidence.cells(2)["OO"]["n"] or not asked["n"]:
        return None
    return (
        "No query is in cell OO: what a question of the graph asks is not asked again as a query. Out of distribution, "
        f"the test is the {plural(asked['n'], 'question')} over held-out facts alone, further down: "
        f"{percent(asked['accuracy'])}."
    )


def _cells_heading(rows: list[Row], trained: int) -> str:
    known = [row for row in rows if row["n"] and row["hops"] <= trained]
    if not known:
        return "No test query fell in any cell"
    worst = min(known, key=lambda row: row["accuracy"])
    sizes = "two-hop" if trained == 2 else f"2- to {trained}-hop"
    if worst["accuracy"] == 1:
        start = f"Every {sizes} test query was answered by every seed (n = {count(sum(row['n'] for row in known))})"
    else:
        empty = any(row["hops"] <= trained and not row["n"] for row in rows)
        start = f"{percent(worst['accuracy'])} or more in every {sizes} cell{' that has queries' if empty else ''}"
    longer = [row for row in rows if row["n"] and row["hops"] > trained]
    if not longer:
        return start
    low = min(longer, key=lambda row: row["accuracy"])
    return f"{start}; {low['hops']} hops, never trained, {percent(low['accuracy'])}{' or more' * (low['accuracy'] < 1)}"


def cell_colour(cell: str, hops: int) -> str:
    """ID where none of the facts is held out, OOD where all are, else MIXED; cells are 'IO' or a number held out."""
    held_out = int(cell) if cell.isdigit() else cell.count("O")
    return ID if held_out == 0 else OOD if held_out == hops else MIXED


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
            "yaxis": labelled_axis([row["label"] for row in rows], ys) if rows else {"visible": False},
        },
    }
