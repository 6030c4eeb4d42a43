"""Small graphs that several tests share."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from grokhop.graph.graph import Graph, GraphBuilder, Split
from grokhop.graph.paths import Mask, Queries
from grokhop.graph.splits import hold_out

Fact = tuple[str, str, str]
Query = tuple[int, ...]
"""Head and relations, as numbers."""


def built(facts: Iterable[Fact]) -> Graph:
    builder = GraphBuilder(source="test")
    for fact in facts:
        builder.fact(*fact)
    return builder.build()


def random_graph(*, entities: int, relations: int, degree: int, holdout: float, tails: int = 1, seed: int = 0) -> Graph:
    """A graph as of Wang et al. (2024): each entity has `degree` relations, each to `tails` entities by chance."""
    rng = np.random.default_rng(seed)
    graph = built(
        (f"e{head}", f"r{relation}", f"e{tail}")
        for head in range(entities)
        for relation in rng.choice(relations, degree, replace=False)
        for tail in rng.choice(entities, tails, replace=False)
    )
    return hold_out(graph, share=holdout)


def parted(graph: Graph, parts: dict[tuple[str, str], Split]) -> Graph:
    """The graph with the parts of the named (subject, relation) pairs; all others are trained."""
    labels = [(graph.entities[h].label, graph.relations[r]) for h, r, _ in triples(graph)]
    return replace(graph, part=np.array([parts.get(pair, Split.TRAIN) for pair in labels], np.int8))


@st.composite
def parted_graphs(draw: st.DrawFn, *, most_facts: int = 12) -> Graph:
    """Graphs so small that everything about them can be enumerated; each pair is in a part of its own."""
    fact = st.tuples(st.sampled_from("abcd"), st.sampled_from("rst"), st.sampled_from("abcd"))
    graph = built(draw(st.lists(fact, min_size=1, max_size=most_facts, unique=True)))
    labels = sorted({(graph.entities[h].label, graph.relations[r]) for h, r, _ in triples(graph)})
    return parted(graph, {pair: draw(st.sampled_from(Split)) for pair in labels})


def triples(graph: Graph) -> list[tuple[int, int, int]]:
    return list(zip(graph.head.tolist(), graph.relation.tolist(), graph.tail.tolist(), strict=True))


def paths_by_force(graph: Graph, masks: Sequence[Mask]) -> set[tuple[int, ...]]:
    """Every path whose i-th fact is in the i-th mask, as fact indices, one fact after the other."""
    facts = triples(graph)
    onward = defaultdict(list)
    for i, (head, _, _) in enumerate(facts):
        onward[head].append(i)

    def longer(path: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        if len(path) == len(masks):
            yield path
            return
        for fact in onward[facts[path[-1]][2]]:
            if masks[len(path)][fact]:
                yield from longer((*path, fact))

    return {path for i in np.flatnonzero(masks[0]) for path in longer((int(i),))}


def query_of(graph: Graph, path: Sequence[int]) -> Query:
    return (int(graph.head[path[0]]), *(int(graph.relation[fact]) for fact in path))


def answers_by_force(graph: Graph, head: int, relations: Sequence[int]) -> set[int]:
    """The ends of all walks from `head` along `relations`."""
    reached = {head}
    for wanted in relations:
        reached = {t for h, r, t in triples(graph) if h in reached and r == wanted}
    return reached


def rows_of(queries: Queries) -> list[Query]:
    """Each query as a tuple of numbers."""
    return [tuple(row) for row in np.column_stack([queries.head, queries.relations]).tolist()]


def answers_of(queries: Queries) -> list[set[int]]:
    return [set(a.tolist()) for a in np.split(queries.answers, queries.offsets[1:-1])]
