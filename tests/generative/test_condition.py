"""Conditions: labels and networks, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from generative.condition import Condition

LIKE = torch.zeros((), dtype=torch.float64)


@pytest.mark.parametrize("labels", [[2, 0], np.array([2, 0]), torch.tensor([2.0, 0.0])])
def test_labels_are_one_hot(labels: Any) -> None:
    condition = Condition(3)
    found = condition(condition.read(labels, 2, LIKE), LIKE)
    assert found is not None and found.dtype == torch.float64
    assert found.tolist() == [[0, 0, 1], [1, 0, 0]]


def test_one_label_stands_for_all() -> None:
    read = Condition(3).read(1, 4, LIKE)
    assert read is not None and read.tolist() == [1, 1, 1, 1]


def test_networks_make_features() -> None:
    words = Condition(nn.Embedding(5, 2))
    read = words.read([4, 1, 0], 3, LIKE)
    assert read is not None and read.dtype == torch.int64
    found = words(read, LIKE)
    assert found is not None and found.shape == (3, 2)
    numbers = Condition(nn.Linear(2, 4).double())
    assert numbers(numbers.read([[0.5, 1.0]], 1, LIKE), LIKE).shape == (1, 4)


def test_none() -> None:
    assert Condition(None)(Condition(None).read(None, 3, LIKE), LIKE) is None


@pytest.mark.parametrize(
    ("source", "given", "message"),
    [
        (None, [1, 2], "condition must be None: the model was made without one"),
        (3, None, "condition must be given, one for each of 2 rows.*labels"),
        (nn.Linear(1, 1), None, "with a network for it"),
        (3, [1, 3], r"labels 0 to 2, \(batch,\), found 3"),
        (3, [-1, 0], "labels 0 to 2.*found -1"),
        (3, [0.5, 0.0], "labels 0 to 2.*found 0.5"),
        (3, [[0, 1]], r"labels 0 to 2.*found \(1, 2\)"),
        (3, [0, 1, 2], r"one entry for each of 2 rows, found \(3,\)"),
        (nn.Linear(1, 1), [[0.5]], r"one entry for each of 2 rows, found \(1, 1\)"),
    ],
)
def test_bad_conditions(source: Any, given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Condition(source).read(given, 2, LIKE)


def test_bad_sources() -> None:
    with pytest.raises(ValueError, match="condition must be at least 2"):
        Condition(1)
    with pytest.raises(TypeError, match="condition must be a whole number"):
        Condition("labels")  # pyright: ignore[reportArgumentType]
    flat = Condition(nn.Flatten(0))
    with pytest.raises(ValueError, match=r"must return \(batch, features\), found \(4,\)"):
        flat(torch.zeros(2, 2), LIKE)


def test_series_need_not_begin_at_zero() -> None:
    read = Condition(3).read(pd.Series([2, 0], index=[7, 5]), 2, LIKE)
    assert read is not None and read.tolist() == [2, 0]
