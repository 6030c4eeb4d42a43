"""The commands that make a run again, from what its manifests recorded."""

import shlex
from pathlib import Path
from typing import Any

from grokhop.report.wording import budget_text
from grokhop.run import Run
from grokhop.settings import PRESETS, preset


def commands(run: Run) -> list[str]:
    """The commands that make this run, from what its manifests recorded; lines that begin with # are remarks."""
    manifest, graph, name = run.manifest, run.graph_manifest, run.path.name
    train = ["grokhop", "train", _graph_name(graph), "--preset", manifest["preset"]]
    if run.settings.hops != PRESETS.get(manifest["preset"], run.settings).hops:
        train += ["--hops", str(run.settings.hops)]
    budget = _budget(manifest["budget"])
    train += ["--budget", budget] if budget != "none" else []
    train += ["--seeds", str(manifest["seeds"])]
    train += ["--threads", str(manifest["threads"])] if "threads" in manifest else []
    lines = [*_graph_commands(graph), shlex.join([*train, "-o", name])]
    if manifest["preset"] not in PRESETS or run.settings != preset(manifest["preset"], hops=run.settings.hops):
        lines.append(f"# manifest.json has settings that preset {manifest['preset']} of this release has not")
    return [*lines, shlex.join(["grokhop", "eval", name]), shlex.join(["grokhop", "report", name])]


def _graph_name(graph: dict[str, Any]) -> str:
    return "augmented" if graph.get("stage") == "augment" else "graph"


def _graph_commands(graph: dict[str, Any]) -> list[str]:
    if graph.get("stage") != "augment":
        return [_ingest_command(graph)]
    options = {k: v for k, v in graph.get("settings", {}).items() if k in ("target_phi", "seed") and v is not None}
    augment = ["grokhop", "augment", "graph", *_flags(options), "-o", _graph_name(graph)]
    return [_ingest_command(graph.get("ingest") or _ingest_of_built_in(graph)), shlex.join(augment)]


def _ingest_of_built_in(graph: dict[str, Any]) -> dict[str, Any]:
    """How the built-in graph was ingested before facts were added: its hold-out says all there is to say."""
    if graph["sources"][0]["name"] != "worldfacts" or graph["holdout"].get("unit") != "pair":
        return {}
    return {"settings": {"source": "worldfacts", "holdout": graph["holdout"]["share"]}}


def _ingest_command(manifest: dict[str, Any]) -> str:
    settings = manifest.get("settings", {})
    if "source" not in settings:
        return "# the graph folder 'graph': its manifest does not say by which command it was made"
    options = {k: v for k, v in settings.items() if k != "source" and v is not None}
    if "ood_questions" in options:
        options["ood_questions"] = Path(options["ood_questions"]).name
    files = [f["name"] for f in manifest.get("inputs", []) if f["name"] not in options.values()]
    inputs = {"worldfacts": [], "osu": ["DIR"]}.get(settings["source"], files)
    return shlex.join(["grokhop", "ingest", settings["source"], *inputs, *_flags(options), "-o", "graph"])


def _flags(options: dict[str, Any]) -> list[str]:
    return [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
