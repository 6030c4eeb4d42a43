"""Ask a trained run: a question in words or a path, through the finished model of one seed, hop by hop."""

from pathlib import Path
from typing import Any

import numpy as np

from grokhop.answer import answer
from grokhop.compose import Chaining
from grokhop.encode import Vocabulary, encode_queries
from grokhop.errors import InputError
from grokhop.evaluate import load_model
from grokhop.graph import Graph
from grokhop.run import Run
from grokhop.understand import Understander, Understood


def ask(path: Path, text: str, *, seed: int = 0) -> dict[str, Any]:
    """Answer `text` with the model of a run.

    Returns:
        `query` (labels of the head and the relations), `hops` (what each position read out, after which loop), the
        last hop's `answer` and `probability`; `in_graph`, whether facts of the graph answer the query, and then the
        `expected` answers; `observed`, whether facts do that nobody made up; `understood` and `linked`, how the
        words were taken; `trained_hops`, the longest chain that was trained.

    Raises:
        InputError: the run cannot be read, the seed has not finished, the text is not understood, or it asks for a
            comparison.
    """
    run = Run.read(path)
    seeds = run.finished_seeds()
    if seed not in seeds:
        raise InputError(f"seed {seed} of {run.path} has not finished: choose one of {', '.join(map(str, seeds))}")
    understood = Understander(run.graph).understand(text)
    query = understood.query
    if query.operator is not None:
        raise InputError(
            f"this run was not trained on comparisons; understood was: {query.describe(run.graph)} ({query.type})"
        )
    return {**_answered(run, understood, seed), **_described(run.graph, understood), "trained_hops": run.settings.hops}


def _answered(run: Run, understood: Understood, seed: int) -> dict[str, Any]:
    """What the model reads out, and what the graph's facts say."""
    graph, branch = run.graph, understood.query.branches[0]
    head, relations = np.array([branch.head]), np.array([branch.relations])
    queries = Chaining(graph).answers(head, relations)
    observed = Chaining(graph.where(graph.is_observed)).answers(head, relations)
    model = load_model(run, seed)
    rows = encode_queries(Vocabulary.of(graph), queries)
    trace = answer(model, rows)
    hops = [
        {
            "position": position,
            "loop": int(rows.due[0, position]),
            "entity": _token(graph, int(trace.entity[0, position])),
            "probability": float(trace.probability[0, position]),
        }
        for position in range(1, rows.tokens.shape[1])
    ]
    return {
        "hops": hops,
        "answer": hops[-1]["entity"],
        "probability": hops[-1]["probability"],
        "in_graph": bool(len(queries.answers)),
        "expected": [graph.entities[entity].label for entity in queries.answers.tolist()],
        "observed": bool(len(observed.answers)),
    }


def _described(graph: Graph, understood: Understood) -> dict[str, Any]:
    query = understood.query
    branch = query.branches[0]
    return {
        "query": [graph.entities[branch.head].label, *(graph.relations[r] for r in branch.relations)],
        "type": query.type,
        "understood": query.describe(graph),
        "linked": [
            {"name": name, "entity": graph.entities[match.entity].label, "matched": match.name, "how": match.how.words}
            for name, match in understood.linked
        ],
    }


def _token(graph: Graph, token: int) -> str:
    """The label of a token: an untrained model may read out a relation."""
    entities = len(graph.entities)
    return graph.entities[token].label if token < entities else graph.relations[token - entities]
