"""GPT-2: the plain decoder that the papers train, every layer once, one read-out at the end.

Radford et al. 2019: learned absolute positions, pre-norm (LayerNorm), biases, GELU by its tanh formula, tied
embeddings. There is no dropout. With `repeats` the layers are applied again and again with shared weights, as in the
variant with parameter sharing of Wang et al. (2024).

What stands at a position depends on the tokens up to there alone, so rows that begin alike share their states: a batch
is a tree of prefixes, and each of its nodes is computed once. On a graph's chains a third of the work is saved.

Shapes: B rows, T positions, M nodes, N read-outs, D width, H heads, K = D / H, V tokens.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grokhop.config import GPT2Config
from grokhop.models.base import HookPoint, Model, ReadOut, attend
from grokhop.tasks.encoding import GIVEN

POSITIONS = 32
"""More than the longest row: two branches of eight hops that are compared."""
INIT_STD = 0.02


class Nodes(NamedTuple):
    """The prefixes of a batch of rows, each once.

    Attributes:
        row: (M,) a row that begins with the prefix. position: (M,) its last position.
        path: (M, T) the nodes of the prefix's own prefixes, itself the last; behind it any.
        at: (B, T) the node of each place of the rows, -1 behind the last that is due.
    """

    row: Tensor
    position: Tensor
    path: Tensor
    at: Tensor

    @staticmethod
    def of(tokens: Tensor, read_at: Tensor, *, shared: bool) -> "Nodes":
        """The nodes of (B, T) tokens up to the last due position of each row; each row has its own if not `shared`."""
        needed = (read_at > GIVEN).flip(1).cumsum(1).flip(1) > 0
        at = torch.full_like(tokens, -1)
        if not shared:
            row, position = torch.nonzero(needed, as_tuple=True)
            at[row, position] = torch.arange(len(row), device=row.device)
            return Nodes(row, position, at[row].clamp(min=0), at)
        rows, positions, count = [], [], 0
        before, span = torch.zeros_like(tokens[:, 0]), 1 + int(tokens.max())
        for place in range(tokens.shape[1]):
            here = torch.nonzero(needed[:, place]).squeeze(1)
            different, number = torch.unique(before[here] * span + tokens[here, place], return_inverse=True)
            at[here, place] = before[here] = count + number
            rows.append(torch.empty_like(different).scatter_(0, number, here))
            positions.append(torch.full_like(different, place))
            count += len(different)
        row, position = torch.cat(rows), torch.cat(positions)
        return Nodes(row, position, at[row].clamp(min=0), at)

    def where(self, chosen: Tensor) -> "Nodes":
        """Some of the nodes, with the paths that they have among all."""
        return self._replace(row=self.row[chosen], position=self.position[chosen], path=self.path[chosen])


class Layer(nn.Module):
    """Causal self-attention and a two-layer perceptron, each behind a LayerNorm and added to the residual stream."""

    def __init__(self, settings: GPT2Config) -> None:
        super().__init__()
        D = settings.d_model
        self.heads = settings.n_heads
        self.attention_norm, self.mlp_norm = nn.LayerNorm(D), nn.LayerNorm(D)
        self.query_key_value, self.output = nn.Linear(D, 3 * D), nn.Linear(D, D)
        self.up, self.down = nn.Linear(D, settings.mlp_ratio * D), nn.Linear(settings.mlp_ratio * D, D)
        self.hook_resid_pre, self.hook_z, self.hook_attn_out, self.hook_mlp_out = (
            HookPoint(),
            HookPoint(),
            HookPoint(),
            HookPoint(),
        )

    def forward(self, x_MD: Tensor, nodes: Nodes, chosen: Tensor | None = None) -> Tensor:
        """(M, D) new states of all nodes, or (N, D) of the `chosen` ones, (N,)."""
        x_MD = self.hook_resid_pre(x_MD, nodes.row, nodes.position)
        some = nodes if chosen is None else nodes.where(chosen)
        attended = self.hook_attn_out(self.attention(self.attention_norm(x_MD), some, chosen), some.row, some.position)
        h = (x_MD if chosen is None else x_MD[chosen]) + attended
        return h + self.hook_mlp_out(self.mlp(self.mlp_norm(h)), some.row, some.position)

    def attention(self, x_MD: Tensor, nodes: Nodes, chosen: Tensor | None) -> Tensor:
        """(N, D) what nodes, all or the `chosen` ones, gather along their paths."""
        q_MHK, k_MHK, v_MHK = self.query_key_value(x_MD).view(len(x_MD), 3, self.heads, -1).unbind(1)
        q_NHK = q_MHK if chosen is None else q_MHK[chosen]
        gathered_NHK = attend(q_NHK, k_MHK[nodes.path], v_MHK[nodes.path], nodes.position)
        mixed_NHK = self.hook_z(gathered_NHK, nodes.row, nodes.position)
        return self.output(mixed_NHK.reshape(len(mixed_NHK), -1))

    def mlp(self, x: Tensor) -> Tensor:
        return self.down(F.gelu(self.up(x), approximate="tanh"))


class Gpt2(Model):
    """A decoder that is asked at the due positions, all after its last layer."""

    Config = GPT2Config

    def __init__(self, settings: GPT2Config, *, vocabulary: int, labels: Sequence[str] = ()) -> None:
        super().__init__(settings, vocabulary=vocabulary)
        self.repeats = settings.repeats
        self.embedding = nn.Embedding(vocabulary, settings.d_model)
        self.position = nn.Embedding(POSITIONS, settings.d_model)
        self.layers = nn.ModuleList(Layer(settings) for _ in range(settings.n_layers))
        self.final_norm = nn.LayerNorm(settings.d_model)
        self._initialize()

    def _initialize(self) -> None:
        """As published: normal weights, smaller where they write to the residual stream, and no biases."""
        for name, weight in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(weight)
            elif weight.ndim == 2:
                writes = name.endswith(("output.weight", "down.weight"))
                nn.init.normal_(weight, std=INIT_STD / (2 * len(self.layers)) ** 0.5 if writes else INIT_STD)

    def forward(self, tokens: Tensor, read_at: Tensor) -> list[ReadOut]:
        # Where kernels are launched from afar, finding out what rows share takes longer than it saves.
        nodes = Nodes.of(tokens, read_at, shared=self.training and tokens.device.type == "cpu")
        *layers, last = [*self.layers] * self.repeats
        x_MD = self.embedding(tokens[nodes.row, nodes.position]) + self.position.weight[nodes.position]
        for layer in layers:
            x_MD = layer(x_MD, nodes)
        row, position = torch.nonzero(read_at > GIVEN, as_tuple=True)
        # What is not read out need not be thought about in the end.
        read, place = torch.unique(nodes.at[row, position], return_inverse=True)
        h_ND = last(x_MD, nodes, read)[place]
        return [ReadOut(1, row, position, self.read_out(h_ND))]
