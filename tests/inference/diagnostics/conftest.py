"""Chains whose laws are known, and the diagnostics by loops, as their paper defines them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest


@dataclass(frozen=True)
class Loops:
    """Diagnostics of one dimension (chain, draw), number by number; parts can be left out."""

    folded: bool = True
    monotone: bool = True
    halved: bool = True

    def split(self, x: np.ndarray) -> np.ndarray:
        half = x.shape[1] // 2
        return np.concatenate([x[:, :half], x[:, -half:]]) if self.halved else x

    def scores(self, x: np.ndarray) -> np.ndarray:
        from scipy.special import ndtri

        flat = x.ravel()
        ranks = [1 + (flat < one).sum() + ((flat == one).sum() - 1) / 2 for one in flat]
        return ndtri((np.array(ranks) - 0.375) / (len(flat) + 0.25)).reshape(x.shape)

    def reduction(self, z: np.ndarray) -> float:
        n = z.shape[1]
        within = np.mean([(row - row[0]).var(ddof=1) for row in z])
        between = n * np.var([row.mean() for row in z], ddof=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.sqrt(((n - 1) / n * within + between / n) / within))

    def rhat(self, x: np.ndarray) -> float:
        x = self.split(x)
        bulk = self.reduction(self.scores(x))
        if not self.folded:
            return bulk
        return max(bulk, self.reduction(self.scores(np.abs(x - np.median(x)))))

    def effective(self, z: np.ndarray) -> float:
        m, n = z.shape
        rest = z - z.mean(1, keepdims=True)
        covariance = [np.mean((rest[:, : n - t] * rest[:, t:]).sum(1) / n) for t in range(n)]
        within = covariance[0] * n / (n - 1)
        total = covariance[0] + (z.mean(1).var(ddof=1) if m > 1 else 0.0)
        rho = [1.0, *[1 - (within - one) / total for one in covariance[1:]]]
        pairs = [(0, rho[0] + rho[1])]
        while pairs[-1][1] > 0 and 2 * len(pairs) + 1 < n - 1:
            t = 2 * len(pairs)
            pairs.append((t, rho[t] + rho[t + 1]))
        if min(abs(one) for _, one in pairs) < 1e-9:
            return np.nan  # rounding decides where the sum stops
        last, end = pairs.pop()
        tau, lowest = -1.0, np.inf
        for _, one in pairs:
            lowest = min(lowest, one) if self.monotone else one
            tau += 2 * lowest
        if rho[last] > 0 or end >= 0:
            tau += rho[last]
        return m * n / max(tau, 1 / np.log10(m * n))

    def bulk(self, x: np.ndarray) -> float:
        return self.effective(self.scores(self.split(x)))

    def tail(self, x: np.ndarray) -> float:
        inside = [self.split((x <= np.quantile(x, p)) * 1.0) for p in (0.05, 0.95)]
        sizes = [self.effective(one) if np.ptp(one) > 0 else one.size for one in inside]
        return float(np.min(sizes))

    def mean_error(self, x: np.ndarray) -> float:
        return float(x.std(ddof=1) / np.sqrt(self.effective(self.split(x))))


@pytest.fixture(scope="session")
def loops() -> type[Loops]:
    """The slow diagnostics."""
    return Loops


@pytest.fixture(scope="session")
def autoregressive() -> Callable[..., np.ndarray]:
    """Stationary chains x_t = phi x_{t-1} + noise of variance one, (chain, draw, dims)."""

    def drawn(phi: float, chains: int, draws: int, dims: int, seed: int = 0) -> np.ndarray:
        noise = np.random.default_rng(seed).normal(size=(chains, draws, dims))
        x = noise.copy()
        for t in range(1, draws):
            x[:, t] = phi * x[:, t - 1] + np.sqrt(1 - phi**2) * noise[:, t]
        return x

    return drawn
