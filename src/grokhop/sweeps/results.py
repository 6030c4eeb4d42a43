"""What came of a sweep: a row for each contender and level, and the smallest level that was enough."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from grokhop.core.artifacts import conditions
from grokhop.core.statistics import CellScore
from grokhop.graph.graph import Graph, Split
from grokhop.graph.paths import NO_FACT, Longs
from grokhop.runs.evaluation import Cells, EvalResult
from grokhop.runs.metrics import ENOUGH_OOD_QUERIES, GROKKED
from grokhop.runs.run import Run
from grokhop.runs.sweep import Place, Sweep
from grokhop.runs.sweep_result import Failure, RelationRow, SweepResult, SweepRow
from grokhop.tasks.comparison import is_comparable
from grokhop.tasks.composition import Compositions, cell_name

ENOUGH = 0.95
"""Test accuracy from which on a level was enough."""
COMPARISONS = "comparisons"


def row_of(run: Run, level: str, evaluation: EvalResult) -> SweepRow:
    """What came of one run.

    Args:
        evaluation: of its test queries (`grokhop.evaluation.evaluate`).
    """
    dataset, trainable = run.dataset, run.manifest["composed"]["trainable_facts"]
    trained = dataset.trained(comparable=is_comparable(run.graph))
    longest = run.settings.task.hops
    cells = {hops: by_cell for hops, by_cell in evaluation.cells.items() if int(hops) <= longest}
    asked = {name: _asked(evaluation, cells, name) for name in ("id", "ood")}
    summaries = [run.summary(seed) for seed in run.finished_seeds()]
    return SweepRow(
        level=level,
        phi=run.settings.task.phi or _composed(dataset.counts) / trainable,
        trained=trained,
        trainable_facts=trainable,
        seeds=run.finished_seeds(),
        id=asked["id"][1],
        ood=asked["ood"][1],
        asked={name: kind for name, (kind, _) in asked.items()},
        cells=cells,
        untrained={hops: by_cell for hops, by_cell in evaluation.cells.items() if int(hops) > longest},
        comparison=evaluation.comparison,
        questions=evaluation.questions,
        grok={name: [found.grok[name] for found in summaries] for name in GROKKED},
        train_seconds=[*evaluation.train_seconds],
        steps=[found.steps for found in summaries],
        per_relation=_per_relation(run, dataset.compositions, evaluation),
    )


def _composed(counts: Mapping[str, int]) -> int:
    """How many inferred facts are trained; where a control trains none, how many would be, beside which it stands."""
    kinds = (("trained_2_hops", "left_out_2_hops"), ("comparison_rows", "left_out_comparison_rows"))
    found = (sum(counts.get(name, 0) for name in names) for names in kinds)
    return next((n for n in found if n), 0)


def _asked(evaluation: EvalResult, cells: Cells, name: str) -> tuple[str, CellScore]:
    """What tells how well a model does in or out of distribution, and its score.

    Queries of trainable facts, or of held-out facts alone, of all trained lengths. Where a question of the graph asks
    what a query would, or nothing is composed, these may be too few: then the questions, or what is compared. All
    levels are asked the same, so this never differs among them.
    """
    queries = [by_cell[cell_name([name == "ood"] * int(hops))] for hops, by_cell in cells.items()]
    questions = [by_cell[name].score for by_cell in evaluation.questions.values() if name in by_cell]
    scores = {
        "queries": CellScore.pooled(queries),
        "questions": CellScore.pooled(questions),
        COMPARISONS: CellScore.pooled([evaluation.comparison[name].score]),
    }
    enough = (kind for kind, score in scores.items() if score.n >= ENOUGH_OOD_QUERIES)
    kind = next(enough, max(scores, key=lambda kind: scores[kind].n))
    return kind, scores[kind]


def _per_relation(run: Run, made: Compositions, evaluation: EvalResult) -> list[RelationRow]:
    """Of each relation its own phi of two hops, and the scores of two-hop queries that use it at any hop."""
    graph = run.plain_graph
    uses = uses_of_relations(graph, two_hops(made, prefixes=run.settings.task.supervision == "every_hop"))
    facts = np.bincount(graph.relation[graph.part == Split.TRAIN], minlength=len(graph.relations))
    scored = {row.relation: row.any_hop for row in evaluation.per_relation}
    return [
        RelationRow(
            relation=label,
            trainable_facts=int(facts[r]),
            trained=int(uses[r]),
            phi=float(uses[r] / facts[r]) if facts[r] else None,
            id=scored[label]["II"],
            ood=scored[label]["OO"],
        )
        for r, label in enumerate(graph.relations)
        if facts[r] or any(score.n for score in scored[label].values())
    ]


def two_hops(made: Compositions, *, prefixes: bool) -> Longs:
    """(P, 2) the distinct paths of two facts that are trained: as rows, or also as the beginnings of longer ones."""
    chains = made.chains
    if not prefixes and chains.shape[1] > 2:
        chains = chains[chains[:, 2] == NO_FACT]
    pairs = chains[:, :2]
    return np.unique(pairs[(pairs != NO_FACT).all(axis=1)], axis=0)


def uses_of_relations(graph: Graph, pairs: Longs) -> NDArray[np.int64]:
    """(R,) how many of the (P, 2) paths use each relation; one that is used twice counts once."""
    first, second = graph.relation[pairs].T
    counts = [np.bincount(column, minlength=len(graph.relations)) for column in (first, second[second != first])]
    return counts[0] + counts[1]


def thresholds(rows: Sequence[SweepRow]) -> dict[str, float | None]:
    """The smallest phi at which the mean over seeds is enough, in and out of distribution; None where none is."""
    return {name: min((row.phi for row in rows if _is_enough(row.score(name))), default=None) for name in ("id", "ood")}


def _is_enough(score: CellScore) -> bool:
    return score.accuracy is not None and score.accuracy >= ENOUGH


def result_of(sweep: Sweep, rows: dict[Place, SweepRow], failed: list[Failure]) -> SweepResult:
    """The content of `sweep.json`; a run of which no seed has ended has no row."""
    contenders = {
        name: [rows[place] for place in sweep.places if place.contender == name and place in rows]
        for name in sweep.contenders
    }
    return SweepResult(
        graph=sweep.manifest["graph"],
        hops={name: settings.task.hops for name, settings in sweep.settings.items()},
        budget=sweep.manifest["budget"],
        contenders=contenders,
        thresholds={name: thresholds(of_contender) for name, of_contender in contenders.items()},
        failed=sorted(failed, key=lambda f: _order(sweep, f)),
        conditions=conditions(),
    )


def _order(sweep: Sweep, failure: Failure) -> tuple[int, int]:
    """In the order of the grid, asking the test queries last."""
    last = len(sweep.seeds) if failure.seed is None else failure.seed
    return sweep.places.index(Place(failure.contender, failure.level)), last
