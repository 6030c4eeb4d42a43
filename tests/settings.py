"""Settings for tests: any of them set anew by its own name, whatever section it stands in."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from grokhop.config import Budget, RunConfig
from grokhop.config.models import model_section
from grokhop.config.schema import LEARNED
from grokhop.runs.callbacks import Callback
from grokhop.runs.metrics import EvalRecord


def with_(settings: RunConfig, **changes: Any) -> RunConfig:
    """The settings with some set anew; `optimizer` is its name, and `model` a section of its own."""
    by_section: dict[str, dict[str, Any]] = {}
    for name, value in changes.items():
        if name == "model":
            settings = replace(settings, model=value)
            continue
        section, own = ("optimizer", "name") if name == "optimizer" else (section_of(name), name)
        by_section.setdefault(section, {})[own] = value
    made = {section: replace(getattr(settings, section), **own) for section, own in by_section.items()}
    return replace(settings, **made)


def section_of(name: str) -> str:
    """The section in which a setting stands."""
    return next(s for s in LEARNED if name in {field.name for field in fields(getattr(RunConfig(), s))})


def settings_of(**changes: Any) -> RunConfig:
    """The defaults with some set anew."""
    return with_(RunConfig(), **changes)


def shape_of(architecture: str = "loop", **shape: Any) -> Any:
    """The section of an architecture."""
    return model_section(architecture)(architecture=architecture, **shape)


def ran(
    settings: RunConfig, *, budget: Budget | str = "10m", seeds: int = 1, threads: int | None = 1, preset: str = "toy"
) -> RunConfig:
    """The settings with resources, and the name of a preset."""
    resources = replace(settings.resources, budget=str(budget), seeds=seeds, threads=threads)
    return replace(settings, resources=resources, preset=preset)


class Told(Callback):
    """Hands each evaluation to a function of the seed and the record."""

    def __init__(self, notice: Callable[[int, EvalRecord], None]) -> None:
        self._notice = notice

    def on_eval(self, seed: int, record: EvalRecord) -> None:
        self._notice(seed, record)
