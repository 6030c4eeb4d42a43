"""GPT-2: the plain decoder that the papers train, every layer once, one read-out at the end.

Radford et al. 2019: learned absolute positions, pre-norm (LayerNorm), biases, GELU by its tanh formula, tied
embeddings. There is no dropout. With `repeats` the layers are applied again and again with shared weights, as in the
variant with parameter sharing of Wang et al. (2024).

Shapes: B rows, T positions, N read-outs, D width, H heads, V tokens.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grokhop.encode import GIVEN
from grokhop.model import Model, Point, ReadOut
from grokhop.settings import ModelSettings

POSITIONS = 32
"""More than the longest row: two branches of eight hops that are compared."""
INIT_STD = 0.02


class Layer(nn.Module):
    """Causal self-attention and a two-layer perceptron, each behind a LayerNorm and added to the residual stream."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        D = settings.width
        self.heads = settings.heads
        self.attention_norm, self.mlp_norm = nn.LayerNorm(D), nn.LayerNorm(D)
        self.query_key_value, self.output = nn.Linear(D, 3 * D), nn.Linear(D, D)
        self.up, self.down = nn.Linear(D, settings.mlp_ratio * D), nn.Linear(settings.mlp_ratio * D, D)
        self.residual, self.mixed, self.attended, self.thought = Point(), Point(), Point(), Point()

    def forward(self, x_BTD: Tensor) -> Tensor:
        return self.think(self.gather(x_BTD))

    def gather(self, x_BTD: Tensor) -> Tensor:
        """(B, T, D) states with what attention brings from other positions."""
        x_BTD = self.residual(x_BTD)
        return x_BTD + self.attended(self.attention(self.attention_norm(x_BTD)))

    def think(self, x: Tensor, row: Tensor | None = None, position: Tensor | None = None) -> Tensor:
        """(..., D) states with what the perceptron makes of each by itself; of all positions or of those named."""
        return x + self.thought(self.mlp(self.mlp_norm(x)), row, position)

    def attention(self, x_BTD: Tensor) -> Tensor:
        B, T, D = x_BTD.shape
        q_BHTK, k_BHTK, v_BHTK = self.query_key_value(x_BTD).view(B, T, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed_BHTK = F.scaled_dot_product_attention(q_BHTK, k_BHTK, v_BHTK, is_causal=True)
        return self.output(self.mixed(mixed_BHTK.transpose(1, 2)).reshape(B, T, D))

    def mlp(self, x: Tensor) -> Tensor:
        return self.down(F.gelu(self.up(x), approximate="tanh"))


class Gpt2(Model):
    """A decoder that is asked at the due positions, all after its last layer."""

    def __init__(self, settings: ModelSettings, *, vocabulary: int) -> None:
        super().__init__()
        self.settings = settings
        self.embedding = nn.Embedding(vocabulary, settings.width)
        self.position = nn.Embedding(POSITIONS, settings.width)
        self.layers = nn.ModuleList(Layer(settings) for _ in range(settings.layers))
        self.final_norm = nn.LayerNorm(settings.width)
        self._initialize()

    def _initialize(self) -> None:
        """As published: normal weights, smaller where they write to the residual stream, and no biases."""
        for name, weight in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(weight)
            elif weight.ndim == 2:
                writes = name.endswith(("output.weight", "down.weight"))
                nn.init.normal_(weight, std=INIT_STD / (2 * len(self.layers)) ** 0.5 if writes else INIT_STD)

    def forward(self, tokens: Tensor, due: Tensor) -> list[ReadOut]:
        row, position = torch.nonzero(due > GIVEN, as_tuple=True)
        *layers, last = [*self.layers] * self.settings.repeats
        x_BTD = self.embedding(tokens) + self.position.weight[: tokens.shape[1]]
        for layer in layers:
            x_BTD = layer(x_BTD)
        # What is not read out need not be thought about in the end: a third of the work of two layers.
        h_ND = last.think(last.gather(x_BTD)[row, position], row, position)
        return [ReadOut(1, row, position, self.read_out(h_ND))]
