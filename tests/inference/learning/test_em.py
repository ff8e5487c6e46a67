"""The driver of expectation-maximisation: when it stops, what it keeps, what it refuses."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from inference.convergence import ConvergenceWarning
from inference.learning.em import expectation_maximization

HEADS, TOSSES = np.array([5, 9, 8, 4, 7]), 10


def halve(x: float) -> tuple[float, float]:
    """Climbs -x^2 by halving x."""
    return x / 2, -x * x


def coins(p: np.ndarray, wrong: bool = False) -> tuple[np.ndarray, float]:
    """Two coins, one of which was chosen for every bag; the wrong M step counts tails."""
    joint = 0.5 * p[:, None] ** HEADS * (1 - p[:, None]) ** (TOSSES - HEADS)
    share = joint / joint.sum(0)
    counted = TOSSES - HEADS if wrong else HEADS
    return (share @ counted) / (TOSSES * share.sum(1)), float(np.log(joint.sum(0)).sum())


def test_history_holds_every_step():
    found = expectation_maximization(halve, [8.0], max_iterations=4, tolerance=0.0)
    assert [record["objective"] for record in found.history] == [-64.0, -16.0, -4.0, -1.0]
    assert [record["change"] for record in found.history[1:]] == [48.0, 12.0, 3.0]
    assert math.isnan(found.history[0]["change"])
    assert [record["iteration"] for record in found.history] == [1, 2, 3, 4]
    assert {record["start"] for record in found.history} == {0}
    assert found.parameters == 0.5, "where the last step ended"
    assert found.objective == -1.0, "at the last parameters whose objective was computed"
    assert found.iterations == 4


@pytest.mark.parametrize("tolerance", [1e-2, 1e-4, 1e-8])
def test_a_run_stops_at_the_first_small_change(tolerance):
    found = expectation_maximization(halve, [8.0], tolerance=tolerance)
    objectives = [-(4.0 ** (3 - t)) for t in range(100)]
    small = [abs(b - a) < tolerance for a, b in pairwise(objectives)]
    expected = small.index(True) + 2
    assert (found.iterations, found.converged) == (expected, True)
    assert [record["objective"] for record in found.history] == objectives[:expected]


def test_a_run_that_is_cut_short_has_not_converged():
    with pytest.warns(ConvergenceWarning, match="after 3 steps .* changed by 12 nats") as told:
        found = expectation_maximization(halve, [8.0], max_iterations=3, tolerance=1e-8, size=4)
    assert "3 per datum" in str(told[0].message) and "max_iterations" in str(told[0].message)
    assert (found.iterations, found.converged) == (3, False)
    expectation_maximization(halve, [8.0], max_iterations=3, tolerance=1e-8, warn=False)
    once = expectation_maximization(halve, [8.0], max_iterations=1)
    assert (once.iterations, once.converged, once.parameters) == (1, False, 4.0)


def test_tolerance_zero_makes_every_step():
    calls = []

    def still(x: float) -> tuple[float, float]:
        calls.append(x)
        return x, 0.0

    found = expectation_maximization(still, [1.0], max_iterations=7, tolerance=0.0)
    assert len(calls) == found.iterations == 7


def test_the_tolerance_is_per_datum_and_strict():
    # Changes are 48, 12, 3, 0.75.
    steps = [
        expectation_maximization(halve, [8.0], tolerance=tolerance, size=size).iterations
        for tolerance, size in [(1.0, 12.0), (1.0, 12.01), (0.1, 120.1), (12.0, 1.0)]
    ]
    assert steps == [4, 3, 3, 4]


def test_only_the_best_start_is_warned_about():
    # The first converges at once; the second is lower and cut short.
    found = expectation_maximization(halve, [1e-9, 8.0], max_iterations=2, tolerance=1e-6)
    assert found.converged
    with pytest.warns(ConvergenceWarning):
        expectation_maximization(
            lambda x: (x / 2, 100 - x * x if x > 1e-3 else 0.0),
            [1e-9, 8.0],
            max_iterations=2,
            tolerance=1e-6,
        )


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
def test_the_best_of_several_starts_is_kept(order):
    peaks = [-3.0, 5.0, 1.0]

    def step(state: tuple[int, float]) -> tuple[tuple[int, float], float]:
        hill, x = state
        return (hill, x / 2), peaks[hill] - x * x

    found = expectation_maximization(
        step, [(hill, 1.0) for hill in order], max_iterations=5, tolerance=0.0
    )
    assert found.parameters == (1, 1 / 32)
    assert found.objective == 5.0 - 1 / 256
    assert found.iterations == 5
    assert [record["start"] for record in found.history] == [0] * 5 + [1] * 5 + [2] * 5
    assert [record["iteration"] for record in found.history] == [1, 2, 3, 4, 5] * 3
    best = [record for record in found.history if record["start"] == order.index(1)]
    assert best[-1]["objective"] == found.objective


def test_every_start_has_its_own_stopping_rule():
    found = expectation_maximization(halve, [8.0, 1e-9, 8.0], tolerance=1e-4)
    lengths = [sum(record["start"] == start for record in found.history) for start in range(3)]
    assert lengths[0] == lengths[2] > lengths[1] == 2
    assert found.iterations == 2 and found.objective == pytest.approx(0.0, abs=1e-17)


def test_em_ends_where_the_likelihood_is_flat():
    found = expectation_maximization(
        coins, [np.array([0.6, 0.5])], tolerance=0.0, max_iterations=500
    )
    objectives = [record["objective"] for record in found.history]
    assert (np.diff(objectives) >= -1e-12).all()
    assert found.objective == coins(found.parameters)[1]
    for axis in range(2):
        step = 1e-5 * np.eye(2)[axis]
        slope = coins(found.parameters + step)[1] - coins(found.parameters - step)[1]
        assert abs(slope) / 2e-5 < 1e-6


def test_steps_that_lose_ground_are_an_error():
    def wrong(p: np.ndarray) -> tuple[np.ndarray, float]:
        return coins(p, wrong=True)

    with pytest.raises(RuntimeError, match="iteration 2") as refusal:
        expectation_maximization(wrong, [np.array([0.7, 0.6])])
    assert "E step" in str(refusal.value)
    found = expectation_maximization(wrong, [np.array([0.7, 0.6])], monotone=False)
    assert found.history[1]["change"] < -0.1


@pytest.mark.parametrize(("fall", "raises"), [(1e-11, False), (1e-7, True)])
def test_rounding_is_no_fall(fall, raises):
    values = iter([-1000.0, -1000.0 * (1 + fall), -999.0])

    def step(x: None) -> tuple[None, float]:
        return x, next(values)

    if raises:
        with pytest.raises(RuntimeError, match="fell"):
            expectation_maximization(step, [None], max_iterations=3, tolerance=0.0)
    else:
        expectation_maximization(step, [None], max_iterations=3, tolerance=0.0)
        assert next(values, None) is None, "all three steps were made"


def test_a_fall_between_two_starts_is_none():
    found = expectation_maximization(halve, [0.0, 8.0], max_iterations=2, tolerance=0.0)
    assert found.objective == 0.0 and len(found.history) == 4
    assert math.isnan(found.history[2]["change"])


@pytest.mark.parametrize("value", [-math.inf, math.nan, math.inf])
def test_a_start_without_an_objective_is_named(value):
    def step(x: float) -> tuple[float, float]:
        return x, value if x == 7.0 else 0.0

    with pytest.raises(ValueError, match="start 1"):
        expectation_maximization(step, [1.0, 7.0, 2.0], max_iterations=2)


@pytest.mark.parametrize("kind", [np.float64, torch.tensor, np.float32])
def test_objectives_become_floats(kind):
    found = expectation_maximization(
        lambda x: (x / 2, kind(-x * x)), [2.0], max_iterations=2, tolerance=0.0
    )
    assert [type(record["objective"]) for record in found.history] == [float, float]
    assert type(found.objective) is float and found.objective == -1.0


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        ({"max_iterations": 0}, ValueError, "max_iterations"),
        ({"max_iterations": -3}, ValueError, "max_iterations"),
        ({"max_iterations": 2.5}, (TypeError, ValueError), "max_iterations"),
        ({"max_iterations": "3"}, (TypeError, ValueError), "max_iterations"),
        ({"tolerance": -1e-9}, ValueError, "tolerance"),
        ({"tolerance": math.nan}, ValueError, "tolerance"),
        ({"tolerance": math.inf}, ValueError, "tolerance"),
        ({"size": 0}, ValueError, "size"),
        ({"size": -1.0}, ValueError, "size"),
        ({"size": math.nan}, ValueError, "size"),
        ({"size": math.inf}, ValueError, "size"),
        ({"progress": "yes"}, TypeError, "progress"),
        ({"progress": 1}, TypeError, "progress"),
    ],
)
def test_bad_options_are_named_before_any_step(options, error, named):
    calls = []

    def step(x: float) -> tuple[float, float]:
        calls.append(x)
        return x, 0.0

    with pytest.raises(error, match=named):
        expectation_maximization(step, [1.0], **options)
    assert not calls


def test_there_must_be_a_start():
    with pytest.raises(ValueError, match="starts"):
        expectation_maximization(halve, [])


def test_starts_may_be_any_sequence():
    found = expectation_maximization(halve, (4.0, 2.0), max_iterations=1)
    assert found.parameters == 1.0
    rows = expectation_maximization(
        lambda x: (x / 2, -float(x @ x)), np.array([[2.0, 0.0], [0.0, 1.0]]), max_iterations=1
    )
    assert rows.parameters.tolist() == [0.0, 0.5]


def test_the_bar_shows_the_objective(capsys):
    expectation_maximization(halve, [8.0], max_iterations=3, tolerance=0.0, progress=True)
    shown = capsys.readouterr().err
    assert "EM" in shown and "objective" in shown
    expectation_maximization(halve, [8.0], max_iterations=3, tolerance=0.0, progress=False)
    expectation_maximization(halve, [8.0], max_iterations=3, tolerance=0.0)
    assert capsys.readouterr() == ("", "")
