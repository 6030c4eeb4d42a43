"""Training: steps over composed rows until the validation queries are answered and the rate has come to rest.

The rate warms up, falls slowly, and at last to zero (`grokhop.training.lr_schedule`): from when the averaged weights
(`grokhop.training.ema`) come near to the targets, in and out of distribution, or the budget would not last longer. When
it is at zero and the targets are reached, training ends, else it warms again. Nothing here looks at a test query.

Everything that happens at a step follows from the seed and the number of the step, so that a run which was stopped
goes on exactly as it would have gone; on as many threads a run is reproduced to the last digit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import torch

from grokhop.config import AugmentConfig, RunConfig
from grokhop.config.models import MODELS
from grokhop.core.artifacts import MANIFEST, new_folder, read_manifest, refuse_inside, refuse_to_overwrite, write_json
from grokhop.core.errors import InputError
from grokhop.graph.graph import Graph
from grokhop.models.device import device_of
from grokhop.models.registry import check_model
from grokhop.phi.report import measure
from grokhop.runs.callbacks import Callback, Callbacks
from grokhop.runs.run import DATASET, GRAPH, PHI, PRETRAINED, SUMMARY, Run, write_settings
from grokhop.tasks.controls import controlled_graph
from grokhop.tasks.dataset import TaskDataset, build_dataset
from grokhop.tasks.storage import save_dataset
from grokhop.training.batching import batches
from grokhop.training.losses import LOSSES
from grokhop.training.optimizers import OPTIMIZERS
from grokhop.training.trainer import Trainer


def train(
    graph_path: Path | str,
    out: Path | str,
    settings: RunConfig,
    *,
    resume: bool = False,
    force: bool = False,
    callbacks: Sequence[Callback] = (),
) -> Run:
    """Train as many models as the settings say on the graph folder `graph_path` and return their run folder `out`.

    On as many threads a run is reproduced to the last digit.

    Args:
        resume: go on with the run folder `out`, which must have been begun with the same graph and settings; seeds
            may be added. The budget counts what was spent before.

    Raises:
        InputError: the graph cannot be read or has no compositions, a setting names nothing that there is, or `out`
            exists and neither is to be resumed nor replaced.
    """
    graph_path, out = Path(graph_path), Path(out)
    torch.set_num_threads(settings.resources.threads or torch.get_num_threads())
    refuse_inside(out, graph_path)
    if resume and out.exists():
        run = Run.read(out)
        refuse_another_run(run, graph_path, settings)
        refuse_another_budget(run, settings)
        run = add_seeds(run, settings.resources.seeds, budget=settings.resources.budget)
        dataset = run.dataset
    else:
        dataset = begin(graph_path, out, settings, threads=torch.get_num_threads(), force=force)
        run = Run.read(out)
    told = Callbacks(callbacks)
    told.on_start(settings, dataset.counts)
    spending = replace(settings, resources=replace(settings.resources, seeds=run.settings.resources.seeds))
    for seed in range(spending.resources.seeds):
        train_seed(run, dataset, seed, spending, told)
    return run


def train_seed(run: Run, dataset: TaskDataset, seed: int, settings: RunConfig, callback: Callback) -> None:
    """Train one seed of a run, on from its checkpoint if there is one; one that has ended stays as it is.

    Args:
        settings: those of the run, but for the resources, which may be other ones now.

    Raises:
        InputError: the checkpoint is damaged or of another model.
    """
    folder = run.seed_folder(seed)
    if not (folder / SUMMARY).exists():
        trainer = Trainer(dataset, settings, seed=seed, folder=folder)
        trainer.resume()
        trainer.run(settings.budget, callback)


def add_seeds(run: Run, seeds: int, *, budget: str | None = None) -> Run:
    """Let a run have at least so many seeds, and another budget if one is given."""
    now = run.settings.resources
    grown = replace(now, seeds=max(seeds, now.seeds), budget=budget or now.budget)
    if grown == now:
        return run
    write_settings(run.path, replace(run.settings, resources=grown))
    return Run.read(run.path)


def refuse_another_budget(run: Run, settings: RunConfig) -> None:
    """Let no seed be added that may train for another time than those that have ended.

    Raises:
        InputError: seeds have ended, others are to be trained, and the budget is another.
    """
    ended = [seed for seed in range(run.settings.resources.seeds) if (run.seed_folder(seed) / SUMMARY).exists()]
    if ended and settings.resources.seeds > len(ended) and settings.budget != run.settings.budget:
        raise InputError(
            f"seeds of {run.path} have ended within {run.settings.resources.budget}: resume it with that --budget, "
            "since seeds that were trained for different times cannot be compared, or choose another name with -o"
        )


def refuse_another_run(run: Run, graph_path: Path, settings: RunConfig) -> None:
    """Let no run go on as another one.

    Raises:
        InputError: it was begun with other settings or another graph.
    """
    if not settings.trains_as(run.settings):
        control = f", {run.control} control" if run.control else ""
        raise InputError(
            f"{run.path} was begun with preset {run.settings.preset}, chains of {run.settings.task.hops}, "
            f"{'' if run.settings.task.compare else 'no '}comparisons{control} and settings of its own: resume it with "
            f"the same --preset, --hops, --compare, --control and --set, with --config {run.path}/config.yaml, or "
            "choose another name with -o"
        )
    ours, theirs = run.plain_graph, controlled_graph(Graph.read(graph_path), settings.task.control)
    if ours.entities != theirs.entities or not all(
        np.array_equal(getattr(ours, column), getattr(theirs, column)) for column in ("pair", "tail", "part")
    ):
        raise InputError(f"{run.path} was begun with another graph than {graph_path}: give that one, or another -o")


def begin(graph_path: Path, out: Path, settings: RunConfig, *, threads: int, force: bool) -> TaskDataset:
    """Make a run folder with its settings, graph, phi and data set, before any training, and return the data set.

    Raises:
        InputError: the graph cannot be read or has nothing to train, a setting names nothing that there is, a row
            would leak, or `out` may not be replaced.
    """
    refuse_to_overwrite(out, kind="run", force=force)
    shape = check_parts(settings)
    graph = Graph.read(graph_path)
    dataset = build_dataset(graph, settings.task)
    kept = controlled_graph(graph, settings.task.control)
    batches(dataset, settings.train, 0)  # which a batch without room for a kind of row refuses
    whole = replace(settings, augment=_augmented_as(read_manifest(graph_path, kind="graph")))
    manifest = {"threads": threads, "composed": dataset.counts}
    with new_folder(out, kind="run", manifest=manifest, force=force) as folder:
        copytree(graph_path, folder / GRAPH)
        if kept is not graph:
            _put_instead(folder / GRAPH, kept)
        write_settings(folder, whole)
        save_dataset(folder / DATASET, dataset)
        write_json(folder / PHI, measure(kept).to_dict())
        if shape is not None:
            shape.save_pretrained(folder / PRETRAINED)
    return dataset


def _put_instead(folder: Path, graph: Graph) -> None:
    """Put the facts and questions of a controlled graph into the folder of the graph as it was given."""
    graph.write_tables(folder)
    write_json(folder / MANIFEST, {**read_manifest(folder, kind="graph"), "counts": graph.counts().to_dict()})


def check_parts(settings: RunConfig) -> Any:
    """Check, before any work, that all parts that the settings name are there; return the shape that a run must keep.

    Raises:
        InputError: one is not there.
    """
    MODELS.check(settings.model.architecture)
    OPTIMIZERS.check(settings.optimizer.name)
    LOSSES.check(settings.train.loss)
    device_of(settings.resources.device)
    return check_model(settings.model)


def _augmented_as(manifest: Mapping[str, Any]) -> AugmentConfig | None:
    """How the graph was augmented, as its manifest tells."""
    if manifest.get("stage") != "augment":
        return None
    made = manifest["settings"]
    names = ("target_phi", "corrupt_fraction", "seed", "max_degree", "new_cities")
    known = {name: made[name] for name in names if made.get(name) is not None}
    return AugmentConfig(**known, source=",".join(made["sources"]))
