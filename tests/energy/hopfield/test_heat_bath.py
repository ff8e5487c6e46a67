"""Recall by chance is Gibbs sampling: its transitions are those of the exact matrix."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.stats import chi2
from torch import Tensor

from energy.hopfield import fields as fields_module
from energy.hopfield.dynamics import Rule
from energy.hopfield.fields import Fields, heat_bath
from energy.hopfield_network import HopfieldNetwork

UNITS, BETA, DRAWS, FALSE_ALARM = 4, 0.7, 20_000, 1e-6


def network(hebbian: bool) -> HopfieldNetwork:
    """Four units with a diagonal and biases, as patterns or as a matrix."""
    patterns = [[1, -1, 1, 1], [1, 1, -1, 1], [-1, 1, 1, 1]]
    made = HopfieldNetwork(UNITS).store(patterns, zero_diagonal=False)
    made.bias.copy_(torch.tensor([0.1, -0.3, 0.0, 0.2]))
    if not hebbian:
        made.weights.mul_(1.3).diagonal().mul_(-2.0)
    return made


def exact_transitions(model: HopfieldNetwork, beta: float) -> np.ndarray:
    """Probabilities of a sweep in the order 0, 1, 2, 3, from every state to every state."""
    states = model.states().numpy()
    code = {tuple(state): k for k, state in enumerate(states)}
    weights, bias = model.weights.numpy(), model.bias.numpy()
    total = np.eye(len(states))
    for i in range(UNITS):
        step = np.zeros_like(total)
        for k, state in enumerate(states):
            field = weights[i] @ state + bias[i] - weights[i, i] * state[i]
            up = 1 / (1 + np.exp(-2 * beta * field))
            for spin, chance in ((1, up), (-1, 1 - up)):
                step[k, code[(*state[:i], spin, *state[i + 1 :])]] += chance
        total = total @ step
    return total


def wrong_own(fields: Fields, beta: float, cues: int, generator: torch.Generator) -> Rule:
    """Leaves a unit's own coupling in its field."""
    rule = heat_bath(fields, beta, cues, generator)
    return rule._replace(own=fields.uncounted)


def wrong_scale(fields: Fields, beta: float, cues: int, generator: torch.Generator) -> Rule:
    """Forgets that a spin changes by two."""
    return heat_bath(fields, beta / 2, cues, generator)


def surprise(model: HopfieldNetwork, draw, seed: int, monkeypatch) -> float:
    """P-value of the transitions of one sweep from every state, by chi-square."""
    monkeypatch.setattr(fields_module, "BLOCK", 3)
    monkeypatch.setattr("energy.hopfield_network.heat_bath", draw)
    states = model.states()
    cues = states.repeat_interleave(DRAWS, 0)
    found = model.recall(cues, max_sweeps=1, beta=BETA, order="sequential", generator=seed)
    ends = ((found.state > 0).long() * 2 ** torch.arange(UNITS)).sum(1)
    counts = np.zeros((len(states), len(states)))
    np.add.at(counts, (np.repeat(np.arange(len(states)), DRAWS), ends.numpy()), 1)
    expected = exact_transitions(model, BETA) * DRAWS
    assert expected.min() > 20
    statistic = ((counts - expected) ** 2 / expected).sum()
    return float(chi2.sf(statistic, len(states) * (len(states) - 1)))


@pytest.mark.parametrize("hebbian", [True, False])
def test_transitions_are_those_of_gibbs_sampling(hebbian: bool, monkeypatch) -> None:
    assert surprise(network(hebbian), heat_bath, 1, monkeypatch) > FALSE_ALARM


@pytest.mark.parametrize("hebbian", [True, False])
@pytest.mark.parametrize("wrong", [wrong_own, wrong_scale])
def test_wrong_laws_are_rejected(hebbian: bool, wrong, monkeypatch) -> None:
    assert surprise(network(hebbian), wrong, 1, monkeypatch) < FALSE_ALARM


@pytest.mark.parametrize("hebbian", [True, False])
def test_the_exact_matrix_leaves_the_law_invariant(hebbian: bool) -> None:
    model = network(hebbian)
    law = (-BETA * model.energy(model.states())).softmax(0).numpy()
    assert np.abs(law @ exact_transitions(model, BETA) - law).max() < 1e-15


@pytest.mark.parametrize("hebbian", [True, False])
def test_blocks_equal_single_units_for_the_same_thresholds(hebbian: bool, monkeypatch) -> None:
    model = network(hebbian)
    cues = model.states().repeat(20, 1)
    ends: list[Tensor] = []
    for block in (1, 4):
        monkeypatch.setattr(fields_module, "BLOCK", block)
        ends.append(model.recall(cues, max_sweeps=3, beta=BETA, generator=0).state)
    assert torch.equal(*ends)


def test_hot_units_are_fair_and_cold_ones_follow_their_fields() -> None:
    model = HopfieldNetwork(50).store([1] * 50)
    cues = torch.ones(2000, 50)
    hot = model.recall(cues, max_sweeps=1, beta=0.0, generator=0).state
    # 100,000 fair spins: six standard deviations are exceeded once in 5e8.
    assert abs(hot.mean().item()) < 6 / 100_000**0.5
    cold = model.recall(cues, max_sweeps=1, beta=1e6, generator=0).state
    assert torch.equal(cold, model.recall(cues).state)


@pytest.mark.parametrize("update", ["asynchronous", "synchronous"])
def test_all_sweeps_are_made_and_nothing_is_called_converged(update) -> None:
    model = HopfieldNetwork(5).store([1, 1, 1, -1, -1])
    found = model.recall([[1, 1, 1, -1, -1]] * 3, update, 4, beta=0.5, generator=0)
    assert found.sweeps.tolist() == [4, 4, 4] and found.cycle.tolist() == [0, 0, 0]
    assert not found.converged.any() and found.energy.shape == (5, 3)
    assert torch.allclose(found.energy[-1], model.energy(found.state), atol=1e-14)


def test_synchronous_transitions_are_independent_draws() -> None:
    model = network(True)
    cue = torch.tensor([1.0, -1.0, -1.0, 1.0]).double()
    cues = cue.expand(DRAWS, -1)
    found = model.recall(cues, "synchronous", 1, beta=BETA, generator=0).state
    field = model.weights @ cue + model.bias - model.weights.diagonal() * cue
    up = torch.sigmoid(2 * BETA * field).numpy()
    states = np.array(list(itertools.product([-1, 1], repeat=UNITS)))
    expected = np.where(states > 0, up, 1 - up).prod(1) * DRAWS
    counts = np.array([(found.numpy() == s).all(1).sum() for s in states])
    statistic = ((counts - expected) ** 2 / expected).sum()
    assert chi2.sf(statistic, len(states) - 1) > FALSE_ALARM
