"""Train variants of the loop, one change each, on one graph and print a table: what each ingredient is worth.

    python scripts/ablate.py GRAPH --seeds 3 --budget 90s --variants loop add carry adamw

The numbers are accuracies on *validation* queries and questions, since variants are compared in order to choose; every
variant has the same data, seeds and budget.
"""

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import torch
from torch import Tensor

from grokhop.config import Budget, RunConfig, changed, preset
from grokhop.evaluation.questions import score_questions
from grokhop.graph.graph import Graph
from grokhop.inference.predict import are_right
from grokhop.models.base import ReadOut
from grokhop.models.looped import LoopTransformer
from grokhop.runs.metrics import summary as summarize
from grokhop.tasks.composition import Compositions, cell_name, compose
from grokhop.tasks.dataset import TaskDataset, worded
from grokhop.tasks.encoding import NEVER_DUE, NO_TARGET, stack
from grokhop.training.batching import Mixed
from grokhop.training.trainer import Trainer


class Added(LoopTransformer):
    """The expected embedding is added to the relation's own instead of standing in its place."""

    def reembed(self, token_N: Tensor, h_ND: Tensor, logits_NV: Tensor) -> Tensor:
        return self.embedding(token_N) + self.re_embed(logits_NV)


class Carried(LoopTransformer):
    """The block's output goes into the next loop as it is, without read-out and re-embedding."""

    def reembed(self, token_N: Tensor, h_ND: Tensor, logits_NV: Tensor) -> Tensor:
        return h_ND


class Plain(LoopTransformer):
    """Every position is due after the first loop: a plain decoder of as many layers as the block has."""

    def forward(self, tokens: Tensor, read_at: Tensor) -> list[ReadOut]:
        return super().forward(tokens, read_at.clamp(NEVER_DUE, 1))


class LastOnlyBatches(Mixed):
    """Only the end of a chain or a comparison is supervised, and facts on their own; prefixes are not."""

    def of_step(self, step: int) -> list[list[Tensor]]:
        return [[tokens, read_at, self._ends(read_at, targets)] for tokens, read_at, targets in super().of_step(step)]

    def _ends(self, read_at: Tensor, targets: Tensor) -> Tensor:
        return targets.where(read_at == read_at.amax(1, keepdim=True), NO_TARGET)


class LastOnlyTrainer(Trainer):
    """Trains without supervision of prefixes."""

    def __init__(self, dataset: TaskDataset, settings: RunConfig, *, seed: int, folder: Path) -> None:
        super().__init__(dataset, settings, seed=seed, folder=folder)
        self.batches = LastOnlyBatches(dataset, settings.train.batch_size, seed)


class FactsOnlyTrainer(Trainer):
    """Comparisons are learned from those of facts alone."""

    def __init__(self, dataset: TaskDataset, settings: RunConfig, *, seed: int, folder: Path) -> None:
        dataset = replace(dataset, operands=stack([]))
        super().__init__(dataset, settings, seed=seed, folder=folder)


def _set(*changes: str) -> Callable[[RunConfig], RunConfig]:
    return lambda settings: changed(settings, changes)


def _plain(layers: int) -> Callable[[RunConfig], RunConfig]:
    return _set(f"model.n_layers={layers}")


def _adamw(settings: RunConfig) -> RunConfig:
    return _set("optimizer.name=adamw", "optimizer.adam_lr=1e-3", "optimizer.adam_decay=0.1")(settings)


Change = Callable[[RunConfig], RunConfig]
VARIANTS: dict[str, tuple[str, type[Trainer], type[LoopTransformer], Change]] = {
    "loop": ("the loop as it is", Trainer, LoopTransformer, lambda s: s),
    "add": ("re-embedding added to the relation", Trainer, Added, lambda s: s),
    "carry": ("no re-embedding: state carried on", Trainer, Carried, lambda s: s),
    "last-only": ("no prefix supervision", LastOnlyTrainer, LoopTransformer, lambda s: s),
    "adamw": ("AdamW alone, no Muon", Trainer, LoopTransformer, _adamw),
    "plain-2": ("plain decoder, 2 layers, Muon", Trainer, Plain, _plain(2)),
    "plain-8": ("plain decoder, 8 layers, Muon", Trainer, Plain, _plain(8)),
    "plain-8-adamw": ("plain decoder, 8 layers, AdamW", Trainer, Plain, lambda s: _adamw(_plain(8)(s))),
    "unpacked": ("facts on their own in rows of their own", Trainer, LoopTransformer, _set("train.packing=false")),
    "unaveraged": ("last weights looked at, cool-down from the targets", Trainer, LoopTransformer,
                   _set("train.ema_steps=0", "schedule.cooldown_at=1.0")),
    "muon-0.01": ("Muon rate 0.01", Trainer, LoopTransformer, _set("optimizer.muon_lr=0.01")),
    "cool-100": ("cool-down of 100 steps", Trainer, LoopTransformer, _set("schedule.cooldown_steps=100")),
    "adam-0.003": ("AdamW rate 0.003 for embeddings", Trainer, LoopTransformer, _set("optimizer.adam_lr=0.003")),
    "adam-0.01": ("AdamW rate 0.01 for embeddings", Trainer, LoopTransformer, _set("optimizer.adam_lr=0.01")),
    "wide": ("192 wide", Trainer, LoopTransformer, _set("model.d_model=192")),
    "heads-4": ("4 attention heads", Trainer, LoopTransformer, _set("model.n_heads=4")),
    "decay-0.1": ("weight decay 0.1", Trainer, LoopTransformer, _set("optimizer.muon_decay=0.1")),
    "no-operands": ("comparisons of facts only, no operands", FactsOnlyTrainer, LoopTransformer, lambda s: s),
    "narrow": ("64 wide", Trainer, LoopTransformer, _set("model.d_model=64")),
}  # fmt: skip


def run(
    name: str, graphs: tuple[Graph, Graph], dataset: TaskDataset, made: Compositions, seed: int, budget: Budget
) -> dict[str, float | None]:
    """Train one variant under one seed and return its validation accuracies and times.

    Args:
        graphs: the graph as it was given, and as it is trained.
    """
    _, trainer_class, model_class, change = VARIANTS[name]
    settings = change(preset("loop"))

    class Variant(trainer_class):  # type: ignore[valid-type, misc]  # one of the classes above
        def make_model(self) -> LoopTransformer:
            return model_class(self.settings.model, vocabulary=self.dataset.vocabulary.size)

    with tempfile.TemporaryDirectory() as folder:
        trainer = Variant(dataset, settings, seed=seed, folder=Path(folder))
        trainer.run(budget)
    summary = summarize(trainer.looks)
    result: dict[str, float | None] = {
        "train": summary.validation["train"],
        "steps": summary.steps,
        "seconds": summary.train_seconds,
        **{time: None if when is None else when.seconds for time, when in summary.grok.items()},
    }
    for k, by_cell in made.cells["validation"].items():
        for pattern in ([False] * k, [True] * k):
            right = are_right(trainer.average.model, dataset.vocabulary, by_cell[cell_name(pattern)])
            result[f"{k} hops {'OOD' if pattern[0] else 'ID'}"] = float(np.mean(right)) if len(right) else None
    if trainer.looks[-1].compared is not None:
        result["comparisons"] = trainer.looks[-1].compared
    plain, graph = graphs
    by_type = score_questions([trainer.average.model], graph, seeds=[seed], words=plain).values()
    asked = [cells["validation"] for cells in by_type if "validation" in cells]
    if asked:
        result["questions OOD"] = sum(s.score.correct for s in asked) / sum(s.score.n for s in asked)
    return result


def main() -> None:
    """Print one line for each run as it ends, then the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("graph", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", default="90s")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    plain = Graph.read(options.graph)
    graph, made = worded(plain, compare=True), compose(plain)
    dataset = TaskDataset.of(graph, made)
    rows = []
    for name in options.variants:
        results = []
        for seed in range(options.seeds):
            results.append(run(name, (plain, graph), dataset, made, seed, Budget.parse(options.budget)))
            print(name, seed, results[-1], flush=True)
        cells = [_cell([r[key] for r in results]) for key in results[0]]
        rows.append(f"| {VARIANTS[name][0]} | {' | '.join(cells)} |")
    print(f"\n| variant | {' | '.join(results[0])} |\n|{' --- |' * (len(results[0]) + 1)}")
    print("\n".join(rows))


def _cell(values: list[float | None]) -> str:
    """Mean and standard deviation; how often it was reached where it was not always."""
    known = [v for v in values if v is not None]
    if not known:
        return "never"
    digits = 3 if max(known) <= 1 else 0
    text = f"{mean(known):.{digits}f}" + (f" ± {stdev(known):.{digits}f}" if len(known) > 1 else "")
    return text if len(known) == len(values) else f"{text} ({len(known)} of {len(values)})"


if __name__ == "__main__":
    main()
