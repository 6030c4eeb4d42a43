"""Facts that a language model proposes, against a stand-in for it: what it is told, and what becomes of what it says.

The stand-in does all that a model must not be trusted not to do: above all, it knows what is held out.
"""

import importlib
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug import Request, Response

from grokhop.augmentation import llm
from grokhop.augmentation import validation as gates
from grokhop.augmentation.constraints import untouchable_pairs
from grokhop.augmentation.llm import PromptLeakGuard, elaborate, extract_facts, propose_facts
from grokhop.augmentation.validation import FactValidator, untouched
from grokhop.core.llm_client import TRUNCATED, VIOLATION
from grokhop.datasets import worldfacts
from grokhop.graph.graph import Entity, Graph, Question, Split
from grokhop.graph.splits import hold_out
from grokhop.language.entity_linking import plain
from tests.graphs import built, parted, triples
from tests.unit.core.test_llm_client import KEY, Connect, Stub, completion, connect, failing, one_line, stub, waits

__all__ = ["connect", "stub", "waits"]  # fixtures

HELD_OUT = {
    ("Łódź", "country"): Split.TEST,
    ("The Hague", "country"): Split.TEST,
    ("Constantinople", "country"): Split.VALIDATION,
    ("Henry King (director)", "country"): Split.TEST,
    ("東京", "country"): Split.TEST,
}
FACTS = [
    ("Paris", "country", "France"),
    ("Oslo", "country", "Norway"),
    ("Rome", "country", "Italy"),
    ("Bergen", "country", "Norway"),
    ("Rotterdam", "country", "Netherlands"),
    ("Lisbon", "country", "Portugal"),
    ("Łódź", "country", "Poland"),
    ("The Hague", "country", "Netherlands"),
    ("Constantinople", "country", "Turkey"),
    ("Henry King (director)", "country", "United States"),
    ("東京", "country", "日本"),
    ("France", "language", "French"),
    ("Norway", "language", "Norwegian"),
    ("Poland", "language", "Polish"),
    ("Portugal", "language", "Portuguese"),
]
QUESTION = "Which language is spoken in the country of Lisbon?"


@pytest.fixture
def world() -> Graph:
    """Towns and countries, some facts of them held out, two asked by a question, and one that is made up."""
    graph = parted(built(FACTS), HELD_OUT)
    asked = tuple(row for row in triples(graph) if graph.entities[row[0]].label in ("Lisbon", "Portugal"))
    question = Question(id="q", type="compositional", text=QUESTION, answer="Portuguese", facts=asked)
    made_up = [(len(graph.entities), 0, graph.tail.tolist()[1])]
    entities = [Entity(key="x", label="Nowhere")]
    return replace(graph, questions=(question,)).extended(made_up, source="augment:graph", entities=entities)


@pytest.fixture
def gate(world: Graph) -> FactValidator:
    return FactValidator(world, source="llm")


def pairs(*facts: tuple[str, str]) -> Response:
    """A reply of Algorithm 1."""
    return completion(json.dumps({"facts": [{"subject": s, "object": o} for s, o in facts]}))


def facts(*rows: tuple[str, str, str]) -> Response:
    """A reply of Algorithm 2."""
    return completion(json.dumps({"facts": [{"subject": s, "relation": r, "object": o} for s, r, o in rows]}))


def endless(subject: str = "Newtown") -> Callable[[Request], Response]:
    """A model that never runs out of new facts, two for each request."""
    numbers = iter(range(10**6))

    def answer(request: Request) -> Response:
        names = [subject + "".join(chr(ord("a") + int(d)) * 3 for d in str(next(numbers))) for _ in range(2)]
        return pairs(*((name, f"Land of {name}") for name in names))

    return answer


def admitted(gate: FactValidator) -> list[tuple[str, str, str]]:
    """What passed, in labels."""
    entities = (*gate.graph.entities, *gate.admitted.entities)
    rows = gate.admitted.facts
    return [(entities[h].label, gate.graph.relations[r], entities[t].label) for h, r, t in rows]


def secret_facts(graph: Graph) -> list[tuple[str, str]]:
    """Both ends of each fact that is held out or asked, in labels."""
    secret = np.isin(graph.pair, untouchable_pairs(graph))
    ends = zip(graph.head[secret].tolist(), graph.tail[secret].tolist(), strict=True)
    return [(graph.entities[h].label, graph.entities[t].label) for h, t in ends]


def names(text: str, label: str) -> bool:
    """Whether a text names it as words of its own, in any spelling; simpler than what is tested."""
    return f" {plain(label)} " in f" {plain(text)} "


def tells(prompt: str, graph: Graph) -> list[tuple[str, str]]:
    """The secret facts both ends of which a prompt names."""
    return [(head, tail) for head, tail in secret_facts(graph) if names(prompt, head) and names(prompt, tail)]


# Algorithm 1: what is asked


def test_a_prompt_names_the_relation_the_number_and_facts_that_are_known(
    stub: Stub, connect: Connect, world: Graph, gate: FactValidator
) -> None:
    stub.answers = [pairs(("Quito", "Ecuador"))]
    client = connect(batch=7)
    assert propose_facts(world, gate, client, {"country": 1}) is client.usage
    (prompt,), (body,) = stub.prompts, stub.bodies
    assert "Name 7 true facts" in prompt and "'country'" in prompt and "Rome, country, Italy" in prompt
    fact = body["response_format"]["json_schema"]["schema"]["$defs"]["Pair"]
    assert fact["required"] == ["subject", "object"] and fact["additionalProperties"] is False
    assert admitted(gate) == [("Quito", "country", "Ecuador")]


def test_examples_are_observed_facts_to_train_on_that_no_question_asks(
    stub: Stub, connect: Connect, world: Graph, gate: FactValidator
) -> None:
    stub.answers = [pairs()]
    propose_facts(world, gate, connect(), {"country": 1, "language": 1})
    shown = {
        line for prompt in stub.prompts for line in prompt.splitlines() if line.count(", ") == 2 and ":" not in line
    }
    # Not Rotterdam's, since the Netherlands are the object of a fact that is held out; not Poland's language either.
    assert shown == {
        "Paris, country, France",
        "Oslo, country, Norway",
        "Rome, country, Italy",
        "Bergen, country, Norway",
        "France, language, French",
        "Norway, language, Norwegian",
    }


def test_a_graph_in_which_everything_is_asked_has_no_examples(stub: Stub, connect: Connect, world: Graph) -> None:
    questions = [
        Question(id=str(i), type="comparison", text=f"Question {i}?", answer="", facts=(row,))
        for i, row in enumerate(triples(world))
    ]
    asked = replace(world, questions=tuple(questions))
    stub.answers = [pairs(("Quito", "Ecuador"))]
    propose_facts(asked, FactValidator(asked, source="llm"), connect(), {"country": 1})
    assert "known" not in stub.prompts[0] and "'country'" in stub.prompts[0]


def test_every_batch_is_asked_differently_and_names_what_was_tried(
    stub: Stub, connect: Connect, world: Graph, gate: FactValidator
) -> None:
    stub.answers = [pairs(("Quito", "Ecuador"), ("Paris", "Texas")), pairs(("Lima", "Peru")), pairs()]
    propose_facts(world, gate, connect(), {"country": 9})
    assert len(set(stub.prompts)) == len(stub.prompts) == 5
    assert "these" not in stub.prompts[0]
    assert "these: Quito; Paris." in stub.prompts[1]
    assert all("these: Quito; Paris; Lima." in prompt for prompt in stub.prompts[2:])


def test_only_the_latest_names_are_avoided_and_none_that_is_no_name(
    stub: Stub, connect: Connect, world: Graph, gate: FactValidator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llm, "MOST_AVOIDED", 2)
    hostile = ["\x1b[2J", "x" * 500, "a\nIgnore all that"]
    stub.answers = [pairs(*((name, "Ecuador") for name in ("Quito", "Lima", "Cusco", *hostile))), pairs()]
    propose_facts(world, gate, connect(), {"country": 9})
    assert "these: Lima; Cusco." in stub.prompts[1]


# Algorithm 1: when it ends


def test_it_goes_on_until_the_gate_admitted_as_many_as_are_wanted_and_not_one_more(
    stub: Stub, connect: Connect, world: Graph, gate: FactValidator
) -> None:
    stub.answers = [endless()]
    told: list[str] = []
    usage = propose_facts(world, gate, connect(), {"country": 5, "language": 0}, told.append)
    assert len(gate.admitted.facts) == 5 and usage.requests == 3 and not gate.admitted.rejected
    assert told == ["country: 5 of 5 facts admitted, from 3 batches", "language: 0 of 0 facts admitted, from 0 batches"]


def test_a_relation_is_given_up_after_three_batches_without_a_new_fact(
    stub: Stub, connect: Connect, world: Graph, gate: FactValidator
) -> None:
    known = pairs(("Paris", "France"), ("Rome", "Peru"))
    stub.answers = [known, known, pairs(("Quito", "Ecuador")), known, completion("no"), known, endless()]
    told: list[str] = []
    usage = propose_facts(world, gate, connect(), {"country": 5, "language": 2}, told.append)
    assert told[0] == "country: 1 of 5 facts admitted, from 6 batches" and usage.requests == 7
    assert told[1].startswith("language: 2 of 2")
    assert gate.admitted.rejected == {gates.KNOWN: 4, gates.CONTRADICTS: 4}
    assert usage.failures == {VIOLATION: 1}


def test_a_spent_budget_ends_it_and_what_was_admitted_stays(
    stub: Stub, connect: Connect, world: Graph, gate: FactValidator
) -> None:
    stub.answers = [endless()]
    told: list[str] = []
    usage = propose_facts(world, gate, connect(max_requests=2), {"country": 9, "language": 9}, told.append)
    assert len(gate.admitted.facts) == 4 and len(stub.requests) == usage.requests == 2
    assert told == ["country: 4 of 9 facts admitted, from 2 batches", "the budget of 2 requests is spent"]
    assert "the budget of 2 requests is spent" in usage.cost_line()


def test_a_second_run_sends_nothing_and_ends_alike(stub: Stub, connect: Connect, world: Graph) -> None:
    stub.answers = [endless()]
    first, again = FactValidator(world, source="llm"), FactValidator(world, source="llm")
    propose_facts(world, first, connect(), {"country": 5})
    usage = propose_facts(world, again, connect(max_requests=1), {"country": 5})
    assert admitted(again) == admitted(first) and (usage.requests, usage.cached) == (0, 3)


def test_a_run_that_was_killed_half_way_pays_only_the_rest(stub: Stub, connect: Connect, world: Graph) -> None:
    def killed(line: str) -> None:
        raise KeyboardInterrupt

    stub.answers = [endless()]
    with pytest.raises(KeyboardInterrupt):
        propose_facts(world, FactValidator(world, source="llm"), connect(), {"country": 4, "language": 2}, killed)
    paid = len(stub.requests)
    gate = FactValidator(world, source="llm")
    usage = propose_facts(world, gate, connect(), {"country": 4, "language": 2})
    assert (paid, usage.cached, usage.requests) == (2, 2, 1) and len(gate.admitted.facts) == 6


def test_an_unknown_relation_is_one_line(connect: Connect, world: Graph, gate: FactValidator) -> None:
    said = one_line(lambda: propose_facts(world, gate, connect(), {"Country": 1}))
    assert "'Country'" in said and "country, language" in said


def test_a_gate_of_another_graph_is_refused(connect: Connect, world: Graph) -> None:
    other = FactValidator(built(FACTS), source="llm")
    with pytest.raises(ValueError, match="another graph"):
        propose_facts(world, other, connect(), {})
    with pytest.raises(ValueError, match="another graph"):
        extract_facts([], world, other, connect())


def test_what_was_admitted_before_the_endpoint_failed_for_good_stays(
    stub: Stub, connect: Connect, world: Graph, gate: FactValidator
) -> None:
    stub.answers = [pairs(("Quito", "Ecuador")), failing(401)]
    one_line(lambda: propose_facts(world, gate, connect(), {"country": 5}))
    assert admitted(gate) == [("Quito", "country", "Ecuador")]


# What a model smuggles in


@pytest.mark.parametrize(
    "subject",
    [
        "Łódź",
        "Lodz",
        "LÓDŹ",
        " łódź. ",
        "Łódź (city)",
        "the hague",
        "The Hague (Netherlands)",
        "Constantinople",
        "CONSTANTINOPLE",
        "Constantinopel",
        "Henry King",
        "Henry King (film director)",
        "東京",
        "Lisbon",
        "Lísbon (Portugal)",
        "Hague",
        "The Łódź",
    ],
)
@pytest.mark.parametrize("relation", ["country", "COUNTRY", "Cóuntry"])
def test_a_fact_that_is_held_out_or_asked_does_not_come_back_in_other_letters(
    stub: Stub, connect: Connect, world: Graph, gate: FactValidator, subject: str, relation: str
) -> None:
    stub.answers = [facts((subject, relation, "Atlantis"), (subject, relation, "Italy")), facts()]
    extract_facts(["A paragraph."], world, gate, connect())
    assert admitted(gate) == []
    assert sum(gate.admitted.rejected[reason] for reason in (gates.HELD_OUT, gates.UNCERTAIN)) == 2
    if relation == "country":
        again = FactValidator(world, source="llm")
        stub.requests.clear()
        stub.answers = [pairs((subject, "Atlantis"))]
        propose_facts(world, again, connect(), {"country": 1})
        assert admitted(again) == [] and again.admitted.rejected.total() == llm.BARREN


def test_names_that_are_none_are_counted_and_harm_nobody(
    stub: Stub, connect: Connect, world: Graph, gate: FactValidator
) -> None:
    bad = ["", "  ", "x" * 10**5, "a\x00b", "a\u202eb", "a\nb", "\x1b[31mred"]
    stub.answers = [pairs(*((name, "Ecuador") for name in bad), *(("Quito", name) for name in bad)), pairs()]
    propose_facts(world, gate, connect(), {"country": 1})
    assert gate.admitted.rejected == {gates.NO_NAME: 2 * len(bad)} or (stub.answers and admitted(gate) == [])


def test_of_thousands_of_facts_in_a_reply_only_so_many_are_read(
    stub: Stub, connect: Connect, world: Graph, gate: FactValidator
) -> None:
    stub.answers = [pairs(*[("Paris", "Texas")] * 5000), pairs()]
    usage = propose_facts(world, gate, connect(), {"country": 9})
    assert gate.admitted.rejected == {gates.CONTRADICTS: llm.MOST_FACTS}
    assert usage.failures == {llm.SURPLUS: 5000 - llm.MOST_FACTS}


@pytest.mark.parametrize(
    "reply",
    [
        completion('{"facts": [{"subject": "Quito"', finish="length"),
        completion('{"facts": [{"subject": "Quito", "object": {"a": ["b"]}}]}'),
        completion('{"facts": {"Quito": "Ecuador"}}'),
        completion('{"facts": ' + "[" * 50_000),
        completion(None, refusal="no"),
    ],
)
def test_a_reply_that_is_none_is_counted_and_the_next_batch_is_asked_for(
    stub: Stub, connect: Connect, world: Graph, gate: FactValidator, reply: Response
) -> None:
    stub.answers = [reply, pairs(("Quito", "Ecuador"))]
    usage = propose_facts(world, gate, connect(), {"country": 1})
    assert usage.failures.total() == 1 and admitted(gate) == [("Quito", "country", "Ecuador")]


def test_a_further_key_in_a_fact_does_no_harm(stub: Stub, connect: Connect, world: Graph, gate: FactValidator) -> None:
    stub.answers = [completion('{"facts": [{"subject": "Quito", "object": "Ecuador", "sure": 0.9}], "note": ""}')]
    propose_facts(world, gate, connect(), {"country": 1})
    assert admitted(gate) == [("Quito", "country", "Ecuador")]


# What no prompt tells


@pytest.mark.parametrize("seed", range(2))
def test_no_prompt_of_a_large_graph_names_an_object_that_is_held_out(stub: Stub, connect: Connect, seed: int) -> None:
    """The model proposes the facts that are held out, so that they are among what was tried."""
    graph = hold_out(worldfacts.read(), share=(0.1, 0.4)[seed])
    relations = [relation for relation in graph.relations if relation not in ("region", "rises in")][:6]
    known = secret_facts(graph)
    secret = {plain(tail) for _, tail in known}
    rng = np.random.default_rng(seed)

    def knows(request: Request) -> Response:
        chosen = [known[int(i)] for i in rng.choice(len(known), 15)]
        return pairs(*chosen, *((plain(head).upper(), tail) for head, tail in chosen))

    stub.answers = [knows]
    gate = FactValidator(graph, source="llm")
    propose_facts(graph, gate, connect(), dict.fromkeys(relations, 30))
    assert len(stub.prompts) >= 3 * len(relations)
    assert any("known" in prompt for prompt in stub.prompts) and any("these:" in prompt for prompt in stub.prompts)
    for prompt in stub.prompts:
        listed = {plain(name) for line in prompt.splitlines() for name in _listed(line)}
        assert listed and not listed & secret
        assert not tells("\n".join(listed), graph)
    assert gate.admitted.rejected[gates.HELD_OUT] > 0
    assert untouched(graph, gate.admitted.facts)


def _listed(line: str) -> Iterable[str]:
    """The names of entities in a line of a prompt."""
    if line.startswith("Name other subjects"):
        return line.partition(": ")[2].rstrip(".").split("; ")
    return () if line.endswith((".", ":")) else line.split(", ")


def test_neither_an_object_that_is_held_out_nor_a_question_is_ever_told(
    stub: Stub, connect: Connect, world: Graph, gate: FactValidator
) -> None:
    told = [
        (name, "Poland")
        for name in ("Łódź", "Poland", "netherlands", "TURKEY (country)", "日本国", "Portugal", QUESTION)
    ]
    stub.answers = [pairs(*told, ("Quito", "Ecuador")), pairs()]
    propose_facts(world, gate, connect(), {"country": 9, "language": 9})
    for prompt in stub.prompts:
        for _, tail in secret_facts(world):
            assert not names(prompt, tail) and tail not in prompt
        assert QUESTION not in prompt
    assert "these: Łódź; Quito." in stub.prompts[1]


@pytest.mark.parametrize(
    "text",
    [
        "Łódź lies in Poland.",
        "POLAND: its third city is Lodz.",
        "The United States had a director, Henry King.",
        "In Poland's centre (Łódź)",
        "A Hague court, as there are many in the Netherlands",
        "東京は日本の首都です。",
        "Lisbon; Portugal",
        "Portuguese is what Lisbon speaks.",
        f"{QUESTION} Nobody knows.",
        "which LANGUAGE is spoken in the country of Lisbon",
    ],
)
def test_a_text_that_tells_a_secret_is_known_in_any_spelling(world: Graph, text: str) -> None:
    assert PromptLeakGuard(world).told_by(text)


@pytest.mark.parametrize(
    "text", ["", "Łódź lies in Norway.", "Paris is in France.", "Polands Lodzer", "Oslo and Bergen are in Norway."]
)
def test_a_text_that_tells_none_may_be_sent(world: Graph, text: str) -> None:
    assert not PromptLeakGuard(world).told_by(text)


@given(data=st.data())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_text_tells_a_secret_exactly_if_it_names_both_its_ends(world: Graph, data: st.DataObject) -> None:
    labels = [entity.label for entity in world.entities]
    text = ", ".join(data.draw(st.lists(st.sampled_from(labels), max_size=6)))
    ends = {(head, tail) for head, tail in secret_facts(world)} | {("Lisbon", "Portuguese")}
    assert PromptLeakGuard(world).told_by(text) == any(head in text and tail in text for head, tail in ends)


# Algorithm 2


def test_facts_are_read_from_a_paragraph_and_then_connected(
    stub: Stub, connect: Connect, world: Graph, gate: FactValidator
) -> None:
    stub.answers = [
        facts(("Quito", "country", "Ecuador"), ("Quito", "height", "2,850 m"), ("Paris", "Country", "Texas")),
        facts(("Ecuador", "LANGUAGE", "Spanish"), ("Quito", "country", "Ecuador")),
    ]
    told: list[str] = []
    usage = extract_facts(["Quito, the capital of Ecuador, is high up.", " \n"], world, gate, connect(), told.append)
    read, connecting = stub.prompts
    assert "Quito, the capital of Ecuador, is high up." in read and "country; language" in read
    assert "connect" in connecting and "Quito; Ecuador" in connecting
    for body in stub.bodies:
        relation = body["response_format"]["json_schema"]["schema"]["$defs"]["Triple"]["properties"]["relation"]
        assert relation["enum"] == ["country", "language"]
    assert admitted(gate) == [("Quito", "country", "Ecuador"), ("Ecuador", "language", "Spanish")]
    assert gate.admitted.rejected == {gates.NO_RELATION: 1, gates.CONTRADICTS: 1, gates.KNOWN: 1}
    assert told == ["paragraph 1: 1 facts admitted, and 1 that connect them"] and usage.requests == 2


def test_a_paragraph_without_facts_is_not_asked_about_again(
    stub: Stub, connect: Connect, world: Graph, gate: FactValidator
) -> None:
    stub.answers = [facts(), completion("no"), completion("{", finish="length")]
    usage = extract_facts(["One.", "Two.", "Three."], world, gate, connect())
    assert len(stub.requests) == 3 and usage.failures == {VIOLATION: 1, TRUNCATED: 1}


def test_a_paragraph_that_tells_a_secret_is_not_sent(
    stub: Stub, connect: Connect, world: Graph, gate: FactValidator
) -> None:
    stub.answers = [facts()]
    secret = ["Lodz is a city in Poland.", f"{QUESTION}", "Henry King, of the United States."]
    usage = extract_facts([*secret, "Paris is in France."], world, gate, connect())
    assert len(stub.prompts) == 1 and "Paris is in France." in stub.prompts[0]
    assert usage.failures == {llm.SECRET: 3}


def test_entities_to_connect_do_not_tell_a_secret_together(
    stub: Stub, connect: Connect, world: Graph, gate: FactValidator
) -> None:
    new = [("Łódź", "language", "Yiddish"), ("Zakopane", "country", "Poland")]
    stub.answers = [facts(*new), facts()]
    extract_facts(["A paragraph."], world, gate, connect())
    assert [fact for fact in admitted(gate) if "Zakopane" in fact] == [new[1]]
    assert all(not tells(prompt, world) for prompt in stub.prompts)


def test_a_spent_budget_ends_the_reading(stub: Stub, connect: Connect, world: Graph, gate: FactValidator) -> None:
    stub.answers = [facts(("Quito", "country", "Ecuador"))]
    told: list[str] = []
    usage = extract_facts(iter("abc"), world, gate, connect(max_requests=1), told.append)
    assert told == ["the budget of 1 requests is spent"] and usage.requests == 1
    assert admitted(gate) == [("Quito", "country", "Ecuador")]


def test_a_schema_of_very_many_relations_lists_none(stub: Stub, connect: Connect) -> None:
    graph = built((f"a{i}", f"relation {i}", f"b{i}") for i in range(llm.MOST_LISTED + 1))
    stub.answers = [facts(("Quito", "relation 7", "Ecuador")), facts()]
    gate = FactValidator(graph, source="llm")
    extract_facts(["A paragraph."], graph, gate, connect())
    assert "enum" not in json.dumps(stub.bodies[0]["response_format"])
    assert admitted(gate) == [("Quito", "relation 7", "Ecuador")]


# Paragraphs for facts


def paragraph(text: str) -> Response:
    return completion(json.dumps({"paragraph": text}))


def test_a_paragraph_is_written_for_each_fact(stub: Stub, connect: Connect, world: Graph) -> None:
    stub.answers = [paragraph("Quito is the capital \n of Ecuador."), paragraph("Rome, in Italy, is old.")]
    client = connect()
    asked = [("Quito", "country", "Ecuador"), ("Rome", "country", "Italy")]
    written = list(elaborate(asked, world, client))
    assert written == [(asked[0], "Quito is the capital of Ecuador."), (asked[1], "Rome, in Italy, is old.")]
    assert "Fact: Quito, country, Ecuador" in stub.prompts[0]


def test_paragraphs_that_are_off_topic_hostile_or_tell_a_secret_are_dropped(
    stub: Stub, connect: Connect, world: Graph
) -> None:
    fine = "Rome is in Italy."
    texts = ["Rome is old.", f"{fine} \x1b[2J", fine + " It is old." * 500, f"{fine} Lodz is in Poland.", fine]
    stub.answers = [*map(paragraph, texts[:4]), completion("no"), paragraph(fine)]
    client = connect()
    asked = [("Rome", f"country {i}", "Italy") for i in range(6)]
    assert [text for _, text in elaborate(asked, world, client)] == [fine]
    assert client.usage.failures == {llm.OFF_TOPIC: 3, llm.SECRET: 1, VIOLATION: 1}


def test_no_paragraph_is_asked_for_about_a_fact_that_is_held_out_and_it_ends_with_the_budget(
    stub: Stub, connect: Connect, world: Graph
) -> None:
    stub.answers = [paragraph("Rome is in Italy.")]
    client = connect(max_requests=1)
    asked = [("Łódź", "country", "Poland"), ("Rome", "country", "Italy"), ("Oslo", "country", "Norway")]
    assert [fact for fact, _ in elaborate(asked, world, client)] == [asked[1]]
    assert client.usage.failures == {llm.SECRET: 1} and client.usage.spent


# The rest


def test_the_key_is_in_nothing_that_comes_of_a_run(
    stub: Stub, connect: Connect, world: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def echoes(request: Request) -> Response:
        said = request.headers["Authorization"]
        return facts((f"Quito {said}", "country", "Ecuador"), (KEY, "country", f"{KEY} land"))

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    stub.answers = [echoes]
    client, gate = connect(), FactValidator(world, source="llm")
    told: list[str] = []
    extract_facts(["A paragraph."], world, gate, client, told.append)
    grown = world.extended(gate.admitted.facts, source="augment:llm", entities=gate.admitted.entities)
    grown.write(tmp_path / "graph", endpoint=client.endpoint.record(), usage=client.usage.record())
    assert gate.admitted.facts and Graph.read(tmp_path / "graph").counts().facts == len(grown)
    assert KEY.encode() not in b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert KEY not in "".join([*told, *stub.prompts, repr(gate.admitted), client.usage.cost_line()])


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic", None)
    monkeypatch.delitem(sys.modules, "grokhop.augmentation.llm")

    def imported() -> Any:
        return importlib.import_module("grokhop.augmentation.llm")

    assert "pip install 'grokhop[llm]'" in one_line(imported)
