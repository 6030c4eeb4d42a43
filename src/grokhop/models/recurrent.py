"""The recurrent transformer: one block applied again and again, told final answers only.

No position is told when it is due, no bridge is named in training, and every position is treated alike. After each loop
a position with state x may *say* to the others what it would answer: p = softmax(norm(x) E^T) with the tied embeddings
E, e = norm(p E), and a gate g = sigmoid(w . norm(x) + b), shut at first. Keys and values of the others are made from
m = g e + (1 - g) x0, with x0 the position's own token; it goes on itself with norm(x) + x0. So an entity that is said
looks to the others like one that was asked about. How often the block is applied is drawn anew for each batch, so that
no hop is bound to the number of a loop.

Built in are the shared weights, the vocabulary as the channel between positions, and the position where an answer is
read. Learned are whether a position says anything, what, and when. The control without compositions in training tells
the two apart. DiscoLoop (arXiv 2607.00341) is the published relative.

Attention sees both ways. Where a token stands is told by a bias of each head for each distance, clipped, so that rows
longer than any trained one look no different.

Shapes: B rows, T positions, N tokens of all rows laid end to end, D width, H heads, K = D / H, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from grokhop.config.models import RecurrentConfig
from grokhop.models.base import HookPoint, Model, ReadOut
from grokhop.models.looped import Mlp, linear
from grokhop.tasks.encoding import GIVEN, NEVER_DUE

LONGEST, POINTED = 64, 3.0
"""Positions of a row that an answer token tells apart, and the head start of its neighbour."""
BIAS_SCALE = 8.0
"""The bias of a distance moves so many times faster than other weights: it has to win against whole scores."""


@dataclass(frozen=True)
class Rows:
    """Tokens of all rows laid end to end, rows of one length beside each other.

    Attributes:
        row, position: (N,) where each token came from.
        groups: for each length the slice of its tokens, and the length.
        read: (R,) the places, from 0 to N, that are read out, in the order of the places.
        told: (R,) the positions in the given rows whose answers these are.
    """

    row: Tensor
    position: Tensor
    groups: tuple[tuple[slice, int], ...]
    read: Tensor
    told: Tensor

    @staticmethod
    def of(read_at: Tensor, *, order: str = "head_first") -> "Rows":
        """Lay out the rows of (B, T) `read_at`; what stands behind the last place that is not padding is left out.

        An answer token stands behind each row, at the position behind its last; it tells the last answer that is due.
        """
        places = torch.arange(read_at.shape[1] + (order == "answer_token"), device=read_at.device)
        last = torch.where(read_at != NEVER_DUE, places[: read_at.shape[1]], -1).amax(1)
        lengths = last + (2 if order == "answer_token" else 1)
        seats = _heads_behind(read_at) if order == "relations_first" else places.expand(len(read_at), len(places))
        row, position, groups, start = [], [], [], 0
        for length in sorted(set(lengths.tolist())):
            (number,) = torch.nonzero(lengths == length, as_tuple=True)
            row.append(number.repeat_interleave(length))
            position.append(seats[number, :length].reshape(-1))
            groups.append((slice(start, start + len(row[-1])), length))
            start += len(row[-1])
        rows, positions = torch.cat(row), torch.cat(position)
        if order == "answer_token":
            (read,) = torch.nonzero(positions == last[rows] + 1, as_tuple=True)
            return Rows(rows, positions, tuple(groups), read, last[rows[read]])
        (read,) = torch.nonzero(read_at[rows, positions] > GIVEN, as_tuple=True)
        return Rows(rows, positions, tuple(groups), read, positions[read])


def _heads_behind(read_at: Tensor) -> Tensor:
    """(B, T) the order of the places in which each given entity stands behind what is asked of it."""
    B, T = read_at.shape
    given = read_at == GIVEN
    padding = torch.flip(torch.flip(read_at != NEVER_DUE, (1,)).long().cumsum(1), (1,)) == 0
    branch = given.long().cumsum(1)
    place = torch.where(given, T, torch.arange(T, device=read_at.device).expand(B, T))
    return torch.where(padding, 2 * T * (T + 1), branch * 2 * T + place).argsort(1)


class RecurrentLayer(nn.Module):
    """Pre-norm attention both ways and an MLP; keys and values are made of what is said, queries of the state."""

    def __init__(self, settings: RecurrentConfig) -> None:
        super().__init__()
        D, self.heads, self.reach = settings.d_model, settings.n_heads, settings.reach
        self.attention_norm, self.said_norm, self.mlp_norm = (nn.RMSNorm(D) for _ in range(3))
        self.query, self.key, self.value, self.output = (linear(D, D) for _ in range(4))
        self.distance_bias = nn.Parameter(torch.zeros(2 * self.reach + 1, self.heads, 1))
        self.mlp = Mlp(settings)
        self.hook_resid_pre, self.hook_attn_out, self.hook_mlp_out = HookPoint(), HookPoint(), HookPoint()
        self.hook_z = HookPoint()

    def forward(self, x_ND: Tensor, said_ND: Tensor, rows: Rows, at: Tensor | None) -> Tensor:
        """Return the new states of all tokens, or of those at the places `at`, (R,), in order."""
        row, position = (rows.row, rows.position) if at is None else (rows.row[at], rows.position[at])
        x_RD = x_ND if at is None else x_ND[at]
        gathered_RD = self.hook_z(self._gather(x_RD, said_ND, rows, at), row, position).flatten(1)
        x_RD = x_RD + self.hook_attn_out(self.output(gathered_RD), row, position)
        return x_RD + self.hook_mlp_out(self.mlp(self.mlp_norm(x_RD)), row, position)

    def _gather(self, x_RD: Tensor, said_ND: Tensor, rows: Rows, at: Tensor | None) -> Tensor:
        """(R, H, K) what each query gathers from its row."""
        H, K = self.heads, x_RD.shape[-1] // self.heads
        heard_ND = self.said_norm(said_ND)
        q_RHK = (self.query(self.attention_norm(x_RD)) * K**-0.5).view(-1, H, K)
        k_NHK, v_NHK = (part(heard_ND).view(-1, H, K) for part in (self.key, self.value))
        gathered = []
        for tokens, length in rows.groups:
            k_BTHK, v_BTHK = (part[tokens].view(-1, length, H, K) for part in (k_NHK, v_NHK))
            if at is None:
                place = torch.arange(length, device=x_RD.device)
                bias_QTH = self._bias(place[:, None], length)
                q_BQHK = q_RHK[tokens].view(-1, length, 1, H, K)
                # Products and sums: at these lengths twice as fast as einsum.
                score_BQTH = (q_BQHK * k_BTHK[:, None]).sum(-1) + bias_QTH
                gathered.append((score_BQTH.softmax(2)[..., None] * v_BTHK[:, None]).sum(2).view(-1, H, K))
                continue
            inside = (at >= tokens.start) & (at < tokens.stop)
            offset = at[inside] - tokens.start
            number, place = offset.div(length, rounding_mode="floor"), offset % length
            score_RTH = (q_RHK[inside][:, None] * k_BTHK[number]).sum(-1) + self._bias(place[:, None], length)
            gathered.append((score_RTH.softmax(1)[..., None] * v_BTHK[number]).sum(1))
        return torch.cat(gathered)

    def _bias(self, place: Tensor, length: int) -> Tensor:
        """(..., T, H) the bias of each place of a row, seen from `place`, (..., 1)."""
        distance = torch.arange(length, device=place.device) - place
        return BIAS_SCALE * self.distance_bias[distance.clamp(-self.reach, self.reach) + self.reach, :, 0]


class Pointer(nn.Module):
    """Reads an answer at a token of its own: a mixture of what the other positions of the row would answer.

    The answer token may not do the last hop by itself, or it does so without the channel and composes nothing. At
    first it points at its neighbour: a hint that is built in.
    """

    def __init__(self, D: int) -> None:
        super().__init__()
        self.query, self.key = linear(D, D), linear(D, D)
        self.distance_bias = nn.Parameter(torch.zeros(LONGEST))
        with torch.no_grad():
            self.distance_bias[1] = POINTED

    def forward(self, state_ND: Tensor, logits_NV: Tensor, rows: Rows) -> Tensor:
        """(B, V) logarithms of probabilities, in the order of the rows laid out."""
        answers, told_NV = [], logits_NV.log_softmax(-1)
        for tokens, length in rows.groups:
            x_BTD = state_ND[tokens].view(-1, length, state_ND.shape[1])
            score_BT = (self.query(x_BTD[:, -1:]) * self.key(x_BTD[:, :-1])).sum(-1) * x_BTD.shape[-1] ** -0.5
            distance = torch.arange(length - 1, 0, -1, device=state_ND.device)
            share_BT = (score_BT + self.distance_bias[distance]).log_softmax(-1)
            told_BTV = told_NV[tokens].view(-1, length, told_NV.shape[1])[:, :-1]
            answers.append((share_BT[..., None] + told_BTV).logsumexp(1))
        return torch.cat(answers)


class RecurrentTransformer(Model):
    """A block applied some times, between which positions may say to each other what they would answer."""

    Config = RecurrentConfig

    def __init__(self, settings: RecurrentConfig, *, vocabulary: int, labels: Sequence[str] = ()) -> None:
        super().__init__(settings, vocabulary=vocabulary)
        D = settings.d_model
        self.shape = settings
        self.embedding = nn.Embedding(vocabulary, D)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.layers = nn.ModuleList(RecurrentLayer(settings) for _ in range(settings.n_layers))
        self.token_norm, self.state_norm, self.final_norm = (nn.RMSNorm(D) for _ in range(3))
        self.gate = nn.Linear(D, 1)
        nn.init.zeros_(self.gate.weight)
        nn.init.constant_(self.gate.bias, settings.gate_bias)
        self.hook_gate, self.hook_logits, self.hook_said = HookPoint(), HookPoint(), HookPoint()
        self.pointer = Pointer(D) if settings.order == "answer_token" else None
        if self.pointer is not None:
            self.answer_token = nn.Parameter(0.02 * torch.randn(D))
        self.loops, self.loops_asked = settings.most_loops, settings.loops

    def prepare(self, seed: int, step: int) -> None:
        """Draw how often the block is applied at this step of training."""
        drawn = np.random.default_rng([seed, step, len("loops")])
        self.loops = int(drawn.integers(self.shape.fewest_loops, self.shape.most_loops + 1))

    def limit_loops(self, loops: int) -> None:
        self.loops_asked = loops

    def forward(self, tokens: Tensor, read_at: Tensor) -> list[ReadOut]:
        """Answer every due position after the last loop, whatever `read_at` says of when it is due."""
        rows = Rows.of(read_at, order=self.shape.order)
        loops = self.loops if self.training else self.loops_asked
        token_ND = self.token_norm(self._embedded(tokens, rows))
        x_ND = self._enter(0, token_ND, rows)
        said_ND = token_ND
        for _ in range(1, loops):
            x_ND = self._enter(0, self._block(x_ND, said_ND, rows, None), rows)
            said_ND = self._say(x_ND, token_ND, rows)
            x_ND = self.state_norm(x_ND) + token_ND
        if self.pointer is None:
            logits_RV = self.read_out(self._block(x_ND, said_ND, rows, rows.read))
        else:
            x_ND = self._block(x_ND, said_ND, rows, None)
            logits_RV = self.pointer(self.final_norm(x_ND), self.read_out(x_ND), rows)
        return [ReadOut(loops, rows.row[rows.read], rows.told, logits_RV)]

    def _embedded(self, tokens: Tensor, rows: Rows) -> Tensor:
        """(N, D) the embedding of each token, an answer token among them where the model has one."""
        if self.pointer is None:
            return self.embedding(tokens[rows.row, rows.position])
        embedded_ND = self.embedding(tokens[rows.row, rows.position.clamp(max=tokens.shape[1] - 1)])
        return embedded_ND.index_put((rows.read,), self.answer_token.expand(len(rows.read), -1))

    def _block(self, x_ND: Tensor, said_ND: Tensor, rows: Rows, at: Tensor | None) -> Tensor:
        """All layers, the last of them for the places `at` alone, if there are any."""
        last = len(self.layers) - 1
        for number, layer in enumerate(self.layers):
            x_ND = self._enter(number, x_ND, rows) if number else x_ND
            x_ND = layer(x_ND, said_ND, rows, at if number == last else None)
        return x_ND

    def _enter(self, number: int, x_ND: Tensor, rows: Rows) -> Tensor:
        entered: Tensor = self.layers[number].get_submodule("hook_resid_pre")(x_ND, rows.row, rows.position)
        return entered

    def _say(self, x_ND: Tensor, token_ND: Tensor, rows: Rows) -> Tensor:
        """(N, D) what the others hear of each position: its token or, as far as its gate is open, what it says."""
        where = (rows.row, rows.position)
        logits_NV = self.hook_logits(self.read_out(x_ND) / self.shape.temperature, *where)
        named_ND = self.token_norm(logits_NV.softmax(-1) @ self.embedding.weight)
        gate_N1 = self.hook_gate(torch.sigmoid(self.gate(self.final_norm(x_ND))), *where)
        return self.hook_said(torch.lerp(token_ND, named_ND, gate_N1), *where)
