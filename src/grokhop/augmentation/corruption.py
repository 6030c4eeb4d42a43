"""Facts that are false on purpose: the objects of added facts, exchanged within their relation.

An exchange leaves every subject and every object with as many facts as before, so phi stays the same to the last path,
and what a model learns from true and from wrong facts can be compared at equal structure.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from grokhop.augmentation.constraints import Longs, cycle_free_order
from grokhop.augmentation.planner import Addition
from grokhop.graph.graph import Graph

_TRIES = 300
"""Partners that are tried for each fact."""
SOURCE = "wrong"


def make_wrong(
    graph: Graph, augmented: Graph, ledger: Sequence[Addition], *, share: float, seed: int = 0, acyclic: bool = True
) -> tuple[Graph, list[Addition]]:
    """Make `share` of the added facts false, and label them so.

    A fact takes the object of another of its relation where neither then is a fact that is there, leads back to its
    subject or closes a cycle. Where there is no such partner it stays as it was: the ledger tells.

    Args:
        graph, augmented, ledger: before and after an augmentation, and what it added, in the order of its facts.
        acyclic: whether an exchange that may close a cycle is left out.

    Returns:
        The graph with the facts of one more source, `augment:wrong`, in place of those, and the new ledger.
    """
    rng = np.random.default_rng([seed, 3])
    wanted = round(share * len(ledger))
    if not wanted:
        return augmented, list(ledger)
    # Without an order, any two entities will do.
    rank = cycle_free_order(augmented, rng) if acyclic else None
    tails = _exchanged(augmented, ledger, wanted, rank, rng)
    made = [a if tail is None else replace(a, tail=tail, source=SOURCE) for a, tail in zip(ledger, tails, strict=True)]
    made.sort(key=lambda a: a.source == SOURCE)  # stable: the order of the facts, the wrong ones last
    return _rebuilt(graph, augmented, made), made


def _exchanged(
    augmented: Graph, ledger: Sequence[Addition], wanted: int, rank: Longs | None, rng: np.random.Generator
) -> list[int | None]:
    """The new object of each addition, None where it keeps its own; `wanted` get one, or as many as can."""
    columns = (augmented.head, augmented.relation, augmented.tail)
    known = set(zip(*(column.tolist() for column in columns), strict=True))
    alike: defaultdict[int, list[int]] = defaultdict(list)
    for i, addition in enumerate(ledger):
        alike[addition.relation].append(i)
    tails: list[int | None] = [None] * len(ledger)
    left = wanted
    for i in rng.permutation(len(ledger)).tolist():
        a, others = ledger[i], alike[ledger[i].relation]
        if left < 1 or tails[i] is not None:
            continue
        for j in rng.permutation(others)[:_TRIES].tolist():
            b = ledger[j]
            if tails[j] is None and i != j and _may_be(a, b.tail, known, rank) and _may_be(b, a.tail, known, rank):
                tails[i], tails[j] = b.tail, a.tail
                known |= {(a.head, a.relation, b.tail), (b.head, b.relation, a.tail)}
                left -= 2
                break
    return tails


def _may_be(addition: Addition, tail: int, known: set[tuple[int, int, int]], rank: Longs | None) -> bool:
    if (addition.head, addition.relation, tail) in known or addition.head == tail:
        return False
    return rank is None or bool(rank[addition.head] < rank[tail])


def _rebuilt(graph: Graph, augmented: Graph, ledger: Sequence[Addition]) -> Graph:
    """The graph with its additions by source, the wrong ones last; entities keep their numbers."""
    grown = graph.extended([], source="entities", entities=augmented.entities[len(graph.entities) :], observed=True)
    grown = replace(grown, sources=graph.sources, observed=graph.observed)
    observed = dict(zip(augmented.sources, augmented.observed, strict=True))
    names = [*augmented.sources[len(graph.sources) :], f"augment:{SOURCE}"]
    for name in names:
        kind = name.removeprefix("augment:").split(" ")[0]
        facts = [(a.head, a.relation, a.tail) for a in ledger if a.source == kind]
        grown = grown.extended(facts, source=name, observed=observed.get(name, False))
    return grown
