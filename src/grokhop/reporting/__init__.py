"""The report: one HTML file that says whether a run grokked, on what graph, and with what evidence.

It is made from the files of the run folder alone, needs no torch, and fetches nothing when it is opened: Plotly's
JavaScript is inside, once. Headings are findings, computed from the numbers; what has not been measured yet is
named with the command that measures it. Labels are data: the template escapes them, `plot.safe` does for Plotly.

`page` fills the template; each of its sections is a file here, which makes the heading, the tables and the figure.
`sweep` does the same for a sweep folder.
"""

from pathlib import Path

from grokhop.core.artifacts import is_kind
from grokhop.reporting import page, sweep

__all__ = ["report"]


def report(path: Path) -> Path:
    """Write `report.html` into a run folder or a sweep folder and return the file.

    Raises:
        InputError: there is no such folder, it is of a newer schema version, or one of its files is damaged.
    """
    return sweep.report(path) if is_kind(path, "sweep") else page.report(path)
