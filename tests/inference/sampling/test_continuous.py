"""Log densities and paths of laws of real variables, against closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from inference.random import as_generator
from inference.sampling.annealed_importance import annealed_importance_sampling
from inference.sampling.continuous import evaluate
from inference.sampling.continuous_law import ContinuousLaw, NormalBase, tempered
from inference.sampling.hmc import HMC
from inference.sampling.kernel import select
from inference.sampling.langevin import MALA, ULA
from inference.sampling.metropolis import RandomWalk

#: One false alarm in ten million per test of distribution.
ALARM = 1e-7


def quadratic(x: Tensor) -> Tensor:
    """Log weight exp(-(x - 2)^2 / 0.5): a normal law of mean 2 and variance 1/4."""
    return (-2 * (x - 2).square()).sum(1)


def kernels(log_density) -> list:
    return [
        RandomWalk(log_density, 0.8),
        MALA(log_density, 0.6),
        HMC(log_density, 0.25, steps=4),
    ]


# Log densities -----------------------------------------------------------------------------------


def test_values_and_slopes_are_those_of_the_function():
    x = torch.randn(5, 2, 3, dtype=torch.float64, generator=as_generator(0))
    point = evaluate(lambda x: x.sin().sum((1, 2)) + x[:, 0, 0] ** 3, x, gradient=True)
    expected = x.cos()
    expected[:, 0, 0] += 3 * x[:, 0, 0] ** 2
    torch.testing.assert_close(point.gradient, expected)
    torch.testing.assert_close(point.log_density, x.sin().sum((1, 2)) + x[:, 0, 0] ** 3)
    assert not point.invalid.any()
    assert not point.log_density.requires_grad and not x.requires_grad


def test_slopes_are_found_where_gradients_are_off_and_reach_no_parameter():
    weight = torch.ones(2, dtype=torch.float64, requires_grad=True)
    with torch.no_grad():
        point = evaluate(lambda x: x @ weight, torch.zeros(3, 2).double(), gradient=True)
    assert (point.gradient == 1).all()
    assert weight.grad is None


def test_where_a_function_fails_is_told():
    x = torch.tensor([[-1.0], [0.0], [4.0]]).double()
    point = evaluate(lambda x: x.sqrt().sum(1), x, gradient=True)
    assert point.invalid.tolist() == [True, True, False]  # the slope at zero is infinite
    infinite = evaluate(lambda x: 1 / x.abs().sum(1), torch.zeros(1, 1), gradient=False)
    assert infinite.invalid.all()
    outside = evaluate(lambda x: x.sum(1).log(), torch.zeros(1, 1), gradient=True)
    assert outside.log_density.tolist() == [-math.inf] and not outside.invalid.any()


@pytest.mark.parametrize(
    ("wrong", "kind", "message"),
    [
        (lambda x: x, ValueError, r"shape \(2,\).*found \(2, 3\)"),
        (lambda x: x.sum(), ValueError, "sum over the event"),
        (lambda x: 0.0, TypeError, "must return a tensor, found float"),
        (lambda x: x.detach().sum(1), ValueError, "differentiable"),
        (lambda x: torch.ones(2, requires_grad=True), ValueError, "differentiable"),
    ],
)
def test_functions_that_are_no_log_density_are_refused(wrong, kind, message):
    with pytest.raises(kind, match=message):
        evaluate(wrong, torch.zeros(2, 3), gradient=True)


@given(st.lists(st.floats(0, 5), min_size=3, max_size=3))
def test_inverse_temperatures_scale_chains(betas):
    x = torch.tensor([[1.0], [0.0], [2.0]]).double()
    found = tempered(lambda x: x.sum(1).log(), torch.tensor(betas, dtype=torch.float64))(x)
    expected = [0.0, -math.inf if betas[1] > 0 else 0.0, betas[2] * math.log(2)]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_negative_inverse_temperatures_are_refused():
    with pytest.raises(ValueError, match="negative"):
        tempered(quadratic, -1.0)
    with pytest.raises(ValueError, match="negative"):
        tempered(quadratic, torch.tensor([1.0, -1.0]))


# Bases -------------------------------------------------------------------------------------------


def test_a_normal_base_is_the_normal_law():
    from scipy.stats import kstest

    mean, scale = torch.tensor([[0.0, 1.0]]).double(), torch.tensor([[2.0], [0.5]]).double()
    base = NormalBase(mean, scale)
    x = base.sample(20_000, as_generator(0))
    assert x.shape == (20_000, 2, 2)
    expected = torch.distributions.Normal(mean, scale).log_prob(x).sum((1, 2))
    torch.testing.assert_close(base.log_prob(x), expected)
    for unit in ((x - mean) / scale).flatten(1).T:
        assert kstest(unit, "norm").pvalue > ALARM
    assert torch.equal(x[:10], base.sample(20_000, as_generator(0))[:10])


def test_bases_that_are_no_law_are_refused():
    with pytest.raises(ValueError, match="scale must be positive"):
        NormalBase([0.0], [0.0])
    with pytest.raises(ValueError, match="mean must be finite"):
        NormalBase([math.inf])
    with pytest.raises(ValueError, match="run fewer"):
        NormalBase([0.0] * 100).sample(10**13, as_generator(0))


# Paths -------------------------------------------------------------------------------------------


def path_law(beta: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation at beta, between N(0, 1) and ``quadratic``."""
    precision = (1 - beta) + 4 * beta
    return 8 * beta / precision, precision.rsqrt()


@pytest.mark.parametrize("kind", range(3))
@pytest.mark.parametrize("wrong", [False, True])
def test_a_step_leaves_the_law_at_every_beta_invariant(kind, wrong):
    """Exact starts, an inverse temperature per chain, one step; false alarms: 1e-7 each."""
    from scipy.stats import kstest

    law = ContinuousLaw(NormalBase(torch.zeros(1).double()), kernels(quadratic)[kind])
    beta = torch.linspace(0, 1, 40_000, dtype=torch.float64)
    mean, scale = path_law(beta)
    generator = as_generator(kind)
    unit = torch.randn(len(beta), dtype=torch.float64, generator=generator)
    state = law.init((mean + scale * unit)[:, None])
    for _ in range(3):
        state = law.step(state, (beta * 0.8) if wrong else beta, generator)
    moved = (law.position(state)[:, 0] - mean) / scale
    assert (moved != unit).double().mean() > 0.5
    assert (kstest(moved, "norm").pvalue < ALARM) == wrong


def test_a_step_at_one_is_a_step_of_the_kernel():
    for kernel in kernels(quadratic):
        law = ContinuousLaw(NormalBase(torch.zeros(2).double()), kernel)
        start = torch.randn(50, 2, dtype=torch.float64, generator=as_generator(0))
        mine = law.step(law.init(start), 1.0, as_generator(1))
        own = kernel.step(kernel.init(start), as_generator(1))
        torch.testing.assert_close(mine.position, own.position)
        torch.testing.assert_close(mine.acceptance, own.acceptance)
        torch.testing.assert_close(law.log_density(mine, 1.0), own.log_density)
        torch.testing.assert_close(law.at(1.0).step(law.init(start), as_generator(1)), mine)


def test_one_inverse_temperature_per_chain_is_that_of_the_chain():
    law = ContinuousLaw(NormalBase(torch.zeros(2).double()), MALA(quadratic, 0.6))
    state = law.start(6, as_generator(0))
    betas = torch.tensor([0.0, 0.2, 0.4, 0.6, 0.8, 1.0]).double()
    together = law.step(state, betas, as_generator(1))
    for chain, beta in enumerate(betas.tolist()):
        alone = law.step(state, beta, as_generator(1))
        torch.testing.assert_close(alone.position[chain], together.position[chain])
        density = law.log_density(together, betas)[chain]
        torch.testing.assert_close(density, law.log_density(together, beta)[chain])


def test_a_step_evaluates_a_position_once():
    seen = []

    def counted(x: Tensor) -> Tensor:
        seen.append(len(x))
        return quadratic(x)

    law = ContinuousLaw(NormalBase(torch.zeros(1).double()), MALA(counted, 0.6))
    state = law.start(7, as_generator(0))
    for beta in (0.1, 0.5, 1.0):
        state = law.step(state, beta, as_generator(0))
        law.log_density(state, beta + 0.1)
    assert seen == [7] * 4


class NoWaiting(TorchDispatchMode):
    """Refuses to read a number off a tensor, for which the host would wait on other devices."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        assert function is not torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("kernel", [*kernels(quadratic), ULA(quadratic, 0.1)])
def test_the_host_never_waits_for_a_step(kernel):
    law = ContinuousLaw(NormalBase(torch.zeros(2).double()), kernel)
    state, path = kernel.init(torch.zeros(4, 2).double()), law.start(4, as_generator(0))
    betas = torch.linspace(0, 1, 4, dtype=torch.float64)
    generator = as_generator(0)
    with NoWaiting():
        kernel.step(state, generator)
        law.log_density(law.step(path, betas, generator), betas)
        law.step(path, 0.5, generator)
    with pytest.raises(AssertionError), NoWaiting():
        bool(state.position.any())


def test_steps_are_pure_and_chains_can_be_selected():
    law = ContinuousLaw(NormalBase(torch.zeros(2).double()), HMC(quadratic, 0.3, steps=3))
    state = law.start(5, as_generator(0))
    before = [part.clone() for part in state]
    first, second = law.step(state, 0.5, as_generator(1)), law.step(state, 0.5, as_generator(1))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    torch.testing.assert_close(list(state), before, rtol=0, atol=0)
    picked = select(first, torch.tensor([4, 4, 0]))
    assert torch.equal(picked.position[0], first.position[4])
    assert law.step(picked, 0.5, as_generator(0)).position.shape == (3, 2)


@pytest.mark.parametrize("kind", range(3))
def test_importance_sampling_finds_the_sum_of_a_mixture(kind):
    """Unnormalised mixture of three normal laws in the plane, its sum known; 6 errors: 2e-9."""
    means = torch.tensor([[2.0, 0.0], [-1.0, 1.0], [0.0, -2.0]]).double()
    weights = torch.tensor([3.0, 1.0, 6.0]).double()

    def mixture(x: Tensor) -> Tensor:
        squares = (x[:, None] - means).square().sum(-1) / 0.5
        return (weights.log() - squares).logsumexp(1)

    exact = math.log(float(weights.sum()) * math.pi * 0.5)
    law = ContinuousLaw(NormalBase(torch.zeros(2).double(), 2.0), kernels(mixture)[kind])
    found = annealed_importance_sampling(law, betas=40, chains=2000, generator=kind)
    assert found.standard_error < 0.05
    assert abs(float(found) - exact) < 6 * found.standard_error


def test_a_target_with_a_hard_edge():
    """Half a normal law: its sum is known, and half of the base's draws are impossible."""

    def half(x: Tensor) -> Tensor:
        return torch.where(x[:, 0] > 0, quadratic(x), -math.inf)

    law = ContinuousLaw(NormalBase(torch.zeros(1).double()), MALA(half, 0.6))
    state = law.start(1000, as_generator(0))
    assert law.log_density(state, 0.0).isfinite().all()
    assert not torch.equal(law.step(state, 0.0, as_generator(0)).position, state.position)
    impossible = law.position(state)[:, 0] <= 0
    assert torch.equal(law.log_density(state, 0.5).isneginf(), impossible)
    per_chain = torch.zeros(1000).double()
    torch.testing.assert_close(law.log_density(state, per_chain), law.log_density(state, 0.0))
    after = law.run(state, [1.0] * 20, as_generator(1))
    assert (law.position(after)[:, 0] > 0)[~impossible].all()
    exact = math.log(math.sqrt(math.pi / 2) * 0.5 * (1 + math.erf(2 * math.sqrt(2))))
    found = annealed_importance_sampling(law, betas=40, chains=4000, generator=0)
    assert abs(float(found) - exact) < 6 * found.standard_error  # false alarms: 2e-9


def test_a_target_that_fails_is_impossible_on_the_way_and_counted():
    law = ContinuousLaw(NormalBase([1.0]), MALA(lambda x: x.sqrt().sum(1), 1.0))
    state = law.init(torch.full((500, 1), 1.0))
    after = law.run(state, [1.0] * 10, as_generator(0))
    assert (after.position > 0).all() and after.invalid.sum() > 100
    hot = law.run(state, [0.0] * 10, as_generator(0))
    assert 50 < (hot.position < 0).sum() < 450  # at zero the target plays no part
    assert torch.equal(law.log_density(hot, 1.0).isneginf(), hot.position[:, 0] < 0)
    assert torch.equal(law.log_density(hot, 0.5).isneginf(), hot.position[:, 0] < 0)
    assert law.log_density(hot, 0.0).isfinite().all()


def test_starts_without_a_log_density_are_refused():
    law = ContinuousLaw(NormalBase([0.0]), MALA(lambda x: x.sqrt().sum(1), 0.6))
    with pytest.raises(ValueError, match=r"log_density must be finite.*NaN.*chain 1"):
        law.init(torch.tensor([[1.0], [-1.0]]))
    with pytest.raises(TypeError, match=r"position must be a floating-point tensor.*int64"):
        law.init(torch.tensor([[1]]))
    with pytest.raises(ValueError, match="not empty"):
        law.init(torch.zeros(0, 1))
    with pytest.raises(ValueError, match="position must be finite"):
        law.init(torch.tensor([[math.inf]]))


def test_step_sizes_may_follow_the_inverse_temperature():
    asked = []

    def step_size(beta):
        asked.append(beta)
        return 1e-9

    law = ContinuousLaw(NormalBase([0.0]), MALA(quadratic, 0.6), step_size)
    state = law.start(3, as_generator(0))
    after = law.step(state, 0.25, as_generator(0))
    assert asked == [0.25]
    torch.testing.assert_close(after.position, state.position, rtol=0, atol=1e-7)


@pytest.mark.parametrize("kind", [RandomWalk, MALA, HMC])
def test_single_numbers_follow_paths_at_a_temperature_per_chain(kind):
    """Chains (chain,) without an event: as those of (chain, 1), to the last bit."""
    flat = ContinuousLaw(NormalBase(0.0), kind(lambda x: -2 * (x - 1).square(), 0.5))
    line = ContinuousLaw(NormalBase([0.0]), kind(lambda x: -2 * (x - 1).square().sum(1), 0.5))
    start = torch.randn(6, dtype=torch.float64, generator=as_generator(0))
    betas = torch.linspace(0, 1, 6, dtype=torch.float64)
    found = flat.step(flat.init(start), betas, as_generator(1))
    expected = line.step(line.init(start[:, None]), betas, as_generator(1))
    assert torch.equal(found.position, expected.position[:, 0])
    assert not torch.equal(found.position, start)


def test_bases_and_temperatures_are_checked():
    with pytest.raises(ValueError, match=r"must broadcast, found shapes \(2,\) and \(3,\)"):
        NormalBase([0.0, 1.0], [1.0, 2.0, 3.0])
    for beta in (-0.1, math.nan, torch.tensor([1.0, math.nan])):
        with pytest.raises(ValueError, match="beta must not be negative"):
            tempered(quadratic, beta)
