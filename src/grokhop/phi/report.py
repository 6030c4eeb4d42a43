"""Phi: how many inferred facts a graph holds for each atomic fact, over all and relation by relation.

An inferred fact is the end of a path of k >= 2 facts, each starting where the one before ends. A transformer
generalises to unseen compositions only when phi passes a threshold for *every* relation of the task, reported
as 3.6 (Wang et al. 2024) to 6.25 (Abramov et al. 2025). Paths are counted, never listed: with A[h, t] the
number of facts from h to t, the walks of j facts that start at each entity are A^j 1, those that end there
(A^T)^j 1, and all counts are sums of their products.

Shapes: F facts, E entities, R relations, k hops.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from grokhop.core.errors import InputError
from grokhop.graph.graph import Graph, Split

if TYPE_CHECKING:
    pass
from grokhop.phi.count import PathCounts, count_paths

TARGET = 6.25
"""The threshold reported by Abramov et al. 2025 for composition."""


def measure(graph: Graph, *, hops: int = 2, target: float = TARGET) -> dict[str, Any]:
    """Return the phi of `graph` and of each of its relations, before and (under `trainable`) after hold-out.

    `branching` is b = |F|/|V| for the graph and, for a relation, its facts per distinct subject. The paper
    (Abramov et al. 2025, as reported) leaves the definition for a relation open, so nothing is decided by it:
    what passes or fails is decided by phi alone. `lemma_1_bound` is b^(k-1) (Lemma 1). It bounds phi
    asymptotically and for evenly spread degrees only: a real graph with hubs has more paths. `lemma_2_holds`
    says that every relation passes (Lemma 2: with one relation below, the graph as a whole cannot be fully
    generalised).

    Returns:
        A dict for JSON. `per_relation` is in the order of relation ids, without relations that have no fact.
        A path counts for a relation when it uses it at one hop or more; a relation with `never_bridge` is in
        no path at all. A relation whose facts are all held out has phi 0 under `trainable`.

    Raises:
        InputError: hops < 2, target <= 0, no facts, or more paths than 64-bit integers hold.
    """
    if hops < 2:
        raise InputError(f"--hops is {hops}, but an inferred fact needs at least 2 facts: give 2 or more")
    if not 0 < target < np.inf:
        raise InputError(f"--target is {target}, but phi needs a number above 0: give one, such as {TARGET}")
    if not len(graph):
        raise InputError("the graph has no facts, so phi is not defined: ingest at least one fact")
    in_use = np.flatnonzero(np.bincount(graph.relation)).tolist()
    whole = {"denominator": "all facts", **_measure(graph, in_use, hops, target)}
    trainable = graph.part == Split.TRAIN
    after = whole if trainable.all() else _measure(graph.where(trainable), in_use, hops, target)
    return {
        **whole,
        "verdict": _verdict(after, hops, target),
        "trainable": {**after, "denominator": "trainable facts"},
    }


def _measure(graph: Graph, in_use: list[int], hops: int, target: float) -> dict[str, Any]:
    counts = count_paths(graph, hops=hops)
    entities = counts.entities
    branching = len(graph) / entities if entities else 0.0
    per_relation = [_relation(graph.relations[r], counts, r, target) for r in in_use]
    failing = [row["relation"] for row in per_relation if not row["passes"]]
    return {
        "facts": len(graph),
        "entities": entities,
        "relations": len(in_use),
        "hops": hops,
        "paths": counts.paths,
        "paths_no_return": counts.paths - counts.returning,
        "phi": counts.paths / len(graph) if len(graph) else 0.0,
        "target": target,
        "passes": not failing,
        "branching": branching,
        "lemma_1_bound": branching ** (hops - 1),
        "lemma_2_holds": not failing,
        "failing": failing,
        "per_relation": per_relation,
    }


def _relation(label: str, counts: PathCounts, r: int, target: float) -> dict[str, Any]:
    facts, paths, heads = int(counts.facts[r]), int(counts.using[r]), int(counts.heads[r])
    phi = paths / facts if facts else 0.0
    return {
        "relation": label,
        "facts": facts,
        "first_hop_paths": int(counts.first[r]),
        "last_hop_paths": int(counts.last[r]),
        "paths": paths,
        "phi": phi,
        "branching": facts / heads if heads else 0.0,
        "passes": phi >= target,
        "never_bridge": paths == 0,
    }


def _verdict(after: dict[str, Any], hops: int, target: float) -> str:
    rows, n = after["per_relation"], after["relations"]
    relations = "relation" if n == 1 else "relations"
    if not after["paths"]:
        chain = "no fact ends where another begins" if hops == 2 else f"no {hops} facts form a chain"
        return f"After hold-out {chain}, so there is nothing to infer: see what 'grokhop augment' can add."
    below = [row for row in rows if not row["passes"]]
    if not below:
        return f"All {n} {relations} reach phi {target:g} after hold-out: nothing needs to be added."
    worst = min((row for row in below if row["paths"]), key=lambda row: row["phi"], default=None)
    alone = sum(row["never_bridge"] for row in below)
    notes = [f"worst: {worst['relation']} at {worst['phi']:.1f}"] if worst else []
    notes += [f"{alone} in no path at all"] if alone else []
    return (
        f"{len(below)} of {n} {relations} {'is' if len(below) == 1 else 'are'} below phi {target:g} after "
        f"hold-out ({'; '.join(notes)}), so the graph cannot be fully generalised: 'grokhop augment' adds what "
        "is missing."
    )
