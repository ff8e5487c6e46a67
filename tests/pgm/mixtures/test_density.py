"""Log-densities of normal laws against scipy, with and without missing entries."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from pgm.mixtures import density
from pgm.mixtures.components import COVARIANCE_TYPES
from pgm.mixtures.density import as_matrices, normal_log_prob
from pgm.mixtures.settings import covariance_shape


def draw(kind, k=3, d=4, seed=0):
    draws = np.random.default_rng(seed)
    roots = draws.normal(size=(k, d, d))
    covariances = roots @ roots.swapaxes(-1, -2) + np.eye(d)
    covariances = {"full": covariances, "tied": covariances[0]}.get(kind)
    if covariances is None:
        covariances = draws.uniform(0.5, 2, covariance_shape(k, d, kind))
    return [torch.from_numpy(x) for x in (draws.normal(size=(k, d)), covariances)]


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_densities_are_those_of_scipy(kind, missing, monkeypatch):
    monkeypatch.setattr(density, "_CHUNK", 100)  # several chunks
    means, covariances = draw(kind)
    draws = np.random.default_rng(1)
    x = draws.normal(size=(30, 4))
    if missing:
        x[draws.random(x.shape) < 0.4] = np.nan
        x[0] = np.nan
    found = normal_log_prob(torch.from_numpy(x), means, covariances, kind)
    matrices = as_matrices(covariances, 4, kind).expand(3, 4, 4).numpy()
    for i, row in enumerate(x):
        there = ~np.isnan(row)
        for k in range(3):
            expected = 0.0
            if there.any():
                law = multivariate_normal(
                    means[k].numpy()[there], matrices[k][np.ix_(there, there)]
                )
                expected = law.logpdf(row[there])
            assert found[i, k].item() == pytest.approx(expected, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_gradients_are_those_of_differences(kind, missing):
    means, covariances = draw(kind, 2, 3)
    x = torch.from_numpy(np.random.default_rng(1).normal(size=(4, 3)))
    gaps = torch.tensor([[True, False, False]]) & (torch.arange(4) % 2 == 0)[:, None]

    def of(x, means, root):
        symmetric = root + root.mT if kind in ("full", "tied") else root
        rows = x.masked_fill(gaps, torch.nan) if missing else x
        return normal_log_prob(rows, means, symmetric, kind)

    half = covariances / 2 if kind in ("full", "tied") else covariances
    arguments = [part.clone().requires_grad_() for part in (x, means, half)]
    assert torch.autograd.gradcheck(of, arguments)


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_what_is_not_positive_definite_is_refused(kind):
    means, covariances = draw(kind)
    with pytest.raises(ValueError, match="covariances must be positive"):
        normal_log_prob(means, means, -covariances, kind)
    assert normal_log_prob(means[:0], means, covariances, kind).shape == (0, 3)
