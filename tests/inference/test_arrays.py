"""Exponentials that are normal numbers or zero; entries looked up."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from inference.arrays import Array, exponentiate, look_up


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("least", [1.0, 16.0])
def test_exponentials_are_normal_or_zero(kind, dtype: type, least: float) -> None:
    tiny = float(np.finfo(dtype).tiny)
    logs = np.concatenate([np.linspace(3 * math.log(tiny), 5, 10_001), [-np.inf]]).astype(dtype)
    found: Array = kind(logs.copy())
    exponentiate(found, least)
    found = np.asarray(found)
    true = np.exp(logs.astype(np.float64))
    kept = found > 0
    assert np.allclose(found[kept], true[kept], rtol=1e-6 if dtype == np.float32 else 1e-13)
    # Nothing is in between, and nothing is lost that is clearly above.
    assert found[kept].min() >= 1.99 * least * tiny
    assert kept[true > 2.01 * least * tiny].all()
    assert not kept[true < 1.99 * least * tiny].any()


def test_what_is_no_number_stays_none() -> None:
    x = np.array([np.nan, 0.0])
    exponentiate(x)
    assert math.isnan(x[0])
    assert x[1] == 1


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
@pytest.mark.parametrize("lead", [(), (3,), (2, 3), (2, 0, 3), (2, 2, 3)])
@pytest.mark.parametrize("index", [[], [4, 0, 4]])
def test_entries_of_the_last_axis_are_looked_up(kind, lead: tuple[int, ...], index) -> None:
    table = np.random.default_rng(0).normal(size=(*lead, 5))
    places = np.array(index, dtype=np.int64)
    out: Array = kind(np.empty((*lead, len(index))))
    look_up(kind(table), kind(places), out)
    assert np.array_equal(np.asarray(out), table[..., places])
