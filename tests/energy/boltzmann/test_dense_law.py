"""The law of dense graphs: one unit at a time, exact starts, paths, searches."""

from __future__ import annotations

import math

import pytest
import torch

from energy.boltzmann import dense_law
from energy.boltzmann.dense_law import DenseLaw
from inference.exact.enumerate import enumerate_states
from inference.sampling.annealed_importance import annealed_importance_sampling
from inference.sampling.annealing import simulated_annealing


def rejected(law, states, logs, beta, move=None) -> bool:
    """Chi-square after one step from exact draws; false alarms 1e-7."""
    from scipy.stats import chi2

    n = 200_000
    probs = logs.softmax(0)
    generator = torch.Generator().manual_seed(2)
    start = law.init(states[torch.multinomial(probs, n, True, generator=generator)])
    betas = torch.full((n,), beta, dtype=torch.float64)
    if move is None:
        now = law.step(start, betas, generator).units
        assert bool((law.step(start, betas, generator).units != start.units).any())
    else:
        now = move(law, start.units, beta, generator)
    digits = 2 ** torch.arange(states.shape[1] - 1, -1, -1)
    counts = torch.bincount(now.long() @ digits, minlength=len(states))
    value = ((counts - n * probs) ** 2 / (n * probs)).sum()
    return bool(value > chi2.isf(1e-7, len(states) - 1))


def all_at_once(law, units, beta, generator):
    """Wrong: every unit sees the others as they were."""
    logits = beta * (units @ law.weights + law.biases)
    if law.base is not None:
        logits = logits + (1 - beta) * law.base
    return (torch.rand(units.shape, generator=generator) < logits.sigmoid()).to(units)


@pytest.fixture
def law(boltzmann):
    weights, bias = (part.data for part in (boltzmann(5).weights, boltzmann(5).bias))
    return DenseLaw(weights, bias)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("rule", ["heat-bath", "metropolis"])
@pytest.mark.parametrize("based", [False, True])
def test_one_step_from_exact_draws(law, beta, rule, based):
    base = torch.linspace(-1, 1, 5, dtype=torch.float64) if based else None
    law = DenseLaw(law.weights, law.biases, base, rule)
    states = enumerate_states([2] * 5).double()
    logs = law.log_density(law.init(states), beta)
    assert not rejected(law, states, logs, beta)


def test_wrong_moves_are_rejected(law):
    states = enumerate_states([2] * 5).double()
    logs = law.log_density(law.init(states), 1.0)
    assert rejected(law, states, logs, 1.0, all_at_once)
    assert rejected(law, states, logs, 0.85)


@pytest.mark.parametrize("rule", ["heat-bath", "metropolis"])
def test_blocks_equal_one_unit_at_a_time(boltzmann, rule, monkeypatch):
    """To the bit: weights are multiples of 1/8, so that no sum is rounded."""
    monkeypatch.setattr(dense_law, "BLOCK", 7)
    made = boltzmann(30, scale=1.5)
    weights, bias = (made.weights.data * 8).round() / 8, (made.bias.data * 8).round() / 8
    law = DenseLaw(weights, bias, rule=rule)
    state = law.start(50, torch.Generator().manual_seed(0))
    found = law.step(state, 0.8, torch.Generator().manual_seed(1)).units
    bars = law._bars(state.units.T, 0.8, torch.Generator().manual_seed(1))
    x = state.units.clone()
    for i in range(30):
        x[:, i] = (x @ weights[i] + bias[i] > bars[i]).double()
    assert torch.equal(found, x)
    assert not torch.equal(found, state.units)


def test_conditional_law_of_a_unit(law):
    """The last unit of a sweep follows its conditional law: 6 standard errors, 2e-9."""
    n = 200_000
    generator = torch.Generator().manual_seed(0)
    held = torch.tensor([True, True, True, True, False])
    state = law.init(torch.tensor([[1.0, 0.0, 1.0, 1.0, 0.0]]).repeat(n, 1))
    units = law.run(state, [1.0], generator, held).units
    assert torch.equal(units[:, :4], state.units[:, :4])
    prob = float((units[0] @ law.weights[4] + law.biases[4]).sigmoid())
    assert abs(float(units[:, 4].mean()) - prob) < 6 * math.sqrt(prob * (1 - prob) / n)


def test_log_ratio_is_the_difference_of_log_densities(law):
    law = DenseLaw(law.weights, law.biases, torch.linspace(-1, 1, 5).double())
    state = law.start(8, torch.Generator().manual_seed(0))
    before, after = torch.linspace(0, 0.5, 8).double(), torch.linspace(0.2, 1, 8).double()
    expected = law.log_density(state, after) - law.log_density(state, before)
    torch.testing.assert_close(law.log_ratio(state, before, after), expected)
    weight = (state.units * (0.5 * state.units @ law.weights + law.biases)).sum(1)
    torch.testing.assert_close(law.log_density(state, 1.0), weight)


@pytest.mark.parametrize("based", [False, True])
def test_annealing_sums_to_the_exact_value(law, based):
    """Six standard errors: a false alarm in 5e8."""
    base = torch.linspace(-0.5, 0.5, 5, dtype=torch.float64) if based else None
    law = DenseLaw(law.weights, law.biases, base)
    states = law.init(enumerate_states([2] * 5).double())
    exact = float(law.log_density(states, 1.0).logsumexp(0))
    at_zero = float(law.log_density(states, 0.0).logsumexp(0))
    assert law.log_base == pytest.approx(at_zero)
    found = annealed_importance_sampling(law, generator=0, progress=False)
    assert abs(float(found) - exact) < 6 * found.standard_error


def test_searches_end_where_no_change_gains(boltzmann):
    made = boltzmann(40)
    law = DenseLaw(made.weights.data, made.bias.data, rule="metropolis")
    hot, cold = law.temperature_range()
    assert 0 < hot < cold < math.inf
    found = simulated_annealing(law, sweeps=200, chains=8, generator=0, progress=False)
    x = found.state
    gains = (x @ law.weights + law.biases) * (1 - 2 * x)
    assert float(gains.max()) <= 0
    start = law.start(8, torch.Generator().manual_seed(0))
    down = law.descend(start)
    assert bool((law.log_weight(down) > law.log_weight(start)).all())
    assert float(found.energy.min()) <= float(-law.log_weight(down).max())


def test_units_without_a_field_stay():
    law = DenseLaw(torch.zeros(3, 3), torch.zeros(3))
    x = torch.tensor([[1.0, 0.0, 1.0]])
    assert torch.equal(law.descend(law.init(x)).units, x)
    cold = law.step(law.init(x), math.inf, torch.Generator().manual_seed(0)).units
    assert bool(cold.isfinite().all())


def test_bad_positions_are_refused(law):
    with pytest.raises(ValueError, match="position must be"):
        law.init(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="0 and 1"):
        law.init(torch.full((2, 5), -1.0))
