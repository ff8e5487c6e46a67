"""A floor under covariances against a search for the best ones that it allows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from pgm.mixtures.floors import Addition, Floor


def loss(covariance, scatter):
    """What the M step minimises for one component."""
    return np.linalg.slogdet(covariance)[1] + np.trace(np.linalg.solve(covariance, scatter))


def below(draws, d):
    """A scatter that is below the floor in some directions only, and the floor."""
    root = draws.normal(size=(d, d))
    floor = root @ root.T + 0.1 * np.eye(d)
    turn, _ = np.linalg.qr(draws.normal(size=(d, d)))
    values = np.linspace(0.05, 4, d)
    base = np.linalg.cholesky(floor)
    return base @ (turn * values) @ turn.T @ base.T, floor


def test_a_covariance_is_the_best_above_the_floor():
    draws = np.random.default_rng(0)
    scatter, floor = below(draws, 3)
    found = Floor(floor, "full").apply(scatter[None, None])[0, 0]
    assert np.linalg.eigvalsh(found - floor).min() > -1e-12

    def of(numbers):
        root = numbers.reshape(3, 3)
        return floor + root @ root.T  # everything that is above the floor

    starts = [draws.normal(size=9) for _ in range(5)]
    best = min(
        [minimize(lambda n: loss(of(n), scatter), s, options={"gtol": 1e-9}).fun for s in starts]
    )
    assert loss(found, scatter) == pytest.approx(best, abs=1e-7)


def test_what_is_above_the_floor_stays_what_it_is():
    scatter = np.diag([1.0, 2.0])[None, None]
    found = Floor(np.diag([0.5, 0.5]), "full").apply(scatter)
    assert np.array_equal(found, scatter)


@pytest.mark.parametrize(
    ("kind", "scatters", "expected"),
    [
        ("diag", [[0.0, 2.0]], [[0.5, 2.0]]),
        ("spherical", [[0.1]], [[0.6]]),
        ("spherical", [[3.0]], [[3.0]]),
    ],
)
def test_independent_features_are_raised_each(kind, scatters, expected):
    floor = Floor(np.diag([0.5, 0.7]), kind)
    np.testing.assert_allclose(floor.apply(np.array([scatters])), [expected])


@pytest.mark.parametrize("kind", ["full", "tied"])
def test_tensors_give_the_same(kind):
    scatter, floor = below(np.random.default_rng(1), 4)
    one = Floor(floor, kind).apply(scatter[None, None])
    other = Floor(torch.from_numpy(floor), kind).apply(torch.from_numpy(scatter[None, None]))
    np.testing.assert_allclose(one, other, rtol=1e-10)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("full", [[3.0, 0.5], [0.5, 4.0]]), ("diag", [3.0, 4.0]), ("spherical", [3.5])],
)
def test_an_addition_is_added(kind, expected):
    scatters = {"full": np.array([[1.0, 0.5], [0.5, 1.0]]), "diag": np.ones(2)}
    scatter = scatters.get(kind, np.ones(1))
    found = Addition(np.diag([2.0, 3.0]), kind).apply(scatter[None, None])
    np.testing.assert_allclose(found[0, 0], expected)
