"""The look-up network: what it is shown, what its program does with it, and what it answers on small graphs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import grokhop.evaluation.lookup_network as module
from grokhop.cli.main import app
from grokhop.evaluation.lookup_network import NOT_A_FACT, FactNetwork, Program, learn
from grokhop.graph.graph import Graph, Split
from grokhop.graph.paths import PathIndex, Queries
from grokhop.tasks.composition import compose
from tests.graphs import answers_by_force, answers_of, random_graph, rows_of, triples
from tests.unit.evaluation.test_baselines import baselines_of, people, run_of, sizes

SEED = 0


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train for fewer steps than a user gets, enough for graphs of a few hundred facts."""
    monkeypatch.setattr(module, "STEPS", 150)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Queries]]:
    """Keep the batches that a network is trained on."""
    batches: list[Queries] = []
    loss = module._loss

    def watched(network: FactNetwork, facts: Queries) -> torch.Tensor:
        batches.append(facts)
        return loss(network, facts)

    monkeypatch.setattr(module, "_loss", watched)
    yield batches


def small() -> Graph:
    return random_graph(entities=30, relations=5, degree=4, holdout=0.2)


def accuracies(found: dict[str, Any]) -> dict[str, float]:
    """Return the accuracy of each cell that is asked."""
    return {
        f"{hops} {cell}": score["accuracy"]
        for hops, by_cell in found["cells"].items()
        for cell, score in by_cell.items()
        if score["n"]
    }


@pytest.mark.usefixtures("quick")
def test_lookup_is_right_in_every_cell_and_unseen_only_where_no_fact_was_held_out(tmp_path: Path) -> None:
    graph = random_graph(entities=60, relations=6, degree=5, holdout=0.25)
    run = run_of(graph, tmp_path / "run")
    result = baselines_of(run, ["lookup", "unseen"])
    lookup, unseen = result["baselines"]["lookup"], result["baselines"]["unseen"]
    assert set(accuracies(lookup).values()) == {1.0} and len(accuracies(lookup)) == 8
    assert {cell for cell, share in accuracies(unseen).items() if share == 1.0} >= {"2 II", "3 0"}
    assert accuracies(unseen)["2 OO"] < 0.2 and accuracies(unseen)["2 IO"] < 0.5
    assert sizes(lookup["cells"])["2"]["OO"][1] > 20
    assert lookup["atomic"]["accuracy"] == lookup["atomic_held_out"]["accuracy"] == 1.0
    assert (lookup["atomic"]["n"], lookup["atomic_held_out"]["n"]) == (
        len(graph),
        np.count_nonzero(graph.part != Split.TRAIN),
    )
    assert unseen["atomic_held_out"]["accuracy"] < 0.3
    assert 0 < lookup["cpu_seconds"] < 60
    assert json.loads((run / "baselines.json").read_text()) == result


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", ["lookup", "unseen"])
def test_no_composition_is_ever_trained_and_unseen_never_sees_a_held_out_fact(
    tmp_path: Path, shown: list[Queries], name: str
) -> None:
    graph = random_graph(entities=30, relations=5, degree=4, holdout=0.2, tails=2)
    baselines_of(run_of(graph, tmp_path / "run"), [name])
    known = graph if name == "lookup" else graph.trainable
    assert shown and {batch.hops for batch in shown} == {1}
    seen = {
        (head, relation, tail)
        for batch in shown
        for (head, relation), tails in zip(rows_of(batch), answers_of(batch), strict=True)
        for tail in tails
    }
    assert seen == set(triples(known))


@pytest.mark.usefixtures("quick")
def test_every_fact_is_shown_equally_often(shown: list[Queries]) -> None:
    graph = random_graph(entities=150, relations=6, degree=5, holdout=0.2)  # more than a batch
    learn(graph)
    pairs = np.concatenate([batch.head * 6 + batch.relations[:, 0] for batch in shown])
    counted = np.unique(pairs, return_counts=True)
    assert len(counted[0]) == len(graph)
    assert counted[1].max() - counted[1].min() <= 1


@pytest.mark.usefixtures("quick")
def test_one_seed_gives_one_network_and_leaves_the_state_of_torch_alone() -> None:
    graph, state, threads = small(), torch.get_rng_state(), torch.get_num_threads()
    one, again, other = learn(graph, seed=3), learn(graph, seed=3), learn(graph, seed=4)
    weights = [torch.cat([p.flatten() for p in network.parameters()]) for network in (one, again, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert torch.equal(torch.get_rng_state(), state) and torch.get_num_threads() == threads


def test_each_of_several_tails_is_an_equal_share_of_the_target() -> None:
    graph = random_graph(entities=20, relations=3, degree=2, holdout=0, tails=3)
    network, facts = FactNetwork(20, 3, seed=SEED), PathIndex(graph).queries(np.arange(len(graph))[:, None])[0]
    target = torch.zeros(len(facts), 20)
    for row, tails in enumerate(answers_of(facts)):
        target[row, list(tails)] = 1 / len(tails)
    logits = network(torch.tensor(facts.head), torch.tensor(facts.relations[:, 0]))
    assert module._loss(network, facts).item() == pytest.approx(
        torch.nn.functional.cross_entropy(logits, target).item(), rel=1e-5
    )


@pytest.mark.usefixtures("quick")
def test_a_pair_of_two_tails_is_answered_with_either_at_even_chances() -> None:
    graph = random_graph(entities=30, relations=4, degree=2, holdout=0, tails=2)
    network = learn(graph)
    heads, relations = torch.tensor(graph.head).long(), torch.tensor(graph.relation).long()
    chances = network(heads, relations).softmax(dim=-1)[torch.arange(len(graph)), torch.tensor(graph.tail).long()]
    assert chances.min() > 0.4 and chances.max() < 0.6


def test_the_program_makes_the_answer_of_a_hop_the_head_of_the_next() -> None:
    graph = small()
    network = FactNetwork(len(graph.entities), len(graph.relations), seed=SEED)  # untrained, so that it strays
    program, queries = Program(graph, network), compose(graph).cells["test"][3]["1"]
    reached = []
    for entity, *relations in rows_of(queries):
        for relation in relations:
            entity = int(network(torch.tensor([entity]), torch.tensor([relation])).argmax())
        reached.append(entity)
    assert program.ends(queries).tolist() == reached
    asked = zip(reached, rows_of(queries), strict=True)
    forced = [end in answers_by_force(graph, head, rest) for end, (head, *rest) in asked]
    assert queries.are_right(program.ends(queries)).tolist() == forced


def test_the_program_answers_no_queries_and_more_than_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = small()
    program = Program(graph, FactNetwork(len(graph.entities), len(graph.relations), seed=SEED))
    queries = compose(graph).cells["test"][2]["II"]
    whole = program.ends(queries)
    monkeypatch.setattr(module, "BATCH", 7)
    assert len(queries) > 7 and program.ends(queries).tolist() == whole.tolist()
    assert program.ends(queries.where(np.empty(0, np.int64))).tolist() == []


def test_questions_of_all_types_are_answered_by_looking_up_and_comparing(tmp_path: Path) -> None:
    found = baselines_of(run_of(people(), tmp_path / "run"), ["lookup", "oracle"])["baselines"]
    lookup, oracle = found["lookup"]["questions"], found["oracle"]["questions"]
    assert set(lookup) == {"compositional", "inference", "comparison", "bridge_comparison"}
    for kind, by_cell in lookup.items():
        for cell, score in by_cell.items():
            assert (score["correct"], score["n"]) == (oracle[kind][cell]["n"],) * 2
            assert score["evidence_f1"] == 1.0 and "ambiguous" not in score and score["causes"] == {}


def test_unseen_misses_questions_over_held_out_facts_for_want_of_the_facts(tmp_path: Path) -> None:
    found = baselines_of(run_of(people(), tmp_path / "run"), ["unseen"])["baselines"]["unseen"]["questions"]
    assert found["compositional"]["id"]["accuracy"] == 1.0
    missed = found["compositional"]["ood"]
    assert missed["accuracy"] < 0.5
    assert missed["causes"] == {NOT_A_FACT: missed["n"] - missed["correct"]}


@pytest.mark.usefixtures("quick")
def test_eval_shows_them_beside_the_models_on_80_columns(tmp_path: Path) -> None:
    graph = small()
    scores = {
        hops: {cell: {"correct": 1, "n": n, "accuracy": 1 / n} for cell, n in (("II", 30), ("OO", 40))}
        for hops in ("2", "3")
    }
    run = run_of(graph, tmp_path / "run", eval={"seeds": 1, "cells": scores, "questions": {}})
    words = ["eval", str(run), "--baseline", "lookup,unseen,majority"]
    shown = CliRunner().invoke(app, words, env={"COLUMNS": "80"})
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    rows = [line.split()[0] for line in lines if line.startswith((" model", " lookup", " unseen", " majority"))]
    assert rows == ["model", "lookup", "unseen", "majority"]
    assert max(len(line) for line in lines if "CPU seconds" not in line) <= 80
    assert any(line.startswith("lookup: facts alone 100 % right, those held out 100 %; trained in") for line in lines)
