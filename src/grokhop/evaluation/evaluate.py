"""Evaluation: the test queries and the graph's questions, asked of every seed's finished model, once.

Cells tell by which facts a query is answered: I for one trained in compositions, O for one held out of them.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch

from grokhop.core.artifacts import conditions, sha256, write_json
from grokhop.core.statistics import over_seeds
from grokhop.evaluation.question_files import read_questions
from grokhop.evaluation.questions import parsed_share, score_questions
from grokhop.graph.graph import Graph, Split
from grokhop.graph.paths import Mask, PathIndex, Queries
from grokhop.inference.loading import load_model
from grokhop.inference.predict import are_right, right_at_the_end
from grokhop.models.base import Model
from grokhop.runs.run import EVAL, Run
from grokhop.tasks.dataset import TaskDataset
from grokhop.tasks.vocabulary import Vocabulary


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
    dataset = run.dataset
    cells = dataset.test
    questions = score_questions(models, graph, seeds=seeds, words=run.plain_graph)
    rights = {k: {cell: _ask(models, graph, q) for cell, q in by_cell.items()} for k, by_cell in cells.items()}
    summaries = [run.summary(seed) for seed in seeds]
    result = {
        "seeds": len(seeds),
        **_atomic(models, graph),
        "cells": {str(k): {c: over_seeds(r) for c, r in by_cell.items()} for k, by_cell in rights.items()},
        "comparison": _compared(models, dataset),
        "rules": _rules(models, graph, dataset),
        "questions": questions,
        "parsed": parsed_share(questions),
        "per_relation": _per_relation(graph, cells[2], rights[2]),
        "per_pair": _per_pair(graph, cells[2], rights[2]),
        "grok": {name: [s["grok"][name] for s in summaries] for name in summaries[0]["grok"]},
        "train_seconds": [s["train_seconds"] for s in summaries],
        **conditions(),
    }
    write_json(run.path / EVAL, result)
    return result


def evaluate_questions(path: Path, file: Path, *, threads: int | None = None) -> dict[str, Any]:
    """Ask all finished seeds of the run folder `path` the questions of a file in 2WikiMultiHopQA's official format.

    Returns:
        `questions` by type and cell, 'unknown' for those whose facts are not all in the graph, `parsed`, and of the
        `file` its name, sha256, and how many of its questions have their facts in the graph; also written to the run
        folder, as `questions-NAME.json`.

    Raises:
        InputError: the run or the file cannot be read, or no seed has finished.
    """
    run = Run.read(path)
    seeds = run.finished_seeds()
    torch.set_num_threads(threads or torch.get_num_threads())
    asked = read_questions(file, run.plain_graph)
    models = [load_model(run, seed) for seed in seeds]
    questions, golds = [question for question, _ in asked], [gold for _, gold in asked]
    scores = score_questions(models, run.graph, seeds=seeds, words=run.plain_graph, questions=questions, golds=golds)
    result = {
        "seeds": len(seeds),
        "questions": scores,
        "parsed": parsed_share(scores),
        "file": {
            "name": file.name,
            "sha256": sha256(file),
            "questions": len(questions),
            "in_graph": sum(bool(question.facts) for question in questions),
        },
        **conditions(),
    }
    write_json(run.path / f"questions-{file.stem}.json", result)
    return result


def _ask(models: list[Model], graph: Graph, queries: Queries) -> list[Mask]:
    return [are_right(model, Vocabulary.of(graph), queries) for model in models]


def _atomic(models: list[Model], graph: Graph) -> dict[str, Any]:
    """Facts asked on their own: all, and those that were held out of every composition."""
    chaining = PathIndex(graph)
    every = np.arange(len(graph))[:, None]
    sets = {"atomic": every, "atomic_held_out": every[graph.part != Split.TRAIN]}
    return {name: over_seeds(_ask(models, graph, chaining.queries(facts)[0])) for name, facts in sets.items()}


def _compared(models: list[Model], dataset: TaskDataset) -> dict[str, Any]:
    """Comparisons of facts, and how many are right by giving the commonest answer of each operator (`majority`).

    'id' are pairs of trainable facts that were not trained together, 'ood' are held-out facts.
    """
    found = {}
    for cell, by_operator in dataset.tested_comparisons.items():
        sets = list(by_operator.values())
        rights = [np.concatenate([right_at_the_end(model, rows) for rows in sets]) for model in models]
        commonest = sum(max(Counter(rows.last_targets().tolist()).values(), default=0) for rows in sets)
        n = sum(map(len, sets))
        found[cell] = {**over_seeds(rights), "majority": commonest / n if n else None}
    return found


def _rules(models: list[Model], graph: Graph, dataset: TaskDataset) -> list[dict[str, Any]]:
    """Each word that stands for a path, asked as a relation of its own: how many `examples` were trained, and scores.

    'id' are paths of trainable facts that are tested, 'ood' are people for whom neither fact was ever in any example.
    """
    return [
        {
            "rule": rule.word,
            "path": [graph.relations[r] for r in rule.relations],
            "examples": rule.examples,
            "id": over_seeds(_ask(models, graph, rule.id)),
            "ood": over_seeds(_ask(models, graph, rule.ood)),
        }
        for rule in dataset.tested_rules
    ]


def _per_relation(graph: Graph, cells: dict[str, Queries], rights: dict[str, list[Mask]]) -> list[dict[str, Any]]:
    """Two-hop scores of each relation as first, as last and as any hop in each cell, hardest relation first."""
    rows = []
    for number, label in enumerate(graph.relations):
        row: dict[str, Any] = {"relation": label}
        for role, hops in (("first_hop", slice(0, 1)), ("last_hop", slice(-1, None)), ("any_hop", slice(None))):
            row[role] = {
                cell: over_seeds([right[(queries.relations[:, hops] == number).any(axis=1)] for right in rights[cell]])
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
