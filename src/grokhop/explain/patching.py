"""What carries an answer: values of a clean run put into a corrupted one, place by place.

All measures tell how much of the *logit difference* comes back, logit(clean answer) - logit(corrupted answer) at the
last position: 0 % is the corrupted run, 100 % the clean one (Wang et al. 2022, arXiv 2211.00593). They are of all pairs
together, the sum of what came back over the sum of what was lost, so that no pair with a small difference decides.
Only pairs are asked of which the model answers both queries rightly.

Shapes: P pairs, T positions, V tokens.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from grokhop.chains import Chaining, Longs, Mask, Queries
from grokhop.encode import Rows, Vocabulary, encode_queries
from grokhop.explain.pairs import Pairs, corrupt, donors
from grokhop.explain.places import (
    ATTENTION,
    HEADS,
    MLP,
    PARTS,
    RESIDUAL,
    Place,
    Replace,
    Run,
    last_logits,
    patch,
    replaced,
    watch,
)
from grokhop.model import Model


class Contrast:
    """Pairs of queries that a model answers rightly, both of each, and its runs on them.

    Attributes:
        kept: of the pairs that were given, the places of those that are answered rightly.
    """

    def __init__(self, model: Model, vocabulary: Vocabulary, pairs: Pairs) -> None:
        rows = [encode_queries(vocabulary, queries) for queries in (pairs.clean, pairs.corrupted)]
        runs = [watch(model, of_one) for of_one in rows]
        answers = [run.last_logits().argmax(-1) for run in runs]
        right = pairs.clean.are_right(answers[0].numpy()) & pairs.corrupted.are_right(answers[1].numpy())
        self.model, self.position = model, pairs.position
        self.kept = torch.from_numpy(np.flatnonzero(right))
        self.queries, self.rows = pairs.clean.where(right), _some_rows(rows[1], right)
        self.clean, self.corrupted = (run.where(self.kept) for run in runs)
        self.answer, self.other = (of_one[self.kept] for of_one in answers)

    def __len__(self) -> int:
        return len(self.answer)

    def difference(self, logits_PV: Tensor) -> Tensor:
        """(P,) by how much the clean answer is ahead of the corrupted one."""
        row = torch.arange(len(self))
        return logits_PV[row, self.answer] - logits_PV[row, self.other]

    def restored(self, *places: Place, source: Run | None = None) -> float | None:
        """The share of the logit difference that the places bring back; None where there is no pair.

        Args:
            source: the run whose values are put in place; that on the clean queries if left out.
        """
        if not len(self):
            return None
        patched = last_logits(patch(self.model, self.rows, source or self.clean, places))
        low, high = (self.difference(run.last_logits()).sum() for run in (self.corrupted, self.clean))
        return float((self.difference(patched).sum() - low) / (high - low))

    def heat(self, part: str) -> list[dict[str, Any]]:
        """What each place of a part brings back by itself; of heads, each head at each place."""
        found = []
        for place in self.clean.places(part):
            row = {"depth": place.depth, "position": place.position}
            if part != HEADS:
                found.append({**row, "restored": self.restored(place)})
                continue
            heads = range(self.clean.values[HEADS, place.depth].shape[2])
            found += [
                {**row, "head": head, "restored": self.restored(Place(HEADS, place.depth, place.position, head))}
                for head in heads
            ]
        return found


def residual(contrast: Contrast) -> list[dict[str, Any]]:
    """Causal tracing of the residual stream: where, between layers, is what tells the answers apart?"""
    return contrast.heat(RESIDUAL)


def attention(contrast: Contrast) -> list[dict[str, Any]]:
    """The same of what attention adds: where is it fetched from another position?"""
    return contrast.heat(ATTENTION)


def mlp(contrast: Contrast) -> list[dict[str, Any]]:
    """The same of what the MLP adds: where is it looked up?"""
    return contrast.heat(MLP)


def heads(contrast: Contrast) -> list[dict[str, Any]]:
    """The same of single attention heads, before their outputs are mixed."""
    return contrast.heat(HEADS)


MEASURES = {RESIDUAL: residual, ATTENTION: attention, MLP: mlp, HEADS: heads}


def trace(model: Model, chaining: Chaining, queries: Queries, *, seed: int = 0) -> list[dict[str, Any]]:
    """Causal tracing with each token of the queries corrupted in turn.

    Returns:
        For each position: `corrupted` (the position), `n` pairs, and for each part its heat map.
    """
    vocabulary, found = Vocabulary.of(chaining.graph), []
    for position in range(queries.hops + 1):
        pairs = corrupt(chaining, queries, position, np.random.default_rng(seed))
        contrast = Contrast(model, vocabulary, pairs) if len(pairs) else ()
        maps = {
            part: MEASURES[part](contrast) if isinstance(contrast, Contrast) and len(contrast) else [] for part in PARTS
        }
        found.append({"corrupted": position, "n": len(contrast), **maps})
    return found


def bridge_place(traced: list[dict[str, Any]], hop: int = 1) -> Place | None:
    """Where the bridge is: of all depths at the position of the hop, that which restores most of a corrupted head.

    Depth 0 is left out, for there stands the relation's own embedding.
    """
    known = [row for row in traced[0][RESIDUAL] if row["position"] == hop and row["depth"]]
    best = max(known, key=lambda row: row["restored"], default=None)
    return None if best is None else Place(RESIDUAL, best["depth"], hop)


def carried_over(model: Model, chaining: Chaining, queries: Queries, place: Place, *, seed: int = 0) -> dict[str, Any]:
    """Cross-query patching: the bridge state of a query that shares the bridge and no token, put into a corrupted one.

    If the place holds the bridge and nothing else, it brings the answer of the clean query with it, whatever query it
    was taken from (after Geiger et al. 2021, arXiv 2106.02997).

    Returns:
        `n` triples, `restored`, the share of the logit difference, and `answered`, the share whose answer it becomes.
    """
    rng = np.random.default_rng(seed)
    pairs = corrupt(chaining, queries, 0, rng)
    places, others = donors(chaining, pairs.clean, rng)
    pairs = Pairs(0, pairs.clean.where(places), pairs.corrupted.where(places))
    if not len(others):
        return {"n": 0, "restored": None, "answered": None}
    vocabulary = Vocabulary.of(chaining.graph)
    contrast = Contrast(model, vocabulary, pairs)
    source = watch(model, encode_queries(vocabulary, others)).where(contrast.kept)
    if not len(contrast):
        return {"n": 0, "restored": None, "answered": None}
    answered = last_logits(patch(model, contrast.rows, source, [place])).argmax(-1).numpy()
    return {
        "n": len(contrast),
        "restored": contrast.restored(place, source=source),
        "answered": float(contrast.queries.are_right(answered).mean()),
    }


def ablate(model: Model, chaining: Chaining, queries: Queries, *, seed: int = 0) -> dict[str, Any]:
    """Remove the bridge from what the model goes on with, or a random entity: only the former may harm the answer.

    In the loop the entity is struck from the read-out after the first hop before it is re-embedded; in a plain decoder
    the direction of its embedding is projected out of the residual stream at the bridge's position at every depth
    (Arditi et al. 2024, arXiv 2406.11717). Asked are two-hop queries with one bridge that were answered rightly.

    Returns:
        `n`, and the share still answered rightly without the `bridge` and without a `random` entity.
    """
    graph = chaining.graph
    bridges = chaining.answers(queries.head.astype(np.int64), queries.relations[:, :1])
    single = np.diff(bridges.offsets) == 1
    queries, bridges = queries.where(single), bridges.where(single)
    vocabulary = Vocabulary.of(graph)
    rows = encode_queries(vocabulary, queries)
    right = queries.are_right(watch(model, rows).last_logits().argmax(-1).numpy()) if len(queries) else single[:0]
    queries, bridge = queries.where(right), bridges.answers[right]
    if not len(queries):
        return {"n": 0, "bridge": None, "random": None}
    shift = np.random.default_rng(seed).integers(1, len(graph.entities), size=len(bridge))
    others = (bridge + shift) % len(graph.entities)
    rows = encode_queries(vocabulary, queries)
    kept = {
        name: float(queries.are_right(without(model, rows, removed, position=1).argmax(-1).numpy()).mean())
        for name, removed in (("bridge", bridge), ("random", others))
    }
    return {"n": len(queries), **kept}


@torch.no_grad()
def without(model: Model, rows: Rows, removed: Longs, *, position: int) -> Tensor:
    """(P, V) the last logits when an entity of each row, (P,), is removed from what goes on at the position."""
    entity = torch.from_numpy(removed.astype(np.int64))
    tokens, due = torch.from_numpy(rows.tokens), torch.from_numpy(rows.due)
    belief = getattr(model, "belief", None)
    if belief is not None:

        def strike(_point: Any, given: tuple[Any, ...], logits: Tensor) -> Tensor:
            row, at = given[1:]
            logits, here = logits.clone(), torch.nonzero(at == position).squeeze(1)
            logits[here, entity[row[here]]] = -torch.inf
            return logits

        hook = belief.register_forward_hook(strike)
        try:
            return last_logits(model(tokens, due))
        finally:
            hook.remove()

    def project(part: str, depth: int) -> Replace | None:
        return _projected if part == RESIDUAL and depth else None

    def _projected(value: Tensor, row: Tensor, at: Tensor) -> Tensor:
        value, here = value.clone(), torch.nonzero(at == position).squeeze(1)
        direction = torch.nn.functional.normalize(model.embedding.weight[entity[row[here]]], dim=-1)
        value[here] -= (value[here] * direction).sum(-1, keepdim=True) * direction
        return value

    with replaced(model, project):
        return last_logits(model(tokens, due))


def _some_rows(rows: Rows, kept: Mask) -> Rows:
    return Rows(tokens=rows.tokens[kept], due=rows.due[kept], targets=rows.targets[kept])
