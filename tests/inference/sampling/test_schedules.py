"""Schedules: their ends, their shapes, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference.sampling.schedules import (
    constant_schedule,
    geometric_schedule,
    linear_schedule,
    linear_temperature_schedule,
    logarithmic_schedule,
    quenched,
    settling_schedule,
)

RANGES = (geometric_schedule, linear_schedule, linear_temperature_schedule, logarithmic_schedule)


@given(
    hot=st.floats(1e-3, 10),
    factor=st.floats(1, 1e3),
    sweeps=st.integers(2, 50),
    schedule=st.sampled_from(RANGES),
)
def test_schedules_rise_from_end_to_end(hot, factor, sweeps, schedule):
    betas = schedule(hot, hot * factor, sweeps)
    assert len(betas) == sweeps
    np.testing.assert_allclose(betas[[0, -1]], [hot, hot * factor], rtol=1e-12)
    assert (np.diff(betas) >= -1e-12 * betas[1:]).all()


def test_shapes():
    np.testing.assert_allclose(np.diff(np.log(geometric_schedule(0.1, 7, 9)), 2), 0, atol=1e-12)
    np.testing.assert_allclose(np.diff(linear_schedule(0.0, 7, 9), 2), 0, atol=1e-12)
    cooled = 1 / linear_temperature_schedule(0.1, 7, 9)
    np.testing.assert_allclose(np.diff(cooled, 2), 0, atol=1e-12)
    growth = np.exp(logarithmic_schedule(0.0, math.log(9), 9))
    np.testing.assert_allclose(growth, np.arange(1, 10))
    assert constant_schedule(2.0, 3).tolist() == [2.0, 2.0, 2.0]
    assert quenched(linear_schedule(1, 2, 2), 2).tolist() == [1.0, 2.0, math.inf, math.inf]


@pytest.mark.parametrize("schedule", RANGES)
def test_one_sweep(schedule):
    assert schedule(0.5, 2.0, 1).tolist() == [0.5]


@pytest.mark.parametrize("schedule", RANGES)
@pytest.mark.parametrize(
    "ends", [(2.0, 1.0), (-1.0, 1.0), (1.0, math.inf), (math.nan, 1.0), (1.0, math.nan)]
)
def test_bad_ranges_are_refused(schedule, ends):
    with pytest.raises(ValueError, match="hot"):
        schedule(*ends, 5)
    with pytest.raises(ValueError, match="sweeps"):
        schedule(1.0, 2.0, 0)


def test_what_has_no_meaning_is_refused():
    for schedule in (geometric_schedule, linear_temperature_schedule):
        with pytest.raises(ValueError, match="hot"):
            schedule(0.0, 1.0, 5)
    for beta in (-1.0, math.nan):
        with pytest.raises(ValueError, match="beta"):
            constant_schedule(beta, 5)


@pytest.mark.parametrize("sweeps", [2, 3, 8, 9])
def test_settling_rises_to_one_in_the_first_half(sweeps):
    half = sweeps // 2
    expected = [min(1.0, t / half) for t in range(sweeps)]
    assert settling_schedule(sweeps) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("schedule", RANGES)
def test_ends_may_be_tensors(schedule):
    found = schedule(torch.tensor(0.5), torch.tensor(2.0), 3)
    assert isinstance(found, np.ndarray)
    assert found.tolist() == schedule(0.5, 2.0, 3).tolist()
