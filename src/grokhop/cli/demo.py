"""What people see of the demo: its stages one after the other, then the table and the report."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from grokhop.cli.circuits import about_the_circuit
from grokhop.cli.console import TrainingDisplay, err, say_augmentation, say_counts, say_phi, say_report
from grokhop.cli.evaluations import show_evaluation
from grokhop.runs.explanation import Explanation

if TYPE_CHECKING:
    from grokhop.pipeline import DemoResult

STAGES = {
    "ingest": "Reading the built-in graph and holding facts out",
    "phi": "Measuring phi: inferred facts for each atomic fact",
    "augment": "Adding facts where a relation has too few",
    "train": "Training until it groks",
    "control": "Training a control that sees no compositions, for as many steps",
    "evaluate": "Asking the test queries",
    "explain": "Looking into the circuit",
}


class DemoDisplay(TrainingDisplay):
    """Shows the stages of the flow too."""

    def on_stage(self, stage: str, result: Any = None) -> None:
        says: dict[str, Callable[[Any], None]] = {
            "ingest": say_counts,
            "phi": say_phi,
            "augment": say_augmentation,
            "explain": _say_circuit,
        }
        if result is None:
            err.print(f"\n[bold]{list(STAGES).index(stage) + 1}/{len(STAGES)} {STAGES[stage]}[/bold]")
        elif stage in says:
            says[stage](result)


def _say_circuit(result: Explanation) -> None:
    scores = [found.ood.score for found in result.seeds]
    right, named = sum(score.right for score in scores), sum(score.right_and_named for score in scores)
    err.print(f"the bridge is named in {named} of {right} right answers over held-out facts")
    for line in about_the_circuit(result):
        err.print(line, markup=False)


def show_demo(result: "DemoResult") -> None:
    """The table of accuracies and where the report is."""
    show_evaluation(result.evaluation)
    say_report(result.report)
