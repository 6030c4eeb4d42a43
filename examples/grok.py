"""A small transformer learns to chain facts that it never saw chained: one file of plain torch, to be read.

A graph is drawn by chance: a fact `h r -> t` says that relation r leads from h to t. Each is trained on its own, but a
tenth is held out of all chains. Pairs of the others are trained as `h r1 r2`, by their end alone: the entity between,
the bridge, is named in no chain. A query is II, IO, OI or OO by which of its two facts are in (I) or held out (O).
Memory cannot answer OO, for neither of its facts was in any chain.

    python examples/grok.py    # trains with chains, then a control that sees no chain: 2.5 minutes of one core
"""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

RELATIONS, DEGREE, HELD_OUT, TESTED = 20, 8, 0.1, 0.1  # facts of each entity; shares of facts and of II queries
WIDTH, HEADS, LOOPS = 64, 4, 3
HALF_BATCH, MUON_RATE, MUON_DECAY, ADAM_RATE = 256, 0.02, 0.1, 0.006
Rows = tuple[Tensor, Tensor]  # (N, k + 1) tokens, a head and k relations; (N,) answers


# ---- The graph: who is asked what ------------------------------------------------------------------------------------
def draw_graph(entities: int, seed: int) -> tuple[Tensor, Tensor]:
    """(F, 3) facts head, relation, tail, and the (F,) mask of those held out. A head and a relation have one tail."""
    chance = torch.Generator().manual_seed(seed)
    head = torch.arange(entities).repeat_interleave(DEGREE)
    relation = torch.rand(entities, RELATIONS, generator=chance).argsort(1)[:, :DEGREE].flatten()
    tail = torch.randint(entities, head.shape, generator=chance)
    return torch.stack([head, relation, tail], 1), torch.randperm(len(head), generator=chance) < HELD_OUT * len(head)


def two_hops(facts: Tensor, held_out: Tensor) -> dict[str, Tensor]:
    """By cell, the (P, 2) pairs of facts of which the second begins where the first ends."""
    pairs = torch.nonzero(facts[:, None, 2] == facts[None, :, 0])
    cell = 2 * held_out[pairs[:, 0]].long() + held_out[pairs[:, 1]]
    return {name: pairs[cell == number] for number, name in enumerate(("II", "IO", "OI", "OO"))}


def encode(facts: Tensor, paths: Tensor, entities: int) -> Rows:
    """Rows of (N, k) paths of facts. A relation's token comes behind all entities; no bridge is in any row."""
    return torch.cat([facts[paths[:, :1], 0], entities + facts[paths, 1]], 1), facts[paths[:, -1], 2]


def split(facts: Tensor, held_out: Tensor, entities: int, seed: int) -> tuple[Rows, Rows, dict[str, Rows]]:
    """The facts and the chains that are trained, and what is asked; a tenth of the II queries is only asked."""
    cells = two_hops(facts, held_out)
    mixed = cells["II"][torch.randperm(len(cells["II"]), generator=torch.Generator().manual_seed(seed))]
    tested, trained = mixed.tensor_split([round(TESTED * len(mixed))])
    cells["II"] = tested[torch.isin(tested, trained).all(1)]  # 'in' is a fact only if a trained chain uses it
    alone = encode(facts, torch.arange(len(facts))[:, None], entities)
    asked = {"facts": alone, **{name: encode(facts, paths, entities) for name, paths in cells.items()}}
    return alone, encode(facts, trained, entities), asked


# ---- The model: one layer, applied again and again -------------------------------------------------------------------
def rotate(x: Tensor, position: Tensor) -> Tensor:
    """Turn each pair of features of (B, T, H, K) by an angle that grows with its position, (T,)."""
    angle = (position[:, None] * 10_000.0 ** -torch.arange(0, 1, 2 / x.shape[-1]))[:, None]
    a, b = x.chunk(2, -1)
    return torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], -1)


class Layer(nn.Module):
    """Attention, both ways, and an MLP. A position does not see the others' states, but what they say."""

    def __init__(self) -> None:
        super().__init__()
        self.attention_norm, self.mlp_norm = nn.RMSNorm(WIDTH), nn.RMSNorm(WIDTH)
        self.query, self.key, self.value, self.output = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(4))
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.Linear(4 * WIDTH, WIDTH, bias=False)
        for part in (self.query, self.key, self.value, self.output, self.up, self.down):
            nn.init.normal_(part.weight, std=part.in_features**-0.5)  # keeps the scale of what comes in

    def forward(self, x: Tensor, said: Tensor) -> Tensor:
        """(B, Q, D) new states of the last Q positions, whose states are `x`; `said` is (B, T, D), of the whole row."""
        heard, place = self.attention_norm(said), torch.arange(said.shape[1])
        query = rotate(self.query(self.attention_norm(x)).unflatten(-1, (HEADS, -1)), place[-x.shape[1] :])
        key = rotate(self.key(heard).unflatten(-1, (HEADS, -1)), place)
        value = self.value(heard).unflatten(-1, (HEADS, -1))
        share = (torch.einsum("bqhk,bthk->bhqt", query, key) * query.shape[-1] ** -0.5).softmax(-1)
        x = x + self.output(torch.einsum("bhqt,bthk->bqhk", share, value).flatten(-2))
        return torch.add(x, self.down(F.gelu(self.up(self.mlp_norm(x)))))


class Recurrent(nn.Module):
    """The layer in a loop. Between two loops each position may say to the others what it would answer."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, WIDTH)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.layer, self.gate = Layer(), nn.Linear(WIDTH, 1)
        self.word_norm, self.state_norm, self.final_norm = (nn.RMSNorm(WIDTH) for _ in range(3))
        nn.init.zeros_(self.gate.weight)
        nn.init.constant_(self.gate.bias, -3.0)  # shut: that it helps to say something is left to be learned

    def forward(self, tokens: Tensor, loops: int) -> Tensor:
        """(B, V) logits at the last position of (B, T) tokens."""
        given = x = said = self.word_norm(self.embedding(tokens))
        for _ in range(loops - 1):
            x = self.layer(x, said)
            said = self.say(x, given)  # an entity said looks like one asked about: a fact learned alone fits behind it
            x = self.state_norm(x) + given  # so that no loop forgets what was asked
        return self.read(self.layer(x[:, -1:], said)[:, -1])

    def read(self, x: Tensor) -> Tensor:
        """Logits of states; the same embeddings name what is read and what is said."""
        return F.linear(self.final_norm(x), self.embedding.weight)

    def say(self, x: Tensor, given: Tensor) -> Tensor:
        """Let the others hear each position's token or, as far as its gate is open, the entity that it would answer."""
        word = self.word_norm(self.read(x).softmax(-1) @ self.embedding.weight)
        return given.lerp(word, self.gate(self.final_norm(x)).sigmoid())


# ---- Training: final answers only ------------------------------------------------------------------------------------
def orthogonal(x: Tensor) -> Tensor:
    """Bring all singular values of a matrix near to 1, by five Newton-Schulz steps in float32."""
    if x.shape[0] > x.shape[1]:
        return orthogonal(x.mT).mT
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (2.0315 * gram @ gram - 4.7750 * gram) @ x
    return x


@torch.no_grad()
def muon(weights: list[nn.Parameter], momenta: list[Tensor], lr: float) -> None:
    """Momentum made orthogonal (Jordan et al. 2024): rare directions of a matrix learn as fast as common ones."""
    for weight, momentum in zip(weights, momenta, strict=True):
        assert weight.grad is not None
        momentum.lerp_(weight.grad, 0.05)
        scale = lr * max(1.0, weight.shape[0] / weight.shape[1]) ** 0.5
        weight.mul_(1 - lr * MUON_DECAY).sub_(orthogonal(weight.grad.lerp(momentum, 0.95)), alpha=scale)


def train(sets: list[Rows], asked: dict[str, Rows], *, vocabulary: int, steps: int, seed: int) -> nn.Module:
    """Train on as many rows of each set, and return the model with the running mean of its weights, which is calmer."""
    torch.manual_seed(seed)
    model = Recurrent(vocabulary)
    mean = AveragedModel(model, avg_fn=lambda old, new, _: old.lerp(new, 0.02))
    matrices = [weight for weight in model.layer.parameters() if weight.ndim == 2]
    momenta, chosen = [torch.zeros_like(matrix) for matrix in matrices], set(matrices)
    adamw = torch.optim.AdamW([w for w in model.parameters() if w not in chosen], betas=(0.9, 0.95), weight_decay=0.0)
    for step in range(1, steps + 1):
        loops = int(torch.randint(LOOPS - 1, LOOPS + 2, ()))  # drawn, so that no hop is bound to a loop's number
        rows = [(s[0][i], s[1][i]) for s in sets for i in [torch.randint(len(s[1]), (HALF_BATCH,))]]
        losses = [F.cross_entropy(model(tokens, loops), answers) for tokens, answers in rows]
        torch.autograd.backward(torch.stack(losses).mean())
        cool = min(1.0, (steps - step) / (0.3 * steps))  # to rest; before it the rates warm up, then fall slowly
        rate = cool * min(1.0, step / 50, (100 / step) ** 0.5)
        muon(matrices, momenta, MUON_RATE * rate)
        adamw.param_groups[0]["lr"] = ADAM_RATE * rate
        adamw.step()
        model.zero_grad()
        mean.update_parameters(model)
        if step % max(1, steps // 10) == 0:
            print(f"step {step:6}  " + "  ".join(f"{cell} {right(mean, row):5.1f} %" for cell, row in asked.items()))
    return mean


# ---- The evidence ----------------------------------------------------------------------------------------------------
@torch.no_grad()
def right(model: nn.Module, rows: Rows) -> float:
    """Percent of right answers."""
    return 100 * float((model(rows[0], LOOPS).argmax(-1) == rows[1]).float().mean())


def floor(facts: Tensor, rows: Rows, entities: int) -> float:
    """Percent right when always the commonest tail of the last relation is named."""
    counts = torch.zeros(RELATIONS, entities).index_put((facts[:, 1], facts[:, 2]), torch.tensor(1.0), accumulate=True)
    return 100 * float((counts.argmax(1)[rows[0][:, -1] - entities] == rows[1]).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description="Learn to chain facts that were never chained.")
    for option, default in {"--steps": 2000, "--entities": 200, "--seed": 0}.items():
        parser.add_argument(option, type=int, default=default)
    parser.add_argument("--no-chains", action="store_true", help="train the control alone")
    wanted = parser.parse_args()
    torch.set_num_threads(1)  # more would wait for one another, so small are the matrices
    facts, held_out = draw_graph(wanted.entities, wanted.seed)
    alone, chains, asked = split(facts, held_out, wanted.entities, wanted.seed)
    print(f"{len(facts)} facts, {int(held_out.sum())} held out; {len(chains[1])} chains to train")
    table: dict[str, dict[str, float]] = {}
    for name, sets in (("chains", [alone, chains]), ("no chains", [alone]))[wanted.no_chains :]:
        print(f"\ntraining, {name}")
        made = train(sets, asked, vocabulary=wanted.entities + RELATIONS, steps=wanted.steps, seed=wanted.seed)
        table[name] = {cell: right(made, rows) for cell, rows in asked.items()}
    table["floor"] = {cell: floor(facts, rows, wanted.entities) for cell, rows in asked.items()}
    print("\ncell   queries" + "".join(f"{name:>12}" for name in table))
    for cell, rows in asked.items():
        print(f"{cell:6} {len(rows[1]):7}" + "".join(f"{column[cell]:10.1f} %" for column in table.values()))


if __name__ == "__main__":
    main()
