"""Answers and evidence against numbers worked out by hand from the rules of 2WikiMultiHopQA's evaluation script."""

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from grokhop.datasets import two_wiki
from grokhop.evaluation.qa_metrics import (
    Gold,
    Prediction,
    evidence_scores,
    exact_match,
    f1,
    gold_of,
    normalize,
    score,
    score_by_type,
)
from grokhop.graph.graph import Graph, GraphBuilder, Question

TEXTS = st.text(alphabet="ab .,-'éİ", max_size=12) | st.sampled_from(["yes", "No.", "the", "a b the", "noanswer"])
NAMES = st.sampled_from(["Oslo", "oslo", "Kristiania", "The Sea", "Sea", "  Å-l."])
TRIPLES = st.tuples(NAMES, st.sampled_from(["born in", "Born-in", "capital"]), NAMES)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The Beatles", "beatles"),
        ("  An   apple a day ", "apple day"),
        ("U.S.A.", "usa"),
        ("Sci-Fi", "scifi"),  # punctuation leaves no gap
        ("14 January, 1987", "14 january 1987"),
        ("theatre, Anna", "theatre anna"),  # articles are whole words
        ("A.", ""),  # punctuation goes first, so that this is an article
        ("the-end", "theend"),  # and this is none
        ("Małgorzata BRAUNEK", "małgorzata braunek"),
        ("Žižek’s", "žižek’s"),  # only ASCII punctuation goes
        ("", ""),
    ],
)
def test_text_is_normalised(text: str, normal: str) -> None:
    assert normalize(text) == normal


@pytest.mark.parametrize(
    ("prediction", "golds", "is_exact", "expected"),
    [
        ("the cat sat", ["A cat!"], False, 2 / 3),  # precision 1/2, recall 1
        ("New York City", ["New York"], False, 4 / 5),  # precision 2/3, recall 1
        ("b a b b", ["b b c"], False, 2 / 3),  # bags of words: {b: 3} and {b: 2, c: 1} share 2 of 3 and 2 of 3
        ("March 8, 1975", ["8 March 1975"], False, 1.0),  # order counts for EM only
        ("1975", ["8 March 1975"], False, 1 / 2),
        ("Paris", ["London"], False, 0.0),
        ("", ["London"], False, 0.0),
        ("Cafe", ["Café"], False, 0.0),  # accents count
        ("yes", ["Yes."], True, 1.0),
        ("no", ["yes"], False, 0.0),
        ("yes it is", ["yes"], False, 0.0),  # no part of 'yes' counts
        ("No", ["No Man's Land"], False, 0.0),
        ("noanswer", ["noanswer at all"], False, 0.0),
        ("Bucharest, Romania", ["Bucharest", "Bucharest Romania"], True, 1.0),  # the best of several
        ("Andre de Toth", ["Endre Tóth", "de Toth", "Andre DeToth"], False, 4 / 5),
        ("the", ["the"], True, 0.0),  # nothing is left of it: EM 1, F1 0
        ("anything", [], False, 0.0),
    ],
)
def test_an_answer_is_scored_as_by_hand(prediction: str, golds: list[str], is_exact: bool, expected: float) -> None:
    assert exact_match(prediction, golds) is is_exact
    assert f1(prediction, golds) == pytest.approx(expected)


@given(TEXTS, TEXTS)
def test_answer_scores_are_symmetric_and_within_0_and_1(one: str, other: str) -> None:
    assert exact_match(one, [other]) == exact_match(other, [one])
    assert f1(one, [other]) == pytest.approx(f1(other, [one]))
    assert 0 <= f1(one, [other]) <= 1


@given(TEXTS)
def test_a_text_is_itself_however_it_is_normalised(text: str) -> None:
    assert exact_match(text, [text]) and exact_match(normalize(text), [text])
    assert f1(text, [text]) == (1.0 if normalize(text) else 0.0)


@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=4), TEXTS)
def test_another_correct_answer_never_lowers_a_score(prediction: str, golds: list[str], another: str) -> None:
    assert f1(prediction, golds) == max(f1(prediction, [gold]) for gold in golds)
    assert f1(prediction, [*golds, another]) >= f1(prediction, golds)
    assert exact_match(prediction, [*golds, another]) >= exact_match(prediction, golds)


FILM = (("The Film",), "director", ("Ann Lee", "A. Lee"))
LIFE = (("Ann Lee", "A. Lee"), "place of birth", ("Oslo", "Kristiania"))


def test_evidence_is_right_in_any_combination_of_its_names() -> None:
    found = [("the film", "Director", "A Lee"), ("ann  lee", "place of birth", "KRISTIANIA")]
    assert evidence_scores(found, [FILM, LIFE]) == (1, 1, 1, 1)


def test_evidence_keeps_articles_and_has_one_name_for_a_relation() -> None:
    assert evidence_scores([("Film", "director", "Ann Lee")], [FILM]) == (0, 0, 0, 0)
    assert evidence_scores([("The Film", "directed by", "Ann Lee")], [FILM]) == (0, 0, 0, 0)


def test_evidence_in_part_is_scored_as_by_hand() -> None:
    half = evidence_scores([("The Film", "director", "Ann Lee")], [FILM, LIFE])
    assert half == pytest.approx((0, 2 / 3, 1, 1 / 2))
    one_of_three = [("The Film", "director", "Ann Lee"), ("x", "director", "y"), ("y", "place of birth", "Oslo")]
    assert evidence_scores(one_of_three, [FILM, LIFE]) == pytest.approx((0, 2 / 5, 1 / 3, 1 / 2))


def test_evidence_said_twice_is_one_prediction() -> None:
    assert evidence_scores([("The Film", "director", "Ann Lee")] * 2, [FILM]) == (1, 1, 1, 1)
    assert evidence_scores([("The Film", "director", "Ann Lee"), ("the film", "director", "ann lee.")], [FILM]).em == 1


def test_evidence_under_two_names_is_two_right_predictions_as_in_the_script() -> None:
    found = [("The Film", "director", "Ann Lee"), ("The Film", "director", "A. Lee")]
    assert evidence_scores(found, [FILM]) == pytest.approx((0, 4 / 3, 1, 2))
    assert evidence_scores(found, [FILM, LIFE]) == (1, 1, 1, 1)


def test_no_evidence_scores_0_and_is_exact_where_none_is_wanted_as_in_the_script() -> None:
    assert evidence_scores([], [FILM]) == (0, 0, 0, 0)
    assert evidence_scores([("a", "b", "c")], []) == (0, 0, 0, 0)
    assert evidence_scores([], []) == (1, 0, 0, 0)


@given(st.lists(TRIPLES, max_size=5), st.lists(TRIPLES, max_size=5))
def test_evidence_with_one_name_each_is_symmetric_and_within_0_and_1(
    one: list[tuple[str, str, str]], other: list[tuple[str, str, str]]
) -> None:
    def gold(triples: list[tuple[str, str, str]]) -> list[tuple[tuple[str], str, tuple[str]]]:
        return [((head,), relation, (tail,)) for head, relation, tail in triples]

    def distinct(triples: list[tuple[str, str, str]]) -> bool:
        normal = [tuple(evidence_scores([t], gold([u])).em for u in triples) for t in triples]
        return all(sum(row) == 1 for row in normal)

    assume(distinct(one) and distinct(other))  # gold triples are a list: one given twice is wanted twice
    forth, back = evidence_scores(one, gold(other)), evidence_scores(other, gold(one))
    assert forth.em == back.em and forth.f1 == pytest.approx(back.f1)
    assert (forth.precision, forth.recall) == pytest.approx((back.recall, back.precision))
    assert all(0 <= value <= 1 for value in forth)
    assert not one or evidence_scores(one, gold(one)) == (1, 1, 1, 1)


def small_graph(question: Question) -> Graph:
    builder = GraphBuilder(source="test")
    builder.entity("film", label="The Film")
    builder.entity("ann", label="Ann Lee", aliases=["A. Lee"])
    builder.entity("oslo", label="Oslo", aliases=["Kristiania"])
    builder.fact("film", "director", "ann")
    builder.fact("ann", "place of birth", "oslo")
    builder.question(question)
    return builder.build()


CHAIN = ((0, 0, 1), (1, 1, 2))


def test_the_gold_of_a_chain_has_the_names_of_its_end() -> None:
    question = Question(id="q", type="compositional", text="?", answer="Oslo, Norway", facts=CHAIN)
    gold = gold_of(small_graph(question), question)
    assert gold.answers == ("Oslo, Norway", "Oslo", "Kristiania")
    assert gold.evidence == ((("The Film",), "director", FILM[2]), LIFE)


@pytest.mark.parametrize(
    ("answer", "answers"),
    [("yes", ("yes",)), ("a lee", ("a lee", "Ann Lee", "A. Lee")), ("Bo", ("Bo",)), ("No.", ("No.",))],
)
def test_the_gold_of_a_comparison_has_the_names_of_the_one_that_is_called_so(
    answer: str, answers: tuple[str, ...]
) -> None:
    question = Question(id="q", type="comparison", text="?", answer=answer, facts=CHAIN[::-1])
    assert gold_of(small_graph(question), question).answers == answers


def test_an_answer_that_several_are_called_has_no_further_names() -> None:
    builder = GraphBuilder(source="test")
    builder.entity("one", label="One", aliases=["Same"])
    builder.entity("two", label="Two", aliases=["Same"])
    facts = (builder.fact("one", "born", "1900"), builder.fact("two", "born", "1901"))
    question = Question(id="q", type="comparison", text="?", answer="same", facts=facts)
    assert gold_of(builder.build(), question).answers == ("same",)


OSLO = Gold(type="compositional", answers=("Oslo",), evidence=(FILM,))
YES = Gold(type="comparison", answers=("yes",), evidence=(LIFE,))
RIGHT = Prediction(answer="Oslo", evidence=(("The Film", "director", "Ann Lee"),))


def test_questions_are_scored_over_seeds_and_what_was_not_understood_is_wrong() -> None:
    seeds = [
        [RIGHT, Prediction(answer=None, evidence=(("Ann Lee", "place of birth", "Oslo"),))],
        [Prediction(answer="Oslo Norway"), Prediction(answer="Yes.")],
    ]
    scores = score([OSLO, YES], seeds).to_dict()
    assert (scores["correct"], scores["n"], scores["per_seed"]) == (1, 2, [0.5, 0.5])
    assert scores["f1"] == pytest.approx((1 + 0 + 2 / 3 + 1) / 4)
    assert (scores["evidence_em"], scores["evidence_f1"], scores["parsed"]) == (0.25, 0.25, 0.75)
    assert scores["f1_low"] < scores["f1"] < scores["f1_high"]


def test_the_interval_of_f1_is_that_of_em_when_all_is_right_or_wrong() -> None:
    scores = score([OSLO] * 20, [[RIGHT] * 15 + [Prediction(answer="Rome")] * 5]).to_dict()
    assert (scores["f1"], scores["f1_low"], scores["f1_high"]) == (scores["accuracy"], scores["low"], scores["high"])


def test_types_are_scored_apart() -> None:
    scores = score_by_type([OSLO, YES, OSLO], [[RIGHT, Prediction(answer="no"), RIGHT]])
    assert {kind: (s.score.correct, s.score.n) for kind, s in scores.items()} == {
        "comparison": (0, 1),
        "compositional": (2, 2),
    }


def test_no_questions_have_no_scores() -> None:
    scores = score([], [[]]).to_dict()
    assert (scores["n"], scores["accuracy"], scores["f1"], scores["parsed"]) == (0, None, None, None)
    assert score_by_type([], [[]]) == {}


@pytest.mark.parametrize("predictions", [[], [[RIGHT]], [[RIGHT, RIGHT], [RIGHT, RIGHT, RIGHT]]])
def test_each_seed_needs_one_prediction_for_each_question(predictions: list[list[Prediction]]) -> None:
    for function in (score, score_by_type):
        with pytest.raises(ValueError):
            function([OSLO, YES], predictions)


def test_the_facts_and_the_answer_of_every_real_question_are_right(two_wiki_sample: Path) -> None:
    """Each read back under the names of its entities, as a model that knows everything would say them."""
    graph = two_wiki.read([two_wiki_sample])
    golds = [gold_of(graph, question) for question in graph.questions]
    perfect = [
        Prediction(answer=gold.answers[-1], evidence=tuple((min(h), r, max(t)) for h, r, t in gold.evidence))
        for gold in golds
    ]
    scores = score(golds, [perfect]).to_dict()
    assert scores["n"] == 368 and scores["accuracy"] == scores["f1"] == 1
    assert scores["evidence_f1"] == scores["evidence_em"] == 1
