"""The loop: one decoder block applied again and again, answering one hop each time.

After a loop, each position that is due is *read out* over the vocabulary and *re-embedded*: its state becomes the
expected embedding of the entity read out, softmax(logits) @ E with the tied embeddings E. From then on the position
stands in the row as a named entity would, so a fact that was learned once, as an atomic fact, serves at every hop.
Positions that wait for the one before them keep their token embedding. A position that is due later than one loop after
the one before it works in between, its state carried on without a read-out: an operator that compares needs a loop to
gather one value and another to look for it elsewhere.

The code of Wang et al. (2024) has an option, off by default, that adds such an expected embedding to the state between
two rounds of its layers; here it stands in the state's place, and the logits are those after the final norm.

With every position due after the first loop, this is a plain pre-norm decoder (RMSNorm: Zhang and Sennrich 2019;
rotary positions: Su et al. 2021).

Shapes: B rows, T positions, N read-outs, D width, H heads, K = D / H, V tokens. A tensor's suffix names its axes.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grokhop.config import LoopConfig, ModelConfig
from grokhop.models.base import HookPoint, Model, ReadOut, attend
from grokhop.tasks.encoding import NEVER_DUE


class Attention(nn.Module):
    """Causal multi-head attention with rotary positions, asked at chosen positions only."""

    frequency: Tensor

    def __init__(self, settings: LoopConfig) -> None:
        super().__init__()
        self.heads = settings.n_heads
        self.query, self.key, self.value, self.output = (linear(settings.d_model, settings.d_model) for _ in range(4))
        self.hook_z = HookPoint()
        frequency = 10_000.0 ** -torch.linspace(0, 1, settings.d_model // settings.n_heads // 2 + 1)[:-1]
        self.register_buffer("frequency", frequency, persistent=False)

    def forward(self, x_BTD: Tensor, row: Tensor, position: Tensor) -> Tensor:
        """Return (N, D): what the positions named by `row` and `position`, (N,) each, gather from their rows."""
        B, T, D = x_BTD.shape
        places = torch.arange(T, device=x_BTD.device)
        q_NHK = self._rotate(self.query(x_BTD[row, position]).view(-1, self.heads, D // self.heads), position)
        k_BTHK = self._rotate(self.key(x_BTD).view(B, T, self.heads, -1), places)
        v_BTHK = self.value(x_BTD).view(B, T, self.heads, -1)
        mixed_NHK = self.hook_z(attend(q_NHK, k_BTHK[row], v_BTHK[row], position), row, position)
        return self.output(mixed_NHK.reshape(-1, D))

    def _rotate(self, x: Tensor, position: Tensor) -> Tensor:
        """Turn each pair of features of (..., H, K) by an angle that grows with its position."""
        angle = (position[:, None] * self.frequency)[:, None, :]
        a, b = x.chunk(2, dim=-1)
        return torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], dim=-1)


class Mlp(nn.Module):
    """Two linear maps with a GELU between: where the facts are kept."""

    def __init__(self, settings: ModelConfig) -> None:
        super().__init__()
        self.up = linear(settings.d_model, settings.mlp_ratio * settings.d_model)
        self.down = linear(settings.mlp_ratio * settings.d_model, settings.d_model)

    def forward(self, x_ND: Tensor) -> Tensor:
        return self.down(F.gelu(self.up(x_ND)))


class LoopLayer(nn.Module):
    """A pre-norm decoder layer that updates chosen positions only."""

    def __init__(self, settings: LoopConfig) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(settings.d_model)
        self.attention = Attention(settings)
        self.mlp_norm = nn.RMSNorm(settings.d_model)
        self.mlp = Mlp(settings)
        self.hook_resid_pre, self.hook_attn_out, self.hook_mlp_out = HookPoint(), HookPoint(), HookPoint()

    def forward(self, x_BTD: Tensor, row: Tensor, position: Tensor) -> Tensor:
        """Return the (N, D) new states of the positions named by `row` and `position`."""
        attended_ND = self.attention(self.attention_norm(x_BTD), row, position)
        x_ND = x_BTD[row, position] + self.hook_attn_out(attended_ND, row, position)
        return x_ND + self.hook_mlp_out(self.mlp(self.mlp_norm(x_ND)), row, position)


class LoopTransformer(Model):
    """A block of layers applied once for each hop, with a read-out and a re-embedding between."""

    Config = LoopConfig

    def __init__(self, settings: LoopConfig, *, vocabulary: int, labels: Sequence[str] = ()) -> None:
        super().__init__(settings, vocabulary=vocabulary)
        self.embedding = nn.Embedding(vocabulary, settings.d_model)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.layers = nn.ModuleList(LoopLayer(settings) for _ in range(settings.n_layers))
        self.final_norm = nn.RMSNorm(settings.d_model)
        self.hook_logits = HookPoint()

    def forward(self, tokens: Tensor, read_at: Tensor) -> list[ReadOut]:
        x_BTD = self.embedding(tokens)
        # What is carried is never read out, but works until its loop; see `grokhop.tasks.encoding.carried`.
        until = torch.where(read_at < NEVER_DUE, NEVER_DUE - read_at, read_at)
        # A position can work once the one before it holds its answer.
        begins = torch.minimum(F.pad(until[:, :-1], (1, 0)) + 1, until)
        read_outs = []
        for loop in range(1, int(read_at.max()) + 1):
            row, position = torch.nonzero((begins <= loop) & (loop <= until), as_tuple=True)
            x_BTD = _entered(self.layers[0], x_BTD)  # here, so that what is put in its place stays
            h_MD = self.block(x_BTD, row, position)
            ready = read_at[row, position] == loop
            logits_NV = self.read_out(h_MD[ready])
            if len(logits_NV):
                read_outs.append(ReadOut(loop, row[ready], position[ready], logits_NV))
            if loop < int(read_at.max()):
                x_BTD = x_BTD.index_put((row[~ready], position[~ready]), h_MD[~ready])
                at = (row[ready], position[ready])
                taken_ND = self.reembed(tokens[at], h_MD[ready], self.hook_logits(logits_NV, *at))
                x_BTD = x_BTD.index_put(at, taken_ND.to(x_BTD.dtype))  # a product may be of lower precision
        return read_outs

    def block(self, x_BTD: Tensor, row: Tensor, position: Tensor) -> Tensor:
        """One loop: all layers, of which only the last is confined to the due positions. Returns (N, D)."""
        B, T, D = x_BTD.shape
        places = (torch.arange(n, device=x_BTD.device) for n in (B, T))
        everywhere = torch.cartesian_prod(*places).unbind(1) if len(self.layers) > 1 else ()
        for layer, following in pairwise(self.layers):
            x_BTD = _entered(following, layer(x_BTD, *everywhere).view(B, T, D))
        return self.layers[-1](x_BTD, row, position)

    def reembed(self, token_N: Tensor, h_ND: Tensor, logits_NV: Tensor) -> Tensor:
        """(N, D) what positions become that were read out: of their tokens and states nothing stays."""
        return self.re_embed(logits_NV)

    def re_embed(self, logits_NV: Tensor) -> Tensor:
        """(N, V) logits to the (N, D) expected embedding under their softmax."""
        return logits_NV.softmax(-1) @ self.embedding.weight


def _entered(layer: nn.Module, x_BTD: Tensor) -> Tensor:
    """The residual stream that a layer is given."""
    entered: Tensor = layer.get_submodule("hook_resid_pre")(x_BTD, None, None)
    return entered


def linear(inputs: int, outputs: int) -> nn.Linear:
    """A map without bias that keeps the scale of its input."""
    linear = nn.Linear(inputs, outputs, bias=False)
    nn.init.normal_(linear.weight, std=inputs**-0.5)
    return linear
