"""A sweep folder: runs that differ in phi alone, of one or several contenders, and what came of them.

    SWEEP/manifest.json       levels of phi, contenders, seeds, settings, budget, versions, hardware
    SWEEP/loop/phi-3.6/       an ordinary run folder for each contender and level
    SWEEP/sweep.json          what 'grokhop sweep' found
    SWEEP/report.html         what 'grokhop report' made of all this

Reading a sweep needs no torch.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import Any
from urllib.parse import quote

from grokhop.config import RunConfig, config_of
from grokhop.core.artifacts import MANIFEST, read_manifest
from grokhop.core.errors import InputError
from grokhop.runs.metrics import METRICS, EvalRecord
from grokhop.runs.run import SUMMARY
from grokhop.runs.sweep_result import SweepResult

RESULT = "sweep.json"
ALL = "all"
"""The level at which everything is trained that the graph offers."""
WAITING, TRAINING, DONE, FAILED = "waiting", "training", "done", "failed"
_TAIL = 1 << 16


def parse_levels(levels: Iterable[str | float]) -> tuple[str, ...]:
    """Levels of phi as they name folders, each once, from the lowest to 'all'.

    Raises:
        InputError: one is neither a positive number nor 'all', or there is none.
    """
    known = {_number(level): str(level).strip() for level in levels}
    if not known:
        raise InputError("--phi names no level: write numbers with commas, such as 0.5,2,all")
    return tuple(ALL if phi == float("inf") else _plain(phi) for phi in sorted(known))


def _number(level: str | float) -> float:
    text = str(level).strip()
    if text == ALL:
        return float("inf")
    try:
        phi = float(text)
    except ValueError:
        phi = -1.0
    if not (isfinite(phi) and phi > 0):
        raise InputError(f"--phi {text!r} is no level: write positive numbers with commas, and 'all' for all there is")
    return phi


def _plain(phi: float) -> str:
    """'2' for 2.0: a level has one name, however it was written."""
    return f"{phi:g}" if float(f"{phi:g}") == phi else repr(phi)


def limit(level: str) -> float:
    """The level as `task.phi` knows it."""
    return 0.0 if level == ALL else float(level)


@dataclass(frozen=True)
class Place:
    """One run of a sweep."""

    contender: str
    """'loop', or with what is varied of it 'loop task.hops=3'."""
    level: str

    def __str__(self) -> str:
        return f"{self.contender}, phi {self.level}"

    @property
    def path(self) -> Path:
        """Inside the sweep folder; a value with a slash in it, such as a model's name, makes no folders."""
        return Path(quote(self.contender, safe=" =+,")) / f"phi-{self.level}"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far one seed of a sweep is."""

    place: Place
    seed: int
    state: str
    look: EvalRecord | None


SweepNotice = Callable[[list[Progress]], None]
"""Told again and again how far all seeds are."""


@dataclass(frozen=True)
class Sweep:
    """A sweep folder that exists."""

    path: Path
    manifest: dict[str, Any]

    @staticmethod
    def read(path: Path) -> "Sweep":
        """Open the sweep folder `path`.

        Raises:
            InputError: it is missing, damaged, of another kind or of a newer schema version.
        """
        sweep = Sweep(Path(path), read_manifest(path, kind="sweep"))
        try:
            # Read once, so that damage is found here.
            int(sweep.manifest["seeds"]), sweep.places, sweep.settings, sweep.words()
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}/{MANIFEST} is damaged ({error}): sweep again with --force") from error
        return sweep

    @property
    def contenders(self) -> tuple[str, ...]:
        return tuple(self.manifest["contenders"])

    @property
    def presets(self) -> dict[str, str]:
        """Of each contender, the preset of which something is varied."""
        return {name: str(self.manifest["presets"][name]) for name in self.contenders}

    @property
    def levels(self) -> tuple[str, ...]:
        return tuple(self.manifest["levels"])

    @property
    def seeds(self) -> range:
        return range(int(self.manifest["seeds"]))

    @cached_property
    def places(self) -> list[Place]:
        """All runs, contender by contender."""
        return [Place(contender, level) for contender in self.contenders for level in self.levels]

    @cached_property
    def settings(self) -> dict[str, RunConfig]:
        """Of each contender, at no level."""
        return {
            name: config_of(self.manifest["settings"][name], where=f"{self.path}/{MANIFEST}")
            for name in self.contenders
        }

    def words(self) -> list[str]:
        """The options that say of which levels and contenders it is."""
        grid = [word for text in self.manifest["grid"] for word in ("--grid", text)]
        presets = ",".join(dict.fromkeys(self.presets.values()))
        return ["--phi", ",".join(self.levels), "--preset", presets, *grid]

    def run_path(self, place: Place) -> Path:
        return self.path / place.path

    def seed_folder(self, place: Place, seed: int) -> Path:
        return self.run_path(place) / f"seed-{seed}"

    def is_finished(self, place: Place, seed: int) -> bool:
        return (self.seed_folder(place, seed) / SUMMARY).exists()

    def result(self) -> SweepResult:
        """What `sweep.json` says.

        Raises:
            InputError: it is missing or damaged.
        """
        try:
            return SweepResult.from_dict(json.loads((self.path / RESULT).read_text()))
        except FileNotFoundError as error:
            raise InputError(
                f"{self.path} has no {RESULT}: its sweep has not ended; the same command with --resume goes on"
            ) from error
        except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
            raise InputError(f"{self.path / RESULT} is damaged ({error}): make it again with --resume") from error

    def progress(self, *, running: set[tuple[Place, int]], failed: set[tuple[Place, int]]) -> Iterator[Progress]:
        """How far each seed is, as its own files say."""
        for place in self.places:
            for seed in self.seeds:
                at, state = (place, seed), WAITING
                if self.is_finished(place, seed):
                    state = DONE
                elif at in failed or at in running:
                    state = FAILED if at in failed else TRAINING
                yield Progress(place=place, seed=seed, state=state, look=last_look(self.seed_folder(place, seed)))


def last_look(folder: Path) -> EvalRecord | None:
    """The last whole line of a seed's metrics, which another process may be writing; None before there is one."""
    try:
        with (folder / METRICS).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL))
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return None
    return EvalRecord(**json.loads(lines[-2])) if len(lines) > 1 else None
