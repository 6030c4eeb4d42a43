"""Evaluation: the test queries and the test questions, asked of every seed's finished model, once.

Cells tell by which facts a query is answered (I trained in compositions, O held out). For a graph with questions,
those whose facts form one chain are asked by their path; each miss is listed with its cause.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from grokhop.answer import answer, are_right
from grokhop.checkpoint import load_weights
from grokhop.compose import Chaining, Longs, Mask, Queries, compose
from grokhop.encode import Vocabulary, encode_queries
from grokhop.folder import conditions, write_json
from grokhop.graph import Graph, Part, Question
from grokhop.model import LoopTransformer
from grokhop.run import EVAL, WEIGHTS, Run
from grokhop.scores import over_seeds

QUESTION_TYPES = ("compositional", "inference")
"""Types whose facts form one chain."""


def evaluate(path: Path, *, threads: int | None = None) -> dict[str, Any]:
    """Ask all finished seeds of the run folder `path` all test queries; write and return `eval.json`.

    Raises:
        InputError: the run cannot be read or no seed has finished.
    """
    run = Run.read(path)
    seeds = run.finished_seeds()
    torch.set_num_threads(threads or torch.get_num_threads())
    graph = run.graph
    models = [load_model(run, seed) for seed in seeds]
    cells = compose(graph, hops=run.settings.hops).cells["test"]
    rights = {k: {cell: _ask(models, graph, q) for cell, q in by_cell.items()} for k, by_cell in cells.items()}
    summaries = [run.summary(seed) for seed in seeds]
    result = {
        "seeds": len(seeds),
        **_atomic(models, graph),
        "cells": {str(k): {c: over_seeds(r) for c, r in by_cell.items()} for k, by_cell in rights.items()},
        "questions": _questions(models, graph),
        "per_relation": _per_relation(graph, cells[2], rights[2]),
        "per_pair": _per_pair(graph, cells[2], rights[2]),
        "grok": {name: [s["grok"][name] for s in summaries] for name in summaries[0]["grok"]},
        "train_seconds": [s["train_seconds"] for s in summaries],
        **conditions(),
    }
    write_json(run.path / EVAL, result)
    return result


def load_model(run: Run, seed: int) -> LoopTransformer:
    """The finished model of a seed.

    Raises:
        InputError: its weights are missing or damaged.
    """
    model = LoopTransformer(run.settings.model, vocabulary=Vocabulary.of(run.graph).size)
    load_weights(run.seed_folder(seed) / WEIGHTS, model)
    return model.eval()


def _ask(models: list[LoopTransformer], graph: Graph, queries: Queries) -> list[Mask]:
    return [are_right(model, Vocabulary.of(graph), queries) for model in models]


def _atomic(models: list[LoopTransformer], graph: Graph) -> dict[str, Any]:
    """Facts asked on their own: all, and those that were held out of every composition."""
    chaining = Chaining(graph)
    every = np.arange(len(graph))[:, None]
    sets = {"atomic": every, "atomic_held_out": every[graph.part != Part.TRAIN]}
    return {name: over_seeds(_ask(models, graph, chaining.queries(facts)[0])) for name, facts in sets.items()}


def _per_relation(graph: Graph, cells: dict[str, Queries], rights: dict[str, list[Mask]]) -> list[dict[str, Any]]:
    """Two-hop scores of each relation as first and as last hop in each cell, hardest relation first."""
    rows = []
    for number, label in enumerate(graph.relations):
        row: dict[str, Any] = {"relation": label}
        for role, hop in (("first_hop", 0), ("last_hop", -1)):
            row[role] = {
                cell: over_seeds([right[queries.relations[:, hop] == number] for right in rights[cell]])
                for cell, queries in cells.items()
            }
        rows.append(row)
    return sorted(rows, key=_worst)


def _worst(row: dict[str, Any]) -> float:
    accuracies = [s["accuracy"] for role in ("first_hop", "last_hop") for s in row[role].values()]
    return min((a for a in accuracies if a is not None), default=1.0)


def _per_pair(graph: Graph, cells: dict[str, Queries], rights: dict[str, list[Mask]]) -> list[dict[str, Any]]:
    """Two-hop scores of each pair of relations over all cells, hardest pair first."""
    relations = np.concatenate([q.relations for q in cells.values()])
    per_seed = [np.concatenate(parts) for parts in zip(*rights.values(), strict=True)]
    rows = []
    for pair in np.unique(relations, axis=0):
        chosen = (relations == pair).all(axis=1)
        score = over_seeds([right[chosen] for right in per_seed])
        rows.append({"relations": [graph.relations[r] for r in pair], **score})
    return sorted(rows, key=lambda row: (row["accuracy"], -row["n"]))


@dataclass(frozen=True)
class _Asked:
    """Questions of one type and cell with their queries, which share a number of hops."""

    questions: list[Question]
    queries: Queries


def _questions(models: list[LoopTransformer], graph: Graph) -> dict[str, Any]:
    """Scores of the graph's chain questions by type, in and out of distribution, and their misses."""
    result: dict[str, Any] = {}
    for kind in QUESTION_TYPES:
        groups = defaultdict(list)
        for question in graph.questions:
            if question.type == kind and question.path:
                groups[question_cell(graph, question)].append(question)
        if groups:
            result[kind] = {cell: _score_questions(models, graph, found) for cell, found in sorted(groups.items())}
    return result


def question_cell(graph: Graph, question: Question) -> str:
    """'id', 'ood' (all facts held out for test), 'validation' (all held out, some for validation) or 'mixed'."""
    wanted = np.array([h * len(graph.relations) + r for h, r, _ in question.facts])
    parts = {Part(int(graph.part[graph.pair == pair][0])) for pair in wanted}
    if Part.TRAIN not in parts:
        return "ood" if parts == {Part.TEST} else "validation"
    return "id" if len(parts) == 1 else "mixed"


def _score_questions(models: list[LoopTransformer], graph: Graph, questions: list[Question]) -> dict[str, Any]:
    rights: list[list[bool]] = [[] for _ in models]
    misses = []
    for group in _by_length(graph, questions):
        traces = [answer(m, encode_queries(Vocabulary.of(graph), group.queries)) for m in models]
        for seed, trace in enumerate(traces):
            right = group.queries.are_right(trace.entity[:, -1].numpy())
            rights[seed].extend(right.tolist())
            misses += [
                _miss(models[seed], graph, group.questions[i], trace.entity[i, 1:].tolist(), seed)
                for i in np.flatnonzero(~right)
            ]
    return {**over_seeds([np.array(r) for r in rights]), "misses": misses}


def _by_length(graph: Graph, questions: list[Question]) -> Iterable[_Asked]:
    by_length = defaultdict(list)
    for question in questions:
        by_length[len(question.facts)].append(question)
    chaining = Chaining(graph)
    for same in by_length.values():
        yield _Asked(same, chaining.answers(*_paths(same)))


def _paths(questions: list[Question]) -> tuple[Longs, Longs]:
    paths = [path for q in questions if (path := q.path)]
    return np.array([head for head, _ in paths]), np.array([relations for _, relations in paths])


def _miss(model: LoopTransformer, graph: Graph, question: Question, read: list[int], seed: int) -> dict[str, Any]:
    """A question answered wrongly: what was read at each hop, and at which hop it went wrong and why."""
    chaining = Chaining(graph)
    heads = [question.facts[0][0], *read[:-1]]
    relations = [relation for _, relation, _ in question.facts]
    wrong = next(
        i for i, (h, r) in enumerate(zip(heads, relations, strict=True)) if not _follows(chaining, h, r, read[i])
    )
    alone = chaining.answers(np.array([heads[wrong]]), np.array([[relations[wrong]]]))
    label, relation = graph.entities[heads[wrong]].label, graph.relations[relations[wrong]]
    return {
        "seed": seed,
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
