"""Sums on a grid against closed forms, and what they refuse."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from energy.neural.quadrature import grid_limits, grid_log_partition, grid_points

LIKE = torch.zeros((), dtype=torch.float64)


def test_normal_law_of_two_variables() -> None:
    precision = torch.tensor([[2.0, 0.8], [0.8, 1.0]], dtype=torch.float64)
    shift = torch.tensor([1.0, -0.5], dtype=torch.float64)

    def log_weight(x: Tensor) -> Tensor:
        return -0.5 * ((x - shift) @ precision * (x - shift)).sum(1) + 3.0

    found = grid_log_partition(log_weight, [(-9, 11), (-12, 11)], 200, LIKE)
    exact = 3 + math.log(2 * math.pi) - 0.5 * float(precision.det().log())
    assert float(found) == pytest.approx(exact, abs=1e-12)


def test_quartic_law() -> None:
    found = grid_log_partition(lambda x: -(x**4).sum(1), [(-4, 4)], 300, LIKE)
    assert float(found) == pytest.approx(math.log(2 * math.gamma(1.25)), abs=1e-12)


def test_points_are_evaluated_in_parts() -> None:
    seen = []

    def log_weight(x: Tensor) -> Tensor:
        seen.append(len(x))
        return -x.square().sum(1)

    found = grid_log_partition(log_weight, [(-9, 9)] * 2, 300, LIKE)
    assert float(found) == pytest.approx(math.log(math.pi), abs=1e-12)
    assert len(seen) > 1 and sum(seen) == 300**2


def test_a_cut_density_is_refused() -> None:
    with pytest.raises(ValueError, match="limits must hold the whole density"):
        grid_log_partition(lambda x: -x.square().sum(1), [(-1, 9)], 100, LIKE)


def test_limits() -> None:
    assert grid_limits([(0, 1)], LIKE[None], LIKE[None] + 1) == [(0.0, 1.0)]
    with pytest.raises(ValueError, match="limits must be 1 pairs"):
        grid_limits([(0, 1), (0, 1)], LIKE[None], LIKE[None] + 1)
    with pytest.raises(ValueError, match="limits must be finite and rising"):
        grid_points([(1, 0)], 10, LIKE)


def test_too_many_points_are_refused() -> None:
    with pytest.raises(ValueError, match="take fewer points"):
        grid_points([(0, 1)] * 2, 10**7, LIKE)


def test_limits_are_pairs():
    with pytest.raises(ValueError, match=r"limits must be 1 pairs \(low, high\), found"):
        grid_limits([(-9.0, 0.0, 9.0)], torch.zeros(1), torch.ones(1))
