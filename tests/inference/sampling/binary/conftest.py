"""Small glasses of spins with their laws enumerated, and a test of one step from exact starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from inference.exact.enumerate import enumerate_states


class Glass(NamedTuple):
    """Couplings and fields of a random graph, all its states and their log-weights."""

    edges: np.ndarray
    couplings: Tensor
    field: Tensor
    spins: Tensor
    log_weights: Tensor


@pytest.fixture(scope="session")
def glass() -> Callable[..., Glass]:
    def made(n: int = 6, seed: int = 0, share: float = 0.6, field: float = 0.5) -> Glass:
        rng = np.random.default_rng(seed)
        pairs = [(i, j) for i in range(n) for j in range(i + 1, n) if rng.random() < share]
        edges = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        couplings = torch.from_numpy(0.7 * rng.normal(size=len(edges)))
        h = torch.from_numpy(field * rng.normal(size=n))
        spins = 2 * enumerate_states([2] * n).double() - 1
        pairs_of = spins[:, edges[:, 0]] * spins[:, edges[:, 1]]
        return Glass(edges, couplings, h, spins, pairs_of @ couplings + spins @ h)

    return made


@pytest.fixture(scope="session")
def rejected() -> Callable[..., bool]:
    """Whether a step from exact draws leaves another law: chi-square, false alarms 1e-7."""

    def found(spins: Tensor, log_weights: Tensor, step: Callable[..., Tensor], n: int) -> bool:
        from scipy.stats import chi2

        probs = log_weights.softmax(0)
        generator = torch.Generator().manual_seed(1)
        start = torch.multinomial(probs, n, True, generator=generator)
        now = step(spins[start], generator)
        digits = 2 ** torch.arange(spins.shape[1] - 1, -1, -1)
        counts = torch.bincount((now > 0).long() @ digits, minlength=len(spins))
        value = ((counts - n * probs) ** 2 / (n * probs)).sum()
        return bool(value > chi2.isf(1e-7, len(spins) - 1))

    return found
