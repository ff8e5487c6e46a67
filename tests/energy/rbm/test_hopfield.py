"""Hopfield networks and machines with real hidden units: the same law, both ways."""

from __future__ import annotations

import itertools

import pytest
import torch

from energy.hopfield_network import HopfieldNetwork
from energy.restricted_boltzmann_machine import RestrictedBoltzmannMachine


@pytest.fixture
def network() -> HopfieldNetwork:
    """Two patterns and a field."""
    made = HopfieldNetwork(5).store([[1, 1, 1, -1, -1], [1, -1, 1, -1, 1]])
    made.bias.data.copy_(torch.tensor([0.3, -0.2, 0.1, 0.0, 0.5]).double())
    return made


def spins(n: int) -> torch.Tensor:
    return torch.tensor(list(itertools.product([-1.0, 1.0], repeat=n)), dtype=torch.float64)


@pytest.mark.parametrize("beta", [1.0, 0.4, 3.0])
def test_a_machine_has_the_law_of_the_network(network, beta):
    machine = RestrictedBoltzmannMachine.from_hopfield(network, beta)
    assert machine.n_hidden == 2  # one for each pattern
    s = spins(5)
    expected = (-beta * network.energy(s)).log_softmax(0)
    torch.testing.assert_close(machine.log_prob((1 + s) / 2), expected, atol=1e-10, rtol=0)


def test_any_symmetric_couplings_are_a_machine():
    network = HopfieldNetwork(5)
    noise = torch.randn(5, 5, generator=torch.Generator().manual_seed(0)).double()
    network.weights.data.copy_(noise + noise.T)
    machine = RestrictedBoltzmannMachine.from_hopfield(network)
    assert machine.n_hidden == 4
    s = spins(5)
    expected = (-network.energy(s)).log_softmax(0)
    torch.testing.assert_close(machine.log_prob((1 + s) / 2), expected, atol=1e-10, rtol=0)


def test_there_and_back(network):
    back = RestrictedBoltzmannMachine.from_hopfield(network).to_hopfield()
    couplings = network.weights - torch.diag(network.weights.diagonal())
    torch.testing.assert_close(back.weights.data, couplings.data)
    torch.testing.assert_close(back.bias.data, network.bias.data)


def test_a_learned_machine_is_a_network(machine):
    made = machine(4, 3, hidden="gaussian", scale=0.5)
    s = spins(4)
    expected = (-made.to_hopfield().energy(s)).log_softmax(0)
    torch.testing.assert_close(made.log_prob((1 + s) / 2), expected, atol=1e-10, rtol=0)


def test_refusals(network, machine):
    with pytest.raises(ValueError, match="beta must be positive"):
        RestrictedBoltzmannMachine.from_hopfield(network, 0.0)
    with pytest.raises(ValueError, match="store patterns first"):
        RestrictedBoltzmannMachine.from_hopfield(HopfieldNetwork(3))
    with pytest.raises(ValueError, match="gaussian hidden"):
        machine(3, 2).to_hopfield()
