"""What is held out is decided by names alone, a pair as a whole, and never on one side only."""

import hashlib
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokhop.core.errors import InputError
from grokhop.graph.graph import Graph, GraphBuilder, Question, Split
from grokhop.graph.splits import hold_out, hold_out_marked, question_pairs

Fact = tuple[str, str, str]
SHARE = 0.3


def built(facts: list[Fact]) -> Graph:
    builder = GraphBuilder(source="test")
    for fact in facts:
        builder.fact(*fact)
    return builder.build()


def with_questions(n: int, *, ids: list[str] | None = None) -> Graph:
    """Questions of two hops each; neighbours share a fact."""
    builder = GraphBuilder(source="test")
    for i in range(n):
        facts = (builder.fact(f"a{i}", "r", f"a{i + 1}"), builder.fact(f"a{i + 1}", "r", f"a{i + 2}"))
        name = ids[i] if ids else f"q{i}"
        builder.question(Question(id=name, type="compositional", text=name, answer="x", facts=facts))
    return builder.build()


def parts(graph: Graph) -> dict[Fact, int]:
    keys = [entity.key for entity in graph.entities]
    columns = (graph.head, graph.relation, graph.tail, graph.part)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return {(keys[h], graph.relations[r], keys[t]): part for h, r, t, part in rows}


BIG = [(f"e{i}", f"r{i % 7}", f"e{(i * 13) % 500}") for i in range(2000)]
FACTS = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("rstu"), st.sampled_from("abcd")),
    min_size=10,
    max_size=60,
    unique=True,
).map(lambda facts: [*facts, *BIG[:100]])


@given(FACTS, st.randoms())
def test_the_order_of_a_file_changes_nothing(facts: list[Fact], random: "object") -> None:
    shuffled = list(facts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert parts(hold_out(built(facts), share=SHARE)) == parts(hold_out(built(shuffled), share=SHARE))


@given(FACTS, st.data())
def test_leaving_out_a_fact_changes_no_other_fact(facts: list[Fact], data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(facts))
    whole = parts(hold_out(built(facts), share=SHARE))
    fewer = parts(hold_out(built([fact for fact in facts if fact != gone]), share=SHARE))
    assert fewer == {fact: part for fact, part in whole.items() if fact != gone}


@given(FACTS)
def test_all_objects_of_a_subject_and_relation_share_their_part(facts: list[Fact]) -> None:
    by_pair = defaultdict(set)
    for (head, relation, _), part in parts(hold_out(built(facts), share=SHARE)).items():
        by_pair[head, relation].add(part)
    assert all(len(found) == 1 for found in by_pair.values())


def test_a_pair_is_held_out_by_the_hash_of_its_names_alone() -> None:
    """Against the hash written out, so that no release moves a fact from one part to another."""

    def fraction(*names: str) -> float:
        digest = hashlib.blake2b("\x1f".join(names).encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64

    for (head, relation, _), part in parts(hold_out(built(BIG), share=SHARE)).items():
        if fraction("held out", head, relation) >= SHARE:
            assert part == Split.TRAIN
        else:
            early = fraction("validation", head, relation) < 1 / 3
            assert part == (Split.VALIDATION if early else Split.TEST)


def test_the_share_asked_for_is_held_out_a_third_of_it_for_validation() -> None:
    part = hold_out(built(BIG), share=SHARE).part
    assert (part != Split.TRAIN).mean() == pytest.approx(SHARE, abs=0.03)
    assert (part == Split.VALIDATION).sum() / (part != Split.TRAIN).sum() == pytest.approx(1 / 3, abs=0.06)


def test_a_greater_share_holds_out_what_a_smaller_one_did_and_more() -> None:
    small, great = (hold_out(built(BIG), share=share).part != Split.TRAIN for share in (0.1, 0.4))
    assert not (small & ~great).any()
    assert great.sum() > small.sum()


def test_a_question_is_held_out_with_every_pair_that_it_uses() -> None:
    graph = hold_out(with_questions(200), share=0.2)
    held_out = set(graph.pair[graph.part != Split.TRAIN].tolist())
    whole = [set(question_pairs(graph, question)) <= held_out for question in graph.questions]
    assert 0.2 <= np.mean(whole) < 0.6  # a fifth of the questions, and those between two of them
    assert held_out == {
        p for q, all_ in zip(graph.questions, whole, strict=True) if all_ for p in question_pairs(graph, q)
    }


def test_a_pair_is_never_wanted_for_training_once_a_question_holds_it_out() -> None:
    graph = hold_out(with_questions(3), share=0, ood_questions=["q1"])
    assert list(parts(graph).values()) == [Split.TRAIN, Split.TEST, Split.TEST, Split.TRAIN]


def test_questions_by_name_are_all_for_test_and_the_hash_gives_validation_only() -> None:
    graph = hold_out(with_questions(300), share=0.2, ood_questions=["q5", "q100"])
    named = {p for q in graph.questions if q.id in ("q5", "q100") for p in question_pairs(graph, q)}
    assert set(graph.pair[graph.part == Split.TEST].tolist()) == named
    assert (graph.part == Split.VALIDATION).sum() > 20
    assert graph.holdout == {"unit": "question", "share": 0.2, "named_questions": ["q100", "q5"]}


def test_a_file_that_marks_facts_has_their_pairs_held_out_and_nothing_else() -> None:
    graph = built([*BIG, ("e0", "r0", "another")])
    marked = np.arange(len(graph)) < 100
    graph = hold_out_marked(graph, marked)
    held_out = graph.part != Split.TRAIN
    assert held_out.sum() == 101  # with the other object of the first pair
    assert held_out[marked].all()
    assert held_out[-1]
    assert set(graph.part[marked].tolist()) == {Split.VALIDATION, Split.TEST}
    assert graph.holdout["unit"] == "file"


def test_no_hold_out_may_be_asked_for() -> None:
    assert set(hold_out(built(BIG), share=0).part.tolist()) == {Split.TRAIN}


@pytest.mark.parametrize("share", [-0.1, 1, 1.5, float("nan")])
def test_what_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(InputError, match="--holdout"):
        hold_out(built(BIG), share=share)


def test_an_unknown_question_is_named() -> None:
    with pytest.raises(InputError, match="nobody"):
        hold_out(with_questions(3), share=0.1, ood_questions=["q1", "nobody"])


def test_an_empty_hold_out_is_refused() -> None:
    with pytest.raises(InputError, match="hold-out is empty"):
        hold_out(built([("a", "r", "b")]), share=1e-9)


def test_a_hold_out_of_everything_is_refused() -> None:
    with pytest.raises(InputError, match="nothing is left to train on"):
        hold_out(with_questions(2), share=0, ood_questions=["q0", "q1"])
