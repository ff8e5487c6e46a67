"""Discrete sweeps that propose only other states, by their exact matrices."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from inference.exact.evidence import Evidence
from inference.random import as_generator
from inference.sampling.annealed_importance import annealed_importance_sampling
from inference.sampling.annealing import simulated_annealing
from inference.sampling.gibbs import ColoredGibbs, metropolised


def rule_of_liu(probs: np.ndarray, now: int) -> np.ndarray:
    """Propose another state by its share of what is left, accept by the rule of Metropolis."""
    row = np.zeros(len(probs))
    for new in range(len(probs)):
        if new != now and probs[new] > 0:
            proposal = probs[new] / (1 - probs[now])
            back = (1 - probs[now]) / (1 - probs[new]) if probs[new] < 1 else math.inf
            row[new] = proposal * min(1.0, back)
    row[now] = 1 - row.sum()
    return row


weights = st.lists(st.sampled_from([0.0, 0.1, 0.3, 1.0, 2.5]), min_size=1, max_size=5).filter(any)


@given(weights, st.data())
def test_probabilities_are_those_of_the_two_stages(weights, data):
    probs = np.array(weights) / np.sum(weights)
    now = data.draw(st.integers(0, len(probs) - 1))
    logits = torch.from_numpy(probs).log()[:, None]
    found = metropolised(logits, torch.tensor([now]))[:, 0]
    torch.testing.assert_close(found, torch.from_numpy(rule_of_liu(probs, now)))


@given(weights)
def test_no_change_is_less_likely_than_under_gibbs(weights):
    probs = torch.tensor(weights, dtype=torch.float64) / sum(weights)
    matrix = metropolised(probs.log()[:, None].expand(-1, len(probs)), torch.arange(len(probs))).T
    assert (matrix - probs + 2 * torch.eye(len(probs)) >= -1e-15).all()
    flow = probs[:, None] * matrix
    torch.testing.assert_close(flow, flow.T, rtol=0, atol=1e-15)


def test_small_probabilities_are_exact():
    """A state of all but 1e-30 of the probability is left with just that; differences cancel."""
    logits = torch.tensor([0.0, -70.0, -71.0]).double()[:, None]
    found = metropolised(logits, torch.tensor([0]))[:, 0]
    torch.testing.assert_close(found[1:], logits[1:, 0].exp(), rtol=1e-12, atol=0)
    away = metropolised(logits, torch.tensor([1]))[:, 0]
    torch.testing.assert_close(away[0], torch.tensor(1.0).double())


def sweep_matrix(density, states: Tensor, beta: float, rule=metropolised) -> Tensor:
    """The exact matrix of one sweep, from the probabilities that the sweep draws from."""
    n_states, n = states.shape
    total = torch.eye(n_states, dtype=torch.float64)
    for block in density.blocks:
        logits = density.conditionals(block, states.int(), beta)
        probs = rule(logits, states.T[block.variables])
        step = torch.ones(n_states, n_states, dtype=torch.float64)
        members = block.variables.tolist()
        for place, v in enumerate(members):
            step = step * probs[:, place].T[:, states[:, v]]
        rest = [v for v in range(n) if v not in members]
        total = total @ (step * (states[:, None, rest] == states[None, :, rest]).all(-1))
    return total


@pytest.mark.parametrize("zeros", [0.0, 0.25])
@pytest.mark.parametrize("beta", [0.0, 0.7, 1.0, 3.0])
def test_a_sweep_leaves_the_law_invariant(make, law, zeros, beta):
    for seed in range(5):
        density = make(seed, zeros)
        states, probs = law(density, beta)
        matrix = sweep_matrix(density, states, beta)
        assert (probs @ matrix - probs).abs().max() < 1e-12
        assert (matrix.sum(1) - 1).abs().max() < 1e-12


def without_acceptance(logits: Tensor, codes: Tensor) -> Tensor:
    """Every proposal of another state is accepted: a wrong rule."""
    others = logits.scatter(0, codes.long()[None], -torch.inf)
    return others.softmax(0)


def test_a_rule_without_acceptance_is_rejected(make, law):
    density = make(0)
    states, probs = law(density)
    matrix = sweep_matrix(density, states, 1.0, without_acceptance)
    assert (probs @ matrix - probs).abs().max() > 1e-3


def test_a_sweep_draws_from_its_probabilities(make, law):
    """All chains from one state, the next against the exact row; false alarms: one in 1e7."""
    from scipy.stats import chi2

    density = make(4)
    states, _ = law(density)
    start = states[17].expand(200_000, -1)
    kernel = ColoredGibbs(density, "metropolis").at(1.0)
    codes = kernel.step(kernel.init(start), as_generator(2)).codes.long()
    counts = torch.bincount(codes @ torch.tensor([36, 12, 6, 2, 1]), minlength=len(states))
    row = sweep_matrix(density, states, 1.0)[17]
    expected = len(codes) * row
    kept = expected > 5
    assert float(row[~kept].sum()) < 1e-3
    value = float(((counts - expected)[kept] ** 2 / expected[kept]).sum())
    assert value < chi2.isf(1e-7, int(kept.sum()))


def test_the_path_is_that_of_the_gibbs_sampler(make, law):
    density = make(1, evidence=Evidence({0: 1}))
    path, gibbs = ColoredGibbs(density, "metropolis"), ColoredGibbs(density)
    assert path.log_base == gibbs.log_base
    assert path.temperature_range() == gibbs.temperature_range()
    assert path.device == density.device
    state = path.start(50, as_generator(0))
    assert torch.equal(state.codes, gibbs.start(50, as_generator(0)).codes)
    assert torch.equal(path.log_density(state, 0.3), gibbs.log_density(state, 0.3))
    assert torch.equal(path.descend(state).codes, gibbs.descend(state).codes)
    first, second = path.step(state, 1.0, as_generator(1)), path.step(state, 1.0, as_generator(1))
    assert torch.equal(first.codes, second.codes)
    assert (first.codes[:, 0] == 1).all()


def test_annealing_and_importance_sampling_take_it(make, law):
    density = make(1)
    states, _ = law(density)
    logs = density.log_weight(states)
    path = ColoredGibbs(density, "metropolis")
    found = annealed_importance_sampling(path, betas=60, chains=2000, generator=0)
    exact = float(logs.logsumexp(0))
    assert abs(float(found) - exact) < 6 * found.standard_error  # false alarms: 2e-9
    best = simulated_annealing(path, sweeps=60, chains=16, generator=0)
    torch.testing.assert_close(-best.energy.min(), logs.max())
