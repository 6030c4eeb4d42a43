"""The logit lens: what every place would answer if it were read out now.

The residual stream of each position and depth is taken through the final norm and the tied embeddings, as the last one
is (nostalgebraist 2020; Belrose et al. 2023, arXiv 2303.08112). The norm is applied because the embeddings were only
ever trained against normed states: without it the scale of the stream, which grows with depth, would pass for
certainty. Where a model reads out at a depth by itself, as the loop does after each, that is taken: it is no lens then,
but what the model goes on with.

Shapes: B rows, T positions, k hops, V tokens; depths 0 (embeddings) to the number of applied layers.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from grokhop.graph.paths import Longs, Queries
from grokhop.interpretability.hooks import RESIDUAL, ActivationCache, watch
from grokhop.models.base import Model
from grokhop.runs.explanation import LensRow
from grokhop.tasks.encoding import TokenBatch

Lens = dict[tuple[int, int], Tensor]
"""By depth and position, (B, V) probabilities."""


def lens(model: Model, rows: TokenBatch) -> Lens:
    """What each depth and position says of rows of equal length.

    Raises:
        InputError: the model has no places to look at.
    """
    return lens_of(model, watch(model, rows))


@torch.no_grad()
def lens_of(model: Model, run: ActivationCache, *, positions: Sequence[int] | None = None) -> Lens:
    """The lens of a run that was watched, at some positions or at all."""
    found = {
        (place.depth, place.position): _read_out(model, run.values[RESIDUAL, place.depth][:, place.position])
        for place in run.places(RESIDUAL)
        if positions is None or place.position in positions
    }
    per_loop = run.depths // run.loops
    for read in run.read_outs:
        for position in sorted(set(read.position.tolist()) & set(positions or read.position.tolist())):
            found[read.loop * per_loop, position] = read.logits[read.position == position].softmax(-1)
    return dict(sorted(found.items()))


def _read_out(model: Model, x_BD: Tensor) -> Tensor:
    """(B, V) what a place would say, in the memory of the processor."""
    return model.read_out(x_BD.to(model.device)).softmax(-1).cpu()


def members(queries: Queries, tokens: int) -> Tensor:
    """(B, V) whether each token is one of the right answers of each query."""
    found = torch.zeros(len(queries), tokens, dtype=torch.bool)
    row = np.repeat(np.arange(len(queries)), np.diff(queries.offsets))
    found[torch.from_numpy(row), torch.from_numpy(queries.answers.astype(np.int64))] = True
    return found


def seen(probability_BV: Tensor, wanted_BV: Tensor) -> tuple[Tensor, Tensor]:
    """(B,) probability of the wanted tokens together, and (B,) rank of the first of them, from 1."""
    together = (probability_BV * wanted_BV).sum(-1)
    best = probability_BV.masked_fill(~wanted_BV, -1.0).max(-1, keepdim=True).values
    return together, 1 + (probability_BV > best).sum(-1)


def mean_lens(found: Lens, wanted: Sequence[Tensor]) -> tuple[LensRow, ...]:
    """A row for each place: the mean probability and the median rank of what each hop ends in.

    Args:
        wanted: for each hop the (B, V) mask of its right ends.
    """
    rows = []
    for (depth, position), probability in found.items():
        ends = [seen(probability, mask) for mask in wanted]
        rows.append(
            LensRow(
                depth=depth,
                position=position,
                probability=tuple(float(together.mean()) for together, _ in ends),
                rank=tuple(float(rank.double().median()) for _, rank in ends),
            )
        )
    return tuple(rows)


def named(found: Lens, position: int) -> dict[int, Longs]:
    """By depth, (B,) the token that a position would read out."""
    return {depth: p.argmax(-1).numpy() for (depth, at), p in found.items() if at == position}
