"""Parameters as sums that add up, and back."""

from __future__ import annotations

import numpy as np
import pytest

from pgm.mixtures.components import COVARIANCE_TYPES
from pgm.mixtures.moments import Components
from pgm.mixtures.sufficient import from_sums, to_sums


def components(kind, seed=0, n_runs=2, k=3, d=4):
    draws = np.random.default_rng(seed)
    count = 1 if kind == "tied" else k
    roots = draws.normal(size=(n_runs, count, d, d))
    covariances = roots @ roots.swapaxes(-1, -2) + np.eye(d)
    if kind in ("diag", "spherical"):
        covariances = draws.uniform(0.5, 2, (n_runs, k, d if kind == "diag" else 1))
    weights = draws.dirichlet(np.ones(k), n_runs)
    return Components(weights, draws.normal(size=(n_runs, k, d)), covariances)


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_there_and_back(kind):
    given = components(kind)
    found, good = from_sums(to_sums(given, kind), components(kind, 1), kind)
    assert good.all()
    for one, other in zip(found, given, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_sums_of_two_sets_of_rows_add_up(kind):
    draws = np.random.default_rng(0)
    x = draws.normal(size=(1, 50, 2))

    def fitted(rows):
        cov = np.cov(rows[0].T, bias=True)
        held = {"diag": np.diagonal(cov), "spherical": np.trace(cov)[None] / 2}.get(kind, cov)
        return Components(np.ones((1, 1)), rows.mean(1)[:, None], held[None, None])

    parts = [to_sums(fitted(part), kind) for part in (x[:, :20], x[:, 20:])]
    whole, good = from_sums(0.4 * parts[0] + 0.6 * parts[1], fitted(x), kind)
    assert good.all()
    for one, other in zip(whole, fitted(x), strict=True):
        np.testing.assert_allclose(one, other)


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_what_is_no_mixture_is_told(kind):
    given, other = components(kind), components(kind, 1)
    sums = to_sums(given, kind)
    sums[0, 0] = -0.1
    found, good = from_sums(sums, other, kind)
    assert good.tolist() == [False, True]
    assert np.array_equal(found.means[0], other.means[0])
    sums = to_sums(given, kind)
    sums[1, -1] = -5
    assert from_sums(sums, other, kind)[1].tolist() == [True, False]
