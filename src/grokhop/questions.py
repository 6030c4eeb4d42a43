"""The graph's own questions, asked by the path of facts that answers them; each miss is listed with its cause."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from grokhop.answer import answer, are_right
from grokhop.compose import Chaining, Longs, Queries
from grokhop.encode import Vocabulary, encode_queries
from grokhop.graph import Graph, Part, Question
from grokhop.model import LoopTransformer
from grokhop.scores import over_seeds

QUESTION_TYPES = ("compositional", "inference")
"""Types whose facts form one chain."""


@dataclass(frozen=True)
class _Asked:
    """Questions of one type and cell with their queries, which share a number of hops."""

    questions: list[Question]
    queries: Queries


def score_questions(models: list[LoopTransformer], graph: Graph, *, seeds: list[int]) -> dict[str, Any]:
    """Scores of the graph's chain questions by type and cell (see `question_cell`), with their misses.

    Args:
        seeds: the seed of each model.
    """
    chaining = Chaining(graph)
    result: dict[str, Any] = {}
    for kind in QUESTION_TYPES:
        groups = defaultdict(list)
        for question in graph.questions:
            if question.type == kind and question.path:
                groups[question_cell(chaining, question)].append(question)
        if groups:
            result[kind] = {
                cell: _score_group(models, seeds, chaining, found) for cell, found in sorted(groups.items())
            }
    return result


def question_cell(chaining: Chaining, question: Question) -> str:
    """'id', 'ood' (all facts held out for test), 'validation' (all held out, some for validation) or 'mixed'.

    A question whose path forks into facts of several parts is 'mixed' too, since any of its ends is a right answer.
    """
    assert question.path is not None
    head, relations = question.path
    pure = chaining.follow(np.array([head]), np.array([relations]))[1][0]
    _, facts = chaining.facts_of_pairs(*np.array(question.facts).T[:2])
    parts = set(chaining.graph.part[facts].tolist())
    if not pure or (Part.TRAIN in parts and len(parts) > 1):
        return "mixed"
    if parts == {Part.TRAIN}:
        return "id"
    return "ood" if parts == {Part.TEST} else "validation"


def _score_group(
    models: list[LoopTransformer], seeds: list[int], chaining: Chaining, questions: list[Question]
) -> dict[str, Any]:
    vocabulary = Vocabulary.of(chaining.graph)
    rights: list[list[bool]] = [[] for _ in models]
    misses = []
    for group in _by_length(chaining, questions):
        traces = [answer(m, encode_queries(vocabulary, group.queries)) for m in models]
        for model, seed, trace, all_right in zip(models, seeds, traces, rights, strict=True):
            right = group.queries.are_right(trace.entity[:, -1].numpy())
            all_right.extend(right.tolist())
            for i in np.flatnonzero(~right):
                miss = _miss(model, chaining, group.questions[i], trace.entity[i, 1:].tolist())
                misses.append({"seed": seed, **miss})
    return {**over_seeds([np.array(r) for r in rights]), "misses": misses}


def _by_length(chaining: Chaining, questions: list[Question]) -> Iterable[_Asked]:
    by_length = defaultdict(list)
    for question in questions:
        by_length[len(question.facts)].append(question)
    for same in by_length.values():
        yield _Asked(same, chaining.answers(*_paths(same)))


def _paths(questions: list[Question]) -> tuple[Longs, Longs]:
    paths = [path for q in questions if (path := q.path)]
    return np.array([head for head, _ in paths]), np.array([relations for _, relations in paths])


def _miss(model: LoopTransformer, chaining: Chaining, question: Question, read: list[int]) -> dict[str, Any]:
    """A question answered wrongly: what was read at each hop, and at which hop it went wrong and why."""
    graph = chaining.graph
    heads = [question.facts[0][0], *read[:-1]]
    relations = [relation for _, relation, _ in question.facts]
    wrong = next(
        i for i, (h, r) in enumerate(zip(heads, relations, strict=True)) if not _follows(chaining, h, r, read[i])
    )
    alone = chaining.answers(np.array([heads[wrong]]), np.array([[relations[wrong]]]))
    label, relation = graph.entities[heads[wrong]].label, graph.relations[relations[wrong]]
    return {
        "id": question.id,
        "question": question.text,
        "expected": question.answer,
        "read": [graph.entities[e].label if e < len(graph.entities) else "a relation" for e in read],
        "cause": f"hop {wrong + 1}, {label} / {relation}: {_cause(model, graph, alone)}",
    }


def _cause(model: LoopTransformer, graph: Graph, alone: Queries) -> str:
    """Why the one query `alone`, the first hop that went wrong in a chain, did so."""
    if not len(alone.answers):
        return "there is no such fact, the hop before led elsewhere"
    if are_right(model, Vocabulary.of(graph), alone)[0]:
        return "answered when asked alone, not within the chain"
    return "the fact itself was not learned"


def _follows(chaining: Chaining, head: int, relation: int, entity: int) -> bool:
    _, facts = chaining.facts_of_pairs(np.array([head]), np.array([relation]))
    return entity in chaining.graph.tail[facts]
