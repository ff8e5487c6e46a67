"""Rows that the tests of the maximum-entropy classifier share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest


def _rows(seed: int, n: int = 80, d: int = 4, n_classes: int = 3):
    """Features of unlike magnitudes, noisy labels in which every class occurs, weights."""
    rng = np.random.default_rng(seed)
    x = rng.normal(rng.normal(size=d), 10.0 ** rng.uniform(-2, 2, d), (n, d))
    scores = ((x - x.mean(0)) / x.std(0)) @ rng.normal(size=(d, n_classes)) + rng.gumbel(
        size=(n, n_classes)
    )
    y = scores.argmax(1)
    y[:n_classes] = np.arange(n_classes)
    return x, y, rng.uniform(0.1, 3.0, n)


@pytest.fixture(scope="session")
def rows() -> Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Random features, labels and weights."""
    return _rows
