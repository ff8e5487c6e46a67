"""The bridge to Pyro's No-U-Turn sampler: its law, and that it leaves no trace."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch
from torch import Tensor

from inference.sampling.nuts import nuts

ROOT = torch.tensor([[1.0, 0.0], [1.6, 1.2]], dtype=torch.float64)


def correlated(x: Tensor) -> Tensor:
    """A normal law with standard deviations 1 and 2 and correlation 0.8."""
    return -0.5 * torch.linalg.solve_triangular(ROOT, x.T, upper=False).square().sum(0)


def test_draws_are_those_of_the_law():
    """Means and second moments within six Monte Carlo errors of their own."""
    from arviz_stats.base import array_stats

    found = nuts(correlated, torch.zeros(2, 2).double(), 250, 200, generator=0, progress=False)
    assert found.values.shape == (2, 250, 2)
    covariance = ROOT @ ROOT.T
    x = found.values
    for values, expected in (
        (x[..., 0], 0.0),
        (x[..., 1], 0.0),
        (x[..., 0] ** 2, float(covariance[0, 0])),
        (x[..., 0] * x[..., 1], float(covariance[0, 1])),
        (x[..., 1] ** 2, float(covariance[1, 1])),
    ):
        error = float(array_stats.mcse(values.numpy(), method="mean"))
        assert error < 0.6
        assert abs(float(values.mean()) - expected) < 6 * error
    assert not found.divergent.any() and found.divergent.shape == (2, 250)
    assert ((found.acceptance > 0.7) & (found.acceptance < 1)).all()
    assert ((found.step_size > 0.1) & (found.step_size < 2)).all()
    assert (found.evaluations > 450).all()


def test_a_trajectory_from_exact_draws():
    """Each chain one draw from an exact start, without warm-up; false alarms: 1e-7 each."""
    from scipy.stats import kstest

    unit = torch.randn(250, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = nuts(correlated, unit @ ROOT.T, 1, 0, max_tree_depth=3, generator=1, progress=False)
    moved = torch.linalg.solve_triangular(ROOT, found.values[:, 0].T, upper=False)
    assert (unit != moved.T).double().mean() > 0.5
    assert all(kstest(coordinate, "norm").pvalue > 1e-7 for coordinate in moved)


def numpy_state() -> list[int]:
    return np.random.get_state()[1].tolist()  # noqa: NPY002 (that it stays is what is tested)


def test_the_same_seed_gives_the_same_chains_and_global_states_stay():
    torch.manual_seed(1)
    start = torch.zeros(2, 2, dtype=torch.float64)
    states = torch.get_rng_state(), numpy_state(), random.getstate()
    first = nuts(correlated, start, 5, 5, generator=3, progress=False)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert numpy_state() == states[1]
    assert random.getstate() == states[2]
    torch.manual_seed(2)
    second = nuts(correlated, start, 5, 5, generator=3, progress=False)
    assert torch.equal(first.values, second.values)
    assert not torch.equal(first.values[0], first.values[1])
    assert (start == 0).all()


def test_divergences_are_told():
    """A wall: trajectories that run into it are cut."""
    wall = nuts(
        lambda x: torch.where(x[:, 0] < 0, -math.inf, -x[:, 0]),
        torch.full((1, 1), 0.5, dtype=torch.float64),
        60,
        20,
        generator=0,
        progress=False,
    )
    assert (wall.values > 0).all()
    assert 0 < wall.divergent.sum() <= 60


def test_events_of_any_shape_and_full_masses():
    found = nuts(
        lambda x: -0.5 * x.square().sum((1, 2)),
        torch.zeros(1, 2, 3, dtype=torch.float64),
        4,
        6,
        full_mass=True,
        generator=0,
        progress=False,
    )
    assert found.values.shape == (1, 4, 2, 3)
    assert found.values.dtype == torch.float64


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"draws": 0}, "draws must be at least 1"),
        ({"warmup": -1}, "warmup must be at least 0"),
        ({"target_acceptance": 1.0}, "target_acceptance must be in"),
        ({"max_tree_depth": 0}, "max_tree_depth must be at least 1"),
        ({"position": torch.zeros(0, 2)}, "not empty"),
        ({"position": torch.full((2, 2), 1e200, dtype=torch.float64)}, "-inf at chain 0"),
        ({"log_density": lambda x: x}, "sum over the event"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    given = {"log_density": correlated, "position": torch.zeros(2, 2).double(), **settings}
    with pytest.raises(ValueError, match=message):
        nuts(**given, generator=0)


def test_positions_must_be_numbers():
    with pytest.raises(TypeError, match="position must be a floating-point tensor, found list"):
        nuts(correlated, [[0.0, 0.0]], generator=0)


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_derivatives_may_be_switched_off(off):
    start = torch.zeros(2, 2, dtype=torch.float64)
    expected = nuts(correlated, start, 4, 4, generator=3, progress=False)
    with off():
        found = nuts(correlated, torch.zeros_like(start), 4, 4, generator=3, progress=False)
    assert torch.equal(found.values, expected.values)


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_where_a_density_fails_is_impossible(value):
    """Plus infinity too, which is no place of all the weight."""

    def broken(x: Tensor) -> Tensor:
        return torch.where((x[:, 0] - 1).abs() < 0.1, value, -0.5 * x[:, 0].square())

    start = torch.zeros(1, 1, dtype=torch.float64)
    found = nuts(broken, start, 60, 100, generator=0, progress=False)
    assert ((found.values - 1).abs() >= 0.1).all() and found.values.unique().numel() > 30
