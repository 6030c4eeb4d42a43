"""Graphs drawn by chance, as in *Grokked Transformers are Implicit Reasoners* (Wang et al. 2024, arXiv 2405.15071).

Their notebooks `composition.ipynb` and `comparison.ipynb` (OSU-NLP-Group/GrokkedTransformer) draw two kinds:

- *composition*: each entity has `out_degree` different relations, each to one entity by chance, so that phi is
  `out_degree`; a share of all facts is OOD. Unlike there no fact leads back to its head, for such a hop would be
  answered by leaving it out.
- *comparison*: each entity has one of `values` numbers for each relation (there: attribute); of each relation a share
  of the entities is OOD.

Values are labelled as the numbers that they are, which is what makes them comparable by order
(`grokhop.tasks.comparison`); that they are compared at all follows from one question for each relation. It asks two
facts that are held out for test, so that nothing is lost to training.

All is drawn by one generator from the seed, facts first: another hold-out leaves them as they are, and a larger one
holds out what a smaller one does and more. The same numbers come under the same version of NumPy, which the manifest
names.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grokhop.core.errors import InputError
from grokhop.graph.graph import Entity, Graph, Question, Split
from grokhop.graph.queries import EQUAL
from grokhop.graph.splits import check_share, hold_out_marked

SOURCE = "synthetic"
MOST = 10_000_000
"""Entities, relations, values or facts; more are taken for a slip."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Composition:
    """What composition graph to draw; as published where nothing else is said.

    Raises:
        InputError: there is no such graph.
    """

    entities: int = 2000
    relations: int = 200
    out_degree: int = 20
    """Facts that begin at each entity."""
    holdout: float = 0.05
    """Of all facts."""
    seed: int = 0

    def __post_init__(self) -> None:
        _check(self, self.entities * self.out_degree, entities=2, relations=1, out_degree=1)
        if self.out_degree > self.relations:
            raise InputError(
                f"--out-degree is {self.out_degree}, but an entity has each of the {self.relations} relations at most "
                "once: lower it or raise --relations"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """What comparison graph to draw; as published where nothing else is said.

    Raises:
        InputError: there is no such graph, or fewer than two entities of a relation are left to be compared.
    """

    entities: int = 1000
    relations: int = 20
    """Attributes, each of which every entity has."""
    values: int = 20
    """The numbers from 0 that an attribute may have."""
    holdout: float = 0.1
    """Of the facts of each relation."""
    seed: int = 0

    def __post_init__(self) -> None:
        _check(self, self.entities * self.relations, entities=2, relations=1, values=2)
        left = self.entities - round(self.holdout * self.entities)
        if left < 2:
            raise InputError(
                f"--holdout {self.holdout} leaves {left} of {self.entities} entities, but a comparison needs 2: "
                "lower it or raise --entities"
            )


COMPOSITION, COMPARISON = "composition", "comparison"
KINDS: dict[str, type[Composition] | type[Comparison]] = {COMPOSITION: Composition, COMPARISON: Comparison}


def asked(kind: str, **given: Any) -> Composition | Comparison:
    """The settings of a graph of a kind; those given as None are as published.

    Raises:
        InputError: there is no such kind or no such graph, or a setting is for the other kind.
    """
    if kind not in KINDS:
        raise InputError(f"there is no kind {kind!r}: choose {' or '.join(KINDS)}")
    given = {name: value for name, value in given.items() if value is not None}
    alien = [name for name in given if name not in {field.name for field in fields(KINDS[kind])}]
    if alien:
        other = next(name for name in KINDS if name != kind)
        raise InputError(f"{_option(alien[0])} is not for --kind {kind}: leave it out, or give --kind {other}")
    return KINDS[kind](**given)


def record(settings: Composition | Comparison) -> dict[str, Any]:
    """What a manifest says of the source: the options of `grokhop ingest synthetic` that draw this graph."""
    kind = next(name for name, made in KINDS.items() if isinstance(settings, made))
    return {"source": SOURCE, "kind": kind, **asdict(settings)}


def draw(settings: Composition | Comparison) -> Graph:
    """Return the graph, held out as its settings say; the values of a comparison graph stand behind its entities.

    Raises:
        InputError: the hold-out is empty though one is wanted, or nothing is left beside it.
    """
    rng = np.random.default_rng(settings.seed)
    return _composition(settings, rng) if isinstance(settings, Composition) else _comparison(settings, rng)


def _composition(settings: Composition, rng: np.random.Generator) -> Graph:
    entities, degree = settings.entities, settings.out_degree
    head = np.repeat(np.arange(entities), degree)
    relation = np.concatenate([rng.choice(settings.relations, degree, replace=False) for _ in range(entities)])
    other = rng.integers(entities - 1, size=len(head))
    tail = other + (other >= head)  # uniform over all entities but the head
    graph = _graph(_named("e", entities), _named("r", settings.relations), head, relation, tail)
    return _held_out(graph, rng.permutation(len(graph)), settings, of=len(graph))


def _comparison(settings: Comparison, rng: np.random.Generator) -> Graph:
    shape = entities, relations = settings.entities, settings.relations
    head, relation = (axis.ravel() for axis in np.indices(shape))
    tail = entities + rng.integers(settings.values, size=shape).ravel()
    names = [*_named("e", entities), *_named("", settings.values)]
    graph = _graph(names, _named("a", relations), head, relation, tail)
    # In each column a row of places of its own, so that each relation has as many held out.
    places = rng.permuted(head.reshape(shape), axis=0).ravel()
    graph = _held_out(graph, places, settings, of=entities)
    return replace(graph, questions=tuple(_questions(graph, rng)))


def _named(letter: str, n: int) -> list[str]:
    return [f"{letter}{i}" for i in range(n)]


def _graph(
    entities: list[str],
    relations: list[str],
    head: NDArray[np.integer[Any]],
    relation: NDArray[np.integer[Any]],
    tail: NDArray[np.integer[Any]],
) -> Graph:
    """The graph of (F,) columns, nothing held out yet."""
    return Graph(
        entities=tuple(Entity(key=name, label=name) for name in entities),
        relations=tuple(relations),
        head=head.astype(np.int32),
        relation=relation.astype(np.int32),
        tail=tail.astype(np.int32),
        part=np.zeros(len(head), np.int8),
        source=np.zeros(len(head), np.int16),
        sources=(SOURCE,),
        observed=(True,),
    )


def _held_out(graph: Graph, places: NDArray[np.int64], settings: Composition | Comparison, *, of: int) -> Graph:
    """The graph without the facts at the first of their (F,) places, which are permutations of `of` numbers."""
    chosen = {"unit": "pair", "share": settings.holdout, "seed": settings.seed}
    if settings.holdout:
        graph = hold_out_marked(graph, places < round(settings.holdout * of))
    return replace(graph, holdout=chosen)


def _questions(graph: Graph, rng: np.random.Generator) -> Iterator[Question]:
    """For each relation one question that compares two facts for test, or trainable ones where those are too few."""
    for number, relation in enumerate(graph.relations):
        found = (
            np.flatnonzero((graph.relation == number) & (graph.part == part)) for part in (Split.TEST, Split.TRAIN)
        )
        one, *others = rng.permutation(next(facts for facts in found if len(facts) > 1)).tolist()
        # Which is smaller is asked of two values that differ, if any do.
        other = next((fact for fact in others if graph.tail[fact] != graph.tail[one]), others[0])
        names = [graph.entities[graph.head[fact]].label for fact in (one, other)]
        # Tails are numbered as their values are ordered.
        order = int(graph.tail[other]) - int(graph.tail[one])
        yield Question(
            id=relation,
            type="comparison",
            text=f"Which has the smaller {relation}, {names[0]} or {names[1]}?",
            answer=EQUAL if order == 0 else names[order < 0],
            facts=tuple((int(graph.head[fact]), number, int(graph.tail[fact])) for fact in (one, other)),
        )


def _check(settings: Composition | Comparison, facts: int, **least: int) -> None:
    """Refuse numbers below the least ones that are given, and what would be too much to draw."""
    for name, number in (least | {"seed": 0}).items():
        found = getattr(settings, name)
        if found < number:
            raise InputError(f"{_option(name)} is {found}: give {number} or more")
        if name != "seed" and found > MOST:
            raise InputError(f"{_option(name)} is {found:,}: give {MOST:,} or fewer")
    if facts > MOST:
        raise InputError(f"this graph would have {facts:,} facts, but {MOST:,} are the most: lower --entities")
    check_share(settings.holdout)


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
