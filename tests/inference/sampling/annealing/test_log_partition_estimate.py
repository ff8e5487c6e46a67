"""Errors of log Z: the jackknife in full, coverage of intervals, and when none is given."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import binom, t

from inference.sampling.log_partition_estimate import LogPartition, bracket


def normal_logs(rows: int, columns: int, sd: float, seed: int = 0) -> torch.Tensor:
    """Log weights whose weights have mean one."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(sd * rng.normal(size=(rows, columns)) - sd**2 / 2)


def left_out(levels: np.ndarray) -> np.ndarray:
    """The estimate without each group in turn, by summing again."""
    return np.array([np.log(np.exp(np.delete(levels, i)).mean()) for i in range(len(levels))])


def accepted(hits: int, runs: int, level: float = 0.95) -> bool:
    """Whether so many hits are likely: false alarms below 1e-6 at exact coverage."""
    tails = binom.cdf(hits, runs, level), binom.sf(hits - 1, runs, level)
    return min(tails) > 5e-7


@pytest.mark.parametrize("islands", [None, 12])
@pytest.mark.parametrize("reverse", [False, True])
def test_the_error_is_the_jackknife(islands, reverse):
    logs = normal_logs(1, 60, 0.4)[0] + 7
    found = LogPartition(logs, islands, reverse)
    sign = -1 if reverse else 1
    units = 60 if islands is None else islands
    levels = np.log(np.exp(sign * logs.numpy().reshape(units, -1)).mean(1))
    without = left_out(levels)
    error = math.sqrt((units - 1) / units * ((without - without.mean()) ** 2).sum())
    np.testing.assert_allclose(found.standard_error, error, rtol=1e-10)
    np.testing.assert_allclose(float(found), sign * np.log(np.exp(sign * logs.numpy()).mean()))
    np.testing.assert_allclose(found.mean_log_weight, sign * levels.mean())
    weights = np.exp(sign * logs.numpy())
    size = weights.sum() ** 2 / (weights**2).sum()
    np.testing.assert_allclose(found.effective_sample_size, size)
    half = t.ppf(0.95, units - 1) * error
    np.testing.assert_allclose(found.interval_at(0.9), [found.value - half, found.value + half])


def test_intervals_hold_the_truth_as_often_as_they_say():
    runs = [LogPartition(row) for row in normal_logs(400, 100, 0.5)]
    misses = np.array([abs(run.value) / (run.interval[1] - run.value) for run in runs])
    assert all(run.reliable for run in runs)
    assert accepted(int((misses < 1).sum()), len(runs))
    # Intervals of half the width, or twice, are found out.
    assert not accepted(int((misses < 0.5).sum()), len(runs))
    assert not accepted(int((misses < 2.0).sum()), len(runs))


def test_chains_of_an_island_are_not_counted_as_independent():
    """Chains that are copies of one another: their number must not narrow the interval."""
    levels = normal_logs(400, 16, 0.3)
    copies = levels.repeat_interleave(10, 1)
    right = [LogPartition(row, 16) for row in copies]
    wrong = [LogPartition(row) for row in copies]
    hits = [sum(r.interval[0] < 0 < r.interval[1] for r in found) for found in (right, wrong)]
    assert accepted(hits[0], 400)
    assert not accepted(hits[1], 400)


@pytest.mark.parametrize(
    ("logs", "islands"),
    [
        (torch.tensor([0.0] * 99 + [20.0]), None),
        (torch.tensor([0.0, 9.0]), None),
        (torch.tensor([0.0] * 45 + [3.0] * 15), 4),
    ],
)
def test_uneven_weights_have_no_interval(logs, islands):
    found = LogPartition(logs.double(), islands)
    assert not found.reliable
    assert math.isnan(found.standard_error)
    assert all(math.isnan(end) for end in found.interval)
    assert "no interval: weights too uneven" in str(found)
    assert "use more temperatures" in str(found)


def test_even_weights_are_exact():
    found = LogPartition(torch.full((100,), 3.0).double())
    assert found.standard_error == 0
    assert found.interval == (3.0, 3.0)
    np.testing.assert_allclose(found.effective_sample_size, 100)
    assert repr(found).startswith("log Z = 3.000 +- 0.000 nats (95 %: 3.000 to 3.000)")


def test_chains_without_weight_leave_finite_ends():
    logs = torch.tensor([0.0, -math.inf, 0.1, 0.2]).double().repeat(50)
    found = LogPartition(logs)
    assert all(math.isfinite(end) for end in found.interval)
    assert found.mean_log_weight == -math.inf
    np.testing.assert_allclose(float(found), float(logs.logsumexp(0)) - math.log(200))


def test_brackets_need_both_directions():
    low, high = LogPartition(torch.zeros(2)), LogPartition(torch.ones(2), reverse=True)
    assert bracket(low, high) == (0.0, 1.0)
    for pair in ((high, low), (low, low), (high, high)):
        with pytest.raises(ValueError, match="forward"):
            bracket(*pair)


def test_weights_that_are_no_numbers_are_refused():
    for value in (math.nan, math.inf):
        with pytest.raises(ValueError, match="log_density"):
            LogPartition(torch.tensor([0.0, value]))
    with pytest.raises(ValueError, match="possible"):
        LogPartition(torch.full((4,), -math.inf))
    for level in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match="level"):
            LogPartition(torch.zeros(4)).interval_at(level)


@pytest.mark.parametrize(
    ("logs", "islands", "message"),
    [
        (torch.zeros(1), None, "two chains or more"),
        (torch.zeros(2, 2), None, "log_weights must be"),
        (torch.tensor(0.0), None, "log_weights must be"),
        (torch.zeros(4), 3, "islands must divide"),
        (torch.zeros(4), 1, "islands must be at least 2"),
    ],
)
def test_groups_that_tell_no_error_are_refused(logs, islands, message):
    with pytest.raises(ValueError, match=message):
        LogPartition(logs, islands)


def test_weights_with_a_gradient_are_numbers():
    assert float(LogPartition(torch.zeros(3, requires_grad=True))) == 0.0
