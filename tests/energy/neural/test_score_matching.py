"""Score matching against closed forms of normal laws, where every expectation is a finite sum."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from energy.neural.score_matching import (
    DenoisingScoreMatching,
    SlicedScoreMatching,
    all_directions,
    denoising_loss,
    random_signs,
    sliced_loss,
)

SIZE = 3


def rows(seed: int) -> Tensor:
    """Correlated rows with a mean."""
    source = torch.Generator().manual_seed(seed)
    mix = torch.randn(SIZE, SIZE, generator=source, dtype=torch.float64)
    noise = torch.randn(40, SIZE, generator=source, dtype=torch.float64)
    return 1.0 + noise @ (mix + 2 * torch.eye(SIZE, dtype=torch.float64))


def quadratic(precision: Tensor, mean: Tensor) -> Callable[[Tensor], Tensor]:
    """Energy of a normal law."""
    return lambda x: 0.5 * ((x - mean) @ precision * (x - mean)).sum(1)


def slopes(loss: Callable[[Tensor, Tensor], Tensor], precision: Tensor, mean: Tensor) -> float:
    """Largest derivative of a loss by precision (symmetric) and mean."""
    p, m = precision.clone().requires_grad_(), mean.clone().requires_grad_()
    found = torch.autograd.grad(loss((p + p.T) / 2, m), (p, m))
    return max(float(part.abs().max()) for part in found)


def balanced(x: Tensor) -> tuple[Tensor, Tensor]:
    """Rows with noise of mean zero and covariance one, exactly: +- sqrt(d) along each axis."""
    axes = math.sqrt(SIZE) * torch.eye(SIZE, dtype=x.dtype)
    points = torch.cat([axes, -axes])
    return x.repeat_interleave(len(points), 0), points.repeat(len(x), 1)


@pytest.mark.parametrize("seed", range(3))
def test_sliced_is_least_at_the_inverse_covariance(seed: int) -> None:
    x = rows(seed)

    def loss(precision: Tensor, mean: Tensor) -> Tensor:
        return sliced_loss(quadratic(precision, mean), x, all_directions(x)).mean()

    right, mean = x.T.cov(correction=0).inverse(), x.mean(0)
    assert slopes(loss, right, mean) < 1e-9
    assert slopes(loss, 1.01 * right, mean) > 1e-4
    assert slopes(loss, right, mean + 0.01) > 1e-4


@pytest.mark.parametrize("seed", range(3))
def test_denoising_is_least_at_the_smoothed_density(seed: int) -> None:
    x, sigma = rows(seed), 0.7
    many, noise = balanced(x)

    def loss(precision: Tensor, mean: Tensor) -> Tensor:
        return denoising_loss(quadratic(precision, mean), many, noise, sigma).mean()

    covariance = x.T.cov(correction=0)
    smooth = covariance + sigma**2 * torch.eye(SIZE, dtype=torch.float64)
    assert slopes(loss, smooth.inverse(), x.mean(0)) < 1e-9
    assert slopes(loss, covariance.inverse(), x.mean(0)) > 1e-4


def bumpy(x: Tensor) -> Tensor:
    """An energy that is not quadratic."""
    return (x**4).sum(1) + x[:, 0] * x[:, 1] * x[:, 2] + x[:, 0].sin() * x[:, 1]


@given(st.lists(st.floats(-2, 2), min_size=SIZE, max_size=SIZE))
def test_all_directions_give_the_trace(point: list[float]) -> None:
    x = torch.tensor([point, point[::-1]], dtype=torch.float64)
    found = sliced_loss(bumpy, x, all_directions(x))
    for row, value in zip(x, found, strict=True):
        single = lambda y: bumpy(y[None])[0]  # noqa: E731
        slope = torch.autograd.functional.jacobian(single, row)
        hessian = torch.autograd.functional.hessian(single, row)
        assert isinstance(slope, Tensor) and isinstance(hessian, Tensor)
        exact = 0.5 * slope.square().sum() - hessian.trace()
        assert torch.allclose(value, exact, rtol=1e-12, atol=1e-10)


def test_signs_average_to_the_trace() -> None:
    x = torch.tensor([[0.3, -1.2, 0.8]], dtype=torch.float64)
    signs = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=SIZE)), dtype=torch.float64)
    mean = sliced_loss(bumpy, x, signs[:, None], 1 / len(signs))
    exact = sliced_loss(bumpy, x, all_directions(x))
    assert torch.allclose(mean, exact, rtol=1e-12)
    one = sliced_loss(bumpy, x, signs[:1, None])
    assert not torch.allclose(one, exact, rtol=1e-3)


def test_random_signs_are_signs() -> None:
    signs = random_signs(torch.zeros(50, 2, 2), 3, torch.Generator().manual_seed(0))
    assert signs.shape == (3, 50, 2, 2)
    assert set(signs.unique().tolist()) == {-1.0, 1.0}


def test_denoising_pairs_have_opposite_noise() -> None:
    x, scale = rows(0), torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
    loss = DenoisingScoreMatching(bumpy, scale)(x, torch.Generator().manual_seed(1))
    noise = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    both = [denoising_loss(bumpy, x, sign * noise, scale).mean() for sign in (1, -1)]
    assert torch.allclose(loss, torch.stack(both).mean())


def test_every_axis_needs_no_generator() -> None:
    x = rows(0)
    loss = SlicedScoreMatching(bumpy, None)
    first, second = (loss(x, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    assert first == second
    assert torch.allclose(first, sliced_loss(bumpy, x, all_directions(x)).mean())


def test_gradients_reach_every_parameter() -> None:
    network = nn.Sequential(nn.Linear(SIZE, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    energy = lambda x: network(x)[:, 0] + x.square().sum(1)  # noqa: E731
    SlicedScoreMatching(energy, 2)(rows(0), torch.Generator().manual_seed(0)).backward()
    # The last bias shifts all energies alike: no slope knows it.
    for name, p in network.named_parameters():
        assert (p.grad is not None and bool(p.grad.any())) == (name != "2.bias")


def test_piecewise_linear_networks_have_no_curvature() -> None:
    network = nn.Sequential(nn.Linear(SIZE, 4), nn.ReLU(), nn.Linear(4, 1)).double()
    x = rows(0)
    energy = lambda x: network(x)[:, 0]  # noqa: E731
    slope = torch.func.vmap(torch.func.grad(lambda y: network(y)[0]))(x)
    found = sliced_loss(energy, x, all_directions(x))
    assert torch.allclose(found, 0.5 * slope.square().sum(1))
