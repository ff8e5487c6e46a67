"""Warm-up: dual averaging, running moments, windows, and the settings that come out."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from inference.random import as_generator
from inference.sampling.adaptation import (
    DualAveraging,
    Moments,
    StepSizes,
    adapted,
    warm_up,
    windows,
)
from inference.sampling.annealed_importance import annealed_importance_sampling
from inference.sampling.continuous_law import ContinuousLaw, NormalBase
from inference.sampling.hmc import HMC
from inference.sampling.langevin import MALA, ULA
from inference.sampling.metropolis import RandomWalk

SCALES = torch.tensor([0.01, 1.0, 30.0, 1.0, 5.0], dtype=torch.float64)


def stretched(x: Tensor) -> Tensor:
    """A normal law whose standard deviations are ``SCALES``."""
    return -0.5 * (x / SCALES).square().sum(1)


# Parts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [1e-3, 1.0, 1e2])
@pytest.mark.parametrize("target", [0.234, 0.8])
def test_dual_averaging_finds_the_root(first, target):
    """An acceptance e^{-step} without noise."""
    found = DualAveraging.start(torch.tensor(first))
    for _ in range(3000):
        found = found.updated(torch.exp(-found.step_size), target)
    assert abs(math.exp(-float(found.log_average.exp())) - target) < 0.01


def test_dual_averaging_is_the_recursion_of_the_paper():
    """Hoffman and Gelman's algorithm 5, written as they do, with constants of our own."""
    acceptances = np.random.default_rng(0).random(20)
    found = DualAveraging.start(torch.tensor(0.3, dtype=torch.float64))
    mean, log_average = 0.0, 0.0
    for t, acceptance in enumerate(acceptances, 1):
        found = found.updated(torch.tensor(acceptance), 0.65)
        mean = (1 - 1 / (t + 10)) * mean + (0.65 - acceptance) / (t + 10)
        log_step = math.log(0.9) - math.sqrt(t) / 0.1 * mean
        log_average = t**-0.75 * log_step + (1 - t**-0.75) * log_average
        np.testing.assert_allclose(float(found.log_step), log_step, rtol=1e-12)
        np.testing.assert_allclose(float(found.log_average), log_average, rtol=1e-12)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.integers(0, 1000))
def test_moments_are_those_of_all_draws(batches, seed):
    rng = np.random.default_rng(seed)
    draws = 1e6 + rng.normal(size=(sum(batches), 2, 3))
    moments = Moments.none(torch.zeros(1, 2, 3))
    for part in torch.from_numpy(draws).split(batches):
        moments = moments.merged(part)
    assert moments.n == len(draws)
    torch.testing.assert_close(moments.mean, torch.from_numpy(draws.mean(0)))
    ddof = 1 if len(draws) > 1 else 0
    torch.testing.assert_close(moments.variance, torch.from_numpy(draws.var(0, ddof=ddof)))


@given(st.integers(10, 5000))
def test_windows_fill_the_warm_up(steps):
    parts = windows(steps)
    assert sum(parts) == steps and min(parts) > 0 and len(parts) >= 3
    inner = parts[1:-1]
    assert all(2 * a <= b for a, b in pairwise(inner))


def test_step_sizes_follow_a_path_of_normal_laws():
    """Their precisions are linear in the inverse temperature."""

    def size(beta: Tensor) -> Tensor:
        return (1 + 399 * beta).rsqrt()

    grid = torch.tensor([0.0, 0.3, 1.0]).double()
    sizes = StepSizes(grid, size(grid))
    betas = torch.tensor([0.0, 0.01, 0.25, 0.3, 0.75, 1.0]).double()
    torch.testing.assert_close(sizes(betas), size(betas))
    for beta in betas.tolist():
        torch.testing.assert_close(sizes(beta), size(torch.tensor(beta).double()))
    assert sizes(2.0) == sizes(1.0)


# Warm-up -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [1e-4, 1.0, 100.0])
@pytest.mark.parametrize("kind", [RandomWalk, MALA, HMC])
def test_a_warm_up_finds_acceptance_and_scales(kind, first):
    """Acceptance afterwards is that of fresh exact draws; scales up to a common factor."""
    kernel = kind(stretched, first)
    start = SCALES * torch.randn(100, 5, dtype=torch.float64, generator=as_generator(0))
    tuned, state = warm_up(kernel, 3 * start, 600, generator=1, progress=False)
    assert isinstance(tuned.step_size, float)
    ratios = tuned.scale / SCALES
    assert ratios.max() / ratios.min() < 1.3
    exact = SCALES * torch.randn(4000, 5, dtype=torch.float64, generator=as_generator(2))
    acceptance = tuned.step(tuned.init(exact), as_generator(3)).acceptance.mean()
    assert abs(float(acceptance) - tuned.target_acceptance(5)) < 0.05
    assert state.position.shape == (100, 5) and (state.invalid == 0).all()
    assert kernel.step_size == first and kernel.scale == 1.0


def test_a_target_and_a_scale_of_ones_own_are_kept():
    kernel = MALA(stretched, 1.0, SCALES)
    start = SCALES * torch.randn(200, 5, dtype=torch.float64, generator=as_generator(0))
    tuned, _ = warm_up(
        kernel, start, 300, target=0.9, adapt_scale=False, generator=1, progress=False
    )
    assert tuned.scale is SCALES
    exact = SCALES * torch.randn(4000, 5, dtype=torch.float64, generator=as_generator(2))
    acceptance = tuned.step(tuned.init(exact), as_generator(3)).acceptance.mean()
    assert abs(float(acceptance) - 0.9) < 0.03


def test_other_settings_stay_and_seeds_repeat():
    kernel = HMC(stretched, 0.1, steps=3, jitter=0.5)
    start = torch.zeros(10, 5, dtype=torch.float64)
    first, state = warm_up(kernel, start, 40, generator=5, progress=False)
    second, again = warm_up(kernel, start, 40, generator=5, progress=False)
    assert first.steps == 3 and first.jitter == 0.5 and first.log_density is stretched
    assert first.step_size == second.step_size
    torch.testing.assert_close(state, again, rtol=0, atol=0)


def test_single_precision_stays():
    kernel = MALA(lambda x: -0.5 * x.square().sum(1), 0.1)
    tuned, state = warm_up(kernel, torch.zeros(10, 2), 40, generator=0, progress=False)
    assert state.position.dtype == tuned.scale.dtype == torch.float32


@pytest.mark.parametrize(
    ("kernel", "settings", "kind", "message"),
    [
        (ULA(stretched, 0.1), {}, TypeError, "kernel must accept or reject, found ULA"),
        (MALA(stretched, 0.1), {"target": 1.0}, ValueError, "target must be in"),
        (MALA(stretched, 0.1), {"steps": 9}, ValueError, "steps must be at least 10"),
        (MALA(stretched, 0.1), {"progress": 3}, TypeError, "progress must be"),
    ],
)
def test_bad_settings_are_refused(kernel, settings, kind, message):
    with pytest.raises(kind, match=message):
        warm_up(kernel, torch.zeros(2, 5, dtype=torch.float64), generator=0, **settings)


# Paths -------------------------------------------------------------------------------------------


def narrow(x: Tensor) -> Tensor:
    return -0.5 * ((x - 1) / 0.05).square().sum(1)


@pytest.mark.parametrize("kind", [RandomWalk, MALA, partial(HMC, steps=3)])
def test_moves_along_a_path_are_accepted_evenly(kind):
    """From N(0, 1) to N(1, 1/400): the law at beta is known, and drawn from exactly."""
    base = NormalBase(torch.zeros(3).double())
    law = ContinuousLaw(base, kind(narrow, 1.0))
    law = adapted(law, betas=[0, 0.05, 0.2, 1], steps=150, generator=0, progress=False)
    assert isinstance(law.step_size, StepSizes)
    betas = torch.tensor([0.0, 0.05, 0.1, 0.2, 1.0], dtype=torch.float64).repeat_interleave(2000)
    precision = 1 - betas + 400 * betas
    unit = torch.randn(len(betas), 3, dtype=torch.float64, generator=as_generator(1))
    start = (400 * betas / precision)[:, None] + precision.rsqrt()[:, None] * unit
    state = law.step(law.init(start), betas, as_generator(2))
    means = state.acceptance.reshape(5, -1).mean(1)
    assert (means - law.kernel.target_acceptance(3)).abs().max() < 0.05


def test_importance_sampling_along_an_adapted_path():
    """The sum is known; six standard errors: false alarms 2e-9."""
    base = NormalBase(torch.zeros(3).double())
    law = adapted(ContinuousLaw(base, MALA(narrow, 1.0)), generator=0, progress=False)
    found = annealed_importance_sampling(
        law, betas=np.linspace(0, 1, 301) ** 3, chains=500, generator=1
    )
    exact = 3 * math.log(0.05 * math.sqrt(2 * math.pi))
    assert abs(float(found) - exact) < 6 * found.standard_error < 1.0


@pytest.mark.parametrize("betas", [[0.0, 0.5], [0.1, 1.0], [0.0, 0.5, 0.5, 1.0], [0.0], 0])
def test_bad_paths_are_refused(betas):
    law = ContinuousLaw(NormalBase([0.0]), MALA(narrow, 1.0))
    with pytest.raises(ValueError, match="betas"):
        adapted(law, betas=betas, generator=0)
    with pytest.raises(ValueError, match="chains"):
        adapted(law, chains=0, generator=0)


@pytest.mark.parametrize(
    ("position", "kind"),
    [
        (np.zeros((2, 5)), TypeError),
        (torch.zeros(0, 5), ValueError),
        (torch.tensor(0.0), ValueError),
    ],
)
def test_starts_that_are_no_positions_are_refused(position, kind):
    with pytest.raises(kind, match="position must be"):
        warm_up(MALA(stretched, 0.1), position, generator=0)


def test_a_number_of_inverse_temperatures_may_be_numpys():
    law = ContinuousLaw(NormalBase([0.0]), MALA(narrow, 1.0))
    settings = {"chains": 4, "steps": 10, "generator": 0, "progress": False}
    found = adapted(law, betas=np.int64(2), **settings)
    assert isinstance(found.step_size, StepSizes)
    assert found.step_size.betas.tolist() == [0.0, 0.25, 1.0]
