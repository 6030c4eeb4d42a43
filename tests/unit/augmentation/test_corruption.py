"""Facts made false on purpose: as many as asked, at equal structure, and nothing else."""

from collections import Counter

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse import csgraph

from grokhop.augmentation.augment import augment
from grokhop.augmentation.constraints import untouchable_pairs
from grokhop.augmentation.corruption import make_wrong
from grokhop.augmentation.planner import Addition
from grokhop.graph.graph import Graph
from grokhop.graph.splits import hold_out
from grokhop.phi.report import measure
from tests.graphs import random_graph, triples

BASE = hold_out(random_graph(entities=40, relations=4, degree=2, holdout=0.0, seed=3), share=0.2)


def added(graph: Graph = BASE, **options: object) -> tuple[Graph, list[Addition]]:
    augmented, _, ledger = augment(graph, target_phi=5.0, **options)  # type: ignore[arg-type]
    return augmented, ledger


def cycles(graph: Graph) -> int:
    """How many entities lie on a cycle."""
    E = len(graph.entities)
    steps = sparse.csr_array((np.ones(len(graph)), (graph.head, graph.tail)), shape=(E, E))
    _, component = csgraph.connected_components(steps, directed=True, connection="strong")
    return int((np.bincount(component)[component] > 1).sum())


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_the_share_that_was_asked_for_is_false_and_labelled(share: float) -> None:
    right, ledger = added()
    wrong, made = make_wrong(BASE, right, ledger, share=share, seed=1)
    truth = {(a.head, a.relation, a.tail) for a in ledger}
    false = [a for a in made if a.source == "wrong"]
    assert abs(len(false) - share * len(ledger)) <= 1
    assert all((a.head, a.relation, a.tail) not in truth for a in false)
    assert all((a.head, a.relation, a.tail) in truth for a in made if a.source != "wrong")
    by_source = Counter(wrong.sources[i] for i in wrong.source.tolist())
    assert by_source["augment:wrong"] == len(false)
    assert [(a.head, a.relation, a.tail) for a in made] == triples(wrong)[len(BASE) :]


def test_phi_stays_the_same_to_the_last_path() -> None:
    right, ledger = added()
    wrong, _ = make_wrong(BASE, right, ledger, share=1.0, seed=1)
    rows, others = (
        {r["relation"]: r for r in measure(g).to_dict()["trainable"]["per_relation"]} for g in (right, wrong)
    )
    for relation, row in rows.items():
        for name in ("facts", "first_hop_paths", "last_hop_paths"):
            assert others[relation][name] == row[name], (relation, name)


def test_what_was_there_is_untouched_and_no_cycle_is_closed() -> None:
    right, ledger = added()
    wrong, _ = make_wrong(BASE, right, ledger, share=1.0, seed=2)
    assert triples(wrong)[: len(BASE)] == triples(BASE)
    assert (wrong.part[: len(BASE)] == BASE.part).all()
    assert not np.isin(wrong.pair[len(BASE) :], untouchable_pairs(BASE)).any()
    assert cycles(wrong) == cycles(BASE)


def test_a_share_of_none_changes_nothing() -> None:
    right, ledger = added()
    same, made = make_wrong(BASE, right, ledger, share=0.0)
    assert same is right
    assert made == ledger


def test_wrong_as_a_source_of_its_own_plans_as_the_graph_does_and_makes_all_false() -> None:
    right, ledger = added()
    wrong, made = added(sources=["wrong"])
    assert len(made) == len(ledger)
    # Not every fact has a partner: an exchange may close no cycle.
    assert sum(a.source == "wrong" for a in made) >= 0.7 * len(made)
    assert len(wrong) == len(right)
