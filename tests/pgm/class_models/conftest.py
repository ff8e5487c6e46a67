"""Rows, tables and fitted models that the tests of naive Bayes share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch

from pgm.naive_bayes import NaiveBayes


def _rows(kind: str, seed: int, n: int = 40, d: int = 5, n_classes: int = 3):
    """Random features, labels in which every class occurs, weights."""
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, n - n_classes)])
    if kind == "gaussian":
        x = rng.normal(y[:, None] * rng.normal(size=d), rng.uniform(0.5, 20, d), (n, d))
    elif kind == "bernoulli":
        x = (rng.random((n, d)) < rng.random((n_classes, d))[y]).astype(float)
    else:
        x = rng.integers(0, 4, (n, d))
        x[0], x[1] = 3, 1  # every state occurs
    return x, y, rng.uniform(0.1, 3.0, n)


@pytest.fixture(scope="session")
def rows() -> Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Random features, labels and weights of a kind of model."""
    return _rows


def _model_of(kind: str, **settings) -> NaiveBayes:
    """A model fitted to random rows."""
    x, y, weight = _rows(kind, 0)
    return NaiveBayes(kind, **settings).fit(x, y, weight)


@pytest.fixture(scope="session")
def model_of() -> Callable[..., NaiveBayes]:
    """A model of a kind, fitted to random rows."""
    return _model_of


def _close(found, expected, tolerance: float = 1e-10) -> None:
    """Equal within a relative and an absolute tolerance."""
    found = found.detach().cpu().numpy() if isinstance(found, torch.Tensor) else np.asarray(found)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.fixture(scope="session")
def close() -> Callable[..., None]:
    """Check that two arrays agree."""
    return _close


def _frame() -> tuple[pd.DataFrame, list[str]]:
    table = pd.DataFrame(
        {
            "colour": ["red", "green", None, "red", "blue", "green"],
            "size": pd.Categorical(["S", "L", "L", "S", None, "L"], ["S", "M", "L"]),
            "legs": [2, 4, 4, -1, 2, 0],
        }
    )
    return table, ["bird", "cat", "cat", "bird", "bird", "snake"]


@pytest.fixture(scope="session")
def frame() -> Callable[..., tuple[pd.DataFrame, list[str]]]:
    """A table with labels and gaps, and the class of every row."""
    return _frame


def _coded(table: pd.DataFrame) -> np.ndarray:
    """The codes of the frame above by hand."""
    colours = table["colour"].map({"blue": 0, "green": 1, "red": 2}).fillna(-1)
    sizes = table["size"].astype(object).map({"S": 0, "M": 1, "L": 2}).fillna(-1)
    return np.stack([colours, sizes, table["legs"]], axis=1).astype(int)


@pytest.fixture(scope="session")
def coded() -> Callable[..., np.ndarray]:
    """The codes of the table of `frame`, by hand."""
    return _coded
