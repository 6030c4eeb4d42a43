"""A recipe run from records to a verdict: what a paper reports, beside what the same steps come to here.

A recipe is a file of `grokhop.recipes`, named author, year, what, data. It chooses questions of files in the official
format, holds some of them out, and says how to augment and to train.
"""

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from grokhop.augment import augment_folder
from grokhop.compare import Comparing
from grokhop.errors import InputError
from grokhop.evaluate import evaluate
from grokhop.folder import new_folder, refuse_to_overwrite, write_json
from grokhop.graph import Graph, Part
from grokhop.ingest import ingest_two_wiki
from grokhop.metrics import Begun, Notice
from grokhop.phi import measure
from grokhop.report import report
from grokhop.run import Run
from grokhop.settings import Budget, preset
from grokhop.sources import two_wiki
from grokhop.train import train

RESULT = "reproduction.json"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One published experiment; see the files for what the parts hold."""

    name: str
    title: str
    paper: str
    where: str
    reported: dict[str, Any]
    assumed: list[str]
    questions: dict[str, Any]
    augment: dict[str, Any]
    train: dict[str, Any]


def names() -> list[str]:
    """The recipes there are."""
    found = (path.name for path in resources.files("grokhop.recipes").iterdir())
    return sorted(name.removesuffix(".json") for name in found if name.endswith(".json"))


def recipes() -> list[dict[str, str]]:
    """Name and title of each recipe."""
    return [{"name": name, "title": read_recipe(name).title} for name in names()]


def read_recipe(name: str) -> Recipe:
    """Read a recipe by its name.

    Raises:
        InputError: there is none of this name.
    """
    if name not in names():
        raise InputError(f"there is no recipe {name!r}: choose one of {', '.join(names())}")
    text = (resources.files("grokhop.recipes") / f"{name}.json").read_text(encoding="utf-8")
    return Recipe(name=name, **json.loads(text))


def reproduce(
    name: str,
    files: list[Path],
    out: Path,
    *,
    seeds: int = 3,
    budget: Budget | None = None,
    threads: int | None = None,
    force: bool = False,
    begun: Begun = lambda _counts: None,
    notice: Notice = lambda _seed, _look: None,
) -> dict[str, Any]:
    """Run a recipe on files in the official format into the folder `out`, and return what was reported and what came.

    Args:
        budget: of each seed, instead of the recipe's.

    Raises:
        InputError: there is no such recipe, the files hold no question of its types, or `out` exists.
    """
    recipe = read_recipe(name)
    refuse_to_overwrite(out, kind="reproduction", force=force)
    with new_folder(out, kind="reproduction", manifest={"recipe": name}, force=force) as folder:
        chosen, held_out = _choose(recipe, files)
        write_json(folder / "records.json", chosen)
        write_json(folder / "held_out.json", held_out)
    graph, augmented, run = out / "graph", out / "augmented", out / "run"
    before = ingest_two_wiki([out / "records.json"], graph, holdout=0.1, ood_questions=out / "held_out.json")
    augment_folder(graph, augmented, **recipe.augment)
    trained = train(
        augmented,
        run,
        settings=preset(recipe.train["preset"], compare=recipe.train["compare"]),
        preset=recipe.train["preset"],
        budget=budget or Budget.parse(recipe.train["budget"]),
        seeds=seeds,
        threads=threads,
        begun=begun,
        notice=notice,
    )
    evaluation = evaluate(run, threads=threads)
    report(run)
    result = {
        "recipe": name,
        "title": recipe.title,
        "paper": recipe.paper,
        "where": recipe.where,
        "assumed": recipe.assumed,
        "reported": recipe.reported,
        "ours": _ours(recipe, before, trained, evaluation),
        "report": str(run / "report.html"),
    }
    write_json(out / RESULT, result)
    return result


def _choose(recipe: Recipe, files: list[Path]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The records of a recipe, and those of them whose facts are held out."""
    wanted = recipe.questions
    records = [record for file in files for record in two_wiki.values(file) if record.get("type") in wanted["types"]]
    chosen = [record for record in records if record.get("evidences")][: wanted["most"]]
    if len(chosen) < wanted["ood_every"]:
        raise InputError(
            f"{', '.join(map(str, files))}: {len(chosen)} questions of type {' or '.join(wanted['types'])}, "
            f"recipe {recipe.name} needs {wanted['ood_every']} or more: give more records"
        )
    return chosen, chosen[:: wanted["ood_every"]]


def _ours(recipe: Recipe, before: Graph, run: Run, evaluation: dict[str, Any]) -> dict[str, Any]:
    facts, inferred = len(run.plain_graph), _inferred(recipe, run)
    (kind,) = recipe.questions["types"]
    score = evaluation["questions"][kind]["ood"]
    return {
        "facts_before": len(before),
        "inferred_before": len(before.questions),
        "facts_after": facts,
        "inferred_after": inferred,
        "phi_after": inferred / facts,
        "ood_accuracy": score["accuracy"],
        **{key: score[key] for key in ("low", "high", "n", "per_seed", "spread")},
        "train_seconds": evaluation["train_seconds"],
        "hardware": evaluation.get("hardware"),
    }


def _inferred(recipe: Recipe, run: Run) -> int:
    """Two-hop paths of trainable facts; of comparisons, the distinct pairs that are trained."""
    if not recipe.train["compare"]:
        return int(measure(run.plain_graph)["trainable"]["paths"])
    return len(Comparing(run.graph, tested=run.compositions.tested).rows(Part.TRAIN).distinct())
