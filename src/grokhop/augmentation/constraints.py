"""What may be added to a graph: which entities fit where, how many objects a subject takes, and in which order.

Graphs come without types. A relation has two *slots*, its subjects and its objects; slots that share more than
a few entities hold one *kind* of entity (the objects of 'director' and the subjects of 'place of birth').

Shapes: F facts, E entities, R relations.
"""

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, sparse
from scipy.sparse import csgraph

from grokhop.graph.graph import Graph, Split
from grokhop.graph.splits import question_pairs

Longs = NDArray[np.int64]
Mask = NDArray[np.bool_]

OVERLAP = 0.1
"""Two slots are of one kind when the smaller shares at least this part of its entities with the larger."""
EXCEPTIONS = 0.05
"""A relation is functional when at most this part of its subjects has two objects."""


@dataclass(frozen=True, kw_only=True)
class Kinds:
    """The kinds of entities, numbered 0..K-1.

    Attributes:
        subject, object: (R,) the kind of each relation's subjects and objects; -1 for a relation without facts.
        members: for each kind its entity ids, sorted. An entity may be of several kinds.
    """

    subject: Longs
    object: Longs
    members: list[Longs]


def find_kinds(graph: Graph) -> Kinds:
    """Group the 2 R slots by shared entities, held-out facts included: a kind is known even where no path is."""
    R, E = len(graph.relations), len(graph.entities)
    slot = np.concatenate([graph.relation, graph.relation + R]).astype(np.int64)
    entity = np.concatenate([graph.head, graph.tail]).astype(np.int64)
    slot, entity = np.divmod(np.unique(slot * E + entity), E)
    belongs = sparse.csr_array((np.ones(len(slot), np.int64), (slot, entity)), shape=(2 * R, E))
    shared = (belongs @ belongs.T).tocoo()
    size = np.bincount(slot, minlength=2 * R)
    a, b = shared.coords
    same = shared.data >= OVERLAP * np.minimum(size[a], size[b])
    links = sparse.csr_array((np.ones(same.sum()), (a[same], b[same])), shape=(2 * R, 2 * R))
    _, kind = csgraph.connected_components(links, directed=False)
    used, kind = np.unique(np.where(size > 0, kind, -1), return_inverse=True)
    kind = kind - (used[0] == -1)
    members = [np.unique(entity[kind[slot] == k]) for k in range(kind.max() + 1)]
    return Kinds(subject=kind[:R], object=kind[R:], members=members)


def objects_limit(graph: Graph) -> Longs:
    """(R,) how many objects a subject may have: as many as all but `EXCEPTIONS` of the subjects stay within.

    It is 1 for a functional relation, which never gives a subject a second object.
    """
    pair, objects = np.unique(graph.pair, return_counts=True)
    relation = pair % len(graph.relations)
    limit = np.ones(len(graph.relations), np.int64)
    for r in np.unique(relation):
        limit[r] = np.quantile(objects[relation == r], 1 - EXCEPTIONS, method="inverted_cdf")
    return limit


def sustainable(kinds: Kinds, limit: Longs, facts: Longs, paths: Longs, target: float) -> Mask:
    """(R,) which relations can all reach phi `target` at once, however many facts are added.

    A fact of relation p makes at most limit_r paths p r with each relation r that goes on from its object, so
    with n_p facts of each relation, relation r has at most n_r * (sum of the limits at its objects) first-hop
    and limit_r * (sum of n_p over p that lead to its subjects) later-hop paths, besides what is observed. First
    the relations fall out that fail with any n; then, while no n >= `facts` serves all the rest (a linear
    programme), the one that misses most.

    Args:
        limit, facts, paths: (R,) see `objects_limit`; trainable facts; trainable paths.
    """
    used = kinds.subject >= 0
    gain = np.where((kinds.object[None, :] == kinds.subject[:, None]) & used, limit[:, None], 0).astype(float)
    most_out = most_objects(kinds, limit)[kinds.object]
    # A path r r counts once for r: the fact that makes it a later hop is the one that makes it a first hop.
    np.fill_diagonal(gain, most_out - target)
    fed = (gain - np.diag(np.diag(gain)) > 0).any(axis=1)
    wanted = np.maximum(target * facts, 1.0)
    left: Mask = used & (fed | (most_out >= target) | (paths >= wanted))
    while left.any():
        missing = _least_missing(gain[left], np.maximum(facts, 1), paths[left], wanted[left])
        if missing.max() < 1e-6:
            break
        left[np.flatnonzero(left)[missing.argmax()]] = False
    return left


def _least_missing(
    gain: NDArray[np.float64], facts: Longs, paths: Longs, wanted: NDArray[np.float64]
) -> NDArray[np.float64]:
    """For each of the required relations the part of its paths that the best mix of facts still misses."""
    n, R = gain.shape
    cost = np.concatenate([np.zeros(R), 1 / wanted])
    solved = optimize.linprog(
        cost, A_ub=np.hstack([-gain, -np.eye(n)]), b_ub=paths, bounds=[*((f, None) for f in facts), *[(0, None)] * n]
    )
    missing: NDArray[np.float64] = solved.x[R:] / wanted
    return missing


def most_objects(kinds: Kinds, limit: Longs) -> Longs:
    """(K,) how many facts an entity of each kind may be the subject of, over all relations."""
    return np.array([limit[kinds.subject == k].sum() for k in range(len(kinds.members))], np.int64)


def untouchable_pairs(graph: Graph) -> Longs:
    """Sorted pairs, numbered as in `Graph.pair`, that no fact may be added to.

    Those are the pairs held out, and those that a question asks for, held out or not: a second object would
    give its query a second answer. A chain asks for the pairs of every object it may pass, not only of those
    that its own facts name.
    """
    asked = {pair for question in graph.questions for pair in question_pairs(graph, question)}
    order = np.argsort(graph.pair, kind="stable")
    pairs, tails = graph.pair[order], graph.tail[order].astype(np.int64)
    for head, relations in {path for question in graph.questions if (path := question.path)}:
        reached = np.array([head], np.int64)
        for relation in relations:
            wanted = graph.pair_id(reached, relation)
            asked.update(wanted.tolist())
            low, high = (np.searchsorted(pairs, wanted, side) for side in ("left", "right"))
            reached = np.unique(np.concatenate([tails[i:j] for i, j in zip(low, high, strict=True)] or [tails[:0]]))
    return np.unique(np.concatenate([graph.pair[graph.part != Split.TRAIN], np.array(sorted(asked), np.int64)]))


def cycle_free_order(graph: Graph, rng: np.random.Generator) -> Longs:
    """(E,) a rank for each entity; a fact from a lower to a strictly higher rank never closes a cycle.

    The strongly connected components of all facts are ranked in a topological order, drawn at random among those
    that there are; entities that lie on a cycle together share a rank.
    """
    E = len(graph.entities)
    steps = sparse.csr_array((np.ones(len(graph), np.int8), (graph.head, graph.tail)), shape=(E, E))
    n, component = csgraph.connected_components(steps, directed=True, connection="strong")
    ends = np.unique(component[graph.head].astype(np.int64) * n + component[graph.tail])
    a, b = np.divmod(ends, n)
    a, b = a[a != b], b[a != b]
    ranks: Longs = _topological_ranks(a, b, rng.permutation(n))[component]
    return ranks


def _topological_ranks(a: Longs, b: Longs, priority: Longs) -> Longs:
    """(N,) position of each node in the topological order of the edges a -> b (a sorted), low priority first."""
    n = len(priority)
    bounds = np.searchsorted(a, np.arange(n + 1)).tolist()
    onward, waiting = b.tolist(), np.bincount(b, minlength=n).tolist()
    ready = [(int(priority[i]), i) for i in range(n) if not waiting[i]]
    heapq.heapify(ready)
    rank = np.empty(n, np.int64)
    for position in range(n):
        _, node = heapq.heappop(ready)
        rank[node] = position
        for after in onward[bounds[node] : bounds[node + 1]]:
            waiting[after] -= 1
            if not waiting[after]:
                heapq.heappush(ready, (int(priority[after]), after))
    return rank
