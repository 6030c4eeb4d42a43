"""The sources of an augmentation: in their order, each fact with its own label, planned as it is then done."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from pytest_httpserver import HTTPServer
from typer.testing import CliRunner
from werkzeug import Request, Response

from grokhop.augmentation.augment import augment, augment_folder
from grokhop.augmentation.constraints import untouchable_pairs
from grokhop.augmentation.gazetteer import cities
from grokhop.cli.main import app
from grokhop.config import Budget, preset
from grokhop.core.errors import InputError
from grokhop.graph.graph import Graph, GraphBuilder, Question, Split
from grokhop.graph.splits import hold_out
from grokhop.phi.report import measure
from grokhop.runs.run import Run
from grokhop.training.train import train
from tests.graphs import triples
from tests.settings import ran

KNOWN = [city for city in cities() if city.alone and city.country == "Germany"][:12]


def lives(people: int = 60) -> Graph:
    """People born in German cities; the country of two of the cities is known, of a third it is held out."""
    builder = GraphBuilder(source="test")
    for i in range(people):
        builder.fact(f"Person {i}", "place of birth", KNOWN[i % len(KNOWN)].name)
        builder.fact(f"Film {i}", "director", f"Person {i}")
    builder.fact(KNOWN[0].name, "country", "Germany")
    builder.fact(KNOWN[1].name, "country", "Germany")
    held = builder.fact(KNOWN[2].name, "country", "Germany")
    builder.question(Question(id="q", type="atomic", text="?", answer="Germany", facts=(held,)))
    return hold_out(builder.build(), share=0.0, ood_questions=["q"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lives().write(tmp_path / "graph")
    return tmp_path / "graph"


def added(graph: Graph, augmented: Graph) -> Counter[str]:
    return Counter(augmented.sources[i] for i in augmented.source[len(graph) :].tolist())


@pytest.mark.parametrize("sources", [["graph"], ["gazetteer"], ["gazetteer", "graph"], ["graph", "wrong"], ["wrong"]])
def test_what_is_done_is_what_was_planned(folder: Path, tmp_path: Path, sources: list[str]) -> None:
    planned = augment_folder(folder, None, sources=sources, target_phi=4.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["graph"]
    done = augment_folder(folder, tmp_path / "out", sources=sources, target_phi=4.0)
    assert done == planned
    assert done.added > 0
    rows = {
        row["relation"]: row for row in measure(Graph.read(tmp_path / "out")).to_dict()["trainable"]["per_relation"]
    }
    for row in planned.per_relation:
        assert row.phi_after == rows[row.relation]["phi"]


def test_each_fact_is_labelled_with_its_source_and_true_ones_are_observed() -> None:
    graph = lives()
    augmented, report, ledger = augment(graph, sources=["gazetteer", "graph"], target_phi=4.0)
    by_source = added(graph, augmented)
    assert by_source == {f"augment:{name}": n for name, n in report.by_source.items()}
    assert set(by_source) == {"augment:gazetteer", "augment:graph"}
    observed = dict(zip(augmented.sources, augmented.observed, strict=True))
    assert observed["augment:gazetteer"]
    assert not observed["augment:graph"]
    assert [(a.head, a.relation, a.tail) for a in ledger] == triples(augmented)[len(graph) :]


def test_the_gazetteer_states_what_makes_paths_and_nothing_that_is_held_out() -> None:
    graph = lives()
    augmented, report, _ = augment(graph, sources=["gazetteer"], target_phi=4.0)
    names = [entity.label for entity in augmented.entities]
    facts = {(names[h], augmented.relations[r], names[t]) for h, r, t in triples(augmented)[len(graph) :]}
    # Nine cities lack their country; one more has it held out.
    assert facts == {(city.name, "country", "Germany") for city in KNOWN[3:]}
    assert report.by_source == {"gazetteer": 9}
    assert not np.isin(augmented.pair[len(graph) :], untouchable_pairs(graph)).any()
    before, after = (
        next(r for r in measure(g).to_dict()["trainable"]["per_relation"] if r["relation"] == "place of birth")
        for g in (graph, augmented)
    )
    assert after["phi"] > before["phi"]


def test_what_the_built_in_graph_knows_of_countries_goes_on_from_them() -> None:
    builder = GraphBuilder(source="test")
    lands = ["Germany", "France", "Japan", "Chile", "Kenya", "Norway"]
    for i in range(30):
        builder.fact(f"Film {i}", "country of origin", lands[i % len(lands)])
    builder.fact("France", "capital", "Paris")
    held = builder.fact("Kenya", "capital", "Nairobi")
    builder.question(Question(id="q", type="atomic", text="?", answer="Nairobi", facts=(held,)))
    graph = hold_out(builder.build(), share=0.0, ood_questions=["q"])
    augmented, report, _ = augment(graph, sources=["gazetteer"], target_phi=6.0)
    names = [entity.label for entity in augmented.entities]
    facts = {(names[h], augmented.relations[r], names[t]) for h, r, t in triples(augmented)[len(graph) :]}
    assert facts == {
        ("Germany", "capital", "Berlin"),
        ("Japan", "capital", "Tokyo"),
        ("Chile", "capital", "Santiago"),
        ("Norway", "capital", "Oslo"),
    }
    assert report.rejected["the pair is held out or asked by a question"] == 1


def test_as_many_unknown_cities_are_added_as_are_asked_for() -> None:
    graph = lives()
    few, _, _ = augment(graph, sources=["gazetteer"], target_phi=4.0)
    more, report, ledger = augment(graph, sources=["gazetteer"], target_phi=4.0, new_cities=25)
    assert len(more) == len(few) + 25
    new = [a for a in ledger if a.role == "comparison"]
    assert len({a.head for a in new}) == 25
    countries = {city.name: city.country for city in cities()}
    for addition in new:
        assert countries[more.entities[addition.head].label] == more.entities[addition.tail].label
    # Only entities that a fact needs are new.
    used = set(more.head.tolist()) | set(more.tail.tolist())
    assert set(range(len(graph.entities), len(more.entities))) <= used
    assert report.entities_added == len(more.entities) - len(graph.entities)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sources": ["atlas"]}, "--source atlas"),
        ({"sources": []}, "--source"),
        ({"sources": ["llm"]}, "--base-url"),
        ({"corrupt_fraction": 1.5}, "--corrupt-fraction"),
        ({"corrupt_fraction": -0.1}, "--corrupt-fraction"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        augment(lives(), **options)
    assert "\n" not in str(caught.value)


def test_the_command_writes_or_plans_but_not_both(folder: Path, tmp_path: Path) -> None:
    for arguments in ([], ["--dry-run", "-o", str(tmp_path / "out")]):
        result = CliRunner().invoke(app, ["augment", str(folder), *arguments])
        assert isinstance(result.exception, InputError)
        assert "--dry-run" in str(result.exception)
    assert not (tmp_path / "out").exists()


# The endpoint.


def answering(*facts: dict[str, str]) -> Any:
    """An endpoint that proposes the same facts whatever it is asked, and uses ten tokens each way."""

    def handle(request: Request) -> Response:
        paragraph = "paragraph" in request.get_data(as_text=True).split("json_schema")[-1]
        content = {"paragraph": f"{KNOWN[5].name} lies in Germany."} if paragraph else {"facts": list(facts)}
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": json.dumps(content)}}
        usage = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
        body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
        return Response(json.dumps(body), content_type="application/json")

    return handle


def test_an_endpoint_is_asked_through_the_command_and_its_key_is_kept_nowhere(
    folder: Path, tmp_path: Path, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROKHOP_API_KEY", "sesame-1234")
    proposed = [
        {"subject": KNOWN[2].name, "object": "Germany"},  # held out
        {"subject": f"the {KNOWN[2].name.upper()}", "object": "Germany"},
        {"subject": KNOWN[5].name, "object": "Germany"},
    ]
    httpserver.expect_request("/v1/chat/completions").respond_with_handler(answering(*proposed))
    command = ["augment", str(folder), "-o", str(tmp_path / "out"), "--source", "llm", "--target-phi", "8", "--json"]
    endpoint = ["--base-url", httpserver.url_for("/v1"), "--model", "m", "--max-requests", "40"]
    result = CliRunner().invoke(app, [*command, *endpoint, "--elaborate", "--cache", str(tmp_path / "cache")])
    assert result.exit_code == 0, result.exception
    report = json.loads(result.stdout)
    assert report["by_source"] == {"llm": 1}
    assert report["rejected"]["the pair is held out or asked by a question"] >= 1
    assert report["llm"]["requests"] <= 40
    assert "country: 1 of" in result.stderr
    graph = Graph.read(tmp_path / "out")
    assert graph.entities[int(graph.head[-1])].label == KNOWN[5].name
    assert graph.sources[-1] == "augment:llm"
    written = pq.read_table(tmp_path / "out" / "paragraphs.parquet").to_pylist()
    assert [row["head_label"] for row in written] == [KNOWN[5].name]
    for file in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert b"sesame-1234" not in file.read_bytes(), file
    assert "sesame-1234" not in result.output


def test_a_plan_with_an_endpoint_sends_nothing_and_says_what_would_be_asked(
    folder: Path, httpserver: HTTPServer
) -> None:
    command = ["augment", str(folder), "--dry-run", "--source", "llm", "--target-phi", "4", "--json"]
    result = CliRunner().invoke(app, [*command, "--base-url", httpserver.url_for("/v1"), "--model", "m"])
    assert result.exit_code == 0, result.exception
    assert json.loads(result.stdout)["wanted"]["place of birth"] > 0
    assert httpserver.log == []


# What is added can be trained.


def test_a_graph_whose_facts_are_only_compared_is_trained_without_compositions(tmp_path: Path) -> None:
    builder = GraphBuilder(source="test")
    facts = [builder.fact(f"Town {i}", "country", f"Land {i % 4}") for i in range(40)]
    for i in range(0, 20, 2):
        builder.question(Question(id=f"q{i}", type="comparison", text="?", answer="no", facts=(facts[i], facts[i + 1])))
    graph = hold_out(builder.build(), share=0.0, ood_questions=["q0", "q2"])
    graph.write(tmp_path / "graph")
    settings = preset("toy")
    run = train(tmp_path / "graph", tmp_path / "run", settings=ran(settings, budget=Budget(steps=4), preset="toy"))
    assert run.finished_seeds() == [0]
    assert len(Run.read(tmp_path / "run").dataset.compositions.chains) == 0
    assert (graph.part == Split.TEST).sum() == 4
