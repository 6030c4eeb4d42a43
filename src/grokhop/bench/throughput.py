"""Training throughput: supervised answers per second, and the share of the machine's matrix peak that they use.

The preset `loop` (one layer, applied twice) beside GPT-2 of the library transformers with two layers of the same width,
on the same graph and in batches of as many rows. Ours supervises every hop of a row, the recipe its last; each answer
that was trained on counts, and rows are told beside. The share of the peak is of the floating-point operations of the
matrix products forward and backward, counted by torch (those of an optimizer are not: Muon has many), over what this
machine does at most in a product of large matrices.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import torch
from torch.utils.flop_counter import FlopCounterMode

from grokhop.bench.clock import Contender, Quantity, alternate, matmul_peak, result
from grokhop.bench.reference_gpt2 import BATCH, Peer, Recipe, answers_per_row
from grokhop.bench.rows import BenchResult, BenchRow
from grokhop.config import preset
from grokhop.datasets import synthetic
from grokhop.graph.graph import Graph
from grokhop.tasks.dataset import build_dataset
from grokhop.tasks.vocabulary import Vocabulary
from grokhop.training.trainer import Trainer

WIDTHS, VOCABULARIES = (128, 256, 512), (2_000, 20_000)
RELATIONS, OUT_DEGREE = 200, 10
STEPS = 8
"""That are timed at once."""
ANSWERS = Quantity(name="supervised answers", unit="answers/s", more_is_better=True)
ROWS = Quantity(name="rows", unit="rows/s", more_is_better=True)
PEAK = Quantity(name="share of the matrix peak", unit="share", more_is_better=True)


def bench_train(
    *,
    widths: Sequence[int] = WIDTHS,
    vocabularies: Sequence[int] = VOCABULARIES,
    runs: int = 5,
    threads: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> BenchResult:
    """Measure both at each width and size of the vocabulary, in turn.

    Raises:
        InputError: transformers is not installed.
    """
    torch.set_num_threads(threads or torch.get_num_threads())
    peak = matmul_peak(torch.get_num_threads())
    rows: list[BenchRow] = []
    for size in vocabularies:
        graph = drawn(size)
        for width in widths:
            say(f"width {width}, vocabulary {size:,}")
            rows += _measured(graph, width, peak, runs)
    return result(rows, peak_gflops=peak)


def drawn(vocabulary: int) -> Graph:
    """A graph drawn by chance that takes so many tokens."""
    entities = vocabulary - RELATIONS
    return synthetic.draw(synthetic.Composition(entities=entities, relations=RELATIONS, out_degree=OUT_DEGREE))


def _measured(graph: Graph, width: int, peak: float, runs: int) -> Iterator[BenchRow]:
    vocabulary = Vocabulary.of(graph)
    told = f"width {width}, vocabulary {vocabulary.size:,}, batch {BATCH}, {torch.get_num_threads()} threads"
    with TemporaryDirectory() as folder:
        settings = preset("loop", compare=False, changes=[f"model.d_model={width}"])
        trainer = Trainer(build_dataset(graph, settings.task), settings, seed=0, folder=Path(folder) / "seed")
        # Made after ours, whose random state it must not disturb.
        peer = Peer(
            Recipe(width=width, layers=2), build_dataset(graph, preset("paper", compare=False).task), vocabulary
        )
        ours = partial(_pace, trainer, answers_per_row(trainer), peak)
        theirs = partial(_pace, peer, 1.0, peak)
        contenders = [
            Contender(name="grokhop, loop", call=ours, measures=True),
            Contender(name="GPT-2 of transformers, 2 layers", call=theirs, measures=True),
        ]
        yield from alternate(contenders, runs, quantities=(ANSWERS, ROWS, PEAK), conditions=told)


def _pace(learner: Trainer | Peer, answers_per_row: float, peak: float) -> tuple[float, float, float]:
    """Answers and rows per second and the share of the peak, over some steps after one that counts their operations."""
    counted = _operations(learner)
    start = perf_counter()
    for _ in range(STEPS):
        learner.take_step()
    seconds = (perf_counter() - start) / STEPS
    return answers_per_row * BATCH / seconds, BATCH / seconds, counted / seconds / (peak * 1e9)


def _operations(learner: Trainer | Peer) -> int:
    """Floating-point operations of a step's matrix products; the counter sees those of its own thread alone."""
    threads, learner.threads = learner.threads, 1
    with FlopCounterMode(display=False) as counter:
        learner.backward()
    learner.model.zero_grad()
    learner.threads = threads
    return counter.get_total_flops()
