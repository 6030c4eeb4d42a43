"""Phi: how many inferred facts a graph holds for each atomic fact, over all and relation by relation.

An inferred fact is the end of a path of k >= 2 facts, each starting where the one before ends. A transformer
generalises to unseen compositions only when phi passes a threshold for *every* relation of the task, reported
as 3.6 (Wang et al. 2024) to 6.25 (Abramov et al. 2025). Paths are counted, never listed: with A[h, t] the
number of facts from h to t, the walks of j facts that start at each entity are A^j 1, those that end there
(A^T)^j 1, and all counts are sums of their products.

Shapes: F facts, E entities, R relations, k hops.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from grokhop.core.errors import InputError
from grokhop.core.records import INLINED, Record
from grokhop.graph.graph import Graph, Split
from grokhop.phi.count import PathCounts, count_paths

TARGET = 6.25
LEARNED_FROM = 2.0
"""Phi as trained from which the preset `recurrent` composed on random graphs (docs/log.md); no law."""
"""The threshold reported by Abramov et al. 2025 for composition."""


@dataclass(frozen=True, kw_only=True)
class RelationPhi(Record):
    """The counts of one relation; a path counts when it uses the relation at one hop or more.

    Attributes:
        branching: facts for each distinct subject.
        never_bridge: whether the relation is in no path at all.
    """

    relation: str
    facts: int
    first_hop_paths: int
    last_hop_paths: int
    paths: int
    phi: float
    branching: float
    passes: bool
    never_bridge: bool


@dataclass(frozen=True, kw_only=True)
class PhiCounts(Record):
    """The phi of one set of facts and of each of its relations.

    Attributes:
        denominator: the facts that paths are divided by: 'all facts' or 'trainable facts'.
        branching: b = |F|/|V|. The paper (Abramov et al. 2025, as reported) leaves its definition for a relation open,
            so nothing is decided by it.
        lemma_1_bound: b^(k-1) (Lemma 1). It bounds phi asymptotically and for evenly spread degrees only: a real graph
            with hubs has more paths.
        lemma_2_holds: whether every relation passes (Lemma 2: with one relation below, the graph as a whole cannot be
            fully generalised).
        per_relation: in the order of relation ids, without relations that have no fact.
    """

    denominator: str
    facts: int
    entities: int
    relations: int
    hops: int
    paths: int
    paths_no_return: int
    phi: float
    target: float
    passes: bool
    branching: float
    lemma_1_bound: float
    lemma_2_holds: bool
    failing: tuple[str, ...]
    per_relation: tuple[RelationPhi, ...]

    def by_relation(self) -> dict[str, RelationPhi]:
        """Return the counts of each relation by its name."""
        return {row.relation: row for row in self.per_relation}


@dataclass(frozen=True, kw_only=True)
class PhiReport(Record):
    """The phi of a graph before hold-out (`whole`) and after (`trainable`), and what follows from it in words.

    A relation whose facts are all held out has phi 0 under `trainable`.
    """

    whole: PhiCounts = field(metadata=INLINED)
    verdict: str
    trainable: PhiCounts


def measure(graph: Graph, *, hops: int = 2, target: float = TARGET) -> PhiReport:
    """Measure the phi of `graph` and of each of its relations, before and after hold-out.

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
    whole = _measure(graph, "all facts", in_use, hops, target)
    trainable = graph.part == Split.TRAIN
    after = (
        replace(whole, denominator="trainable facts")
        if trainable.all()
        else _measure(graph.where(trainable), "trainable facts", in_use, hops, target)
    )
    return PhiReport(whole=whole, trainable=after, verdict=_verdict(after, hops, target))


def _measure(graph: Graph, denominator: str, in_use: list[int], hops: int, target: float) -> PhiCounts:
    counts = count_paths(graph, hops=hops)
    entities = counts.entities
    branching = len(graph) / entities if entities else 0.0
    per_relation = tuple(_relation(graph.relations[r], counts, r, target) for r in in_use)
    failing = tuple(row.relation for row in per_relation if not row.passes)
    return PhiCounts(
        denominator=denominator,
        facts=len(graph),
        entities=entities,
        relations=len(in_use),
        hops=hops,
        paths=counts.paths,
        paths_no_return=counts.paths - counts.returning,
        phi=counts.paths / len(graph) if len(graph) else 0.0,
        target=target,
        passes=not failing,
        branching=branching,
        lemma_1_bound=branching ** (hops - 1),
        lemma_2_holds=not failing,
        failing=failing,
        per_relation=per_relation,
    )


def _relation(label: str, counts: PathCounts, r: int, target: float) -> RelationPhi:
    facts, paths, heads = int(counts.facts[r]), int(counts.using[r]), int(counts.heads[r])
    phi = paths / facts if facts else 0.0
    return RelationPhi(
        relation=label,
        facts=facts,
        first_hop_paths=int(counts.first[r]),
        last_hop_paths=int(counts.last[r]),
        paths=paths,
        phi=phi,
        branching=facts / heads if heads else 0.0,
        passes=phi >= target,
        never_bridge=paths == 0,
    )


def _verdict(after: PhiCounts, hops: int, target: float) -> str:
    rows, n = after.per_relation, after.relations
    relations = "relation" if n == 1 else "relations"
    if not after.paths:
        chain = "no fact ends where another begins" if hops == 2 else f"no {hops} facts form a chain"
        return f"After hold-out {chain}, so there is nothing to infer: see what 'grokhop augment' can add."
    below = [row for row in rows if not row.passes]
    if not below:
        return f"All {n} {relations} reach phi {target:g} after hold-out: nothing needs to be added."
    worst = min((row for row in below if row.paths), key=lambda row: row.phi, default=None)
    alone = sum(row.never_bridge for row in below)
    notes = [f"worst: {worst.relation} at {worst.phi:.1f}"] if worst else []
    notes += [f"{alone} in no path at all"] if alone else []
    return (
        f"{len(below)} of {n} {relations} {'is' if len(below) == 1 else 'are'} below phi {target:g} after "
        f"hold-out ({'; '.join(notes)}), so not all of it may be learned: 'grokhop augment' adds what "
        "is missing, and '--preset loop' is told how to compose."
    )
