"""The vocabulary: every entity and every relation is one token, and nothing else is."""

from dataclasses import dataclass

from grokhop.graph.graph import Graph


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """Entities are tokens 0..E-1, relations E..E+R-1."""

    entities: int
    relations: int

    @property
    def size(self) -> int:
        return self.entities + self.relations

    @staticmethod
    def of(graph: Graph) -> "Vocabulary":
        return Vocabulary(entities=len(graph.entities), relations=len(graph.relations))


def token_labels(graph: Graph) -> tuple[str, ...]:
    """(V,) what each token is called."""
    return (*(entity.label for entity in graph.entities), *graph.relations)
