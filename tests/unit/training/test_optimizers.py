"""Optimizers and losses by name: what is named is what is used, and each equals an independent reference."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from grokhop.config import RunConfig
from grokhop.models.base import Model, ReadOut
from grokhop.models.registry import make_model
from grokhop.training.losses import log_stablemax, loss
from grokhop.training.muon import Muon
from grokhop.training.optimizers import GROKFAST_ALPHA, GROKFAST_LAMBDA, make_optimizers
from tests.settings import settings_of, shape_of, with_

SETTINGS = settings_of(
    model=shape_of(architecture="gpt2", d_model=16, n_heads=2),
    optimizer="adamw",
    adam_lr=0.01,
    adam_decay=0.5,
    adam_beta2=0.9,
)


def model_of(settings: RunConfig) -> Model:
    torch.manual_seed(0)
    return make_model(settings.model, vocabulary=7)


def gradients(model: Model, step: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(step)
    return [torch.randn(p.shape, generator=generator) for p in model.parameters()]


def stepped(settings: RunConfig, steps: int = 3) -> list[Tensor]:
    """The weights after steps along made-up gradients."""
    model = model_of(settings)
    optimizers = make_optimizers(model, settings.optimizer)
    for step in range(steps):
        for weight, gradient in zip(model.parameters(), gradients(model, step), strict=True):
            weight.grad = gradient
        for optimizer in optimizers:
            optimizer.step()
    return [p.detach() for p in model.parameters()]


def by_hand(settings: RunConfig, changed, steps: int = 3) -> list[Tensor]:  # type: ignore[no-untyped-def]
    """AdamW written out (Loshchilov and Hutter 2019, algorithm 2), on gradients that `changed` makes of the given."""
    model = model_of(settings)
    weights = [p.detach().clone() for p in model.parameters()]
    mean, square = [torch.zeros_like(w) for w in weights], [torch.zeros_like(w) for w in weights]
    for step in range(steps):
        given_now = changed(step, weights, gradients(model, step))
        for i, g in enumerate(given_now):
            decay = settings.optimizer.adam_decay if weights[i].ndim > 1 else 0.0
            weights[i] *= 1 - settings.optimizer.adam_lr * decay
            mean[i] = 0.9 * mean[i] + 0.1 * g
            square[i] = settings.optimizer.adam_beta2 * square[i] + (1 - settings.optimizer.adam_beta2) * g * g
            m, v = mean[i] / (1 - 0.9 ** (step + 1)), square[i] / (1 - settings.optimizer.adam_beta2 ** (step + 1))
            weights[i] -= settings.optimizer.adam_lr * m / (v.sqrt() + 1e-8)
    return weights


def assert_alike(one: list[Tensor], other: list[Tensor]) -> None:
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, atol=2e-6, rtol=1e-5)


def test_adamw_is_adamw_with_the_rate_decay_and_beta_that_were_set_and_gains_and_biases_do_not_decay() -> None:
    assert_alike(stepped(SETTINGS), by_hand(SETTINGS, lambda _step, _weights, given_now: given_now))


def test_grokfast_adds_the_slow_part_of_the_gradients_to_them() -> None:
    slow: list[Tensor] = []

    def amplified(step: int, _weights: list[Tensor], given_now: list[Tensor]) -> list[Tensor]:
        for i, g in enumerate(given_now):
            if step == 0:
                slow.append(g)
            else:
                slow[i] = GROKFAST_ALPHA * slow[i] + (1 - GROKFAST_ALPHA) * g
        return [g + GROKFAST_LAMBDA * s for g, s in zip(given_now, slow, strict=True)]

    settings = with_(SETTINGS, optimizer="grokfast")
    assert_alike(stepped(settings), by_hand(settings, amplified))


def test_orthograd_takes_from_each_gradient_what_points_along_its_weight_and_keeps_its_length() -> None:
    def orthogonal(_step: int, weights: list[Tensor], given_now: list[Tensor]) -> list[Tensor]:
        made = []
        for w, g in zip(weights, given_now, strict=True):
            o = g - (w * g).sum() / ((w * w).sum() + 1e-30) * w
            made.append(o * g.norm() / (o.norm() + 1e-30))
        return made

    settings = with_(SETTINGS, optimizer="orthograd")
    assert_alike(stepped(settings), by_hand(settings, orthogonal))


@pytest.mark.parametrize("architecture", ["loop", "gpt2"])
def test_muon_moves_the_matrices_of_the_layers_and_adamw_all_else_and_none_is_left_out(architecture: str) -> None:
    settings = with_(SETTINGS, optimizer="muon", model=replace(SETTINGS.model, architecture=architecture))
    model = model_of(settings)
    muon, adam = make_optimizers(model, settings.optimizer)
    moved = {name: {id(p) for g in o.param_groups for p in g["params"]} for name, o in (("muon", muon), ("adam", adam))}
    assert isinstance(muon, Muon)
    assert moved["muon"] == {id(p) for p in model.layers.parameters() if p.ndim == 2}
    assert moved["muon"] | moved["adam"] == {id(p) for p in model.parameters()}
    assert not moved["muon"] & moved["adam"]


def read(logits: Tensor) -> list[ReadOut]:
    rows = torch.arange(len(logits))
    return [ReadOut(1, rows, torch.zeros_like(rows), logits)]


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=6))
def test_stablemax_is_what_its_formula_says(values: list[float]) -> None:
    s = [x + 1 if x >= 0 else 1 / (1 - x) for x in values]
    expected = torch.tensor([x / sum(s) for x in s], dtype=torch.float64).log()
    torch.testing.assert_close(log_stablemax(torch.tensor([values], dtype=torch.float64))[0], expected)


def test_the_gradient_of_stablemax_does_not_vanish_where_that_of_softmax_does() -> None:
    """Prieto et al. (2025): in float32, softmax absorbs what is far below the largest logit."""
    slopes = {}
    for kind in ("softmax", "stablemax"):
        logits = torch.tensor([[120.0, 0.0, -3.0]], requires_grad=True)
        loss(read(logits), torch.tensor([[0]]), kind=kind).backward()  # type: ignore[no-untyped-call]
        assert logits.grad is not None
        slopes[kind] = logits.grad.abs().max().item()
    assert slopes["softmax"] == 0
    assert slopes["stablemax"] > 1e-5


def test_the_loss_leaves_out_what_has_no_target() -> None:
    logits = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([[1], [-100], [2], [-100]])
    told = [0, 2]
    for kind, log in (("softmax", logits.log_softmax(-1)), ("stablemax", log_stablemax(logits))):
        expected = F.nll_loss(log[told], targets[told, 0])
        torch.testing.assert_close(loss(read(logits), targets, kind=kind), expected)
