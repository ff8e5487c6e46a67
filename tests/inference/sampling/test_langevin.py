"""Langevin steps: detailed balance pointwise and by quadrature, exact starts, hard cases."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from inference.random import as_generator
from inference.sampling import metropolis
from inference.sampling.continuous import Point, evaluate
from inference.sampling.continuous_law import tempered
from inference.sampling.hmc import HMC
from inference.sampling.langevin import MALA, ULA


def bent(x: Tensor) -> Tensor:
    """A banana in three dimensions, with heavy tails along one of them."""
    return -0.5 * (x[:, 0].square() + (x[:, 1] - x[:, 0].square()).square()) - x[:, 2].cosh().log()


class NoWayBack(MALA):
    """A wrong kernel: it forgets that the step back has another mean."""

    def proposed(self, point, evaluate, noise, width):
        proposal, _, reached = super().proposed(point, evaluate, noise, width)
        return proposal, proposal.log_density - point.log_density, reached


@dataclass
class Flow:
    """One step with given noise: where it proposes to go, and how likely it goes there."""

    kernel: MALA
    patch: pytest.MonkeyPatch

    def __call__(self, x: Tensor, noise: Tensor, step_size: float) -> tuple[Tensor, Tensor]:
        seen = []

        def looked(position: Tensor) -> Point:
            seen.append(position)
            return evaluate(self.kernel.log_density, position, gradient=True)

        self.patch.setattr(metropolis, "normal_like", lambda *_: noise)
        _, outcome = self.kernel.transition(looked(x), looked, step_size, as_generator(0))
        return seen[1], outcome.acceptance


@pytest.mark.parametrize("wrong", [False, True])
def test_the_flow_between_two_points_is_the_same_both_ways(monkeypatch, wrong):
    """p(x) q(x'|x) a(x, x') = p(x') q(x|x') a(x', x) pointwise; the noise back is solved for."""
    scale = torch.tensor([1.0, 2.0, 0.5]).double()
    flow = Flow((NoWayBack if wrong else MALA)(bent, 0.6, scale), monkeypatch)
    x, noise = 0.7 * torch.randn(2, 1000, 3, dtype=torch.float64, generator=as_generator(0))
    end, forth = flow(x, noise, 0.6)
    slope = evaluate(bent, end, gradient=True).gradient
    width = 0.6 * scale
    back_noise = (x - end - 0.5 * width**2 * slope) / width
    start, back = flow(end, back_noise, 0.6)
    torch.testing.assert_close(start, x, rtol=0, atol=1e-10)
    forth = bent(x) - 0.5 * noise.square().sum(1) + forth.log()
    back = bent(end) - 0.5 * back_noise.square().sum(1) + back.log()
    assert (((forth - back).abs().max()) < 1e-10) != wrong
    if wrong:
        assert (forth - back).abs().median() > 1e-2


@pytest.mark.parametrize("wrong", [False, True])
def test_the_law_is_invariant_by_quadrature(monkeypatch, wrong):
    """E f(x') = E f(x) for x from the law, both sums over grids of x and of noise.

    The trapezoid rule errs by the kinks of the acceptance: halving both grids tells by how much.
    """

    def density(x: Tensor) -> Tensor:
        return torch.logaddexp(-2 * (x + 1).square(), -2 * (x - 1).square()).sum(1)

    flow = Flow((NoWayBack if wrong else MALA)(density, 0.9), monkeypatch)

    def drift(points: int) -> float:
        x, z = torch.meshgrid(*[torch.linspace(-7, 7, points).double()] * 2, indexing="ij")
        x, z = x.reshape(-1, 1), z.reshape(-1, 1)
        end, acceptance = flow(x, z, 0.9)
        weight = (density(x) - 0.5 * z.square().sum(1)).softmax(0)
        gain = (end.square() - x.square())[:, 0]
        return float((weight * acceptance * gain).sum())

    coarse, fine = drift(301), drift(601)
    error = abs(fine - coarse)
    assert error < 1e-3
    assert (abs(fine) < 2 * error + 1e-12) != wrong
    if wrong:
        assert abs(fine) > 0.05


def test_a_step_is_a_trajectory_of_one_leapfrog_step():
    scale = torch.tensor([1.0, 2.0, 0.5]).double()
    mala, hmc = MALA(bent, 0.6, scale), HMC(bent, 0.6, steps=1, scale=scale, jitter=0.0)
    x = torch.randn(100, 3, dtype=torch.float64, generator=as_generator(0))
    first = mala.step(mala.init(x), as_generator(1))
    second = hmc.step(hmc.init(x), as_generator(1))
    torch.testing.assert_close(first, second, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("wrong", [False, True])
def test_steps_from_exact_draws(wrong):
    """A correlated normal law, three steps from exact draws: each coordinate of the whitened
    positions by Kolmogorov and Smirnov; false alarms: one in 1e7 each.
    """
    from scipy.stats import kstest

    root = torch.tensor([[1.0, 0.0], [1.6, 1.2]]).double()  # correlation 0.8
    inverse = torch.linalg.inv(root)

    def density(x: Tensor) -> Tensor:
        return -0.5 * (x @ inverse.T).square().sum(1)

    unit = torch.randn(50_000, 2, dtype=torch.float64, generator=as_generator(2))
    kernel = MALA(tempered(density, 0.8) if wrong else density, 0.9, torch.tensor([1.0, 2.0]))
    state = kernel.init(unit @ root.T)
    generator = as_generator(3)
    for _ in range(3):
        state = kernel.step(state, generator)
    moved = state.position @ inverse.T
    assert (moved != unit).double().mean() > 0.5
    alarms = [kstest(moved[:, i], "norm").pvalue < 1e-7 for i in range(2)]
    alarms.append(kstest(moved.sum(1) / math.sqrt(2), "norm").pvalue < 1e-7)
    assert any(alarms) == wrong
    assert (state.divergent == 0).all() and (state.invalid == 0).all()


def test_the_unadjusted_step_is_the_linear_map_that_its_bias_follows_from(monkeypatch):
    """Of a normal law: x' = (1 - e^2 / 2) x + e z, whose variance is 1 / (1 - e^2 / 4)."""
    kernel = ULA(lambda x: -0.5 * x.square().sum(1), 0.8)
    x, noise = torch.randn(2, 50, 3, dtype=torch.float64, generator=as_generator(0))
    monkeypatch.setattr(metropolis, "normal_like", lambda *_: noise)
    state = kernel.step(kernel.init(x), as_generator(0))
    torch.testing.assert_close(state.position, (1 - 0.32) * x + 0.8 * noise)
    assert (state.acceptance == 1).all()
    variance = 1 / (1 - 0.8**2 / 4)
    np.testing.assert_allclose((1 - 0.32) ** 2 * variance + 0.8**2, variance)


def test_an_unadjusted_step_to_where_nothing_is_stays():
    kernel = ULA(lambda x: torch.where(x[:, 0] > 0, -x[:, 0], -math.inf), 1.0)
    state = kernel.init(torch.full((200, 1), 0.1))
    after = kernel.step(state, as_generator(0))
    stayed = (after.position == state.position)[:, 0]
    assert (after.position > 0).all() and 20 < stayed.sum() < 180
    assert torch.equal(after.acceptance == 0, stayed)


def test_a_law_with_an_edge_keeps_its_draws():
    """The exponential law: outside there is neither density nor slope; false alarms: 1e-7."""
    from scipy.stats import kstest

    def exponential(x: Tensor) -> Tensor:
        return torch.where(x > 0, -x, -math.inf).sum(1)

    start = torch.from_numpy(np.random.default_rng(0).exponential(size=(50_000, 1)))
    kernel = MALA(exponential, 0.8)
    state = kernel.init(start)
    generator = as_generator(1)
    for _ in range(3):
        state = kernel.step(state, generator)
    assert kstest(state.position[:, 0], "expon").pvalue > 1e-7
    assert (state.position != start).double().mean() > 0.5


def test_slopes_that_are_infinite_or_no_number_do_no_harm():
    """The density x^{-1/2} on (0, 1) has an infinite slope at zero; beyond, its root is NaN."""

    def beta_law(x: Tensor) -> Tensor:
        inside = (x > 0) & (x < 1)
        return torch.where(inside, -0.5 * x.log(), -math.inf).sum(1)

    from scipy.stats import kstest

    start = torch.from_numpy(np.random.default_rng(1).beta(0.5, 1.0, size=(50_000, 1)))
    kernel = MALA(beta_law, 0.3)
    state = kernel.init(start)
    generator = as_generator(1)
    for _ in range(3):
        state = kernel.step(state, generator)
    assert state.position.isfinite().all() and state.log_density.isfinite().all()
    assert kstest(state.position[:, 0], "beta", (0.5, 1.0)).pvalue > 1e-7


def test_steps_out_of_range_are_rejected_and_counted():
    kernel = MALA(lambda x: -(x**4).sum(1), 1e60)
    start = torch.full((50, 2), 1e75, dtype=torch.float64)
    state = kernel.init(start)
    for _ in range(3):
        state = kernel.step(state, as_generator(0))
    assert torch.equal(state.position, start)
    assert (state.divergent == 3).all()


def test_densities_without_slope_are_refused():
    with pytest.raises(ValueError, match="without gradients"):
        MALA(lambda x: torch.zeros(len(x)), 0.5).init(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="slope that is not finite at chain 1"):
        MALA(lambda x: x.sqrt().sum(1), 0.5).init(torch.tensor([[1.0], [0.0]]))


@pytest.mark.parametrize("kind", [ULA, MALA])
def test_steps_to_where_there_is_no_slope_are_refused_and_counted(kind):
    """Beyond one the density is a number, and its slope is none: no chain may enter for good."""

    def trap(x: Tensor) -> Tensor:
        return torch.where(x < 1, (1 - x).sqrt() - x.square(), -x.square()).sum(1)

    kernel = kind(trap, 0.7)
    state = kernel.init(torch.full((100, 1), 0.5))
    generator = as_generator(0)
    for _ in range(20):
        state = kernel.step(state, generator)
    assert state.gradient.isfinite().all() and (state.position < 1).all()
    assert state.invalid.sum() > 20 and torch.equal(state.invalid, state.divergent)
