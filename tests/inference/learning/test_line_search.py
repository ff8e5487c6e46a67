"""Line searches: the conditions that their steps satisfy, on smooth and on awkward functions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference.learning.line_search import Trial, backtracking_search, wolfe_search

NOTHING = torch.zeros(0)


def line(value, slope):
    """A function on a line from its value and its derivative."""
    return lambda a: Trial(a, value(a), slope(a), NOTHING, NOTHING)


def wave(seed: int):
    """A parabola with waves on it, downhill at zero."""
    rng = np.random.default_rng(seed)
    height, pace, phase = rng.uniform(0, 2, 4), rng.uniform(0.1, 6, 4), rng.uniform(0, 6, 4)
    bend = rng.uniform(0.01, 3)

    def slope(a):
        return 2 * bend * a + float((height * pace * np.cos(pace * a + phase)).sum())

    drop = slope(0.0) + rng.uniform(0.1, 5)
    return line(
        lambda a: bend * a * a + float((height * np.sin(pace * a + phase)).sum()) - drop * a,
        lambda a: slope(a) - drop,
    )


def satisfies(start: Trial, found: Trial, curvature: bool = True) -> bool:
    """The strong Wolfe conditions with the usual constants."""
    descends = found.value <= start.value + 1e-4 * found.step * start.slope
    return descends and (not curvature or abs(found.slope) <= 0.9 * abs(start.slope))


@given(st.integers(0, 10**6), st.floats(1e-4, 1e3))
def test_wolfe_conditions(seed, step):
    along = wave(seed)
    start = along(0.0)
    found = wolfe_search(along, start, step, max_evaluations=60)
    assert found is not None
    assert satisfies(start, found)


def test_backtracking_alone_leaves_too_much_slope():
    along = line(lambda a: (a - 100) ** 2, lambda a: 2 * (a - 100))
    start = along(0.0)
    short = along(1e-3)
    assert satisfies(start, short, curvature=False) and not satisfies(start, short)
    assert satisfies(start, wolfe_search(along, start, 1e-3))


@pytest.mark.parametrize("step", [1e-3, 1.0, 1e3])
def test_steps_stay_where_the_function_is_defined(step):
    along = line(
        lambda a: -math.log(1 - a) - 3 * a if a < 1 else math.inf,
        lambda a: 1 / (1 - a) - 3 if a < 1 else math.nan,
    )
    found = wolfe_search(along, along(0.0), step)
    assert found.step < 1 and satisfies(along(0.0), found)


def test_slopes_decide_where_values_have_lost_their_digits():
    def rounded(a):
        return 1e8 + round(0.01 * (a - 3) ** 2)  # constant near the minimum

    along = line(rounded, lambda a: 0.02 * (a - 3))
    start = along(0.0)
    found = wolfe_search(along, start, 40.0, noise=1.0)
    assert abs(found.slope) <= 0.9 * abs(start.slope)


def test_nothing_descends():
    rising = line(lambda a: a, lambda a: -1.0)
    assert wolfe_search(rising, rising(0.0), 1.0) is None
    bent = line(lambda a: a, lambda a: -a)
    assert backtracking_search(bent, bent(0.0), 1.0) is None


def test_an_endless_descent_ends():
    calls = []

    def along(a):
        calls.append(a)
        return Trial(a, -a, -1.0, NOTHING, NOTHING)

    found = wolfe_search(along, along(0.0), 1.0, max_evaluations=7)
    assert found.step == calls[-1] == 10.0**6 and len(calls) == 8


@given(st.floats(0.01, 100.0), st.floats(0.1, 1000.0))
def test_backtracking_takes_the_first_step_that_descends(target, step):
    along = line(lambda a: (a - target) ** 2, lambda a: -2 * target * a)
    found = backtracking_search(along, along(0.0), step)
    halvings = [step / 2**k for k in range(25)]
    assert found.step == next(a for a in halvings if a <= 2 * target * (1 - 1e-4) + 1e-9 * target)
