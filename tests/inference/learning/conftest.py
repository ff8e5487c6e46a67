"""Steps of expectation-maximisation, plain, on which the drivers are tested."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

HEADS, TOSSES = np.array([5, 9, 8, 4, 7]), 10


class Normals(NamedTuple):
    """R mixtures of K normal laws of numbers: weights, means and variances, (R, K) each."""

    weights: np.ndarray
    means: np.ndarray
    variances: np.ndarray


class NormalSteps:
    """EM of mixtures of normal laws in one dimension, from the formulas."""

    def __init__(self, x):
        self.x = np.asarray(x, dtype=np.float64)

    def log_joint(self, theta):
        """(R, K, n)."""
        gaps = self.x - theta.means[..., None]
        variances = theta.variances[..., None]
        logs = -0.5 * gaps**2 / variances - 0.5 * np.log(2 * np.pi * variances)
        return np.log(theta.weights)[..., None] + logs

    def posterior(self, theta):
        """Responsibilities (R, K, n) and log-likelihoods (R,)."""
        logs = self.log_joint(theta)
        peaks = logs.max(1, keepdims=True)
        joint = np.exp(logs - peaks)
        total = joint.sum(1, keepdims=True)
        return joint / total, (np.log(total) + peaks).sum((1, 2))

    def __call__(self, theta):
        shares, objective = self.posterior(theta)
        counts = shares.sum(-1)
        means = (shares @ self.x) / counts
        squares = (shares * (self.x - means[..., None]) ** 2).sum(-1)
        return Normals(counts / len(self.x), means, squares / counts), objective

    @staticmethod
    def to_vector(theta):
        """Additive statistics (R, 3 K), per row."""
        w, m, v = theta
        return np.concatenate([w, w * m, w * (v + m**2)], -1)

    @staticmethod
    def from_vector(s, like):
        """Parameters, and where they are a mixture's."""
        w, first, second = np.split(s, 3, -1)
        with np.errstate(all="ignore"):
            means = first / w
            variances = second / w - means**2
            good = ((w > 0) & (variances > 0)).all(-1)
        # Long leaps magnify rounding.
        return Normals(w / w.sum(-1, keepdims=True), means, variances), good


class CoinSteps:
    """Two coins, one of which was chosen for every bag: R pairs of chances of heads, (R, 2)."""

    @staticmethod
    def joint(p):
        """(R, 2, bags)."""
        return 0.5 * p[..., None] ** HEADS * (1 - p[..., None]) ** (TOSSES - HEADS)

    def __call__(self, p):
        joint = self.joint(p)
        share = joint / joint.sum(1, keepdims=True)
        return (share @ HEADS) / (TOSSES * share.sum(-1)), np.log(joint.sum(1)).sum(-1)


@pytest.fixture(scope="session")
def normals():
    """The record of parameters."""
    return Normals


@pytest.fixture(scope="session")
def normal_steps():
    """EM steps for given data."""
    return NormalSteps


@pytest.fixture(scope="session")
def coin_steps():
    """EM steps for two coins."""
    return CoinSteps()
