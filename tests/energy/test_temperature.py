"""What temperature does: worked numbers of single units and of a machine of three."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from energy.ising_model import IsingModel
from inference.exact.enumerate import enumerate_states
from inference.sampling.binary.law import PairLaw
from inference.sampling.binary.layout import PairLayout

# E(x) = -(w12 x1 x2 + w13 x1 x3 + w23 x2 x3 + b x), units 0 and 1.
EDGES = np.array([[0, 1], [0, 2], [1, 2]])
WEIGHTS = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
BIASES = torch.tensor([0.5, -0.3, 0.2], dtype=torch.float64)
STATES = enumerate_states([2] * 3).double()


@pytest.fixture
def machine() -> PairLaw:
    return PairLaw(PairLayout(3, EDGES), WEIGHTS, BIASES)


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [(1e6, 0.5000005), (10.0, 0.549834), (2.0, 0.731059), (1.0, 0.880797), (0.5, 0.982014)],
)
def test_a_unit_is_on_by_its_gap_in_energy(temperature, expected):
    """Gaps of 2, -2 and 0: sigmoid(gap / T)."""
    nothing = np.zeros((0, 2), dtype=np.int64)
    gaps = torch.tensor([2.0, -2.0, 0.0], dtype=torch.float64)
    law = PairLaw(PairLayout(3, nothing), gaps[:0], gaps)
    on = law.conditionals(0, law.init(STATES[:1]), 1 / temperature)[:, 0]
    np.testing.assert_allclose(on, [expected, 1 - expected, 0.5], atol=5e-7)


def test_cold_units_are_certain(machine):
    nothing = np.zeros((0, 2), dtype=np.int64)
    gaps = torch.tensor([2.0, -2.0, 0.0], dtype=torch.float64)
    law = PairLaw(PairLayout(3, nothing), gaps[:0], gaps)
    on = law.conditionals(0, law.init(STATES[:1]), math.inf)[:, 0]
    assert on.tolist() == [1.0, 0.0, 0.5]


def test_conditionals_of_a_machine_of_three(machine):
    """From x = (1, 0, 1): gaps -1.5, 1.2, -1.8."""
    state = machine.init(torch.tensor([[1, 0, 1]]))
    found = torch.cat([machine.conditionals(c, state)[:, 0] for c in range(3)])
    expected = [0.182426, 0.768525, 0.141851]
    np.testing.assert_allclose(found[machine.layout.rows], expected, atol=5e-7)


def test_the_law_of_a_machine_of_three(machine):
    weights = machine.log_density(machine.init(STATES), 1.0)
    assert float(weights.logsumexp(0)) == pytest.approx(2.3608778764, abs=1e-10)
    probs = weights.softmax(0)
    means = probs @ STATES
    np.testing.assert_allclose(means, [0.579817, 0.609193, 0.367029], atol=5e-7)
    products = [float(probs @ (STATES[:, i] * STATES[:, j])) for i, j in EDGES]
    np.testing.assert_allclose(products, [0.398571, 0.111070, 0.226095], atol=5e-7)


def test_entropy_from_hot_to_cold(machine):
    state = machine.init(STATES)
    hot = machine.log_density(state, 1e-9).softmax(0)
    assert float(-(hot * hot.log()).sum()) == pytest.approx(3 * math.log(2), abs=1e-7)
    cold = machine.log_density(state, 10.0).softmax(0)
    assert STATES[cold.argmax()].tolist() == [1.0, 1.0, 0.0]
    assert float(cold.max()) > 0.99


def test_units_and_spins_differ_by_a_constant(machine):
    """J = w / 4, h = b / 2 + sum w / 4."""
    couplings = torch.zeros(3, 3, dtype=torch.float64)
    couplings[EDGES[:, 0], EDGES[:, 1]] = WEIGHTS / 4
    couplings = couplings + couplings.T
    spins = IsingModel(couplings, BIASES / 2 + couplings.sum(1))
    gap = machine.log_density(machine.init(STATES), 1.0) + spins.energy(2 * STATES - 1)
    assert float(gap.max() - gap.min()) < 3e-15
