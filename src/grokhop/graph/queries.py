"""A query: what a question in words, or a written path, asks of a graph.

One branch without an operator is a chain `h r1 ... rk`. With an operator, the ends of the branches are compared:
two branches, or four where two lives are compared (birth and death of each).
"""

from dataclasses import dataclass
from typing import Literal

from grokhop.graph.graph import Graph

Triple = tuple[str, str, str]
YES, NO, FIRST, SECOND, EQUAL = "yes", "no", "first", "second", "equal"

SAME = "SAME"
LESS = "LESS"  # the earlier date: released first, died first, older
MORE = "MORE"  # the later date: more recent, younger
LIVED_LONGER = "LIVED_LONGER"

Wants = Literal["tail", "entity", "yes/no"]
"""The end of the chain, which of the two that are compared, or whether their ends are the same."""


@dataclass(frozen=True)
class Branch:
    """A chain from the entity `head` along `relations`, all ids of one graph.

    `asked` are the relations that a model is asked by where they differ: those that spell a rule
    (`grokhop.tasks.rules`).
    """

    head: int
    relations: tuple[int, ...]
    asked: tuple[int, ...] | None = None

    def describe(self, graph: Graph) -> str:
        """'The Imp / director / spouse', which `grokhop ask` reads as well."""
        return " / ".join([graph.entities[self.head].label, *(graph.relations[r] for r in self.relations)])


@dataclass(frozen=True)
class Query:
    """What is asked; `inferred` says that a word such as 'grandfather' stands for more than one of its hops."""

    branches: tuple[Branch, ...]
    operator: str | None = None
    wants: Wants = "tail"
    inferred: bool = False

    @property
    def type(self) -> str:
        """The question type in 2WikiMultiHopQA's words; 'atomic' for a single fact."""
        hops = max(len(branch.relations) for branch in self.branches)
        if self.operator is not None:
            return "comparison" if hops == 1 else "bridge_comparison"
        if hops == 1:
            return "atomic"
        return "inference" if self.inferred else "compositional"

    def describe(self, graph: Graph) -> str:
        """The branches as paths, with the operator between them."""
        between = f" {self.operator} " if self.operator else ""
        return between.join(branch.describe(graph) for branch in self.branches)


@dataclass(frozen=True)
class Rule:
    """A word, the relations of the path that it stands for, and the relations that spell it, one for each hop."""

    word: str
    path: tuple[int, ...]
    tokens: tuple[int, ...]
