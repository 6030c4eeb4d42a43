"""The demo: every stage of the flow on the built-in graph, in order.

worldfacts -> hold-out -> phi -> augment -> train -> evaluate -> explain -> report
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from grokhop.augmentation.augment import augment_folder
from grokhop.config import RunConfig, changed, preset
from grokhop.core.artifacts import refuse_to_overwrite
from grokhop.core.records import Record
from grokhop.datasets.ingest import ingest_worldfacts
from grokhop.evaluation.evaluate import evaluate
from grokhop.graph.graph import Graph
from grokhop.interpretability.explain import explain
from grokhop.phi.report import measure
from grokhop.reporting import report
from grokhop.runs.callbacks import Callback, Callbacks
from grokhop.runs.evaluation import EvalResult
from grokhop.runs.explanation import Explanation
from grokhop.training.train import train

SETTINGS = preset("recurrent", changes=["train.checkpoints_per_decade=8", "resources.budget=100s"])
CONTROL = "no-chains"


@dataclass(frozen=True, kw_only=True)
class DemoResult(Record):
    """The results of the demo; `report` is the path of the HTML file."""

    evaluation: EvalResult
    explanation: Explanation
    report: str


def demo(
    out: Path, settings: RunConfig = SETTINGS, *, force: bool = False, callbacks: Sequence[Callback] = ()
) -> DemoResult:
    """Run the whole flow into the folders `graph`, `augmented`, `run` and `control` under `out`.

    The control is trained without compositions for as many steps as the run.

    Raises:
        InputError: a folder exists and `force` is off.
    """
    graph, augmented, run, control = (out / name for name in ("graph", "augmented", "run", "control"))
    for path, kind in ((graph, "graph"), (augmented, "graph"), (run, "run"), (control, "run")):
        refuse_to_overwrite(path, kind=kind, force=force)

    stage = Callbacks(callbacks).on_stage
    stage("ingest")
    stage("ingest", ingest_worldfacts(graph, force=force).counts())
    stage("phi")
    stage("phi", measure(Graph.read(graph)))
    stage("augment")
    stage("augment", augment_folder(graph, augmented, force=force))
    stage("train")
    trained = train(augmented, run, settings, force=force, callbacks=callbacks)
    stage("train", trained.summary(0))
    stage("control")
    steps = max(trained.summary(seed).steps for seed in trained.finished_seeds())
    beside = changed(settings, [f"task.control={CONTROL}", f"resources.budget={steps} steps"])
    stage("control", train(augmented, control, beside, force=force, callbacks=callbacks).summary(0))
    stage("evaluate")
    resources = settings.resources
    evaluation = evaluate(run, controls=[control], threads=resources.threads, device=resources.device)
    stage("evaluate", evaluation)
    stage("explain")
    explanation = explain(run, threads=settings.resources.threads, device=settings.resources.device)
    stage("explain", explanation)
    return DemoResult(evaluation=evaluation, explanation=explanation, report=str(report(run)))
