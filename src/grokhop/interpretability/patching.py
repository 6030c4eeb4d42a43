"""What carries an answer: values of a clean run put into a corrupted one, place by place.

All measures tell how much of the *logit difference* comes back, logit(clean answer) - logit(corrupted answer) at the
last position: 0 % is the corrupted run, 100 % the clean one (Wang et al. 2022, arXiv 2211.00593). They are of all pairs
together, the sum of what came back over the sum of what was lost, so that no pair with a small difference decides.
Only pairs are asked of which the model answers both queries rightly.

Shapes: P pairs, T positions, V tokens.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from grokhop.graph.paths import Longs, PathIndex, Queries
from grokhop.interpretability.counterfactuals import Pairs, corrupt, donors
from grokhop.interpretability.hooks import (
    ATTENTION,
    HEADS,
    MLP,
    PARTS,
    RESIDUAL,
    ActivationCache,
    Replace,
    Site,
    answered,
    last_logits,
    patch,
    replaced,
    watch,
)
from grokhop.interpretability.logit_lens import lens_of
from grokhop.models.base import Model
from grokhop.runs.explanation import Ablation, CarriedOver, Patched, Patching
from grokhop.tasks.encoding import TokenBatch, encode_queries
from grokhop.tasks.vocabulary import Vocabulary


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
        self.model = model
        self.kept = torch.from_numpy(np.flatnonzero(right))
        self.queries, self.rows = pairs.clean.where(right), rows[1].where(right)
        self.clean, self.corrupted = (run.where(self.kept) for run in runs)
        self.answer, self.other = (of_one[self.kept] for of_one in answers)

    def __len__(self) -> int:
        return len(self.answer)

    def difference(self, logits_PV: Tensor) -> Tensor:
        """(P,) by how much the clean answer is ahead of the corrupted one."""
        row = torch.arange(len(self))
        return logits_PV[row, self.answer] - logits_PV[row, self.other]

    def restored(self, *places: Site, source: ActivationCache | None = None) -> float | None:
        """The share of the logit difference that the places bring back; None where there is no pair.

        Args:
            source: the run whose values are put in place; that on the clean queries if left out.
        """
        return self._share(places, source or self.clean) if len(self) else None

    def _share(self, places: Sequence[Site], source: ActivationCache) -> float:
        patched = last_logits(patch(self.model, self.rows, source, places))
        low, high = (self.difference(run.last_logits()).sum() for run in (self.corrupted, self.clean))
        return float((self.difference(patched).sum() - low) / (high - low))

    def heat(self, part: str) -> tuple[Patched, ...]:
        """What each place of a part brings back by itself; of heads, each head at each place."""
        return tuple(
            Patched(
                depth=place.depth, position=place.position, head=place.head, restored=self._share([place], self.clean)
            )
            for place in self._places(part)
        )

    def _places(self, part: str) -> Iterator[Site]:
        for place in self.clean.places(part):
            if part != HEADS:
                yield place
            else:
                heads = self.clean.values[HEADS, place.depth].shape[2]
                yield from (replace(place, head=head) for head in range(heads))


def residual(contrast: Contrast) -> tuple[Patched, ...]:
    """Causal tracing of the residual stream: where, between layers, is what tells the answers apart?"""
    return contrast.heat(RESIDUAL)


def attention(contrast: Contrast) -> tuple[Patched, ...]:
    """The same of what attention adds: where is it fetched from another position?"""
    return contrast.heat(ATTENTION)


def mlp(contrast: Contrast) -> tuple[Patched, ...]:
    """The same of what the MLP adds: where is it looked up?"""
    return contrast.heat(MLP)


def heads(contrast: Contrast) -> tuple[Patched, ...]:
    """The same of single attention heads, before their outputs are mixed."""
    return contrast.heat(HEADS)


FEWEST_PAIRS = 10
"""With fewer pairs that are answered rightly, nothing is concluded."""
MEASURES = {RESIDUAL: residual, ATTENTION: attention, MLP: mlp, HEADS: heads}


def trace(model: Model, chaining: PathIndex, queries: Queries, *, seed: int = 0) -> tuple[Patching, ...]:
    """Causal tracing with each token of the queries corrupted in turn."""
    vocabulary, found = Vocabulary.of(chaining.graph), []
    for position in range(queries.hops + 1):
        pairs = corrupt(chaining, queries, position, np.random.default_rng(seed))
        contrast = Contrast(model, vocabulary, pairs) if len(pairs) else None
        maps = {part: MEASURES[part](contrast) if contrast else () for part in PARTS}
        found.append(Patching(corrupted=position, n=len(contrast or ()), **maps))
    return tuple(found)


def bridge_place(model: Model, chaining: PathIndex, queries: Queries) -> Site | None:
    """Where the bridge is: of all depths at the first relation, that which carries most over from queries that share
    nothing but the bridge. None where too few queries are answered rightly to say.

    A copy of the head would restore as much of a corrupted head, but could not come from another query. Depth 0 is left
    out, for there stands the relation's own embedding.
    """
    if not len(queries):
        return None
    depths = watch(model, encode_queries(Vocabulary.of(chaining.graph), queries)).depths
    found = {depth: carried_over(model, chaining, queries, Site(RESIDUAL, depth, 1)) for depth in range(1, depths)}
    told = {depth: carried.restored or 0.0 for depth, carried in found.items() if carried.n >= FEWEST_PAIRS}
    best = max(told, key=lambda depth: told[depth], default=None)
    return None if best is None else Site(RESIDUAL, best, 1)


def carried_over(model: Model, chaining: PathIndex, queries: Queries, place: Site, *, seed: int = 0) -> CarriedOver:
    """Cross-query patching: the bridge state of a query that shares the bridge and no token, put into a corrupted one.

    If the place holds the bridge and nothing else, it brings the answer of the clean query with it. The query that it
    was taken from makes no difference (after Geiger et al. 2021, arXiv 2106.02997).
    """
    rng = np.random.default_rng(seed)
    vocabulary = Vocabulary.of(chaining.graph)
    pairs = corrupt(chaining, queries, 0, rng)
    places, others = donors(chaining, pairs.clean, rng)
    if not len(places):
        return CarriedOver()
    source = watch(model, encode_queries(vocabulary, others))
    right = others.are_right(source.last_logits().argmax(-1).numpy())
    pairs = Pairs(pairs.clean.where(places[right]), pairs.corrupted.where(places[right]))
    contrast = Contrast(model, vocabulary, pairs) if right.any() else None
    if not contrast:
        return CarriedOver()
    source = source.where(torch.from_numpy(np.flatnonzero(right))).where(contrast.kept)
    answered = last_logits(patch(model, contrast.rows, source, [place])).argmax(-1).numpy()
    return CarriedOver(
        n=len(contrast),
        restored=contrast.restored(place, source=source),
        answered=float(contrast.queries.are_right(answered).mean()),
    )


def ablate(model: Model, chaining: PathIndex, queries: Queries, place: Site) -> Ablation:
    """Remove the bridge from what the model goes on with, or the entity that is second there: only the former may harm.

    In the loop the entity is struck from the read-out after the first hop before it is re-embedded; in a plain decoder
    the direction of its embedding is projected out of the residual stream at the bridge's position at every depth
    (Arditi et al. 2024, arXiv 2406.11717). Asked are two-hop queries with one bridge that were answered rightly.
    Without the bridge a model goes on with what it held for next likely, from where the same answer may be reached: how
    often is told too.

    Args:
        place: where the bridge is, and where the second is read.
    """
    graph, vocabulary = chaining.graph, Vocabulary.of(chaining.graph)
    bridges = chaining.answers(queries.head.astype(np.int64), queries.relations[:, :1])
    single = np.diff(bridges.offsets) == 1
    queries, bridges = queries.where(single), bridges.where(single)
    if not len(queries):
        return Ablation()
    run = watch(model, encode_queries(vocabulary, queries))
    right = queries.are_right(run.last_logits().argmax(-1).numpy())
    read = lens_of(model, run, positions=[place.position])[place.depth, place.position][torch.from_numpy(right)]
    queries, bridge = queries.where(right), bridges.answers[right]
    if not len(queries):
        return Ablation()
    read[torch.arange(len(bridge)), torch.from_numpy(bridge).long()] = -1.0
    second = read[:, : len(graph.entities)].argmax(-1).numpy()
    rows = encode_queries(vocabulary, queries)
    kept = {
        name: float(queries.are_right(without(model, rows, removed, position=place.position).argmax(-1).numpy()).mean())
        for name, removed in (("bridge", bridge), ("second", second))
    }
    onward = chaining.answers(second, queries.relations[:, 1:].astype(np.int64))
    row = np.repeat(np.arange(len(queries)), np.diff(onward.offsets))
    leads = np.zeros(len(queries), bool)
    leads[row[queries.where(row).are_right(onward.answers)]] = True
    return Ablation(n=len(queries), **kept, second_leads_there=float(leads.mean()))


@torch.no_grad()
def without(model: Model, rows: TokenBatch, removed: Longs, *, position: int) -> Tensor:
    """(P, V) the last logits when an entity of each row, (P,), is removed from what goes on at the position."""
    entity = torch.from_numpy(removed.astype(np.int64)).to(model.device)
    hook_logits = getattr(model, "hook_logits", None)
    if hook_logits is not None:

        def strike(_point: Any, given: tuple[Any, ...], logits: Tensor) -> Tensor:
            row, at = given[1:]
            logits, here = logits.clone(), torch.nonzero(at == position).squeeze(1)
            logits[here, entity[row[here]]] = -torch.inf
            return logits

        hook = hook_logits.register_forward_hook(strike)
        try:
            return last_logits(answered(model, rows))
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
        return last_logits(answered(model, rows))
