"""What the files of a sweep folder say, read once for all sections, and how its figures tell levels and presets apart.

Rows are those of `sweep.json`: one for each preset and level that has been asked the test queries.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import ceil, floor, log10
from typing import Any

from grokhop.grid import ALL, Place, Sweep
from grokhop.metrics import Look
from grokhop.report.evidence import Evidence, Row
from grokhop.report.plot import Figure, vertical
from grokhop.run import Run

DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross")
"""Of the presets, in their order; colours tell what was asked."""
PAPERS = ((3.6, "Wang et al. 2024"), (6.25, "Abramov et al. 2025"))
"""The phi that is reported to be needed."""
_NEAR = 0.05
"""Levels nearer than this share of the axis would write their names over each other."""


@dataclass(frozen=True)
class SweepEvidence:
    """What the files of a sweep say."""

    sweep: Sweep

    @cached_property
    def result(self) -> Row:
        return self.sweep.result()

    @cached_property
    def rows(self) -> list[tuple[str, Row]]:
        """(preset, row) from the lowest level to the highest, preset by preset."""
        return [(name, row) for name, rows in self.result["presets"].items() for row in rows]

    def of_preset(self, preset: str) -> list[Row]:
        return list(self.result["presets"][preset])

    @property
    def presets(self) -> tuple[str, ...]:
        return self.sweep.presets

    def dash(self, preset: str) -> str:
        return DASHES[self.presets.index(preset) % len(DASHES)]

    def symbol(self, preset: str) -> str:
        return SYMBOLS[self.presets.index(preset) % len(SYMBOLS)]

    def named(self, name: str, preset: str) -> str:
        """A name for a legend, with the preset where there are several."""
        return f"{name}, {preset}" if len(self.presets) > 1 else name

    @cached_property
    def first(self) -> Evidence:
        """One of the runs; all have the same graph."""
        return Evidence(Run.read(self.sweep.run_path(self.sweep.places[0])))

    def looks(self, preset: str, level: str) -> dict[int, list[Look]]:
        """The looks of each seed of a run that has taken one."""
        return Evidence(Run.read(self.sweep.run_path(Place(preset, level)))).looks

    @property
    def phi_span(self) -> tuple[float, float]:
        """The lowest and the highest phi of the figures, with the thresholds of the papers among them."""
        phis = [row["phi"] for _, row in self.rows] + [phi for phi, _ in PAPERS]
        return min(phis), max(phis)

    def phi_axis(self) -> Figure:
        """The horizontal axis, logarithmic, with a tick at each level that has room for its name."""
        low, high = (log10(phi) for phi in self.phi_span)
        ticks: dict[float, str] = {}
        for phi, text in sorted({(row["phi"], level_name(row)) for _, row in self.rows}):
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
        return float((high / low) ** (0.007 * (i - (n - 1) / 2)))


def level_name(row: Row) -> str:
    """'3.6', or '7.73 (all)' for all there is."""
    return f"{row['phi']:.3g} (all)" if row["level"] == ALL else str(row["level"])


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


def paper_labels() -> Iterator[dict[str, Any]]:
    """One above the other, since they stand near each other; on a logarithmic axis texts stand at the exponent."""
    for i, (phi, who) in enumerate(PAPERS):
        where = {"x": log10(phi), "xref": "x", "xanchor": "right", "y": 1, "yref": "paper", "yanchor": "bottom"}
        yield {**where, "yshift": 16 * i, "text": f"{phi:g}: {who}", "showarrow": False}
