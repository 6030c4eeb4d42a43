"""Evaluation of models whose every answer is known beforehand, against counting by hand."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from graphs import answers_by_force, parted, random_graph, rows_of, triples
from torch import Tensor

import grokhop.evaluate as evaluation
from grokhop.chains import Chaining
from grokhop.compose import compose
from grokhop.errors import InputError
from grokhop.evaluate import evaluate
from grokhop.graph import Graph, GraphBuilder, Part, Question
from grokhop.model import Hops
from grokhop.questions import question_cell
from grokhop.run import SUMMARY, WEIGHTS
from grokhop.settings import Budget, ModelSettings, TrainSettings
from grokhop.train import train

SETTINGS = TrainSettings(model=ModelSettings(width=16, heads=2), batch_rows=16)
SCORE = {"correct", "n", "accuracy", "low", "high"}
Ask = Callable[[int, int, int], int]
"""The entity answered to (entity, relation, hop)."""


class Stub:
    """A model that answers hop by hop as it is told to."""

    def __init__(self, graph: Graph, ask: Ask) -> None:
        self.graph, self.ask = graph, ask

    def hops(self, tokens: Tensor, due: Tensor) -> Hops:
        entities = torch.full_like(tokens, -1)
        for row, (head, *relations) in enumerate(tokens.tolist()):
            entity = head
            for hop, relation in enumerate(relations, 1):
                if due[row, hop] > 0:
                    entity = self.ask(entity, relation - len(self.graph.entities), hop)
                    entities[row, hop] = entity
        return Hops(entities, torch.ones(tokens.shape))


def follows_the_facts(graph: Graph) -> Ask:
    tail = {(h, r): t for h, r, t in reversed(triples(graph))}
    return lambda entity, relation, _hop: tail.get((entity, relation), 0)


def always_zero(_entity: int, _relation: int, _hop: int) -> int:
    return 0


def run_of(graph: Graph, folder: Path, *, hops: int = 2, seeds: int = 1) -> Path:
    """A run folder of one training step."""
    graph.write(folder / "graph")
    settings = replace(SETTINGS, hops=hops)
    budget = Budget(steps=1)
    return train(
        folder / "graph",
        folder / "run",
        settings=settings,
        preset="stub",
        budget=budget,
        seeds=seeds,
        threads=1,
    ).path


def evaluated(graph: Graph, run: Path, monkeypatch: pytest.MonkeyPatch, *asks: Ask) -> dict[str, Any]:
    """Evaluate a run folder with one stub in place of the model of each seed."""
    monkeypatch.setattr(evaluation, "load_model", lambda _run, seed: Stub(graph, asks[seed]))
    return evaluate(run)


# Cells.


@pytest.mark.parametrize("hops", [2, 3])
def test_a_model_that_follows_the_facts_is_right_in_every_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hops: int
) -> None:
    graph = random_graph(entities=30, relations=5, degree=4, holdout=0.2)
    found = evaluated(graph, run_of(graph, tmp_path, hops=hops), monkeypatch, follows_the_facts(graph))
    assert list(found["cells"]) == [str(k) for k in range(2, hops + 2)]
    for by_cell in found["cells"].values():
        for score in by_cell.values():
            assert score["n"] > 0
            assert score["accuracy"] == 1.0
    assert found["atomic"]["accuracy"] == found["atomic_held_out"]["accuracy"] == 1.0
    assert found["atomic"]["n"] == len(graph)
    assert found["atomic_held_out"]["n"] == int((graph.part != Part.TRAIN).sum())


@pytest.mark.parametrize("tails", [1, 2])
def test_a_model_that_always_answers_one_entity_has_the_share_that_counting_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tails: int
) -> None:
    graph = random_graph(entities=20, relations=5, degree=4, holdout=0.2, tails=tails)
    found = evaluated(graph, run_of(graph, tmp_path), monkeypatch, always_zero)
    shares = []
    for hops, by_cell in compose(graph).cells["test"].items():
        for cell, queries in by_cell.items():
            asked = rows_of(queries)
            right = [0 in answers_by_force(graph, head, relations) for head, *relations in asked]
            score = found["cells"][str(hops)][cell]
            assert (score["correct"], score["n"]) == (sum(right), len(right))
            shares.append(score["accuracy"])
    assert any(shares)
    pairs = {(h, r) for h, r, _ in triples(graph)}
    right_pairs = {(h, r) for h, r, t in triples(graph) if t == 0}
    assert (found["atomic"]["correct"], found["atomic"]["n"]) == (len(right_pairs), len(pairs))


def test_each_seed_is_scored_by_its_own_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = random_graph(entities=30, relations=5, degree=4, holdout=0.2)
    run = run_of(graph, tmp_path, seeds=2)
    found = evaluated(graph, run, monkeypatch, follows_the_facts(graph), always_zero)
    alone = evaluated(graph, run, monkeypatch, always_zero, always_zero)
    assert found["seeds"] == 2
    for cell, score in found["cells"]["2"].items():
        wrong = alone["cells"]["2"][cell]["accuracy"]
        assert score["per_seed"] == [1.0, wrong]
        assert score["accuracy"] == pytest.approx((1 + wrong) / 2)


def test_the_hardest_relations_and_pairs_come_first_and_no_query_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = random_graph(entities=30, relations=5, degree=4, holdout=0.2)
    follow = follows_the_facts(graph)

    def all_but_relation_two(entity: int, relation: int, hop: int) -> int:
        right = follow(entity, relation, hop)
        return (right + 1) % len(graph.entities) if (relation, hop) == (2, 2) else right

    found = evaluated(graph, run_of(graph, tmp_path), monkeypatch, all_but_relation_two)
    cells = found["cells"]["2"]
    for role in ("first_hop", "last_hop"):
        for cell, score in cells.items():
            rows = [row[role][cell] for row in found["per_relation"]]
            assert sum(row["n"] for row in rows) == score["n"]
            assert sum(row["correct"] for row in rows) == score["correct"]
    by_relation = {row["relation"]: row for row in found["per_relation"]}
    last = by_relation[graph.relations[2]]["last_hop"].values()
    assert {score["accuracy"] for score in last if score["n"]} == {0.0}
    assert 0.0 in [score["accuracy"] for score in found["per_relation"][0]["last_hop"].values()]
    assert by_relation.keys() == set(graph.relations)
    assert sum(row["n"] for row in found["per_pair"]) == sum(score["n"] for score in cells.values())
    accuracies = [row["accuracy"] for row in found["per_pair"]]
    assert accuracies == sorted(accuracies)
    hard = [row["relations"] for row in found["per_pair"] if not row["accuracy"]]
    assert {relation for _, relation in hard} == {graph.relations[2]}


# Questions.

CHAINS = {
    "in": ("compositional", [("a", "r", "b"), ("b", "s", "c")]),
    "out": ("compositional", [("d", "r", "e"), ("e", "s", "f")]),
    "long": ("compositional", [("d", "r", "e"), ("e", "s", "f"), ("f", "r", "g")]),
    "early": ("inference", [("h", "r", "i"), ("i", "s", "j")]),
    "half": ("inference", [("a", "r", "b"), ("b", "t", "k")]),
}
HELD_OUT = {
    ("d", "r"): Part.TEST,
    ("e", "s"): Part.TEST,
    ("f", "r"): Part.TEST,
    ("h", "r"): Part.VALIDATION,
    ("i", "s"): Part.TEST,
    ("b", "t"): Part.TEST,
}


def asked_graph() -> Graph:
    """Questions in every cell over a handful of facts, and others to train on."""
    builder = GraphBuilder(source="test")
    for name, (kind, facts) in CHAINS.items():
        rows = tuple(builder.fact(*fact) for fact in facts)
        text, answer = " / ".join([facts[0][0], *(relation for _, relation, _ in facts)]), facts[-1][2]
        builder.question(Question(id=name, type=kind, text=text, answer=answer, facts=rows))
    for i in range(20):
        builder.fact(f"x{i}", "r", f"x{(i + 1) % 20}")
        builder.fact(f"x{i}", "s", f"x{(i + 7) % 20}")
    return parted(builder.build(), HELD_OUT)


def id_of(graph: Graph, label: str) -> int:
    return next(i for i, entity in enumerate(graph.entities) if entity.label == label)


def test_a_question_is_in_the_cell_of_its_facts() -> None:
    graph = asked_graph()
    cells = {question.id: question_cell(Chaining(graph), question) for question in graph.questions if question.path}
    assert {name: cells[name] for name in CHAINS} == {
        "in": "id",
        "out": "ood",
        "long": "ood",
        "early": "validation",
        "half": "mixed",
    }


def test_questions_are_scored_by_type_and_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = asked_graph()
    questions = evaluated(graph, run_of(graph, tmp_path), monkeypatch, follows_the_facts(graph))["questions"]
    sizes = {kind: {cell: score["n"] for cell, score in by.items()} for kind, by in questions.items()}
    assert sizes["compositional"] == {"id": 1, "ood": 2}
    assert sizes["inference"] == {"validation": 1, "mixed": 1}
    chained = [score for kind in ("compositional", "inference") for score in questions[kind].values()]
    assert all(score["accuracy"] == 1.0 and score["misses"] == [] for score in chained)


@pytest.mark.parametrize(
    ("fails", "cause"),
    [
        ((("d", "r"), {1}), "hop 1, d / r: the fact itself was not learned"),
        ((("e", "s"), {1, 2}), "hop 2, e / s: the fact itself was not learned"),
        ((("e", "s"), {2}), "hop 2, e / s: answered when asked alone, not within the chain"),
    ],
)
def test_a_miss_names_the_hop_that_went_wrong_and_why(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fails: tuple[tuple[str, str], set[int]],
    cause: str,
) -> None:
    graph = asked_graph()
    (subject, label), hops = fails
    pair = id_of(graph, subject), graph.relations.index(label)
    follow, wrong = follows_the_facts(graph), id_of(graph, "x0")

    def all_but_one(entity: int, relation: int, hop: int) -> int:
        return wrong if (entity, relation) == pair and hop in hops else follow(entity, relation, hop)

    found = evaluated(graph, run_of(graph, tmp_path), monkeypatch, all_but_one)["questions"]["compositional"]
    assert found["id"]["misses"] == []
    misses = {miss["id"]: miss for miss in found["ood"]["misses"]}
    assert misses.keys() == {"out", "long"}
    assert {miss["cause"] for miss in misses.values()} == {cause}
    miss = misses["out"]
    assert (miss["seed"], miss["question"], miss["expected"]) == (0, "d / r / s", "f")
    assert miss["read"][0] == ("x0" if subject == "d" else "e")


def test_a_miss_by_another_object_of_the_same_pair_blames_no_fact_that_does_not_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = asked_graph()
    d, dead_end = id_of(graph, "d"), id_of(graph, "g")
    relation = graph.relations.index("r")
    nothing_held_out = replace(graph, part=np.zeros_like(graph.part))
    two = parted(nothing_held_out.extended([(d, relation, dead_end)], source="more"), HELD_OUT)
    follow = follows_the_facts(graph)

    def by_the_dead_end(entity: int, asked: int, hop: int) -> int:
        return dead_end if (entity, asked) == (d, relation) else follow(entity, asked, hop)

    found = evaluated(two, run_of(two, tmp_path), monkeypatch, by_the_dead_end)["questions"]["compositional"]
    causes = {miss["cause"] for miss in found["ood"]["misses"]}
    assert causes == {"hop 2, g / s: there is no such fact, the hop before led elsewhere"}


def test_a_relation_read_where_an_entity_is_due_is_a_miss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = asked_graph()
    found = evaluated(graph, run_of(graph, tmp_path), monkeypatch, lambda *_: len(graph.entities))
    assert found["atomic"]["correct"] == 0
    miss = found["questions"]["compositional"]["id"]["misses"][0]
    assert miss["read"] == ["r", "r"]
    assert miss["cause"].startswith("hop 1, a / r:")


# The file.


def test_eval_json_keeps_the_keys_that_others_rely_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = asked_graph()
    run = run_of(graph, tmp_path, hops=3)
    found = evaluated(graph, run, monkeypatch, always_zero)
    assert json.loads((run / "eval.json").read_text()) == found
    assert {"seeds", "atomic", "cells", "questions", "grok", "train_seconds"} <= found.keys()
    assert {"versions", "hardware", "created"} <= found.keys()
    assert set(found["cells"]["2"]) == {"II", "IO", "OI", "OO"}
    assert set(found["cells"]["3"]) == {"0", "1", "2", "3"}
    scores = [found["atomic"], *(s for by in found["cells"].values() for s in by.values())]
    for kind in ("compositional", "inference"):
        scores += found["questions"][kind].values()
    assert all(score.keys() >= SCORE for score in scores)
    assert set(found["grok"]) == {"train_99", "id_95", "ood_95"}
    assert len(found["train_seconds"]) == found["seeds"] == 1


def test_a_trained_model_is_read_back_and_asked(tmp_path: Path) -> None:
    graph = asked_graph()
    run = run_of(graph, tmp_path)
    one, two = evaluate(run), evaluate(run)
    assert one["cells"] == two["cells"]
    assert 0 <= one["atomic"]["accuracy"] <= 1


@pytest.mark.parametrize("weights", [b"", b"no weights", None], ids=["empty", "damaged", "missing"])
def test_weights_that_cannot_be_read_are_refused_in_one_line(tmp_path: Path, weights: bytes | None) -> None:
    run = run_of(asked_graph(), tmp_path)
    path = run / "seed-0" / WEIGHTS
    path.unlink() if weights is None else path.write_bytes(weights)
    with pytest.raises(InputError, match=WEIGHTS) as caught:
        evaluate(run)
    assert "\n" not in str(caught.value)


def test_a_run_without_a_finished_seed_is_refused_with_what_to_do(tmp_path: Path) -> None:
    run = run_of(asked_graph(), tmp_path)
    (run / "seed-0" / SUMMARY).unlink()
    with pytest.raises(InputError, match="--resume"):
        evaluate(run)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    run_of(asked_graph(), tmp_path)
    with pytest.raises(InputError, match="not a run folder"):
        evaluate(tmp_path / "graph")
    with pytest.raises(InputError, match="does not exist"):
        evaluate(tmp_path / "nowhere")
