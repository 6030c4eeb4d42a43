"""Formation: how the circuit came about, measured again at each snapshot of the weights that a run kept.

The same queries are asked at each, and beside their accuracy stand the probability and the rank of the bridge at its
position, depth by depth, and how much of the answer the bridge's place brings back. So one can see whether the bridge
is there before held-out queries are answered, and at which depth (progress measures: Nanda et al. 2023,
arXiv 2301.05217). No test query is among them, nor a fact that is held out for test.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from grokhop.core.statistics import Score
from grokhop.graph.graph import Split
from grokhop.graph.paths import NO_FACT, PathIndex, Queries
from grokhop.interpretability.counterfactuals import Pairs, corrupt
from grokhop.interpretability.hooks import Place, watch
from grokhop.interpretability.logit_lens import lens_of, members, seen
from grokhop.interpretability.patching import FEWEST_PAIRS, Contrast
from grokhop.models.base import Model
from grokhop.models.weights import load_weights
from grokhop.runs.explanation import BridgeReading, Formation, Formed
from grokhop.runs.metrics import ENOUGH_OOD_QUERIES
from grokhop.runs.run import Run
from grokhop.tasks.composition import Compositions, cell_name
from grokhop.tasks.encoding import encode_queries
from grokhop.tasks.vocabulary import Vocabulary

MOST_QUERIES = 200
"""Of each set, and of each cell that is patched."""


class Snapshots:
    """What is asked at each snapshot: training queries, and two-hop validation queries in and out of distribution.

    Where fewer than thirty of the latter are of held-out facts alone, those with any held-out fact are asked.

    Attributes:
        sets: the queries, by 'train', 'id' and 'ood'. pairs: of these, with another head that is no test query.
    """

    def __init__(self, chaining: PathIndex, made: Compositions, *, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.vocabulary = Vocabulary.of(chaining.graph)
        cells = made.cells["validation"][2]
        trained = made.chains[:, :2]
        trained = rng.permutation(trained[(trained != NO_FACT).all(axis=1)])[:MOST_QUERIES]
        inside, outside = (cell_name([held_out] * 2) for held_out in (False, True))
        fully = len(cells[outside]) >= ENOUGH_OOD_QUERIES
        ood = [cells[outside]] if fully else [q for name, q in cells.items() if name != inside]
        self.sets = {
            "train": chaining.queries(trained)[0],
            "id": _joined(chaining, [cells[inside]]),
            "ood": _joined(chaining, ood),
        }
        self._bridges = {
            name: members(chaining.answers(q.head, q.relations[:, :1]), self.vocabulary.size)
            for name, q in self.sets.items()
        }
        graph = chaining.graph
        known = PathIndex(graph.where(graph.part != Split.TEST))
        self.pairs = {
            name: corrupt(known, queries, 0, np.random.default_rng(seed), excluded=made.tested)
            for name, queries in self.sets.items()
        }

    def measure(self, model: Model, place: Place | None) -> dict[str, Formed]:
        """How far a model is with each set of queries that has any."""
        return {name: self._of(name, model, place) for name, queries in self.sets.items() if len(queries)}

    def _of(self, name: str, model: Model, place: Place | None) -> Formed:
        queries, mask = self.sets[name], self._bridges[name]
        watched = watch(model, encode_queries(self.vocabulary, queries))
        found = lens_of(model, watched, positions=[1])
        at_bridge = {depth: seen(p, mask) for (depth, _), p in found.items() if depth}
        return Formed(
            accuracy=Score.of(queries.are_right(watched.last_logits().argmax(-1).numpy())).accuracy,
            bridge=tuple(
                BridgeReading(depth=depth, probability=float(p.mean()), rank=float(rank.double().median()))
                for depth, (p, rank) in at_bridge.items()
            ),
            restored=self._restored(model, self.pairs[name], place),
        )

    def _restored(self, model: Model, pairs: Pairs, place: Place | None) -> float | None:
        if place is None or len(pairs) < FEWEST_PAIRS:
            return None
        contrast = Contrast(model, self.vocabulary, pairs)
        return contrast.restored(place) if len(contrast) >= FEWEST_PAIRS else None


def formation(run: Run, seed: int, model: Model, place: Place | None) -> Iterator[Formation]:
    """A row for each snapshot of a seed, the earliest first; none where no snapshots were kept.

    Args:
        model: of the run's shape, in which the weights are put.
        place: where the finished model has the bridge.
    """
    snapshots = run.snapshots(seed)
    if not snapshots:
        return
    asked = Snapshots(PathIndex(run.graph), run.dataset.compositions)
    for step, path in snapshots.items():
        load_weights(path, model)
        yield Formation(seed=seed, step=step, **asked.measure(model.eval(), place))


def some_of(queries: Queries, *, seed: int = 0) -> Queries:
    """At most so many of the queries as are looked into, drawn by chance."""
    return queries.where(np.sort(np.random.default_rng(seed).permutation(len(queries))[:MOST_QUERIES]))


def _joined(chaining: PathIndex, sets: Sequence[Queries]) -> Queries:
    """Some of the queries of several sets."""
    head, relations = (np.concatenate([getattr(q, name) for q in sets]) for name in ("head", "relations"))
    return some_of(chaining.answers(head.astype(np.int64), relations.astype(np.int64)))
