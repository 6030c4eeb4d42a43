"""The sections of a run's settings, one for each stage.

Counts are `int`, shares and rates are `float`. A section refuses a name that it does not know.
"""

from typing import Any, Literal

from pydantic import Field, field_validator

from grokhop.config.budget import Budget
from grokhop.config.models import LoopConfig, ModelConfig
from grokhop.config.sections import section

MOST_HOPS = 8
"""Cells are made for every pattern of held-out hops, of which there are two to the power of the hops."""
Control = Literal["none", "no-chains", "shuffled-ends", "no-heldout-facts", "permuted-heldout"]
"""What a run trains instead, to tell what a model's accuracy rests on."""


@section
class AugmentConfig:
    """How facts are added to a graph (`grokhop.augmentation`)."""

    target_phi: float = Field(default=6.25, gt=0, allow_inf_nan=False)
    """The phi that every relation should reach."""
    source: str = "graph"
    """Sources in their order, with commas: graph, gazetteer, llm, wrong, or one of another package."""
    corrupt_fraction: float | None = Field(default=None, ge=0, le=1)
    """Share of the added facts that is made false on purpose."""
    seed: int = 0
    """Another seed adds other facts."""
    max_degree: int | None = Field(default=None, ge=1)
    """Facts that an entity may get in each direction; the target if left out. More need fewer facts."""
    new_cities: int = Field(default=0, ge=0)
    """Unknown cities that 'gazetteer' adds to be compared."""


@section
class TaskConfig:
    """What is trained and what is asked (`grokhop.tasks`)."""

    hops: int = Field(default=2, ge=2, le=MOST_HOPS)
    """Longest chain that is trained."""
    extra_hops: int = Field(default=1, ge=1)
    """How many hops longer than trained the longest chain is that is asked."""
    phi: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Inferred facts of each length that are trained for each trainable atomic fact; all if 0."""
    compare: bool = True
    """Whether comparisons are trained too, where the graph's questions compare."""
    supervision: Literal["every_hop", "answer"] = "every_hop"
    """`every_hop` gives every position of a row its target, `answer` the last one alone, as published."""
    control: Control = "none"
    """`no-chains` composes nothing, and trains facts on their own alone. `shuffled-ends` permutes the ends of trained
    compositions, and answers of comparisons, and leaves facts as they are. `no-heldout-facts` leaves held-out facts out
    of training. `permuted-heldout` permutes their tails within each relation, and asks for the new truth. What is asked
    is that of `none`, but for the facts that are permuted."""


@section
class OptimizerConfig:
    """Which optimizer, and its rates (`grokhop.training.optimizers`)."""

    name: str = "muon"
    """`muon` for matrices inside the block and AdamW for all else; `adamw`, `grokfast` or `orthograd` for all."""
    muon_lr: float = Field(default=0.02, gt=0, le=10, allow_inf_nan=False)
    """Learning rate of the matrices inside the block."""
    muon_decay: float = Field(default=0.3, ge=0, le=100, allow_inf_nan=False)
    """Weight decay of the matrices inside the block."""
    adam_lr: float = Field(default=0.006, gt=0, le=10, allow_inf_nan=False)
    """Learning rate of embeddings and gains, or of all weights where there is no Muon."""
    adam_decay: float = Field(default=0.0, ge=0, le=100, allow_inf_nan=False)
    """Weight decay under AdamW."""
    adam_beta2: float = Field(default=0.95, ge=0, lt=1, allow_inf_nan=False)
    """AdamW's decay of the squared gradients."""


@section
class ScheduleConfig:
    """How the learning rate moves (`grokhop.training.lr_schedule`)."""

    warmup_steps: int = Field(default=50, ge=1)
    """Over so many steps the learning rate rises from zero."""
    full_lr_steps: int = Field(default=100, ge=0)
    """After so many steps the learning rate decays as 1 / sqrt(step); 0 to keep it constant."""
    cooldown: bool = True
    """Whether the learning rate falls to zero in the end. Without, training ends as soon as targets are reached."""
    cooldown_at: float = Field(default=0.8, ge=0, le=1, allow_inf_nan=False)
    """The cool-down begins when all validation accuracies have come to this share of their targets."""
    cooldown_share: float = Field(default=0.5, ge=0, le=100, allow_inf_nan=False)
    """The cool-down lasts for this share of the steps taken until then."""
    cooldown_steps: int = Field(default=300, ge=1)
    """The cool-down lasts for at least so many steps."""


@section
class TrainConfig:
    """How one model is trained (`grokhop.training`)."""

    batch_size: int = Field(default=512, ge=2, le=1_000_000)
    """Rows of each step."""
    mixing: Literal["by_kind", "by_row"] = "by_kind"
    """`by_kind` gives each kind of row its share of a batch; `by_row` makes all rows as frequent, as published."""
    fact_share: float = Field(default=0.0, ge=0, le=0.95)
    """Share of facts on their own in a batch mixed by kind; 0 looks each up as often as facts in chains are."""
    packing: bool = True
    """Whether facts on their own stand several in a row, where batches are mixed by kind."""
    loss: str = "softmax"
    """`softmax`, or `stablemax` (`grokhop.training.losses`)."""
    ema_steps: int = Field(default=100, ge=0)
    """Over about how many steps the weights are averaged that are evaluated and kept; 0 for the last ones alone."""
    evaluate_every: int = Field(default=50, ge=1)
    """Steps between evaluations on the validation queries."""
    checkpoints_per_decade: int = Field(default=0, ge=0)
    """Sets of weights kept for each tenfold of steps, for `grokhop explain` to see how they came about."""
    id_target: float = Field(default=0.99, ge=0, allow_inf_nan=False)
    """Validation accuracy in distribution that, with the other reached after the decay, ends the training."""
    ood_target: float = Field(default=0.96, ge=0, allow_inf_nan=False)
    """The same out of distribution. With thirty queries, one missed must not keep a model in training."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """`bfloat16` computes activations so, with weights in float32; for machines that have units for it."""


@section
class ResourceConfig:
    """With how much and on what a run is trained. None of it changes what is learned, but for rounding."""

    seeds: int = Field(default=1, ge=1)
    """Models to train, with seeds 0, 1, ..."""
    budget: str = "10m"
    """At most this for each seed: 90s, 5m, 1h or '2000 steps'."""
    threads: int | None = Field(default=None, ge=1)
    """Threads among which the rows of a step are shared out; all cores if left out."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where models are computed, from training to explanation; `auto` takes cuda where there is one, else the cpu."""

    @field_validator("budget")
    @classmethod
    def _is_a_budget(cls, text: str) -> str:
        Budget.parse(text)
        return text


@section
class RunConfig:
    """All settings of a run. Its folder keeps them whole as `config.yaml`."""

    preset: str = "loop"
    """The preset that the settings began with."""
    augment: AugmentConfig | None = None
    """How the graph was augmented, if it was."""
    task: TaskConfig = Field(default_factory=TaskConfig)
    model: ModelConfig = Field(default_factory=LoopConfig)
    optimizer: OptimizerConfig = Field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = Field(default_factory=ScheduleConfig)
    train: TrainConfig = Field(default_factory=TrainConfig)
    resources: ResourceConfig = Field(default_factory=ResourceConfig)

    @property
    def budget(self) -> Budget:
        """The most that a seed may take."""
        return Budget.parse(self.resources.budget)

    def trains_as(self, other: "RunConfig") -> bool:
        """Tell whether both train the same, whatever the preset was called and the resources are."""
        return all(getattr(self, name) == getattr(other, name) for name in LEARNED)


LEARNED = ("task", "model", "optimizer", "schedule", "train")
"""The sections that decide what is learned."""


def sections() -> dict[str, type[Any]]:
    """Return the class of each section of a run's settings by its name."""
    return {
        "augment": AugmentConfig,
        "task": TaskConfig,
        "model": ModelConfig,
        "optimizer": OptimizerConfig,
        "schedule": ScheduleConfig,
        "train": TrainConfig,
        "resources": ResourceConfig,
    }
