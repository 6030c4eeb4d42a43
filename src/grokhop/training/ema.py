"""Averaged weights: what a model would be at rest, known while it still learns at the full rate.

At a constant rate the weights wander about the place that they would settle at, and the more facts a graph has, the
less of them a wandering model answers. The mean of its last weights lies near that place (Polyak and Juditsky 1992;
Izmailov et al. 2018), so it is what is looked at, and says when to let the rate fall.
"""

from copy import deepcopy

import torch

from grokhop.models.base import Model

BEGINNING = 0.25
"""At first the mean is over the last quarter of the steps."""


class Average:
    """A model whose weights are the exponential mean of another's over its last steps.

    Attributes:
        model: the mean; the model itself where nothing is to be averaged.
    """

    def __init__(self, model: Model, steps: int) -> None:
        """Begin with the model as it is.

        Args:
            steps: over about how many; 0 for no mean.
        """
        self.steps = steps
        self.model = deepcopy(model) if steps else model
        self._weights, self._means = ([p.data for p in m.parameters()] for m in (model, self.model))

    def add(self, step: int, left: float) -> None:
        """Take in the weights after the step numbered `step` from 0, of whose rate a cool-down has `left` a share.

        In a cool-down the mean is over fewer and fewer steps, so that it does not lag behind weights that come to rest.
        """
        if self.steps:
            span = min(left * self.steps, 1 + BEGINNING * step)
            torch._foreach_lerp_(self._means, self._weights, 1 / max(1.0, span))
