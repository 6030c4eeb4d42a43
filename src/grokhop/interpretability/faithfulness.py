"""Does the explanation hold? Whether what a model names on its way is what leads to its answer.

An answer has the right reason when there is a path of facts from the head to it over the entities that the model named:
for the loop what was read out after each hop, for a plain decoder what the lens names at the bridge's position at some
depth before the last layer, where a later one can still use it. After the last layer a plain decoder names the bridge
in any case, for there its prefix is answered as a fact on its own; nothing would follow from that, and of a decoder of
one layer nothing is said. The lens is not tuned, so that 'wrong' also means 'not named in a way that the lens reads'.

Shapes: Q queries of k hops.
"""

from collections.abc import Sequence

import numpy as np

from grokhop.graph.paths import Longs, Mask, PathIndex, Queries
from grokhop.interpretability.hooks import ActivationCache, last_logits, watch
from grokhop.interpretability.logit_lens import lens_of, named
from grokhop.models.base import Model
from grokhop.runs.explanation import Faithfulness, OddAnswer
from grokhop.tasks.encoding import encode_queries
from grokhop.tasks.vocabulary import Vocabulary, token_labels

MOST_EXAMPLES = 20
_BATCH = 256
"""Queries that are watched at once: of each, all places are kept."""


def score(model: Model, chaining: PathIndex, queries: Queries) -> Faithfulness:
    """How often an answer is right, and how often for the right reason, with up to twenty that are not."""
    graph, vocabulary = chaining.graph, Vocabulary.of(chaining.graph)
    answered, names = np.empty(0, np.int64), list[list[Longs]]()
    for start in range(0, len(queries), _BATCH):
        some = queries.where(np.arange(start, min(start + _BATCH, len(queries))))
        run = watch(model, encode_queries(vocabulary, some))
        answered = np.concatenate([answered, last_logits(run.read_outs).argmax(-1).numpy()])
        here = _names(model, run, queries.hops)
        names = [
            [np.concatenate(both) for both in zip(*hop, strict=True)]
            for hop in zip(names or _none(here), here, strict=True)
        ]
    tells = bool(names) and all(names)
    right = queries.are_right(answered)
    none = np.zeros(len(queries), bool)
    reason, bridges = _reasons(chaining, queries, names, answered) if tells else (none, [])
    named_all = _reasons(chaining, queries, names, None)[0] if tells else none
    labels = token_labels(graph)
    odd = np.flatnonzero(right & ~reason & tells)[:MOST_EXAMPLES]
    return Faithfulness(
        n=len(queries),
        right=int(right.sum()),
        right_and_named=int((right & reason).sum()),
        named_and_wrong=int((~right & named_all).sum()),
        bridge_named=float(reason[right].mean()) if tells and right.any() else None,
        right_for_wrong_reason=tuple(
            OddAnswer(
                query=(labels[queries.head[i]], *(graph.relations[r] for r in queries.relations[i])),
                named=tuple(labels[named_there[i]] for named_there in bridges),
                answer=labels[answered[i]],
            )
            for i in odd
        ),
    )


def _none(names: Sequence[Sequence[Longs]]) -> list[list[Longs]]:
    return [[found[:0] for found in hop] for hop in names]


def _names(model: Model, run: ActivationCache, hops: int) -> list[list[Longs]]:
    """For each bridge, (Q,) candidates of what was named: one in the loop, one for each depth of a plain decoder."""
    found = lens_of(model, run, positions=range(1, hops))
    names = []
    for hop in range(1, hops):
        by_depth = named(found, hop)
        if run.loops > 1:
            names.append([by_depth[hop * run.depths // run.loops]])
        else:
            names.append([tokens for depth, tokens in by_depth.items() if 0 < depth < run.depths])
    return names


def _reasons(
    chaining: PathIndex, queries: Queries, names: list[list[Longs]], answered: Longs | None
) -> tuple[Mask, list[Longs]]:
    """(Q,) whether facts lead over named bridges to the answer (or, without one, over all bridges), and for each bridge
    (Q,) which.
    """
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
