"""Scale: seconds and memory until graphs of more and more facts are grokked, and the exponent with which they grow.

The preset `loop`, trained as `grokhop train` trains it, on graphs drawn by chance as Wang et al. (2024) draw theirs:
ten entities for each relation, up to their 200. Each training is a program of its own (`python -m
grokhop.bench.scale`), so that its memory is its own.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from grokhop.bench.clock import GIB, SECONDS, Quantity, peak_memory, result, row_of
from grokhop.bench.rows import BenchResult, ScaleRow
from grokhop.core.errors import InputError
from grokhop.datasets import synthetic

SIZES = (1_600, 5_000, 20_000, 80_000)
OUT_DEGREE = 10
PER_RELATION, MOST_RELATIONS = 10, 200
ASKED = 2000
"""Test queries of each cell, at most."""
QUANTITIES = {
    "ood_seconds": Quantity(name="to 95 % of OOD"),
    "seconds": Quantity(name="to the end"),
    "ii": Quantity(name="test accuracy II", unit="share", more_is_better=True),
    "oo": Quantity(name="test accuracy OO", unit="share", more_is_better=True),
    "memory": Quantity(name="peak memory", unit="GiB"),
}
"""By the names of what is found of a seed."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What the training of a seed came to.

    Attributes:
        ood_seconds: to 95 % of validation's OOD queries; None where they were not reached.
        ii, oo: test accuracies of the cells II and OO; None of no queries.
        memory: GiB of its program; None before that has ended.
    """

    ood_seconds: float | None
    seconds: float
    steps: int
    ii: float | None
    oo: float | None
    memory: float | None = None


def bench_scale(
    *,
    sizes: Sequence[int] = SIZES,
    out_degree: int = OUT_DEGREE,
    changes: Sequence[str] = (),
    seeds: int = 3,
    limit: float = 1800.0,
    threads: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> BenchResult:
    """Train on a graph of each size, seed after seed.

    Args:
        changes: of the preset's settings, as `NAME=VALUE`.
        limit: seconds of training, after which it comes to an end as it is.
        threads: all cores if 0.

    Returns:
        `rows`: of each size the seconds to 95 % of validation's OOD queries, the seconds to the end, the test
        accuracies then and the peak memory; `exponents`: of those seconds over the number of facts, where there are
        two sizes.

    Raises:
        InputError: there is no such graph, or no such setting.
    """
    for facts in sizes:
        _drawn(facts, out_degree)  # refuses before anything is trained
    rows: list[ScaleRow] = []
    for facts in sizes:
        found = []
        for seed in range(seeds):
            found.append(_trained(facts, out_degree, seed, limit, threads, changes))
            say(f"{facts:,} facts, seed {seed}: {found[-1]}")
        told = "; ".join([_words(facts, out_degree), *changes, f"{seeds} seeds, at most {limit:g} s each"])
        rows += [_row(facts, key, found, limit, told) for key in QUANTITIES]
    return result(rows, exponents=exponents(rows))


def _row(facts: int, key: str, found: Sequence[Trained], limit: float, told: str) -> ScaleRow:
    values = [getattr(seed, key) for seed in found]
    late = values.count(None)
    row = row_of(
        QUANTITIES[key],
        "grokhop, loop",
        values,
        reached=not late,
        ours=None,
        limit=limit,
        note=f"not reached in {limit:g} s by {late} of {len(values)}" if late else "",
        conditions=told,
    )
    return ScaleRow(**vars(row), facts=facts)


def exponents(rows: Sequence[ScaleRow]) -> dict[str, float]:
    """Of each quantity in seconds, by least squares over the logarithms of the medians of all sizes."""
    found: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        if row.unit == SECONDS and row.median:
            found.setdefault(row.name, []).append((row.facts, row.median))
    several = {what: np.log(points).T for what, points in found.items() if len(points) > 1}
    return {what: round(float(np.polyfit(facts, seconds, 1)[0]), 3) for what, (facts, seconds) in several.items()}


def _drawn(facts: int, out_degree: int) -> synthetic.Composition:
    entities = round(facts / out_degree)
    if entities * out_degree != facts:
        raise InputError(f"--facts {facts}: {out_degree} facts begin at each entity, so give a multiple of that")
    relations = max(2 * out_degree, min(MOST_RELATIONS, entities // PER_RELATION))
    return synthetic.Composition(entities=entities, relations=relations, out_degree=out_degree)


def _words(facts: int, out_degree: int) -> str:
    drawn = _drawn(facts, out_degree)
    return f"{facts:,} facts, {drawn.entities:,} entities, {drawn.relations} relations, out-degree {out_degree}"


def _trained(facts: int, out_degree: int, seed: int, limit: float, threads: int, changes: Sequence[str]) -> Trained:
    """What `train_one` finds, with the memory of its program in GiB."""
    arguments = [str(n) for n in (facts, out_degree, seed, limit, threads)]
    spent = peak_memory([sys.executable, "-m", "grokhop.bench.scale", *arguments, *changes])
    return Trained(**{**json.loads(spent.output), "memory": spent.memory / GIB})


def train_one(facts: int, out_degree: int, seed: int, limit: float, threads: int, changes: Sequence[str]) -> Trained:
    """Train one seed until validation is answered, and ask the test queries once."""
    import torch

    from grokhop.config import Budget, preset
    from grokhop.core.statistics import Score
    from grokhop.inference.predict import are_right
    from grokhop.runs.metrics import summary
    from grokhop.tasks.dataset import build_dataset
    from grokhop.training.trainer import Trainer

    torch.set_num_threads(threads or torch.get_num_threads())
    settings = preset("loop", compare=False, changes=changes)
    dataset = build_dataset(synthetic.draw(_drawn(facts, out_degree)), settings.task)
    with TemporaryDirectory() as folder:
        trainer = Trainer(dataset, settings, seed=seed, folder=Path(folder) / "seed")
        trainer.run(Budget(seconds=limit))
    ood = summary(trainer.looks).grok["ood_95"]
    accuracy = {}
    for cell in ("II", "OO"):
        queries = dataset.test[2][cell]
        some = queries.where(np.arange(min(ASKED, len(queries))))
        accuracy[cell] = Score.of(are_right(trainer.average.model, dataset.vocabulary, some)).accuracy
    return Trained(
        ood_seconds=None if ood is None else ood.seconds,
        seconds=trainer.seconds,
        steps=trainer.step,
        ii=accuracy["II"],
        oo=accuracy["OO"],
    )


if __name__ == "__main__":
    size, degree, its_seed, most, many, *wanted = sys.argv[1:]
    print(json.dumps(asdict(train_one(int(size), int(degree), int(its_seed), float(most), int(many), wanted))))
