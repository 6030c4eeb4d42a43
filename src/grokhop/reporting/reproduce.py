"""The commands that make a run again, from what its manifests recorded."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from grokhop.config import PRESETS, changes, preset
from grokhop.runs.run import CONFIG, Run

"""What `--budget` is given for a run without a limit: left out, it would be the command's own default."""
_FILE_OPTIONS = ("labels", "ood_questions")
"""Settings of an ingest that are files; the manifest lists such a file behind those that hold the facts."""


def commands(run: Run) -> list[str]:
    """The commands that make this run; lines that begin with # are remarks."""
    name = run.path.name
    return [
        *graph_commands(run.graph_manifest),
        *_train_commands(run),
        shlex.join(["grokhop", "eval", name]),
        shlex.join(["grokhop", "report", name]),
    ]


class InputFile(NamedTuple):
    """A file that the commands read."""

    name: str
    sha256: str


def inputs(run: Run) -> list[InputFile]:
    """The files that the commands read."""
    graph = run.graph_manifest
    files = _files(graph)
    if graph.get("stage") != "augment":
        return files
    return [*_files(graph.get("ingest") or {}), *(file._replace(name="graph/facts.parquet") for file in files)]


def _files(manifest: dict[str, Any]) -> list[InputFile]:
    return [InputFile(file["name"], file["sha256"]) for file in manifest.get("inputs") or []]


def _train_commands(run: Run) -> list[str]:
    settings, name = run.settings, run.settings.preset
    train = ["grokhop", "train", graph_name(run.graph_manifest), "--preset", name]
    if name not in PRESETS:
        lines = [f"# this release has no preset {name}: --config takes all settings from the run's own file"]
        train = [*train[:3], "--config", f"{run.path.name}/{CONFIG}"]
    else:
        base = preset(name)
        train += [] if settings.task.hops == base.task.hops else ["--hops", str(settings.task.hops)]
        train += [] if settings.task.compare else ["--no-compare"]
        train += ["--control", run.control] if run.control else []
        named = [f"task.control={settings.task.control}"]
        base = preset(name, hops=settings.task.hops, compare=settings.task.compare, changes=named)
        resources = replace(base, resources=settings.resources)
        train += [word for change in changes(settings, resources) for word in ("--set", change)]
        lines = []
    train += ["--budget", settings.resources.budget, "--seeds", str(settings.resources.seeds)]
    train += ["--threads", str(run.manifest["threads"])] if "threads" in run.manifest else []
    return [shlex.join([*train, "-o", run.path.name]), *lines]


def graph_name(graph: dict[str, Any]) -> str:
    return "augmented" if graph.get("stage") == "augment" else "graph"


def graph_commands(graph: dict[str, Any]) -> list[str]:
    if graph.get("stage") != "augment":
        return [_ingest_command(graph)]
    settings = graph.get("settings") or {}
    names = ("target_phi", "corrupt_fraction", "seed", "max_degree", "new_cities")
    options = {k: settings[k] for k in names if settings.get(k) or (k == "seed" and k in settings)}
    if settings.get("sources", ["graph"]) != ["graph"]:
        options["source"] = ",".join(settings["sources"])
    augment = ["grokhop", "augment", "graph", *_flags(options), "-o", graph_name(graph)]
    ingest = _ingest_command(graph["ingest"]) if graph.get("ingest") else _ingest_of_built_in(graph)
    lines = [ingest, shlex.join(augment)]
    if (times := _times_augmented(graph)) > 1:
        lines.append(f"# facts were added {times} times, one after the other; only the last is recorded")
    return lines


def _times_augmented(graph: dict[str, Any]) -> int:
    """A source that adds again is numbered: 'augment:graph 2'."""
    added = (source["name"].partition(" ")[2] or "1" for source in graph["sources"] if "augment:" in source["name"])
    return max(map(int, added), default=0)


def _ingest_of_built_in(graph: dict[str, Any]) -> str:
    """How the built-in graph was ingested, from a manifest that does not keep it: its hold-out says all there is."""
    if graph["sources"][0]["name"] != "worldfacts" or graph["holdout"].get("unit") != "pair":
        return _ingest_command({})
    return _ingest_command({"settings": {"source": "worldfacts", "holdout": graph["holdout"]["share"]}})


def _ingest_command(manifest: dict[str, Any]) -> str:
    settings = manifest.get("settings") or {}
    if "source" not in settings:
        return "# the graph folder 'graph': its manifest does not say by which command it was made"
    options = {k: v for k, v in settings.items() if k != "source" and v is not None}
    files = [file.name for file in _files(manifest)]
    for option in _FILE_OPTIONS:
        if option in options:
            options[option] = Path(options[option]).name
            files = files[:-1] if files[-1:] == [options[option]] else files
    inputs = {"worldfacts": [], "osu": ["DIR"]}.get(settings["source"], files)
    return shlex.join(["grokhop", "ingest", settings["source"], *inputs, *_flags(options), "-o", "graph"])


def _flags(options: dict[str, Any]) -> list[str]:
    return [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
