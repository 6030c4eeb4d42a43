"""Read-outs among candidates stand for those over all tokens."""

import math

import pytest
import torch

from grokhop.candidates import Sampler
from grokhop.encode import GIVEN, NO_TARGET
from grokhop.gpt2 import Gpt2
from grokhop.loop import LoopTransformer
from grokhop.losses import loss
from grokhop.model import Model
from grokhop.settings import ModelSettings

V = 40
TOKENS = torch.randint(V, (16, 3), generator=torch.Generator().manual_seed(0))
DUE = torch.tensor([[GIVEN, 1, 2]] * 16)
TARGETS = torch.randint(V, (16, 3), generator=torch.Generator().manual_seed(1))
TARGETS[:, 0] = NO_TARGET
TARGETS[3, 1] = NO_TARGET
ROW, POSITION = torch.arange(16), torch.ones(16, dtype=torch.long)


def model_of(architecture: str) -> Model:
    torch.manual_seed(0)
    made = {"loop": LoopTransformer, "gpt2": Gpt2}[architecture]
    return made(ModelSettings(architecture=architecture, width=16, heads=2), vocabulary=V)


def sampler(others: int, seed: int = 0) -> Sampler:
    return Sampler(TARGETS, vocabulary=V, others=others, seed=seed)


def test_candidates_are_all_targets_and_as_many_others_as_asked() -> None:
    drawn = sampler(7).draw(ROW, POSITION)
    assert drawn is not None
    targets = {t for t in TARGETS[:, 1].tolist() if t >= 0}
    tokens = drawn.tokens.tolist()
    assert len(set(tokens)) == len(tokens) == len(targets) + 7
    assert targets == set(tokens[: len(targets)])
    assert drawn.tokens[drawn.place[drawn.tokens]].tolist() == tokens


def test_each_other_stands_for_as_many_as_were_not_drawn() -> None:
    drawn = sampler(7).draw(ROW, POSITION)
    assert drawn is not None
    own = len(drawn.tokens) - 7
    assert drawn.log_weight[:own].tolist() == [0] * own
    assert drawn.log_weight[own:].exp().tolist() == pytest.approx([(V - own) / 7] * 7)
    assert math.isclose(float(drawn.log_weight.exp().sum()), V, rel_tol=1e-5)


def test_every_token_that_is_no_target_is_drawn_as_often_as_any_other() -> None:
    counts = torch.zeros(V)
    for seed in range(2000):
        drawn = sampler(7, seed).draw(ROW, POSITION)
        assert drawn is not None
        counts[drawn.tokens] += 1
    others = counts[counts < 2000]
    expected = 2000 * 7 / len(others)
    assert others.sub(expected).abs().max() < 6 * expected**0.5


def test_where_nothing_would_be_left_out_there_are_no_candidates() -> None:
    assert sampler(V).draw(ROW, POSITION) is None


@pytest.mark.parametrize("architecture", ["loop", "gpt2"])
def test_among_nearly_all_tokens_losses_are_nearly_those_over_all(architecture: str) -> None:
    model = model_of(architecture)
    whole = loss(model(TOKENS, DUE), TARGETS)
    means = []
    for others, near in ((4, 0.1), (12, 0.01)):
        sampled = [float(loss(model(TOKENS, DUE, sampler(others, s)), TARGETS).detach()) for s in range(50)]
        means.append(sum(sampled) / 50)
        assert means[-1] == pytest.approx(float(whole.detach()), rel=near)


@pytest.mark.parametrize("architecture", ["loop", "gpt2"])
def test_the_loss_reads_each_target_at_its_place_among_the_candidates(architecture: str) -> None:
    """Against a softmax over the candidates' weighted shares, taken from the logits of all tokens; one layer, so that
    what the first loop re-embeds does not differ."""
    model = model_of(architecture)
    due = DUE.clamp(max=1)
    (full,), (some,) = model(TOKENS, due), model(TOKENS, due, sampler(5))
    assert some.candidates is not None
    weights = torch.zeros(V)
    weights[some.candidates.tokens] = some.candidates.log_weight.exp()
    shares = full.logits.exp() * weights
    shares = shares / shares.sum(1, keepdim=True)
    wanted = TARGETS[full.row, full.position]
    told = wanted >= 0
    expected = -shares[told, wanted[told]].log().mean()
    torch.testing.assert_close(loss([some], TARGETS), expected)
