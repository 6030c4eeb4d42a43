"""Where the time of a training step goes: `python scripts/profile_step.py --vocabulary 2200 --set model.d_model=256`.

The preset `loop` on a graph drawn by chance, as `grokhop bench train` trains it, under torch's profiler: on one thread,
since the profiler sees no other than the one it was begun on.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch.profiler import profile

from grokhop.bench.throughput import drawn
from grokhop.config import preset
from grokhop.tasks.dataset import build_dataset
from grokhop.training.trainer import Trainer

KINDS = {
    "matrix products": ("mm",),
    "softmax and its gradient": ("softmax", "logsumexp"),
    "gathering and scattering": ("index", "embedding", "gather", "scatter", "cat"),
    "copying and filling": ("copy", "fill", "zero", "clone", "empty"),
}
"""A kind of operation: what its name at torch has in it."""


def main(
    vocabulary: int = 2200,
    steps: int = 10,
    changes: Annotated[list[str] | None, typer.Option("--set", metavar="SECTION.NAME=VALUE")] = None,
) -> None:
    torch.set_num_threads(1)
    settings = preset("loop", compare=False, changes=changes or [])
    with TemporaryDirectory() as folder:
        trainer = Trainer(
            build_dataset(drawn(vocabulary), settings.task), settings, seed=0, folder=Path(folder) / "seed"
        )
        for _ in range(3):  # the first are slower
            trainer.take_step()
        with profile() as learning:
            for _ in range(steps):
                trainer.backward()
        with profile() as moving:
            for _ in range(steps):
                for optimizer in trainer.optimizers:
                    optimizer.step()
    table = Table("part", "kind", "ms a step", title=f"{vocabulary:,} tokens, one thread, {steps} steps")
    for part, seen in (("gradients", learning), ("optimizers", moving)):
        for kind, spent in _by_kind(seen).items():
            table.add_row(part, kind, f"{spent / steps:.1f}")
    Console().print(table)


def _by_kind(seen: profile) -> dict[str, float]:
    """Milliseconds, of all steps together, that operations themselves took, the longest first."""
    spent: dict[str, float] = {}
    for row in seen.key_averages():
        kind = next((kind for kind, names in KINDS.items() if any(name in row.key for name in names)), "all others")
        spent[kind] = spent.get(kind, 0.0) + row.self_cpu_time_total / 1e3
    return dict(sorted(spent.items(), key=lambda item: -item[1]))


if __name__ == "__main__":
    typer.run(main)
