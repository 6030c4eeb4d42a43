"""Evaluation of models whose every answer is known beforehand, against counting by hand."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

import grokhop.evaluation.evaluate as evaluation
from grokhop.cli.main import app
from grokhop.config import Budget
from grokhop.core.errors import InputError
from grokhop.core.formatting import percent
from grokhop.core.statistics import CellScore
from grokhop.datasets import two_wiki
from grokhop.evaluation.evaluate import evaluate, evaluate_questions
from grokhop.evaluation.qa_metrics import Gold
from grokhop.evaluation.question_files import read_questions
from grokhop.evaluation.questions import parsed_share, question_cell, score_questions
from grokhop.graph.graph import Graph, GraphBuilder, Question, Split
from grokhop.graph.paths import PathIndex
from grokhop.graph.splits import hold_out
from grokhop.models.base import Hops
from grokhop.models.looped import LoopTransformer
from grokhop.runs.evaluation import QuestionScore
from grokhop.runs.run import SUMMARY, WEIGHTS, Run
from grokhop.tasks.comparison import Comparing, comparable
from grokhop.tasks.composition import compose
from grokhop.tasks.encoding import TokenBatch
from grokhop.training.train import train
from tests.graphs import answers_by_force, parted, random_graph, rows_of, triples
from tests.settings import ran, settings_of, shape_of, with_
from tests.unit.inference.test_answering import Stub as Comparer
from tests.unit.tasks.test_comparison import asked_graph as comparing_graph
from tests.unit.tasks.test_comparison import decoded

SETTINGS = settings_of(model=shape_of(d_model=16, n_heads=2), batch_size=16)
SCORE = {"correct", "n", "accuracy", "low", "high"}
Ask = Callable[[int, int, int], int]
"""The entity answered to (entity, relation, hop)."""


class Stub:
    """A model that answers hop by hop as it is told to."""

    device = torch.device("cpu")

    def __init__(self, graph: Graph, ask: Ask) -> None:
        self.graph, self.ask = graph, ask

    def hops(self, tokens: Tensor, read_at: Tensor) -> Hops:
        entities = torch.full_like(tokens, -1)
        for row, (head, *relations) in enumerate(tokens.tolist()):
            entity = head
            for hop, relation in enumerate(relations, 1):
                if read_at[row, hop] > 0:
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
    settings = with_(SETTINGS, hops=hops)
    budget = Budget(steps=1)
    return train(
        folder / "graph",
        folder / "run",
        settings=ran(settings, budget=budget, seeds=seeds, preset="stub"),
    ).path


def evaluated(graph: Graph, run: Path, monkeypatch: pytest.MonkeyPatch, *asks: Ask) -> dict[str, Any]:
    """Evaluate a run folder with one stub in place of the model of each seed."""
    monkeypatch.setattr(evaluation, "load_model", lambda _run, seed, **_: Stub(graph, asks[seed]))
    return evaluate(run).to_dict()


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
    assert found["atomic_held_out"]["n"] == int((graph.part != Split.TRAIN).sum())


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


# Floors.


def test_the_table_shows_the_highest_floor_beside_each_accuracy_on_80_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = random_graph(entities=30, relations=5, degree=4, holdout=0.2)
    run = run_of(graph, tmp_path, hops=3)
    floors = evaluated(graph, run, monkeypatch, always_zero)["floors"]
    words = ["eval", str(run), "--threads", "1"]
    shown = CliRunner().invoke(app, words, env={"COLUMNS": "80"}).stdout.splitlines()
    rows = {line.split("  ")[0].strip(): line for line in shown}
    table = shown[: next(i for i, line in enumerate(shown) if line.startswith("floor:"))]
    assert max(map(len, table)) <= 80 and not any("…" in line for line in table)
    assert next(line for line in table if "queries" in line).split()[:3] == ["queries", "accuracy", "floor"]
    for hops, name in (("2", "2 hops, OO"), ("3", "3 hops, 1 held out")):
        highest = max(floors[hops][name.split(", ")[1].split(" ")[0]].values())
        assert rows[name].removeprefix(name).split(" %")[1].strip() == percent(highest).removesuffix(" %")


# Comparisons of facts.


class Constant:
    """A model that reads one token everywhere."""

    device = torch.device("cpu")

    def __init__(self, token: int) -> None:
        self.token = token

    def hops(self, tokens: Tensor, read_at: Tensor) -> Hops:
        entities = torch.where(read_at > 0, self.token, -1)
        return Hops(entities, torch.ones(tokens.shape))


def compared_rows(plain: Graph) -> dict[str, list[str]]:
    """The answers of the distinct comparisons that a run of the graph should be asked, by cell."""
    comparing = Comparing(comparable(plain), tested=compose(plain).tested)
    asked = {
        "id": comparing.rows(Split.TRAIN, pairs=Split.TEST, per_kind=300),
        "ood": comparing.rows(Split.TEST, per_kind=300),
    }
    return {cell: answers_once(comparing.graph, rows) for cell, rows in asked.items()}


def answers_once(graph: Graph, rows: TokenBatch) -> list[str]:
    answers: dict[tuple[int, ...], str] = {}
    for tokens, row in zip(rows.tokens.tolist(), decoded(rows, graph), strict=True):
        answers.setdefault(tuple(tokens), row.answer)
    return list(answers.values())


def test_a_model_that_follows_the_facts_and_compares_is_right_in_both_cells_of_comparisons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = comparing_graph(forks=False)
    monkeypatch.setattr(evaluation, "load_model", lambda run, _seed, **_: Comparer(run.graph))
    found = evaluate(run_of(graph, tmp_path)).to_dict()["comparison"]
    for cell, answers in compared_rows(graph).items():
        assert (found[cell]["correct"], found[cell]["n"]) == (len(answers), len(answers))
        assert len(answers) > 20
        same = [answer for answer in answers if answer in ("yes", "no")]
        order = [answer for answer in answers if answer not in ("yes", "no")]
        assert same
        assert order
        commonest = max(Counter(same).values()) + max(Counter(order).values())
        assert found[cell]["majority"] == commonest / len(answers)


@pytest.mark.parametrize("word", ["yes", "first", "equal"])
def test_a_model_that_always_says_one_word_is_right_in_the_share_of_comparisons_that_counting_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    graph = comparing_graph()
    run = run_of(graph, tmp_path)
    token = next(i for i, entity in enumerate(Run.read(run).graph.entities) if entity.key == f"answer:{word}")
    monkeypatch.setattr(evaluation, "load_model", lambda _run, _seed, **_: Constant(token))
    found = evaluate(run).to_dict()["comparison"]
    for cell, answers in compared_rows(graph).items():
        assert (found[cell]["correct"], found[cell]["n"]) == (answers.count(word), len(answers))
    assert found["ood"]["correct"] > 0


def test_a_run_without_comparisons_has_none_to_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = random_graph(entities=20, relations=5, degree=4, holdout=0.2)
    found = evaluated(graph, run_of(graph, tmp_path), monkeypatch, always_zero)
    assert {cell: (score["n"], score["majority"]) for cell, score in found["comparison"].items()} == {
        "id": (0, None),
        "ood": (0, None),
    }
    assert (found["questions"], found["parsed"]) == ({}, None)


# Questions.

CHAINS = {
    "in": ("compositional", [("a", "r", "b"), ("b", "s", "c")]),
    "out": ("compositional", [("d", "r", "e"), ("e", "s", "f")]),
    "long": ("compositional", [("d", "r", "e"), ("e", "s", "f"), ("f", "r", "g")]),
    "early": ("inference", [("h", "r", "i"), ("i", "s", "j")]),
    "half": ("inference", [("a", "r", "b"), ("b", "t", "k")]),
}
HELD_OUT = {
    ("d", "r"): Split.TEST,
    ("e", "s"): Split.TEST,
    ("f", "r"): Split.TEST,
    ("h", "r"): Split.VALIDATION,
    ("i", "s"): Split.TEST,
    ("b", "t"): Split.TEST,
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
    cells = {question.id: question_cell(PathIndex(graph), question) for question in graph.questions if question.path}
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
    assert sizes["compositional"] == {"never_composed": 1, "ood": 2}  # its facts are asked, so no chain has them
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
    assert found["never_composed"]["misses"] == []
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
    miss = found["questions"]["compositional"]["never_composed"]["misses"][0]
    assert miss["read"] == ["r", "r"]
    assert miss["cause"].startswith("hop 1, a / r:")


def test_the_share_that_is_understood_counts_every_question_once() -> None:
    def share(n: int, parsed: float) -> QuestionScore:
        return QuestionScore(score=CellScore(n=n), f1=None, evidence_f1=None, parsed=parsed)

    cells = {
        "comparison": {"id": share(3, 2 / 3), "ood": share(1, 1.0)},
        "inference": {"unknown": share(4, 0.25)},
    }
    assert parsed_share(cells) == pytest.approx((2 + 1 + 1) / 8)
    assert parsed_share({}) is None


# Comparisons in words.

PEOPLE = {"Mira Vale": ("1900", "Reedland"), "Tomo Reed": ("1890", "Reedland"), "Ivo Holt": ("1880", "Stonia")}


def people_graph() -> Graph:
    """A graph of people; questions about them are asked apart."""
    builder = GraphBuilder(source="test")
    builder.entity("Tomo Reed", aliases=["T. Reed"])
    for name, (year, country) in PEOPLE.items():
        builder.fact(name, "date of birth", f"date:{year}")
        builder.fact(name, "country of citizenship", country)
    facts = tuple(triples(builder.build())[:3:2])
    builder.question(Question(id="q", type="comparison", text="?", answer="Tomo Reed", facts=facts))
    return builder.build()


def asking(*questions: tuple[str, str, str]) -> tuple[list[Question], list[Gold]]:
    """Questions of a type, a text and an answer, with what they should be answered with."""
    asked = [
        Question(id=str(i), type=kind, text=text, answer=answer, facts=())
        for i, (kind, text, answer) in enumerate(questions)
    ]
    return asked, [Gold(type=question.type, answers=(question.answer,)) for question in asked]


OLDER = "Who is older, {} or {}?"
SAME_COUNTRY = "Do {} and {} have the same nationality?"


def scored(graph: Graph, words: Graph, *questions: tuple[str, str, str]) -> dict[str, Any]:
    asked, golds = asking(*questions)
    model = cast(LoopTransformer, Comparer(graph))
    found = score_questions([model], graph, seeds=[0], words=words, questions=asked, golds=golds)
    return {kind: {cell: score.to_dict() for cell, score in by_cell.items()} for kind, by_cell in found.items()}


def test_the_baseline_of_comparisons_is_the_commoner_place_and_the_commoner_word() -> None:
    """Of seven, the first is right twice and the second once; 'no' is right twice and 'yes' once; one is no question.

    Each is wrong or right whatever the model says, and one of the names is an alias.
    """
    plain = people_graph()
    mira, tomo, ivo = PEOPLE
    cell = scored(
        comparable(plain),
        plain,
        ("comparison", OLDER.format(tomo, mira), "T. Reed"),
        ("comparison", OLDER.format(ivo, mira), ivo),
        ("comparison", OLDER.format(mira, ivo), ivo),
        ("comparison", SAME_COUNTRY.format(mira, tomo), "yes"),
        ("comparison", SAME_COUNTRY.format(mira, ivo), "no"),
        ("comparison", SAME_COUNTRY.format(tomo, ivo), "no"),
        ("comparison", "Gibberish beyond words?", mira),
    )["comparison"]["unknown"]
    assert cell["baseline"] == pytest.approx((2 + 2) / 7)
    assert cell["n"] == 7
    assert cell["parsed"] == pytest.approx(6 / 7)
    # 'Tomo Reed' is what the model says, and the question wants it by another of his names.
    assert [miss["expected"] for miss in cell["misses"]] == ["T. Reed", mira]


def test_a_baseline_is_of_comparisons_alone_and_of_each_cell_by_itself() -> None:
    plain = people_graph()
    mira, tomo, ivo = PEOPLE
    found = scored(
        comparable(plain),
        plain,
        ("comparison", OLDER.format(tomo, mira), tomo),
        ("bridge_comparison", OLDER.format(mira, tomo), tomo),
        ("compositional", f"When was {ivo} born?", "1880"),
    )
    assert {kind: cells["unknown"].get("baseline") for kind, cells in found.items()} == {
        "bridge_comparison": 1.0,
        "comparison": 1.0,
        "compositional": None,
    }
    assert "baseline" not in found["compositional"]["unknown"]


def test_a_question_that_is_not_understood_is_wrong_and_told_so() -> None:
    plain = people_graph()
    cell = scored(comparable(plain), plain, ("compositional", "Gibberish beyond words?", "1880"))["compositional"]
    miss = cell["unknown"]["misses"][0]
    assert (cell["unknown"]["correct"], cell["unknown"]["parsed"]) == (0, 0.0)
    assert miss["answer"] is None
    assert miss["cause"].startswith("not understood: ")


def test_a_run_that_was_not_trained_on_comparisons_answers_the_chains_of_a_file_and_misses_its_comparisons() -> None:
    plain = people_graph()
    mira, tomo, ivo = PEOPLE
    found = scored(
        plain,
        plain,
        ("comparison", OLDER.format(tomo, mira), tomo),
        ("compositional", f"When was {ivo} born?", "date:1880"),
    )
    assert found["compositional"]["unknown"]["correct"] == 1
    compared = found["comparison"]["unknown"]
    assert compared["correct"] == 0
    assert compared["misses"][0]["cause"] == "the run was not trained on comparisons"


# Questions of a file.

NAMES = [f"{chr(65 + i)}{chr(97 + i)}" for i in range(12)]
BIRTHS = [f"{i + 1} January {1900 + 3 * i}" for i in range(12)]


def record(id_: str, kind: str, text: str, answer: str, *facts: tuple[str, str, str], ids: bool = True) -> Any:
    """A record of 2WikiMultiHopQA; with ids, a person is Q1.. and a ballad Q100.., as of their places in `NAMES`."""

    def wikidata(name: str) -> str:
        kind, _, place = name.partition(" ")
        known = {"Person": 1, "Ballad": 100}
        return f"Q{known[kind] + NAMES.index(place)}" if kind in known else "date_information"

    found = {"_id": id_, "type": kind, "question": text, "answer": answer, "evidences": [list(fact) for fact in facts]}
    return {**found, "evidences_id": [[wikidata(h), r, wikidata(t)] for h, r, t in facts]} if ids else found


def directed(i: int) -> tuple[str, str, str]:
    return f"Ballad {NAMES[i]}", "director", f"Person {NAMES[i]}"


def fathered(i: int) -> tuple[str, str, str]:
    return f"Person {NAMES[i]}", "father", f"Person {NAMES[(i + 1) % 12]}"


def born(i: int) -> tuple[str, str, str]:
    return f"Person {NAMES[i]}", "date of birth", BIRTHS[i]


def grandfather(i: int) -> str:
    return f"Who is the father of the director of film Ballad {NAMES[i]}?"


def older(i: int, j: int) -> str:
    return f"Who is older, Person {NAMES[i]} or Person {NAMES[j]}?"


INGESTED = [
    *(
        record(f"father{i}", "compositional", grandfather(i), fathered(i)[2], directed(i), fathered(i))
        for i in range(12)
    ),
    *(record(f"older{i}", "comparison", older(i, i + 1), born(i)[0], born(i), born(i + 1)) for i in range(0, 12, 2)),
]
"""Of each ballad the father of its director, of every second person whether they are older than the next."""
TAKEN_FOR = [
    # The graph knows the id, and so the facts, however this file tells them.
    record(
        "father0",
        "compositional",
        grandfather(0),
        fathered(0)[2],
        ("X", "director", "Y"),
        ("Y", "father", "Z"),
        ids=False,
    ),
    record("father3", "compositional", grandfather(3), fathered(3)[2], directed(3), fathered(3)),
    # Facts that the graph has from other records.
    record(
        "bridge",
        "bridge_comparison",
        "Which film has the director born first, Ballad Aa or Ballad Bb?",
        "Ballad Aa",
        directed(0),
        directed(1),
        born(0),
        born(1),
    ),
    record("held out", "comparison", older(4, 5), born(4)[0], born(4), born(5)),
    record("mixed", "comparison", older(4, 0), born(0)[0], born(4), born(0)),
    # ...and that are found by name, without ids.
    record(
        "named",
        "compositional",
        "When was the director of film Ballad Cc born?",
        BIRTHS[2],
        directed(2),
        born(2),
        ids=False,
    ),
    # Facts that it has not: of a relation that it does not know, and of two entities that it does.
    record(
        "no relation",
        "compositional",
        "Who is the spouse of the director of film Ballad Dd?",
        "Nobody",
        directed(3),
        ("Person Dd", "spouse", "Nobody"),
        ids=False,
    ),
    record("no fact", "compositional", grandfather(0), "Person Cc", directed(0), ("Person Aa", "father", "Person Cc")),
    # Facts that it has, asked by words that it does not understand.
    record("no words", "compositional", "Gibberish beyond words?", fathered(1)[2], directed(1), fathered(1)),
]


@pytest.fixture
def taken(tmp_path: Path) -> tuple[Path, Path]:
    """A run over records, two of which are held out, and the file of other questions that it is asked."""
    ingested, asked = tmp_path / "ingested.json", tmp_path / "asked.json"
    ingested.write_text(json.dumps(INGESTED))
    asked.write_text(json.dumps(TAKEN_FOR))
    graph = hold_out(two_wiki.read([ingested]), share=0, ood_questions=["father3", "older4"])
    return run_of(graph, tmp_path), asked


def test_questions_of_a_file_are_asked_with_the_facts_that_the_graph_has_of_them(
    taken: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, asked = taken
    monkeypatch.setattr(evaluation, "load_model", lambda run, _seed, **_: Comparer(run.graph))
    found = evaluate_questions(run, asked).to_dict()
    counted = {
        kind: {cell: (score["correct"], score["n"]) for cell, score in cells.items()}
        for kind, cells in found["questions"].items()
    }
    assert counted == {
        "bridge_comparison": {"id": (1, 1)},
        "comparison": {"mixed": (1, 1), "ood": (1, 1)},
        "compositional": {"id": (2, 3), "ood": (1, 1), "unknown": (0, 2)},
    }
    misses = {
        miss["id"]: (miss["answer"], miss["cause"])
        for cells in found["questions"].values()
        for score in cells.values()
        for miss in score["misses"]
    }
    assert misses.keys() == {"no relation", "no fact", "no words"}
    assert misses["no fact"][0] == "Person Bb"
    assert misses["no fact"][1].startswith("all facts were read rightly, but another path was asked for")
    assert misses["no words"][0] is None and misses["no words"][1].startswith("not understood: ")
    assert "no relation 'spouse'" in misses["no relation"][1]
    assert found["questions"]["compositional"]["id"]["parsed"] == pytest.approx(2 / 3)
    assert found["parsed"] == pytest.approx(7 / 9)
    evidence = {cell: score["evidence_f1"] for cell, score in found["questions"]["compositional"].items()}
    assert evidence["id"] == pytest.approx(2 / 3)
    assert evidence["ood"] == 1.0
    assert evidence["unknown"] == pytest.approx((1 / 2 + 0) / 2)  # of 'no fact', what the file says, one of two


def test_what_was_found_of_a_file_is_kept_in_the_run_beside_its_evaluation(taken: tuple[Path, Path]) -> None:
    run, asked = taken
    found = evaluate_questions(run, asked).to_dict()
    assert json.loads((run / "questions-asked.json").read_text()) == found
    assert found["file"] == {
        "name": "asked.json",
        "sha256": hashlib.sha256(asked.read_bytes()).hexdigest(),
        "questions": 9,
        "in_graph": 7,
    }
    assert not (run / "eval.json").exists()
    assert {"versions", "hardware", "created"} <= found.keys()


@pytest.mark.parametrize("alias", ["Person Mm", "Person Aa"])
def test_a_name_that_two_entities_have_is_neither_of_them(tmp_path: Path, alias: str) -> None:
    """Somebody else is called as a person of the graph once, and the question names that person without an id."""
    others = []
    for number, name in enumerate(("Person Mm", "Person Mm", alias)):
        other = record(
            f"other{number}", "comparison", "?", born(1)[0], (name, *born(3 + number)[1:]), born(1), ids=False
        )
        other["evidences_id"] = [
            ["Q500", "date of birth", "date_information"],
            ["Q2", "date of birth", "date_information"],
        ]
        others.append(other)
    ingested, asked = tmp_path / "ingested.json", tmp_path / "asked.json"
    ingested.write_text(json.dumps([*INGESTED, *others]))
    graph = hold_out(two_wiki.read([ingested]), share=0, ood_questions=["father3"])
    assert {len(entity.aliases) for entity in graph.entities if entity.key == "Q500"} == {alias != "Person Mm"}
    asked.write_text(
        json.dumps([record("by name", "comparison", older(0, 1), born(0)[0], born(0), born(1), ids=False)])
    )
    found = read_questions(asked, graph)
    assert [bool(question.facts) for question, _ in found] == [alias == "Person Mm"]


@pytest.mark.parametrize("text", ["", "not json", "[{}]", None])
def test_a_file_that_holds_no_questions_is_refused_in_one_line(taken: tuple[Path, Path], text: str | None) -> None:
    run, asked = taken
    asked.unlink() if text is None else asked.write_text(text)
    with pytest.raises(InputError, match=r"asked\.json") as caught:
        evaluate_questions(run, asked)
    assert "\n" not in str(caught.value)
    assert not list(run.glob("questions-*"))


def test_questions_of_a_file_are_asked_by_the_command_line(taken: tuple[Path, Path]) -> None:
    run, asked = taken
    words = ["eval", str(run), "--questions", str(asked), "--threads", "1"]
    as_json = CliRunner().invoke(app, [*words, "--json"])
    assert as_json.exit_code == 0, as_json.output
    assert json.loads(as_json.stdout)["file"]["questions"] == 9
    for_people = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
    assert for_people.exit_code == 0, for_people.output
    for part in ("77.8 % parsed", "compositional, unknown", "comparison, ood", "baseline", "evidence F1"):
        assert part in for_people.output


# The file.


def test_eval_json_keeps_the_keys_that_others_rely_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = asked_graph()
    run = run_of(graph, tmp_path, hops=3)
    found = evaluated(graph, run, monkeypatch, always_zero)
    assert json.loads((run / "eval.json").read_text()) == found
    assert {"seeds", "atomic", "cells", "comparison", "questions", "parsed", "grok", "train_seconds"} <= found.keys()
    assert {"versions", "hardware", "created"} <= found.keys()
    assert set(found["cells"]["2"]) == {"II", "IO", "OI", "OO"}
    assert set(found["cells"]["3"]) == {"0", "1", "2", "3"}
    assert {hops: set(by_cell) for hops, by_cell in found["floors"].items()} == {
        hops: set(by_cell) for hops, by_cell in found["cells"].items()
    }
    assert all(floor.keys() == {"majority", "pair", "head"} for floor in found["floors"]["2"].values())
    scores = [found["atomic"], *(s for by in found["cells"].values() for s in by.values())]
    for kind in ("compositional", "inference"):
        scores += found["questions"][kind].values()
    assert all(score.keys() >= SCORE for score in scores)
    assert set(found["grok"]) == {"train_99", "id_95", "ood_95"}
    assert len(found["train_seconds"]) == found["seeds"] == 1


def test_a_trained_model_is_read_back_and_asked(tmp_path: Path) -> None:
    graph = asked_graph()
    run = run_of(graph, tmp_path)
    one, two = evaluate(run).to_dict(), evaluate(run).to_dict()
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
