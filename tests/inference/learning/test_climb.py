"""Many runs as one batch: each as if it were alone, in its place, with its own end."""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference.convergence import ConvergenceWarning
from inference.learning.em import climb, expectation_maximization
from inference.learning.runs import choose_runs, join_runs, put_runs, select_runs


def halve(x):
    """Climbs -x^2 by halving x."""
    return x / 2, -x * x


class Pair(NamedTuple):
    """Two parameters, one of them nested."""

    x: np.ndarray
    more: tuple[np.ndarray, np.ndarray]


@given(
    starts=st.lists(st.floats(1e-6, 100), min_size=1, max_size=6),
    tolerance=st.sampled_from([1e-2, 1e-4, 1e-9]),
    most=st.integers(1, 30),
)
def test_a_batch_is_its_runs_one_by_one(starts, tolerance, most):
    options = {"max_iterations": most, "tolerance": tolerance, "size": 2.0, "warn": False}
    found = climb(halve, np.array(starts), **options)
    for run, start in enumerate(starts):
        alone = expectation_maximization(lambda x: (x / 2, -x * x), [start], **options)
        assert found.parameters[run] == alone.parameters
        assert found.objective[run] == alone.objective
        assert found.iterations[run] == alone.iterations
        assert found.converged[run] == alone.converged
        mine = [x for x in found.history if x["start"] == run]
        for one, other in zip(mine, alone.history, strict=True):
            assert one["iteration"] == other["iteration"]
            assert one["objective"] == other["objective"]
        assert found.change[run] == pytest.approx(alone.history[-1]["change"], nan_ok=True)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_converged_runs_leave_and_come_back_in_their_places(kind):
    sizes = []

    def step(p):
        x, (twice, name) = p
        sizes.append(len(x))
        assert (twice == 2 * x).all(), "arrays of a run stay together"
        return Pair(x / 2, (twice / 2, name)), -x * x

    x = kind([8.0, 1e-9, 1.0, 1e-9])
    start = Pair(x, (2 * x, kind([0, 1, 2, 3])))
    found = climb(step, start, tolerance=1e-4)
    assert sizes[:3] == [4, 4, 2] and sizes[-1] == 1
    assert type(found.parameters) is Pair and type(found.parameters.more) is tuple
    assert found.parameters.more[1].tolist() == [0, 1, 2, 3]
    assert isinstance(found.parameters.x, type(x))
    assert found.iterations.tolist() == [len(sizes), 2, sum(s > 1 for s in sizes), 2]
    expected = [start / 2.0**n for start, n in zip(x.tolist(), found.iterations, strict=True)]
    assert found.parameters.x.tolist() == expected
    assert found.best == int(found.objective.argmax())


def test_another_selection_is_told_who_is_left():
    told = []

    def select(parameters, runs):
        told.append(runs.tolist())
        return select_runs(parameters, runs)

    climb(halve, np.array([8.0, 1e-9, 8.0]), select=select, tolerance=1e-4)
    assert told == [[1], [0, 2]]


def test_a_fall_names_its_run():
    values = iter([[0.0, 5.0, 1.0], [0.0, 5.0, 0.5]])

    def falls(x):
        return x, np.array(next(values))

    with pytest.raises(RuntimeError, match=r"from 1\.0 to 0\.5 at iteration 2 of start 2"):
        climb(falls, np.zeros(3), tolerance=0.0)
    values = iter([[0.0, 5.0, 1.0], [0.0, 5.0, 0.5]])
    found = climb(falls, np.zeros(3), tolerance=0.0, max_iterations=2, monotone=False)
    assert found.objective.tolist() == [0.0, 5.0, 0.5]


@pytest.mark.parametrize("value", [-math.inf, math.nan, math.inf])
def test_a_run_without_an_objective_is_named(value):
    with pytest.raises(ValueError, match="iteration 1 of start 1"):
        climb(lambda x: (x, np.array([0.0, value])), np.zeros(2))


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_a_restarted_run_may_fall_once_and_does_not_stop(kind):
    # Objectives of two runs, and which of them the step restarts.
    table = [
        ([1.0, 1.0], [False, False]),
        ([1.0, 2.0], [True, False]),
        ([-3.0, 3.0], [False, False]),
        ([-2.0, 4.0], [False, False]),
        ([-2.0, 5.0], [False, False]),
    ]
    rows = iter(table)

    def step(x):
        objective, restarted = next(rows)
        return x, kind(objective)[: len(x)], kind(restarted)[: len(x)]

    found = climb(step, kind(np.zeros(2)), tolerance=1e-3, max_iterations=5, warn=False)
    # The first run stands still beside its restart and falls after it, and neither counts.
    assert found.iterations.tolist() == [5, 5]
    assert found.converged.tolist() == [True, False]


def test_a_fall_in_the_step_after_is_refused_again():
    rows = iter([(1.0, True), (-3.0, False), (-4.0, False)])

    def step(x):
        objective, restarted = next(rows)
        return x, np.array([objective]), np.array([restarted])

    with pytest.raises(RuntimeError, match=r"from -3\.0 to -4\.0"):
        climb(step, np.zeros(1), tolerance=0.0)


def test_a_restart_excuses_its_own_run_only():
    rows = iter([([1.0, 1.0], [True, False]), ([0.0, 0.0], [False, False])])

    def step(x):
        objective, restarted = next(rows)
        return x, np.array(objective), np.array(restarted)

    with pytest.raises(RuntimeError, match="of start 1"):
        climb(step, np.zeros(2), tolerance=0.0)


def test_single_starts_may_announce_restarts_too():
    rows = iter([(1.0, True), (-3.0, False), (-3.0, False)])

    def step(x):
        return x, *next(rows)

    found = expectation_maximization(step, [None], tolerance=1e-6)
    assert found.iterations == 3 and found.converged


def test_the_warning_is_about_the_best_run():
    # The best run has converged, the other one has not.
    climb(halve, np.array([1e-9, 8.0]), max_iterations=2, tolerance=1e-6)
    with pytest.warns(ConvergenceWarning, match="after 2 steps"):
        climb(
            lambda x: (x / 2, np.where(x > 1, 100 - x * x, -x * x)),
            np.array([1e-9, 8.0]),
            max_iterations=2,
            tolerance=1e-6,
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for options in ({"tolerance": 0.0}, {"warn": False}):
            climb(halve, np.array([8.0]), max_iterations=2, **options)
        climb(halve, np.array([8.0]), max_iterations=1)


def test_mixtures_climb_together_as_alone(normals, normal_steps):
    draws = np.random.default_rng(0)
    x = np.concatenate([draws.normal(-2, 1, 60), draws.normal(2, 1, 40)])
    steps = normal_steps(x)
    starts = normals(np.full((5, 2), 0.5), draws.normal(0, 2, (5, 2)), np.full((5, 2), 2.0))
    options = {"tolerance": 1e-8, "size": len(x), "max_iterations": 2000}
    found = climb(steps, starts, **options)
    assert found.converged.all() and len(set(found.iterations.tolist())) > 1
    for run in range(5):
        alone = climb(steps, select_runs(starts, np.array([run])), **options)
        assert alone.iterations[0] == found.iterations[run]
        for one, other in zip(alone.parameters, found.parameters, strict=True):
            np.testing.assert_allclose(one[0], other[run], rtol=1e-9)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_runs_are_selected_joined_chosen_and_put(kind):
    one, other = [Pair(kind(x), (kind(x) * 1.0, kind(x)[:, None])) for x in ([1, 2], [3, 4])]
    joined = join_runs([one, other])
    assert joined.more[0].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert select_runs(joined, np.array([3, 0])).more[1].tolist() == [[4], [1]]
    chosen = choose_runs(np.array([False, True]), one, other)
    assert chosen.x.tolist() == [3, 2] and chosen.more[1].tolist() == [[3], [2]]
    put = put_runs(joined, np.array([2, 1]), other)
    assert put.x.tolist() == [1, 4, 3, 4] and type(put) is Pair
