"""Evaluation: the test queries and the graph's questions, asked of every seed's finished model, once.

Cells tell by which facts a query is answered: I for one trained in compositions, O for one held out of them.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from grokhop.answer import are_right
from grokhop.chains import Chaining, Mask, Queries
from grokhop.checkpoint import load_weights
from grokhop.compose import compose
from grokhop.encode import Vocabulary
from grokhop.folder import conditions, write_json
from grokhop.graph import Graph, Part
from grokhop.model import LoopTransformer
from grokhop.questions import score_questions
from grokhop.run import EVAL, WEIGHTS, Run
from grokhop.scores import over_seeds


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
        "questions": score_questions(models, graph, seeds=seeds, words=run.plain_graph),
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
