"""A row of a sweep, read for people: the times at which thresholds were reached.

Reading a row needs no torch.
"""

from dataclasses import dataclass
from statistics import mean, stdev

from grokhop.runs.sweep_result import SweepRow

TIMES = (
    ("train_99", "steps", "99 % training"),
    ("id_95", "steps", "95 % ID"),
    ("ood_95", "steps", "95 % OOD"),
    ("id_95", "seconds", "95 % ID"),
)
"""The threshold, the unit, and how people call the threshold."""


@dataclass(frozen=True)
class Time:
    """When the seeds of a row reached a threshold, in words."""

    text: str
    """'1,234 ± 56', of the seeds that did; 'not reached' where none did."""
    note: str = ""
    """'2 of 3' where not all did; 'in 5,000 steps' where none did."""


def times(row: SweepRow) -> list[Time]:
    """One for each of `TIMES`."""
    return [_time(row, name, unit) for name, unit, _ in TIMES]


def _time(row: SweepRow, name: str, unit: str) -> Time:
    seeds = row.grok[name]
    reached = [getattr(when, unit) for when in seeds if when]
    if not reached:
        # Seeds that had the same time took different numbers of steps; what is said holds for each of them.
        return Time("not reached", f"in {min(row.steps):,} steps")
    digits = 1 if unit == "seconds" and mean(reached) < 10 else 0
    spread = f" ± {stdev(reached):,.{digits}f}" if len(reached) > 1 else ""
    note = "" if len(reached) == len(seeds) else f"{len(reached)} of {len(seeds)}"
    return Time(f"{mean(reached):,.{digits}f}{spread}", note)
