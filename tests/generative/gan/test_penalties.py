"""Penalties on slopes: functions of known slope, differences, and the norm of a whole batch."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from generative.gan.penalties import (
    between,
    input_slopes,
    lipschitz_penalty,
    zero_centred_penalty,
)
from generative.networks import mlp

EVENTS = st.lists(st.integers(1, 4), min_size=1, max_size=3)


def draws(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers."""
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def whole_batch_penalty(ratings: Tensor, x: Tensor) -> Tensor:
    """A wrong penalty: one norm for all rows."""
    (slopes,) = torch.autograd.grad(ratings.sum(), x, create_graph=True)
    return (slopes.norm(2) - 1).square()


@given(event=EVENTS, n=st.integers(2, 8), seed=st.integers(0, 1000))
def test_no_penalty_for_slope_one_in_any_shape(event: list[int], n: int, seed: int) -> None:
    direction = draws(*event, seed=seed)
    direction = direction / direction.norm()
    x = draws(n, *event, seed=seed + 1).requires_grad_()
    ratings = (x * direction).flatten(1).sum(1)
    assert torch.allclose(input_slopes(ratings, x), torch.ones(n, dtype=torch.float64))
    for one_sided in (True, False):
        assert lipschitz_penalty(ratings, x, one_sided=one_sided).item() < 1e-20
    # The norm over the batch is sqrt(n): 49 for 64 rows.
    wrong = whole_batch_penalty(ratings, x).item()
    assert wrong == pytest.approx((n**0.5 - 1) ** 2)


@pytest.mark.parametrize(("slope", "one", "two"), [(3.0, 4.0, 4.0), (0.5, 0.0, 0.25)])
def test_sides(slope: float, one: float, two: float) -> None:
    x = torch.zeros(4, 1, requires_grad=True)
    ratings = slope * x[:, 0]
    assert lipschitz_penalty(ratings, x).item() == one
    assert lipschitz_penalty(ratings, x, one_sided=False).item() == two
    assert zero_centred_penalty(ratings, x).item() == pytest.approx(slope**2)


def test_slopes_equal_differences() -> None:
    critic = mlp([6, 8, 1], "tanh", generator=0).double()
    x = draws(3, 2, 3).requires_grad_()
    found = input_slopes(critic(x).flatten(), x)
    jacobian = torch.empty(3, 6, dtype=torch.float64)
    for place in range(6):
        step = torch.zeros(6, dtype=torch.float64)
        step[place] = 1e-5
        step = step.view(2, 3)
        jacobian[:, place] = (critic(x + step) - critic(x - step)).flatten().detach() / 2e-5
    assert torch.allclose(found, jacobian.norm(dim=1), rtol=1e-6)
    squares = jacobian.square().sum(1).mean()
    assert torch.allclose(zero_centred_penalty(critic(x).flatten(), x), squares, rtol=1e-6)


def test_penalties_are_differentiable_in_the_weights() -> None:
    x = draws(5, 2)
    first, second = draws(2, 4, seed=1), draws(4, seed=2)

    def penalty(a: Tensor, b: Tensor) -> Tensor:
        rows = x.clone().requires_grad_()
        ratings = (rows @ a).tanh() @ b
        slopes = lipschitz_penalty(ratings, rows, one_sided=False)
        return slopes + zero_centred_penalty(ratings, rows)

    assert torch.autograd.gradcheck(penalty, (first.requires_grad_(), second.requires_grad_()))


def test_flat_critics_have_finite_derivatives() -> None:
    layer = nn.Linear(2, 1)
    nn.init.zeros_(layer.weight)
    x = torch.ones(3, 2, requires_grad=True)
    penalty = lipschitz_penalty(layer(x).flatten(), x, one_sided=False)
    assert penalty.item() == 1
    (slope,) = torch.autograd.grad(penalty, layer.weight)
    assert slope.isfinite().all()


def test_points_lie_between_pairs_and_are_uniform() -> None:
    n = 4000
    x, y = torch.zeros(n, 2, 1), torch.tensor([1.0, 3.0]).view(1, 2, 1).expand(n, 2, 1)
    points = between(x, y, torch.Generator().manual_seed(0))
    assert points.requires_grad and points.is_leaf
    places = points.detach()[:, 0, 0]
    assert torch.allclose(points[:, 1, 0], 3 * places)
    # Kolmogorov-Smirnov: beyond 2.7 / sqrt(n) with probability 2 exp(-2 * 2.7**2) < 1e-6.
    levels = torch.arange(1, n + 1) / n
    assert (places.sort().values - levels).abs().max() < 2.7 / n**0.5 + 1 / n
    assert (places.square().sort().values - levels).abs().max() > 2.7 / n**0.5 + 1 / n
