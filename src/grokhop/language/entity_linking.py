"""Which entity a name means: as it is written, but for case, accents and punctuation, without its disambiguator,
or nearly so. How it matched is always told; two that match alike are both returned, for the facts to decide.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

from rapidfuzz import fuzz, process

from grokhop.graph.graph import Graph
from grokhop.language.names import is_disambiguated, normal, without_disambiguator

NEAR_ENOUGH = 91.0
"""Of 100, by the share of letters that are alike: one other letter in a name of twelve, two in one of 23."""
AS_NEAR = 3.0
"""Names within this distance of the nearest are as near."""


class How(IntEnum):
    """How a name matched, the best first."""

    EXACT = 0
    SPELLING = 1  # case, accents or punctuation differ
    BASE = 2  # one of the two has no '(1970 film)'
    OTHER_BASE = 3  # each has another one
    NEAR = 4

    @property
    def words(self) -> str:
        """As people read it."""
        return _WORDS[self]


_WORDS = {
    How.EXACT: "exact",
    How.SPELLING: "case, accents or punctuation differ",
    How.BASE: "one of the two has brackets",
    How.OTHER_BASE: "what stands in brackets differs",
    How.NEAR: "similar spelling",
}
_LETTERS = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})
_NUMBER = re.compile(r"\d+|\b[ivxl]+\b")


@dataclass(frozen=True)
class Match:
    """An entity that a name may mean."""

    entity: int
    how: How
    name: str
    """The label or alias that matched."""


def plain(name: str) -> str:
    """What two spellings of a name share."""
    return normal(name).translate(_LETTERS)


class Linker:
    """Finds the entities of a graph by name."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def matches(self, name: str) -> list[Match]:
        """The entities that are called `name`, brackets aside if need be; similar spellings are left out."""
        same = self._by_plain.get(plain(name), {})
        if same:
            return [self._same(name, entity, written) for entity, written in same.items()]
        base = self._by_base.get(plain(without_disambiguator(name)), {})
        return [Match(e, How.OTHER_BASE if self._contradicts(e, name) else How.BASE, n) for e, n in base.items()]

    def _same(self, name: str, entity: int, written: str) -> Match:
        """How an entity with the plain name of `name` matches: 'The Ride' is not quite 'The Ride (1994 film)'."""
        names = self._graph.entities[entity].names
        if not is_disambiguated(name):
            title = next(
                (n for n in names if is_disambiguated(n) and plain(without_disambiguator(n)) == plain(name)), ""
            )
            if title:
                return Match(entity, How.BASE, title)
        return Match(entity, How.EXACT, name) if name in names else Match(entity, How.SPELLING, written)

    def near(self, name: str) -> list[Match]:
        """The entities whose names are spelled most like `name`, if any is near enough; numbers must be equal."""
        asked = plain(name)
        found = [
            (found, score)
            for found, score in self._nearest(asked, cutoff=NEAR_ENOUGH)
            if _numbers(found) == _numbers(asked)
        ]
        best = max((score for _, score in found), default=0.0)
        close = [found for found, score in found if score >= best - AS_NEAR]
        return _unique([Match(e, How.NEAR, n) for key in close for e, n in self._by_plain[key].items()])

    def suggestions(self, name: str, *, count: int = 3) -> list[str]:
        """The labels of the entities with the nearest names."""
        keys = [key for key, _ in self._nearest(plain(name), cutoff=0.0)]
        entities = dict.fromkeys(entity for key in keys for entity in self._by_plain[key])
        return [self._graph.entities[entity].label for entity in entities][:count]

    def _nearest(self, asked: str, *, cutoff: float) -> list[tuple[str, float]]:
        found = process.extract(asked, self._by_plain.keys(), scorer=fuzz.ratio, score_cutoff=cutoff, limit=8)
        return [(str(key), float(score)) for key, score, _ in found]

    def _contradicts(self, entity: int, name: str) -> bool:
        """Whether name and entity are each told apart from others, and not alike."""
        return is_disambiguated(name) and any(is_disambiguated(other) for other in self._graph.entities[entity].names)

    @cached_property
    def _by_plain(self) -> dict[str, dict[int, str]]:
        return self._index(plain)

    @cached_property
    def _by_base(self) -> dict[str, dict[int, str]]:
        return self._index(lambda name: plain(without_disambiguator(name)))

    def _index(self, key: Callable[[str], str]) -> dict[str, dict[int, str]]:
        """By the key of each name: the entities that have such a name, and the first of their names."""
        index: defaultdict[str, dict[int, str]] = defaultdict(dict)
        for entity in range(len(self._graph.entities)):
            for name in self._graph.entities[entity].names:
                index[key(name)].setdefault(entity, name)
        return dict(index)


def _unique(matches: Iterable[Match]) -> list[Match]:
    """The first match of each entity."""
    first: dict[int, Match] = {}
    for match in matches:
        first.setdefault(match.entity, match)
    return list(first.values())


def _numbers(name: str) -> list[str]:
    """Numbers, Roman ones too: 'Louis II' is never a slip of 'Louis III'."""
    return _NUMBER.findall(name)
