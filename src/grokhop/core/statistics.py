"""Scores: how many of how many, with an interval, over seeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist, mean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


SCORE = ("correct", "n", "accuracy", "low", "high", "per_seed", "spread")
"""What `over_seeds` tells."""


def no_score() -> dict[str, Any]:
    """The score where nothing was asked."""
    return {"correct": 0, "n": 0, "accuracy": None, "low": None, "high": None, "per_seed": [], "spread": None}


def over_seeds(rights: Sequence[NDArray[np.bool_]]) -> dict[str, Any]:
    """The score of one set of n queries under several seeds.

    `correct` and `accuracy` are means over seeds. The interval is that of one seed's n queries: asking the same
    queries again under another seed narrows nothing about other queries. `spread` is the standard deviation of the
    seeds' accuracies.
    """
    n = len(rights[0])
    if not n:
        return no_score()
    per_seed = [float(np.mean(right)) for right in rights]
    correct = mean(float(np.count_nonzero(right)) for right in rights)
    low, high = wilson(correct, n)
    return {
        "correct": int(correct) if correct.is_integer() else correct,
        "n": n,
        "accuracy": mean(per_seed),
        "low": low,
        "high": high,
        "per_seed": per_seed,
        "spread": stdev(per_seed) if len(per_seed) > 1 else None,
    }
