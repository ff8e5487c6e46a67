"""Sweeps of binary units: exact transition matrices, exact starts, temperatures, searches."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.sampling.binary import law as law_module
from inference.sampling.binary.law import BinaryState, PairLaw
from inference.sampling.binary.layout import PairLayout
from inference.sampling.kernel import select

RULES = ("heat-bath", "metropolis")


def law_of(glass, rule="heat-bath", **options) -> PairLaw:
    layout = PairLayout(len(glass.field), glass.edges, colors=options.pop("colors", None))
    return PairLaw.of_spins(layout, glass.couplings, glass.field, rule=rule, **options)


def transition_matrix(law: PairLaw, spins: torch.Tensor, beta: float = 1.0) -> torch.Tensor:
    """The exact matrix of one sweep, from the probabilities that the sweep draws from."""
    state = law.init(spins)
    total = torch.eye(len(spins), dtype=torch.float64)
    row = 0
    for color, size in enumerate(law.layout.sizes):
        members = law.layout.order[row : row + size].tolist()
        now = spins[:, members].T == 1
        if law.rule == "metropolis":
            flip = law.flips(color, state, beta).double()
            ones = torch.where(now, 1 - flip, flip)
        else:
            ones = law.conditionals(color, state, beta).double()
        step = torch.ones_like(total)
        for place, v in enumerate(members):
            up = ones[place][:, None]
            step = step * torch.where(spins[:, v] == 1, up, 1 - up)
        rest = [v for v in range(spins.shape[1]) if v not in members]
        same = (spins[:, None, rest] == spins[None, :, rest]).all(-1)
        total = total @ (step * same)
        row += size
    return total


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 2.5])
def test_a_sweep_leaves_the_law_invariant(glass, rule, beta):
    for seed in range(4):
        made = glass(seed=seed)
        law = law_of(made, rule, dtype=torch.float64)
        probs = (beta * made.log_weights).softmax(0)
        matrix = transition_matrix(law, made.spins, beta)
        assert (probs @ matrix - probs).abs().max() < 1e-12
        assert (matrix.sum(1) - 1).abs().max() < 1e-12


@pytest.mark.parametrize("rule", RULES)
def test_neighbours_moved_together_and_wrong_temperatures_are_rejected(glass, rule):
    made = glass()
    probs = made.log_weights.softmax(0)
    together = law_of(made, rule, dtype=torch.float64, colors=np.zeros(6, dtype=np.int64))
    assert (probs @ transition_matrix(together, made.spins) - probs).abs().max() > 1e-3
    law = law_of(made, rule, dtype=torch.float64)
    assert (probs @ transition_matrix(law, made.spins, 1.05) - probs).abs().max() > 1e-4


@settings(max_examples=20)
@given(st.data())
def test_random_graphs_are_left_invariant(glass, data):
    made = glass(
        data.draw(st.integers(1, 6)), data.draw(st.integers(0, 999)), data.draw(st.floats(0, 1))
    )
    law = law_of(made, data.draw(st.sampled_from(RULES)), dtype=torch.float64)
    probs = made.log_weights.softmax(0)
    assert (probs @ transition_matrix(law, made.spins) - probs).abs().max() < 1e-12


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("per_chain", [False, True])
@pytest.mark.parametrize("small", [0, math.inf])
@pytest.mark.parametrize("wrong", [False, True])
def test_one_step_from_exact_draws(glass, rejected, monkeypatch, rule, per_chain, small, wrong):
    """Both ways to compare random words with fields."""
    monkeypatch.setattr(law_module, "SMALL", dict.fromkeys(RULES, small))
    made = glass(seed=3)
    base = torch.linspace(-1, 1, 6)  # at beta one nothing of it may be left
    law = law_of(made, rule, base=base)
    beta = 1.1 if wrong else 1.0

    def step(spins, generator):
        betas = torch.full((len(spins),), beta) if per_chain else beta
        return law.position(law.step(law.init(spins), betas, generator))

    assert rejected(made.spins, made.log_weights, step, 200_000) == wrong


def test_every_chain_has_its_own_temperature(glass, rejected):
    """Chains at beta one among others at beta zero."""
    made = glass(seed=2)
    law = law_of(made)

    def step(spins, generator):
        both = torch.cat([spins, spins])
        betas = torch.cat([torch.ones(len(spins)), torch.zeros(len(spins))])
        return law.position(law.step(law.init(both), betas, generator))[: len(spins)]

    assert not rejected(made.spins, made.log_weights, step, 100_000)


def test_starts_are_draws_from_the_base(glass, rejected):
    made = glass(field=1.0)
    law = law_of(made, base=made.field)
    free = made.spins @ made.field

    def start(spins, generator):
        return law.position(law.start(len(spins), generator))

    assert not rejected(made.spins, free, start, 100_000)
    assert rejected(made.spins, 1.1 * free, start, 100_000)
    assert law.log_base == pytest.approx(
        float(free.logsumexp(0)) + float(made.field.sum()), abs=1e-5
    )  # in units 0 and 1 the base's log-weight is b x = h (s + 1)


def test_log_densities_are_those_of_the_spins(glass):
    made = glass(seed=1)
    law = law_of(made, dtype=torch.float64)
    state = law.init(made.spins)
    torch.testing.assert_close(law.log_density(state, 1.0), made.log_weights)
    betas = torch.linspace(0, 2, len(made.spins), dtype=torch.float64)
    torch.testing.assert_close(law.log_density(state, betas), betas * made.log_weights)
    base = law_of(made, dtype=torch.float64, base=made.field)
    expected = 0.3 * made.log_weights + 0.7 * ((made.spins + 1) @ made.field)
    torch.testing.assert_close(base.log_density(base.init(made.spins), 0.3), expected)


def test_units_and_spins_are_one_law_in_two_dresses(glass):
    made = glass()
    units = (made.spins + 1) / 2
    layout = PairLayout(6, made.edges)
    spins = law_of(made, dtype=torch.float64)
    law = PairLaw(layout, spins.weights, spins.biases, spins.constant)
    assert torch.equal(law.position(law.init(units)), units)
    torch.testing.assert_close(law.log_density(law.init(units), 1.0), made.log_weights)


def test_steps_are_pure_and_seeded_and_selection_keeps_chains(glass):
    made = glass()
    law = law_of(made)
    state = law.init(made.spins[:9])
    before = state.units.clone()
    first = law.step(state, 0.7, torch.Generator().manual_seed(5))
    again = law.step(state, 0.7, torch.Generator().manual_seed(5))
    assert torch.equal(first.units, again.units)
    assert torch.equal(state.units, before)
    chosen = select(state, torch.tensor([3, 3, 8]))
    assert torch.equal(law.position(chosen).double(), made.spins[[3, 3, 8]])
    moved = law.step(chosen, 0.7, torch.Generator().manual_seed(5))
    assert moved.units.T.is_contiguous()
    assert (moved.units[:, -1] == 1).all()


@pytest.mark.parametrize("rule", RULES)
def test_infinite_beta_only_falls(glass, rule):
    made = glass(8, seed=4)
    law = law_of(made, rule)
    state, generator = law.start(64, torch.Generator().manual_seed(0)), torch.Generator()
    weight = law.log_weight(state)
    for _ in range(5):
        state = law.step(state, math.inf, generator)
        now = law.log_weight(state)
        assert (now >= weight - 1e-5).all()
        weight = now


def test_descents_end_where_no_flip_gains(glass):
    made = glass(8, seed=4)
    law = law_of(made)
    end = law.descend(law.init(made.spins))
    spins = law.position(end).double()
    weight = law.log_weight(end)
    for v in range(8):
        other = spins.clone()
        other[:, v] *= -1
        assert (law.log_weight(law.init(other)) <= weight + 1e-5).all()
    flat = PairLaw(PairLayout(2, np.zeros((0, 2), np.int64)), torch.zeros(0), torch.zeros(2))
    state = BinaryState(torch.tensor([[0.0, 1.0, 1.0]]))
    assert torch.equal(flat.descend(state).units, state.units)


def test_the_range_follows_the_couplings(glass):
    made = glass(field=0.0)
    hot, cold = law_of(made).temperature_range()
    doubled = law_of(made._replace(couplings=2 * made.couplings)).temperature_range()
    np.testing.assert_allclose(doubled, [hot / 2, cold / 2], rtol=1e-6)
    median = float(made.couplings.abs().median())
    assert cold == pytest.approx(2 / np.median(made.couplings.abs().numpy()), rel=1e-6)
    assert 0 < hot < cold and median > 0
    nothing = law_of(made._replace(couplings=0 * made.couplings, field=0 * made.field))
    assert nothing.temperature_range() == (1.0, 1.0)


@pytest.mark.parametrize(
    ("position", "message"),
    [(torch.ones(2, 5), "must be"), (torch.zeros(2, 6), "-1 and 1"), (torch.ones(6), "must be")],
)
def test_bad_positions_are_refused(glass, position, message):
    with pytest.raises(ValueError, match=message):
        law_of(glass()).init(position)


def test_more_chains_than_fit_in_memory_are_refused(glass):
    with pytest.raises(ValueError, match="run fewer"):
        law_of(glass()).start(10**13, torch.Generator())
