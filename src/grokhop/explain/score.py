"""Does the explanation hold? Whether what a model names on its way is what leads to its answer.

An answer has the right reason when there is a path of facts from the head to it over the entities that the model named:
for the loop what was read out after each hop, for a plain decoder what the lens names at the bridge's position at some
depth before the last layer, where a later one can still use it. After the last layer a plain decoder names the bridge
in any case, for there its prefix is answered as a fact on its own; nothing would follow from that.

Shapes: Q queries of k hops.
"""

from typing import Any

import numpy as np

from grokhop.chains import Chaining, Mask, Queries
from grokhop.encode import Vocabulary, encode_queries
from grokhop.explain.lens import lens_of, named
from grokhop.explain.places import last_logits, watch
from grokhop.model import Model

MOST_EXAMPLES = 20


def score(model: Model, chaining: Chaining, queries: Queries) -> dict[str, Any]:
    """How often an answer is right, and how often for the right reason.

    Returns:
        `n`, `right`, `right_and_named` (answers that are right for the right reason), `named_and_wrong` (all bridges
        named, and yet another answer), `bridge_named` (of the right answers, the share with the right reason) and
        `right_for_wrong_reason`, up to twenty of the others.
    """
    graph = chaining.graph
    if not len(queries):
        return {"n": 0, "right": 0, "right_and_named": 0, "named_and_wrong": 0, "bridge_named": None} | {
            "right_for_wrong_reason": []
        }
    run = watch(model, encode_queries(Vocabulary.of(graph), queries))
    answered = last_logits(run.read_outs).argmax(-1).numpy()
    right = queries.are_right(answered)
    reason, bridges = _reasons(chaining, queries, _names(model, run, queries.hops), answered)
    named_all, _ = _reasons(chaining, queries, _names(model, run, queries.hops), None)
    odd = np.flatnonzero(right & ~reason)[:MOST_EXAMPLES]
    label = _labels(graph)
    return {
        "n": len(queries),
        "right": int(right.sum()),
        "right_and_named": int((right & reason).sum()),
        "named_and_wrong": int((~right & named_all).sum()),
        "bridge_named": float(reason[right].mean()) if right.any() else None,
        "right_for_wrong_reason": [
            {
                "query": [graph.entities[queries.head[i]].label, *(graph.relations[r] for r in queries.relations[i])],
                "named": [label(bridges[hop][i]) for hop in range(queries.hops - 1)],
                "answer": label(answered[i]),
            }
            for i in odd
        ],
    }


def _labels(graph: Any) -> Any:
    entities = len(graph.entities)
    return lambda token: graph.entities[token].label if token < entities else graph.relations[token - entities]


def _names(model: Model, run: Any, hops: int) -> list[list[Any]]:
    """For each bridge, (Q,) candidates of what was named: one in the loop, one for each depth of a plain decoder."""
    found = lens_of(model, run)
    last = max(depth for depth, _ in found)
    loops = max(read.loop for read in run.read_outs)
    names = []
    for hop in range(1, hops):
        by_depth = named(found, hop)
        if loops > 1:
            names.append([by_depth[hop * last // loops]])
        else:
            names.append([tokens for depth, tokens in by_depth.items() if 0 < depth < last] or [by_depth[last]])
    return names


def _reasons(
    chaining: Chaining, queries: Queries, names: list[list[Any]], answered: Any | None
) -> tuple[Mask, list[Any]]:
    """(Q,) whether facts lead over named bridges to the answer (or, without one, over all bridges), and which."""
    entities = len(chaining.graph.entities)
    at, holds = queries.head.astype(np.int64), np.ones(len(queries), bool)
    path = []
    for hop, candidates in enumerate(names):
        relation = queries.relations[:, hop : hop + 1].astype(np.int64)
        ends = chaining.answers(at, relation)
        chosen, good = candidates[-1].copy(), np.zeros(len(queries), bool)
        onward = queries.relations[:, hop + 1 : hop + 2].astype(np.int64)
        for tokens in candidates:
            fits = (tokens < entities) & ends.are_right(tokens)
            if answered is not None and hop == len(names) - 1:
                reached = chaining.answers(np.where(fits, tokens, 0), onward)
                fits &= reached.are_right(answered)
            chosen[fits & ~good] = tokens[fits & ~good]
            good |= fits
        holds &= good
        path.append(chosen)
        at = np.where(good, chosen, 0).astype(np.int64)
    return holds, path
