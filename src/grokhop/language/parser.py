"""From words to a query: the readings of a question, weighed by what the graph knows.

A reading is good when its names are entities, better when the facts that it asks for exist. Only observed facts
count: one that an augmentation made up says nothing about what people mean. Facts held out for test do not count
either, or the reading of a test question would give its answer away.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from rapidfuzz import process

from grokhop.core.errors import InputError
from grokhop.graph.graph import Graph, Split
from grokhop.graph.paths import PathIndex
from grokhop.graph.queries import LIVED_LONGER, Branch, Query, Rule
from grokhop.language.entity_linking import Linker, Match, plain
from grokhop.language.grammar import Grammar, Reading, Way

MOST_LETTERS = 500
MOST_HOPS = 16
EXAMPLE = "ask like 'Who is the father of X?', or write a path like 'X / father / place of birth'"


@dataclass(frozen=True)
class Understood:
    """A query, and for each name in the words what it was taken for."""

    query: Query
    linked: tuple[tuple[str, Match], ...]


@dataclass(frozen=True)
class _Option:
    """A reading with an entity for each of its names and one of its ways (both dates where lives are compared)."""

    reading: Reading
    matches: tuple[Match, ...]
    ways: tuple[Way, ...]
    weight: tuple[int, ...]


class QuestionParser:
    """Understands words about one graph."""

    def __init__(self, graph: Graph, *, rules: Iterable[Rule] = ()) -> None:
        """Understand words about a graph; `rules` are further words that a path may hold."""
        self.graph, self.rules = graph, {plain(rule.word): rule for rule in rules}
        self.linker = Linker(graph)

    def understand(self, text: str) -> Understood:
        """Read a question, or a path 'entity / relation / relation'.

        Raises:
            InputError: it fits no template; a name or a relation is not in the graph; or a name may mean two things.
        """
        text = _printable(text)
        parts = [part.strip() for part in text.split(" / ")]
        if len(parts) > 1 and (self._spelled(parts[-1]) is not None or not text.endswith("?")):
            return self._path(parts)
        readings = self._grammar.read(text)
        if not readings:
            raise InputError(f"the question {_quoted(text)} is not understood: {EXAMPLE}")
        options = list(self._options(readings, near=False)) or list(self._options(readings, near=True))
        if not options:
            raise self._why_not(readings)
        return self._best(options)

    def _path(self, parts: list[str]) -> Understood:
        """The shortest head that is an entity with relations after it, when a name itself holds ' / '."""
        cuts = [(" / ".join(parts[:i]), parts[i:]) for i in range(1, len(parts))]
        whole = [(head, names) for head, names in cuts if None not in map(self._spelled, names)]
        head, names = next((cut for cut in whole if self.linker.matches(cut[0])), (whole or cuts)[0])
        spelled = [self._spelled(name) for name in names]
        if None in spelled:
            raise self._no_relation(names[spelled.index(None)])
        relations, asked = ([i for word in spelled if word for i in word[side]] for side in (0, 1))
        if len(relations) > MOST_HOPS:
            raise InputError(f"a path has at most {MOST_HOPS} relations, this one has {len(relations)}: ask its parts")
        matches = self.linker.matches(head) or self.linker.near(head)
        if not matches:
            raise self._no_entity(head)
        path = tuple(relations)
        weights = [(self._known(match.entity, path), -match.how) for match in matches]
        best = [match for match, weight in zip(matches, weights, strict=True) if weight == max(weights)]
        self._check_one(head, best)
        branch = Branch(best[0].entity, path, asked=None if asked == relations else tuple(asked))
        return Understood(Query((branch,)), ((head, best[0]),))

    def _options(self, readings: list[Reading], *, near: bool) -> Iterator[_Option]:
        for reading in readings:
            found = [self._matches(phrase.name, near=near) for phrase in reading.names]
            ways = [way for way in reading.paths if self._ids(way) is not None]
            together: list[tuple[Way, ...]] = [(way,) for way in ways]
            if reading.operator == LIVED_LONGER:
                together = [reading.paths] if len(ways) == len(reading.paths) else []
            for matches, chosen in product(product(*found), together):
                yield _Option(reading, matches, chosen, self._weight(reading, matches, chosen))

    def _matches(self, name: str, *, near: bool) -> list[Match]:
        return self.linker.matches(name) or (self.linker.near(name) if near else [])

    def _weight(self, reading: Reading, matches: tuple[Match, ...], ways: tuple[Way, ...]) -> tuple[int, ...]:
        """What is known counts first, then how the names match, then whether a film is called a film."""
        known = [self._known(match.entity, self._ids(way) or ()) for match in matches for way in ways]
        kinds = [
            phrase.kind != "" and any(phrase.kind in plain(name) for name in self.graph.entities[match.entity].names)
            for phrase, match in zip(reading.names, matches, strict=True)
        ]
        return min(known), sum(known), -max(match.how for match in matches), sum(kinds)

    def _best(self, options: list[_Option]) -> Understood:
        best = max(options, key=lambda option: option.weight)  # the first of equals: the likeliest reading
        for side, phrase in enumerate(best.reading.names):
            rivals = [o.matches[side] for o in options if (o.reading, o.weight) == (best.reading, best.weight)]
            self._check_one(phrase.name, rivals)
        branches = tuple(Branch(match.entity, self._ids(way) or ()) for match in best.matches for way in best.ways)
        inferred = any(way.inferred for way in best.ways)
        query = Query(branches, best.reading.operator, best.reading.wants, inferred)
        return Understood(query, tuple(zip((p.name for p in best.reading.names), best.matches, strict=True)))

    def _known(self, head: int, relations: tuple[int, ...]) -> int:
        """2 when observed facts answer the chain, 1 when they answer its first hop, else 0."""
        for hops, known in ((len(relations), 2), (1, 1)):
            if len(self._facts.answers(np.array([head]), np.array([relations[:hops]])).answers):
                return known
        return 0

    def _check_one(self, name: str, matches: list[Match]) -> None:
        """Raise InputError when a name means two things alike."""
        labels = list(dict.fromkeys(self.graph.entities[match.entity].label for match in matches))
        if len(labels) > 1:
            listed = ", ".join(_quoted(label) for label in labels[:4])
            raise InputError(f"{_quoted(name)} may be any of {listed}: give the name in full")

    def _why_not(self, readings: list[Reading]) -> InputError:
        """The first name that nothing is called, or the relation that is missing."""
        linked = [r for r in readings if all(self._matches(phrase.name, near=True) for phrase in r.names)]
        if linked:
            needed = [relation for way in linked[0].paths for relation in way.relations]
            return self._no_relation(next(relation for relation in needed if self._relation(relation) is None))
        missing_names = [[p.name for p in r.names if not self._matches(p.name, near=True)] for r in readings]
        return self._no_entity(min(missing_names, key=lambda names: (len(names), sum(map(len, names))))[0])

    def _no_entity(self, name: str) -> InputError:
        nearest = ", ".join(_quoted(label) for label in self.linker.suggestions(name))
        return InputError(f"{_quoted(name)} is not in the graph; the nearest names are {nearest}")

    def _no_relation(self, name: str) -> InputError:
        near = [self.graph.relations[i] for _, _, i in process.extract(plain(name), self._relation_ids.keys(), limit=3)]
        return InputError(f"the graph has no relation {_quoted(name)}; the nearest are {', '.join(map(_quoted, near))}")

    def _ids(self, way: Way) -> tuple[int, ...] | None:
        ids = [self._relation(relation) for relation in way.relations]
        return None if None in ids else tuple(i for i in ids if i is not None)

    def _spelled(self, name: str) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
        """The relations that a word of a path stands for, and those that a model is asked by: a rule has its own."""
        relation, rule = self._relation(name), self.rules.get(plain(name))
        if relation is not None:
            return (relation,), (relation,)
        return None if rule is None else (rule.path, rule.tokens)

    def _relation(self, name: str) -> int | None:
        return self._relation_ids.get(plain(name))

    @cached_property
    def _relation_ids(self) -> dict[str, int]:
        """By plain label, in the order of the ids."""
        return {plain(label): i for i, label in enumerate(self.graph.relations)}

    @cached_property
    def _grammar(self) -> Grammar:
        return Grammar(label.replace("_", " ") for label in self.graph.relations)

    @cached_property
    def _facts(self) -> PathIndex:
        return PathIndex(self.graph.where(self.graph.is_observed & (self.graph.part != Split.TEST)))


def _printable(text: str) -> str:
    """The text on one line, without control characters.

    Raises:
        InputError: it is too long, or holds no letter and no digit.
    """
    if len(text) > MOST_LETTERS:
        raise InputError(f"a question has at most {MOST_LETTERS} letters, this one has {len(text):,}: make it shorter")
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if not any(c.isalnum() for c in line):
        raise InputError(f"there is no question in {_quoted(line)}: {EXAMPLE}")
    return line


def _quoted(text: str) -> str:
    return f"'{text if len(text) <= 80 else text[:79] + '…'}'"
