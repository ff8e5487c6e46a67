"""Frechet distance: against the matrix square root of scipy, closed forms and the digits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from torch import Tensor

from generative.metrics import frechet_distance
from inference.gaussian import gaussian_wasserstein2


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def published(x: Tensor, y: Tensor) -> float:
    """The formula as it is printed, by numpy and scipy."""
    mean_x, mean_y = x.numpy().mean(0), y.numpy().mean(0)
    c_x, c_y = (np.atleast_2d(np.cov(z.numpy(), rowvar=False)) for z in (x, y))
    root = sqrtm(c_x @ c_y).real
    return float(((mean_x - mean_y) ** 2).sum() + np.trace(c_x + c_y - 2 * root))


@given(seed=st.integers(0, 10**6), d=st.integers(1, 6))
def test_equals_the_published_formula(seed: int, d: int) -> None:
    x = normal(20, d, seed=seed) @ normal(d, d, seed=seed + 1)
    y = 2 * normal(31, d, seed=seed + 2) + 1
    # The root of a product that is not symmetric carries the square root of a rounding error.
    assert frechet_distance(x, y).item() == pytest.approx(published(x, y), rel=1e-6)
    assert frechet_distance(x, y).item() == pytest.approx(frechet_distance(y, x).item(), rel=1e-9)


def test_known_moments() -> None:
    # Points of the cube have the covariance 8/7 I; scaled and moved they have known moments.
    cube = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 3)
    scale = torch.tensor([2.0, 0.5, 0.0], dtype=torch.float64)
    shift = torch.tensor([1.0, -2.0, 2.0], dtype=torch.float64)
    expected = 9 + 8 / 7 * (scale - 1).square().sum().item()  # one axis is gone altogether
    assert frechet_distance(cube, cube * scale + shift).item() == pytest.approx(expected)
    assert frechet_distance(cube * scale, cube * scale).item() == pytest.approx(0, abs=1e-12)


def test_more_dimensions_than_rows() -> None:
    # Both covariances are singular: the distance is that within the space the points span.
    low_x, low_y = normal(8, 3), 1.5 * normal(9, 3, seed=1) + 0.3
    basis = torch.linalg.qr(normal(20, 3, seed=2)).Q
    expected = frechet_distance(low_x, low_y).item()
    found = frechet_distance(low_x @ basis.T, low_y @ basis.T).item()
    assert found == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(low_x @ basis.T, low_x @ basis.T).item() < 1e-12


def test_is_the_square_of_the_wasserstein_distance() -> None:
    x, y = normal(50, 4), 2 * normal(60, 4, seed=1) + 1
    distance = gaussian_wasserstein2(x.mean(0), x.T.cov(), y.mean(0), y.T.cov())
    assert frechet_distance(x, y).item() == pytest.approx(distance.item() ** 2, rel=1e-12)


def test_gradient() -> None:
    x, y = normal(7, 2).requires_grad_(), normal(9, 2, seed=1)
    assert torch.autograd.gradcheck(lambda z: frechet_distance(z, y), x)


def test_floor_of_perfect_samples() -> None:
    d, n, m, repeats = 5, 400, 800, 60
    values = torch.stack(
        [
            frechet_distance(normal(n, d, seed=2 * i), normal(m, d, seed=2 * i + 1))
            for i in range(repeats)
        ]
    )
    floor = (1 / n + 1 / m) * d * (d + 5) / 4
    # Five standard errors, and the terms of higher order that the formula leaves out.
    error = 5 * values.std().item() / repeats**0.5 + 0.02 * floor
    assert values.mean().item() == pytest.approx(floor, abs=error)
    assert abs(values.mean().item() - 1.5 * floor) > error


def test_digits() -> None:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    x, y = load_digits(return_X_y=True)
    train, test = train_test_split(x >= 8, test_size=297, random_state=0, stratify=y)
    # Measured once with another implementation: 0.29 on the 64 raw pixels.
    assert frechet_distance(train, test).item() == pytest.approx(0.29, abs=0.005)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="x must hold at least 2 rows, found 1"):
        frechet_distance(normal(1, 2), normal(5, 2))
    with pytest.raises(ValueError, match="with one d"):
        frechet_distance(normal(5, 3), normal(5, 2))
    with pytest.raises(ValueError, match="y must be finite"):
        frechet_distance(normal(5, 1), [[0.0], [np.inf]])
