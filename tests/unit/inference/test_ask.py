"""Asking a run: the hops as they are read out, what the graph says beside it, and mistakes in one line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import grokhop.inference.ask
from grokhop.cli.main import app
from grokhop.config import Budget
from grokhop.core.errors import InputError
from grokhop.graph.graph import GraphBuilder, Question
from grokhop.graph.queries import LESS, MORE
from grokhop.inference.ask import Answer, ask
from grokhop.training.train import train
from tests.settings import ran, settings_of, shape_of, with_
from tests.unit.evaluation.test_evaluate import Stub, follows_the_facts
from tests.unit.inference.test_answering import Stub as Comparer

SETTINGS = settings_of(model=shape_of(d_model=16, n_heads=2), batch_size=16)
PEOPLE = [f"Person {chr(65 + i)}{chr(97 + i)}" for i in range(12)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of one step over families in a ring, and one father that somebody made up."""
    folder = tmp_path_factory.mktemp("ask")
    builder = GraphBuilder(source="test")
    for i, person in enumerate(PEOPLE):
        builder.fact(person, "mother", PEOPLE[(i + 1) % 12])
        builder.fact(person, "date of birth", str(1900 + i))
        if i:
            builder.fact(person, "father", PEOPLE[(i + 5) % 12])
    graph = builder.build()
    ids = {entity.label: number for number, entity in enumerate(graph.entities)}
    made = (ids["Person Aa"], graph.relations.index("father"), ids["Person Cc"])
    graph.extended([made], source="augment:graph").write(folder / "graph")
    settings, budget = with_(SETTINGS, hops=2), Budget(steps=1)
    train(folder / "graph", folder / "run", settings=ran(settings, budget=budget, seeds=1, preset="stub"))
    return folder / "run"


@pytest.fixture
def knowing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that follows the graph's facts."""
    monkeypatch.setattr(
        grokhop.inference.ask, "load_model", lambda run, _seed, **_: Stub(run.graph, follows_the_facts(run.graph))
    )


@pytest.mark.usefixtures("knowing")
@pytest.mark.parametrize("text", ["Person Bb / mother / father", "Who is the maternal grandfather of Person Bb?"])
def test_a_path_and_its_question_are_answered_hop_by_hop(run: Path, text: str) -> None:
    result = ask(run, text).to_dict()
    assert result["query"] == ["Person Bb", "mother", "father"]
    assert result["hops"] == [
        {"branch": 0, "position": 1, "relation": "mother", "loop": 1, "entity": "Person Cc", "probability": 1.0},
        {"branch": 0, "position": 2, "relation": "father", "loop": 2, "entity": "Person Hh", "probability": 1.0},
    ]
    assert result["compared"] is None
    assert (result["answer"], result["probability"]) == ("Person Hh", 1.0)
    assert (result["in_graph"], result["observed"], result["expected"]) == (True, True, ["Person Hh"])
    assert result["understood"] == "Person Bb / mother / father"


@pytest.mark.usefixtures("knowing")
def test_facts_that_were_made_up_are_told_from_those_observed(run: Path) -> None:
    result = ask(run, "Person Aa / father").to_dict()
    assert (result["in_graph"], result["observed"], result["expected"]) == (True, False, ["Person Cc"])
    result = ask(run, "1900 / father").to_dict()
    assert (result["in_graph"], result["observed"], result["expected"]) == (False, False, [])


def test_an_untrained_model_answers_too_with_probabilities(run: Path) -> None:
    result = ask(run, "person bb / mother / father / mother").to_dict()
    assert [hop["position"] for hop in result["hops"]] == [1, 2, 3]
    assert all(0 < hop["probability"] <= 1 for hop in result["hops"])
    assert result["trained_hops"] == 2
    assert result["linked"] == [
        {
            "name": "person bb",
            "entity": "Person Bb",
            "matched": "Person Bb",
            "how": "case, accents or punctuation differ",
        }
    ]


def test_a_comparison_is_understood_but_not_answered_by_a_run_that_was_not_trained_on_them(run: Path) -> None:
    with pytest.raises(
        InputError, match=r"not trained on comparisons, .*; understood was: Person Bb / date of birth LESS"
    ):
        ask(run, "Who is older, Person Bb or Person Cc?")


@pytest.fixture(scope="module")
def comparing_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of one step over the same families, of whom a question compares two."""
    folder = tmp_path_factory.mktemp("comparing")
    builder = GraphBuilder(source="test")
    born = []
    for i, person in enumerate(PEOPLE):
        builder.fact(person, "mother", PEOPLE[(i + 1) % 12])
        born.append(builder.fact(person, "date of birth", f"date:{1900 + i}"))
    builder.question(Question(id="q", type="comparison", text="?", answer=PEOPLE[0], facts=(born[0], born[1])))
    builder.build().write(folder / "graph")
    train(folder / "graph", folder / "run", settings=ran(SETTINGS, budget=Budget(steps=1), preset="stub"))
    return folder / "run"


@pytest.fixture
def comparing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that follows the graph's facts and compares."""
    monkeypatch.setattr(grokhop.inference.ask, "load_model", lambda run, _seed, **_: Comparer(run.graph))


@pytest.mark.usefixtures("comparing")
@pytest.mark.parametrize(
    ("text", "operator", "answer", "order"),
    [
        ("Who is older, Person Bb or Person Cc?", LESS, "Person Bb", [0, 1]),
        ("Who is younger, Person Bb or Person Cc?", MORE, "Person Cc", [1, 0]),
    ],
)
def test_a_comparison_is_answered_by_a_run_that_was_trained_on_them(
    comparing_run: Path, text: str, operator: str, answer: str, order: list[int]
) -> None:
    result = ask(comparing_run, text).to_dict()
    assert result["answer"] == answer
    assert result["query"] == ["Person Bb", "date of birth", "Person Cc", "date of birth", operator]
    told = [(hop["branch"], hop["position"], hop["relation"], hop["entity"]) for hop in result["hops"]]
    years = ["date:1901", "date:1902"]
    assert told[:-1] == [
        (branch, place, relation, years[branch])
        for branch, places in zip(order, ((1, 2), (5, 6)), strict=True)
        for place, relation in zip(places, ("date of birth", "year"), strict=True)
    ]
    assert told[-1][2] == LESS
    assert (result["in_graph"], result["expected"], result["compared"]) == (True, [], [["date:1901"], ["date:1902"]])


@pytest.mark.usefixtures("comparing")
def test_people_see_both_branches_of_a_comparison_and_what_the_graph_says_of_them(comparing_run: Path) -> None:
    result = CliRunner().invoke(app, ["ask", str(comparing_run), "Who is younger, Person Bb or Person Cc?"])
    assert result.exit_code == 0, result.output
    for part in ("answer: Person Cc (50.0 %)", "date:1901 and date:1902", "LESS", "year"):
        assert part in result.output
    assert "were not trained" not in result.output


def test_a_seed_that_was_not_trained_is_one_line(run: Path) -> None:
    with pytest.raises(InputError, match=r"seed 3 of .* has not finished: choose one of 0"):
        ask(run, "Person Bb / mother", seed=3)


@pytest.mark.usefixtures("knowing")
def test_people_see_what_was_understood_the_hops_and_the_answer(run: Path) -> None:
    result = CliRunner().invoke(app, ["ask", str(run), "who is the maternal grandfather of person bb"])
    assert result.exit_code == 0, result.output
    for part in ("parsed: Person Bb / mother / father", "taken for Person Bb", "answer: Person Hh (100 %)"):
        assert part in result.output


def test_programs_get_one_object_and_mistakes_one_line(run: Path) -> None:
    def command(text: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "grokhop", "ask", str(run), text, "--json"]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    found = command("Person Bb / mother / father")
    keys = {"query", "hops", "answer", "probability", "in_graph"}
    assert keys <= json.loads(found.stdout).keys()
    wrong = command("Who is the mother of Persona Bbb?")
    assert (wrong.returncode, wrong.stdout, len(wrong.stderr.splitlines())) == (2, "", 1)
    assert "'Persona Bbb' is not in the graph; the nearest names are 'Person Bb'" in wrong.stderr


def test_an_answer_has_these_keys_in_json_and_is_read_back_as_it_was(run: Path) -> None:
    result = ask(run, "person bb / mother / father")
    written = json.loads(json.dumps(result.to_dict()))
    keys = {"hops", "answer", "probability", "in_graph", "expected", "compared", "observed", "query", "type"}
    assert written.keys() == keys | {"understood", "linked", "trained_hops"}
    assert written["hops"][0].keys() == {"branch", "position", "relation", "loop", "entity", "probability"}
    assert written["linked"][0].keys() == {"name", "entity", "matched", "how"}
    assert Answer.from_dict(written) == result
