"""Variables of a few states: one unit per state, and machines of them against full sums."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from scipy.stats import chi2

from energy.rbm.categorical_units import CategoricalUnits
from energy.restricted_boltzmann_machine import RestrictedBoltzmannMachine
from inference import annealed_importance_sampling


def states(machine: RestrictedBoltzmannMachine) -> torch.Tensor:
    """All joint states of the visible variables."""
    each = range(machine.n_states or 2)
    return torch.tensor(list(itertools.product(each, repeat=machine.n_visible)))


def log_weights(machine: RestrictedBoltzmannMachine, codes: torch.Tensor) -> torch.Tensor:
    """Summed over all hidden states, term by term."""
    n = machine.n_states
    hidden = list(itertools.product([0.0, 1.0], repeat=machine.n_hidden))
    found = []
    for row in codes.tolist():
        places = [i * n + k for i, k in enumerate(row)]
        w, a = machine.weights[places].sum(0), machine.visible_bias[places].sum()
        logs = [(w + machine.hidden_bias) @ torch.tensor(h, dtype=w.dtype) + a for h in hidden]
        found.append(torch.stack(logs).logsumexp(0))
    return torch.stack(found)


@pytest.fixture
def triple(machine) -> RestrictedBoltzmannMachine:
    return machine(3, 2, "categorical", n_states=3)


def test_means_are_slopes():
    fields = torch.randn(6, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    CategoricalUnits(3).log_normalizer(fields).sum().backward()
    torch.testing.assert_close(CategoricalUnits(3).mean(fields.detach()), fields.grad)


def test_codes_and_units_are_the_same():
    codes = torch.randint(0, 4, (5, 3), generator=torch.Generator().manual_seed(0))
    units = CategoricalUnits(4).encode("x", codes)
    assert units.shape == (5, 12)
    assert torch.equal(units.sum(1), torch.full((5,), 3.0))
    assert torch.equal(CategoricalUnits(4).decode(units), codes)


def test_draws_have_their_law():
    """Chi-square of 9 joint states, false alarms 1e-7; a law of other fields is rejected."""
    n, fields = 40_000, torch.tensor([0.0, 1.0, -1.0, 0.5, 0.0, 2.0]).double()
    units = CategoricalUnits(3)
    drawn = units.decode(units.sample(fields.expand(n, -1), torch.Generator().manual_seed(0)))
    counts = (3 * drawn[:, 0] + drawn[:, 1]).bincount(minlength=9)

    def distance(of: torch.Tensor) -> float:
        first, second = units.mean(of).split(3)
        expected = n * (first[:, None] * second).flatten()
        return float(((counts - expected) ** 2 / expected).sum())

    assert distance(fields) < chi2.isf(1e-7, 8)
    assert distance(fields + torch.tensor([0.0, 0.1, 0, 0, 0, 0])) > chi2.isf(1e-7, 8)


def test_free_energies_and_log_partition_are_full_sums(triple):
    codes = states(triple)
    exact = log_weights(triple, codes)
    torch.testing.assert_close(-triple.free_energy(codes), exact)
    torch.testing.assert_close(triple.log_partition(), exact.logsumexp(0))
    assert float(triple.log_prob(codes).exp().sum()) == pytest.approx(1.0)


def test_both_sides_sum_to_the_same(machine):
    """Over the visible side, 3^2 states, or the hidden one, 2^5."""
    few, many = machine(2, 5, "categorical", n_states=3), machine(4, 2, "categorical", n_states=3)
    for made in (few, many):
        expected = log_weights(made, states(made)).logsumexp(0)
        torch.testing.assert_close(made.log_partition(), expected)
        torch.testing.assert_close(made.to_factor_graph().log_partition(), expected)


def test_a_wide_layer_is_summed_by_its_narrow_side():
    """1,000 variables of 5 states, without weights: 2^3 times 5^1000."""
    made = RestrictedBoltzmannMachine(1000, 3, "categorical", n_states=5)
    made.weights.data.zero_()
    expected = 3 * math.log(2) + 1000 * math.log(5)
    assert float(made.log_partition()) == pytest.approx(expected, rel=1e-12)


def test_pseudo_likelihoods_are_conditionals(triple):
    codes = states(triple)
    table = triple.log_prob(codes).reshape(3, 3, 3)
    expected = sum(table - table.logsumexp(axis, keepdim=True) for axis in range(3))
    torch.testing.assert_close(triple.pseudo_log_likelihood(codes), expected.flatten())


def test_annealing_finds_log_partition(triple):
    found = annealed_importance_sampling(triple, chains=500, generator=0)
    assert abs(float(found) - float(triple.log_partition())) < 6 * found.standard_error


@pytest.mark.parametrize("method", ["gibbs", "exact"])
def test_samples_are_states_with_their_law(triple, method):
    """Chi-square of 27 states, false alarms 1e-7."""
    n = 8000
    drawn = triple.sample(n, sweeps=100, method=method, generator=0)
    assert drawn.shape == (n, 3)
    assert not drawn.is_floating_point()
    counts = (drawn @ torch.tensor([9, 3, 1])).bincount(minlength=27)
    expected = n * triple.log_prob(states(triple)).exp()
    seen = expected > 5
    distance = ((counts - expected) ** 2 / expected)[seen].sum()
    assert float(distance.detach()) < chi2.isf(1e-7, int(seen.sum()))


def test_what_is_missing_is_drawn(triple):
    rows = torch.tensor([[2, -1, 0]]).repeat(6000, 1)
    filled = triple.complete(rows, sweeps=50, generator=0)
    assert torch.equal(filled[:, [0, 2]], rows[:, [0, 2]])
    candidates = torch.tensor([[2, k, 0] for k in range(3)])
    expected = triple.log_prob(candidates).softmax(0)
    shares = filled[:, 1].bincount(minlength=3) / 6000
    assert ((shares - expected).abs() < 6 * (expected * (1 - expected) / 6000).sqrt()).all()


def test_learning_nears_the_entropy_of_the_data():
    """Pairs of four states of which the second follows the first."""
    first = torch.arange(4).repeat(50)
    rows = torch.stack([first, (first + 1) % 4], 1)
    made = RestrictedBoltzmannMachine(2, 6, "categorical", n_states=4, generator=0)
    made.fit(rows, epochs=1500, lr=0.3, generator=0, progress=False)
    assert made.score(rows) > -1.386 - 0.2
    means = made.reconstruct(rows[:4])
    assert means.shape == (4, 2, 4)
    assert torch.equal(means.argmax(-1), rows[:4])


def test_a_machine_is_read_back(triple, tmp_path):
    triple.save(tmp_path / "machine")
    again = RestrictedBoltzmannMachine.load(tmp_path / "machine")
    assert (again.n_states, again.n_visible) == (3, 3)
    torch.testing.assert_close(again.free_energy([[0, 1, 2]]), triple.free_energy([[0, 1, 2]]))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[0, 1, 3]], "states 0 to 2, found 3"),
        ([[0, 1, -1]], "found -1"),
        ([[0.0, 1.5, 2.0]], r"found 1\.5"),
        ([[0, 1]], "3 units"),
    ],
)
def test_other_values_are_refused(triple, rows, message):
    with pytest.raises(ValueError, match=message):
        triple.fit(rows)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"visible": "categorical"}, "n_states must be given"),
        ({"n_states": 3}, "n_states is of categorical"),
        ({"visible": "categorical", "n_states": 1}, "n_states"),
        ({"hidden": "categorical"}, "hidden must be one of"),
        ({"visible": "gaussian", "hidden": "rectified"}, "must not both be real"),
    ],
)
def test_kinds_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RestrictedBoltzmannMachine(3, 2, **options)


def test_means_are_no_states(triple):
    with pytest.raises(ValueError, match="draw_data"):
        triple.fit([[0, 1, 2]], draw_data=True)
