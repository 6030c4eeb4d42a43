"""A recipe run from its data to a verdict: what a paper reports, beside what the same steps come to here.

A recipe is a file of `grokhop.experiments.recipes`, named author, year, what, data. Its graph comes of questions of
files in the official format, some of them held out, or is drawn by chance; the recipe says how to augment and to train
it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from grokhop.augmentation.augment import augment_folder
from grokhop.core.artifacts import new_folder, refuse_to_overwrite, write_json
from grokhop.core.errors import InputError
from grokhop.core.statistics import CellScore
from grokhop.datasets import two_wiki
from grokhop.datasets.ingest import ingest_synthetic, ingest_two_wiki
from grokhop.datasets.synthetic import COMPARISON
from grokhop.evaluation.evaluate import evaluate
from grokhop.experiments.recipes import Plan, Recipe, read_recipe
from grokhop.experiments.recipes.pattern import verdict
from grokhop.experiments.result import BlindScore, Ours, Reproduction
from grokhop.graph.graph import Graph
from grokhop.reporting import report
from grokhop.runs.callbacks import Callback
from grokhop.runs.metrics import ENOUGH_OOD_QUERIES, GROKKED
from grokhop.runs.run import Run
from grokhop.training.train import train

RESULT = "reproduction.json"
SIZES = {
    "entities": "entities",
    "relations": "relations",
    "out_degree": "facts of an entity",
    "values": "values of a relation",
    "holdout": "share of facts held out",
}
"""Of a graph that is drawn."""
FIGURES = {
    **SIZES,
    "facts_before": "atomic facts before",
    "inferred_before": "inferred facts before",
    "facts": "atomic facts",
    "facts_id": "atomic facts, trainable",
    "inferred": "inferred facts, trained",
    "phi": "phi of trainable facts",
    "phi_all": "phi of all facts",
    "id_accuracy": "ID accuracy",
    "ood_accuracy": "OOD accuracy",
    "train_99_steps": "steps to training 99 %",
    "id_95_steps": "steps to ID 95 %",
    "ood_95_steps": "steps to OOD 95 %",
    "train_99_seconds": "seconds to training 99 %",
    "id_95_seconds": "seconds to ID 95 %",
    "ood_95_seconds": "seconds to OOD 95 %",
    "steps": "steps of a training",
    "train_seconds": "seconds of a training",
}
"""What is set side by side. Inferred facts divided by trainable atomic ones are Wang's phi, by all atomic ones
Abramov's; steps and seconds are of each seed, null where a mark was not reached."""


def reproduce(
    name: str,
    files: Sequence[Path],
    out: Path,
    *,
    preset: str | None = None,
    published: bool = False,
    changes: Iterable[str] = (),
    seeds: int = 3,
    budget: str | None = None,
    threads: int | None = None,
    force: bool = False,
    callbacks: Sequence[Callback] = (),
) -> Reproduction:
    """Run a recipe into the folder `out`, and return what was reported and what came.

    Args:
        files: in the official format; none for a recipe that draws its graph.
        preset: see `Recipe.plan`, as are `published`, `changes` and `budget`.

    Raises:
        InputError: there is no such recipe, preset or setting, the files are not what the recipe needs, or `out`
            exists.
    """
    recipe = read_recipe(name)
    plan = recipe.plan(preset=preset, published=published, changes=changes, budget=budget)
    refuse_to_overwrite(out, kind="reproduction", force=force)
    before = _ingest(recipe, plan, files, out, force=force)
    graph, run = out / "graph", out / "run"
    if recipe.augment:
        graph = out / "augmented"
        augment_folder(out / "graph", graph, **recipe.augment)
    resources = replace(plan.settings.resources, seeds=seeds, threads=threads)
    trained = train(graph, run, replace(plan.settings, resources=resources), callbacks=callbacks)
    ours = _ours(recipe, plan, before, trained, evaluate(run, threads=threads).to_dict())
    result = Reproduction(
        recipe=recipe,
        published=recipe.plan(published=True),
        here=plan,
        ours=ours,
        pattern=verdict(recipe.pattern, ours.measured()),
        report=report(run),
    )
    write_json(out / RESULT, result.to_dict())
    return result


def _ingest(recipe: Recipe, plan: Plan, files: Sequence[Path], out: Path, *, force: bool) -> Graph:
    """Make `out` with the graph folder in it, and return the graph."""
    if files and not recipe.needs_files:
        raise InputError(f"recipe {recipe.name} draws its graph: give it no files, not {files[0]}")
    chosen, held_out = _choose(recipe.name, plan.data, files) if recipe.needs_files else ([], [])
    records, ood_questions = "records.json", "held_out.json"
    with new_folder(
        out, kind="reproduction", manifest={"recipe": recipe.name, **plan.to_dict()}, force=force
    ) as folder:
        if recipe.needs_files:
            write_json(folder / records, chosen)
            write_json(folder / ood_questions, held_out)
    if not recipe.needs_files:
        return ingest_synthetic(out / "graph", **plan.data)
    return ingest_two_wiki([out / records], out / "graph", holdout=0.1, ood_questions=out / ood_questions)


def _choose(
    name: str, wanted: dict[str, Any], files: Sequence[Path]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The records of a recipe, and those of them whose facts are held out."""
    if not files:
        raise InputError(
            f"recipe {name} asks questions of 2WikiMultiHopQA: give their files behind its name, such as dev.json"
        )
    records = [record for file in files for record in two_wiki.values(file) if record.get("type") in wanted["types"]]
    chosen = [record for record in records if record.get("evidences")][: wanted["most"]]
    if len(chosen) < wanted["ood_every"]:
        raise InputError(
            f"{', '.join(map(str, files))}: {len(chosen)} questions of type {' or '.join(wanted['types'])}, "
            f"recipe {name} needs {wanted['ood_every']} or more: give more records"
        )
    return chosen, chosen[:: wanted["ood_every"]]


def _ours(recipe: Recipe, plan: Plan, before: Graph, run: Run, evaluation: Mapping[str, Any]) -> Ours:
    summaries = [run.summary(seed) for seed in run.finished_seeds()]
    return Ours(
        drawn={name: plan.data[name] for name in SIZES if name in plan.data},
        facts_before=len(before) if recipe.augment else None,
        inferred_before=len(before.questions) if recipe.augment else None,
        facts=len(run.plain_graph),
        facts_id=run.dataset.counts["trainable_facts"],
        inferred=_inferred(recipe, run),
        grok={mark: [found.grok[mark] for found in summaries] for mark in GROKKED},
        steps=[found.steps for found in summaries],
        train_seconds=evaluation["train_seconds"],
        id=_score(recipe, evaluation, "id"),
        ood=_score(recipe, evaluation, "ood"),
        marks=_marks(run),
        look_every=run.settings.train.evaluate_every,
        seeds=evaluation["seeds"],
        hardware=evaluation.get("hardware"),
    )


def _marks(run: Run) -> str:
    """Say which validation queries `grokhop.runs.metrics.EvalRecord` judges for ID 95 % and OOD 95 %."""
    cells = run.dataset.validation[2]
    id_, ood = len(cells["II"]), len(cells["OO"])
    if not sum(map(len, cells.values())):
        return "validation comparisons"
    if ood >= ENOUGH_OOD_QUERIES:
        return f"validation chains, {id_:,} II and {ood:,} OO"
    any_ood = sum(map(len, cells.values())) - id_
    return f"validation chains, {id_:,} II and {any_ood:,} with any OOD fact, for only {ood} are OO"


def _inferred(recipe: Recipe, run: Run) -> int:
    """The paths of two facts that are trained; of comparisons, the distinct pairs."""
    dataset = run.dataset
    if recipe.task != COMPARISON:
        return dataset.counts["trained_2_hops"]
    return dataset.counts["distinct_comparisons"]


def _score(recipe: Recipe, evaluation: Mapping[str, Any], cell: str) -> BlindScore:
    """The score that answers for a recipe: of questions where it has them, else of comparisons, else of II or OO."""
    if recipe.needs_files:
        by_cell = evaluation["questions"].get(recipe.task, {})
    elif recipe.task == COMPARISON:
        by_cell = evaluation["comparison"]
    else:
        by_cell = {"id": evaluation["cells"]["2"]["II"], "ood": evaluation["cells"]["2"]["OO"]}
    found = by_cell.get(cell)
    if not found:
        return BlindScore()
    return BlindScore(**vars(CellScore.from_dict(found)), blind=found.get("baseline", found.get("majority")))
