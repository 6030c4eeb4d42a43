"""Words as relations of their own: which there are, what their examples may hold, and what is told of them."""

from pathlib import Path

import numpy as np
import pytest

from grokhop.config import Budget, preset
from grokhop.core.errors import InputError
from grokhop.graph.graph import Graph, GraphBuilder, Question, Split
from grokhop.inference.ask import ask
from grokhop.language.parser import QuestionParser
from grokhop.tasks.composition import Compositions, compose
from grokhop.tasks.dataset import worded
from grokhop.tasks.encoding import NO_TARGET
from grokhop.tasks.rules import rule_queries, rule_rows, rules_of, with_rules
from grokhop.training.train import train
from tests.graphs import parted, triples
from tests.settings import ran

PEOPLE = 90


def family(*, asked: int = 12) -> Graph:
    """Everybody has a father and a mother; some grandfathers are asked for, two of them among held-out facts."""
    rng, builder = np.random.default_rng(4), GraphBuilder(source="test")
    fathers = [builder.fact(f"Person {i}", "father", f"Person {rng.integers(i)}") for i in range(1, PEOPLE)]
    for i in range(1, PEOPLE):
        builder.fact(f"Person {i}", "mother", f"Person {rng.integers(i)}")
    by_head = {head: fact for fact in fathers for head in (fact[0],)}
    questions = 0
    for fact in reversed(fathers):
        if questions < asked and fact[2] in by_head:
            chain = (fact, by_head[fact[2]])
            builder.question(Question(id=f"q{questions}", type="inference", text="?", answer="!", facts=chain))
            questions += 1
    graph = builder.build()
    held = {fact for question in graph.questions[:2] for fact in question.facts}
    return parted(graph, {(graph.entities[h].label, graph.relations[r]): Split.TEST for h, r, _ in held})


PLAIN = family()
GRAPH = with_rules(PLAIN)
MADE: Compositions = compose(PLAIN)
(RULE,) = rules_of(GRAPH)


def test_the_words_are_those_of_the_questions_and_stand_behind_all_relations() -> None:
    assert (RULE.word, [GRAPH.relations[r] for r in RULE.path]) == ("paternal grandfather", ["father", "father"])
    assert list(RULE.tokens) == [len(PLAIN.relations), len(PLAIN.relations) + 1]
    assert triples(GRAPH) == triples(PLAIN)


def test_a_graph_without_inference_questions_has_no_rules() -> None:
    graph = family(asked=0)
    assert with_rules(graph) is graph
    assert rules_of(graph) == []
    assert len(rule_rows(graph, tested=MADE.tested)) == 0


def test_an_example_is_a_trainable_path_that_no_query_tests_with_its_end_alone() -> None:
    rows = rule_rows(GRAPH, tested=MADE.tested)
    assert len(rows) > 20
    father = {h: t for h, r, t in triples(PLAIN) if PLAIN.relations[r] == "father"}
    trainable = {
        h for (h, r, _), p in zip(triples(PLAIN), PLAIN.part, strict=True) if p == Split.TRAIN and r == RULE.path[0]
    }
    tested = {
        (int(head), *map(int, relations))
        for by_hops in MADE.cells.values()
        for by_cell in by_hops.values()
        for queries in by_cell.values()
        for head, relations in zip(queries.head, queries.relations, strict=True)
    } | {(q.path[0], *q.path[1]) for q in PLAIN.questions if q.path}
    for tokens, targets in zip(rows.tokens.tolist(), rows.targets.tolist(), strict=True):
        head = tokens[0]
        assert tokens[1:] == [len(GRAPH.entities) + token for token in RULE.tokens]
        assert targets == [NO_TARGET, NO_TARGET, father[father[head]]]
        assert {head, father[head]} <= trainable
        assert (head, *RULE.path) not in tested


def test_the_queries_of_a_rule_over_held_out_facts_are_in_no_example() -> None:
    examples = set(rule_rows(GRAPH, tested=MADE.tested).tokens[:, 0].tolist())
    father = {h: t for h, r, t in triples(PLAIN) if PLAIN.relations[r] == "father"}
    held = rule_queries(GRAPH, RULE, Split.TEST, tested=MADE.tested)
    assert {q.facts[0][0] for q in PLAIN.questions[:2]} <= set(held.head.tolist())
    for queries in (held, rule_queries(GRAPH, RULE, Split.TRAIN, tested=MADE.tested)):
        assert len(queries) > 0
        assert examples.isdisjoint(queries.head.tolist())
        assert (queries.relations == RULE.tokens).all()
        assert queries.answers.tolist() == [father[father[head]] for head in queries.head.tolist()]


def test_a_path_may_be_written_with_the_word_and_is_then_asked_by_its_own_relations() -> None:
    understander = QuestionParser(PLAIN, rules=rules_of(worded(PLAIN, compare=True)))
    (branch,) = understander.understand("Person 80 / Paternal Grandfather / mother").query.branches
    mother = PLAIN.relations.index("mother")
    assert branch.relations == (*RULE.path, mother)
    assert branch.asked == (*RULE.tokens, mother)
    (plain,) = understander.understand("Person 80 / father / father").query.branches
    assert plain.asked is None


def test_a_run_answers_a_path_with_a_word_and_refuses_one_that_had_no_example(tmp_path: Path) -> None:
    PLAIN.write(tmp_path / "graph")
    train(tmp_path / "graph", tmp_path / "run", settings=ran(preset("toy"), budget=Budget(steps=3), preset="toy"))
    answered = ask(tmp_path / "run", "Person 80 / paternal grandfather").to_dict()
    assert [hop["relation"] for hop in answered["hops"]] == [
        "paternal grandfather, hop 1",
        "paternal grandfather, hop 2",
    ]
    father = {h: t for h, r, t in triples(PLAIN) if PLAIN.relations[r] == "father"}
    person = next(i for i, entity in enumerate(PLAIN.entities) if entity.label == "Person 80")
    assert answered["expected"] == [PLAIN.entities[father[father[person]]].label]

    builder = GraphBuilder(source="test")
    chain = (builder.fact("A", "father", "B"), builder.fact("B", "father", "C"))
    builder.question(Question(id="q", type="inference", text="?", answer="C", facts=chain))
    for i in range(30):
        builder.fact(f"Film {i}", "director", f"D{i % 5}")
        builder.fact(f"D{i % 5}", "mother", f"M{i % 5}")
    builder.build().write(tmp_path / "few")
    train(tmp_path / "few", tmp_path / "few-run", settings=ran(preset("toy"), budget=Budget(steps=3), preset="toy"))
    with pytest.raises(InputError, match="no example"):
        ask(tmp_path / "few-run", "A / paternal grandfather")
