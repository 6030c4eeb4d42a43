"""A graph keeps what it is given, through its folder and back."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokhop.core.errors import InputError
from grokhop.graph.graph import Entity, Graph, GraphBuilder, Question, Split
from grokhop.graph.splits import hold_out
from tests.graphs import random_graph, triples

Fact = tuple[str, str, str]
facts_strategy = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.sampled_from("rst"), st.sampled_from("abcdef")),
    min_size=1,
    max_size=40,
)


def built(facts: list[Fact]) -> Graph:
    builder = GraphBuilder(source="test")
    for fact in facts:
        builder.fact(*fact)
    return builder.build()


def named_facts(graph: Graph) -> list[Fact]:
    keys = [entity.key for entity in graph.entities]
    rows = zip(graph.head.tolist(), graph.relation.tolist(), graph.tail.tolist(), strict=True)
    return [(keys[h], graph.relations[r], keys[t]) for h, r, t in rows]


def assert_same(one: Graph, other: Graph) -> None:
    for name in ("head", "relation", "tail", "part", "source"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), strict=True)
    for name in ("entities", "relations", "sources", "observed", "questions", "holdout"):
        assert getattr(one, name) == getattr(other, name)


@given(facts_strategy)
def test_bulk_reading_gives_the_facts_that_one_by_one_gives(facts: list[Fact]) -> None:
    columns = (pa.chunked_array([pa.array(column)]) for column in zip(*facts, strict=True))
    assert named_facts(Graph.from_columns(*columns, source="test")) == named_facts(built(facts))


@given(facts_strategy)
def test_a_fact_given_twice_is_one_fact(facts: list[Fact]) -> None:
    assert named_facts(built([*facts, *facts])) == list(dict.fromkeys(facts))


@given(facts_strategy, st.floats(0, 0.5))
def test_writing_and_reading_a_graph_gives_the_same_graph(
    tmp_path_factory: pytest.TempPathFactory, facts: list[Fact], share: float
) -> None:
    try:
        graph = hold_out(built(facts), share=share)
    except InputError:  # too small to divide
        graph = built(facts)
    folder = tmp_path_factory.mktemp("graph") / "g"
    graph.write(folder)
    assert_same(Graph.read(folder), graph)


def test_questions_aliases_and_made_facts_survive_the_folder(tmp_path: Path) -> None:
    builder = GraphBuilder(source="test")
    builder.entity("Q1", label="Ann", aliases=["Anne", "Annie"])
    facts = (builder.fact("Q1", "child", "Q2"), builder.fact("Q2", "child", "Q3"))
    builder.question(Question(id="1", type="compositional", text="Who?", answer="Q3", facts=facts))
    graph = builder.build().extended([(0, 0, 3)], source="made", entities=[Entity(key="new", label="New", aliases=())])
    graph.write(tmp_path / "g", settings={"asked": 1})
    again = Graph.read(tmp_path / "g")
    assert_same(again, graph)
    assert again.is_observed.tolist() == [True, True, False]
    assert again.questions[0].path == (0, (0, 0))


def test_entities_of_one_label_are_told_apart_by_their_keys() -> None:
    builder = GraphBuilder(source="test")
    builder.entity("Q1", label="John")
    builder.entity("Q2", label="John")
    builder.fact("Q1", "father", "Q2")
    entities = builder.build().entities
    assert [e.label for e in entities] == ["John (Q1)", "John (Q2)"]
    assert all("John" in e.aliases for e in entities)


def test_the_first_label_stays_and_others_become_aliases() -> None:
    builder = GraphBuilder(source="test")
    builder.entity("Q30", label="United States")
    builder.entity("Q30", label="US", aliases=["America", "United States"])
    builder.fact("Q30", "r", "Q30")
    assert builder.build().entities == (Entity(key="Q30", label="United States", aliases=("US", "America")),)


def test_the_counts_of_a_graph_have_a_key_for_each_size() -> None:
    graph = random_graph(entities=12, relations=5, degree=3, holdout=0.2)
    found = graph.counts().to_dict()
    held_out = {"held_out", "held_out_validation", "held_out_test"}
    assert found.keys() == {"facts", "entities", "relations", "questions", "by_source"} | held_out
    assert found["facts"] == len(graph) == sum(found["by_source"].values())


def test_an_entity_is_called_by_its_label_and_its_aliases() -> None:
    assert Entity(key="Q90", label="Paris", aliases=("Lutetia", "Paname")).names == ("Paris", "Lutetia", "Paname")
    assert Entity(key="Q90", label="Paris").names == ("Paris",)


def test_a_pair_has_one_number_however_it_is_asked_for() -> None:
    graph = random_graph(entities=12, relations=5, degree=3, holdout=0.2)
    by_one = [graph.pair_id(head, relation) for head, relation, _ in triples(graph)]
    assert by_one == graph.pair.tolist() == graph.pair_id(graph.head, graph.relation).tolist()
    assert len({(h, r) for h, r, _ in triples(graph)}) == len(set(by_one))
    assert graph.pair_id(np.array([2**31 - 1], np.int32), 4).tolist() == [5 * (2**31 - 1) + 4]


def test_the_trainable_graph_has_the_same_ids_and_no_held_out_fact() -> None:
    graph = hold_out(built([(f"a{i}", "r", f"a{i + 1}") for i in range(200)]), share=0.3)
    assert 0 < len(graph.trainable) < len(graph)
    assert set(graph.trainable.part) == {Split.TRAIN}
    assert set(named_facts(graph.trainable)) < set(named_facts(graph))


def test_a_question_whose_facts_are_no_chain_has_no_path() -> None:
    facts = ((0, 0, 1), (2, 0, 3))
    assert Question(id="1", type="comparison", text="?", answer="a", facts=facts).path is None


def test_no_facts_is_an_input_error() -> None:
    with pytest.raises(InputError, match="no facts"):
        GraphBuilder(source="test").build()


def test_a_damaged_graph_folder_is_refused(tmp_path: Path) -> None:
    built([("a", "r", "b")]).write(tmp_path / "g")
    (tmp_path / "g" / "facts.parquet").write_bytes(b"no")
    with pytest.raises(InputError, match="damaged"):
        Graph.read(tmp_path / "g")


def test_a_missing_graph_folder_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="grokhop ingest"):
        Graph.read(tmp_path / "g")


def test_an_existing_folder_is_kept_unless_forced(tmp_path: Path) -> None:
    graph = built([("a", "r", "b")])
    graph.write(tmp_path / "g")
    with pytest.raises(InputError, match="--force"):
        graph.write(tmp_path / "g")
    built([("a", "r", "c")]).write(tmp_path / "g", force=True)
    assert named_facts(Graph.read(tmp_path / "g")) == [("a", "r", "c")]


def test_force_does_not_replace_a_folder_that_is_no_graph(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="not a grokhop graph folder"):
        built([("a", "r", "b")]).write(tmp_path / "mine", force=True)
    assert (tmp_path / "mine" / "thesis.txt").exists()
