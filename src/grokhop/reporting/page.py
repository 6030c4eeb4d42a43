"""The page: the sections of the report put into the template, and written in one move."""

from pathlib import Path
from typing import Any

from grokhop.core.artifacts import write_bytes
from grokhop.reporting.cells import cells_section
from grokhop.reporting.circuit import circuit_section
from grokhop.reporting.conditions import conditions
from grokhop.reporting.evidence import Evidence
from grokhop.reporting.graph import graph_section
from grokhop.reporting.headline import notes, tiles, verdict
from grokhop.reporting.leakage import leakage_section
from grokhop.reporting.learning import learning_section
from grokhop.reporting.phi import phi_section
from grokhop.reporting.plot import Figure
from grokhop.reporting.questions import questions_section
from grokhop.reporting.relations import relations_section
from grokhop.reporting.reproduce import commands, inputs
from grokhop.reporting.template import render
from grokhop.runs.run import REPORT, Run


def report(path: Path) -> Path:
    """Write `report.html` into the run folder `path` and return the file.

    Raises:
        InputError: there is no such run, it is of a newer schema version, or one of its files is damaged.
    """
    evidence = Evidence(Run.read(path))
    page = _render(evidence)
    out = evidence.run.path / REPORT
    write_bytes(out, page.encode())
    return out


def _render(evidence: Evidence) -> str:
    plotted: dict[str, Any] = {
        "phi": phi_section(evidence),
        "learning": learning_section(evidence),
        "cells": cells_section(evidence),
        "hardest": relations_section(evidence),
    }
    circuit = circuit_section(evidence)
    figures = {name: figure for name, part in plotted.items() if (figure := _figure(part))}
    return render(
        "report.html.j2",
        {**figures, **(circuit.figures if circuit else {})},
        title=title_of(evidence),
        verdict=verdict(evidence),
        notes=notes(evidence),
        tiles=tiles(evidence),
        facts=conditions(evidence),
        graph=graph_section(evidence),
        questions=questions_section(evidence),
        circuit=circuit,
        leakage=leakage_section(evidence),
        commands=commands(evidence.run),
        inputs=inputs(evidence.run),
        **plotted,
    )


def _figure(section: Any) -> Figure | None:
    """The figure of a section, if it has one."""
    found: Figure | None = section.get("figure") if isinstance(section, dict) else getattr(section, "figure", None)
    return found


def title_of(evidence: Evidence) -> str:
    """What the graph was made of."""
    names = [s["name"] for s in evidence.run.graph_manifest["sources"] if s["observed"]]
    return ", ".join(names) or evidence.run.path.name
