"""A run folder: the graph that was trained, its phi, and for each seed metrics, weights and a summary.

    RUN/manifest.json      what was composed, on how many threads, versions, hardware
    RUN/config.yaml        all settings (`grokhop.config`), which --config takes back
    RUN/graph/             the graph folder as it was when training began
    RUN/dataset/           what is trained and asked, made once (`grokhop.tasks.storage`)
    RUN/phi.json           phi before and after hold-out
    RUN/pretrained/        the shape of the pretrained model that was begun with, if one was
    RUN/seed-0/            metrics.jsonl, checkpoint.safetensors, model.safetensors, summary.json
    RUN/seed-0/snapshots/  weights at some steps on the way, if the settings ask for them
    RUN/seed-0/predictions.parquet  every test query with the answer (`grokhop.evaluation.predictions`)
    RUN/eval.json          what 'grokhop eval' found
    RUN/explain.json       what 'grokhop explain' found
    RUN/report.html        what 'grokhop report' made of all this

Reading a run needs no torch.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from grokhop.config import RunConfig, config_of, read_config, yaml_text
from grokhop.core.artifacts import MANIFEST, read_manifest, write_bytes
from grokhop.core.errors import InputError
from grokhop.graph.graph import Graph
from grokhop.runs.metrics import TrainSummary
from grokhop.tasks.dataset import TaskDataset, worded
from grokhop.tasks.storage import read_dataset

GRAPH, PHI, EVAL, EXPLANATION, REPORT = "graph", "phi.json", "eval.json", "explain.json", "report.html"
CONFIG = "config.yaml"
DATASET, PRETRAINED, SNAPSHOTS = "dataset", "pretrained", "snapshots"
CHECKPOINT, WEIGHTS, SUMMARY = "checkpoint.safetensors", "model.safetensors", "summary.json"

Record = TypeVar("Record")


@dataclass(frozen=True)
class Run:
    """A run folder that exists."""

    path: Path
    manifest: dict[str, Any]

    @staticmethod
    def read(path: Path) -> "Run":
        """Open the run folder `path`.

        Raises:
            InputError: it is missing, damaged, of another kind or of a newer schema version.
        """
        run = Run(Path(path), read_manifest(path, kind="run"))
        try:
            run.settings  # noqa: B018 - read once, so that damage is found here
        except InputError as error:
            raise InputError(
                f"{path}/{CONFIG} is damaged, or of another release ({error}): train again with --force"
            ) from error
        return run

    @cached_property
    def settings(self) -> RunConfig:
        """How its models are trained."""
        return config_of(read_config(self.path / CONFIG), where=str(self.path / CONFIG))

    @property
    def control(self) -> str | None:
        """The control that the run is, None if it is none (`grokhop.tasks.controls`)."""
        control = self.settings.task.control
        return None if control == "none" else control

    @cached_property
    def plain_graph(self) -> Graph:
        """The graph as it was given, or as a control permuted it."""
        return Graph.read(self.path / GRAPH)

    @cached_property
    def graph(self) -> Graph:
        """The graph that was trained, with the words of its questions: calendar, operators and rules."""
        return worded(self.plain_graph, compare=self.settings.task.compare)

    @cached_property
    def dataset(self) -> TaskDataset:
        """What is trained and what is asked, as it was built when the run was begun, by whatever version.

        Raises:
            InputError: it is missing or damaged.
        """
        return read_dataset(self.path / DATASET)

    @cached_property
    def graph_manifest(self) -> dict[str, Any]:
        return read_manifest(self.path / GRAPH, kind="graph")

    def seed_folder(self, seed: int) -> Path:
        return self.path / f"seed-{seed}"

    def finished_seeds(self) -> list[int]:
        """The seeds whose training has ended, in order.

        Raises:
            InputError: none has.
        """
        seeds = sorted(int(p.parent.name.removeprefix("seed-")) for p in self.path.glob(f"seed-[0-9]*/{SUMMARY}"))
        if not seeds:
            raise InputError(f"no seed of {self.path} has finished: go on with 'grokhop train ... --resume'")
        return seeds

    def snapshots(self, seed: int) -> dict[int, Path]:
        """Weights that were kept on the way, by their step, the earliest first."""
        found = (self.seed_folder(seed) / SNAPSHOTS).glob("*.safetensors")
        return dict(sorted((int(path.stem), path) for path in found))

    def summary(self, seed: int) -> TrainSummary:
        """The outcome of the training of a seed.

        Raises:
            InputError: it is missing or damaged.
        """
        return self.read_record(f"seed-{seed}/{SUMMARY}", TrainSummary.from_dict, made_by="grokhop train")

    def read_record(self, name: str, read: Callable[[dict[str, Any]], Record], *, made_by: str) -> Record:
        """Read a JSON file of the run by a function such as `TrainSummary.from_dict`.

        Raises:
            InputError: it is missing or damaged.
        """
        found = self.read_json(name, made_by=made_by)
        try:
            return read(found)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{self.path / name} is damaged ({error!r}): make it again with '{made_by}'") from error

    def find_record(self, name: str, read: Callable[[dict[str, Any]], Record], *, made_by: str) -> Record | None:
        """Read a JSON file as `read_record` does, or return None where nothing has made it yet."""
        return self.read_record(name, read, made_by=made_by) if (self.path / name).exists() else None

    def read_json(self, name: str, *, made_by: str) -> dict[str, Any]:
        """Read a JSON file of the run.

        Raises:
            InputError: it is missing or damaged.
        """
        try:
            return dict(json.loads((self.path / name).read_text()))
        except FileNotFoundError as error:
            there = ", ".join(sorted(p.name for p in self.path.iterdir() if p.name != MANIFEST))
            raise InputError(f"{self.path} has no {name}: '{made_by}' makes it (there are: {there})") from error
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path / name} is damaged ({error}): make it again with '{made_by}'") from error


def write_settings(folder: Path, settings: RunConfig) -> None:
    """Write all settings into a run folder, where `Run.settings` reads them."""
    write_bytes(folder / CONFIG, yaml_text(settings).encode())
