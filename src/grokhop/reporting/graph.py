"""The section on the graph: its sources, its relations with examples, and a chain to picture."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from grokhop.graph.graph import Graph, Split
from grokhop.graph.paths import PathIndex
from grokhop.reporting.evidence import Evidence
from grokhop.reporting.plot import MOST_RELATIONS


class Source(NamedTuple):
    """Where facts come from; `observed` says that nobody made them up."""

    name: str
    facts: int
    observed: bool


class RelationRow(NamedTuple):
    """A relation with a few of its facts, as subject and object."""

    relation: str
    facts: int
    examples: list[tuple[str, str]]


class Chain(NamedTuple):
    """Two facts in a row: entity, relation, entity, relation, entity."""

    kind: str
    text: str
    steps: list[str]


@dataclass(frozen=True, kw_only=True)
class GraphSection:
    """The section on the graph; `more` relations are not shown."""

    sources: list[Source]
    counts: dict[str, Any]
    relations: list[RelationRow]
    more: int
    chains: list[Chain]


def graph_section(evidence: Evidence) -> GraphSection:
    graph, counts = evidence.run.graph, evidence.run.graph_manifest["counts"]
    observed = {s["name"]: s["observed"] for s in evidence.run.graph_manifest["sources"]}
    facts = np.bincount(graph.relation, minlength=len(graph.relations))
    order = np.argsort(-facts, kind="stable")[:MOST_RELATIONS]
    relations = [RelationRow(graph.relations[r], int(facts[r]), _examples(graph, int(r))) for r in order if facts[r]]
    return GraphSection(
        sources=[Source(name, n, observed.get(name, True)) for name, n in counts["by_source"].items()],
        counts=counts,
        relations=relations,
        more=max(0, int((facts > 0).sum()) - len(relations)),
        chains=[
            Chain(kind, text, steps)
            for kind, text, mask in (
                ("id", "Two facts that training may put together", graph.part == Split.TRAIN),
                ("ood", "Two held-out facts, put together only in the test", graph.part == Split.TEST),
            )
            if (steps := _chain(graph, mask))
        ],
    )


def _examples(graph: Graph, relation: int) -> list[tuple[str, str]]:
    rows = np.flatnonzero((graph.relation == relation) & graph.is_observed)[:2]
    return [(graph.entities[graph.head[i]].label, graph.entities[graph.tail[i]].label) for i in rows]


def _chain(graph: Graph, mask: Any) -> list[str] | None:
    """The labels h, r1, b, r2, t of a path over facts in the mask; two different relations where there are such."""
    first = np.flatnonzero(mask & graph.is_observed)[:5000]
    row, second = PathIndex(graph).facts_of_heads(graph.tail[first].astype(np.int64))
    first = first[row]
    good = mask[second] & graph.is_observed[second] & (graph.tail[second] != graph.head[first])
    first, second = first[good], second[good]
    if not len(first):
        return None
    i = int(np.argmax(graph.relation[first] != graph.relation[second]))
    a, b = first[i], second[i]
    ends = [graph.entities[e].label for e in (graph.head[a], graph.tail[a], graph.tail[b])]
    return [ends[0], graph.relations[graph.relation[a]], ends[1], graph.relations[graph.relation[b]], ends[2]]
