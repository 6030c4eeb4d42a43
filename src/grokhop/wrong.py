"""Facts that are false on purpose: the objects of added facts, exchanged within their relation.

An exchange leaves every subject and every object with as many facts as before, so phi stays the same to the last path,
and what a model learns from true and from wrong facts can be compared at equal structure.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from grokhop.graph import Graph
from grokhop.plan import Addition
from grokhop.slots import Longs, cycle_free_order

_TRIES = 20
"""Partners that are tried for each fact."""
SOURCE = "wrong"


def make_wrong(
    graph: Graph, augmented: Graph, ledger: Sequence[Addition], *, share: float, seed: int = 0
) -> tuple[Graph, list[Addition]]:
    """Make `share` of the added facts false, and label them so.

    A fact takes the object of another of its relation where neither then is a fact that is there, leads back to its
    subject or closes a cycle. Where there is no such partner it stays as it was: the ledger tells.

    Args:
        graph, augmented, ledger: before and after an augmentation, and what it added, in the order of its facts.

    Returns:
        The graph with the facts of one more source, `augment:wrong`, in place of those, and the new ledger.
    """
    rng = np.random.default_rng([seed, 3])
    wanted = rng.permutation(len(ledger))[: round(share * len(ledger))]
    if not len(wanted):
        return augmented, list(ledger)
    tails = _exchanged(augmented, ledger, wanted, rng)
    made = [a if tail is None else replace(a, tail=tail, source=SOURCE) for a, tail in zip(ledger, tails, strict=True)]
    made.sort(key=lambda a: a.source == SOURCE)  # stable: the order of the facts, the wrong ones last
    return _rebuilt(graph, augmented, made), made


def _exchanged(
    augmented: Graph, ledger: Sequence[Addition], wanted: Longs, rng: np.random.Generator
) -> list[int | None]:
    """The new object of each addition, None where it keeps its own."""
    rank = cycle_free_order(augmented, rng)
    columns = (augmented.head, augmented.relation, augmented.tail)
    known = set(zip(*(column.tolist() for column in columns), strict=True))
    tails: list[int | None] = [None] * len(ledger)
    by_relation: defaultdict[int, list[int]] = defaultdict(list)
    for i in wanted.tolist():
        by_relation[ledger[i].relation].append(i)
    for members in by_relation.values():
        for i in members:
            if tails[i] is not None:
                continue
            for j in rng.choice(members, size=min(_TRIES, len(members)), replace=False).tolist():
                a, b = ledger[i], ledger[j]
                if tails[j] is None and i != j and _may_be(a, b.tail, known, rank) and _may_be(b, a.tail, known, rank):
                    tails[i], tails[j] = b.tail, a.tail
                    known |= {(a.head, a.relation, b.tail), (b.head, b.relation, a.tail)}
                    break
    return tails


def _may_be(addition: Addition, tail: int, known: set[tuple[int, int, int]], rank: Longs) -> bool:
    return (addition.head, addition.relation, tail) not in known and bool(rank[addition.head] < rank[tail])


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
