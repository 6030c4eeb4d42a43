"""Loggers: sinks outside the run folder for the metrics of a training, each of an optional library.

The run folder keeps `metrics.jsonl` in any case. A package can bring a logger of its own (`grokhop.core.registry`).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from grokhop.config import RunConfig
from grokhop.core.optional import imported
from grokhop.core.registry import Registry
from grokhop.runs.callbacks import Callback
from grokhop.runs.metrics import EvalRecord, TrainSummary

_HERE = "grokhop.training.loggers"
LOGGERS: Registry[Callable[[Path], Callback]] = Registry(
    "logger",
    {"trackio": f"{_HERE}:Trackio", "tensorboard": f"{_HERE}:TensorBoard", "wandb": f"{_HERE}:WandB"},
    option="--log",
)
"""Each makes a callback for the run folder that it is given."""
PROJECT = "grokhop"


def loggers(names: Iterable[str], run: Path) -> list[Callback]:
    """Make the loggers called `names` for the run folder `run`, which need not exist yet.

    Raises:
        InputError: there is no such logger, or its library is not installed.
    """
    return [LOGGERS.get(name)(run) for name in dict.fromkeys(names)]


def scalars(record: EvalRecord) -> dict[str, float]:
    """Return the numbers of an evaluation by flat names, 'cells/2/OO' among them; what was not asked is left out."""
    flat: dict[str, Any] = {k: v for k, v in asdict(record).items() if k not in ("cells", "cooling")}
    flat |= {f"cells/{hops}/{cell}": share for hops, by in record.cells.items() for cell, share in by.items()}
    return {name: float(value) for name, value in flat.items() if value is not None}


class _Service(Callback):
    """A service with the interface of W&B: one of its runs for each seed."""

    library: str

    def __init__(self, run: Path) -> None:
        self._run, self._seed = run, -1
        self._settings: dict[str, Any] = {}
        self._service = _import(self.library, self.library)

    def on_start(self, settings: RunConfig, counts: Mapping[str, int]) -> None:
        self._settings = {**asdict(settings), "composed": dict(counts)}

    def on_eval(self, seed: int, record: EvalRecord) -> None:
        if seed != self._seed:
            name = f"{self._run.name}-seed-{seed}"
            self._service.init(project=PROJECT, name=name, config={**self._settings, "seed": seed})
            self._seed = seed
        self._service.log(scalars(record), step=record.step)

    def on_end(self, seed: int, summary: TrainSummary) -> None:
        if seed == self._seed:
            self._service.finish()


class Trackio(_Service):
    """Logs to trackio."""

    library = "trackio"


class WandB(_Service):
    """Logs to Weights & Biases."""

    library = "wandb"


class TensorBoard(Callback):
    """Writes `RUN/tensorboard/seed-N`."""

    def __init__(self, run: Path) -> None:
        _import("tensorboard", "tensorboard")
        self._make = _import("torch.utils.tensorboard", "tensorboard").SummaryWriter
        self._run = run
        self._writers: dict[int, Any] = {}

    def on_eval(self, seed: int, record: EvalRecord) -> None:
        if seed not in self._writers:
            self._writers[seed] = self._make(self._run / "tensorboard" / f"seed-{seed}")
        for name, value in scalars(record).items():
            self._writers[seed].add_scalar(name, value, record.step)

    def on_end(self, seed: int, summary: TrainSummary) -> None:
        if seed in self._writers:
            self._writers.pop(seed).close()


def _import(module: str, package: str) -> Any:
    return imported(module, f"--log {package} needs a library: pip install {package}")
