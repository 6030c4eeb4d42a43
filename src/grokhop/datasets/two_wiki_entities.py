"""Across the records of 2WikiMultiHopQA: which nodes are one entity.

Every node gets a key by the first rule that applies:

1. its Wikidata id;
2. its date (`dates.canonical`), where the relation asks for one;
3. its Wikipedia title, which is unique: the key of the id that carries the title elsewhere, else
   `wiki:TITLE`;
4. a country's name or adjective: as the records with ids use it, else as `countries.tsv` has it;
5. its name, when exactly one entity of a compatible kind is called so, Wikipedia does not have to tell the
   name apart from others ('Henry King (director)'), and the record does not already use that entity as
   another link;
6. otherwise its kind and name: `person:henry king`.

A film is never joined with a person: kinds follow from the relations (`KINDS`), and must not differ.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from grokhop.datasets.two_wiki_coreference import CHAINS, Linked, Node
from grokhop.language import countries, dates
from grokhop.language.names import is_disambiguated, normal, without_disambiguator
from grokhop.language.relation_types import KINDS

_NATIONALITY = re.compile(r"country\b.*|nationality")
_DATE = re.compile(r".*\bdate\b.*|inception|.*\btime\b.*|.*\byear\b.*|dissolved.*")


def assign_keys(records: Sequence[Linked]) -> None:
    """Set the key of every node of all records."""
    known = _Known()
    rest: list[tuple[Linked, Node]] = []
    for linked in records:
        for node in linked.nodes():
            node.key = node.id or _date_key(node)
            if node.key:
                known.add(node)
            else:
                rest.append((linked, node))
    titled = [(linked, node) for linked, node in rest if node.title]
    for _, node in titled:
        node.key = known.by_title(node) or f"wiki:{node.title}"
        known.add(node)
    for linked, node in rest:
        if not node.key:
            taken = _taken(linked)
            node.key = known.by_name(node, taken) or _name_key(node, taken)
    for _, node in rest:
        known.add(node)


def is_date(node: Node) -> bool:
    """Whether a node without an id is a date: its relation asks for one, or it can be nothing else."""
    if node.id or node.title:
        return False
    return all(end == "tail" for _, end in node.roles) and (
        node.is_date
        or any(_DATE.fullmatch(relation) for relation, _ in node.roles)
        or dates.is_full_date(node.labels[0])
    )


def is_country(node: Node) -> bool:
    """Whether a node is named where a country or a nationality is asked."""
    return any(end == "tail" and _NATIONALITY.fullmatch(relation) for relation, end in node.roles)


def _date_key(node: Node) -> str:
    return dates.canonical(node.labels[0]).key if is_date(node) else ""


def _taken(linked: Linked) -> set[str]:
    """What a further node of the record cannot be: a chain does not return, a head is its own thing."""
    if linked.record.type in CHAINS:
        return {node.key for node in linked.nodes()}
    return {head.key for head, _, _ in linked.evidences}


def _name_key(node: Node, taken: set[str]) -> str:
    key = f"{_kind(node)}:{normal(node.labels[0])}"
    return f"{key}#2" if key in taken else key  # a grandfather and a grandson of one name


def _kinds(node: Node) -> set[str]:
    return {KINDS[role] for role in node.roles if role in KINDS}


def _kind(node: Node) -> str:
    return min(_kinds(node), default="thing")


class _Known:
    """The entities that have a key, by what they are called."""

    def __init__(self) -> None:
        self._titles: defaultdict[str, set[str]] = defaultdict(set)
        self._names: defaultdict[str, set[str]] = defaultdict(set)
        self._country_names: defaultdict[str, set[str]] = defaultdict(set)
        self._title_of: dict[str, str] = {}
        self._kinds: defaultdict[str, set[str]] = defaultdict(set)

    def add(self, node: Node) -> None:
        self._kinds[node.key] |= _kinds(node)
        for name in (*node.labels, *([without_disambiguator(node.title)] if node.title else [])):
            self._names[normal(name)].add(node.key)
            if is_country(node):
                self._country_names[normal(name)].add(node.key)
        if node.title:
            self._titles[node.title].add(node.key)
            self._title_of.setdefault(node.key, node.title)

    def by_title(self, node: Node) -> str:
        found = self._titles.get(node.title, set())
        if len(found) == 1:
            return min(found)
        if found or is_disambiguated(node.title):
            return ""
        return self._one(node, (node.title, *node.labels), lambda key: key not in self._title_of)

    def by_name(self, node: Node, taken: set[str]) -> str:
        name = normal(node.labels[0])
        if is_country(node):
            learned = self._country_names.get(name, set())
            return min(learned) if len(learned) == 1 else countries.ids().get(name, "")
        found = self._one(
            node,
            node.labels,
            lambda key: key not in taken and not is_disambiguated(self._title_of.get(key, "")),
        )
        # 'Italian' is given as a place of birth, too.
        return found or (
            countries.ids().get(name, "") if _kind(node) == "place" and name not in countries.PLACES else ""
        )

    def _one(self, node: Node, names: Iterable[str], allowed: Callable[[str], bool]) -> str:
        """The only entity with one of the names, '' when there is none, another, or one of another kind."""
        found = {key for name in names for key in self._names.get(normal(name), set())}
        fitting = [key for key in found if len(self._kinds[key] | _kinds(node)) <= 1]
        return fitting[0] if len(fitting) == 1 and allowed(fitting[0]) else ""
