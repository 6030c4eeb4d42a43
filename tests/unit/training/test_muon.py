"""Muon against the singular value decomposition, against plain numpy, and against torch's own in bfloat16."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from grokhop.training.muon import Muon, orthogonalize

SHAPES = [(32, 32), (64, 16), (16, 64), (128, 32)]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def newton_schulz(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The published iteration in double precision."""
    if x.shape[0] > x.shape[1]:
        return newton_schulz(x.T).T
    x = x / np.linalg.norm(x)
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x - 4.7750 * gram @ x + 2.0315 * gram @ gram @ x
    return x


@pytest.mark.parametrize("shape", SHAPES)
def test_orthogonalized_matrices_have_singular_values_near_one(shape: tuple[int, int]) -> None:
    values = torch.linalg.svdvals(orthogonalize(random(*shape)))
    assert values.max() < 1.25
    assert values.quantile(0.05) > 0.65  # the smallest of a square matrix may have been near 0


@pytest.mark.parametrize("shape", SHAPES[1:])
def test_orthogonalizing_keeps_the_singular_directions(shape: tuple[int, int]) -> None:
    x = random(*shape)
    left, _, right = torch.linalg.svd(x, full_matrices=False)
    within = left.T @ orthogonalize(x) @ right.T
    assert within.diagonal().min() > 0.65
    assert (within - within.diagonal().diag()).abs().max() < 1e-4


def test_the_scale_of_a_matrix_does_not_matter() -> None:
    x = random(16, 24)
    torch.testing.assert_close(orthogonalize(x * 1000), orthogonalize(x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_steps_are_those_of_plain_numpy(shape: tuple[int, int]) -> None:
    weight = torch.nn.Parameter(random(*shape))
    optimizer = Muon([weight], lr=0.05, momentum=0.9, weight_decay=0.2)
    expected = weight.detach().double().numpy().copy()
    mean = np.zeros(shape)
    for step in range(4):
        weight.grad = random(*shape, seed=step + 1)
        gradient = weight.grad.double().numpy()
        optimizer.step()
        mean = 0.9 * mean + 0.1 * gradient
        update = newton_schulz(0.1 * gradient + 0.9 * mean)
        expected = expected * (1 - 0.05 * 0.2) - 0.05 * max(1, shape[0] / shape[1]) ** 0.5 * update
    np.testing.assert_allclose(weight.detach().numpy(), expected, atol=2e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_steps_point_where_those_of_torch_do(shape: tuple[int, int]) -> None:
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("torch.optim.Muon came with torch 2.9")
    ours, theirs = (torch.nn.Parameter(random(*shape)) for _ in range(2))
    # Same learning rate adjustment ('original'), momentum and Nesterov form by default.
    optimizers = [
        Muon([ours], lr=0.05, momentum=0.95, weight_decay=0.1),
        torch.optim.Muon([theirs], lr=0.05, momentum=0.95, weight_decay=0.1),
    ]
    for step in range(5):
        ours.grad = random(*shape, seed=step + 1)
        theirs.grad = ours.grad.clone()
        before = ours.detach().clone(), theirs.detach().clone()
        for optimizer in optimizers:
            optimizer.step()
        moved, expected = ours.detach() - before[0], theirs.detach() - before[1]
        assert torch.cosine_similarity(moved.flatten(), expected.flatten(), dim=0) > 0.99
        assert float(moved.norm() / expected.norm()) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_weights_shared_out_among_threads_are_updated_each_as_alone(threads: int) -> None:
    together = [torch.nn.Parameter(random(*shape)) for shape in [*SHAPES, SHAPES[0]]]
    alone = [torch.nn.Parameter(weight.detach().clone()) for weight in together]
    for i, weights in enumerate(zip(together, alone, strict=True)):
        for weight in weights:
            weight.grad = random(*weight.shape, seed=i)
    Muon(together, threads=threads).step()
    for weight in alone:
        Muon([weight]).step()
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other, atol=0, rtol=0)


def test_a_weight_without_a_gradient_stays() -> None:
    weight = torch.nn.Parameter(random(8, 8))
    Muon([weight]).step()
    torch.testing.assert_close(weight.detach(), random(8, 8), atol=0, rtol=0)
