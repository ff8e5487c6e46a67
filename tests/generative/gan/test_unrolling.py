"""Unrolling: against a closed form, finite differences and an optimizer of torch."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from generative.gan.unrolling import unrolled


def quadratic(target: Tensor, matrix: Tensor) -> object:
    """A loss with its least value at the target."""

    def loss(parameters: Mapping[str, Tensor]) -> Tensor:
        gap = parameters["theta"] - target
        return gap @ matrix @ gap / 2

    return loss


def test_quadratic_in_closed_form() -> None:
    matrix = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
    target = torch.tensor([1.0, -3.0], dtype=torch.float64, requires_grad=True)
    start = torch.tensor([4.0, 2.0], dtype=torch.float64, requires_grad=True)
    for steps in (0, 1, 7):
        end = unrolled({"theta": start}, quadratic(target, matrix), steps, lr=0.3)["theta"]
        shrink = torch.linalg.matrix_power(torch.eye(2, dtype=torch.float64) - 0.3 * matrix, steps)
        assert torch.allclose(end, target + shrink @ (start - target), rtol=1e-12)
        jacobian = torch.stack(
            [
                torch.autograd.grad(end[i], target, retain_graph=True, materialize_grads=True)[0]
                for i in range(2)
            ]
        )
        assert torch.allclose(jacobian, torch.eye(2, dtype=torch.float64) - shrink, rtol=1e-12)
        through_start = torch.stack(
            [torch.autograd.grad(end[i], start, retain_graph=True)[0] for i in range(2)]
        )
        assert torch.allclose(through_start, shrink, rtol=1e-12, atol=1e-15)


def test_gradients_through_a_discriminator_by_finite_differences() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    data = torch.randn(8, 2, dtype=torch.float64)
    parameters = dict(network.named_parameters())

    def generator_loss(shift: Tensor) -> Tensor:
        fake = 0.5 * data.roll(1, 0) + shift

        def loss(at: Mapping[str, Tensor]) -> Tensor:
            real, made = (functional_call(network, dict(at), (x,)) for x in (data, fake))
            return nn.functional.softplus(-real).mean() + nn.functional.softplus(made).mean()

        end = unrolled(parameters, loss, steps=3, lr=0.5)
        return nn.functional.softplus(-functional_call(network, end, (fake,))).mean()

    shift = torch.tensor([0.3, -0.2], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(generator_loss, shift)
    # The gradient with the answer left out is another one.
    (full,) = torch.autograd.grad(generator_loss(shift), shift)
    with torch.no_grad():
        before = [p.clone() for p in network.parameters()]
    fake = 0.5 * data.roll(1, 0) + shift
    (plain,) = torch.autograd.grad(nn.functional.softplus(-network(fake)).mean(), shift)
    assert (full - plain).abs().max() > 1e-3
    assert all(torch.equal(p, q) for p, q in zip(network.parameters(), before, strict=True))
    assert all(p.grad is None for p in network.parameters())


def test_values_are_those_of_gradient_descent() -> None:
    torch.manual_seed(1)
    network = nn.Linear(3, 1)
    x, y = torch.randn(10, 3), torch.randn(10, 1)
    end = unrolled(
        dict(network.named_parameters()),
        lambda at: (functional_call(network, dict(at), (x,)) - y).square().mean(),
        steps=5,
        lr=0.1,
    )
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        (network(x) - y).square().mean().backward()
        optimizer.step()
    assert list(end) == ["weight", "bias"]
    for name, value in network.named_parameters():
        assert torch.allclose(end[name], value, atol=1e-6)


def test_works_without_gradients_around_and_with_unused_parameters() -> None:
    start = {"a": torch.tensor(1.0), "unused": torch.tensor([2.0])}
    with torch.no_grad():
        end = unrolled(start, lambda p: p["a"].square(), steps=2, lr=0.25)
    assert end["a"].item() == 0.25
    assert end["unused"].tolist() == [2.0]
    assert not start["a"].requires_grad


def test_bad_input() -> None:
    start = {"a": torch.ones(2)}
    with pytest.raises(ValueError, match="steps must be at least 0"):
        unrolled(start, lambda p: p["a"].sum(), -1, 0.1)
    with pytest.raises(TypeError, match="steps must be a whole number"):
        unrolled(start, lambda p: p["a"].sum(), 1.5, 0.1)
    for lr in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="lr must be positive and finite"):
            unrolled(start, lambda p: p["a"].sum(), 1, lr)
    with pytest.raises(ValueError, match=r"loss must return one number, found shape \(2,\)"):
        unrolled(start, lambda p: p["a"], 1, 0.1)
    with pytest.raises(ValueError, match="loss must depend on the parameters"):
        unrolled(start, lambda p: torch.zeros(()), 1, 0.1)
