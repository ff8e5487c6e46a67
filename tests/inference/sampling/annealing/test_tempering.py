"""Parallel tempering: swaps that keep the product law, ladders, and modes that are crossed."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy.stats import chi2, t

from inference.random import as_generator, categorical
from inference.sampling.kernel import TemperedLaw
from inference.sampling.ladder import respaced
from inference.sampling.replica_exchange import ReplicaExchange
from inference.sampling.tempering import parallel_tempering

LADDER = torch.tensor([0.0, 0.3, 0.6, 1.0]).double()


@dataclass(frozen=True, eq=False)
class Held(TemperedLaw):
    """A law whose chains stay where they are; swaps may be made with the wrong sign."""

    law: TemperedLaw
    sign: float = 1.0
    moves: bool = False

    @property
    def device(self):
        return self.law.device

    @property
    def log_base(self):
        return self.law.log_base

    def start(self, chains, generator):
        return self.law.start(chains, generator)

    def init(self, position):
        return self.law.init(position)

    def position(self, state):
        return self.law.position(state)

    def log_density(self, state, beta):
        return self.sign * self.law.log_density(state, beta)

    def step(self, state, beta, generator):
        return self.law.step(state, beta, generator) if self.moves else state


def product_law(rbm) -> tuple[torch.Tensor, torch.Tensor]:
    """All joint states of four replicas of a machine of two units, and their log law."""
    states, _, _ = rbm.law()
    inner = rbm.init(states)
    logs = torch.stack([rbm.log_density(inner, beta) for beta in LADDER.tolist()])
    ladders = torch.tensor(list(itertools.product(range(len(states)), repeat=4)))
    return ladders, logs[torch.arange(4), ladders].sum(1)


def swap_matrix(rbm, sign: float, parity: int) -> torch.Tensor:
    """Exact transition matrix of one round of swaps over all joint states of the replicas."""
    states, _, _ = rbm.law()
    ladders, _ = product_law(rbm)
    kernel = ReplicaExchange(Held(rbm, sign), LADDER)
    inner = rbm.init(states[ladders.reshape(-1)])
    before = kernel.resume(inner)._replace(time=parity)
    chance = kernel.step(before, as_generator(0)).accepted[:, parity::2]
    low = range(parity, 3, 2)
    size = len(states)
    codes = size ** torch.arange(3, -1, -1)
    matrix = torch.zeros(len(ladders), len(ladders)).double()
    rows = torch.arange(len(ladders))
    for swapped in itertools.product((False, True), repeat=len(low)):
        target, weight = ladders.clone(), torch.ones(len(ladders)).double()
        for pair, (rung, swaps) in enumerate(zip(low, swapped, strict=True)):
            weight = weight * (chance[:, pair] if swaps else 1 - chance[:, pair])
            if swaps:
                target[:, [rung, rung + 1]] = target[:, [rung + 1, rung]]
        matrix.index_put_((rows, (target * codes).sum(1)), weight, accumulate=True)
    return matrix


@pytest.mark.parametrize("parity", [0, 1])
@pytest.mark.parametrize("summed", [False, True])
def test_swaps_leave_the_product_law_invariant(machine, parity, summed):
    rbm = machine(1, 1, 1.5, summed=summed)
    _, logs = product_law(rbm)
    law = logs.softmax(0)
    changes = [law @ swap_matrix(rbm, sign, parity) - law for sign in (1.0, -1.0)]
    assert float(changes[0].abs().max()) < 1e-15
    assert float(changes[1].abs().max()) > 1e-5


def test_swaps_happen_as_often_as_they_should(machine):
    """What is accepted is what moves: frequencies by chi-square at 1e-6."""
    rbm = machine(1, 1, 1.5)
    ladders, logs = product_law(rbm)
    states, _, _ = rbm.law()
    for sign, fits in ((1.0, True), (-1.0, False)):
        kernel = ReplicaExchange(Held(rbm, sign, moves=True), LADDER)
        drawn = ladders[categorical(logs, 100_000, generator=1)]
        state = kernel.resume(rbm.init(states[drawn.reshape(-1)]))
        generator = as_generator(2)
        for _ in range(2):
            state = kernel.step(state, generator)
        place = torch.arange(100_000)[:, None] * 4 + state.replicas
        units = rbm.position(state.inner)[place]
        codes = (units @ torch.tensor([2.0, 1.0]).double()).long()
        counts = (codes @ (4 ** torch.arange(3, -1, -1))).bincount(minlength=256)
        expected = 100_000 * logs.softmax(0)
        assert float(expected.min()) > 5
        statistic = float(((counts - expected).square() / expected).sum())
        assert (statistic < chi2.isf(1e-6, 255)) == fits


def test_replicas_and_rungs_are_inverse(machine):
    kernel = ReplicaExchange(machine(4, 3, 1.0), LADDER)
    generator = as_generator(0)
    state = kernel.start(50, generator)
    for _ in range(7):
        state = kernel.step(state, generator)
        back = state.rungs.gather(1, state.replicas)
        assert torch.equal(back, torch.arange(4).expand(50, 4))
    assert not torch.equal(state.rungs, kernel.start(50, generator).rungs)


def test_chains_start_where_they_are_put(machine):
    rbm = machine(4, 3, 1.0)
    kernel = ReplicaExchange(rbm, LADDER)
    position = rbm.position(rbm.start(6, as_generator(0)))
    state = kernel.init(position)
    assert torch.equal(kernel.position(state), position)
    assert len(state.inner.visible) == 24
    once = kernel.rejections(kernel.step(state, as_generator(0)))
    assert once.isnan().tolist() == [False, True, False]


def test_round_trips_are_counted(machine):
    """Without weights every swap is accepted: replicas go round like a belt."""
    found = parallel_tempering(
        machine(2, 2, 0.0), betas=np.linspace(0, 1, 5), draws=400, chains=3, warmup=0, generator=0
    )
    torch.testing.assert_close(found.swap_rates, torch.ones(4).double())
    assert found.barrier == pytest.approx(0, abs=1e-12)
    # A trip takes two sweeps per rung, and all five replicas are on their way at once.
    assert 3 * 400 / 2 - 3 * 5 <= found.round_trips <= 3 * 400 / 2
    assert found.round_trip_rate == pytest.approx(1000 * found.round_trips / 1200)


def test_two_modes_are_visited_by_weight(two_modes):
    """Chains are independent: Student's t over 64 of them at 1e-6, and two wrong samplers."""
    states, probs, _ = two_modes.law()
    exact = float(probs[states[:, :8].sum(1) > 4].sum())
    bound = t.isf(5e-7, 63)

    def deviation(samples: torch.Tensor) -> float:
        means = (samples[..., :8].sum(-1) > 4).double().mean(1)
        return float((means.mean() - exact).abs() / means.std() * 8)

    found = parallel_tempering(two_modes, draws=300, chains=64, generator=0)
    assert deviation(found.samples) < bound
    assert found.round_trips > 64
    # Gibbs sampling stays in the mode where it starts.
    kernel, generator = two_modes.at(1.0), as_generator(0)
    state = kernel.init(torch.zeros(64, 10))
    for _ in range(300):
        state = kernel.step(state, generator)
    assert (kernel.position(state)[:, :8].sum(1) < 4).all()
    # Swaps that are always accepted keep no law.
    flat = Held(two_modes, 0.0, moves=True)
    careless = parallel_tempering(
        flat, betas=found.betas, draws=300, chains=64, warmup=200, generator=0
    )
    assert deviation(careless.samples) > bound


def test_energies_are_those_of_the_samples(machine):
    rbm = machine(5, 4, 1.0)
    found = parallel_tempering(rbm, betas=5, draws=20, chains=3, thin=2, generator=0)
    assert found.samples.shape == (3, 20, 9)
    assert found.energy.shape == (3, 20)
    assert found.sweeps == 40
    flat = rbm.init(found.samples.reshape(-1, 9))
    torch.testing.assert_close(found.energy.reshape(-1), -rbm.log_density(flat, 1.0))


def test_the_reference_machine(reference):
    """Means of units over independent chains, Student's t at 1e-6 for all together."""
    rbm, _ = reference
    states, probs, _ = rbm.law()
    found = parallel_tempering(rbm, draws=200, chains=64, generator=1)
    means = found.samples.mean(1)
    apart = (means.mean(0) - probs @ states.double()).abs() / means.std(0) * 8
    assert float(apart.max()) < t.isf(5e-7 / 18, 63)


@pytest.mark.parametrize("betas", [None, 12])
def test_pairs_of_a_ladder_that_was_found_swap_equally_often(machine, betas):
    rbm = machine(12, 10, 1.2, seed=4)
    found = parallel_tempering(rbm, betas=betas, draws=500, chains=16, generator=0)
    assert float((found.swap_rates - found.swap_rates.mean()).abs().max()) < 0.05
    assert found.betas[0] == 0
    assert found.betas[-1] == 1
    if betas is None:
        assert 2 * found.barrier <= len(found.betas) <= 4 * found.barrier + 2
    else:
        assert len(found.betas) == 12
    # Equal steps in beta do not.
    even = parallel_tempering(
        rbm, betas=np.linspace(0, 1, len(found.betas)), draws=500, chains=16, generator=0
    )
    assert float((even.swap_rates - even.swap_rates.mean()).abs().max()) > 0.05


def test_respacing_makes_a_known_barrier_even():
    """Rejections that are straight in the square root of beta: known rungs."""
    betas = np.linspace(0, 1, 400)
    found = respaced(betas, 4 * np.diff(np.sqrt(betas)), 9)
    np.testing.assert_allclose(found, (np.arange(9) / 8) ** 2, atol=1e-3)
    assert respaced(np.array([0.0, 1.0]), np.zeros(1), 3).tolist() == [0.0, 0.5, 1.0]


def test_discrete_densities_with_hard_zeros(make, law):
    """Means of indicator variables by chain, Student's t at 1e-6 for all together."""
    density = make(6, zeros=0.15)
    states, probs = law(density)
    found = parallel_tempering(density, draws=200, chains=64, warmup=700, generator=2)
    assert found.samples.dtype == torch.int64
    assert bool(found.energy.isfinite().all())
    # The law at zero has states that the others have not: the ladder ends above it.
    assert 0 < found.betas[0] < 1e-5
    assert float((found.swap_rates - found.swap_rates.mean()).abs().max()) < 0.1
    for v in range(states.shape[1]):
        means = (found.samples[..., v] == 0).double().mean(1)
        exact = float(probs[states[:, v] == 0].sum())
        error = float(means.std()) / 8
        assert abs(float(means.mean()) - exact) <= t.isf(5e-7 / 5, 63) * error + 1e-12


def test_seeds_decide(machine):
    rbm = machine(4, 3, 1.0)
    runs = [parallel_tempering(rbm, betas=4, draws=10, warmup=28, generator=5) for _ in range(2)]
    assert torch.equal(runs[0].samples, runs[1].samples)


def test_temperatures_with_a_gradient_are_numbers(machine):
    rung = torch.tensor([0.0, 1.0], requires_grad=True)
    found = parallel_tempering(machine(2, 2, 1.0), betas=rung, draws=2, warmup=2, generator=0)
    assert found.betas.tolist() == [0.0, 1.0]


@dataclass(frozen=True, eq=False)
class Broken(Held):
    """A law whose log density is no number."""

    def log_density(self, state, beta):
        return self.law.log_density(state, beta) * math.nan


def test_log_densities_that_are_no_numbers_are_refused(machine):
    for betas in (None, np.array([0.0, 1.0])):
        with pytest.raises(ValueError, match="log_density"):
            parallel_tempering(Broken(machine(2, 2, 1.0)), betas=betas, draws=5, warmup=28)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"betas": np.array([1.0])}, "betas"),
        ({"betas": np.array([0.0, 0.5, 0.5])}, "betas"),
        ({"betas": np.array([-0.5, 1.0])}, "betas"),
        ({"betas": np.array([0.0, math.nan])}, "betas"),
        ({"betas": np.array([0.0, math.inf])}, "betas"),
        ({"betas": 1}, "betas"),
        ({"draws": 0}, "draws"),
        ({"chains": 0}, "chains"),
        ({"thin": 0}, "thin"),
        ({"warmup": 13}, "warmup"),
        ({"draws": 10**13, "betas": 2, "warmup": 14}, "draws"),
    ],
)
def test_bad_runs_are_refused(machine, arguments, message):
    with pytest.raises(ValueError, match=message):
        parallel_tempering(machine(4, 3, 1.0), generator=0, **arguments)
