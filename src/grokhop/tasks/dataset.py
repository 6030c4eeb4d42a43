"""The language of a graph's questions: what is trained of them beside its facts."""

from grokhop.config import TrainSettings
from grokhop.graph.graph import Graph
from grokhop.tasks.comparison import comparable, is_comparable
from grokhop.tasks.composition import Compositions, compose
from grokhop.tasks.rules import with_rules


def worded(graph: Graph, *, compare: bool) -> Graph:
    """The graph with the words that its questions use: rules, and where comparisons are wanted, those too.

    What is added stands behind all entities, relations and facts of the graph, which keep their numbers.
    """
    return comparable(with_rules(graph)) if compare else with_rules(graph)


def compose_as(graph: Graph, settings: TrainSettings) -> Compositions:
    """What the settings train of a graph as it was given, and what is asked.

    Raises:
        InputError: it has too few compositions, and no comparisons that might be trained alone (`compose`).
    """
    return compose(
        graph,
        hops=settings.hops,
        extra_hops=settings.extra_hops,
        phi=settings.phi,
        prefixes=settings.prefixes,
        required=not is_comparable(worded(graph, compare=settings.compare)),
    )
