"""The gazetteer: true facts about cities, for relations that ask where a place is, and about countries.

What Algorithm 1 of Abramov et al. (2025) asks a language model for, new locations, is read from a table of 5,000 cities
(GeoNames). Nothing is proposed about a name that may mean another place: a false fact costs more than a missing one.
What a graph lets in is for its `gate.FactValidator` to decide.
"""

import csv
import gzip
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources

import numpy as np
from rapidfuzz import fuzz, process

from grokhop.augmentation.validation import Proposal
from grokhop.datasets import worldfacts
from grokhop.graph.graph import Graph, Ints
from grokhop.language import countries
from grokhop.language.entity_linking import How, Linker, plain
from grokhop.language.names import without_disambiguator

SOURCE = "gazetteer"
CITY_IN = "city in"
ALIKE = 80.0
"""Of 100: a city is not new to a graph that has a place whose name is as alike as this to one of the city's."""
COLUMNS = ("geonameid", "name", "country", "region", "zone", "population", "alone", "others")

RELATIONS = {
    **dict.fromkeys(("country", "p17", "city in"), "country"),
    **dict.fromkeys(("located in the administrative territorial entity", "p131"), "region"),
    **dict.fromkeys(("located in time zone", "p421"), "zone"),
}
"""What a relation asks of a city, by its label or its Wikidata id."""
_AT_PLACES = (
    *("place of birth", "place of death", "place of burial", "residence", "work location", "headquarters location"),
    *("capital", "location", "filming location", "narrative location", "located in"),
    *("p19", "p20", "p119", "p551", "p937", "p159", "p36", "p276", "p915", "p840"),
    *("located in the administrative territorial entity", "p131"),
)
"""Relations whose objects are places."""
_OF_PLACES = ("city in", "capital of", "p1376", "located in time zone", "p421")
"""Relations whose subjects are places; a film has a country too."""
_AT_COUNTRIES = ("country", "p17", "city in", "country of citizenship", "p27", "country of origin", "p495")
_OF_COUNTRIES = ("capital", "p36")
_ID = re.compile(r"p\d+")


@dataclass(frozen=True, kw_only=True)
class City:
    """One row of the table.

    Attributes:
        country: its label in countries.tsv.
        region: the state, in the United States only; else "".
        zone: the time zone, as the IANA names it.
        alone: whether nobody who writes just the name means another place.
        others: further names in Latin letters, none of them alike to another by `ALIKE`.
    """

    geonameid: int
    name: str
    country: str
    region: str
    zone: str
    population: int
    alone: bool
    others: tuple[str, ...]


@cache
def cities() -> tuple[City, ...]:
    """The table, the most populous city first."""
    content = gzip.decompress((resources.files("grokhop.augmentation") / "gazetteer.tsv.gz").read_bytes()).decode(
        "utf-8"
    )
    rows = csv.DictReader(content.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    return tuple(sorted(map(_city, rows), key=lambda city: (-city.population, city.geonameid)))


def _city(row: dict[str, str]) -> City:
    return City(
        geonameid=int(row["geonameid"]),
        name=row["name"],
        country=row["country"],
        region=row["region"],
        zone=row["zone"],
        population=int(row["population"]),
        alone=row["alone"] == "1",
        others=tuple(filter(None, row["others"].split(";"))),
    )


def propose(graph: Graph) -> Iterator[Proposal]:
    """Yield facts: first about cities that the graph has and of which it lacks them, then about new cities.

    Both in the order of population, the same on every run. Facts that are held out count as facts that the graph has.
    """
    yield from about_known(graph)
    yield from about_new(graph)


def about_known(graph: Graph) -> Iterator[Proposal]:
    """Yield the facts that lead on from places of the graph: each makes paths with all that leads to its place."""
    atlas = Atlas(graph)
    for city in cities() if atlas.columns else ():
        entity = atlas.known(city)
        if entity is not None:
            missing = [relation for relation in atlas.columns if not atlas.answers(entity, relation)]
            yield from atlas.facts(city, graph.entities[entity].label, missing)


def about_new(graph: Graph) -> Iterator[Proposal]:
    """Yield the facts about cities that the graph has not: in paths only where it goes on from their objects."""
    atlas = Atlas(graph)
    for city in cities() if atlas.columns else ():
        if atlas.is_new(city):
            yield from atlas.facts(city, city.name, atlas.columns)


def about_countries(graph: Graph) -> Iterator[Proposal]:
    """Yield the facts of the built-in graph about countries, for those of its relations that the graph has too."""
    world, wanted = worldfacts.read(), set(map(plain, graph.relations))
    names, relations = [entity.label for entity in world.entities], world.relations
    lands = set(world.tail[world.relation == relations.index(CITY_IN)].tolist())
    for head, relation, tail in zip(world.head.tolist(), world.relation.tolist(), world.tail.tolist(), strict=True):
        if head in lands and plain(relations[relation]) in wanted:
            yield Proposal(names[head], relations[relation], names[tail])


def stated(graph: Graph) -> dict[int, str]:
    """The relations of a graph that the table can state, with the column that answers each."""
    found = {relation: _meaning(label, RELATIONS) for relation, label in enumerate(graph.relations)}
    return {relation: RELATIONS[key] for relation, key in found.items() if key}


def _meaning(label: str, among: Iterable[str]) -> str:
    """The one of the words `among` that a relation's label is, else ""; a label such as 'country (P17)' is its id."""
    base = without_disambiguator(label)
    number = plain(label[len(base) :])
    key = number if _ID.fullmatch(number) else plain(label)
    return key if key in among else ""


class Atlas:
    """The places of a graph: which city of the table is one of them."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self._linker = graph, Linker(graph)
        self.columns, self._pairs = stated(graph), set(graph.pair.tolist())
        self._countries: dict[str, str] = {}

    def answers(self, entity: int, relation: int) -> bool:
        """Whether the graph has a fact of the pair, held out or not."""
        return self.graph.pair_id(entity, relation) in self._pairs

    def known(self, city: City) -> int | None:
        """The place of the graph that is the city beyond doubt."""
        names = [*([city.name] if city.alone else []), *_with_region(city)]
        matches = [match for name in names for match in self._linker.matches(name)]
        found = {match.entity for match in matches}
        if len(found) != 1 or any(match.how > How.SPELLING for match in matches):
            return None
        [entity] = found
        return entity if entity in self._places else None

    def is_new(self, city: City) -> bool:
        """Whether nothing in the graph has the city's name, and no place one that is like any of its names."""
        if self._linker.matches(city.name):
            return False
        return not any(self._has_place_like(plain(name)) for name in (city.name, *_with_region(city), *city.others))

    def facts(self, city: City, name: str, relations: Iterable[int]) -> Iterator[Proposal]:
        """What the table states about a city that the graph calls `name`."""
        for relation in relations:
            column = self.columns[relation]
            value = self.country(city.country) if column == "country" else str(getattr(city, column))
            if value:
                yield Proposal(name, self.graph.relations[relation], value)

    def country(self, label: str) -> str:
        """What the graph calls a country of countries.tsv: by its Wikidata id, or by any name where countries are."""
        if label not in self._countries:
            self._countries[label] = self._find_country(label)
        return self._countries[label]

    def _find_country(self, label: str) -> str:
        key = next(key for key, known in countries.labels().items() if known == label)
        if key in self._by_key:
            return self.graph.entities[self._by_key[key]].label
        for name in (label, *(name for name, named in countries.ids().items() if named == key)):
            found = {match.entity for match in self._linker.matches(name)} & self._states
            if len(found) == 1:
                return self.graph.entities[found.pop()].label
        return label

    def _has_place_like(self, name: str) -> bool:
        return process.extractOne(name, self._place_names, scorer=fuzz.ratio, score_cutoff=ALIKE) is not None

    @cached_property
    def _by_key(self) -> dict[str, int]:
        return {entity.key: i for i, entity in enumerate(self.graph.entities)}

    @cached_property
    def _places(self) -> set[int]:
        """What is named where a place is."""
        places = self._ends(self.graph.tail, _AT_PLACES) | self._ends(self.graph.head, _OF_PLACES)
        return places - self._states

    @cached_property
    def _states(self) -> set[int]:
        """What is named where a country is."""
        return self._ends(self.graph.tail, _AT_COUNTRIES) | self._ends(self.graph.head, _OF_COUNTRIES)

    @cached_property
    def _place_names(self) -> list[str]:
        """The names of all that may be a city, also of those that are told apart: 'Austin' for 'Austin, Texas'."""
        entities = self._places | self._ends(self.graph.head, RELATIONS)
        names = (name for e in sorted(entities) for name in self.graph.entities[e].names)
        return list(dict.fromkeys(plain(part) for n in names for part in (without_disambiguator(n), n.split(",")[0])))

    def _ends(self, column: Ints, among: Iterable[str]) -> set[int]:
        """The entities of a column of the facts, over relations that mean one of `among`."""
        wanted = [r for r, label in enumerate(self.graph.relations) if _meaning(label, among)]
        return set(column[np.isin(self.graph.relation, wanted)].tolist())


def _with_region(city: City) -> list[str]:
    """The name as Americans tell it apart."""
    return [f"{city.name}, {city.region}"] if city.region else []
