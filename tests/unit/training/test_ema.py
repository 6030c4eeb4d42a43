"""The mean of a model's last weights is a model of its own, and costs nothing where none is wanted."""

import pytest
import torch

from grokhop.models.looped import LoopTransformer
from grokhop.training.ema import Average
from tests.settings import shape_of


@pytest.fixture
def model() -> LoopTransformer:
    torch.manual_seed(0)
    return LoopTransformer(shape_of(d_model=8, n_heads=2), vocabulary=11)


def wander(model: LoopTransformer, average: Average, steps: range, rate: float = 1.0) -> list[torch.Tensor]:
    """Move the weights by chance, as training does; return the embeddings on the way."""
    seen = []
    for step in steps:
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(torch.randn_like(weight))
        average.add(step, rate)
        seen.append(model.embedding.weight.detach().clone())
    return seen


def test_the_mean_is_exponential_over_as_many_steps_as_asked(model: LoopTransformer) -> None:
    average = Average(model, 10)
    expected = model.embedding.weight.detach().clone()
    for weights in wander(model, average, range(100, 130)):
        expected += (weights - expected) / 10
    torch.testing.assert_close(average.model.embedding.weight.detach(), expected)


def test_at_first_the_mean_is_over_the_last_quarter_of_the_steps(model: LoopTransformer) -> None:
    average = Average(model, 1000)
    expected = model.embedding.weight.detach().clone()
    for step, weights in enumerate(wander(model, average, range(20))):
        expected += (weights - expected) / (1 + step / 4)
    torch.testing.assert_close(average.model.embedding.weight.detach(), expected)


def test_at_rest_the_mean_is_the_model(model: LoopTransformer) -> None:
    average = Average(model, 10)
    wander(model, average, range(100, 120))
    wander(model, average, range(120, 121), rate=0.01)
    torch.testing.assert_close(average.model.embedding.weight, model.embedding.weight)


def test_the_model_is_left_as_it_is(model: LoopTransformer) -> None:
    average = Average(model, 10)
    wander(model, average, range(5))
    assert average.model is not model
    before = model.embedding.weight.detach().clone()
    average.add(5, 1.0)
    torch.testing.assert_close(model.embedding.weight.detach(), before, rtol=0, atol=0)


def test_without_steps_there_is_no_other_model(model: LoopTransformer) -> None:
    assert Average(model, 0).model is model
