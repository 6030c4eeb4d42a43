"""Heat maps of the places in a model, side by side: positions across, depth upwards, a share as colour and number."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import NamedTuple

from grokhop.reporting.plot import Figure, safe

Shares = dict[tuple[int, int], float]
"""By column and depth."""
POSITIONS = ("head", "relation 1", "relation 2")
_SCALE = [[0, "#e6ebf1"], [0.5, "#74b1dc"], [1, "#145a93"]]
_GAP = 0.035


class Spot(NamedTuple):
    """A share at one place in a model, of one attention head where there are several."""

    depth: int
    position: int
    share: float
    head: int = 0


@dataclass(frozen=True)
class Panel:
    """One map.

    Attributes:
        shares: what is shown; other places stay blank.
        ticks: texts on the horizontal axis, by column.
        names: what each column is, as it is said when pointed at.
        empty: said in its middle where there is nothing to show.
    """

    title: str
    shares: Shares
    ticks: Mapping[float, str]
    names: Mapping[int, str]
    empty: str = ""


def by_position(title: str, maps: Sequence[Iterable[Spot]], *, empty: str = "") -> Panel:
    """The mean over seeds at each position and depth, from the spots of each seed."""
    names = dict(enumerate(POSITIONS))
    return Panel(title, _mean_shares(maps, 1, 0), {float(x): name for x, name in names.items()}, names, empty)


def by_head(title: str, maps: Sequence[Iterable[Spot]], *, empty: str = "") -> Panel:
    """The same of each attention head, those of a position together."""
    maps = [list(spots) for spots in maps]
    heads = 1 + max((spot.head for spots in maps for spot in spots), default=0)
    ticks: dict[float, str] = {}
    names: dict[int, str] = {}
    for position, name in enumerate(POSITIONS):
        start = position * (heads + 1)
        ticks |= {float(start + head): str(head) for head in range(heads)}
        middle = start + (heads - 1) / 2
        ticks[middle] = f"{ticks.get(middle, '')}<br>{name}"
        names |= {start + head: f"attention head {head} at {name}" for head in range(heads)}
    return Panel(title, _mean_shares(maps, heads + 1, 1), ticks, names, empty)


def _mean_shares(maps: Sequence[Iterable[Spot]], width: int, per_head: int) -> Shares:
    found: dict[tuple[int, int], list[float]] = {}
    for spot in (spot for spots in maps for spot in spots):
        column = spot.position * width + per_head * spot.head
        found.setdefault((column, spot.depth), []).append(spot.share)
    return {place: mean(shares) for place, shares in sorted(found.items())}


def heat_maps(panels: Sequence[Panel]) -> Figure:
    """The panels side by side, with one scale of colours and the same depths."""
    depths = sorted({depth for panel in panels for _, depth in panel.shares}) or [0]
    depths = list(range(depths[0], depths[-1] + 1))
    width = (1 - _GAP * (len(panels) - 1)) / len(panels)
    layout: Figure = {
        "height": 118 + 46 * len(depths),
        "margin": {"l": 8, "r": 8, "t": 34, "b": 50},
        "coloraxis": {
            "cmin": 0,
            "cmax": 1,
            "colorscale": _SCALE,
            "colorbar": {"tickformat": ".0%", "dtick": 0.5, "thickness": 12, "outlinewidth": 0},
        },
        "annotations": [],
    }
    for number, panel in enumerate(panels):
        left = number * (width + _GAP)
        x, y = (f"{axis}axis{number + 1 if number else ''}" for axis in "xy")
        layout[x] = _columns(panel, narrow=len(panels) > 2) | {
            "domain": [left, min(1.0, left + width)],
            "anchor": _short(y),
        }
        layout[y] = _depths(depths, labelled=not number) | {"anchor": _short(x)}
        layout["annotations"] += _texts(panel, left, width)
    return {"data": [_map(panel, number, depths) for number, panel in enumerate(panels)], "layout": layout}


def _short(axis: str) -> str:
    """'xaxis2' as traces name it: 'x2'."""
    return axis.replace("axis", "")


def _columns(panel: Panel, *, narrow: bool) -> Figure:
    return {
        "tickvals": list(panel.ticks),
        "ticktext": [text.replace(" ", "<br>") if narrow else text for text in panel.ticks.values()],
        "tickangle": 0,
        "ticks": "",
        "range": [min(panel.names) - 0.55, max(panel.names) + 0.55],
        "showgrid": False,
        "zeroline": False,
        "fixedrange": True,
    }


def _depths(depths: list[int], *, labelled: bool) -> Figure:
    return {
        "tickvals": depths,
        "ticktext": [f"depth {depth} " if depth else "embeddings " for depth in depths],
        "showticklabels": labelled,
        "ticks": "",
        "automargin": True,
        "range": [depths[0] - 0.55, depths[-1] + 0.55],
        "showgrid": False,
        "zeroline": False,
        "fixedrange": True,
    }


def _texts(panel: Panel, left: float, width: float) -> list[Figure]:
    common = {"xref": "paper", "yref": "paper", "showarrow": False}
    title = {"x": left, "xanchor": "left", "y": 1, "yanchor": "bottom", "yshift": 4}
    texts = [{**common, **title, "text": safe(panel.title, longest=60)}]
    if not panel.shares and panel.empty:
        middle = {"x": left + width / 2, "xanchor": "center", "y": 0.5, "yanchor": "middle"}
        texts.append({**common, **middle, "text": safe(panel.empty, longest=60)})
    return texts


def _map(panel: Panel, number: int, depths: list[int]) -> Figure:
    columns = list(range(min(panel.names), max(panel.names) + 1))
    z = [[panel.shares.get((column, depth)) for column in columns] for depth in depths]
    return {
        "type": "heatmap",
        "xaxis": f"x{number + 1 if number else ''}",
        "yaxis": f"y{number + 1 if number else ''}",
        "x": columns,
        "y": depths,
        "z": [[None if share is None else round(share, 6) for share in row] for row in z],
        "text": [["" if share is None else cell_text(share) for share in row] for row in z],
        "texttemplate": "%{text}",
        "customdata": [
            [f"{panel.names.get(column, '')}, {f'depth {depth}' if depth else 'embeddings'}" for column in columns]
            for depth in depths
        ],
        "hovertemplate": "%{customdata}: %{z:.1%}<extra></extra>",
        "hoverongaps": False,
        "xgap": 2,
        "ygap": 2,
        "coloraxis": "coloraxis",
    }


def cell_text(share: float) -> str:
    """Whole per cent without their sign, which would not fit; '99.7' where rounding would make it all."""
    digits = 1 if 0.995 <= share < 0.9995 else 0
    return f"{100 * share:.{digits}f}" if abs(share) >= 0.005 else "0"
