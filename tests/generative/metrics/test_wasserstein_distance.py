"""Wasserstein distance of samples: against permutations, scipy and the linear program."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from generative import metrics
from generative.metrics import wasserstein_distance
from inference.transport import earth_movers_distance


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_permutations(x: Tensor, y: Tensor, p: float) -> float:
    """The least over all ways to match."""
    cost = torch.cdist(x, y).pow(p)
    orders = torch.tensor(list(itertools.permutations(range(len(x)))))
    return cost[torch.arange(len(x)), orders].mean(1).min().item() ** (1 / p)


@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 5),
    d=st.integers(1, 3),
    p=st.sampled_from([1.0, 1.5, 2.0]),
)
def test_equals_the_best_permutation(seed: int, n: int, d: int, p: float) -> None:
    x, y = normal(n, d, seed=seed), normal(n, d, seed=seed + 1) + 0.5
    assert wasserstein_distance(x, y, p=p).item() == pytest.approx(by_permutations(x, y, p))


def test_unequal_sizes() -> None:
    x, y = normal(6, 2), normal(4, 2, seed=1)
    repeated = wasserstein_distance(x.repeat(2, 1), y.repeat(3, 1))
    assert wasserstein_distance(x, y).item() == pytest.approx(repeated.item(), rel=1e-9)
    masses = (torch.full((n,), 1 / n, dtype=torch.float64) for n in (6, 4))
    program = earth_movers_distance(*masses, torch.cdist(x, y)).value
    assert wasserstein_distance(x, y).item() == pytest.approx(program.item(), rel=1e-9)


def test_the_line() -> None:
    x, y = normal(40, 1), 2 * normal(33, 1, seed=1)
    expected = stats.wasserstein_distance(x.flatten(), y.flatten())
    assert wasserstein_distance(x, y).item() == pytest.approx(expected)
    # A second, constant coordinate changes nothing but the way.
    plane = (torch.cat([z, torch.ones_like(z)], 1) for z in (x, y))
    assert wasserstein_distance(*plane).item() == pytest.approx(expected)


def test_scale_shift_and_equality() -> None:
    x = normal(20, 3)
    shift = torch.tensor([3.0, 4.0, 0.0], dtype=torch.float64)
    assert wasserstein_distance(x, x + shift, p=2).item() == pytest.approx(5.0)
    assert wasserstein_distance(x, x.flip(0)).item() == 0.0
    y = normal(20, 3, seed=1)
    unit = wasserstein_distance(x, y, p=3).item()
    for factor in (1e-120, 1e120):
        scaled = wasserstein_distance(factor * x, factor * y, p=3).item()
        assert scaled == pytest.approx(factor * unit, rel=1e-9)


def test_other_distances_are_there() -> None:
    x, y = normal(30, 2), normal(30, 2, seed=1) + 1
    assert metrics.mmd(x, y) > 0
    exact = wasserstein_distance(x, y, p=2)
    assert 0 < metrics.sliced_wasserstein(x, y, generator=0) < exact


def test_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"p must be finite and at least 1, found 0\.5"):
        wasserstein_distance(normal(3, 2), normal(3, 2), p=0.5)
    with pytest.raises(ValueError, match="x and y must be"):
        wasserstein_distance(normal(3, 2), normal(3, 1))
    monkeypatch.setattr("inference.memory.free_memory", lambda: 10_000)
    assert wasserstein_distance(normal(20, 2), normal(20, 2)) == 0
    with pytest.raises(ValueError, match=r"20 rows of x and 21 of y would take 205\.1 KiB"):
        wasserstein_distance(normal(20, 2), normal(21, 2))
