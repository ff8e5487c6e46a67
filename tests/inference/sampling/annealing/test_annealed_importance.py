"""Annealed importance sampling and sequential Monte Carlo against enumeration."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.stats import binom

from inference.exact.factor import Factor
from inference.exact.graph import FactorGraph
from inference.random import as_generator, categorical
from inference.sampling.adaptive_schedule import adaptive_schedule
from inference.sampling.annealed_importance import annealed_importance_sampling
from inference.sampling.annealed_path import follow
from inference.sampling.density import DiscreteDensity
from inference.sampling.gibbs import ColoredGibbs
from inference.sampling.kernel import TemperedLaw
from inference.sampling.log_partition_estimate import LogPartition, bracket
from inference.sampling.resampling import Resampling
from inference.sampling.sequential_monte_carlo import sequential_monte_carlo


def within(found: LogPartition, exact: float) -> bool:
    """Six standard errors: false alarms 2e-9 by the normal law."""
    return abs(float(found) - exact) < 6 * found.standard_error


def exact_starts(rbm, chains: int, seed: int = 0) -> torch.Tensor:
    """Draws of the joint law, from its table."""
    states, probs, _ = rbm.law()
    return states[categorical(probs.log(), chains, generator=seed)]


def test_the_reference_machine(reference):
    rbm, exact = reference
    found = annealed_importance_sampling(rbm, generator=0)
    assert found.reliable
    assert within(found, exact)
    assert within(sequential_monte_carlo(rbm, generator=0).log_partition, exact)
    reverse = annealed_importance_sampling(rbm, reverse=True, generator=0)
    assert within(reverse, exact)


@pytest.mark.parametrize("summed", [False, True])
@pytest.mark.parametrize("resample", [None, "systematic", "stratified", "multinomial", "residual"])
def test_both_densities_of_a_machine_have_one_log_partition(machine, summed, resample):
    rbm = machine(6, 4, 1.0, seed=1, summed=summed)
    exact = rbm.log_partition()
    found = annealed_importance_sampling(
        rbm, betas=40, chains=1600, resample=resample, generator=1
    )
    assert within(found, exact)
    assert found.units == (1600 if resample is None else 16)


@pytest.mark.parametrize("resample", [None, "systematic"])
def test_weights_are_unbiased_whatever_the_path(machine, resample):
    """Few and coarse steps: the mean weight of many islands, six standard errors."""
    rbm = machine(5, 3, 1.0, seed=2)
    resampling = None if resample is None else Resampling(resample, 4000, 0.9)
    path = np.array([0.0, 0.5, 1.0])
    state = rbm.start(32_000, as_generator(0))
    logs, _ = follow(rbm, state, path, as_generator(1), resampling=resampling)
    ratios = (logs + rbm.log_base - rbm.log_partition()).exp().view(4000, 8).mean(1)
    error = float(ratios.std()) / math.sqrt(4000)
    assert abs(float(ratios.mean()) - 1) < 6 * error
    # Weights that are taken after the move instead of before it are found out.
    state, wrong = rbm.start(32_000, as_generator(0)), torch.zeros(32_000).double()
    for before, after in ((0.0, 0.5), (0.5, 1.0)):
        state = rbm.step(state, after, as_generator(2))
        wrong += rbm.log_ratio(state, before, after)
    biased = (wrong + rbm.log_base - rbm.log_partition()).exp()
    assert abs(float(biased.mean()) - 1) > 6 * float(biased.std()) / math.sqrt(32_000)


@pytest.mark.parametrize(("runs", "islands"), [(400, None), (400, 16)])
def test_intervals_cover(machine, runs, islands):
    """Many runs as one batch: chains of different runs are independent.

    A number of hits as unlikely as 1e-6 under 95 % is refused, and is what half the width gives.
    """
    rbm = machine(6, 4, 0.8, seed=3)
    chains = 64 if islands is None else 8 * islands
    resampling = None if islands is None else Resampling("systematic", runs * islands)
    path = np.linspace(0, 1, 13)
    state = rbm.start(runs * chains, as_generator(4))
    logs, _ = follow(rbm, state, path, as_generator(5), resampling=resampling)
    estimates = [LogPartition(row, islands) for row in (logs + rbm.log_base).view(runs, -1)]
    exact = rbm.log_partition()
    told = [found for found in estimates if found.reliable]
    assert len(told) > 0.95 * runs
    misses = np.array([abs(f.value - exact) / (f.interval[1] - f.value) for f in told])
    assert binom.cdf((misses < 1).sum(), len(told), 0.95) > 1e-6
    assert binom.cdf((misses < 0.5).sum(), len(told), 0.95) < 1e-6


@pytest.mark.slow
def test_intervals_of_whole_runs_cover(machine):
    """Pilot and run, 300 times, with and without resampling; bounds as above."""
    rbm = machine(8, 4, 1.0, seed=6)
    exact = rbm.log_partition()
    for resample in (None, "systematic"):
        hits = 0
        for seed in range(300):
            found = annealed_importance_sampling(
                rbm, chains=128, resample=resample, generator=seed
            )
            low, high = found.interval
            hits += low < exact < high
        assert binom.cdf(hits, 300, 0.95) > 1e-6


def test_both_directions_bracket_log_z(machine):
    """Mean log weights on either side by six errors of their own, from exact starts."""
    rbm = machine(6, 4, 1.0, seed=7)
    exact, starts = rbm.log_partition(), exact_starts(rbm, 8000)
    forward = annealed_importance_sampling(rbm, betas=8, chains=8000, generator=1)
    reverse = annealed_importance_sampling(rbm, betas=8, reverse=True, starts=starts, generator=2)
    low, high = bracket(forward, reverse)
    for run, sign in ((forward, 1), (reverse, -1)):
        error = float(run.log_weights.std()) / math.sqrt(run.chains)
        assert sign * (exact - run.mean_log_weight) > 6 * error
        assert within(run, exact)
    assert low < exact < high
    # Starts that are not draws of the law lose the upper side.
    wrong = annealed_importance_sampling(
        rbm,
        betas=8,
        reverse=True,
        starts=rbm.position(rbm.start(8000, as_generator(0))),
        generator=2,
    )
    assert wrong.mean_log_weight < exact


def test_hard_zeros_count(make, law):
    density = make(5, zeros=0.15)
    states, _ = law(density)
    exact = float(density.log_weight(states).logsumexp(0))
    found = annealed_importance_sampling(density, chains=2000, generator=0)
    assert bool((found.log_weights == -math.inf).any())
    assert within(found, exact)
    assert within(sequential_monte_carlo(density, chains=2048, generator=0).log_partition, exact)
    with pytest.raises(ValueError, match="hard zeros"):
        annealed_importance_sampling(density, reverse=True, generator=0)


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
def test_particles_are_draws_of_the_law(machine, threshold):
    """Means of 200 independent runs, six standard errors each: false alarms 2e-8 for ten."""
    rbm = machine(6, 4, 1.0, seed=8)
    states, probs, _ = rbm.law()

    def deviations(betas: np.ndarray) -> torch.Tensor:
        means = []
        for seed in range(200):
            found = sequential_monte_carlo(
                rbm, betas=betas, chains=128, islands=2, threshold=threshold, generator=seed
            )
            means.append(found.samples.mean(0))
        error = torch.stack(means).std(0) / math.sqrt(len(means))
        return (torch.stack(means).mean(0) - probs @ states.double()).abs() / error

    assert (deviations(np.linspace(0, 1, 9)) < 6).all()
    # Draws of the law at half of the inverse temperature are found out.
    assert (deviations(np.linspace(0, 0.5, 5)) > 6).any()


def test_a_pilot_puts_temperatures_where_the_law_changes(machine):
    rbm = machine(8, 4, 2.0, seed=9)
    path = adaptive_schedule(rbm, as_generator(0), chains=2000, refine=1)
    assert path[0] == 0
    assert path[-1] == 1
    assert (np.diff(path) > 0).all()
    # The steps are even in the information that they bridge: var(w) d^2 is about 0.01.
    states, _, _ = rbm.law()
    weights = rbm.log_density(rbm.init(states), 1.0)
    for before, after in itertools.pairwise(path[:-1]):
        probs = (before * weights).softmax(0)
        variance = float(probs @ weights**2 - (probs @ weights) ** 2)
        assert 0.005 < variance * (after - before) ** 2 < 0.015
    fine = adaptive_schedule(rbm, as_generator(0), chains=2000, refine=4)
    np.testing.assert_allclose(fine[::4], path)
    flat = machine(2, 2, 0.0)
    assert adaptive_schedule(flat, as_generator(0), refine=1).tolist() == [0.0, 1.0]


def test_few_chains_do_not_hide_hard_zeros():
    """A tenth of the states; eight draws of the base often meet none. Misses: 0.9^1024."""
    graph = FactorGraph({"a": 10}, [Factor(["a"], 9 * [0.0] + [-math.inf])])
    for seed in range(20):
        with pytest.raises(ValueError, match="hard zeros"):
            annealed_importance_sampling(graph, betas=3, chains=8, reverse=True, generator=seed)


def test_seeds_and_devices(machine):
    rbm = machine(4, 3, 1.0)
    runs = [annealed_importance_sampling(rbm, chains=16, generator=3) for _ in range(2)]
    assert torch.equal(runs[0].log_weights, runs[1].log_weights)
    assert runs[0].log_weights.dtype == torch.float64


class Broken(ColoredGibbs):
    """A law whose log density is no number once it is not flat."""

    def log_density(self, state, beta):
        return super().log_density(state, beta) + (math.nan if beta else 0.0)

    def log_ratio(self, state, before, after):
        return TemperedLaw.log_ratio(self, state, before, after)


@pytest.mark.parametrize("betas", [None, 5])
@pytest.mark.parametrize("run", [annealed_importance_sampling, sequential_monte_carlo])
def test_log_densities_that_are_no_numbers_are_refused(make, run, betas):
    with pytest.raises(ValueError, match="log_density"):
        run(Broken(make(0)), betas=betas, generator=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"betas": np.array([0.0])}, "betas"),
        ({"betas": np.array([0.0, math.nan, 1.0])}, "betas"),
        ({"betas": np.array([0.0, 1.0, math.inf])}, "betas"),
        ({"betas": np.array([-1.0, 0.0, 1.0])}, "betas"),
        ({"betas": np.array([0.0, 0.5, 0.5])}, "betas"),
        ({"betas": 0}, "betas"),
        ({"chains": 1}, "chains"),
        ({"resample": "systematic", "islands": 7}, "islands"),
        ({"resample": "best"}, "scheme"),
        ({"starts": torch.zeros(4, 7)}, "reverse"),
    ],
)
def test_bad_runs_are_refused(machine, arguments, message):
    with pytest.raises(ValueError, match=message):
        annealed_importance_sampling(machine(4, 3, 1.0), generator=0, **arguments)


@pytest.mark.parametrize("evenness", [0.0, 1.0, 2.0, -1.0, math.nan])
def test_an_evenness_that_is_no_share_is_refused(machine, evenness):
    with pytest.raises(ValueError, match="evenness must be"):
        adaptive_schedule(machine(2, 2, 1.0), 0, evenness=evenness)


def test_a_pilot_draws_from_its_generator_alone():
    """A seed is a generator, none is fresh entropy, and a model is its path of laws."""
    graph = FactorGraph({"a": 2}, [Factor(["a"], [0.0, 3.0])])
    law = ColoredGibbs(DiscreteDensity.from_graph(graph))
    seeded = [
        adaptive_schedule(model, seed) for model in (graph, law) for seed in (5, as_generator(5))
    ]
    for path in seeded[1:]:
        np.testing.assert_array_equal(path, seeded[0])
    before = torch.random.get_rng_state()
    adaptive_schedule(graph)
    assert torch.equal(torch.random.get_rng_state(), before)
    with pytest.raises(TypeError, match="model must be"):
        adaptive_schedule(3, 0)


def test_temperatures_with_a_gradient_are_numbers(machine):
    rbm = machine(3, 2, 1.0)
    betas = torch.linspace(0, 1, 5, dtype=torch.float64)
    runs = [
        annealed_importance_sampling(rbm, betas=path, chains=8, generator=0)
        for path in (betas, betas.clone().requires_grad_())
    ]
    assert torch.equal(runs[0].log_weights, runs[1].log_weights)


def test_starts_are_arrays_or_tensors(machine):
    rbm = machine(3, 2, 1.0)
    starts = exact_starts(rbm, 8)
    runs = [
        annealed_importance_sampling(rbm, betas=4, reverse=True, starts=given, generator=0)
        for given in (starts, starts.numpy(), starts.tolist())
    ]
    assert torch.equal(runs[1].log_weights, runs[0].log_weights)
    assert torch.equal(runs[2].log_weights, runs[0].log_weights)
