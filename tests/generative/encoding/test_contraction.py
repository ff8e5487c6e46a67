"""Norms of Jacobians, against those of one row at a time, finite differences, closed forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.autograd.functional import jacobian

from generative.encoding.contraction import contraction, squared_slopes
from generative.networks import mlp


def normal(*shape: int, seed: int = 0) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=source, dtype=torch.float64)


def slopes_of(encoder: nn.Module, x: Tensor) -> Tensor:
    codes, slopes = contraction(encoder, x)
    assert torch.equal(codes, encoder(x))
    return slopes


def by_jacobian(encoder: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Squared norms of the Jacobian of one row at a time."""
    found = [jacobian(lambda row: encoder(row[None]), one) for one in x]
    return torch.stack([slopes.square().sum() for slopes in found])  # pyright: ignore


# Jacobians ------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=2, max_size=4),
    activation=st.sampled_from(["tanh", "silu", "softplus"]),
    seed=st.integers(0, 1000),
)
def test_slopes_are_those_of_each_row(sizes: list[int], activation: Any, seed: int) -> None:
    encoder = mlp(sizes, activation, activation, generator=seed).double()
    x = normal(3, sizes[0], seed=seed)
    assert torch.allclose(slopes_of(encoder, x), by_jacobian(encoder, x.detach()), atol=1e-12)


def test_slopes_are_those_of_finite_differences() -> None:
    encoder, x, step = mlp([4, 6, 3], "tanh", generator=0).double(), normal(2, 4), 1e-5
    axes = step * torch.eye(4, dtype=torch.float64)
    ways = [(encoder(x + axis) - encoder(x - axis)) / (2 * step) for axis in axes]
    exact = torch.stack(ways).square().sum((0, 2))
    assert torch.allclose(slopes_of(encoder, x), exact, rtol=1e-8)


def test_slopes_of_images_and_maps() -> None:
    layers = nn.Conv2d(1, 2, 3, 2, 1), nn.Tanh(), nn.Conv2d(2, 2, 3)
    encoder = nn.Sequential(*layers).double()
    x = normal(2, 1, 6, 6)
    assert torch.allclose(slopes_of(encoder, x), by_jacobian(encoder, x.detach()), atol=1e-12)


@pytest.mark.parametrize(
    "encoder",
    [
        mlp([6, 4], output="softplus", generator=0),
        mlp([6, 4], generator=0),
        nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.ReLU(inplace=True)),
        nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.Tanh(), nn.SiLU()),
        # These look like one layer and are not.
        nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.Softmax(1)),
        nn.Sequential(nn.Linear(3, 4), nn.Tanh()),
        mlp([6, 4], output="tanh", shape=(2, 2), generator=0),
    ],
)
def test_one_layer_is_like_any_other(encoder: nn.Module) -> None:
    x = normal(4, 2, 3).requires_grad_()
    encoder = encoder.double()
    found, exact = slopes_of(encoder, x), squared_slopes(encoder(x), x)
    assert torch.allclose(found, exact, rtol=1e-12)
    gradients = [torch.autograd.grad(y.sum(), [*parameters(encoder)]) for y in (found, exact)]
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, atol=1e-12)


def parameters(encoder: nn.Module) -> list[nn.Parameter]:
    """Weights: some biases have no say in slopes."""
    return [x for x in encoder.parameters() if x.ndim > 1]


def test_slopes_of_one_sigmoid_layer_in_closed_form() -> None:
    # Rifai et al. 2011, section 5.3: sum_i (h_i (1 - h_i))^2 |W_i|^2.
    encoder, x = mlp([5, 3], output="sigmoid", generator=0).double(), normal(4, 5)
    codes, weights = encoder(x), encoder.layers[0].weight  # pyright: ignore
    exact = (codes * (1 - codes)).square() @ weights.square().sum(1)
    rows = x.requires_grad_()
    assert torch.allclose(squared_slopes(encoder(rows), rows), exact, rtol=1e-12)
    assert torch.allclose(slopes_of(encoder, x), exact, rtol=1e-12)


@pytest.mark.parametrize("sizes", [[3, 2], [3, 4, 2]])
@pytest.mark.parametrize("frozen", [False, True])
def test_slopes_without_a_graph(sizes: list[int], frozen: bool) -> None:
    encoder, x = mlp(sizes, output="tanh", generator=0).double(), normal(4, 3)
    encoder.requires_grad_(not frozen)
    with torch.no_grad():
        slopes = contraction(encoder, x)[1]
    assert not slopes.requires_grad
    assert torch.allclose(slopes, by_jacobian(encoder, x), atol=1e-12)
    assert not x.requires_grad


def test_slopes_of_a_sum_are_something_else() -> None:
    encoder, x = mlp([4, 6, 3], "tanh", generator=0).double(), normal(2, 4).requires_grad_()
    (wrong,) = torch.autograd.grad(encoder(x).sum(), x)
    gap = (wrong.square().sum(1) - slopes_of(encoder, x)).abs()
    assert gap.min() > 1e-3


def test_parameters_follow_the_slopes() -> None:
    encoder, x = mlp([3, 4, 2], "tanh", generator=0).double(), normal(2, 3)
    first = encoder.layers[0].weight  # pyright: ignore
    (found,) = torch.autograd.grad(slopes_of(encoder, x).sum(), first)

    def shifted(place: tuple[int, int], step: float) -> Tensor:
        with torch.no_grad():
            first[place] += step
        value = slopes_of(encoder, x).sum().detach()
        with torch.no_grad():
            first[place] -= step
        return value

    for place in ((0, 0), (3, 2)):
        slope = (shifted(place, 1e-5) - shifted(place, -1e-5)) / 2e-5
        assert found[place].item() == pytest.approx(slope.item(), rel=1e-7)
