"""Draws of linear-Gaussian networks follow the exact laws."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from scipy.stats import chi2, norm

FALSE_ALARM = 1e-6


def smallest_p(standard: np.ndarray) -> float:
    """Least p-value, times the number of tests, that rows (n, k) are N(0, I).

    Exact tests of the mean and the square of every coordinate and of every sum and difference of
    two, so that means, variances and correlations are all seen.
    """
    n, k = standard.shape
    directions = list(np.eye(k))
    for i, j in itertools.combinations(range(k), 2):
        directions += [(np.eye(k)[i] + s * np.eye(k)[j]) / np.sqrt(2) for s in (1, -1)]
    along = standard @ np.array(directions).T
    squares, sums = (along**2).sum(axis=0), along.sum(axis=0)
    tails = [chi2(n).cdf(squares), chi2(n).sf(squares), norm.sf(np.abs(sums) / np.sqrt(n))]
    return 2 * np.min(tails) * 2 * len(directions)


def whitened(draws: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    return np.linalg.solve(np.linalg.cholesky(covariance), (draws - mean).T).T


def test_draws_follow_the_joint_law(thermometers, recursion):
    net = thermometers()
    draws = net.sample(20_000, generator=0).numpy()
    assert smallest_p(whitened(draws, *recursion(net))) > FALSE_ALARM
    # The test sees a wrong weight, and draws that forget how variables depend.
    other = thermometers()
    with torch.no_grad():
        other.weights[1, 2] = 1.1
    assert smallest_p(whitened(draws, *recursion(other))) < FALSE_ALARM
    shuffled = draws.copy()
    shuffled[:, 0] = np.roll(shuffled[:, 0], 1)
    assert smallest_p(whitened(shuffled, *recursion(net))) < FALSE_ALARM


def test_draws_follow_the_posterior(thermometers, conditional):
    net = thermometers()
    seen = {"heater": 10.0, "good": 29.0}
    draws = net.sample(20_000, seen, generator=0).numpy()
    assert (draws[:, 0] == 10.0).all() and (draws[:, 3] == 29.0).all()
    mean, covariance = conditional(net, seen)
    free = [1, 2]
    law = mean[free], covariance[np.ix_(free, free)]
    assert smallest_p(whitened(draws[:, free], *law)) > FALSE_ALARM
    # Independent draws of the two marginals would not pass.
    apart = np.random.default_rng(0).normal(mean[free], np.sqrt(np.diag(law[1])), (20_000, 2))
    assert smallest_p(whitened(apart, *law)) < FALSE_ALARM


def test_imputed_draws_follow_every_row_of_its_own(
    thermometers, recursion, with_gaps, conditional
):
    net = thermometers()
    x = with_gaps(net.sample(20_000, generator=3), 0.5, 4)
    filled = net.impute(x, "sample", generator=5)
    assert filled[~x.isnan()].equal(x[~x.isnan()]) and filled.isfinite().all()
    # Filled rows follow the joint law again if and only if every posterior is right.
    assert smallest_p(whitened(filled.numpy(), *recursion(net))) > FALSE_ALARM
    means = net.impute(x)
    assert means[~x.isnan()].equal(x[~x.isnan()])
    assert smallest_p(whitened(means.numpy(), *recursion(net))) < FALSE_ALARM
    for i in range(5):
        seen = {n: v for n, v in zip(net.variables, x[i].tolist(), strict=True) if v == v}
        np.testing.assert_allclose(means[i], conditional(net, seen)[0], rtol=1e-10)


def test_draws_follow_their_generator(thermometers):
    net = thermometers()
    state = torch.get_rng_state()
    for seen in (None, {"good": 30.0}):
        assert net.sample(5, seen, generator=1).equal(net.sample(5, seen, generator=1))
        assert not net.sample(5, seen, generator=1).equal(net.sample(5, seen, generator=2))
        net.sample(5, seen)
    assert torch.get_rng_state().equal(state)
    assert net.sample(0).shape == (0, 4)
