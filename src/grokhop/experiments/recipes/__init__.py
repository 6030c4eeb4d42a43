"""Published experiments as data: what was reported and where, what had to be assumed, and the settings that run it.

A recipe is a file `AUTHORYEAR_what_data.json` beside this one, whose keys are the fields of `Recipe`. A size that runs
here and the published one stand side by side in it, so that neither passes for the other.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib import resources
from math import isfinite
from typing import Any

from grokhop.config import PRESETS, ResourceConfig, RunConfig
from grokhop.config import changes as changes_between
from grokhop.config import preset as preset_settings
from grokhop.core.errors import InputError
from grokhop.core.records import Record

ABSTRACT, SOURCE_CODE, SECOND_HAND, DERIVED, NOT_KNOWN = CERTAINTIES = (
    "abstract",
    "source code",
    "second-hand",
    "derived",
    "not known",
)
"""Of a reported number: stands in the paper's abstract; in its authors' code; was told by somebody else; follows by
arithmetic from numbers of the code; is none, since no text of the paper that was at hand has it."""
QUESTIONS, SYNTHETIC, PUBLISHED = "questions", "synthetic", "published"
OF_DATA = ("task.phi", "task.hops", "task.extra_hops")
"""Settings that say what is trained, not how: they stay where another preset answers."""


@dataclass(frozen=True, kw_only=True)
class RecipePlan:
    """What is run of a recipe: the data, the settings, and for how long. `published` tells its size."""

    data: dict[str, Any]
    preset: str
    settings: RunConfig
    published: bool

    @property
    def changed(self) -> list[str]:
        """The settings that differ from their preset, each as SECTION.NAME=VALUE."""
        return changes_between(replace(self.settings, resources=ResourceConfig()), PRESETS[self.preset])

    @property
    def model(self) -> str:
        """The model in words."""
        return ", ".join(self.settings.model.words())

    @property
    def most(self) -> str:
        """The budget in words."""
        budget = self.settings.budget
        return f"{budget.steps:,.0f} steps" if isfinite(budget.steps) else f"{budget.seconds:,.0f} s"

    def to_dict(self) -> dict[str, Any]:
        """Return the plan for JSON: settings as what they change of their preset."""
        return {
            "published": self.published,
            "data": self.data,
            "preset": self.preset,
            "set": self.changed,
            "model": self.model,
            "budget": self.most,
        }


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One published experiment.

    Attributes:
        where: the texts that are known of the paper, for all numbers at once.
        reported: by the names of `grokhop.experiments.reproduce.FIGURES`: `value` (null where not known), `certainty`
            and `where` it stands, or why it is not known.
        pattern: what the paper says that happens: `claim` (of `grokhop.experiments.recipes.pattern`), `certainty` and
            `where`.
        unknown: what the paper, or what is known of it, does not say.
        assumed: what was chosen here in its stead, or is otherwise than published.
        data: `questions` {types, most, ood_every} of files in 2WikiMultiHopQA's format, or `synthetic`, the arguments
            of `grokhop.datasets.ingest.ingest_synthetic`; and `published`, the same at the published size.
        augment: arguments of `grokhop.augmentation.augment.augment_folder`, if anything is added.
        train: `preset`, `set`, `compare`, `hops` and `budget` of what runs here.
        published_train: `preset`, `set` and `budget` as published.
        not_run: why the published size was not run here.
    """

    name: str
    title: str
    paper: str
    where: str
    reported: dict[str, dict[str, Any]]
    pattern: list[dict[str, str]]
    unknown: list[str]
    assumed: list[str]
    data: dict[str, Any]
    train: dict[str, Any]
    published_train: dict[str, Any]
    not_run: str
    augment: dict[str, Any] | None = None

    @property
    def needs_files(self) -> bool:
        """Whether its data are questions of files; a synthetic graph is drawn."""
        return QUESTIONS in self.data

    @property
    def task(self) -> str:
        """The type of its questions, or the kind of its synthetic graph."""
        return self.data[QUESTIONS]["types"][0] if self.needs_files else self.data[SYNTHETIC]["kind"]

    def plan(
        self,
        *,
        preset: str | None = None,
        published: bool = False,
        changes: Iterable[str] = (),
        budget: str | None = None,
    ) -> RecipePlan:
        """What is to be run.

        Args:
            preset: instead of the recipe's; of the recipe's own changes only those that say what is trained stay.
            published: at the published size, with the settings that were published.
            changes: settings set anew (`grokhop.config.changed`), after the recipe's own.
            budget: of each seed, instead of the recipe's.

        Raises:
            InputError: there is no such preset or setting, or a value is wrong.
        """
        train = self.published_train if published else self.train
        chosen = preset or train["preset"]
        own = [change for change in train["set"] if chosen == train["preset"] or change.partition("=")[0] in OF_DATA]
        settings = preset_settings(
            chosen,
            hops=self.train["hops"],
            compare=self.train["compare"],
            changes=[*own, *changes, f"resources.budget={budget or train['budget']}"],
        )
        return RecipePlan(
            data=self.data[PUBLISHED] if published else self.data[QUESTIONS if self.needs_files else SYNTHETIC],
            preset=chosen,
            settings=settings,
            published=published,
        )


@dataclass(frozen=True, kw_only=True)
class RecipeEntry(Record):
    """A recipe in a list. `not_run` says why its published size was not run here."""

    name: str
    title: str
    needs_files: bool
    not_run: str


@dataclass(frozen=True, kw_only=True)
class RecipeList(Record):
    """The recipes there are."""

    recipes: list[RecipeEntry]


def names() -> list[str]:
    """The recipes there are."""
    found = (path.name for path in resources.files(__name__).iterdir())
    return sorted(name.removesuffix(".json") for name in found if name.endswith(".json"))


def recipes() -> RecipeList:
    """Read all recipes, in the order of their names."""
    read = map(read_recipe, names())
    entries = [RecipeEntry(name=r.name, title=r.title, needs_files=r.needs_files, not_run=r.not_run) for r in read]
    return RecipeList(recipes=entries)


def read_recipe(name: str) -> Recipe:
    """Read a recipe by its name.

    Raises:
        InputError: there is none of this name.
    """
    if name not in names():
        raise InputError(f"there is no recipe {name!r}: choose one of {', '.join(names())}")
    text = (resources.files(__name__) / f"{name}.json").read_text(encoding="utf-8")
    return Recipe(name=name, **json.loads(text))
