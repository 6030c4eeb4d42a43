"""Sampling: distinct compositions of two facts drawn from a graph of any size, and checked for leakage.

It is what `grokhop.tasks.composition` does to make training rows, without the test cells, which are drawn once and are
few.
"""

import json
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

from grokhop.bench.graphs import Columns
from grokhop.graph.graph import Graph, Split
from grokhop.graph.paths import Longs, PathIndex
from grokhop.tasks.composition import ID_SHARE, Compositions, query_codes, split_codes
from grokhop.tasks.leakage import check_leakage

COMPOSITIONS = 1_000_000
HOLDOUT = 0.1
_SPARE = 1.25
"""Of what is drawn a tenth is held out, and some is drawn twice."""


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """How many compositions may be trained, how many queries are held out, what the leakage check compared."""

    compositions: int
    held_out_queries: int
    checked_pieces: int
    leaked: int
    seconds: float
    processor: float


def with_hold_out(graph: Graph) -> Graph:
    """A tenth of the pairs held out, by the hash of their numbers, a third of them for validation."""
    part = split_codes(query_codes(graph.head, graph.relation[:, None]), HOLDOUT)
    return replace(graph, part=part)


def sample(graph: Graph, most: int = COMPOSITIONS, *, seed: int = 0) -> Sampled:
    """Draw `most` distinct paths of two trainable facts whose queries are not held out, and check them.

    Where the graph has fewer, they are all.

    Raises:
        InputError: the check found leakage.
    """
    start, worked = perf_counter(), process_time()
    chaining, trainable = PathIndex(graph), graph.part == Split.TRAIN
    paths = chaining.paths([trainable] * 2, limit=round(most * _SPARE), rng=np.random.default_rng(seed))
    held_out = split_codes(query_codes(graph.head[paths[:, 0]], graph.relation[paths]), ID_SHARE) != Split.TRAIN
    trained = paths[~held_out]
    if len(trained) > most:
        trained = trained[np.sort(np.random.default_rng(seed).choice(len(trained), most, replace=False))]
    made = _compositions(graph, chaining, trained, paths[held_out])
    checked = check_leakage(graph, made)
    return Sampled(
        compositions=len(trained),
        held_out_queries=len(made.cells["test"][2]["II"]),
        checked_pieces=checked["leak_checked_pieces"],
        leaked=checked["leaked_facts"] + checked["leaked_queries"],
        seconds=perf_counter() - start,
        processor=process_time() - worked,
    )


def _compositions(graph: Graph, chaining: PathIndex, trained: Longs, held_out: Longs) -> Compositions:
    return Compositions(
        chains=trained,
        atomic=np.empty(0, np.int64),
        cells={"test": {2: {"II": chaining.queries(held_out)[0]}}},
        facts=len(graph),
        tested=np.empty(0, np.uint64),
        counts={},
    )


def main() -> None:
    folder, most = sys.argv[1:]
    graph = with_hold_out(Columns.read(Path(folder)).graph())
    sys.stdout.write(json.dumps(asdict(sample(graph, int(most)))) + "\n")


if __name__ == "__main__":
    main()
