"""Names as people write them: which entity each means, and how that is told."""

import pytest

from grokhop.graph.graph import Graph, GraphBuilder
from grokhop.language.entity_linking import How, Linker

NAMES = {
    "Q1": ("Ręce do Góry", ()),
    "Q2": ("The Ride", ("The Ride (1994 film)",)),
    "Q3": ("The Ride (song)", ()),
    "Q4": ("Louis II of Reed", ()),
    "Q5": ("Siemowit of Płock", ()),
    "Q6": ("Alexander von Humboldt", ("Humboldt the Elder",)),
}


@pytest.fixture(scope="module")
def linker() -> Linker:
    builder = GraphBuilder(source="test")
    for key, (label, aliases) in NAMES.items():
        builder.entity(key, label=label, aliases=aliases)
    builder.fact("Q1", "after", "Q2")
    return Linker(builder.build())


def found(linker: Linker, name: str) -> dict[str, How]:
    graph: Graph = linker._graph
    return {graph.entities[m.entity].key: m.how for m in linker.matches(name)}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Ręce do Góry", {"Q1": How.EXACT}),
        ("Rece Do Gory", {"Q1": How.SPELLING}),
        ("SIEMOWIT OF PLOCK", {"Q5": How.SPELLING}),
        ("Humboldt The Elder", {"Q6": How.SPELLING}),
        ("Louis Ii, of Reed!", {"Q4": How.SPELLING}),
        ("The Ride (1994 Film)", {"Q2": How.SPELLING}),
        ("The Ride", {"Q2": How.BASE}),
        ("Siemowit of Płock (Duke)", {"Q5": How.BASE}),
        ("The Ride (Novel)", {"Q2": How.OTHER_BASE, "Q3": How.OTHER_BASE}),
        ("The Rode", {}),
        ("", {}),
    ],
)
def test_a_name_means(linker: Linker, name: str, expected: dict[str, How]) -> None:
    assert found(linker, name) == expected


def test_a_similar_spelling_is_found_and_said_to_be_one(linker: Linker) -> None:
    assert linker.matches("Alexander von Humbold") == []
    (match,) = linker.near("Alexander von Humbold")
    assert (match.entity, match.how) == (5, How.NEAR)


@pytest.mark.parametrize("name", ["Louis III of Reed", "Louis 2 of Reed", "something else", ""])
def test_other_numbers_and_other_names_are_not_near(linker: Linker, name: str) -> None:
    assert linker.near(name) == []


def test_the_nearest_names_are_suggested(linker: Linker) -> None:
    assert linker.suggestions("Louis III of Reed")[0] == "Louis II of Reed"
