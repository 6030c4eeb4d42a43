"""Baselines against brute force, counting, and a stand-in for an endpoint that is right, wrong, garbled or too dear."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner
from werkzeug import Request, Response

from grokhop.cli.main import app
from grokhop.config import preset
from grokhop.core.artifacts import new_folder
from grokhop.core.errors import InputError
from grokhop.core.llm_client import MOST_COMPLETION, Usage
from grokhop.core.statistics import over_seeds
from grokhop.evaluation.baseline_types import Asked
from grokhop.evaluation.baselines import run_baselines
from grokhop.evaluation.floors import commonest_objects
from grokhop.evaluation.llm_baseline import LEAST_LISTED, MOST_LISTED
from grokhop.evaluation.lookup import NO_ANSWER, NOT_UNDERSTOOD, READ_OTHERWISE, SAY_OTHERWISE, UNKNOWN, Oracle
from grokhop.evaluation.qa_metrics import Gold
from grokhop.evaluation.questions import question_cell
from grokhop.graph.graph import Graph, GraphBuilder, Question, Split
from grokhop.graph.paths import PathIndex
from grokhop.graph.queries import LESS, LIVED_LONGER, MORE, SAME, Branch, Query
from grokhop.language.entity_linking import plain
from grokhop.runs.evaluation import QuestionScore
from grokhop.runs.run import DATASET, write_settings
from grokhop.tasks.composition import compose
from grokhop.tasks.dataset import build_dataset
from grokhop.tasks.storage import save_dataset
from tests.graphs import answers_by_force, built, parted, parted_graphs, random_graph, rows_of, triples
from tests.unit.core.test_llm_client import KEY, Connect, Stub, completion, connect, failing, stub, waits

__all__ = ["connect", "stub", "waits"]  # fixtures

N = 12
NAMES = [f"{chr(65 + i)}{chr(97 + i)}" for i in range(N)]
PERSON, FILM = ([f"{kind} {name}" for name in NAMES] for kind in ("Person", "Ballad"))
BORN = [f"{1900 + 7 * i % 30}" for i in range(N)]
COUNTRY = [f"{('North', 'South', 'West')[i % 3]}land" for i in range(0, 2 * N, 2)]


def people() -> Graph:
    """Films, directors and their fathers with questions of all four types; held out is who has a number from 7 on."""
    builder = GraphBuilder(source="test")
    directed = [builder.fact(FILM[i], "director", PERSON[i]) for i in range(N)]
    father = [builder.fact(PERSON[i], "father", PERSON[(i + 1) % N]) for i in range(N)]
    born = [builder.fact(PERSON[i], "date of birth", f"date:{BORN[i]}") for i in range(N)]
    country = [builder.fact(PERSON[i], "country of citizenship", COUNTRY[i]) for i in range(N)]

    def ask(kind: str, text: str, answer: str, *facts: tuple[int, int, int]) -> None:
        builder.question(Question(id=f"{kind} {text}", type=kind, text=text, answer=answer, facts=facts))

    for i in range(N):
        j = (i + 1) % N
        text = f"Who is the father of the director of film {FILM[i]}?"
        ask("compositional", text, PERSON[j], directed[i], father[i])
        text = f"Who is the paternal grandfather of {PERSON[i]}?"
        ask("inference", text, PERSON[(i + 2) % N], father[i], father[j])
        older = i if BORN[i] < BORN[j] else j
        text = f"Who is older, {PERSON[i]} or {PERSON[j]}?"
        ask("comparison", text, PERSON[older], born[i], born[j])
        text = f"Do {PERSON[i]} and {PERSON[j]} have the same nationality?"
        ask("comparison", text, "yes" if COUNTRY[i] == COUNTRY[j] else "no", country[i], country[j])
        text = f"Which film has the director born first, {FILM[i]} or {FILM[j]}?"
        ask("bridge_comparison", text, FILM[older], directed[i], directed[j], born[i], born[j])
    graph = builder.build()
    labels = [(graph.entities[h].label, graph.relations[r]) for h, r, _ in triples(graph)]
    number = [NAMES.index(head.split()[1]) for head, _ in labels]
    parts = dict.fromkeys(range(7), Split.TRAIN) | {7: Split.VALIDATION} | dict.fromkeys(range(8, N), Split.TEST)
    return parted(graph, {pair: parts[i] for pair, i in zip(labels, number, strict=True)})


def run_of(graph: Graph, folder: Path, **files: Any) -> Path:
    """A run folder as training makes it, without models; `files` are further JSON files in it."""
    with new_folder(folder, kind="run", manifest={}) as run:
        write_settings(run, preset("toy"))
        graph.write(run / "graph")
        save_dataset(run / DATASET, build_dataset(graph, preset("toy").task))
        for name, value in files.items():
            (run / f"{name}.json").write_text(json.dumps(value))
    return folder


def baselines_of(run: Path, names: Sequence[str], **more: Any) -> dict[str, Any]:
    """Have baselines answer, and return the result as JSON holds it."""
    return run_baselines(run, names, **more).to_dict()


def sizes(scores: dict[str, Any]) -> dict[str, dict[str, tuple[int, int]]]:
    """(right, asked) by type or hops, and cell."""
    return {k: {cell: (s["correct"], s["n"]) for cell, s in by_cell.items()} for k, by_cell in scores.items()}


def cell_of(graph: Graph, question: Question) -> str:
    """The cell of a question of a run as `run_of` makes it."""
    composed = build_dataset(graph, preset("toy").task).composed(len(graph))
    return question_cell(PathIndex(graph), question, composed)


# The oracle.


def test_the_oracle_is_right_about_every_question_and_query_and_nothing_for_validation_is_asked(tmp_path: Path) -> None:
    graph = people()
    found = baselines_of(run_of(graph, tmp_path / "run"), ["oracle"])["baselines"]["oracle"]
    asked = Counter((q.type, cell_of(graph, q)) for q in graph.questions)
    assert asked["compositional", "validation"] and asked["comparison", "mixed"]
    for (kind, cell), n in asked.items():
        if cell != "validation":
            score = found["questions"][kind][cell]
            assert (score["correct"], score["n"], score["f1"], score["parsed"]) == (n, n, 1.0, 1.0)
            assert (score["evidence_f1"], score["ambiguous"], score["causes"], score["misses"]) == (1.0, 0, {}, [])
    assert {cell for by_cell in found["questions"].values() for cell in by_cell} == {
        "id",
        "never_composed",
        "ood",
        "mixed",
    }
    dataset = build_dataset(graph, preset("toy").task)
    composed = dataset.inside(graph, dataset.composed(len(graph)))
    assert not all(kept.all() for kept in composed.values())
    for hops, by_cell in compose(graph).cells["test"].items():
        asked_of = {cell: len(q) for cell, q in by_cell.items()} | {"0" * (hops > 2) or "II": composed[hops].sum()}
        assert sizes(found["cells"])[str(hops)] == {cell: (n, n) for cell, n in asked_of.items()}


@given(graph=parted_graphs(), relations=st.lists(st.integers(0, 2), min_size=1, max_size=3))
@settings(max_examples=60)
def test_the_oracle_walks_where_brute_force_does(graph: Graph, relations: list[int]) -> None:
    relations = [r % len(graph.relations) for r in relations]
    oracle, heads = Oracle(graph), np.arange(len(graph.entities))
    queries = PathIndex(graph).answers(heads, np.tile(relations, (len(heads), 1)))
    for head, end in enumerate(oracle.ends(queries).tolist()):
        forced = answers_by_force(graph, head, relations)
        walks = oracle.walks(head, relations)
        assert {walk[-1][2] for walk in walks} == forced
        assert all(set(walk) <= set(triples(graph)) for walk in walks)
        assert end in forced if forced else end == len(graph.entities)


@pytest.mark.parametrize("tails", [1, 2])
def test_the_oracle_answers_every_query_of_a_graph_where_facts_fork(tmp_path: Path, tails: int) -> None:
    graph = random_graph(entities=30, relations=5, degree=4, holdout=0.2, tails=tails)
    found = baselines_of(run_of(graph, tmp_path / "run"), ["oracle"])["baselines"]["oracle"]
    assert found["questions"] == {}
    assert all(s["accuracy"] == 1.0 for by_cell in found["cells"].values() for s in by_cell.values() if s["n"])
    assert sum(s["n"] for by_cell in found["cells"].values() for s in by_cell.values()) > 500


DATES = {"a": "date:1900-05-07", "b": "date:1900-05-09", "c": "date:1900-06-01", "d": "date:1900", "e": "date:-0044"}
DEATHS = {"a": "date:1950-01-01", "b": "date:1949-12-31", "c": "date:unknown"}


def dated() -> Graph:
    facts = [(name, "born", date) for name, date in DATES.items()] + [(n, "died", date) for n, date in DEATHS.items()]
    sizes = [("a", "size", "1,200"), ("b", "size", "900"), ("c", "size", "900"), ("d", "size", "wide")]
    both = [("d", "land", "north"), ("d", "land", "south"), ("a", "land", "south"), ("b", "land", "north")]
    return built([*facts, *sizes, *both, ("a", "friend", "b"), ("a", "friend", "d")])


def compares(graph: Graph, operator: str | None, heads: str, *relations: str) -> Query:
    ids = {entity.label: i for i, entity in enumerate(graph.entities)}
    return Query(tuple(Branch(ids[h], tuple(graph.relations.index(r) for r in relations)) for h in heads), operator)


@pytest.mark.parametrize(
    ("operator", "heads", "relation", "answer"),
    [
        (LESS, "ab", "born", "a"),  # by the day
        (MORE, "ab", "born", "b"),
        (LESS, "cb", "born", "b"),  # by the month
        (LESS, "ea", "born", "e"),  # before Christ
        (LESS, "da", "born", NO_ANSWER),  # of one only the year is known
        (LESS, "bc", "size", NO_ANSWER),
        (LESS, "ab", "size", "b"),  # as numbers, not as texts
        (MORE, "ab", "size", "a"),
        (LESS, "ad", "size", NO_ANSWER),
        (SAME, "bc", "size", "yes"),
        (SAME, "da", "land", "yes"),  # one of two is enough
        (SAME, "ab", "land", "no"),
    ],
)
def test_the_oracle_compares(operator: str, heads: str, relation: str, answer: str) -> None:
    graph = dated()
    assert {p.answer for p in Oracle(graph).answers(compares(graph, operator, heads, relation))} == {answer}


@pytest.mark.parametrize(("heads", "answer"), [("ab", "a"), ("ba", "a"), ("ac", NO_ANSWER)])
def test_the_oracle_tells_which_life_was_longer(heads: str, answer: str) -> None:
    graph = dated()
    lives = [compares(graph, None, head, date).branches[0] for head in heads for date in ("born", "died")]
    (found,) = Oracle(graph).answers(Query(tuple(lives), LIVED_LONGER))
    assert found.answer == answer and len(found.evidence) == 4


def test_of_several_answers_the_oracle_finds_the_wanted_one_with_its_evidence() -> None:
    graph = dated()
    query = compares(graph, None, "a", "friend", "land")
    gold = Gold(
        type="compositional", answers=("south",), evidence=((["a"], "friend", ["d"]), (["d"], "land", ["south"]))
    )
    facts = tuple(row for row in triples(graph) if graph.relations[row[1]] in ("friend", "land"))
    question = Question(id="q", type="compositional", text="?", answer="south", facts=facts)
    scored = Oracle(graph).scores([Asked(question=question, gold=gold, query=query, cell="id")]).to_dict()
    assert (scored["accuracy"], scored["evidence_f1"], scored["ambiguous"]) == (1.0, 1.0, 1)


def test_a_question_that_the_oracle_misses_has_its_cause(tmp_path: Path) -> None:
    graph = people()
    asked = {q.text: q for q in graph.questions if cell_of(graph, q) == "id"}
    one, two, three = (asked[f"Who is the father of the director of film {FILM[i]}?"] for i in range(3))
    spoilt = [
        replace(one, text="Gibberish beyond words?"),
        replace(two, text=f"Who is the director of film {FILM[1]}?"),  # a half of what its facts say
        replace(three, answer="Somebody Else"),
    ]
    run = run_of(replace(graph, questions=tuple(spoilt)), tmp_path / "run")
    found = baselines_of(run, ["oracle"])["baselines"]["oracle"]["questions"]["compositional"]["id"]
    # The third is right, since names of the entity where its facts end are right answers too.
    assert found["causes"] == {NOT_UNDERSTOOD: 1, READ_OTHERWISE: 1}
    assert found["parsed"] == pytest.approx(2 / 3)
    assert {miss["id"]: miss["answer"] for miss in found["misses"]} == {one.id: None, two.id: PERSON[1]}
    untrue = Gold(type="compositional", answers=("Somebody Else",))
    assert three.path
    query = Query((Branch(*three.path),))
    scored = Oracle(graph).scores([Asked(question=three, gold=untrue, query=query, cell="id")]).to_dict()
    assert scored["causes"] == {SAY_OTHERWISE: 1}


# The majority.


@pytest.mark.parametrize("tails", [1, 2])
def test_the_majority_is_right_in_the_share_that_counting_finds(tmp_path: Path, tails: int) -> None:
    graph = random_graph(entities=20, relations=5, degree=4, holdout=0.2, tails=tails)
    found = baselines_of(run_of(graph, tmp_path / "run"), ["majority"])["baselines"]["majority"]["cells"]
    right = 0
    for hops, by_cell in compose(graph).cells["test"].items():
        for cell, queries in by_cell.items():
            asked = [(head, relations, most_common(graph, relations[-1])) for head, *relations in rows_of(queries)]
            hits = sum(guess in answers_by_force(graph, head, relations) for head, relations, guess in asked)
            assert sizes(found)[str(hops)][cell] == (hits, len(queries))
            right += hits
    assert right > 20


def most_common(graph: Graph, relation: int) -> int:
    """The commonest trainable tail of a relation, of equals the one with the lowest number."""
    trained = [t for i, (_, r, t) in enumerate(triples(graph)) if r == relation and graph.part[i] == Split.TRAIN]
    return min(Counter(trained).items(), key=lambda item: (-item[1], item[0]))[0]


def test_a_relation_without_trainable_facts_has_no_commonest_object_and_is_never_right(tmp_path: Path) -> None:
    facts = [
        (f"x{i}", relation, f"x{(i * step + 1) % 20}") for i in range(20) for relation, step in (("r", 3), ("s", 7))
    ]
    graph = built(facts)
    graph = replace(graph, part=np.where(graph.relation == 1, Split.TEST, Split.TRAIN).astype(np.int8))
    assert commonest_objects(graph).tolist() == [most_common(graph, 0), len(graph.entities)]
    found = baselines_of(run_of(graph, tmp_path / "run"), ["majority"])["baselines"]["majority"]["cells"]["2"]
    assert found["IO"]["n"] and found["OO"]["n"]
    assert found["IO"]["correct"] == found["OO"]["correct"] == 0


def test_the_majority_answers_questions_by_their_last_relation_alone_and_comparisons_blindly(tmp_path: Path) -> None:
    graph = people()
    found = baselines_of(run_of(graph, tmp_path / "run"), ["majority"])["baselines"]["majority"]["questions"]
    for kind, by_cell in found.items():
        for cell, score in by_cell.items():
            asked = [q for q in graph.questions if (q.type, cell_of(graph, q)) == (kind, cell)]
            assert (score["correct"], score["n"]) == (blindly(graph, asked), len(asked))
            assert score["evidence_f1"] is None
    assert sum(score["correct"] for by_cell in found.values() for score in by_cell.values()) > 10


def blindly(graph: Graph, asked: Sequence[Question]) -> int:
    """How many questions of one type and cell are right by saying the same of each."""
    if asked[0].path:
        father = graph.entities[most_common(graph, graph.relations.index("father"))].label
        return sum(question.answer == father for question in asked)
    words = Counter(q.answer for q in asked if q.answer in ("yes", "no"))
    places = Counter(q.text.index(q.answer) < q.text.index(" or ") for q in asked if q.answer not in ("yes", "no"))
    return sum(max(counted.values(), default=0) for counted in (words, places))


# The endpoint.


def answering(answer: Callable[[str], Any]) -> Callable[[Request], Response]:
    """An endpoint that says of each prompt what `answer` makes of it; a response of its own is sent as it is."""

    def reply(request: Request) -> Response:
        said = answer(json.loads(request.get_data())["messages"][0]["content"])
        if isinstance(said, Response):
            return said
        return completion(json.dumps({"reasoning": "because", "result": said}))

    return reply


def question_in(prompt: str) -> str:
    return next(line for line in prompt.splitlines() if line.startswith("Question: ")).removeprefix("Question: ")


def knowing(graph: Graph) -> dict[str, str]:
    return {question.text: question.answer for question in graph.questions}


def asked_llm(run: Path, client: Any, **more: Any) -> dict[str, Any]:
    return dict(baselines_of(run, ["llm"], client=client, **more)["baselines"]["llm"])


def total(found: dict[str, Any], key: str) -> int:
    kind = "questions" if "questions" in found else "cells"
    return sum(int(score[key]) for by_cell in found[kind].values() for score in by_cell.values())


def test_a_model_that_knows_everything_is_right_about_every_question_and_paid_once(
    stub: Stub, connect: Connect, tmp_path: Path
) -> None:
    graph = people()
    run, known = run_of(graph, tmp_path / "run"), knowing(graph)
    stub.answers = [answering(lambda prompt: f" {known[question_in(prompt)].lower()}. ")]  # as the benchmark compares
    found = asked_llm(run, connect())
    wanted = Counter((q.type, cell_of(graph, q)) for q in graph.questions)
    for kind, by_cell in found["questions"].items():
        for cell, score in by_cell.items():
            n = wanted[kind, cell]
            assert (score["correct"], score["n"], score["f1"], score["asked"]) == (n, n, 1.0, n)
            assert (score["evidence_f1"], score["not_asked"], score["unreadable"], score["misses"]) == (None, 0, 0, [])
    assert found["asked"] == len(stub.requests) == sum(n for (_, cell), n in wanted.items() if cell != "validation")
    assert (found["model"], found["open_book"], found["limit"]) == ("stub-1", False, None)
    again = asked_llm(run, connect(max_requests=1))
    assert again["questions"] == found["questions"]
    assert len(stub.requests) == found["asked"] == again["usage"]["cached"]


def test_wrong_answers_count_by_the_words_that_are_right_and_unreadable_ones_not_at_all(
    stub: Stub, connect: Connect, tmp_path: Path
) -> None:
    graph = people()

    def answer(prompt: str) -> Any:
        text = question_in(prompt)
        if "grandfather" in text:
            return completion("no JSON at all")
        if "same nationality" in text:
            return "  "
        return "Person Nobody" if "older" in text or "director of" in text else completion(None, refusal="no")

    stub.answers = [answering(answer)]
    found = asked_llm(run_of(graph, tmp_path / "run"), connect())
    composed = found["questions"]["compositional"]["id"]
    assert (composed["correct"], composed["f1"], composed["parsed"]) == (0, pytest.approx(0.5), 1.0)
    assert composed["misses"][0]["answer"] == "Person Nobody"
    inferred = found["questions"]["inference"]["ood"]
    assert (inferred["correct"], inferred["unreadable"], inferred["parsed"]) == (0, inferred["n"], 0.0)
    assert {miss["answer"] for miss in inferred["misses"]} == {None}
    compared = found["questions"]["comparison"]["id"]
    assert 2 * compared["unreadable"] == compared["n"] == compared["asked"]
    assert found["questions"]["bridge_comparison"]["id"]["unreadable"] == 6
    assert found["unreadable"] == total(found, "unreadable") and found["asked"] == total(found, "n")


def test_a_budget_that_ends_midway_scores_what_was_answered_and_the_next_run_goes_on_from_there(
    stub: Stub, connect: Connect, tmp_path: Path
) -> None:
    graph = people()
    run, known = run_of(graph, tmp_path / "run"), knowing(graph)
    stub.answers = [answering(lambda prompt: known[question_in(prompt)])]
    lines: list[str] = []
    found = asked_llm(run, connect(max_requests=20), notice=lines.append)
    every = found["asked"] + found["not_asked"]
    assert (found["asked"], total(found, "n"), total(found, "correct")) == (20, 20, 20)
    assert total(found, "not_asked") == found["not_asked"] > 0
    scores = [score for by_cell in found["questions"].values() for score in by_cell.values()]
    assert all(score["n"] >= 1 for score in scores)  # one of each cell in turn
    assert "budget of 20 requests is spent" in found["cost"] and "budget" in lines[-1]
    assert len(stub.requests) == 20
    rest = asked_llm(run, connect(max_requests=every))
    assert (rest["asked"], rest["not_asked"], total(rest, "correct")) == (every, 0, every)
    assert (rest["usage"]["cached"], rest["usage"]["requests"], len(stub.requests)) == (20, every - 20, every)


def test_an_empty_cell_of_a_budget_has_no_accuracy(stub: Stub, connect: Connect, tmp_path: Path) -> None:
    stub.answers = [answering(lambda _prompt: "x")]
    run = run_of(people(), tmp_path / "run")
    found = asked_llm(run, connect(max_requests=1))
    scores = [score for by_cell in found["questions"].values() for score in by_cell.values()]
    assert sum(score["n"] for score in scores) == 1
    assert {score["accuracy"] for score in scores if not score["n"]} == {None}


def test_an_answer_that_only_the_end_of_the_budget_cut_off_is_not_asked_and_one_that_is_endless_is_unreadable(
    stub: Stub, connect: Connect, tmp_path: Path
) -> None:
    def endless(request: Request) -> Response:
        most = json.loads(request.get_data())["max_completion_tokens"]
        return completion('{"result": "', finish="length", usage=(100, most))

    run = run_of(people(), tmp_path / "run")
    stub.answers = [endless]
    found = asked_llm(run, connect(max_tokens=MOST_COMPLETION + 4000))
    assert len(stub.requests) == 2
    assert (found["asked"], found["unreadable"]) == (1, 1)
    stub.answers = [answering(lambda _prompt: "x")]
    again = asked_llm(run, connect(max_requests=1000, max_tokens=10**6))
    assert (again["unreadable"], again["not_asked"], again["usage"]["cached"]) == (1, 0, 1)


@pytest.mark.parametrize("failure", [failing(503), failing(400), Response("<html>busy</html>")])
def test_a_question_that_the_endpoint_fails_at_is_not_wrong_and_is_asked_again(
    stub: Stub, connect: Connect, tmp_path: Path, failure: Response
) -> None:
    graph = people()
    run, known = run_of(graph, tmp_path / "run"), knowing(graph)
    bad = PERSON[9]

    def answer(prompt: str) -> Any:
        return failure if f"grandfather of {bad}" in prompt else known[question_in(prompt)]

    stub.answers = [completion(json.dumps({"reasoning": "", "result": "x"})), answering(answer)]
    found = asked_llm(run, connect())
    assert (found["failed"], found["questions"]["inference"]["ood"]["failed"]) == (1, 1)
    assert found["questions"]["inference"]["ood"]["n"] == found["questions"]["inference"]["ood"]["correct"]
    stub.answers = [answering(lambda prompt: known[question_in(prompt)])]
    again = asked_llm(run, connect())
    assert (again["failed"], again["asked"]) == (0, found["asked"] + 1)


def test_an_answer_without_reasoning_is_read_and_a_hostile_one_is_kept_short(
    stub: Stub, connect: Connect, tmp_path: Path
) -> None:
    hostile = ["\\ud800 half a character", "\\u0000 evil " + "x" * 5000]
    stub.answers = [completion(f'{{"result": "{text}"}}') for text in ("Person Bb", *hostile)]
    run = run_of(people(), tmp_path / "run")
    found = asked_llm(run, connect())
    assert found["asked"] == len(stub.requests)
    answers = [m["answer"] for by_cell in found["questions"].values() for s in by_cell.values() for m in s["misses"]]
    assert max(len(answer or "") for answer in answers) == 300 and found["unreadable"] == 1
    schema = stub.bodies[0]["response_format"]["json_schema"]["schema"]
    assert schema["required"] == list(schema["properties"]) == ["reasoning", "result"]
    assert schema["additionalProperties"] is False and "default" not in json.dumps(schema)


# What an endpoint is told.


def held_out_objects(graph: Graph) -> set[str]:
    return {graph.entities[t].label for i, (_, _, t) in enumerate(triples(graph)) if graph.part[i] != Split.TRAIN}


def named(text: str, label: str) -> bool:
    return f" {plain(label)} " in f" {plain(text)} "


@pytest.mark.parametrize("with_questions", [True, False])
def test_no_closed_book_prompt_names_what_the_question_does_not(
    stub: Stub, connect: Connect, tmp_path: Path, with_questions: bool
) -> None:
    graph = people()
    graph = graph if with_questions else replace(graph, questions=())
    asked_llm(run_of(graph, tmp_path / "run"), connect())
    objects = held_out_objects(graph)
    assert len(stub.prompts) > 20 and len(objects) > 8
    for prompt in stub.prompts:
        told = prompt.replace(question_in(prompt), "")
        assert not [label for label in objects if named(told, label)]
        assert ("written as a path" in prompt) != with_questions


@pytest.mark.parametrize("with_questions", [True, False])
def test_an_open_book_prompt_lists_the_facts_that_are_needed_among_others_in_order(
    stub: Stub, connect: Connect, tmp_path: Path, with_questions: bool
) -> None:
    graph = people()
    graph = graph if with_questions else replace(graph, questions=())
    reader = {text: set(facts) for text, facts in lines_of_questions(graph).items()}

    def read(prompt: str) -> str:
        facts = [line.split(" | ") for line in prompt.splitlines() if line.count(" | ") == 2]
        text = question_in(prompt)
        if with_questions:
            assert reader[text] < {" | ".join(fact) for fact in facts}
            return knowing(graph)[text]
        end, *relations = text.split(" / ")
        for relation in relations:
            (end,) = [tail for head, r, tail in facts if (head, r) == (end, relation)]
        return end

    stub.answers = [answering(read)]
    found = asked_llm(run_of(graph, tmp_path / "run"), connect(), open_book=True)
    assert found["open_book"] and found["asked"] == total(found, "correct") > 20
    everything = {" | ".join(names) for names in labelled(graph)}
    for prompt in stub.prompts:
        lines = [line for line in prompt.splitlines() if line.count(" | ") == 2]
        assert lines == sorted(set(lines)) and set(lines) <= everything
        assert 10 < len(lines) <= LEAST_LISTED


def labelled(graph: Graph) -> list[tuple[str, str, str]]:
    return [(graph.entities[h].label, graph.relations[r], graph.entities[t].label) for h, r, t in triples(graph)]


def lines_of_questions(graph: Graph) -> dict[str, list[str]]:
    label = {row: " | ".join(names) for row, names in zip(triples(graph), labelled(graph), strict=True)}
    return {question.text: [label[fact] for fact in question.facts] for question in graph.questions}


def test_an_open_book_prompt_has_an_end_and_the_facts_that_are_needed_before_it(
    stub: Stub, connect: Connect, tmp_path: Path
) -> None:
    graph = random_graph(entities=200, relations=12, degree=12, holdout=0.2)
    known = {(head, relation): tail for head, relation, tail in labelled(graph)}

    def read(prompt: str) -> str:
        facts = {tuple(line.split(" | ")[:2]): line.split(" | ")[2] for line in prompt.splitlines() if " | " in line}
        assert len(facts) == MOST_LISTED and facts.items() <= known.items()
        end, *relations = question_in(prompt).split(" / ")
        for relation in relations:
            end = facts[end, relation]
        return end

    stub.answers = [answering(read)]
    found = asked_llm(run_of(graph, tmp_path / "run"), connect(max_tokens=10**7), open_book=True, limit=5)
    assert total(found, "correct") == found["asked"] == len(stub.prompts) == 40


def test_without_questions_a_sample_of_each_cell_is_asked_as_paths_and_a_larger_one_holds_a_smaller(
    stub: Stub, connect: Connect, tmp_path: Path
) -> None:
    graph = random_graph(entities=30, relations=5, degree=4, holdout=0.2, tails=2)
    ids = {entity.label: i for i, entity in enumerate(graph.entities)}

    def answer(prompt: str) -> str:
        head, *relations = question_in(prompt).split(" / ")
        ends = answers_by_force(graph, ids[head], [graph.relations.index(r) for r in relations])
        return graph.entities[max(ends)].label  # any of several ends is right

    stub.answers = [answering(answer)]
    run = run_of(graph, tmp_path / "run")
    found = asked_llm(run, connect(), limit=4)
    available = {str(k): {c: len(q) for c, q in by.items()} for k, by in compose(graph).cells["test"].items()}
    assert sizes(found["cells"]) == {
        k: {cell: (min(4, n), min(4, n)) for cell, n in by_cell.items()} for k, by_cell in available.items()
    }
    assert found["limit"] == 4 and "questions" not in found
    more = asked_llm(run, connect(), limit=6)
    assert more["usage"]["cached"] == found["asked"] and more["asked"] > found["asked"]


@pytest.mark.parametrize("status", [200, 400])
def test_the_key_is_nowhere_on_disk(
    stub: Stub, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setenv("GROKHOP_API_KEY", KEY)
    said = {"reasoning": f"Bearer {KEY}", "result": f"Bearer {KEY}"}
    stub.answers = [completion(json.dumps(said))]
    if status != 200:
        stub.answers.append(failing(status, f"wrong key: {KEY}"))
    found = baselines_of(run_of(people(), tmp_path / "run"), ["llm"], client=connect(), open_book=True)
    assert stub.requests[0].headers["Authorization"] == f"Bearer {KEY}"
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert (tmp_path / "run" / "baselines.json") in files
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
    assert KEY not in json.dumps(found)


# The file.

CELL = over_seeds([np.array([True, False])])
SCORE = QuestionScore(score=CELL, f1=0.5, evidence_f1=0.5, parsed=1.0).to_dict()
EVALUATED = {
    "seeds": 3,
    "questions": {"compositional": {"ood": {**SCORE, "misses": [{"question": "?", "expected": "!"}]}}},
    "cells": {"2": {"II": CELL.to_dict()}},
    "train_seconds": [1.0],
}


def test_a_baseline_joins_those_of_earlier_calls_and_the_model_stands_beside_them(
    stub: Stub, connect: Connect, tmp_path: Path
) -> None:
    run = run_of(people(), tmp_path / "run", eval=EVALUATED)
    one = baselines_of(run, ["majority"])
    assert one["model"] == {
        "seeds": 3,
        "questions": {"compositional": {"ood": SCORE}},
        "cells": {"2": {"II": CELL.to_dict()}},
    }
    two = baselines_of(run, ["llm", "oracle"], client=connect(max_requests=1))
    assert list(two["baselines"]) == ["oracle", "majority", "llm"]
    assert two["baselines"]["majority"] == one["baselines"]["majority"]
    assert json.loads((run / "baselines.json").read_text()) == two
    assert {"created", "versions", "hardware"} <= two.keys()
    assert baselines_of(run_of(people(), tmp_path / "other"), ["oracle"])["model"] is None


def record(text: str, answer: str, *facts: tuple[str, str, str]) -> dict[str, Any]:
    return {
        "_id": text,
        "type": "compositional",
        "question": text,
        "answer": answer,
        "evidences": list(map(list, facts)),
    }


def test_questions_of_a_file_have_a_result_of_their_own_and_those_without_facts_are_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    known = record(
        f"When was the director of film {FILM[9]} born?",
        BORN[9],
        (FILM[9], "director", PERSON[9]),
        (PERSON[9], "date of birth", BORN[9]),
    )
    unknown = record(
        f"Who is the spouse of the director of film {FILM[3]}?",
        "Nobody",
        (FILM[3], "director", PERSON[3]),
        (PERSON[3], "spouse", "Nobody"),
    )
    file.write_text(json.dumps([known, unknown]))
    run = run_of(people(), tmp_path / "run", eval=EVALUATED)
    found = baselines_of(run, ["oracle", "majority"], file=file)
    oracle = found["baselines"]["oracle"]
    assert oracle["cells"] == {}
    assert sizes(oracle["questions"]) == {"compositional": {"ood": (1, 1), "unknown": (0, 1)}}
    assert oracle["questions"]["compositional"]["unknown"]["causes"] == {UNKNOWN: 1}
    assert found["model"] is None and found["file"]["name"] == "other.json"
    assert json.loads((run / "baselines-other.json").read_text()) == found
    assert not (run / "baselines.json").exists()
    scores = {"seeds": 1, "questions": EVALUATED["questions"], "file": found["file"]}
    (run / "questions-other.json").write_text(json.dumps(scores))
    kept = baselines_of(run, ["oracle"], file=file)
    assert list(kept["baselines"]) == ["oracle", "majority"] and kept["model"]["seeds"] == 1
    file.write_text(json.dumps([known]))
    changed = baselines_of(run, ["oracle"], file=file)
    assert list(changed["baselines"]) == ["oracle"] and changed["model"] is None


def test_an_endpoint_is_asked_the_questions_of_a_file_whether_their_facts_are_known_or_not(
    stub: Stub, connect: Connect, tmp_path: Path
) -> None:
    file = tmp_path / "other.json"
    texts = [f"Who is the spouse of the director of film {FILM[3]}?", "Gibberish beyond words?"]
    facts = ((FILM[3], "director", PERSON[3]), (PERSON[3], "spouse", "Nobody"))
    file.write_text(json.dumps([record(text, "Nobody", *facts) for text in texts]))
    stub.answers = [answering(lambda _prompt: "Nobody")]
    found = asked_llm(run_of(people(), tmp_path / "run"), connect(), file=file, open_book=True)
    assert sizes(found["questions"]) == {"compositional": {"unknown": (2, 2)}}
    assert all(prompt.count(" | ") == 2 * LEAST_LISTED for prompt in stub.prompts)


@pytest.mark.parametrize(
    ("names", "values", "says"),
    [
        (["oracle", "mayority"], {}, "mayority"),
        ([], {}, "oracle, lookup, unseen, majority, llm"),
        (["llm"], {}, "--base-url"),
        (["oracle"], {"open_book": True}, "--baseline llm"),
    ],
)
def test_what_makes_no_sense_is_one_line(tmp_path: Path, names: list[str], values: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        baselines_of(run_of(people(), tmp_path / "run"), names, **values)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "run").glob("baselines*"))


def test_a_graph_without_questions_needs_no_torch_for_oracle_and_majority(tmp_path: Path) -> None:
    run_of(random_graph(entities=20, relations=5, degree=4, holdout=0.2), tmp_path / "run")
    code = (
        "import sys; from pathlib import Path; from grokhop.evaluation.baselines import run_baselines\n"
        f"run_baselines(Path({str(tmp_path / 'run')!r}), ['oracle', 'majority'])\n"
        "print({'torch', 'openai'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


# The command line.


def test_baselines_are_asked_by_the_command_line(stub: Stub, tmp_path: Path) -> None:
    graph = people()
    run, known = run_of(graph, tmp_path / "run", eval=EVALUATED), knowing(graph)
    stub.answers = [answering(lambda prompt: known[question_in(prompt)])]
    endpoint = ["--base-url", stub.url, "--model", "m", "--max-requests", "20", "--cache", str(tmp_path / "cache")]
    words = ["eval", str(run), "--baseline", "oracle,majority,llm", *endpoint]
    as_json = CliRunner().invoke(app, [*words, "--json"])
    assert as_json.exit_code == 0, as_json.output
    assert json.loads(as_json.stdout)["baselines"]["llm"]["asked"] == 20
    for_people = CliRunner().invoke(app, words, env={"COLUMNS": "80"})
    assert for_people.exit_code == 0, for_people.output
    lines = for_people.stdout.splitlines()
    first = [line.split()[0] for line in lines if line.split()]
    for row in ("model", "oracle", "majority", "llm", "n"):
        assert row in first
    assert any("m, closed-book: 40 asked" in line for line in lines)  # twenty from the cache
    assert "…" not in for_people.stdout
    assert not [line for line in lines if len(line) > 82 and "closed-book" not in line]


def test_the_command_line_refuses_an_endpoint_that_is_for_nothing(stub: Stub, tmp_path: Path) -> None:
    run = run_of(people(), tmp_path / "run")
    for words in (["--base-url", stub.url, "--model", "m"], ["--open-book"], ["--baseline", "llm"]):
        found = CliRunner().invoke(app, ["eval", str(run), *words, "--json"])
        assert isinstance(found.exception, InputError)
    assert not stub.requests


def test_usage_is_told_as_the_client_counts_it(stub: Stub, connect: Connect, tmp_path: Path) -> None:
    stub.answers = [answering(lambda _prompt: "x")]
    client = connect(max_requests=3)
    found = asked_llm(run_of(people(), tmp_path / "run"), client)
    assert found["usage"] == client.usage.record() and found["usage"].keys() == Usage().record().keys()
    assert found["cost"] == client.usage.cost_line()
