"""The deep Boltzmann machine: bounds, features, completions, the machine of two layers, files."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import chi2

from energy.deep_boltzmann_machine import DeepBoltzmannMachine
from energy.restricted_boltzmann_machine import RestrictedBoltzmannMachine
from inference.exact.enumerate import enumerate_states


@pytest.fixture
def pair(stack) -> tuple[DeepBoltzmannMachine, RestrictedBoltzmannMachine]:
    """Machines of two layers with the same numbers."""
    deep = stack(4, 3)
    other = RestrictedBoltzmannMachine(4, 3).double()
    with torch.no_grad():
        other.weights.copy_(deep.weights[0])
        other.visible_bias.copy_(deep.biases[0])
        other.hidden_bias.copy_(deep.biases[1])
    return deep, other


def test_two_layers_are_a_restricted_machine(pair):
    deep, other = pair
    v, h = enumerate_states([2] * 4).double(), enumerate_states([2] * 3).double()
    tight = {"rtol": 0, "atol": 1e-12}
    torch.testing.assert_close(deep.log_partition(), other.log_partition(), **tight)
    torch.testing.assert_close(deep.free_energy(v), other.free_energy(v), **tight)
    torch.testing.assert_close(deep.log_prob(v), other.log_prob(v), **tight)
    torch.testing.assert_close(deep.log_prob_bound(v), other.log_prob(v), **tight)
    sampled = deep.log_prob_bound(v, importance=True, n_samples=3, generator=0)
    torch.testing.assert_close(sampled, other.log_prob(v), **tight)
    torch.testing.assert_close(deep.energy(v[:8], h), other.energy(v[:8], h), **tight)
    torch.testing.assert_close(deep.transform(v), other.transform(v), **tight)
    torch.testing.assert_close(deep.reconstruct(v), other.reconstruct(v), **tight)
    assert torch.equal(
        deep.sample(9, sweeps=5, generator=0), other.sample(9, sweeps=5, generator=0)
    )


@pytest.mark.parametrize("sizes", [(4, 3, 2), (3, 2, 2, 2)])
@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_bounds_are_below(stack, sizes, scale):
    machine = stack(*sizes, scale=scale)
    v = enumerate_states([2] * sizes[0]).double()
    exact, bounds = machine.log_prob(v), machine.log_prob_bound(v)
    assert (bounds <= exact + 1e-12).all()
    assert bool((bounds < exact - 1e-6).any())
    tighter = machine.log_prob_bound(v, importance=True, n_samples=4000, generator=0)
    assert float((exact - tighter).abs().mean()) < 0.1 * float((exact - bounds).mean())
    shifted = machine.log_prob_bound(v, log_partition=machine.log_partition() + 1.0)
    torch.testing.assert_close(shifted, bounds - 1.0)
    few = machine.log_prob_bound(v, iterations=1)
    assert (few <= bounds + 1e-9).all()


def test_bounds_without_couplings_above_are_exact(stack):
    machine = stack(4, 3, 2)
    with torch.no_grad():
        machine.weights[1].zero_()
    v = enumerate_states([2] * 4).double()
    torch.testing.assert_close(machine.log_prob_bound(v), machine.log_prob(v), rtol=0, atol=1e-12)


def test_gradients_of_bounds_are_those_at_fixed_means(stack):
    """Where the mean field has settled its own motion does not count: central differences."""
    machine = stack(3, 2, 2, scale=0.5)
    rows = torch.tensor([[1, 0, 1], [0, 1, 1]]).double()
    machine.requires_grad_()
    machine.log_prob_bound(rows, log_partition=0.0, iterations=500).sum().backward()
    machine.requires_grad_(False)
    for parameter in machine.parameters():
        flat, step = parameter.data.view(-1), 1e-5
        for place, slope in enumerate(parameter.grad.view(-1)):
            values = []
            for sign in (1.0, -2.0):
                flat[place] += sign * step
                bounds = machine.log_prob_bound(rows, log_partition=0.0, iterations=500)
                values.append(float(bounds.sum()))
            flat[place] += step
            assert float(slope) == pytest.approx((values[0] - values[1]) / (2 * step), abs=1e-7)


def test_features_are_means_of_a_layer(stack):
    machine = stack(4, 3, 2, 2, scale=0.3)
    rows = enumerate_states([2] * 4).double()
    means = machine.hidden_means(rows)
    assert [layer.shape for layer in means] == [(16, 3), (16, 2), (16, 2)]
    stacked = [rows, *means]
    for level in (1, 2, 3):
        field = machine.biases[level] + stacked[level - 1] @ machine.weights[level - 1]
        if level < 3:
            field = field + stacked[level + 1] @ machine.weights[level].T
        torch.testing.assert_close(machine.transform(rows, layer=level), field.sigmoid())
    back = (machine.biases[0] + means[0] @ machine.weights[0].T).sigmoid()
    torch.testing.assert_close(machine.reconstruct(rows), back)
    for layer in (0, 4):
        with pytest.raises(ValueError, match="layer must be"):
            machine.transform(rows, layer=layer)


def test_completions_follow_the_conditional_law(stack):
    """Chi-square over the two missing units of many chains; false alarms 1e-7."""
    machine, n = stack(3, 2, 2), 40_000
    rows = torch.tensor([[torch.nan, 1.0, torch.nan]]).expand(n, 3)
    found = machine.complete(rows, sweeps=40, generator=0)
    assert (found[:, 1] == 1).all()
    states = torch.tensor([[a, 1, b] for a in (0, 1) for b in (0, 1)]).double()
    counts = torch.bincount((2 * found[:, 0] + found[:, 2]).long(), minlength=4)
    limit = chi2.isf(1e-7, 3)
    values = []
    for logs in (machine.log_prob(states), 1.2 * machine.log_prob(states)):
        expected = n * logs.softmax(0)
        values.append(float(((counts - expected) ** 2 / expected).sum()))
    assert values[0] < limit < values[1]
    assert torch.equal(machine.complete([[1, 0, 1]]), torch.tensor([[1.0, 0.0, 1.0]]).double())
    for wrong, message in (([[torch.nan, 2.0, 0.0]], "0 and 1"), ([1.0, 0.0, 1.0], "rows")):
        with pytest.raises(ValueError, match=message):
            machine.complete(wrong)


def test_a_file_holds_the_machine(stack, tmp_path):
    machine = stack(5, 3, 2, 2)
    machine.base_bias.fill_(0.5)
    machine.save(tmp_path / "machine.safetensors")
    loaded = DeepBoltzmannMachine.load(tmp_path / "machine.safetensors")
    assert loaded.layer_sizes == (5, 3, 2, 2)
    assert loaded.state_dict().keys() == machine.state_dict().keys()
    assert all(map(torch.equal, loaded.state_dict().values(), machine.state_dict().values()))
    rows = torch.tensor([[0.0, 1.0, 1.0, 0.0, 1.0]])
    assert torch.equal(loaded.free_energy(rows), machine.free_energy(rows))


def test_large_machines_are_refused_and_estimated():
    machine = DeepBoltzmannMachine([40, 30, 25], generator=0)
    with pytest.raises(ValueError, match=r'2\^25.*method="ais"'):
        machine.log_partition()
    with pytest.raises(ValueError, match=r"2\^20.*log_prob_bound"):
        machine.free_energy(torch.zeros(1, 40))
    estimate = machine.log_partition("ais", generator=0)
    assert float(estimate) == pytest.approx(95 * np.log(2), abs=0.5)
    bounds = machine.log_prob_bound(torch.zeros(2, 40), log_partition=estimate)
    assert bounds.dtype == torch.float64
    np.testing.assert_allclose(bounds, -40 * np.log(2), atol=0.5)


@pytest.mark.parametrize(
    ("sizes", "kind", "message"),
    [
        ([3], ValueError, "two layers"),
        ([3, 0], ValueError, "layer_sizes"),
        ([3, 2.5], TypeError, "layer_sizes"),
    ],
)
def test_bad_machines_are_refused(sizes, kind, message):
    with pytest.raises(kind, match=message):
        DeepBoltzmannMachine(sizes)
    rows = torch.zeros(2, 3)
    with pytest.raises(ValueError, match="samples"):
        DeepBoltzmannMachine([3, 2, 2]).log_prob_bound(rows, importance=True, n_samples=0)
