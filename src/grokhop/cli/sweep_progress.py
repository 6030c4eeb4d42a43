"""What people see of a sweep: how far each seed is, and what came of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil, floor
from pathlib import Path
from textwrap import fill

from rich.live import Live
from rich.table import Table
from rich.text import Text

from grokhop.cli.console import LABEL_WIDTH, err, out, plain_table
from grokhop.core.formatting import percent
from grokhop.core.statistics import CellScore
from grokhop.runs.summary import TIMES, times
from grokhop.runs.sweep import ALL, DONE, FAILED, WAITING, Place, Progress, SweepNotice
from grokhop.runs.sweep_result import SweepResult, SweepRow

SECONDS_BETWEEN_LINES = 10
"""Of training of one seed, where there is no terminal."""


@contextmanager
def sweep_display() -> Iterator[SweepNotice]:
    """Yield what shows how far all seeds are: a live table on a terminal, lines elsewhere."""
    if not err.is_terminal:
        yield Lines()
        return
    with Live(console=err, refresh_per_second=4) as live:
        yield lambda progress: live.update(progress_table(progress))


class Lines:
    """Says a line when a seed begins, ends or fails, and from time to time between."""

    def __init__(self) -> None:
        self._said: dict[tuple[Place, int], tuple[str, float]] = {}

    def __call__(self, progress: Sequence[Progress]) -> None:
        for seed in progress:
            key, seconds = (seed.place, seed.seed), 0.0 if seed.look is None else seed.look.seconds
            state, last = self._said.get(key, (WAITING, float("-inf")))
            new = seed.state != state and (seed.state in (DONE, FAILED) or seed.look is not None)
            if new or (seed.state == state != WAITING and seconds - last >= SECONDS_BETWEEN_LINES):
                self._said[key] = seed.state, seconds
                err.print(f"{seed.place}, seed {seed.seed} {_line(seed)}", markup=False)


def _line(seed: Progress) -> str:
    if seed.look is None:
        return seed.state
    return (
        f"step {seed.look.step} {seed.look.seconds:.0f} s train {percent(seed.look.train)} ID {percent(seed.look.id)} "
        f"OOD {percent(seed.look.ood)}{f' {seed.state}' if seed.state in (DONE, FAILED) else ''}"
    )


def progress_table(progress: Sequence[Progress]) -> Table:
    """A row for each contender and level, a cell for each seed: its step and its validation accuracies."""
    done = sum(seed.state in (DONE, FAILED) for seed in progress)
    table = Table(title=f"step, ID % and OOD % in validation; {done} of {len(progress)} done", box=None)
    table.add_column("", no_wrap=True)
    for number in sorted({seed.seed for seed in progress}):
        table.add_column(f"seed {number}", justify="right", no_wrap=True)
    rows: dict[Place, list[Text]] = {}
    for seed in progress:
        rows.setdefault(seed.place, []).append(_cell(seed))
    for place, cells in rows.items():
        table.add_row(Text(str(place)), *cells)
    return table


def _cell(seed: Progress) -> Text:
    style = {DONE: "bold", FAILED: "red", WAITING: "dim"}.get(seed.state, "")
    if seed.look is None or seed.state == FAILED:
        return Text("–" if seed.state == WAITING else "begins" if seed.state != FAILED else FAILED, style)
    mark = "✓ " if seed.state == DONE else ""
    return Text(f"{mark}{seed.look.step} {_bare(seed.look.id)} {_bare(seed.look.ood)}", style)


def _bare(share: float | None) -> str:
    return percent(share).removesuffix(" %")


def show_sweep(result: SweepResult, folder: Path) -> None:
    """A table for each contender with a row for each level, the smallest level that was enough, times, what failed."""
    for name, rows in result.contenders.items():
        title = f"{name}, test accuracy against phi"
        table = plain_table(title, "phi", ("trained", "ID", "interval", "OOD", "interval"))
        for row in rows:
            scores = [text for score in (row.id, row.ood) for text in (percent(score.accuracy), _interval(score))]
            table.add_row(_level(row), f"{row.inferred:,}", *scores)
        out.print(table)
        for key, meant in (("id", "in"), ("ood", "out of")):
            least = result.thresholds[name][key]
            reached = "at no level" if least is None else f"from phi {least:.4g}"
            out.print(f"{name}: 95 % {meant} distribution {reached}", markup=False)
    if any(result.contenders.values()):
        out.print(_times_table(result.contenders))
    for failure in result.failed:
        place = Place(failure.contender, failure.level)
        out.print(f"failed: {place}, {failure.what}: {failure.error}", style="red", markup=False, soft_wrap=True)
    again = "the same command with --resume tries again what failed; " if result.failed else ""
    out.print(f"sweep folder: {folder}\nnext: {again}grokhop report {folder}", soft_wrap=True, markup=False)


def _level(row: SweepRow) -> str:
    return f"{row.phi:.2f} (all)" if row.level == ALL else row.level


def _interval(score: CellScore) -> str:
    """Of 95 %, in whole per cent, and never narrower than it is."""
    if score.low is None or score.high is None:
        return "–"
    return f"{floor(100 * score.low)}–{ceil(100 * score.high)}"


def _times_table(contenders: dict[str, list[SweepRow]]) -> Table:
    """A row for each contender and level: when thresholds were reached in validation."""
    heads = [f"{unit} to\n{reached}" for _, unit, reached in TIMES]
    table = plain_table("steps and seconds to 95 %, mean ± standard deviation of the seeds", "", heads)
    for name, rows in contenders.items():
        for row in rows:
            place = fill(f"{name}, phi {_level(row)}", LABEL_WIDTH)
            table.add_row(Text(place), *(f"{time.text}\n{time.note}".strip() for time in times(row)))
    return table
