"""All that can be set about a training run, and the presets that name a choice of it."""

import re
from dataclasses import dataclass, field, replace
from typing import Any

from grokhop.errors import InputError


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """The shape of a model, apart from its vocabulary."""

    width: int = 128
    heads: int = 8
    layers: int = 1
    """Layers in the block, which is applied as a whole in each loop."""
    mlp_ratio: int = 4

    def __post_init__(self) -> None:
        if self.width % (2 * self.heads):
            raise ValueError(f"width must be a multiple of twice the heads ({self.heads}), not {self.width}")


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How one model is trained. Counts are `int`, shares and rates are `float`."""

    model: ModelSettings = field(default_factory=ModelSettings)
    hops: int = 2
    """Longest chain that is trained."""
    compare: bool = True
    """Whether comparisons are trained too, where the graph's questions compare."""
    batch_rows: int = 512
    muon_rate: float = 0.02
    """Learning rate of the matrices inside the block."""
    adam_rate: float = 0.006
    """Learning rate of embeddings and gains."""
    muon_decay: float = 0.3
    warmup_steps: int = 50
    cooldown_share: float = 0.5
    """The rate falls to zero over this share of the steps taken until then..."""
    cooldown_steps: int = 100
    """...but over at least so many."""
    evaluate_every: int = 50
    """Steps between looks at the validation queries."""
    id_target: float = 0.99
    ood_target: float = 0.96
    """Validation accuracies that, reached together, begin the cool-down, after which training ends if they still hold.
    There may be no more than thirty OOD queries, and one missed must not keep a model in training."""

    def __post_init__(self) -> None:
        for name in ("hops", "batch_rows", "evaluate_every", "cooldown_steps", "warmup_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")

    @staticmethod
    def from_record(record: dict[str, Any]) -> "TrainSettings":
        """The settings that a manifest keeps as JSON."""
        return TrainSettings(**{**record, "model": ModelSettings(**record["model"])})


MOST_HOPS = 8
"""Cells are made for every pattern of held-out hops, of which there are two to the power of the hops."""

PRESETS = {
    "loop": TrainSettings(),
    "toy": TrainSettings(model=ModelSettings(width=64), batch_rows=256, evaluate_every=25, cooldown_steps=50),
}


def preset(name: str, *, hops: int | None = None, compare: bool = True) -> TrainSettings:
    """Return the settings called `name`.

    Raises:
        InputError: there is no such preset, or no such number of hops.
    """
    if name not in PRESETS:
        raise InputError(f"there is no preset {name!r}: choose one of {', '.join(PRESETS)}")
    if hops is not None and not 2 <= hops <= MOST_HOPS:
        raise InputError(f"--hops counts the facts of a chain and is from 2 to {MOST_HOPS}, not {hops}")
    settings = replace(PRESETS[name], compare=compare)
    return settings if hops is None else replace(settings, hops=hops)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """When training ends at the latest: after so many seconds, so many steps, or whichever comes first."""

    seconds: float = float("inf")
    steps: float = float("inf")

    def __str__(self) -> str:
        return f"{self.seconds:g} s" if self.steps == float("inf") else f"{self.steps:g} steps"

    @staticmethod
    def parse(text: str) -> "Budget":
        """Read '90s', '5m', '1h' or '2000 steps'.

        Raises:
            InputError: the text is none of these.
        """
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|h|steps?)\s*", text)
        if not match or float(match[1]) <= 0:
            raise InputError(f"--budget {text!r} is no budget: write 90s, 5m, 1h or '2000 steps'")
        amount, unit = float(match[1]), match[2]
        if unit.startswith("step"):
            return Budget(steps=max(1, int(amount)))
        return Budget(seconds=amount * {"s": 1, "m": 60, "h": 3600}[unit])
