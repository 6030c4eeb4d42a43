"""Gates of the recurrent model: where they open, and what is lost where one is shut."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from torch import Tensor

from grokhop.graph.paths import PathIndex, Queries
from grokhop.inference.predict import BATCH_SIZE, are_right
from grokhop.models.base import Model
from grokhop.models.recurrent import RecurrentTransformer
from grokhop.tasks.vocabulary import Vocabulary

Change = Callable[[Tensor, Tensor], Tensor]
"""What is done to the (N, 1) gates of the positions (N,)."""


def gates(model: Model, chaining: PathIndex, queries: Queries) -> dict[str, float | None]:
    """Measure the mean gate of each loop and position, and accuracy with the gates of one position shut.

    A model without gates has none of these numbers.
    """
    if not isinstance(model, RecurrentTransformer):
        return {}
    vocabulary = Vocabulary.of(chaining.graph)
    seen: list[tuple[Tensor, Tensor]] = []

    def keep(gate_N1: Tensor, position: Tensor) -> Tensor:
        seen.append((gate_N1.squeeze(1).cpu(), position.cpu()))
        return gate_N1

    # One batch by itself, so that the order of the calls is the order of the loops.
    few = queries.where(np.arange(len(queries)) < BATCH_SIZE)
    with _changed(model, keep):
        are_right(model, vocabulary, few)
    right = are_right(model, vocabulary, queries)
    found: dict[str, float | None] = {"accuracy": float(right.mean())}
    for loop, (gate, position) in enumerate(seen, 1):
        for place in range(queries.hops + 1):
            found[f"gate after loop {loop}, position {place}"] = float(gate[position == place].mean())
    for place in range(queries.hops + 1):
        with _changed(model, _shut(place)):
            found[f"accuracy, position {place} shut"] = float(are_right(model, vocabulary, queries).mean())
    return found


def _shut(place: int) -> Change:
    return lambda gate_N1, position: gate_N1.masked_fill((position == place)[:, None], 0.0)


@contextmanager
def _changed(model: RecurrentTransformer, change: Change) -> Iterator[None]:
    hook = model.hook_gate.register_forward_hook(lambda _point, given, value: change(value, given[2]))
    try:
        yield
    finally:
        hook.remove()
