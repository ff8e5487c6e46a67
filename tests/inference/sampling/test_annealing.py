"""Annealing, conditional modes and importance sampling against enumeration."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from inference.exact.evidence import Evidence
from inference.exact.factor import Factor
from inference.exact.graph import FactorGraph
from inference.sampling.annealed_importance import annealed_importance_sampling
from inference.sampling.annealing import simulated_annealing
from inference.sampling.conditional_modes import iterated_conditional_modes
from inference.sampling.density import DiscreteDensity
from inference.sampling.factor_arrays import FactorArrays
from inference.sampling.gibbs import ColoredGibbs
from inference.sampling.schedules import geometric_schedule, linear_schedule


def glass(n: int, seed: int) -> DiscreteDensity:
    """A dense glass of n spins."""
    rng = np.random.default_rng(seed)
    pairs = np.array([[i, j] for i in range(n) for j in range(i + 1, n)])
    arrays = FactorArrays([2] * n, [pairs], [np.arange(len(pairs)) * 4])
    couplings = rng.normal(size=len(pairs))
    logs = (couplings[:, None] * [1.0, -1.0, -1.0, 1.0]).reshape(-1)
    return DiscreteDensity(arrays, torch.from_numpy(logs))


def test_annealing_finds_the_ground_states_of_glasses(law):
    for seed in range(3):
        density = glass(10, seed)
        states, _ = law(density)
        best = density.log_weight(states).max()
        found = simulated_annealing(density, sweeps=60, chains=16, generator=seed)
        torch.testing.assert_close(-found.energy.min(), best)
        torch.testing.assert_close(density.log_weight(found.best[None])[0], best)


def test_annealed_states_are_conditional_modes_and_energies_theirs(make, law):
    density = make(3, zeros=0.2)
    found = simulated_annealing(density, sweeps=20, chains=50, generator=0)
    torch.testing.assert_close(found.energy, -density.log_weight(found.state))
    assert found.state.dtype == torch.int64
    for v, card in enumerate(density.arrays.cards.tolist()):
        for code in range(card):
            other = found.state.clone()
            other[:, v] = code
            assert (density.log_weight(other) <= density.log_weight(found.state) + 1e-12).all()


def test_evidence_is_kept(make):
    density = make(3, evidence=Evidence({1: 2}))
    assert (simulated_annealing(density, sweeps=5, chains=4, generator=0).state[:, 1] == 2).all()


def test_conditional_modes_never_lose(make):
    density = make(4, scale=2.0)
    start = density.uniform(200, torch.Generator().manual_seed(0))
    weights = density.log_weight(start)
    for sweeps in (1, 2, 50):
        now = density.log_weight(iterated_conditional_modes(density, start, sweeps))
        assert (now >= weights - 1e-12).all()
        weights = now
    end = iterated_conditional_modes(density, start)
    assert torch.equal(iterated_conditional_modes(density, end), end)


def test_ties_keep_their_state():
    arrays = FactorArrays([3], [[[0]]], [[0]])
    density = DiscreteDensity(arrays, torch.tensor([1.0, 1.0, 0.0]).double())
    start = torch.tensor([[0], [1], [2]])
    assert iterated_conditional_modes(density, start).tolist() == [[0], [1], [0]]


def test_the_default_range_follows_the_couplings():
    density = glass(12, 0)
    hot, cold = ColoredGibbs(density).temperature_range()
    twice = ColoredGibbs(density.with_logs(2 * density.logs)).temperature_range()
    np.testing.assert_allclose(twice, [hot / 2, cold / 2])
    assert 0 < hot < cold
    flat = density.with_logs(torch.zeros_like(density.logs))
    assert ColoredGibbs(flat).temperature_range() == (1.0, 1.0)


def test_the_best_state_and_its_energy():
    density = glass(10, 3)
    found = simulated_annealing(density, sweeps=30, chains=8, generator=0)
    assert found.best_energy == float(found.energy.min())
    weight = float(density.log_weight(found.best[None])[0])
    assert found.best_energy == pytest.approx(-weight)


def test_the_default_ends_in_a_quench(monkeypatch):
    betas = []
    step = ColoredGibbs.step

    def watched(self, state, beta, generator):
        betas.append(beta)
        return step(self, state, beta, generator)

    monkeypatch.setattr(ColoredGibbs, "step", watched)
    simulated_annealing(glass(6, 0), sweeps=200, chains=2, generator=0)
    assert len(betas) == 200
    assert betas[-2:] == [math.inf, math.inf]
    hot, cold = ColoredGibbs(glass(6, 0)).temperature_range()
    np.testing.assert_allclose(betas[:-2], geometric_schedule(hot, cold, 198))


@pytest.mark.parametrize(
    "schedule",
    [
        [0.1, 1.0, math.inf],
        torch.tensor([0.1, 1.0, 4.0]),
        torch.tensor([0.1, 1.0, 4.0], requires_grad=True),
        linear_schedule(0.0, 3.0, 10),
    ],
)
def test_any_list_of_temperatures_is_a_schedule(schedule):
    found = simulated_annealing(glass(6, 1), schedule=schedule, chains=3, generator=0)
    assert bool(found.energy.isfinite().all())


def test_a_schedule_of_ones_own_is_followed():
    graph = FactorGraph({"a": 2}, [Factor(["a"], [0.0, 1.0])])
    found = simulated_annealing(graph, schedule=np.array([0.1, 1.0]), chains=3, generator=0)
    assert found.best.tolist() == [1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"schedule": np.zeros(0)}, "schedule"),
        ({"schedule": np.array([1.0, -1.0])}, "schedule"),
        ({"schedule": np.array([1.0, math.nan])}, "schedule"),
        ({"sweeps": 0}, "sweeps"),
        ({"chains": 0}, "chains"),
    ],
)
def test_bad_searches_are_refused(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        simulated_annealing(make(), **arguments)
    with pytest.raises(ValueError, match="hot"):
        geometric_schedule(2.0, 1.0, 5)


@pytest.mark.parametrize("zeros", [0.0, 0.15])
def test_importance_sampling_agrees_with_enumeration(make, law, zeros):
    """Six standard errors each: false alarms 2e-9 per estimate."""
    for seed in (1, 2):
        density = make(seed, zeros)
        states, _ = law(density)
        exact = float(density.log_weight(states).logsumexp(0))
        found = annealed_importance_sampling(density, betas=60, chains=2000, generator=seed)
        assert abs(float(found) - exact) < 6 * found.standard_error + 1e-9
        low, high = found.interval
        assert low < found.value < high
        assert 0 < found.effective_sample_size <= found.chains * (1 + 1e-9)


def test_weights_without_sweeps_average_to_the_sum(law):
    """One step from the uniform law is plain importance sampling, whatever the kernel does."""
    density = glass(6, 1)
    states, _ = law(density)
    exact = float(density.log_weight(states).logsumexp(0))
    found = annealed_importance_sampling(density, betas=1, chains=200_000, generator=0)
    ratios_error = 6 * 0.05  # the weights' variation is below ten: six errors of ten / sqrt(n)
    assert abs(float(found) - exact) < ratios_error


def test_betas_may_end_elsewhere(make, law):
    density = make(1)
    states, _ = law(density)
    exact = float((0.5 * density.log_weight(states)).logsumexp(0))
    path = np.linspace(0, 0.5, 40)
    found = annealed_importance_sampling(density, betas=path, chains=2000, generator=0)
    assert abs(float(found) - exact) < 6 * found.standard_error


def test_evidence_restricts_the_sum(make, law):
    density = make(1, evidence=Evidence({0: 1}))
    states, _ = law(density)
    exact = float(density.log_weight(states).logsumexp(0))
    found = annealed_importance_sampling(density, betas=60, chains=2000, generator=0)
    assert abs(float(found) - exact) < 6 * found.standard_error


def test_an_untrusted_error_is_withheld(make):
    density = glass(14, 0)
    cold = density.with_logs(8 * density.logs)
    assert math.isnan(annealed_importance_sampling(cold, betas=1, generator=0).standard_error)


def test_bad_paths_are_refused(make):
    for betas in (np.array([0.1, 1.0]), np.array([0.0, 1.0, 0.5]), 0):
        with pytest.raises(ValueError, match="betas"):
            annealed_importance_sampling(make(), betas=betas)
    with pytest.raises(ValueError, match="chains"):
        annealed_importance_sampling(make(), chains=1)
    nothing = FactorArrays([2], [[[0]]], [[0]])
    with pytest.raises(ValueError, match="possible"):
        annealed_importance_sampling(DiscreteDensity(nothing, torch.full((2,), -torch.inf)))
