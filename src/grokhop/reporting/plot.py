"""What the figures share. They are plain Plotly dicts: nothing here needs Plotly, or a browser, to be made and tested.

Text colours and grids are left to the page, which knows whether it is light, dark or printed. Labels come from
the data, and Plotly reads a little HTML in every text, so each label passes through `safe`. Categories are put on
numbered axes with the labels as tick texts, because shortened labels may coincide.
"""

from collections.abc import Iterable
from html import escape
from typing import Any

Figure = dict[str, Any]

TRAIN, ID, OOD, MIXED, UNTRAINED = "#8a8f98", "#1f83c6", "#d55e00", "#a65aa0", "#009e73"
"""Told apart by colour-blind readers (after Okabe and Ito), on white, on black and on paper."""
MOST_RELATIONS = 30
"""More bars than this, or rows of the heat map, cannot be read on a page."""
_LONGEST_LABEL = 34


def safe(label: str, *, longest: int = _LONGEST_LABEL) -> str:
    """A label as Plotly may read it: on one line, not too long, with no markup of its own."""
    line = " ".join(label.split())
    return escape(line if len(line) <= longest else line[: longest - 1] + "…", quote=False)


def labelled_axis(labels: Iterable[str], positions: list[int]) -> Figure:
    return {
        "tickvals": positions,
        "ticktext": [safe(label) + " " for label in labels],
        "automargin": True,
        "showgrid": False,
        "zeroline": False,
        "range": [min(positions, default=0) - 0.6, max(positions, default=0) + 0.6],
    }


def vertical(kind: str, x0: float, x1: float, **style: Any) -> Figure:
    return {"type": kind, "xref": "x", "yref": "paper", "x0": x0, "x1": x1, "y0": 0, "y1": 1, **style}
