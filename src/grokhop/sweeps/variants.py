"""The contenders of a sweep: presets, each with every choice of the settings that are varied."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from grokhop.config import RunConfig, preset, setting_names
from grokhop.config.schema import sections
from grokhop.core.errors import InputError
from grokhop.core.registry import nearest

_JOINED = re.compile(r"\+(?=\s*[\w.]+\s*=)")
"""A plus joins where another NAME=VALUE follows, so that a value such as 1e+3 stays whole."""


@dataclass(frozen=True)
class Contender:
    """A preset with some settings varied."""

    preset: str
    varied: tuple[str, ...]
    """Each as `NAME=VALUE`."""
    settings: RunConfig

    @property
    def name(self) -> str:
        """'loop', or 'loop task.hops=3'."""
        return _named(self.preset, self.varied)


def contenders(
    presets: Iterable[str], grid: Iterable[str], *, hops: int | None, changes: Iterable[str]
) -> list[Contender]:
    """Each preset with each choice of alternatives, one of every `--grid`.

    Args:
        grid: alternatives with commas between, each `NAME=VALUE` or several joined by '+'; one without a name has
            that of the alternative before it.
        changes: settings of all contenders, as `NAME=VALUE`; what is varied comes after them.

    Raises:
        InputError: there is no such preset or setting, a value is wrong, or two contenders would be the same.
    """
    names = list(dict.fromkeys(name.strip() for name in presets))
    if not names:
        raise InputError("--preset names no preset: write one, or several with commas")
    choices = list(_choices([alternatives(text) for text in grid]))
    found = [_contender(name, varied, hops, list(changes)) for name in names for varied in choices]
    _refuse_same(found)
    return found


def alternatives(text: str) -> list[tuple[str, ...]]:
    """'task.hops=2,3' as two alternatives; 'optimizer.name=adamw+optimizer.adam_lr=0.001' as one that sets two.

    Raises:
        InputError: an alternative sets nothing, or what a sweep sets otherwise.
    """
    found: list[tuple[str, ...]] = []
    for item in text.split(","):
        if "=" not in item and found:
            item = f"{_only_name(found[-1], item, text)}={item}"
        found.append(tuple(_assignment(part, text) for part in _JOINED.split(item)))
    return found


def _only_name(before: tuple[str, ...], item: str, text: str) -> str:
    if len(before) > 1:
        raise InputError(f"--grid {text!r}: {item.strip()!r} follows an alternative of several: write NAME=VALUE")
    return before[0].partition("=")[0]


def _assignment(part: str, text: str) -> str:
    """`NAME=VALUE` without blanks around either."""
    name, _, value = (word.strip() for word in part.partition("="))
    if name == "task.phi":
        raise InputError(f"--grid {text!r}: phi is what every sweep varies, name its levels with --phi")
    if not value or name.partition(".")[0] not in sections() or "." not in name:
        raise InputError(
            f"--grid {text!r}: {part.strip()!r} sets nothing: write SECTION.NAME=VALUE{nearest(name, setting_names())}"
        )
    return f"{name}={value}"


def _choices(options: Sequence[list[tuple[str, ...]]]) -> Iterator[tuple[str, ...]]:
    """One alternative of each option, in every way; a single empty one where there is no option."""
    for chosen in product(*options):
        varied = tuple(change for alternative in chosen for change in alternative)
        names = [change.partition("=")[0] for change in varied]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise InputError(f"--grid sets {twice} twice in {' '.join(varied)!r}: name it in one --grid, once")
        yield varied


def _contender(name: str, varied: tuple[str, ...], hops: int | None, changes: list[str]) -> Contender:
    try:
        return Contender(name, varied, preset(name, hops=hops, changes=[*changes, *varied]))
    except InputError as error:
        raise InputError(f"contender {_named(name, varied)!r}: {error}" if varied else str(error)) from error


def _named(name: str, varied: tuple[str, ...]) -> str:
    return " ".join([name, *varied])


def _refuse_same(found: Sequence[Contender]) -> None:
    """However a value is written, as 0.001 or 1e-3: trained twice, it would stand as two that differ."""
    seen: dict[tuple[str, RunConfig], Contender] = {}
    for contender in found:
        same = seen.setdefault((contender.preset, contender.settings), contender)
        if same is not contender:
            raise InputError(f"--grid names {same.name!r} and {contender.name!r}, which are the same: leave one out")
