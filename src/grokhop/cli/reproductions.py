"""What people see of a reproduction: the published figures beside those that came of it here."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from grokhop.core.formatting import percent

if TYPE_CHECKING:
    from grokhop.experiments.recipes import RecipeList
    from grokhop.experiments.result import Reproduction

from grokhop.cli.console import out, plain_table, say_report


def show_recipes(found: "RecipeList") -> None:
    """The published experiments that can be run, and what each needs."""
    for recipe in found.recipes:
        needs = "needs files of 2WikiMultiHopQA" if recipe.needs_files else "needs no files"
        out.print(f"{recipe.name} ({needs}): {recipe.title}", markup=False, soft_wrap=True)
    out.print("no published size was run here; --published takes it, for those with a GPU", soft_wrap=True)
    out.print("run one with: grokhop reproduce NAME [FILES] -o FOLDER", markup=False)


def show_reproduction(result: "Reproduction") -> None:
    """What was reported beside what came of it here, whether the pattern shows, and what had to be assumed."""
    from grokhop.experiments.reproduce import FIGURES

    reported, ours = result.recipe.reported, result.ours.to_dict()
    table = plain_table(result.recipe.title, "", ("reported", "certainty", "here"))
    for name, label in FIGURES.items():
        told = reported.get(name, {"value": None, "certainty": ""})
        if name in ours or told["value"] is not None:
            table.add_row(label, _figure(name, told["value"]), told["certainty"], _figure(name, ours.get(name)))
    out.print(table)
    for line in _about_a_reproduction(result):
        out.print(line, markup=False, soft_wrap=True)
    say_report(result.report)


def _figure(name: str, value: Any) -> str:
    """A figure of a reproduction, or those of its seeds."""
    if isinstance(value, list):
        return ", ".join(_figure(name, one) for one in value)
    if name.endswith("accuracy") or value is None:
        return percent(value)
    return f"{value:,.0f}" if value >= 100 or isinstance(value, int) else f"{value:.3g}"


def _about_a_reproduction(result: "Reproduction") -> Iterator[str]:
    recipe, ours, pattern = result.recipe, result.ours, result.pattern
    for cell, score in (("ID", ours.id), ("OOD", ours.ood)):
        blind = "" if score.blind is None else f"; {percent(score.blind)} majority baseline"
        yield (
            f"here, {cell}: {percent(score.accuracy)} of {score.n:,}, 95 % interval {percent(score.low)} to "
            f"{percent(score.high)}, seeds {', '.join(map(percent, score.per_seed))}, "
            f"std {percent(score.spread)}{blind}"
        )
    yield f"here, ID 95 % and OOD 95 % are of {ours.marks}"
    yield f"published size: {result.published_size}{'' if result.here.published else f': {recipe.not_run}'}"
    for name, plan in (("published", result.published), ("here", result.here)):
        yield f"{name}: {plan.model}; {', '.join([f'preset {plan.preset}', *plan.changed])}; {plan.most}"
    shows = {True: "shows", False: "does not show", None: "cannot be told"}
    yield f"the reported pattern {shows[pattern.shows]}"
    for claim in pattern.claims:
        yield f"- {claim.says} ({claim.certainty}) {shows[claim.shows]}: {claim.because}"
    yield f"known of the paper: {recipe.where}"
    yield from (f"unknown: {line}" for line in recipe.unknown)
    yield from (f"assumed: {line}" for line in recipe.assumed)
