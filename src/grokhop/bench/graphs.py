"""Graphs of any size for measuring, as unevenly spread as real ones.

The pattern is CoDEx-S (Safavi and Koutra 2020; 36,543 facts of Wikidata), where

- relation sizes fall off a little faster than by rank: 31 %, 17 %, 15 %, 5 %, 5 %, ... of the facts;
- 84 % of the entities begin a fact and 51 % end one, 35 % both;
- the facts that begin at an entity fall off with rank to the power of -0.5, and those at which facts end too have most;
- within a relation the facts that end at an entity fall off with rank to the power of -1, each relation having
  favourites of its own; over all relations the first has 2.5 % of all;
- a fact is in 23 paths of two facts as their first.

How many facts there are for each entity is that of Wikidata5M (Wang et al. 2021; 20.6 million facts, 4.6 million
entities, 822 relations), which is sparser than CoDEx-S and so holds more entities: the harder case.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from grokhop.graph.graph import Entity, Graph, Ints

FACTS_PER_ENTITY = 4.5
RELATIONS = 822
BEGIN, END = 0.84, 0.51
"""Shares of the entities at which facts begin and end."""
_NAMES = ("head", "relation", "tail")


@dataclass(frozen=True, kw_only=True)
class Columns:
    """(F,) int32 heads, relations and tails of distinct facts, and how many entities there are."""

    entities: int
    head: Ints
    relation: Ints
    tail: Ints

    @property
    def relations(self) -> int:
        return int(self.relation.max()) + 1

    def graph(self) -> Graph:
        """A graph with nothing held out. All entities are one and the same: whoever counts needs their number alone,
        and millions of labels would take longer to make than the counting does."""
        return Graph(
            entities=(Entity(key="", label=""),) * self.entities,
            relations=tuple(f"r{r}" for r in range(self.relations)),
            head=self.head,
            relation=self.relation,
            tail=self.tail,
            part=np.zeros(len(self.head), np.int8),
            source=np.zeros(len(self.head), np.int16),
            sources=("skewed",),
            observed=(True,),
        )

    def write(self, folder: Path) -> None:
        """Keep the columns as files of NumPy in an existing folder."""
        for name in _NAMES:
            np.save(folder / f"{name}.npy", getattr(self, name))
        np.save(folder / "entities.npy", self.entities)

    @staticmethod
    def read(folder: Path) -> "Columns":
        columns = {name: np.load(folder / f"{name}.npy") for name in _NAMES}
        return Columns(entities=int(np.load(folder / "entities.npy")), **columns)


def skewed(facts: int, *, relations: int = RELATIONS, entities: int | None = None, seed: int = 0) -> Columns:
    """Draw distinct facts, in an order by chance; there are fewer than asked for only where the graph is that full."""
    rng = np.random.default_rng(seed)
    entities = entities or max(2, round(facts / FACTS_PER_ENTITY))
    order = rng.permutation(entities)  # ids tell nothing about how common an entity is
    weight = np.arange(1, relations + 1) ** -1.1
    begins, ends = max(1, round(BEGIN * entities)), max(1, round(END * entities))
    favourite = rng.integers(ends, size=relations)
    codes = np.empty(0, np.int64)
    for _ in range(20):
        missing = facts - len(codes)
        n = missing + missing // 10 + 10
        relation = rng.choice(relations, n, p=weight / weight.sum())
        head = order[begins - 1 - _ranks(begins, rng.random(n) ** 2 * begins)]
        tail = order[entities - 1 - (favourite[relation] + _ranks(ends, ends ** rng.random(n) - 1)) % ends]
        drawn = (head * relations + relation) * entities + tail
        codes = np.unique(np.concatenate([codes, drawn]))
        if len(codes) >= facts:
            break
    codes = rng.permutation(codes)[:facts]
    pair, tail = np.divmod(codes, entities)
    head, relation = np.divmod(pair, relations)
    return Columns(
        entities=entities,
        head=head.astype(np.int32),
        relation=relation.astype(np.int32),
        tail=tail.astype(np.int32),
    )


def _ranks(most: int, place: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.minimum(place.astype(np.int64), most - 1)
