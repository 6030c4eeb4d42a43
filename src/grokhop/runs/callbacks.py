"""Callbacks: whoever wants to know how a run goes, on a screen, in a file or elsewhere."""

from collections.abc import Iterable, Mapping
from typing import Any

from grokhop.config import RunConfig
from grokhop.runs.metrics import EvalRecord, TrainSummary


class Callback:
    """Is told how work goes. Every method does nothing here; a subclass overrides those that it needs."""

    def on_stage(self, stage: str, result: Any = None) -> None:
        """Hear that a stage of the flow begins (`result` is None) or has ended with a result."""

    def on_start(self, settings: RunConfig, counts: Mapping[str, int]) -> None:
        """Hear once, before the first step, what is trained and what the check for leakage compared."""

    def on_step(self, seed: int, step: int, loss: float) -> None:
        """Hear of each step of a seed, counted from 1, with the loss of its batch."""

    def on_eval(self, seed: int, record: EvalRecord) -> None:
        """Hear of each evaluation on the validation queries."""

    def on_end(self, seed: int, summary: TrainSummary) -> None:
        """Hear that the training of a seed has ended, and what it came to."""


class Callbacks(Callback):
    """Tells several, in their order."""

    def __init__(self, callbacks: Iterable[Callback]) -> None:
        self._all = list(callbacks)

    def on_stage(self, stage: str, result: Any = None) -> None:
        for callback in self._all:
            callback.on_stage(stage, result)

    def on_start(self, settings: RunConfig, counts: Mapping[str, int]) -> None:
        for callback in self._all:
            callback.on_start(settings, counts)

    def on_step(self, seed: int, step: int, loss: float) -> None:
        for callback in self._all:
            callback.on_step(seed, step, loss)

    def on_eval(self, seed: int, record: EvalRecord) -> None:
        for callback in self._all:
            callback.on_eval(seed, record)

    def on_end(self, seed: int, summary: TrainSummary) -> None:
        for callback in self._all:
            callback.on_end(seed, summary)
