"""Validation: how a model on its way answers queries that it is not trained on, and whether that is enough.

Nothing here looks at a test query.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from grokhop.config import RunConfig
from grokhop.core.statistics import Score
from grokhop.graph.paths import Queries
from grokhop.inference.predict import are_right, right_at_the_end
from grokhop.models.base import Model
from grokhop.runs.metrics import Scores, held_score, id_score, ood_score
from grokhop.tasks.dataset import TaskDataset
from grokhop.tasks.encoding import TokenBatch


@contextmanager
def asked(model: Model) -> Iterator[None]:
    """Let a model answer within the block as after training, and go on as it was."""
    was = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was)


@dataclass(frozen=True, kw_only=True)
class Validation:
    """What a model answers.

    Attributes:
        cells: validation queries, by hops and cell.
        train: training rows. id, ood: validation queries; where nothing is composed, comparisons.
        held: validation queries with any held-out fact, of which `ood` may be but the ones with no other.
        compared: comparisons that are held out for validation.
    """

    cells: Scores
    train: Score
    id: Score
    ood: Score
    held: Score
    compared: Score

    @staticmethod
    def of(model: Model, dataset: TaskDataset, *, hops: int) -> "Validation":
        """Ask a model as it would be asked after training; chains of up to `hops` facts count as ID and OOD."""
        with asked(model):
            return Validation._of(model, dataset, hops)

    @staticmethod
    def _of(model: Model, dataset: TaskDataset, hops: int) -> "Validation":

        def score(queries: Queries) -> Score:
            return Score.of(are_right(model, dataset.vocabulary, queries))

        def compared(rows: TokenBatch) -> Score:
            return Score.of(right_at_the_end(model, rows))

        cells = {k: {cell: score(queries) for cell, queries in by.items()} for k, by in dataset.validation.items()}
        held_out = {cell: compared(rows) for cell, rows in dataset.compared.items()}
        chained = {"id": id_score(cells, hops), "ood": ood_score(cells, hops)}
        found = {cell: chained[cell] if chained[cell].n else held_out[cell] for cell in chained}
        train = sum(map(score, dataset.probe), compared(dataset.probed))
        all_compared = sum(held_out.values(), Score(0, 0))
        return Validation(cells=cells, train=train, held=held_score(cells, hops), compared=all_compared, **found)

    def is_near(self, settings: RunConfig) -> bool:
        """Whether a cool-down would settle the rest: what is chained has come to a share of its targets, and what is
        compared to its whole target, since order and sameness are learned at the full rate."""
        return self._reaches(settings, settings.schedule.cooldown_at)

    def is_enough(self, settings: RunConfig) -> bool:
        """Whether all targets are reached."""
        return self._reaches(settings, 1.0)

    def _reaches(self, settings: RunConfig, share: float) -> bool:
        wanted = [
            (self.id, share * settings.train.id_target),
            (self.ood, share * settings.train.ood_target),
            (self.held, share * settings.train.ood_target),
            (self.compared, settings.train.id_target),
        ]
        known = [(score, target) for score, target in wanted if score.n]
        return all(
            reaches(score, target) for score, target in known or [(self.train, share * settings.train.id_target)]
        )


def reaches(score: Score, target: float) -> bool:
    """Whether an accuracy is as high as its target, or no more than one is missed: of few queries one tells little."""
    return score.n - score.correct <= max(1.0, (1 - target) * score.n + 1e-9)
