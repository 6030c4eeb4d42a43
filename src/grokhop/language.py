"""The language of a graph's questions: what is trained of them beside its facts."""

from grokhop.compare import comparable
from grokhop.graph import Graph
from grokhop.rules import with_rules


def worded(graph: Graph, *, compare: bool) -> Graph:
    """The graph with the words that its questions use: rules, and where comparisons are wanted, those too.

    What is added stands behind all entities, relations and facts of the graph, which keep their numbers.
    """
    return comparable(with_rules(graph)) if compare else with_rules(graph)
