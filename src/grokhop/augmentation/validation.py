"""The gate: what a source proposes passes it or is counted by the reason why not. There is no other way into a graph.

A proposal is three names. Names are taken for entities as a reader would: another spelling, other accents or a missing
disambiguator mean the same thing, and a name that nearly is one of the graph's is not let in as a new entity. So
nothing that is held out or asked by a question can come back in other letters.
"""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from grokhop.augmentation.constraints import find_kinds, objects_limit, untouchable_pairs
from grokhop.graph.graph import Entity, Graph
from grokhop.language.entity_linking import Linker, plain

MOST_LETTERS = 120
"""In a name."""

SCRIPT_SHARE = 0.01
"""An alphabet is a graph's own where at least so many of its labels use it."""

HELD_OUT = "the pair is held out or asked by a question"
CONTRADICTS = "the subject has its objects"
KNOWN = "the fact is there already"
NO_RELATION = "the graph has no such relation"
NO_NAME = "the name is empty, too long or holds control characters"
UNCERTAIN = "the name may mean several entities, or nearly is one"
WRONG_KIND = "the entity is of another kind than the relation's"
LOOP = "the fact leads back to its subject"


@dataclass(frozen=True)
class Proposal:
    """A fact in names, as a source has it."""

    head: str
    relation: str
    tail: str


Fact = tuple[int, int, int]


@dataclass
class Admitted:
    """What passed so far.

    Attributes:
        facts: (head, relation, tail) ids; those of new entities go on from the graph's.
        entities: the new ones.
        rejected: how many proposals did not pass, by reason.
    """

    facts: list[Fact] = field(default_factory=list)
    entities: list[Entity] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)


class FactValidator:
    """Judges proposals about one graph.

    Args:
        source: names the keys of new entities.
        vouched: the source knows of what kind its entities are, so that kinds, which are guessed from the facts there
            are, do not decide.
    """

    def __init__(self, graph: Graph, *, source: str, vouched: bool = False) -> None:
        self.graph, self.source, self.vouched, self.admitted = graph, source, vouched, Admitted()
        self._linker, self._relations = Linker(graph), {plain(r): i for i, r in enumerate(graph.relations)}
        self._untouchable = set(untouchable_pairs(graph).tolist())
        self._limit = objects_limit(graph)
        self._objects: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
        for head, relation, tail in zip(*(c.tolist() for c in (graph.head, graph.relation, graph.tail)), strict=True):
            self._objects[head, relation].add(tail)
        kinds = find_kinds(graph)
        self._slots = {"head": kinds.subject, "tail": kinds.object}
        self._kinds: defaultdict[int, set[int]] = defaultdict(set)
        for kind, members in enumerate(kinds.members):
            for entity in members.tolist():
                self._kinds[entity].add(kind)
        self._new: dict[str, int] = {}
        written = Counter(script for entity in graph.entities for script in _scripts(entity.label))
        self._scripts = {script for script, n in written.items() if n >= SCRIPT_SHARE * len(graph.entities)}

    def admit(self, proposals: Iterable[Proposal]) -> list[Fact]:
        """Judge proposals one after another, keep those that pass, and return their facts."""
        passed = []
        for proposal in proposals:
            fact = self.judge(proposal)
            if isinstance(fact, str):
                self.admitted.rejected[fact] += 1
            else:
                passed.append(self._enter(fact))
        self.admitted.facts += passed
        return passed

    def judge(self, proposal: Proposal) -> "tuple[int | str, int, int | str] | str":
        """The fact, with a name in place of an entity that is new, or why the proposal does not pass."""
        relation = self._relations.get(plain(proposal.relation))
        if relation is None:
            return NO_RELATION
        if not all(map(_is_name, (proposal.head, proposal.tail))):
            return NO_NAME
        head, tail = self._entity(proposal.head), self._entity(proposal.tail)
        if head is None or tail is None:
            return UNCERTAIN
        if head == tail or plain(proposal.head) == plain(proposal.tail):
            return LOOP
        for slot, entity in (("head", head), ("tail", tail)):
            if not self._fits(entity, int(self._slots[slot][relation])):
                return WRONG_KIND
        return self._about_pair(head, relation, tail)

    def _about_pair(self, head: int | str, relation: int, tail: int | str) -> "tuple[int | str, int, int | str] | str":
        if isinstance(head, str):
            return head, relation, tail
        if self.graph.pair_id(head, relation) in self._untouchable:
            return HELD_OUT
        objects = self._objects[head, relation]
        if tail in objects:
            return KNOWN
        return CONTRADICTS if len(objects) >= self._limit[relation] else (head, relation, tail)

    def _entity(self, name: str) -> int | str | None:
        """The one entity that a name means; the name itself where it means none; None where that is not certain."""
        if plain(name) in self._new:
            return self._new[plain(name)]
        matches = self._linker.matches(name)
        known = list(dict.fromkeys(match.entity for match in matches))
        if len(known) > 1:
            best = min(match.how for match in matches)
            known = list(dict.fromkeys(match.entity for match in matches if match.how == best))
        if len(known) == 1:
            return known[0]
        if known or self._linker.near(name) or any(map(self._linker.matches, _with_other_article(name))):
            return None
        # What is written in other letters than the graph's own may be the name of anything in it.
        return name if _scripts(name) <= self._scripts else None

    def _fits(self, entity: int | str, kind: int) -> bool:
        """Whether an entity is of the kind, or of none so far."""
        return self.vouched or isinstance(entity, str) or not self._kinds[entity] or kind in self._kinds[entity]

    def _enter(self, fact: tuple[int | str, int, int | str]) -> Fact:
        head, relation, tail = fact
        ends = []
        for slot, entity in (("head", head), ("tail", tail)):
            number = self._make(entity) if isinstance(entity, str) else entity
            self._kinds[number].add(int(self._slots[slot][relation]))
            ends.append(number)
        self._objects[ends[0], relation].add(ends[1])
        return ends[0], relation, ends[1]

    def _make(self, name: str) -> int:
        number = len(self.graph.entities) + len(self.admitted.entities)
        key = f"{self.source}:{plain(name)}"
        self.admitted.entities.append(Entity(key=key, label=" ".join(name.split())))
        self._new[plain(name)] = number
        return number


def _with_other_article(name: str) -> list[str]:
    """The name without the article that it has before or behind it, or with those that it has not."""
    words = plain(name).split()
    articles = ("the", "a", "an")
    if len(words) > 1 and words[0] in articles:
        return [" ".join(words[1:])]
    if len(words) > 1 and words[-1] in articles:
        return [" ".join(words[:-1]), " ".join([words[-1], *words[:-1]])]
    return [" ".join([article, *words]) for article in articles]


def _scripts(name: str) -> set[str]:
    """The alphabets of a name: LATIN, CYRILLIC, ..."""
    return {unicodedata.name(letter, "UNKNOWN").split()[0] for letter in name if letter.isalpha()}


def _is_name(name: str) -> bool:
    return bool(plain(name)) and len(name) <= MOST_LETTERS and all(c.isprintable() for c in name)


def untouched(graph: Graph, facts: Iterable[Fact]) -> bool:
    """Whether no fact is about a pair that is held out or asked by a question: the check after the fact."""
    pairs = np.array([graph.pair_id(head, relation) for head, relation, _ in facts], np.int64)
    return not np.isin(pairs, untouchable_pairs(graph)).any()
