"""Floors against brute force on random graphs, and on a graph whose floors are known by heart."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings

from grokhop.core.errors import InputError
from grokhop.evaluation.floors import floors
from grokhop.graph.graph import Graph, Split
from grokhop.graph.paths import NO_FACT, PathIndex, Queries
from grokhop.tasks.composition import Compositions, compose
from tests.graphs import answers_by_force, built, parted, parted_graphs, random_graph, rows_of, triples


def commonest(values: Sequence[int]) -> int | None:
    """Return the commonest value, of equals the lowest; None of none."""
    return min(Counter(values).items(), key=lambda item: (-item[1], item[0]))[0] if values else None


def guesses(graph: Graph, made: Compositions, head: int, relations: Sequence[int]) -> dict[str, int | None]:
    """Return what each rule answers to a query, by counting over facts and chains one after the other."""
    facts = triples(graph)
    tails = [t for i, (_, r, t) in enumerate(facts) if r == relations[-1] and graph.part[i] == Split.TRAIN]
    joined = set(pairs_of(made))
    ends = [facts[b][2] for a, b in joined if (facts[a][1], facts[b][1]) == tuple(relations[-2:])]
    majority = commonest(tails)
    return {"majority": majority, "pair": commonest(ends) if ends else majority, "head": head}


def pairs_of(made: Compositions) -> Iterator[tuple[int, int]]:
    """Yield any two facts that follow one another in a trained chain."""
    for chain in made.chains.tolist():
        yield from ((a, b) for a, b in pairwise(chain) if b != NO_FACT)


def by_force(graph: Graph, made: Compositions, queries: Queries) -> dict[str, float | None]:
    right: dict[str, list[bool]] = defaultdict(list)
    for head, *relations in rows_of(queries):
        for name, guess in guesses(graph, made, head, relations).items():
            right[name].append(guess in answers_by_force(graph, head, relations))
    return {name: sum(right[name]) / len(queries) if len(queries) else None for name in ("majority", "pair", "head")}


def check(graph: Graph, made: Compositions) -> None:
    cells = made.cells["test"]
    found = floors(graph, made.chains, cells)
    assert {hops: list(by_cell) for hops, by_cell in found.items()} == {str(k): list(by) for k, by in cells.items()}
    for hops, by_cell in cells.items():
        for cell, queries in by_cell.items():
            assert found[str(hops)][cell].to_dict() == pytest.approx(by_force(graph, made, queries))


@given(graph=parted_graphs())
@settings(max_examples=80, deadline=None)
def test_floors_are_what_counting_finds_on_small_graphs(graph: Graph) -> None:
    try:
        made = compose(graph, required=False)
    except InputError:
        return
    check(graph, made)


@pytest.mark.parametrize("hops", [2, 3])
@pytest.mark.parametrize("tails", [1, 2])
@pytest.mark.parametrize("prefixes", [True, False])
def test_floors_are_what_counting_finds_on_graphs_with_hundreds_of_queries(
    hops: int, tails: int, prefixes: bool
) -> None:
    graph = random_graph(entities=25, relations=4, degree=3, holdout=0.2, tails=tails)
    made = compose(graph, hops=hops, prefixes=prefixes)
    assert len(made.cells["test"][2]["OO"]) and len(made.cells["test"][3]["1"])
    check(graph, made)


def hub() -> Graph:
    """Make a graph in which friends of the young are at one place and bosses of the old at another."""
    facts = [(f"young{i}", "friend", f"clerk{i}") for i in range(20)]
    facts += [(f"old{i}", "boss", f"smith{i}") for i in range(20)]
    facts += [(f"clerk{i}", "place", "north") for i in range(20)] + [(f"smith{i}", "place", "south") for i in range(20)]
    facts += [("mayor", "place", "south"), ("me", "twin", "you"), ("you", "twin", "me")]
    held_out = {(f"{who}{i}", "place"): Split.TEST for who in ("clerk", "smith") for i in range(4)}
    return parted(built(facts), held_out)


def test_the_commonest_end_of_a_pair_knows_more_than_the_commonest_tail() -> None:
    graph = hub()
    made = compose(graph)
    found = floors(graph, made.chains, made.cells["test"])["2"]["IO"]
    assert (found.majority, found.pair, found.head) == (0.5, 1.0, 0.0)
    assert found.highest == 1.0 and found.named == "the commonest end of the last two relations"


def test_a_pair_that_no_chain_joins_is_answered_by_the_commonest_tail() -> None:
    graph = hub()
    made = compose(graph)
    nothing = np.empty((0, 2), np.int64)
    found = floors(graph, nothing, made.cells["test"])["2"]["IO"]
    assert found.pair == found.majority == 0.5


def test_repeating_the_head_is_right_where_a_chain_returns() -> None:
    graph = built([("me", "twin", "you"), ("you", "twin", "me")])
    queries = PathIndex(graph).answers(np.array([0, 1]), np.array([[0, 0], [0, 0]]))
    found = floors(graph, np.empty((0, 2), np.int64), {2: {"II": queries}})["2"]["II"]
    assert (found.majority, found.pair, found.head) == (0.5, 0.5, 1.0)
    assert found.named == "repeating the head"


def test_held_out_facts_move_no_guess_of_the_rules() -> None:
    graph = hub()
    made = compose(graph)
    turned = replace(graph, tail=np.where(graph.part == Split.TRAIN, graph.tail, graph.head))
    asked = {2: {"IO": made.cells["test"][2]["IO"]}}
    assert floors(turned, made.chains, asked) == floors(graph, made.chains, asked)
