"""The demo: every stage of the flow on the built-in graph, in order.

worldfacts -> hold-out -> phi -> augment -> train -> evaluate -> explain -> report
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grokhop.augmentation.augment import augment_folder
from grokhop.config import Budget, preset
from grokhop.core.artifacts import refuse_to_overwrite
from grokhop.core.records import Record
from grokhop.datasets.ingest import ingest_worldfacts
from grokhop.evaluation.evaluate import evaluate
from grokhop.graph.graph import Graph
from grokhop.interpretability.explain import explain
from grokhop.phi.report import measure
from grokhop.reporting import report
from grokhop.runs.evaluation import EvalResult
from grokhop.runs.explanation import Explanation
from grokhop.runs.metrics import Begun, Notice
from grokhop.training.train import train

SETTINGS = preset("loop", changes=["checkpoints_per_decade=8"])
Stage = Callable[[str, Any], None]
"""Told of each stage when it begins (with None) and when it has ended (with its result)."""


@dataclass(frozen=True, kw_only=True)
class DemoResult(Record):
    """The results of the demo; `report` is the path of the HTML file."""

    evaluation: EvalResult
    explanation: Explanation
    report: str


def demo(
    out: Path,
    *,
    budget: Budget,
    threads: int | None = None,
    force: bool = False,
    stage: Stage = lambda _name, _result: None,
    begun: Begun = lambda _counts: None,
    notice: Notice = lambda _seed, _look: None,
) -> DemoResult:
    """Run the whole flow into the folders `graph`, `augmented` and `run` under `out`.

    Raises:
        InputError: a folder exists and `force` is off.
    """
    graph, augmented, run = out / "graph", out / "augmented", out / "run"
    for path, kind in ((graph, "graph"), (augmented, "graph"), (run, "run")):
        refuse_to_overwrite(path, kind=kind, force=force)

    stage("ingest", None)
    stage("ingest", ingest_worldfacts(graph, force=force).counts())
    stage("phi", None)
    stage("phi", measure(Graph.read(graph)))
    stage("augment", None)
    stage("augment", augment_folder(graph, augmented, force=force))
    stage("train", None)
    trained = train(
        augmented,
        run,
        settings=SETTINGS,
        preset="loop",
        budget=budget,
        threads=threads,
        force=force,
        begun=begun,
        notice=notice,
    )
    stage("train", trained.summary(0))
    stage("evaluate", None)
    evaluation = evaluate(run, threads=threads)
    stage("evaluate", evaluation)
    stage("explain", None)
    explanation = explain(run, threads=threads)
    stage("explain", explanation)
    return DemoResult(evaluation=evaluation, explanation=explanation, report=str(report(run)))
