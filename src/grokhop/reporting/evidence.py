"""What the files of a run folder say, read once for all sections."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from statistics import mean

from grokhop.core.statistics import CellScore
from grokhop.graph.graph import Split
from grokhop.phi.report import PhiReport
from grokhop.runs.baselines import BASELINES_NAME, BaselineResult, BaselinesResult
from grokhop.runs.evaluation import ControlScores, EvalResult, Floor, QuestionScore
from grokhop.runs.explanation import Explanation
from grokhop.runs.metrics import EvalRecord, GrokTime, TrainSummary, read_looks, summary
from grokhop.runs.run import EVAL, EXPLANATION, PHI, SUMMARY, Run

BASELINES = f"{BASELINES_NAME}.json"

Beside = ControlScores | BaselineResult
"""Who was asked the same test queries as the run."""


@dataclass(frozen=True)
class Evidence:
    """What the files of a run say, read once."""

    run: Run

    @cached_property
    def phi(self) -> PhiReport:
        return self.run.read_record(PHI, PhiReport.from_dict, made_by="grokhop train")

    @cached_property
    def evaluation(self) -> EvalResult | None:
        """What `grokhop eval` found, or None before it has been run."""
        return self.run.find_record(EVAL, EvalResult.from_dict, made_by="grokhop eval")

    @cached_property
    def beside(self) -> dict[str, Beside]:
        """Controls and baselines that were asked the same test queries, by name."""
        found: dict[str, Beside] = dict(self.evaluation.controls) if self.evaluation else {}
        made = self.run.find_record(BASELINES, BaselinesResult.from_dict, made_by="grokhop eval --baseline")
        return found | {name: result for name, result in (made.baselines if made else {}).items() if result.cells}

    @cached_property
    def explanation(self) -> Explanation | None:
        """What `grokhop explain` found, or None before it has been run."""
        return self.run.find_record(EXPLANATION, Explanation.from_dict, made_by="grokhop explain")

    @cached_property
    def looks(self) -> dict[int, list[EvalRecord]]:
        """The looks of each seed that has taken one."""
        names = (p.name.removeprefix("seed-") for p in self.run.path.glob("seed-*"))
        seeds = sorted(int(name) for name in names if name.isdigit())
        found = {seed: read_looks(self.run.seed_folder(seed)) for seed in seeds}
        return {seed: looks for seed, looks in found.items() if looks}

    @cached_property
    def summaries(self) -> dict[int, TrainSummary]:
        """What each seed has come to so far, finished or not."""
        return {seed: summary(looks) for seed, looks in self.looks.items()}

    @property
    def groks(self) -> dict[int, dict[str, GrokTime | None]]:
        """When each seed reached each threshold."""
        return {seed: found.grok for seed, found in self.summaries.items()}

    @property
    def seeds(self) -> int:
        """How many were asked for, or begun since."""
        return max(self.run.settings.resources.seeds, *(seed + 1 for seed in self.looks), 1)

    @property
    def unfinished(self) -> list[int]:
        return [s for s in range(self.seeds) if not (self.run.seed_folder(s) / SUMMARY).exists()]

    @property
    def held_out(self) -> int:
        return int((self.run.graph.part != Split.TRAIN).sum())

    def cells(self, hops: int) -> dict[str, CellScore]:
        return self.evaluation.cells.get(str(hops), {}) if self.evaluation else {}

    def floor(self, hops: int, *cells: str) -> Floor | None:
        """Return the floor of one or more cells together; None where an older version asked them, or nobody did."""
        known, scores = self.evaluation.floors.get(str(hops)) if self.evaluation else None, self.cells(hops)
        return Floor.pooled((known[cell], scores[cell].n) for cell in cells) if known else None

    def questions(self, cell: str) -> CellScore:
        """The score of the graph's questions in a cell ('id', 'ood', ...), all types together."""
        found = self.evaluation.questions if self.evaluation else {}
        return CellScore.pooled(by_cell[cell].score for by_cell in found.values() if cell in by_cell)


def accuracy_beside(found: Beside, hops: int, cell: str) -> float | None:
    """Return the accuracy of a control or a baseline in a cell, None where it was not asked."""
    score = (found.cells or {}).get(str(hops), {}).get(cell)
    return score.score.accuracy if isinstance(score, QuestionScore) else score.accuracy if score else None


def mean_of(values: Iterable[float | None]) -> float | None:
    """The mean of what is known, None where nothing is."""
    known = [value for value in values if value is not None]
    return mean(known) if known else None
