"""What augmentation may never touch, what it must reach, and what it says when it cannot."""

import json
from collections import Counter
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse import csgraph

from grokhop.augmentation.augment import augment, augment_folder, lower_bound
from grokhop.augmentation.constraints import find_kinds, objects_limit, untouchable_pairs
from grokhop.augmentation.planner import Addition
from grokhop.augmentation.report import AugmentReport
from grokhop.core.errors import InputError
from grokhop.datasets import two_wiki, worldfacts
from grokhop.graph.graph import Entity, Graph, GraphBuilder, Question, Split
from grokhop.graph.splits import hold_out, question_pairs
from grokhop.phi.report import measure


def films(seed: int, *, people: int = 30) -> Graph:
    """A sparse world: films have directors, people have parents and birthplaces, and may have several awards."""
    rng = np.random.default_rng(seed)
    builder = GraphBuilder(source="test")
    asked = []
    for i in range(people):
        directed = builder.fact(f"film {i}", "director", f"person {rng.integers(people)}")
        if rng.random() < 0.7:
            builder.fact(f"person {i}", "father", f"person {rng.integers(people)}")
        if rng.random() < 0.7:
            builder.fact(f"person {i}", "birthplace", f"place {rng.integers(8)}")
        for award in rng.choice(12, size=rng.integers(4), replace=False):
            builder.fact(f"person {i}", "award", f"award {award}")
        builder.fact(f"person {i}", "mother", f"person {rng.integers(people)}")
        asked.append(directed)
    for number, fact in enumerate(asked[:6]):
        after = builder.fact(f"person {number}", "mother", f"person {number + 1}")
        builder.question(Question(id=f"q{number}", type="comparison", text="?", answer="!", facts=(fact, after)))
    return hold_out(builder.build(), share=0.3)


def sources_added(graph: Graph, augmented: Graph) -> Graph:
    return augmented.where(np.arange(len(augmented)) >= len(graph))


@pytest.fixture(params=range(3))
def made(request: pytest.FixtureRequest) -> tuple[Graph, Graph, AugmentReport, list[Addition]]:
    graph = films(request.param)
    return graph, *augment(graph, target_phi=4.0, seed=request.param)


Made = tuple[Graph, Graph, AugmentReport, list[Addition]]


def test_every_reachable_relation_passes_afterwards(made: Made) -> None:
    _, augmented, report, _ = made
    assert report.added > 0
    assert report.passes
    rows = {row["relation"]: row for row in measure(augmented, target=4.0).to_dict()["trainable"]["per_relation"]}
    for row in report.per_relation:
        assert row.reachable
        assert row.phi_after == rows[row.relation]["phi"] >= 4.0
        assert row.facts == rows[row.relation]["facts"]
    assert min(row.phi_before for row in report.per_relation) < 4.0


def test_a_relation_used_in_both_roles_gets_its_share_in_each(made: Made) -> None:
    _, _, report, _ = made
    father = next(row for row in report.per_relation if row.relation == "father")
    assert father.first_hop_paths_after >= father.facts
    assert father.last_hop_paths_after >= father.facts


def test_no_held_out_pair_and_no_pair_of_a_question_is_touched(made: Made) -> None:
    graph, augmented, _, _ = made
    added = sources_added(graph, augmented)
    untouchable = set(graph.pair[graph.part != Split.TRAIN].tolist())
    untouchable |= {pair for question in graph.questions for pair in question_pairs(graph, question)}
    assert untouchable
    assert untouchable.isdisjoint(added.pair.tolist())


def test_what_was_there_stays_and_what_is_added_is_marked_as_made(made: Made) -> None:
    graph, augmented, report, _ = made
    for column in ("head", "relation", "tail", "part", "source"):
        assert np.array_equal(getattr(augmented, column)[: len(graph)], getattr(graph, column))
    assert augmented.questions == graph.questions
    added = sources_added(graph, augmented)
    assert (added.part == Split.TRAIN).all()
    assert not added.is_observed.any()
    assert augmented.counts().by_source["augment:graph"] == report.added == report.by_source["graph"]


def test_no_added_fact_lies_on_a_cycle(made: Made) -> None:
    graph, augmented, _, _ = made
    size = len(augmented.entities)
    steps = sparse.csr_array((np.ones(len(augmented)), (augmented.head, augmented.tail)), shape=(size, size))
    _, component = csgraph.connected_components(steps, directed=True, connection="strong")
    on_cycle = component[augmented.head] == component[augmented.tail]
    assert on_cycle[: len(graph)].any(), "the graph has cycles of its own"
    assert not on_cycle[len(graph) :].any()


def test_no_fact_is_added_twice_or_was_there_before(made: Made) -> None:
    _, augmented, _, _ = made
    facts = list(zip(augmented.head.tolist(), augmented.relation.tolist(), augmented.tail.tolist(), strict=True))
    assert len(set(facts)) == len(facts)


def test_a_functional_relation_never_gets_a_second_object(made: Made) -> None:
    graph, augmented, _, _ = made
    limit = objects_limit(graph)
    added = sources_added(graph, augmented)
    objects = Counter(augmented.pair.tolist())
    assert limit[graph.relations.index("birthplace")] == 1
    assert all(objects[pair] <= limit[pair % len(graph.relations)] for pair in added.pair.tolist())


def test_new_facts_join_entities_of_the_kinds_that_the_relation_joins(made: Made) -> None:
    graph, augmented, _, _ = made
    added = sources_added(graph, augmented)
    kind = {"director": ("film", "person"), "birthplace": ("person", "place"), "award": ("person", "award")}
    for h, r, t in zip(added.head, added.relation, added.tail, strict=True):
        subject, object_ = kind.get(graph.relations[r], ("person", "person"))
        assert object_ in augmented.entities[t].label or "synthetic" in augmented.entities[t].label
        assert subject in augmented.entities[h].label or "synthetic" in augmented.entities[h].label


def test_new_entities_have_labels_and_keys_that_say_what_they_are(made: Made) -> None:
    graph, augmented, report, _ = made
    new = augmented.entities[len(graph.entities) :]
    assert len(new) == report.entities_added
    assert all(e.key.startswith("synthetic:") and e.label.startswith("synthetic subject of ") for e in new)
    assert len({e.label for e in augmented.entities}) == len({e.key for e in augmented.entities})
    assert len({e.label for e in augmented.entities}) == len(augmented.entities)


def test_no_entity_is_given_facts_beyond_the_level(made: Made) -> None:
    graph, augmented, report, _ = made
    added, trainable = sources_added(graph, augmented), augmented.trainable
    for end in ("head", "tail"):
        touched = np.unique(getattr(added, end))
        degree = np.bincount(getattr(trainable, end), minlength=len(augmented.entities))
        assert degree[touched].max() <= report.max_degree


def test_the_same_seed_adds_the_same_facts_and_another_seed_adds_others() -> None:
    graph = films(0)
    once, again, other = (augment(graph, target_phi=4.0, seed=seed) for seed in (1, 1, 2))
    assert once[1:] == again[1:]
    assert once[0].entities == again[0].entities
    assert once[2] != other[2]


@given(seed=st.integers(0, 10_000), target=st.sampled_from([1.5, 3.0, 6.25]))
@settings(max_examples=10, deadline=None)
def test_the_lower_bound_is_never_above_what_was_added(seed: int, target: float) -> None:
    _, report, ledger = augment(films(seed, people=12), target_phi=target, seed=seed)
    assert 0 <= report.lower_bound <= report.added == len(ledger)


def test_no_plan_of_fewer_facts_than_the_lower_bound_passes_a_tiny_graph() -> None:
    builder = GraphBuilder(source="test")
    for fact in (("a", "r", "b"), ("b", "s", "c"), ("d", "r", "b"), ("e", "s", "c")):
        builder.fact(*fact)
    graph, target = builder.build(), 5.0
    bound = lower_bound(graph, np.ones(2, bool), target)
    assert bound == 3
    here = set(zip(graph.head.tolist(), graph.relation.tolist(), graph.tail.tolist(), strict=True))
    # Two new entities, so that a plan may also use some.
    grown = replace(graph, entities=(*graph.entities, *(Entity(key=k, label=k) for k in "xy")))
    possible = [f for f in product(range(7), range(2), range(7)) if f[0] != f[2] and f not in here]
    for plan in combinations(possible, bound - 1):
        new = grown.extended(plan, source="plan")
        if measure(new, target=target).to_dict()["passes"]:
            assert _lies_on_cycle(new, len(graph)), f"{plan} passes with fewer facts than {bound}"


def _lies_on_cycle(graph: Graph, start: int) -> bool:
    size = len(graph.entities)
    steps = sparse.csr_array((np.ones(len(graph)), (graph.head, graph.tail)), shape=(size, size))
    component = csgraph.connected_components(steps, directed=True, connection="strong")[1]
    return bool((component[graph.head[start:]] == component[graph.tail[start:]]).any())


def test_where_every_known_road_is_held_out_only_new_entities_are_joined() -> None:
    builder = GraphBuilder(source="test")
    builder.fact("a", "r", "b")
    for i in range(6):
        builder.fact("b", f"s{i}", f"c{i}")
    graph = builder.build()
    held_out = replace(graph, part=np.where(graph.head == 1, Split.TEST, Split.TRAIN).astype(np.int8))
    augmented, report, _ = augment(held_out, target_phi=3.0)
    added = sources_added(held_out, augmented)
    assert report.added == len(added) > 0
    assert report.passes
    assert set(held_out.pair.tolist()).isdisjoint(added.pair.tolist())
    assert (added.head >= len(graph.entities)).all()


def test_a_relation_beyond_the_facts_its_objects_can_have_is_reported_with_the_most_they_can() -> None:
    builder = GraphBuilder(source="test")
    builder.fact("a", "r", "b")
    builder.fact("b", "s", "c")
    held_out = replace(builder.build(), part=np.array([Split.TRAIN, Split.TEST], np.int8))
    _, report, _ = augment(held_out, target_phi=3.0)
    reasons = {row.relation: row.reason for row in report.unreachable}
    assert reasons == {"r": "no relation leads to its subjects, and its objects can have at most 1 fact each"}


def test_a_graph_in_which_no_relation_can_chain_is_refused_with_the_reason() -> None:
    builder = GraphBuilder(source="test")
    builder.fact("a", "r", "b")
    with pytest.raises(InputError, match="no relation leads to its subjects, and its objects can have no facts"):
        augment(builder.build())


def test_a_relation_that_cannot_chain_is_left_alone_and_reported() -> None:
    builder = GraphBuilder(source="test")
    for i in range(6):
        builder.fact(f"film {i}", "director", f"person {i}")
        builder.fact(f"film {i}", "year", f"{1900 + i}")
        for relation in ("birthplace", "school", "employer", "citizenship"):
            builder.fact(f"person {i}", relation, f"{relation} {i}")
    _, report, _ = augment(builder.build(), target_phi=4.0)
    assert report.passes
    assert not report.passes_all
    assert [row.relation for row in report.unreachable] == ["year"]
    assert next(row.added for row in report.per_relation if row.relation == "year") == 0


@pytest.mark.parametrize(("wrong", "word"), [(1e9, "at least"), (0.0, "--target"), (float("nan"), "--target")])
def test_an_absurd_target_is_refused_before_anything_is_written(wrong: float, word: str, tmp_path: Path) -> None:
    films(0).write(tmp_path / "graph")
    with pytest.raises(InputError, match=word):
        augment_folder(tmp_path / "graph", tmp_path / "more", target_phi=wrong)
    assert [path.name for path in tmp_path.iterdir()] == ["graph"]


def test_a_level_below_one_is_refused() -> None:
    with pytest.raises(InputError, match="--max-degree"):
        augment(films(0), max_degree=0)


def test_a_higher_level_needs_fewer_facts() -> None:
    low, high = (augment(films(0), target_phi=4.0, max_degree=max_degree)[1] for max_degree in (4, 10))
    assert high.passes
    assert high.added < low.added


def test_the_folder_holds_the_graph_its_ledger_and_the_report(tmp_path: Path) -> None:
    graph = films(0)
    graph.write(tmp_path / "graph")
    report = augment_folder(tmp_path / "graph", tmp_path / "more", target_phi=4.0, seed=3)
    augmented = Graph.read(tmp_path / "more")
    added = sources_added(graph, augmented)
    ledger = pq.read_table(tmp_path / "more" / "ledger.parquet").to_pylist()
    assert len(ledger) == report.added == len(added)
    for row, h, r, t in zip(ledger, added.head, added.relation, added.tail, strict=True):
        assert (row["head"], row["relation"], row["tail"]) == (h, r, t)
        assert row["head_label"] == augmented.entities[h].label
        assert row["relation_label"] == augmented.relations[r]
        assert row["tail_label"] == augmented.entities[t].label
        assert row["for_relation"] in graph.relations
        assert row["role"] in ("first hop", "later hop")
    manifest = json.loads((tmp_path / "more" / "manifest.json").read_text())
    assert manifest["augment"] == report.to_dict()
    expected = {
        "target_phi": 4.0,
        "sources": ["graph"],
        "corrupt_fraction": None,
        "seed": 3,
        "max_degree": None,
        "new_cities": 0,
    }
    assert manifest["settings"] == expected


def test_a_report_has_the_keys_that_readers_know() -> None:
    report = augment(films(0), target_phi=4.0)[1]
    counts = {"added", "by_source", "rejected", "lower_bound", "facts", "entities_added", "max_degree", "wanted"}
    phi = {"target", "denominator", "phi_before", "phi_after", "passes", "passes_all", "per_relation", "unreachable"}
    assert report.to_dict().keys() == counts | phi
    assert replace(report, llm={"requests": 1, "cost": "nothing"}).to_dict().keys() == counts | phi | {"llm"}
    missing = {f"missing_{role}before" for role in ("", "first_hop_", "last_hop_")}
    paths = {f"{name}_{when}" for name in ("phi", "first_hop_paths", "last_hop_paths") for when in ("before", "after")}
    row = report.to_dict()["per_relation"][0]
    assert row.keys() == {"relation", "facts", "added", "passes", "reachable"} | missing | paths


def test_a_graph_that_passes_gets_nothing_and_is_still_written(tmp_path: Path) -> None:
    graph = hold_out(worldfacts.read(), share=0.1)
    graph.write(tmp_path / "graph")
    report = augment_folder(tmp_path / "graph", tmp_path / "more")
    assert (report.added, report.lower_bound, report.passes_all) == (0, 0, True)
    assert Graph.read(tmp_path / "more").counts() == graph.counts()
    assert len(pq.read_table(tmp_path / "more" / "ledger.parquet")) == 0


def test_augmenting_twice_keeps_labels_and_sources_apart() -> None:
    once = augment(films(0), target_phi=4.0)[0]
    twice, report, _ = augment(once, target_phi=8.0)
    assert report.passes
    assert len({e.label for e in twice.entities}) == len(twice.entities)
    assert twice.sources[-2:] == ("augment:graph", "augment:graph 2")


def test_a_chain_asks_for_the_pairs_of_every_object_it_may_pass() -> None:
    builder = GraphBuilder(source="test")
    facts = (builder.fact("a", "r", "b"), builder.fact("b", "s", "c"))
    builder.fact("a", "r", "other")
    builder.question(Question(id="q", type="compositional", text="?", answer="c", facts=facts))
    graph = builder.build()
    named = {(graph.entities[p // 2].key, graph.relations[p % 2]) for p in untouchable_pairs(graph).tolist()}
    assert named == {("a", "r"), ("b", "s"), ("other", "s")}


def test_slots_that_share_entities_hold_one_kind() -> None:
    graph = films(0)
    kinds = find_kinds(graph)
    subject, object_ = (dict(zip(graph.relations, k.tolist(), strict=True)) for k in (kinds.subject, kinds.object))
    assert object_["director"] == subject["father"] == object_["father"] == subject["birthplace"]
    assert len({subject["director"], subject["father"], object_["birthplace"], object_["award"]}) == 4


def test_two_wiki_reaches_the_published_phi_on_every_reachable_relation(two_wiki_sample: Path) -> None:
    graph = two_wiki.read([two_wiki_sample])
    chains = [q.id for q in graph.questions if q.type in ("compositional", "inference")]
    graph = hold_out(graph, share=0, ood_questions=chains[::3])
    augmented, report, _ = augment(graph)
    assert report.passes
    assert {row.relation for row in report.unreachable} == {
        "publication date",
        "publisher",
        "country of origin",
        "country",
    }
    assert report.added < 4 * len(graph)
    untouchable = untouchable_pairs(graph)
    assert not np.isin(sources_added(graph, augmented).pair, untouchable).any()


def families(people: int = 12) -> Graph:
    """Everybody may have a father and a mother, and there are no other facts."""
    builder = GraphBuilder(source="test")
    for i in range(1, people):
        builder.fact(f"person {i}", "father", f"person {i // 2}")
        builder.fact(f"person {i}", "mother", f"person {i // 3}")
    return builder.build()


def test_a_functional_relation_that_only_follows_itself_is_refused_beyond_one_path_for_each_fact() -> None:
    graph = families()
    fathers = graph.where(graph.relation == graph.relations.index("father"))
    with pytest.raises(InputError, match="the relations that lead to its subjects fall short with it"):
        augment(fathers, target_phi=1.5)


def test_a_relation_that_no_plan_was_found_for_fails_and_nothing_is_added_for_it() -> None:
    graph = families()
    _, report, ledger = augment(graph, target_phi=3.6)
    given_up = [row for row in report.unreachable if "no plan was found" in row.reason]
    assert len(given_up) == 1
    assert not report.passes
    assert given_up[0].relation not in {graph.relations[a.for_relation] for a in ledger}
