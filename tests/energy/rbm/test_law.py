"""The law of the visible layer: enumeration, exact starts, paths, tempering."""

from __future__ import annotations

import math

import pytest
import torch

from inference.exact.enumerate import enumerate_states
from inference.sampling.annealed_importance import annealed_importance_sampling
from inference.sampling.tempering import parallel_tempering


def rejected(law, log_weights, states, beta, wrong_beta=None, per_chain=False) -> bool:
    """Chi-square after one step from exact draws; false alarms 1e-7."""
    from scipy.stats import chi2

    n = 200_000
    probs = log_weights.softmax(0)
    generator = torch.Generator().manual_seed(2)
    start = law.init(states[torch.multinomial(probs, n, True, generator=generator)])
    used = beta if wrong_beta is None else wrong_beta
    used = torch.full((n,), used, dtype=torch.float64) if per_chain else used
    now = law.position(law.step(start, used, generator)).long()
    digits = 2 ** torch.arange(states.shape[1] - 1, -1, -1)
    counts = torch.bincount(now @ digits, minlength=len(states))
    value = ((counts - n * probs) ** 2 / (n * probs)).sum()
    return bool(value > chi2.isf(1e-7, len(states) - 1))


@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("beta", [0.4, 1.0])
@pytest.mark.parametrize("per_chain", [False, True])
def test_one_step_from_exact_draws(machine, hidden, beta, per_chain):
    made = machine(hidden=hidden, scale=0.8)
    base = torch.linspace(-1, 1, 4, dtype=torch.float64)
    law = made.tempered_law(base=base)
    states = enumerate_states([2] * 4).double()
    logs = law.log_density(law.init(states), beta)
    assert not rejected(law, logs, states, beta, per_chain=per_chain)
    assert rejected(law, logs, states, beta, 1.15 * beta, per_chain)


def test_densities_sum_out_the_hidden_layer(machine):
    made = machine()
    v, h = enumerate_states([2] * 4).double(), enumerate_states([2] * 3).double()
    joint = -made.energy(v[:, None].expand(-1, 8, -1), h.expand(16, -1, -1))
    law = made.tempered_law()
    torch.testing.assert_close(law.log_density(law.init(v), 1.0), joint.logsumexp(1))
    half = (0.5 * joint).logsumexp(1)
    torch.testing.assert_close(law.log_density(law.init(v), 0.5), half)
    assert law.log_base == pytest.approx(7 * math.log(2))


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_annealing_sums_to_the_exact_value(machine, visible):
    """Six standard errors: a false alarm in 5e8 each."""
    made = machine(6, 4, visible, scale=0.6)
    exact = float(made.log_partition())
    for base in (None, 0.5 * made.visible_bias.data):
        found = annealed_importance_sampling(made.tempered_law(base=base), generator=0)
        assert abs(float(found) - exact) < 6 * found.standard_error
        back = annealed_importance_sampling(
            made.tempered_law(base=base), reverse=True, generator=1
        )
        assert abs(float(back) - exact) < 6 * back.standard_error + 0.05


def test_replicas_cross_between_modes():
    """Two patterns and nothing between: half of the draws each, which Gibbs alone never sees."""
    from energy.restricted_boltzmann_machine import RestrictedBoltzmannMachine

    made = RestrictedBoltzmannMachine(8, 1)
    with torch.no_grad():
        made.weights.fill_(6.0)
        made.visible_bias.fill_(-3.0)
        made.hidden_bias.fill_(-24.0)
    found = parallel_tempering(made, draws=400, generator=0)
    share = (found.samples.mean(-1) > 0.5).double().mean()
    assert 0.3 < float(share) < 0.7
    assert found.round_trips > 50


def test_bad_positions_are_refused(machine):
    law = machine().tempered_law()
    with pytest.raises(ValueError, match="position must be"):
        law.init(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="0 and 1"):
        law.init(torch.full((2, 4), -1.0))


@pytest.mark.parametrize(
    ("visible", "hidden"),
    [("bernoulli", "rectified"), ("gaussian", "bernoulli"), ("bernoulli", "gaussian")],
)
def test_ratios_are_differences_of_log_densities(machine, visible, hidden):
    """For one inverse temperature, and for one of every chain."""
    law = machine(5, 4, visible, hidden).tempered_law(base=torch.linspace(-1, 1, 5).double())
    state = law.start(6, torch.Generator().manual_seed(0))
    pairs = [(0.2, 0.7), (torch.linspace(0, 0.5, 6).double(), torch.linspace(0.4, 1, 6).double())]
    for before, after in pairs:
        expected = law.log_density(state, after) - law.log_density(state, before)
        torch.testing.assert_close(law.log_ratio(state, before, after), expected)
