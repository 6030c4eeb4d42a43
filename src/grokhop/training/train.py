"""Training: steps over composed rows until the validation queries are answered and the rate has come to rest.

The rate warms up, falls slowly, and at last to zero (`grokhop.training.lr_schedule`): from when the averaged weights
(`grokhop.training.ema`) come near to the targets, in and out of distribution, or the budget would not last longer. When
it is at zero and the targets are reached, training ends, else it warms again. Nothing here looks at a test query.

Everything that happens at a step follows from the seed and the number of the step, so that a run which was stopped
goes on exactly as it would have gone; on as many threads a run is reproduced to the last digit.
"""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import torch

from grokhop.config import Budget, TrainSettings
from grokhop.core.artifacts import new_folder, refuse_inside, refuse_to_overwrite, write_json
from grokhop.core.errors import InputError
from grokhop.graph.graph import Graph
from grokhop.models.registry import check_model
from grokhop.phi.report import measure
from grokhop.runs.metrics import Begun, EvalRecord, Notice
from grokhop.runs.run import DATASET, GRAPH, PHI, PRETRAINED, SUMMARY, Run
from grokhop.tasks.dataset import TaskDataset, build_dataset
from grokhop.tasks.storage import save_dataset
from grokhop.training.trainer import Trainer


def train(
    graph_path: Path,
    out: Path,
    *,
    settings: TrainSettings,
    preset: str,
    budget: Budget,
    seeds: int = 1,
    threads: int | None = None,
    resume: bool = False,
    force: bool = False,
    begun: Begun = lambda _counts: None,
    notice: Notice = lambda _seed, _look: None,
) -> Run:
    """Train `seeds` models on the graph folder `graph_path` and return their run folder `out`.

    Args:
        budget: of each seed.
        threads: among which the rows of a step are shared out; all cores when None. With as many threads a run is
            reproduced to the last digit.
        resume: go on with the run folder `out`, which must have been begun with the same graph and settings. The
            budget counts what was spent before.

    Raises:
        InputError: the graph cannot be read or has no compositions, or `out` exists and neither is to be resumed
            nor replaced.
    """
    torch.set_num_threads(threads or torch.get_num_threads())
    refuse_inside(out, graph_path)
    if resume and out.exists():
        run = Run.read(out)
        refuse_another_run(run, graph_path, settings)
        dataset = run.dataset
    else:
        record = {**run_record(settings, preset, budget, seeds), "threads": torch.get_num_threads()}
        dataset = begin(graph_path, out, settings=settings, record=record, force=force)
        run = Run.read(out)
    begun(dataset.counts)
    for seed in range(max(seeds, run.manifest["seeds"])):
        train_seed(run, dataset, seed, budget, partial(notice, seed))
    return run


def run_record(settings: TrainSettings, preset: str, budget: Budget, seeds: int) -> dict[str, Any]:
    """What a run's manifest says of how it is trained."""
    return {"settings": asdict(settings), "preset": preset, "budget": budget.record(), "seeds": seeds}


def train_seed(run: Run, dataset: TaskDataset, seed: int, budget: Budget, notice: Callable[[EvalRecord], None]) -> None:
    """Train one seed of a run, on from its checkpoint if there is one; one that has ended stays as it is.

    Raises:
        InputError: the checkpoint is damaged or of another model.
    """
    folder = run.seed_folder(seed)
    if not (folder / SUMMARY).exists():
        trainer = Trainer(dataset, run.settings, seed=seed, folder=folder)
        trainer.resume()
        trainer.run(budget, notice)


def refuse_another_run(run: Run, graph_path: Path, settings: TrainSettings) -> None:
    """Let no run go on as another one.

    Raises:
        InputError: it was begun with other settings or another graph.
    """
    if settings != run.settings:
        raise InputError(
            f"{run.path} was begun with preset {run.manifest['preset']}, chains of {run.settings.hops}, "
            f"{'' if run.settings.compare else 'no '}comparisons and settings of its own: resume it with the same "
            "--preset, --hops, --compare and --set, or choose another name with -o"
        )
    ours, theirs = (Graph.read(path) for path in (run.path / GRAPH, graph_path))
    if ours.entities != theirs.entities or not all(
        np.array_equal(getattr(ours, column), getattr(theirs, column)) for column in ("pair", "tail", "part")
    ):
        raise InputError(f"{run.path} was begun with another graph than {graph_path}: give that one, or another -o")


def begin(graph_path: Path, out: Path, *, settings: TrainSettings, record: dict[str, Any], force: bool) -> TaskDataset:
    """Make a run folder with its graph, phi and data set, before any training, and return the data set.

    Raises:
        InputError: the graph cannot be read or has nothing to train, a row would leak, or `out` may not be replaced.
    """
    refuse_to_overwrite(out, kind="run", force=force)
    shape = check_model(settings.model)
    graph = Graph.read(graph_path)
    dataset = build_dataset(graph, settings)
    with new_folder(out, kind="run", manifest={**record, "composed": dataset.counts}, force=force) as folder:
        copytree(graph_path, folder / GRAPH)
        save_dataset(folder / DATASET, dataset)
        write_json(folder / PHI, measure(graph).to_dict())
        if shape is not None:
            shape.save_pretrained(folder / PRETRAINED)
    return dataset
