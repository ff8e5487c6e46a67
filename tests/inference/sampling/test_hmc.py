"""Hamiltonian Monte Carlo: its integrator's geometry, detailed balance, exact starts."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import Tensor

from inference.random import as_generator
from inference.sampling import metropolis
from inference.sampling.continuous import Point, evaluate
from inference.sampling.hmc import HMC, leapfrog


def bent(x: Tensor) -> Tensor:
    """A banana in three dimensions, with heavy tails along one of them."""
    return -0.5 * (x[:, 0].square() + (x[:, 1] - x[:, 0].square()).square()) - x[:, 2].cosh().log()


looked_at = partial(evaluate, bent, gradient=True)


def drawn(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    x, z = torch.randn(2, n, 3, dtype=torch.float64, generator=as_generator(seed))
    return x, z


def test_a_trajectory_runs_back():
    x, z = drawn(100)
    width = 0.15 * torch.tensor([1.0, 2.0, 0.5]).double()
    end, momentum, reached = leapfrog(looked_at(x), z, looked_at, width, 20)
    assert (end.position - x).abs().max() > 0.5 and reached.all()
    back, home, _ = leapfrog(end, -momentum, looked_at, width, 20)
    torch.testing.assert_close(back.position, x, rtol=0, atol=1e-9)
    torch.testing.assert_close(-home, z, rtol=0, atol=1e-9)


def test_a_trajectory_keeps_volume():
    """The determinant of its Jacobian is one: central differences, errors of order h^2."""
    x, z = drawn(1, 1)
    h = 1e-5
    start = torch.cat([x, z], 1) + h * torch.cat([torch.eye(6), -torch.eye(6)]).double()
    end, momentum, _ = leapfrog(looked_at(start[:, :3]), start[:, 3:], looked_at, 0.2, 5)
    ends = torch.cat([end.position, momentum], 1)
    jacobian = (ends[:6] - ends[6:]) / (2 * h)
    assert (jacobian - torch.eye(6)).abs().max() > 0.5
    torch.testing.assert_close(
        torch.linalg.det(jacobian), torch.tensor(1.0).double(), atol=1e-7, rtol=0
    )


def test_energy_errors_fall_with_the_square_of_the_step_size():
    x, z = drawn(200, 2)

    def error(steps: int) -> float:
        end, momentum, _ = leapfrog(looked_at(x), z, looked_at, 1.0 / steps, steps)
        kinetic = 0.5 * (momentum.square() - z.square()).sum(1)
        return float((bent(x) - end.log_density + kinetic).abs().median())

    assert 3.7 < error(64) / error(128) < 4.3


class WithoutKinetic(HMC):
    """A wrong kernel: it accepts by the density alone."""

    def proposed(self, point, evaluate, noise, width):
        proposal, _, reached = super().proposed(point, evaluate, noise, width)
        return proposal, proposal.log_density - point.log_density, reached


def kernel_of(wrong: bool, density, step_size: float, **settings) -> HMC:
    return (WithoutKinetic if wrong else HMC)(density, step_size, **settings)


@pytest.mark.parametrize("wrong", [False, True])
def test_the_flow_between_two_points_is_the_same_both_ways(monkeypatch, wrong):
    """p(x) phi(z) a = p(x') phi(z') a', pointwise, along trajectories and back."""
    scale = torch.tensor([1.0, 2.0, 0.5]).double()
    kernel = kernel_of(wrong, bent, 0.4, steps=6, scale=scale, jitter=0.0)
    x, z = [0.5 * part for part in drawn(500, 3)]
    ends = {}

    def followed(start: Tensor, momentum: Tensor) -> tuple[Tensor, Tensor]:
        monkeypatch.setattr(metropolis, "normal_like", lambda *_: momentum)
        point = looked_at(start)
        ends["point"], ends["momentum"], _ = leapfrog(point, momentum, looked_at, 0.4 * scale, 6)
        _, outcome = kernel.transition(point, looked_at, 0.4, as_generator(0))
        return bent(start) - 0.5 * momentum.square().sum(1), outcome.acceptance

    weight, forth = followed(x, z)
    weight_back, back = followed(ends["point"].position, -ends["momentum"])
    torch.testing.assert_close(ends["point"].position, x, rtol=0, atol=1e-8)
    difference = (weight + forth.log()) - (weight_back + back.log())
    assert (difference.abs().max() < 1e-8) != wrong


@pytest.mark.parametrize("wrong", [False, True])
@pytest.mark.parametrize("jitter", [0.0, 0.5])
def test_steps_from_exact_draws_of_a_funnel(wrong, jitter):
    """v ~ N(0, 9), x ~ N(0, e^v): whitened draws stay normal; false alarms: 1e-7 each of two."""
    from scipy.stats import kstest

    def funnel(x: Tensor) -> Tensor:
        v, rest = x[:, 0], x[:, 1:]
        return -v.square() / 18 - 0.5 * (rest.square() * (-v).exp()[:, None] + v[:, None]).sum(1)

    generator = as_generator(4)
    unit = torch.randn(40_000, 3, dtype=torch.float64, generator=generator)
    v = 3 * unit[:, :1]
    kernel = kernel_of(wrong, funnel, 0.6, steps=5, jitter=jitter)
    state = kernel.init(torch.cat([v, (v / 2).exp() * unit[:, 1:]], 1))
    for _ in range(3):
        state = kernel.step(state, generator)
    v = state.position[:, :1]
    moved = torch.cat([v / 3, state.position[:, 1:] * (-v / 2).exp()], 1)
    assert (moved != unit).double().mean() > 0.4
    alarms = [kstest(moved[:, i].clone(), "norm").pvalue < 1e-7 for i in range(2)]
    assert any(alarms) == wrong


@pytest.mark.parametrize("wrong", [False, True])
def test_moments_of_a_correlated_law_stay(wrong):
    """Exact draws of a ten-dimensional law, two trajectories; |z| < 6 for 55 second moments."""
    generator = as_generator(5)
    n, d = 20_000, 10
    root = torch.eye(d).double() + 0.5 * torch.randn(
        d, d, dtype=torch.float64, generator=generator
    )
    inverse = torch.linalg.inv(root)
    unit = torch.randn(n, d, dtype=torch.float64, generator=generator)
    kernel = kernel_of(wrong, lambda x: -0.5 * (x @ inverse.T).square().sum(1), 0.25, steps=8)
    state = kernel.init(unit @ root.T)
    for _ in range(2):
        state = kernel.step(state, generator)
    moved = state.position @ inverse.T
    assert (moved != unit).double().mean() > 0.5
    squares = moved.T @ moved / n - torch.eye(d)
    error = (1 + torch.eye(d)).sqrt() / math.sqrt(n)
    assert bool(((squares / error).abs() > 6).any()) == wrong


def test_jitter_spreads_step_sizes_of_chains(monkeypatch):
    """A flat law: a trajectory is as long as steps times step size."""
    monkeypatch.setattr(metropolis, "normal_like", lambda position, _: torch.ones_like(position))
    kernel = HMC(lambda x: 0.0 * x.sum(1), 0.1, steps=10, jitter=0.3)
    length = kernel.step(kernel.init(torch.zeros(5000, 1).double()), as_generator(0)).position[
        :, 0
    ]
    assert 0.7 <= length.min() < 0.705 and 1.295 < length.max() <= 1.3
    assert abs(float(length.mean()) - 1) < 6 * 0.3 / math.sqrt(3 * 5000)


def test_divergences_are_counted():
    kernel = HMC(lambda x: -50 * x.square().sum(1), 1.0, steps=20)
    state = kernel.init(torch.ones(30, 2, dtype=torch.float64))
    for _ in range(4):
        state = kernel.step(state, as_generator(0))
    assert (state.divergent == 4).all() and (state.position == 1).all()
    calm = HMC(kernel.log_density, 0.02, steps=20)
    assert (calm.step(calm.init(torch.ones(30, 2).double()), as_generator(0)).divergent == 0).all()


def test_trajectories_out_of_range_are_cut_and_rejected():
    """The user's function never sees a number that is none."""

    def checked(x: Tensor) -> Tensor:
        assert x.isfinite().all()
        return -(x**4).sum(1)

    kernel = HMC(checked, 10.0, steps=30)
    start = torch.linspace(0.5, 100, 40).double()[:, None]
    state = kernel.init(start)
    after = kernel.step(state, as_generator(0))
    assert torch.equal(after.position, start)
    assert (after.divergent == 1).all() and after.log_density.isfinite().all()


def test_numbers_that_are_none_on_the_way_are_counted():
    """Between the start and the end the density is NaN: counted, and the chain stays exact."""

    def gap(x: Tensor) -> Tensor:
        inside = (x > 0.5) & (x < 1.0)
        return torch.where(inside, math.nan, -0.5 * x.square()).sum(1)

    from scipy.stats import kstest, norm

    start = torch.randn(60_000, 1, dtype=torch.float64, generator=as_generator(0))
    start = start[((start < 0.5) | (start > 1.0))[:, 0]]
    kernel = HMC(gap, 0.3, steps=6)
    state = kernel.init(start)
    generator = as_generator(1)
    for _ in range(2):
        state = kernel.step(state, generator)
    assert state.invalid.sum() > 100
    hole = norm.cdf(1.0) - norm.cdf(0.5)

    def cdf(x):
        covered = norm.cdf(x) - (norm.cdf(x.clip(0.5, 1.0)) - norm.cdf(0.5))
        return covered / (1 - hole)

    assert kstest(state.position[:, 0].numpy(), cdf).pvalue > 1e-7


def test_a_step_evaluates_as_often_as_it_says():
    seen = []

    def counted(x: Tensor) -> Tensor:
        seen.append(x.shape)
        return bent(x)

    kernel = HMC(counted, 0.3, steps=4)
    state = kernel.init(torch.zeros(1024, 3))
    assert isinstance(kernel.step(state, as_generator(0)).position, Tensor)
    assert seen == [(1024, 3)] * 5


def test_points_of_ones_own_are_carried_along():
    """What moves is any named tuple with the fields of a point."""
    kernel = HMC(bent, 0.3, steps=2)
    point = looked_at(torch.zeros(4, 3).double())
    after, outcome = kernel.transition(point, looked_at, 0.3, as_generator(0))
    assert isinstance(after, Point) and outcome.acceptance.shape == (4,)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps must be at least 1"),
        ({"jitter": 1.0}, "jitter must be in"),
        ({"jitter": -0.1}, "jitter must be in"),
        ({"step_size": -0.1}, "step_size must be positive"),
        ({"scale": torch.zeros(3)}, "scale must be positive"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        HMC(bent, **{"step_size": 0.1, **settings})
