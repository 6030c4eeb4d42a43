"""The shape of a model, by its architecture. An architecture from another package brings a section of its own."""

from typing import Any, Literal

from pydantic import Field

from grokhop.config.sections import section
from grokhop.core.registry import Registry


@section
class ModelConfig:
    """What every architecture has."""

    architecture: str = "loop"
    """Name of a registered model: `recurrent`, `loop`, `gpt2`, `pretrained`, or one of another package."""
    d_model: int = Field(default=128, ge=1, le=65_536)
    """Width of the states."""
    n_heads: int = Field(default=8, ge=1, le=1_024)
    """Attention heads of each layer."""
    n_layers: int = Field(default=1, ge=0, le=1_024)
    """Layers in the block."""
    mlp_ratio: int = Field(default=4, ge=1, le=64)
    """Hidden units of a layer's MLP for each unit of width."""

    def __post_init__(self) -> None:
        if self.d_model % (2 * self.n_heads):
            raise ValueError(f"d_model must be a multiple of twice n_heads ({self.n_heads}), not {self.d_model}")
        if self.n_layers < self.fewest_layers():
            raise ValueError(f"n_layers must be at least {self.fewest_layers()}, not {self.n_layers}")

    @classmethod
    def fewest_layers(cls) -> int:
        """Return the fewest layers that make a model."""
        return 1

    def words(self) -> list[str]:
        """Describe the shape for people."""
        return [f"{self._layers()} of {self.architecture}", f"width {self.d_model}", f"{self.n_heads} heads"]

    def _layers(self) -> str:
        return f"{self.n_layers} layer" + "s" * (self.n_layers != 1)


@section
class LoopConfig(ModelConfig):
    """Iterated look-up, supervised hop by hop (`grokhop.models.looped`). All loops apply the same layers."""

    def words(self) -> list[str]:
        """Describe the shape for people."""
        return [f"{self._layers()} in the looped block", f"width {self.d_model}", f"{self.n_heads} heads"]


@section
class GPT2Config(ModelConfig):
    """A plain decoder (`grokhop.models.gpt2`)."""

    architecture: str = "gpt2"
    repeats: int = Field(default=1, ge=1, le=64)
    """How often the layers are applied, sharing their weights."""

    def words(self) -> list[str]:
        """Describe the shape for people."""
        repeated = [f"applied {self.repeats} times"] if self.repeats > 1 else []
        layers = f"{self._layers()} of a plain decoder"
        return [layers, *repeated, f"width {self.d_model}", f"{self.n_heads} heads"]


@section
class PretrainedConfig(ModelConfig):
    """A causal language model to begin with (`grokhop.models.pretrained`); its shape is its own."""

    architecture: str = "pretrained"
    n_layers: int = Field(default=0, ge=0)
    """So many of its first layers are kept, all if 0."""
    pretrained: str = ""
    """Name or folder of the causal language model."""
    random_init: bool = False
    """Begin with random weights of its shape."""

    @classmethod
    def fewest_layers(cls) -> int:
        """Return the fewest layers that make a model: 0 stands for all."""
        return 0

    def words(self) -> list[str]:
        """Describe the shape for people."""
        return [f"{self.pretrained}, {self._layers() if self.n_layers else 'all layers'}"]


@section
class RecurrentConfig(ModelConfig):
    """Composition that is learned from final answers (`grokhop.models.recurrent`)."""

    architecture: str = "recurrent"
    d_model: int = Field(default=64, ge=1, le=65_536)
    """Width of the states."""
    n_heads: int = Field(default=4, ge=1, le=1_024)
    """Attention heads of each layer."""
    fewest_loops: int = Field(default=2, ge=1, le=64)
    """In training the block is applied at least so often; how often is drawn for each batch."""
    most_loops: int = Field(default=4, ge=1, le=64)
    """In training the block is applied at most so often."""
    loops: int = Field(default=8, ge=1, le=64)
    """So often the block is applied to every question after training, whatever its length."""
    gate_bias: float = Field(default=-3.0, ge=-100, le=100)
    """At first the gate of what is said is the sigmoid of this: -3 is shut."""
    temperature: float = Field(default=1.0, gt=0, le=1_000)
    """Of what is said; higher says less surely."""
    reach: int = Field(default=2, ge=1, le=32)
    """Attention tells distances apart up to so many tokens, and all longer ones from these."""
    order: Literal["head_first", "relations_first", "answer_token"] = "head_first"
    """Whether the entity stands before its relations in the row or behind them, where the last relation is read out;
    `answer_token` puts a token of its own behind the row, where the answer is read."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.most_loops < self.fewest_loops:
            raise ValueError(f"most_loops must be at least fewest_loops ({self.fewest_loops}), not {self.most_loops}")

    def words(self) -> list[str]:
        """Describe the shape for people."""
        drawn = f"applied {self.fewest_loops} to {self.most_loops} times in training, {self.loops} times after it"
        return [f"{self._layers()} of a recurrent block, {drawn}", f"width {self.d_model}", f"{self.n_heads} heads"]


BUILT_IN: dict[str, type[ModelConfig]] = {
    "recurrent": RecurrentConfig,
    "loop": LoopConfig,
    "gpt2": GPT2Config,
    "pretrained": PretrainedConfig,
}

MODELS: Registry[Any] = Registry(
    "model",
    {
        "recurrent": "grokhop.models.recurrent:RecurrentTransformer",
        "loop": "grokhop.models.looped:LoopTransformer",
        "gpt2": "grokhop.models.gpt2:Gpt2",
        "pretrained": "grokhop.models.pretrained:Pretrained",
    },
    option="model.architecture",
)
"""Architectures: subclasses of `grokhop.models.base.Model`, each with its section as `Config`."""


def model_section(architecture: str) -> type[ModelConfig]:
    """Return the section of an architecture; a built-in one is known without importing its model.

    Raises:
        InputError: there is no such architecture.
    """
    if architecture in BUILT_IN:
        return BUILT_IN[architecture]
    found: type[ModelConfig] = MODELS.get(architecture).Config
    return found
