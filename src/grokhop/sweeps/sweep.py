"""A sweep: how accuracy and the grokking times depend on phi, on one graph, of one or several contenders.

At each level of phi so many inferred facts are trained for each atomic fact, those of a lower level among them, and
all levels are asked the same queries: phi alone moves. Each seed of each level is trained on one thread by a process
of its own, so that as many are trained at once as there are cores, and each is reproduced to the last digit. The
processes write run folders, as 'grokhop train' does; whoever wants to know how far they are reads there.
"""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from shutil import rmtree
from typing import Any

from grokhop.config import Budget, ResourceConfig, RunConfig
from grokhop.core.artifacts import MANIFEST, hardware, new_folder, refuse_inside, refuse_to_overwrite, write_json
from grokhop.core.errors import InputError
from grokhop.graph.graph import Graph
from grokhop.runs.run import Run
from grokhop.runs.sweep import RESULT, Place, Sweep, SweepNotice, limit, parse_levels
from grokhop.runs.sweep_result import SweepResult
from grokhop.sweeps.results import result_of
from grokhop.sweeps.variants import Contender, contenders
from grokhop.sweeps.workers import Work
from grokhop.training.train import add_seeds, begin, refuse_another_run


def sweep(
    graph_path: Path,
    out: Path,
    *,
    phis: Iterable[str | float],
    presets: Sequence[str] = ("loop",),
    grid: Iterable[str] = (),
    seeds: int = 3,
    hops: int | None = None,
    changes: Iterable[str] = (),
    budget: str = "5m",
    jobs: int | None = None,
    resume: bool = False,
    force: bool = False,
    notice: SweepNotice = lambda _: None,
) -> SweepResult:
    """Train `seeds` models of each contender at each level of phi, ask them, and return what `out`/sweep.json says.

    A seed that fails is listed in `failed`, and the others go on.

    Args:
        phis: inferred facts of each length for each trainable atomic fact; 'all' for all that the graph offers.
        grid: alternatives with commas between, each `NAME=VALUE` or several joined by '+' (`contenders`). Every preset
            is trained with every choice of them.
        changes: settings of every contender, as `NAME=VALUE`.
        budget: of each seed, of which as many as `jobs` are trained at once; one for each core when None.
        resume: go on with the sweep folder `out`; more levels, contenders and seeds than it has are added.

    Raises:
        InputError: the graph cannot be read or does not offer a level, or `out` exists and is neither to be resumed
            nor replaced, or is to be resumed with less than it was begun with, or with another graph or settings.
    """
    refuse_inside(out, graph_path)
    changes, grid = list(changes), list(grid)
    found = _contenders(presets, grid, hops, changes)
    manifest: dict[str, Any] = {
        "levels": parse_levels(phis),
        "contenders": [contender.name for contender in found],
        "presets": {contender.name: contender.preset for contender in found},
        "seeds": seeds,
        "hops": hops,
        "changes": changes,
        "grid": grid,
        "settings": {contender.name: asdict(contender.settings) for contender in found},
        "budget": Budget.parse(budget).record(),
        "per_seed": budget,
        "jobs": jobs or hardware().cores,
    }
    if resume and out.exists():
        made = _extended(Sweep.read(out), graph_path, manifest)
    else:
        made = _begun(graph_path, out, manifest, force=force)
    work = Work(made, slots=manifest["jobs"], notice=notice)
    work.run()
    result = result_of(made, work.rows, work.failures)
    write_json(out / RESULT, result.to_dict())
    return result


def _contenders(presets: Sequence[str], grid: list[str], hops: int | None, changes: list[str]) -> list[Contender]:
    for change in changes:
        if change.partition("=")[0].strip() == "task.phi":
            raise InputError(f"--set {change!r}: phi is what a sweep varies, name its levels with --phi")
    return contenders(presets, grid, hops=hops, changes=changes)


def _begun(graph_path: Path, out: Path, manifest: dict[str, Any], *, force: bool) -> Sweep:
    """Make the sweep folder with all its run folders, before any training."""
    refuse_to_overwrite(out, kind="sweep", force=force)
    graph = Graph.read(graph_path)
    manifest = {**manifest, "graph": {"name": graph_path.resolve().name, **graph.counts().to_dict()}}
    sweep = Sweep(out, manifest)
    with new_folder(out, kind="sweep", manifest=manifest, force=force) as scratch:
        for place in sweep.places:
            _begin(graph_path, scratch / place.path, sweep, place)
    return Sweep.read(out)


def _begin(graph_path: Path, path: Path, sweep: Sweep, place: Place) -> None:
    """Make the run folder of a place, so that none fails when others have been trained for hours.

    Raises:
        InputError: the graph does not offer the level, or nothing would be trained at it.
    """
    settings = at_level(sweep.settings[place.contender], place.level)
    one = ResourceConfig(seeds=len(sweep.seeds), budget=sweep.manifest["per_seed"], threads=1)
    try:
        dataset = begin(graph_path, path, replace(settings, resources=one), threads=1, force=True)
    except InputError as error:
        raise InputError(f"{place}: {error}") from error
    composes = settings.task.control != "no-chains"
    if composes and not any(dataset.trained(comparable=True).values()):
        raise InputError(f"{place}: this is less than one inferred fact, so that nothing would be composed")


def at_level(settings: RunConfig, level: str) -> RunConfig:
    """The settings of a contender, with a level of phi."""
    return replace(settings, task=replace(settings.task, phi=limit(level)))


def _extended(sweep: Sweep, graph_path: Path, wanted: dict[str, Any]) -> Sweep:
    """The sweep with the runs and seeds that it did not have.

    Raises:
        InputError: it has some that are not wanted now, or was begun with another graph, budget or other settings.
    """
    _refuse_less(sweep, wanted)
    grown = Sweep(sweep.path, {**sweep.manifest, **wanted})
    for name in sweep.contenders:
        place = Place(name, sweep.levels[0])
        refuse_another_run(Run.read(sweep.run_path(place)), graph_path, at_level(grown.settings[name], sweep.levels[0]))
    added = [place for place in grown.places if place not in sweep.places]
    begun: list[Path] = []
    try:
        for place in added:
            begun.append(grown.run_path(place))
            _begin(graph_path, begun[-1], grown, place)
    except BaseException:
        for path in begun:
            rmtree(path, ignore_errors=True)
        raise
    for place in sweep.places:
        add_seeds(Run.read(sweep.run_path(place)), wanted["seeds"])
    write_json(grown.path / MANIFEST, grown.manifest)
    return Sweep.read(grown.path)


def _refuse_less(sweep: Sweep, wanted: dict[str, Any]) -> None:
    less = [name for name in ("levels", "contenders") if not set(sweep.manifest[name]) <= set(wanted[name])]
    less += ["seeds"] * (wanted["seeds"] < len(sweep.seeds))
    if less:
        begun = shlex.join([*sweep.words(), "--seeds", str(len(sweep.seeds))])
        raise InputError(f"{sweep.path} was begun with {begun}: it can be resumed with these and more, not with fewer")
    if sweep.manifest["budget"] != wanted["budget"]:
        raise InputError(
            f"{sweep.path} was begun with another --budget: give the same one, since seeds that were trained for "
            "different times cannot be compared, or choose another name with -o"
        )
