"""Registries: parts that are found by name, whether they are built in, registered here, or another package's.

Another package names its part as an entry point of the registry's group, in its `pyproject.toml`:

    [project.entry-points."grokhop.models"]
    mamba = "my_package.mamba:Mamba"
"""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar, cast

from grokhop.core.errors import InputError

T = TypeVar("T")


def nearest(name: str, choices: list[str]) -> str:
    """Return ' (did you mean ...?)' with the choice that is spelt most alike, or nothing."""
    # An own name without its section is near too: 'adam_lr' means 'optimizer.adam_lr'.
    tails = [choice for choice in choices if choice.rpartition(".")[2] == name]
    found = tails or get_close_matches(name, choices, n=1, cutoff=0.6)
    return f" (did you mean {found[0]}?)" if found else ""


def _plural(kind: str) -> str:
    return f"{kind}es" if kind.endswith("s") else f"{kind}s"


class Registry(Generic[T]):
    """The parts of one kind by name; a part is imported when it is asked for."""

    def __init__(self, kind: str, built_in: Mapping[str, str], *, option: str = "") -> None:
        """Make a registry whose group of entry points is `grokhop.` and the plural of `kind`.

        Args:
            kind: of what the parts are, for messages: 'model'.
            built_in: 'module:name' of each part.
            option: how a command line names a part, for messages.
        """
        self.kind, self.group = kind, f"grokhop.{_plural(kind).replace(' ', '_')}"
        self._option = option or kind
        self._built_in = dict(built_in)
        self._registered: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that makes a part known under `name` in this process."""

        def known(part: T) -> T:
            self._registered[name] = part
            return part

        return known

    def names(self) -> list[str]:
        """Return all names: the built-in ones first, then those registered here, then other packages'."""
        return list(dict.fromkeys([*self._built_in, *self._registered, *sorted(self._others())]))

    def get(self, name: str) -> T:
        """Return the part called `name`.

        Raises:
            InputError: there is none, or the package that should bring it cannot be imported.
        """
        if name in self._registered:
            return self._registered[name]
        if name in self._built_in:
            module, _, attribute = self._built_in[name].partition(":")
            return cast(T, getattr(import_module(module), attribute))
        others = self._others()
        if name not in others:
            names = self.names()
            raise InputError(
                f"{self._option} {name!r} is no {self.kind}: choose one of {', '.join(names)}{nearest(name, names)}"
            )
        try:
            return cast(T, others[name].load())
        except (ImportError, AttributeError) as error:
            raise InputError(f"the {self.kind} {name!r} of {others[name].value} cannot be imported: {error}") from error

    def check(self, name: str) -> None:
        """Refuse a name that no part has, without importing anything.

        Raises:
            InputError: there is no such part.
        """
        if name not in self.names():
            self.get(name)

    def items(self) -> list[tuple[str, T]]:
        """Return every part with its name."""
        return [(name, self.get(name)) for name in self.names()]

    def _others(self) -> dict[str, EntryPoint]:
        found: Any = entry_points(group=self.group)
        return {point.name: point for point in found}
