"""Presets: named choices of settings, each a YAML file beside this one that says what differs from the defaults."""

from collections.abc import Iterable
from importlib import resources
from typing import Any

import yaml

from grokhop.config.schema import MOST_HOPS, RunConfig
from grokhop.config.settings import changed, config_of
from grokhop.core.errors import InputError
from grokhop.core.registry import nearest

DEFAULT = "recurrent"
"""What is trained where no preset is named."""


def preset_names() -> list[str]:
    """Return the names of the presets, the default first."""
    found = (path.name for path in resources.files(__name__).iterdir() if path.name.endswith(".yaml"))
    names = sorted(name.removesuffix(".yaml") for name in found)
    return sorted(names, key=lambda name: name != DEFAULT)


def preset_record(name: str) -> dict[str, Any]:
    """Return what the preset sets, by section.

    Raises:
        InputError: there is no such preset.
    """
    names = preset_names()
    if name not in names:
        raise InputError(f"there is no preset {name!r}: choose one of {', '.join(names)}{nearest(name, names)}")
    text = (resources.files(__name__) / f"{name}.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text) or {})


def preset(
    name: str, *, hops: int | None = None, compare: bool | None = None, changes: Iterable[str] = ()
) -> RunConfig:
    """Return the settings called `name`.

    Args:
        hops: `task.hops`, set anew. compare: `task.compare`, set anew.
        changes: any setting anew, as `SECTION.NAME=VALUE`.

    Raises:
        InputError: there is no such preset, no such number of hops, no such setting, or its value is wrong.
    """
    preset_record(name)
    if hops is not None and not 2 <= hops <= MOST_HOPS:
        raise InputError(f"--hops counts the facts of a chain and is from 2 to {MOST_HOPS}, not {hops}")
    own = [] if hops is None else [f"task.hops={hops}"]
    own += [] if compare is None else [f"task.compare={str(compare).lower()}"]
    return changed(PRESETS[name], [*own, *changes])


PRESETS = {name: config_of({**preset_record(name), "preset": name}, where=f"preset {name}") for name in preset_names()}
"""The settings of each preset."""
