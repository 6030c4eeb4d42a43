"""Measures of a circuit by name, those of other packages too: each looks into a model and returns numbers by name.

'grokhop explain' takes every registered measure, for the test queries in and out of distribution.
"""

from collections.abc import Mapping
from typing import Protocol

from grokhop.core.registry import Registry
from grokhop.graph.paths import PathIndex, Queries
from grokhop.models.base import Model
from grokhop.runs.explanation import MeasureResult


class Measure(Protocol):
    """Measures a circuit on queries of one length.

    The graph is `chaining.graph`; `grokhop.interpretability.hooks.watch` hands out what the model computes.
    """

    def __call__(self, model: Model, chaining: PathIndex, queries: Queries) -> Mapping[str, float | None]: ...


MEASURES: Registry[Measure] = Registry("circuit measure", {"gates": "grokhop.interpretability.gates:gates"})


def measured(model: Model, chaining: PathIndex, asked: Mapping[str, Queries], *, seed: int) -> list[MeasureResult]:
    """Take every registered measure of a seed's model on each set of queries that is not empty."""
    taken = [
        MeasureResult(measure=name, seed=seed, asked=of, found=dict(measure(model, chaining, queries)))
        for name, measure in MEASURES.items()
        for of, queries in asked.items()
        if len(queries)
    ]
    return [row for row in taken if row.found]
