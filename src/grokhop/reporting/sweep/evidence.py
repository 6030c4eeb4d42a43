"""What the files of a sweep folder say, read once for all sections, and how figures tell contenders apart.

Rows are those of `sweep.json`: one for each contender and level that has been asked the test queries.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import ceil, floor, log10

from grokhop.reporting.evidence import Evidence
from grokhop.reporting.plot import ID, MIXED, OOD, TRAIN, UNTRAINED, Figure, safe, vertical
from grokhop.runs.metrics import EvalRecord
from grokhop.runs.run import Run
from grokhop.runs.sweep import ALL, Place, Sweep
from grokhop.runs.sweep_result import SweepResult, SweepRow

DASHES = (
    "solid",
    "dash",
    "dot",
    "dashdot",
    "longdash",
    "longdashdot",
    "12px,4px",
    "2px,6px",
    "8px,3px,2px,3px,2px,3px",
)
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "triangle-down", "star", "hexagon")
"""Of the contenders, in their order; colours tell what was asked."""
COLOURS = (ID, OOD, UNTRAINED, MIXED, "#b8860b", "#7a6ff0", "#c44569", TRAIN, "#4c9f9a")
"""Of the contenders, where panels tell what was asked."""
PAPERS = ((3.6, "Wang et al. 2024"), (6.25, "Abramov et al. 2025"))
"""The phi that is reported to be needed."""
LONGEST_NAME = 90
_MOST_NAMED = 4
_MOST_NAMES, _WIDTH = 3, 960
"""Names in a row of a legend, and the pixels that they share."""
_NEAR = 0.05
"""Levels nearer than this share of the axis would write their names over each other."""


@dataclass(frozen=True)
class SweepEvidence:
    """What the files of a sweep say."""

    sweep: Sweep

    @cached_property
    def result(self) -> SweepResult:
        return self.sweep.result()

    @cached_property
    def rows(self) -> list[tuple[str, SweepRow]]:
        """(contender, row) from the lowest level to the highest, contender by contender."""
        return [(name, row) for name, rows in self.result.contenders.items() for row in rows]

    def of_contender(self, contender: str) -> list[SweepRow]:
        return self.result.contenders[contender]

    @property
    def contenders(self) -> tuple[str, ...]:
        return self.sweep.contenders

    def dash(self, contender: str) -> str:
        return DASHES[self.contenders.index(contender) % len(DASHES)]

    def colour(self, contender: str) -> str:
        return COLOURS[self.contenders.index(contender) % len(COLOURS)]

    def symbol(self, contender: str) -> str:
        return SYMBOLS[self.contenders.index(contender) % len(SYMBOLS)]

    def named(self, name: str, contender: str) -> str:
        """A name for a legend, with the contender where there are several."""
        return f"{name}, {self.short(contender)}" if len(self.contenders) > 1 else name

    def short(self, contender: str) -> str:
        """'hops=3' for 'loop hops=3', where all contenders are of the preset 'loop'."""
        shared = set.intersection(*(set(name.split()) for name in self.contenders))
        own = [word for word in contender.split() if word not in shared]
        return " ".join(own) or contender

    @property
    def few(self) -> bool:
        """Whether a heading, or a legend with several lines for each, has room for all contenders."""
        return len(self.contenders) <= _MOST_NAMED

    def label(self, name: str, contender: str) -> str:
        """The same for a figure: what is varied may be a path with any signs in it."""
        return safe(self.named(name, contender), longest=LONGEST_NAME)

    @cached_property
    def first(self) -> Evidence:
        """One of the runs; all have the same graph."""
        return Evidence(Run.read(self.sweep.run_path(self.sweep.places[0])))

    def looks(self, contender: str, level: str) -> dict[int, list[EvalRecord]]:
        """The looks of each seed of a run that has taken one."""
        return Evidence(Run.read(self.sweep.run_path(Place(contender, level)))).looks

    @property
    def phi_span(self) -> tuple[float, float]:
        """The lowest and the highest phi of the figures, with the thresholds of the papers among them."""
        phis = [row.phi for _, row in self.rows] + [phi for phi, _ in PAPERS]
        return min(phis), max(phis)

    def phi_axis(self) -> Figure:
        """The horizontal axis, logarithmic, with a tick at each level that has room for its name."""
        low, high = (log10(phi) for phi in self.phi_span)
        ticks: dict[float, str] = {}
        for phi, text in sorted({(row.phi, level_name(row)) for _, row in self.rows}):
            if all(abs(log10(phi / other)) >= _NEAR * (high - low) for other in ticks):
                ticks[phi] = text
        pad = 0.05 * (high - low)
        return {
            "type": "log",
            "range": [low - pad, high + pad],
            "tickvals": list(ticks),
            "ticktext": list(ticks.values()),
            "title": {"text": "phi: inferred facts trained for each atomic fact (logarithmic)"},
        }

    def beside(self, i: int, n: int) -> float:
        """The factor by which the i-th of n marks at one phi stands aside, so that all are seen."""
        low, high = self.phi_span
        return float((high / low) ** (min(0.007, 0.08 / n) * (i - (n - 1) / 2)))


LEGEND = {
    "orientation": "h",
    "x": 0,
    "y": 0,
    "yref": "container",
    "yanchor": "bottom",
    "tracegroupgap": 0,
    "maxheight": 1,
}
"""Below the figure, whole however long it is."""


def legend_height(names: Iterable[str]) -> int:
    """Pixels of a legend below a figure, of which each name takes as much room as the longest."""
    lengths = [len(name) for name in names]
    in_a_row = max(1, min(_MOST_NAMES, _WIDTH // (7 * max(lengths, default=1) + 60)))
    return 20 * ceil(len(lengths) / in_a_row)


def level_name(row: SweepRow) -> str:
    """'3.6', or '7.73 (all)' for all there is."""
    return f"{row.phi:.3g} (all)" if row.level == ALL else row.level


def log_ticks(low: float, high: float, *, most: int = 9) -> Figure:
    """Round numbers between two powers of ten, as many of them as have room."""
    ticks: list[float] = []
    for digits in ((1, 1.5, 2, 3, 4, 6, 8), (1, 2, 5), (1,)):
        every = [digit * 10.0**power for power in range(floor(low), ceil(high) + 1) for digit in digits]
        ticks = [tick for tick in every if low <= log10(tick) <= high]
        if len(ticks) <= most:
            break
    return {"type": "log", "tickvals": ticks, "ticktext": [f"{tick:,.10g}" for tick in ticks]}


def paper_lines() -> list[Figure]:
    return [vertical("line", phi, phi, line={"width": 1, "dash": "dot"}, opacity=0.55) for phi, _ in PAPERS]


def paper_labels() -> Iterator[Figure]:
    """One above the other, since they stand near each other; on a logarithmic axis texts stand at the exponent."""
    for i, (phi, who) in enumerate(PAPERS):
        where = {"x": log10(phi), "xref": "x", "xanchor": "right", "y": 1, "yref": "paper", "yanchor": "bottom"}
        yield {**where, "yshift": 16 * i, "text": f"{phi:g}: {who}", "showarrow": False}
