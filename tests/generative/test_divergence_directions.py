"""One normal law fitted to two modes by either direction of the divergence."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, Normal

from inference import minimize

MEANS = torch.tensor([-3.0, 3.0], dtype=torch.float64)
LAW = MixtureSameFamily(Categorical(torch.ones_like(MEANS)), Normal(MEANS, 0.7))
X = torch.linspace(-30, 30, 20_001, dtype=torch.float64)


def covering(at: Tensor) -> Tensor:
    """KL(p || q), by the moments of p and its entropy by quadrature."""
    logs = LAW.log_prob(X)
    q = Normal(at[0], at[1].exp())
    return torch.trapezoid(logs.exp() * (logs - q.log_prob(X)), X)


def seeking(at: Tensor) -> Tensor:
    """KL(q || p) by quadrature."""
    q = Normal(at[0], at[1].exp())
    logs = q.log_prob(X)
    return torch.trapezoid(logs.exp() * (logs - LAW.log_prob(X)), X)


def slope(divergence: Callable[[Tensor], Tensor], at: Tensor) -> tuple[Tensor, Tensor]:
    leaf = at.detach().requires_grad_()
    value = divergence(leaf)
    return value.detach(), torch.autograd.grad(value, leaf)[0]


@pytest.mark.parametrize(
    ("divergence", "start", "mean", "sd", "value"),
    [
        (covering, 1.0, 0.0, math.sqrt(9.49), 0.7886741),
        (seeking, 2.0, 2.99991, 0.70018, 0.6931200),
        (seeking, -2.0, -2.99991, 0.70018, 0.6931200),
    ],
)
def test_T25_covers_both_modes_or_seeks_one(
    divergence: Callable[[Tensor], Tensor], start: float, mean: float, sd: float, value: float
) -> None:
    begin = torch.tensor([start, 0.0], dtype=torch.float64)
    found = minimize(lambda at: slope(divergence, at), begin, value_tolerance=0)
    assert found.x[0].item() == pytest.approx(mean, abs=2e-5)
    assert found.x[1].exp().item() == pytest.approx(sd, abs=2e-5)
    assert float(found.value) == pytest.approx(value, abs=1e-6)


def test_T25_the_middle_is_a_stationary_point_of_the_seeking_direction() -> None:
    width = torch.tensor(2.57966804, dtype=torch.float64).log()
    value, gradient = slope(seeking, torch.stack([torch.zeros_like(width), width]))
    assert gradient.abs().max() < 1e-6
    # By scipy's adaptive quadrature; 2.2402682 is also in print.
    assert value.item() == pytest.approx(2.2405333, abs=1e-6)
    assert value > math.log(2)
