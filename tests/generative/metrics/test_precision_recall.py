"""Precision and recall: against neighbours of scikit-learn and cases with known answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from generative.metrics import precision_recall


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def share_inside(x: np.ndarray, y: np.ndarray, k: int) -> float:
    """Kynkaanniemi et al. 2019, eq. 1, point by point."""
    neighbours = NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(y)
    radii = neighbours.kneighbors(y)[0][:, -1]
    inside = [any(np.linalg.norm(a - b) <= r for b, r in zip(y, radii, strict=True)) for a in x]
    return float(np.mean(inside))


@given(
    seed=st.integers(0, 10**6),
    d=st.sampled_from([1, 2, 40]),
    k=st.integers(1, 4),
    n=st.integers(6, 20),
)
def test_equals_brute_force(seed: int, d: int, k: int, n: int) -> None:
    real, generated = normal(n, d, seed=seed), 1.2 * normal(15, d, seed=seed + 1)
    found = precision_recall(real, generated, k=k)
    assert found.precision.item() == share_inside(generated.numpy(), real.numpy(), k)
    assert found.recall.item() == share_inside(real.numpy(), generated.numpy(), k)


def test_one_mode_of_two_is_precise_and_recalls_half() -> None:
    lattice = torch.cartesian_prod(torch.arange(8.0), torch.arange(8.0))
    real, generated = torch.cat([lattice, lattice + 100]), lattice + 0.25
    found = precision_recall(real, generated)
    assert found == (1.0, 0.5)
    # Swapped sides swap the two numbers.
    swapped = precision_recall(generated, real)
    assert swapped.precision.item() == found.recall.item()
    assert swapped.recall.item() == found.precision.item()


def test_noise_around_the_data_is_imprecise_and_recalls_all() -> None:
    real = normal(300, 2)
    generated = torch.cat([normal(300, 2, seed=1), 50 + 100 * torch.rand(100, 2)])
    found = precision_recall(real, generated)
    assert 0.65 < found.precision.item() <= 0.75
    assert found.recall.item() > 0.9


def test_copies_score_one_also_where_balls_are_points() -> None:
    for dimensions in (3, 50):
        real = (normal(4, dimensions) * 1e3).repeat(5, 1)  # five of each: radii are zero
        found = precision_recall(real, real.flip(0), k=4)
        assert found == (1.0, 1.0)
        moved = precision_recall(real, real + 1e-3, k=4)
        assert moved == (0.0, 0.0)


def test_borders_belong_to_balls() -> None:
    # Whole numbers in many dimensions: distances that equal a radius are inside.
    basis = torch.eye(40, dtype=torch.float64)
    real, generated = torch.cat([basis[:2], 9 * basis[2:3]]), basis[3:6]
    assert precision_recall(real, generated, k=1).precision.item() == 1.0


def test_perfect_samples_in_the_plane() -> None:
    scores = precision_recall(normal(1000, 2), normal(1000, 2, seed=1))
    assert all(0.96 < score.item() < 1 for score in scores)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="generated must hold at least 4 rows, found 3"):
        precision_recall(normal(10, 2), normal(3, 2))
    with pytest.raises(ValueError, match="k must be at least 1"):
        precision_recall(normal(10, 2), normal(10, 2), k=0)
    with pytest.raises(ValueError, match="real and generated must be"):
        precision_recall(normal(10, 2), normal(10, 3))
