"""What passes the gate, and that nothing held out or asked comes back through it in other letters."""

import numpy as np
import pytest

from grokhop.augmentation.validation import (
    CONTRADICTS,
    HELD_OUT,
    KNOWN,
    LOOP,
    MOST_LETTERS,
    NO_NAME,
    NO_RELATION,
    UNCERTAIN,
    WRONG_KIND,
    FactValidator,
    Proposal,
    untouched,
)
from grokhop.graph.graph import Graph, GraphBuilder, Question, Split
from tests.graphs import parted, triples


def world() -> Graph:
    """Films with directors, people with a mother and a place of birth; one fact is held out, one is asked."""
    builder = GraphBuilder(source="test")
    for i in range(20):
        builder.fact(f"Film {chr(65 + i)}", "director", f"Person {chr(65 + i)}")
        if i < 10:
            builder.fact(f"Person {chr(65 + i)}", "place of birth", f"Town {chr(65 + i % 4)}")
    builder.entity("Łódź", label="Łódź")
    builder.fact("Gold for the Caesars", "director", "André de Toth")
    asked = builder.fact("The Imp", "director", "Dennis Yu")
    builder.fact("André de Toth", "place of birth", "Łódź")
    builder.fact("Henry King (director)", "place of birth", "Town A")
    builder.fact("Henry King (actor)", "place of birth", "Town B")
    builder.question(Question(id="q", type="compositional", text="?", answer="!", facts=(asked,)))
    return parted(builder.build(), {("Gold for the Caesars", "director"): Split.TEST})


GRAPH = world()


def judged(head: str, relation: str, tail: str) -> object:
    return FactValidator(GRAPH, source="test").judge(Proposal(head, relation, tail))


@pytest.mark.parametrize(
    "head",
    ["Gold for the Caesars", "gold FOR the caesars", "Gold, for the Caesars!", "Gold for the Caesars (1963 film)",
     "The Imp", "THE IMP", "Thé Imp", "The Imp (1981 film)"],
)  # fmt: skip
@pytest.mark.parametrize("relation", ["director", "DIRECTOR", " director "])
def test_no_spelling_of_a_held_out_or_asked_subject_is_given_another_object(head: str, relation: str) -> None:
    assert judged(head, relation, "Person A") == HELD_OUT


@pytest.mark.parametrize(
    "head", ["Gold for the Caesar", "Gold for the Cæsars", "Golds for the Caesars", "Gold for teh Caesars"]
)
def test_a_name_that_nearly_is_a_held_out_subject_is_no_new_entity(head: str) -> None:
    assert judged(head, "director", "Person A") in (UNCERTAIN, HELD_OUT)


def test_a_name_that_two_entities_have_is_not_certain() -> None:
    assert judged("Henry King", "place of birth", "Town C") == UNCERTAIN
    assert judged("Henry King (actor)", "place of birth", "Town C") == CONTRADICTS


@pytest.mark.parametrize(
    ("proposal", "reason"),
    [
        (("Person A", "favourite colour", "Blue"), NO_RELATION),
        (("", "director", "Person A"), NO_NAME),
        ((" \t", "director", "Person A"), NO_NAME),
        (("Film\u0000X", "director", "Person A"), NO_NAME),
        (("Film\nX", "director", "Person A"), NO_NAME),
        (("x" * (MOST_LETTERS + 1), "director", "Person A"), NO_NAME),
        (("Film A", "director", "person a"), KNOWN),
        (("film a", "director", "Person B"), CONTRADICTS),
        (("Person A", "director", "Person B"), WRONG_KIND),
        (("Person P", "place of birth", "Film A"), WRONG_KIND),
        (("Person P", "place of birth", "person p"), LOOP),
        (("Someone New", "director", "someone  new"), LOOP),
    ],
)
def test_what_does_not_pass_is_refused_with_its_reason(proposal: tuple[str, str, str], reason: str) -> None:
    assert judged(*proposal) == reason


def test_what_passes_links_known_names_and_makes_new_entities_once() -> None:
    gate = FactValidator(GRAPH, source="test")
    facts = gate.admit(
        [
            Proposal("person p", "Place of Birth", "lodz"),
            Proposal("A Film Nobody Made", "director", "Person P"),
            Proposal("a film nobody made", "director", "Person Q"),
            Proposal("Another Picture", "director", "Somebody Unheard Of"),
            Proposal("Somebody unheard of", "place of birth", "Town A"),
        ]
    )
    keys = [e.key for e in GRAPH.entities]
    new = len(keys)
    relation = GRAPH.relations.index
    assert facts == [
        (keys.index("Person P"), relation("place of birth"), keys.index("Łódź")),
        (new, relation("director"), keys.index("Person P")),
        (new + 1, relation("director"), new + 2),
        (new + 2, relation("place of birth"), keys.index("Town A")),
    ]
    assert gate.admitted.facts == facts
    assert gate.admitted.rejected == {CONTRADICTS: 1}
    assert [e.label for e in gate.admitted.entities] == ["A Film Nobody Made", "Another Picture", "Somebody Unheard Of"]
    grown = GRAPH.extended(facts, source="test 2", entities=gate.admitted.entities)
    assert len(set(triples(grown))) == len(GRAPH) + len(facts)
    assert untouched(GRAPH, facts)


def test_a_new_entity_takes_the_kind_of_its_first_fact() -> None:
    gate = FactValidator(GRAPH, source="test")
    assert gate.admit([Proposal("A Film Nobody Made", "director", "Person P")])
    assert not gate.admit([Proposal("A Film Nobody Made", "place of birth", "Town A")])
    assert gate.admitted.rejected == {WRONG_KIND: 1}


def test_the_check_after_the_fact_sees_a_held_out_pair() -> None:
    held = np.flatnonzero(GRAPH.part != Split.TRAIN)[0]
    fact = (int(GRAPH.head[held]), int(GRAPH.relation[held]), 0)
    assert not untouched(GRAPH, [fact])
    assert untouched(GRAPH, [(0, fact[1], 0)]) == (fact[0] != 0)
