"""All that can be set about a training run, and the presets that name a choice of it."""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from math import isfinite
from typing import Any, get_type_hints

from grokhop.core.errors import InputError

ARCHITECTURES = ("loop", "gpt2", "pretrained")
OPTIMIZERS = ("muon", "adamw", "grokfast", "orthograd")
LOSSES = ("softmax", "stablemax")
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """The shape of a model, apart from its vocabulary."""

    architecture: str = "loop"
    """`loop` (`grokhop.models.looped`), `gpt2` (`grokhop.models.gpt2`) or `pretrained`
    (`grokhop.models.pretrained`)."""
    d_model: int = 128
    n_heads: int = 8
    n_layers: int = 1
    """Layers in the block, which the loop applies as a whole in each loop."""
    mlp_ratio: int = 4
    repeats: int = 1
    """How often `gpt2` applies its layers, sharing their weights."""
    pretrained: str = ""
    """Name or folder of the causal language model that `pretrained` begins with, of whose layers the first `n_layers`
    are kept, all if 0; its shape is its own."""
    random_init: bool = False
    """Begin with random weights of the pretrained model's shape."""

    def __post_init__(self) -> None:
        _one_of("architecture", self.architecture, ARCHITECTURES)
        if self.d_model % (2 * self.n_heads):
            raise ValueError(f"d_model must be a multiple of twice n_heads ({self.n_heads}), not {self.d_model}")
        if self.n_layers < (self.architecture != "pretrained"):
            raise ValueError(f"n_layers must be at least 1, not {self.n_layers}")
        if self.repeats < 1 or (self.repeats > 1 and self.architecture != "gpt2"):
            raise ValueError(f"repeats must be 1, or more for the architecture 'gpt2', not {self.repeats}")

    def words(self) -> list[str]:
        """The shape for people."""
        layers = f"{self.n_layers} layer" + "s" * (self.n_layers != 1)
        if self.architecture == "pretrained":
            return [f"{self.pretrained}, {layers if self.n_layers else 'all layers'}"]
        ways = {"loop": f"{layers} in the looped block", "gpt2": f"{layers} of a plain decoder"}
        repeated = [f"applied {self.repeats} times"] if self.repeats > 1 else []
        return [ways[self.architecture], *repeated, f"width {self.d_model}", f"{self.n_heads} heads"]


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How one model is trained. Counts are `int`, shares and rates are `float`."""

    model: ModelSettings = field(default_factory=ModelSettings)
    hops: int = 2
    """Longest chain that is trained."""
    extra_hops: int = 1
    """How many hops longer than trained the longest chain is that is asked."""
    phi: float = 0.0
    """So many inferred facts of each length are trained for each trainable atomic fact; all if 0."""
    compare: bool = True
    """Whether comparisons are trained too, where the graph's questions compare."""
    prefixes: bool = True
    """Whether every position of a row is supervised, and facts on their own stand several in a row, and batches are
    mixed by kind. Without, as published, a row is one query with one answer, and each row as frequent as any other."""
    batch_size: int = 512
    optimizer: str = "muon"
    """`muon` for matrices inside the block and AdamW for all else; `adamw`, `grokfast` or `orthograd` for all."""
    muon_lr: float = 0.02
    """Learning rate of the matrices inside the block."""
    muon_decay: float = 0.3
    adam_lr: float = 0.006
    """Learning rate of embeddings and gains, or of all weights where there is no Muon."""
    adam_decay: float = 0.0
    adam_beta2: float = 0.95
    loss: str = "softmax"
    """`softmax`, or `stablemax` (`grokhop.training.losses`)."""
    warmup_steps: int = 50
    full_lr_steps: int = 100
    """After so many steps the rate falls with the square root of the steps; 0 to let it stay."""
    ema_steps: int = 100
    """Over about how many steps the weights are averaged that are looked at and kept (`grokhop.training.ema`); 0 for
    the last ones alone."""
    cooldown: bool = True
    """Whether the rate falls to zero in the end. Without, training ends as soon as the targets are reached."""
    cooldown_at: float = 0.8
    """The rate begins to fall when all validation accuracies have come to this share of their targets,"""
    cooldown_share: float = 0.5
    """over this share of the steps taken until then..."""
    cooldown_steps: int = 300
    """...but over at least so many."""
    evaluate_every: int = 50
    """Steps between looks at the validation queries."""
    checkpoints_per_decade: int = 0
    """How many sets of weights are kept for each tenfold of steps, for `grokhop explain` to see how they came about."""
    id_target: float = 0.99
    ood_target: float = 0.96
    """Validation accuracies that, reached together at rest, end the training. There may be no more than thirty OOD
    queries, and one missed must not keep a model in training."""
    precision: str = "float32"
    """`bfloat16` computes activations so, with weights in float32; for machines that have units for it."""

    def __post_init__(self) -> None:
        _one_of("optimizer", self.optimizer, OPTIMIZERS)
        _one_of("loss", self.loss, LOSSES)
        _one_of("precision", self.precision, PRECISIONS)
        for name in ("batch_size", "evaluate_every", "cooldown_steps", "warmup_steps", "extra_hops"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("checkpoints_per_decade", "ema_steps", "full_lr_steps"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0, not {getattr(self, name)}")
        if not 2 <= self.hops <= MOST_HOPS:
            raise ValueError(f"hops must be from 2 to {MOST_HOPS}, not {self.hops}")
        if self.phi < 0:
            raise ValueError(f"phi must be positive, or 0 for all inferred facts, not {self.phi}")

    @staticmethod
    def from_record(record: dict[str, Any]) -> "TrainSettings":
        """The settings that a manifest keeps as JSON."""
        return TrainSettings(**{**record, "model": ModelSettings(**record["model"])})


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}")


MOST_HOPS = 8
"""Cells are made for every pattern of held-out hops, of which there are two to the power of the hops."""

PUBLISHED = TrainSettings(
    model=ModelSettings(architecture="gpt2", d_model=128, n_heads=4, n_layers=3),
    prefixes=False,
    optimizer="adamw",
    adam_lr=1e-3,
    adam_decay=0.5,
    adam_beta2=0.98,
    warmup_steps=100,
    full_lr_steps=0,
    ema_steps=0,
    cooldown=False,
    evaluate_every=250,
)
"""What the papers train, at a size that groks a graph of some hundred facts in minutes of a CPU."""

PRESETS = {
    "loop": TrainSettings(),
    "toy": TrainSettings(model=ModelSettings(d_model=64), batch_size=256, evaluate_every=25, cooldown_steps=50),
    "paper": PUBLISHED,
    # 8 layers, 768 wide, 12 heads, batch 512, learning rate 5e-5, weight decay 1, bf16: as reported by Abramov et al.
    # (2025). They do not report a warm-up; it is that of Wang et al. (2024).
    "paper-full": replace(
        PUBLISHED,
        model=ModelSettings(architecture="gpt2", d_model=768, n_heads=12, n_layers=8),
        adam_lr=5e-5,
        adam_decay=1.0,
        adam_beta2=0.999,
        warmup_steps=2000,
        evaluate_every=1000,
        precision="bfloat16",
    ),
    "gpt2": replace(
        PUBLISHED, model=ModelSettings(architecture="pretrained", n_layers=0), adam_lr=1e-4, adam_decay=0.1
    ),
}


def preset(name: str, *, hops: int | None = None, compare: bool = True, changes: Iterable[str] = ()) -> TrainSettings:
    """Return the settings called `name`.

    Args:
        changes: any of them set anew, as `NAME=VALUE`; those of the model as `model.NAME=VALUE`.

    Raises:
        InputError: there is no such preset, no such number of hops, no such setting, or its value is wrong.
    """
    if name not in PRESETS:
        raise InputError(f"there is no preset {name!r}: choose one of {', '.join(PRESETS)}")
    if hops is not None and not 2 <= hops <= MOST_HOPS:
        raise InputError(f"--hops counts the facts of a chain and is from 2 to {MOST_HOPS}, not {hops}")
    settings = replace(PRESETS[name], compare=compare)
    settings = settings if hops is None else replace(settings, hops=hops)
    return changed(settings, changes)


def changed(settings: TrainSettings, changes: Iterable[str]) -> TrainSettings:
    """The settings with some set anew, each as `NAME=VALUE` or `model.NAME=VALUE`.

    Raises:
        InputError: there is no such setting, or its value is wrong.
    """
    changes, wanted = list(changes), {"": dict[str, Any](), "model": dict[str, Any]()}
    for change in changes:
        name, sign, text = change.partition("=")
        part, _, key = name.strip().rpartition(".")
        kinds = get_type_hints(ModelSettings if part == "model" else TrainSettings)
        if not sign or part not in wanted or key not in kinds or kinds[key] is ModelSettings:
            raise InputError(f"--set {change!r} sets nothing: write NAME=VALUE, where NAME is one of {setting_names()}")
        wanted[part][key] = _parsed(change, kinds[key], text.strip())
    try:
        # All at once: a width and its number of heads may only be right together.
        model = replace(settings.model, **wanted["model"])
        return replace(settings, model=model, **wanted[""])
    except ValueError as error:
        raise InputError(f"--set {' --set '.join(changes)}: {error}") from error


def changes(settings: TrainSettings, base: TrainSettings) -> list[str]:
    """What `changed` makes of `base` to be `settings`."""
    return [*_differences(settings, base, ""), *_differences(settings.model, base.model, "model.")]


def _differences(one: Any, other: Any, prefix: str) -> list[str]:
    names = [f.name for f in fields(one) if f.name != "model" and getattr(one, f.name) != getattr(other, f.name)]
    return [f"{prefix}{name}={getattr(one, name)}" for name in names]


def setting_names() -> str:
    """All settings, for people."""
    own = [f.name for f in fields(TrainSettings) if f.name != "model"]
    return ", ".join([*own, *(f"model.{f.name}" for f in fields(ModelSettings))])


def _parsed(change: str, kind: type, text: str) -> Any:
    """A value of a setting. A count is never read from '0.5' nor '7.2', which would pass for another number."""
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        return kind(text)
    except (ValueError, KeyError) as error:
        meant = {int: "a whole number", float: "a number", bool: "true or false"}[kind]
        raise InputError(f"--set {change!r}: the value must be {meant}") from error


@dataclass(frozen=True, kw_only=True)
class Budget:
    """When training ends at the latest: after so many seconds, so many steps, or whichever comes first."""

    seconds: float = float("inf")
    steps: float = float("inf")

    def __str__(self) -> str:
        return f"{self.seconds:g} s" if self.steps == float("inf") else f"{self.steps:g} steps"

    def record(self) -> dict[str, float]:
        """The limits that there are, for JSON, which knows no infinity."""
        return {unit: most for unit, most in asdict(self).items() if isfinite(most)}

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
