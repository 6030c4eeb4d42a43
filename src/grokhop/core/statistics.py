"""Scores: how many of how many, with an interval, over seeds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import sqrt
from statistics import NormalDist, mean, stdev

import numpy as np
from numpy.typing import NDArray

from grokhop.core.records import Record

_Z95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Score:
    """How many of `n` were right; 0 of 0 has no accuracy."""

    correct: int
    n: int

    @staticmethod
    def of(right: NDArray[np.bool_]) -> "Score":
        return Score(int(np.count_nonzero(right)), len(right))

    def __add__(self, other: "Score") -> "Score":
        return Score(self.correct + other.correct, self.n + other.n)

    @property
    def accuracy(self) -> float | None:
        return self.correct / self.n if self.n else None


def wilson(correct: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927): unlike the normal one it stays within 0..1 near the ends."""
    share, z = correct / n, _Z95
    middle = share + z * z / (2 * n)
    reach = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, (middle - reach) / (1 + z * z / n)), min(1.0, (middle + reach) / (1 + z * z / n))


@dataclass(frozen=True, kw_only=True)
class CellScore(Record):
    """The score of one set of n queries under several seeds; of no queries there is none.

    Attributes:
        correct: mean over seeds. accuracy: mean of `per_seed`, the accuracy of each seed.
        low, high: 95 % interval of one seed's n queries: asking the same queries again under another seed narrows
            nothing about other queries.
        spread: standard deviation of the seeds' accuracies; None of one seed.
    """

    correct: float = 0
    n: int = 0
    accuracy: float | None = None
    low: float | None = None
    high: float | None = None
    per_seed: list[float] = field(default_factory=list)
    spread: float | None = None

    @staticmethod
    def of_seeds(correct: float, n: int, per_seed: list[float]) -> "CellScore":
        """Complete the score of n queries, of which `correct` are right on average."""
        if not n:
            return CellScore()
        low, high = wilson(correct, n)
        return CellScore(
            correct=int(correct) if float(correct).is_integer() else correct,
            n=n,
            accuracy=mean(per_seed),
            low=low,
            high=high,
            per_seed=per_seed,
            spread=stdev(per_seed) if len(per_seed) > 1 else None,
        )

    @staticmethod
    def pooled(scores: Iterable["CellScore"]) -> "CellScore":
        """Add up the scores of several sets of queries, seed by seed; of one it is the same.

        Sets that were asked of different numbers of models have no accuracy by seed together.
        """
        known = [score for score in scores if score.n]
        if len(known) == 1:
            return known[0]
        n = sum(score.n for score in known)
        correct = sum(score.correct for score in known)
        if len({len(score.per_seed) for score in known}) > 1:
            return replace(CellScore.of_seeds(correct, n, [correct / n]), per_seed=[])
        by_seed = zip(*(score.per_seed for score in known), strict=True)
        per_seed = [sum(a * s.n for a, s in zip(seed, known, strict=True)) / n for seed in by_seed]
        return CellScore.of_seeds(correct, n, per_seed)


def over_seeds(rights: Sequence[NDArray[np.bool_]]) -> CellScore:
    """Score n queries from the (n,) right answers of each seed."""
    per_seed = [float(np.mean(right)) for right in rights] if len(rights[0]) else []
    correct = mean(float(np.count_nonzero(right)) for right in rights)
    return CellScore.of_seeds(correct, len(rights[0]), per_seed)
