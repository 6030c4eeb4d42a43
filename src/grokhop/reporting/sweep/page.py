"""The page of a sweep: its sections put into the template, and written in one move."""

import shlex
from pathlib import Path
from typing import NamedTuple

from grokhop.core.artifacts import write_bytes
from grokhop.core.formatting import duration, unbroken
from grokhop.core.statistics import CellScore
from grokhop.reporting.page import title_of
from grokhop.reporting.reproduce import graph_commands, graph_name, inputs
from grokhop.reporting.sweep.accuracy import accuracy_section
from grokhop.reporting.sweep.curves import curves_section
from grokhop.reporting.sweep.evidence import SweepEvidence, level_name
from grokhop.reporting.sweep.headline import facts, notes, tiles, verdict
from grokhop.reporting.sweep.lengths import lengths_section
from grokhop.reporting.sweep.relations import relations_of_sweep
from grokhop.reporting.sweep.times import EVENTS, times_section
from grokhop.reporting.template import render
from grokhop.runs.run import REPORT
from grokhop.runs.summary import TIMES, Time, times
from grokhop.runs.sweep import Sweep
from grokhop.runs.sweep_result import SweepRow


def report(path: Path) -> Path:
    """Write `report.html` into the sweep folder `path` and return the file.

    Raises:
        InputError: there is no such sweep, it has not ended, or one of its files is damaged.
    """
    evidence = SweepEvidence(Sweep.read(path))
    out = evidence.sweep.path / REPORT
    write_bytes(out, _page(evidence).encode())
    return out


def _page(evidence: SweepEvidence) -> str:
    plotted = {
        "accuracy": accuracy_section(evidence),
        "lengths": lengths_section(evidence),
        "times": times_section(evidence),
        "relations": relations_of_sweep(evidence),
        "curves": curves_section(evidence),
    }
    return render(
        "sweep.html.j2",
        {name: part.figure for name, part in plotted.items() if part and part.figure},
        title=title_of(evidence.first),
        verdict=unbroken(verdict(evidence)),
        notes=notes(evidence),
        tiles=tiles(evidence),
        facts=facts(evidence),
        several=len(evidence.contenders) > 1,
        events=[name for name, _ in EVENTS.values()],
        times_heads=[(unit, reached) for _, unit, reached in TIMES],
        table=_table(evidence),
        commands=commands(evidence),
        inputs=inputs(evidence.first.run),
        **plotted,
    )


class TableRow(NamedTuple):
    """A contender at a level.

    `other` are the cells with one fact held out, `longer` the accuracy one hop beyond what was trained, if asked.
    """

    contender: str
    name: str
    inferred: int
    scores: tuple[CellScore, CellScore]
    other: list[CellScore]
    longer: float | None
    times: list[Time]
    end: str


def _table(evidence: SweepEvidence) -> list[TableRow]:
    return [_table_row(contender, row) for contender, row in evidence.rows]


def _table_row(contender: str, row: SweepRow) -> TableRow:
    longer = [scores["0"] for _, scores in sorted(row.untrained.items()) if "0" in scores]
    return TableRow(
        contender=contender,
        name=level_name(row),
        inferred=row.inferred,
        scores=(row.id, row.ood),
        other=[row.cells["2"][cell] for cell in ("IO", "OI")],
        longer=longer[0].accuracy if longer else None,
        times=times(row),
        end=duration(sum(row.train_seconds) / len(row.train_seconds)),
    )


def commands(evidence: SweepEvidence) -> list[str]:
    """The commands that make this sweep; lines that begin with # are remarks."""
    sweep, graph = evidence.sweep, evidence.first.run.graph_manifest
    manifest, name = sweep.manifest, sweep.path.resolve().name
    words = ["grokhop", "sweep", graph_name(graph), *sweep.words()]
    words += [] if manifest["hops"] is None else ["--hops", str(manifest["hops"])]
    words += [word for change in manifest["changes"] for word in ("--set", change)]
    words += ["--budget", manifest["per_seed"], "--seeds", str(len(sweep.seeds))]
    words += ["--jobs", str(manifest["jobs"]), "-o", name]
    return [*graph_commands(graph), shlex.join(words), shlex.join(["grokhop", "report", name])]
