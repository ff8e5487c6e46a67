"""Accelerated steps: the same optimum, fewer evaluations, never a fall."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from inference.learning.em import climb
from inference.learning.squarem import HALVINGS, Squarem


class Counted:
    """A step that counts how often, and for how many runs, it is made."""

    def __init__(self, step):
        self.step, self.calls, self.runs = step, 0, 0

    def __call__(self, theta):
        result = self.step(theta)
        self.calls += 1
        self.runs += len(result[1])
        return result


def overlapping(seed=0, n=300):
    """Numbers from two normal laws that EM is slow to tell apart."""
    draws = np.random.default_rng(seed)
    return np.concatenate([draws.normal(0, 1, n), draws.normal(2, 1, n)])


def starts_of(normals, x, runs):
    draws = np.random.default_rng(1)
    means = np.sort(draws.normal(x.mean(), x.std(), (runs, 2)), -1)
    return normals(np.full((runs, 2), 0.5), means, np.full((runs, 2), x.var()))


def identity(p):
    return p


def within(s, like):
    return s, ((s > 0) & (s < 1)).all(-1)


@pytest.mark.parametrize("seed", range(4))
def test_a_slow_mixture(normals, normal_steps, seed):
    x = overlapping(seed)
    start = starts_of(normals, x, 1)
    options = {"tolerance": 1e-11, "size": len(x), "max_iterations": 100_000}
    plain = Counted(normal_steps(x))
    slow = climb(plain, start, **options)
    counted = Counted(normal_steps(x))
    step = Squarem(counted, normal_steps.to_vector, normal_steps.from_vector)
    fast = climb(step, start, **options)
    assert fast.objective[0] > slow.objective[0] - 1e-7
    assert fast.objective[0] == pytest.approx(slow.objective[0], abs=1e-3)
    assert step.evaluations == counted.runs and plain.runs == slow.iterations[0] > 200
    assert step.evaluations < 0.5 * plain.runs
    objectives = np.array([record["objective"] for record in fast.history])
    assert (np.diff(objectives) >= -1e-10).all()


def test_a_batch_has_a_step_length_for_every_run(normals, normal_steps):
    x = overlapping()
    start = starts_of(normals, x, 6)
    options = {"tolerance": 1e-10, "size": len(x), "max_iterations": 100_000}
    make = normal_steps(x)
    together = Squarem(make, normal_steps.to_vector, normal_steps.from_vector, after=5)
    found = climb(together, start, **options)
    assert found.converged.all() and len(set(found.iterations.tolist())) > 1
    for run in range(6):
        alone = Squarem(make, normal_steps.to_vector, normal_steps.from_vector, after=5)
        single = climb(alone, type(start)(*[p[run : run + 1] for p in start]), **options)
        assert single.objective[0] == pytest.approx(found.objective[run], abs=1e-6)
        own = [x["objective"] for x in found.history if x["start"] == run]
        alike = found.iterations.min()
        theirs = [x["objective"] for x in single.history]
        assert own[:alike] == pytest.approx(theirs[:alike], abs=1e-6), "until a run has left"
    plain = Counted(make)
    climb(plain, start, **options)
    assert together.evaluations < 0.5 * plain.runs


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_the_coins(coin_steps, kind):
    def step(p):
        found, objective = coin_steps(np.asarray(p))
        return kind(found), kind(objective)

    start = kind(np.array([[0.6, 0.5], [0.9, 0.2]]))
    plain, counted = Counted(step), Counted(step)
    slow = climb(plain, start, tolerance=1e-13, max_iterations=10_000)
    fast = climb(Squarem(counted, identity, within, after=2), start, tolerance=1e-13)
    np.testing.assert_allclose(fast.parameters, slow.parameters, atol=1e-6)
    np.testing.assert_allclose(fast.objective, slow.objective, atol=1e-11)
    assert counted.runs < plain.runs
    for run in range(2):
        objectives = [x["objective"] for x in fast.history if x["start"] == run]
        assert (np.diff(objectives) >= -1e-13).all()


def test_the_first_calls_are_plain_steps(coin_steps):
    start = np.array([[0.6, 0.5]])
    counted = Counted(coin_steps)
    options = {"max_iterations": 7, "tolerance": 0.0}
    found = climb(Squarem(counted, identity, within, after=7), start, **options)
    plain = climb(coin_steps, start, **options)
    assert counted.calls == 7
    for one, other in zip(found.history, plain.history, strict=True):
        assert one["objective"] == other["objective"]
    assert np.array_equal(found.parameters, plain.parameters)


def test_the_leap_is_the_formula():
    # A linear contraction: all is known by hand.
    rates, limit = np.array([0.9, 0.5]), np.array([1.0, -2.0])

    def step(p):
        return limit + rates * (p - limit), -((p - limit) ** 2).sum(-1)

    def anything(s, like):
        return s, np.ones(len(s), dtype=bool)

    start = np.array([[0.0, 0.0]])
    found, objective, _ = Squarem(step, identity, anything, after=0)(start)
    one, two = step(start)[0], step(step(start)[0])[0]
    r, v = one - start, two - 2 * one + start
    alpha = -np.linalg.norm(r) / np.linalg.norm(v)
    assert alpha < -1
    np.testing.assert_allclose(found, start - 2 * alpha * r + alpha**2 * v, rtol=1e-14)
    assert objective[0] == -5.0


def test_a_single_rate_is_leapt_over_at_once():
    def step(p):
        return 3 + 0.99 * (p - 3), -((p - 3) ** 2).sum(-1)

    def anything(s, like):
        return s, np.ones(len(s), dtype=bool)

    found = climb(Squarem(step, identity, anything, after=0), np.array([[0.0]]), tolerance=1e-12)
    assert found.parameters == pytest.approx(3.0) and found.iterations[0] <= 3
    # A point that does not move stays, without a division by zero.
    still = climb(Squarem(step, identity, anything, after=0), np.array([[3.0]]), tolerance=1e-12)
    assert still.parameters[0, 0] == 3.0


def wall(p):
    """Climbs slowly to 1, behind which the objective is a valley."""
    value = np.where(p[:, 0] > 1.0 + 1e-9, -100.0, -((p[:, 0] - 1) ** 2))
    return 1 + np.array([[0.9]]) * (p - 1) + 0.01 * np.abs(p - 1) ** 1.5, value


@pytest.mark.parametrize("valid", [True, False])
def test_a_leap_that_loses_or_is_invalid_goes_on_plainly(valid):
    asked = []

    def beyond(s, like):
        asked.append(len(s))
        return s + 5.0, np.full(len(s), valid)

    step = Squarem(wall, identity, beyond, after=0)
    found = climb(step, np.array([[0.0], [0.5]]), max_iterations=9, tolerance=0.0)
    plain = climb(wall, np.array([[0.0], [0.5]]), max_iterations=18, tolerance=0.0)
    # What is invalid is asked for again, less far, without a step.
    assert len(asked) == (9 if valid else 9 * HALVINGS)
    # Every call has made two plain steps.
    np.testing.assert_allclose(found.parameters, plain.parameters, rtol=1e-12)
    assert step.evaluations == 2 * (1 + (3 if valid else 2) * 9)


def test_a_leap_is_shortened_until_it_is_valid():
    asked = []

    def near(s, like):
        asked.append(s[0, 0])
        return s, s[:, 0] < 2.0

    def step(p):
        return 3 + 0.9 * (p - 3), -((p[:, 0] - 3) ** 2)

    # At length 10 it is 3; (10 + 1) / 2 and 3.25, still too far, follow, and then 2.125.
    found, _, _ = Squarem(step, identity, near, after=0)(np.array([[0.0]]))
    lengths = [10.0, 5.5, 3.25]
    assert asked == pytest.approx([3 - 3 * (1 - 0.1 * length) ** 2 for length in lengths])
    assert found[0, 0] == asked[-1] < 2.0


def test_leaps_that_lose_twice_become_shorter():
    lengths = []

    def step(p):
        return 3 + 0.9 * (p - 3), np.where(p[:, 0] > 2.0, -100.0, p[:, 0])

    def watched(s, like):
        left = max((3 - s[0, 0]) / (3 - like[0, 0]) * 0.81, 0.0)
        lengths.append(10 * (1 - left**0.5))
        return s, np.array([True])

    climb(
        Squarem(step, identity, watched, after=0),
        np.array([[-50.0]]),
        max_iterations=3,
        warn=False,
    )
    assert lengths == pytest.approx([10.0, 10.0, 2.5], abs=1e-4)


def test_one_run_leaps_while_the_other_falls_back():
    def step(p):
        return 3 + 0.9 * (p - 3), -((p[:, 0] - 3) ** 2)

    def half(s, like):
        moved = s.copy()
        moved[1] += 100.0
        return moved, np.array([True, True])

    found, _, _ = Squarem(step, identity, half, after=0)(np.array([[0.0], [0.0]]))
    assert found[0, 0] == pytest.approx(3.0)
    assert found[1, 0] == pytest.approx(3 - 3 * 0.81)


def test_a_restart_is_passed_on_and_not_leapt_over():
    calls = []

    def step(p):
        calls.append(len(p))
        lost = np.array([len(calls) == 2, False])
        return 3 + 0.9 * (p - 3), -((p[:, 0] - 3) ** 2), lost

    def anything(s, like):
        return s, np.ones(len(s), dtype=bool)

    found, _, restarted = Squarem(step, identity, anything, after=0)(np.array([[0.0], [0.0]]))
    assert restarted.tolist() == [True, False]
    assert found[0, 0] == pytest.approx(3 - 3 * 0.81) and found[1, 0] == pytest.approx(3.0)


@pytest.mark.parametrize(("after", "error"), [(-1, ValueError), (1.5, TypeError)])
def test_the_number_of_plain_steps_is_checked(coin_steps, after, error):
    with pytest.raises(error, match="after"):
        Squarem(coin_steps, identity, within, after=after)
