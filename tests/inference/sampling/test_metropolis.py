"""The rule of Metropolis, and normal steps: detailed balance pointwise."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from inference.random import as_generator
from inference.sampling.continuous import Point, evaluate
from inference.sampling.hmc import HMC
from inference.sampling.langevin import MALA, ULA
from inference.sampling.metropolis import RandomWalk, metropolis, reachable


def bent(x: Tensor) -> Tensor:
    """A banana in three dimensions, with heavy tails along one of them."""
    return -0.5 * (x[:, 0].square() + (x[:, 1] - x[:, 0].square()).square()) - x[:, 2].cosh().log()


def test_the_flow_between_two_points_is_the_same_both_ways():
    """p(x) a(x, x') = p(x') a(x', x), pointwise: the steps themselves are symmetric."""
    scale = torch.tensor([1.0, 2.0, 0.5]).double()
    kernel = RandomWalk(bent, 0.7, scale)
    x = torch.randn(500, 3, dtype=torch.float64, generator=as_generator(0))
    seen = []

    def looked(position: Tensor) -> Point:
        seen.append(position)
        return evaluate(bent, position, gradient=False)

    _, outcome = kernel.transition(looked(x), looked, 0.7, as_generator(1))
    start, end = seen
    assert torch.equal(
        kernel.transition(looked(end), lambda _: looked(start), 0.7, as_generator(2))[
            1
        ].acceptance,
        (bent(start) - bent(end)).clamp(max=0).exp(),
    )
    forth = bent(start) + outcome.acceptance.log()
    back = bent(end) + (bent(start) - bent(end)).clamp(max=0)
    torch.testing.assert_close(forth, back, rtol=0, atol=1e-12)
    unit = ((end - start) / (0.7 * scale)).flatten()
    assert abs(float(unit.mean())) < 6 / math.sqrt(len(unit))  # false alarms: 2e-9 each
    assert abs(float(unit.square().mean()) - 1) < 6 * math.sqrt(2 / len(unit))


@pytest.mark.parametrize("wrong", [False, True])
def test_steps_from_exact_draws(wrong):
    """A bimodal law, three steps from exact draws; false alarms: one in 1e7."""
    from scipy.stats import kstest, norm

    def bimodal(x: Tensor) -> Tensor:
        return torch.logaddexp(-2 * (x + 1).square(), -2 * (x - 1).square()).sum(1)

    n = 100_000
    generator = as_generator(3)
    side = 2.0 * torch.randint(2, (n, 1), generator=generator) - 1
    start = side + 0.5 * torch.randn(n, 1, dtype=torch.float64, generator=generator)
    kernel = RandomWalk((lambda x: 0.7 * bimodal(x)) if wrong else bimodal, 1.0)
    state = kernel.init(start)
    for _ in range(3):
        state = kernel.step(state, generator)

    def cdf(x):
        return 0.5 * (norm.cdf(x, -1, 0.5) + norm.cdf(x, 1, 0.5))

    assert (state.position != start).double().mean() > 0.5
    assert (kstest(state.position[:, 0], cdf).pvalue < 1e-7) == wrong


def test_acceptance_is_the_rule():
    """Also from and to impossible points, and for ratios that are no number."""
    logs = torch.tensor([0.0, 0.0, -math.inf, -math.inf, 0.0, 0.0, 0.0, 0.0]).double()
    new = torch.tensor([1.0, -1.0, 0.0, -math.inf, -math.inf, 0.0, math.nan, math.inf]).double()
    flags = torch.zeros(8, dtype=torch.bool)
    old_point = Point(torch.zeros(8, 1), logs, torch.zeros(8, 0))
    proposal = Point(torch.ones(8, 1), new, torch.zeros(8, 0))
    ratio = new - logs
    ratio[5] = math.nan
    point, outcome = metropolis(old_point, proposal, ratio, as_generator(0), ~flags)
    expected = torch.tensor([1.0, math.exp(-1), 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]).double()
    torch.testing.assert_close(outcome.acceptance, expected)
    assert outcome.divergent.tolist() == [False] * 3 + [True] * 5
    assert outcome.invalid.tolist() == [False] * 6 + [True] * 2
    assert point.position[[0, 2], 0].tolist() == [1.0, 1.0]
    assert point.position[3:, 0].tolist() == [0.0] * 5
    stuck, outcome = metropolis(old_point, proposal, ratio, as_generator(0), flags)
    assert (outcome.acceptance == 0).all() and (stuck.position == 0).all()


def test_positions_out_of_range_are_given_back():
    position = torch.tensor([[1.0, 2.0], [math.inf, 0.0], [0.0, math.nan]])
    found, reached = reachable(position, torch.full((3, 2), 7.0))
    assert found.tolist() == [[1.0, 2.0], [7.0, 7.0], [7.0, 7.0]]
    assert reached.tolist() == [True, False, False]


def test_a_proposal_without_a_log_density_is_rejected_and_counted():
    kernel = RandomWalk(lambda x: (1 - x.square()).sqrt().sum(1), 1.0)  # NaN beyond one
    state = kernel.init(torch.zeros(200, 1))
    generator = as_generator(0)
    for _ in range(5):
        state = kernel.step(state, generator)
    assert (state.position.abs() <= 1).all() and state.log_density.isfinite().all()
    assert state.invalid.sum() > 100 and (state.invalid <= 5).all()
    assert torch.equal(state.divergent, state.invalid)


KERNELS = [RandomWalk(bent, 0.7), ULA(bent, 0.5), MALA(bent, 0.5), HMC(bent, 0.3, steps=4)]


@pytest.mark.parametrize("kernel", KERNELS)
def test_chains_do_not_depend_on_each_other(kernel):
    x = torch.randn(20, 3, dtype=torch.float64, generator=as_generator(0))
    other = x.clone()
    other[7] += 3.0
    first, second = [kernel.step(kernel.init(start), as_generator(1)) for start in (x, other)]
    rest = [chain for chain in range(20) if chain != 7]
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a[rest], b[rest])
    assert not torch.equal(first.position[7], second.position[7])


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_same_seed_gives_the_same_chain_and_steps_are_pure(kernel):
    x = torch.randn(9, 3, dtype=torch.float64, generator=as_generator(0))
    state = kernel.init(x)
    before = [part.clone() for part in state]
    x += 1
    first, second = kernel.step(state, as_generator(5)), kernel.step(state, as_generator(5))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    torch.testing.assert_close(list(state), before, rtol=0, atol=0)
    assert not torch.equal(first.position, kernel.step(state, as_generator(6)).position)


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_type_of_positions_is_kept(kernel):
    scale = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
    kernel = replace(kernel, step_size=torch.tensor([0.5, 0.1]).double(), scale=scale)
    state = kernel.step(kernel.init(torch.zeros(2, 3)), as_generator(0))
    assert state.position.dtype == state.gradient.dtype == torch.float32
    assert state.log_density.dtype == torch.float64


def test_a_step_size_per_chain_is_that_of_the_chain():
    sizes = torch.tensor([0.1, 1.0, 5.0]).double()
    x = torch.zeros(3, 2, 2, dtype=torch.float64)
    flat = RandomWalk(lambda x: torch.zeros(len(x)), sizes)
    once = RandomWalk(flat.log_density, 1.0)
    ratio = (
        flat.step(flat.init(x), as_generator(0)).position
        / once.step(once.init(x), as_generator(0)).position
    )
    torch.testing.assert_close(ratio, sizes[:, None, None].expand(3, 2, 2))


def test_single_numbers_are_an_event():
    kernel = RandomWalk(lambda x: -x.square(), 1.0)
    assert kernel.step(kernel.init(torch.zeros(4)), as_generator(0)).position.shape == (4,)
    assert kernel.target_acceptance(1) == 0.44 and kernel.target_acceptance(10) == 0.234


@pytest.mark.parametrize("setting", ["step_size", "scale"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, torch.tensor([1.0, math.nan])])
def test_settings_that_make_no_step_are_refused(setting, value):
    with pytest.raises(ValueError, match=f"{setting} must be positive and finite"):
        RandomWalk(bent, **{"step_size": 1.0, setting: value})


def test_starts_are_checked():
    kernel = RandomWalk(lambda x: x.sum(1).log(), 1.0)
    with pytest.raises(ValueError, match="found -inf at chain 1; start it where"):
        kernel.init(torch.tensor([[1.0], [0.0]]))
    with pytest.raises(ValueError, match=r"NaN.*at chain 0"):
        kernel.init(torch.tensor([[-1.0], [1.0]]))
    with pytest.raises(TypeError, match="floating-point"):
        kernel.init(torch.tensor([[1]]))
    with pytest.raises(ValueError, match="not empty"):
        kernel.init(torch.tensor(1.0))
    elsewhere = RandomWalk(kernel.log_density, 1.0, device=torch.device("meta"))
    with pytest.raises(ValueError, match=r"position must be on meta, found cpu; pass the kernel"):
        elsewhere.init(torch.ones(1, 1))


@pytest.mark.parametrize("kind", [RandomWalk, ULA, MALA, HMC])
def test_settings_of_other_chains_or_events_are_refused(kind):
    """They would broadcast to more chains, or to longer events."""
    one = torch.zeros(1, 3)
    many = kind(lambda x: -x.square().sum(1), torch.full((5,), 0.1))
    with pytest.raises(ValueError, match=r"step_size must be .* each of 1 chains.*\(5,\)"):
        many.step(many.init(one), as_generator(0))
    for shape in ((3,), (1, 1, 1)):
        wide = kind(lambda x: -x.square().sum(1), 0.1, scale=torch.ones(shape))
        with pytest.raises(ValueError, match=r"scale must be .* an event \(1,\) of them"):
            wide.step(wide.init(torch.zeros(4, 1)), as_generator(0))


@pytest.mark.parametrize("kind", [RandomWalk, ULA, MALA, HMC])
def test_settings_may_be_arrays_and_lists(kind):
    def after(make) -> Tensor:
        kernel = kind(bent, make([0.1, 0.2]), scale=make([1.0, 2.0, 0.5]))
        return kernel.step(kernel.init(torch.zeros(2, 3).double()), as_generator(0)).position

    expected = after(lambda x: torch.tensor(x, dtype=torch.float64))
    for make in (list, np.array, lambda x: np.array(x, dtype=">f8")):
        torch.testing.assert_close(after(make), expected, rtol=0, atol=0)
    with pytest.raises(TypeError, match="scale must hold real numbers"):
        kind(bent, 0.1, scale="wide")
