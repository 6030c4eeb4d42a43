"""The vocabulary: every entity and every relation is one token, and nothing else is."""

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from grokhop.graph.graph import Graph

Ids = TypeVar("Ids", int, NDArray[np.integer[Any]])


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """Entities are tokens 0..E-1, relations E..E+R-1."""

    entities: int
    relations: int

    @property
    def size(self) -> int:
        return self.entities + self.relations

    def relation_token(self, relation: Ids) -> Ids:
        """Return the token of a relation; of many where it is an array."""
        return self.entities + relation

    @staticmethod
    def of(graph: Graph) -> "Vocabulary":
        return Vocabulary(entities=len(graph.entities), relations=len(graph.relations))


def token_labels(graph: Graph) -> tuple[str, ...]:
    """(V,) what each token is called."""
    return (*(entity.label for entity in graph.entities), *graph.relations)
