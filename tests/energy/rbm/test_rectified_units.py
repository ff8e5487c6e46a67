"""Rectified units against quadrature and SciPy's truncated normal law."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.stats import kstest, truncnorm

from energy.rbm.rectified_units import RectifiedUnits
from energy.restricted_boltzmann_machine import RestrictedBoltzmannMachine

UNITS = RectifiedUnits()
FIELDS = [-1e4, -200.0, -99.0, -12.0, -5.1, -4.9, -1.0, 0.0, 0.3, 4.0, 50.0, 1e4]


def law(field: float):
    return truncnorm(-field, np.inf, loc=field)


@pytest.mark.parametrize("field", [-40.0, -6.0, -1.0, 0.0, 2.0, 9.0])
def test_normalizers_are_integrals(field):
    width = 1 / max(1.0, -field)
    grid = np.linspace(0, max(field, 0) + 40 * width, 400_001)
    weights = np.exp(field * grid - grid**2 / 2 - max(field, 0) ** 2 / 2)
    expected = np.log(np.trapezoid(weights, grid)) + max(field, 0) ** 2 / 2
    found = UNITS.log_normalizer(torch.tensor(field).double())
    assert float(found) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("field", FIELDS)
def test_means_are_slopes(field):
    f = torch.tensor(field).double().requires_grad_()
    UNITS.log_normalizer(f).backward()
    mean = float(UNITS.mean(f.detach()))
    assert mean == pytest.approx(float(f.grad), rel=1e-6)
    assert mean > 0
    if field > -90:
        assert mean == pytest.approx(law(field).mean(), rel=1e-6)


@pytest.mark.parametrize("field", [-1e4, -1e3, -30.0, -7.0, -2.0, 3.0, 200.0])
def test_slopes_keep_their_digits_in_short_floats(field):
    f = torch.tensor(field, requires_grad=True)
    UNITS.log_normalizer(f).backward()
    exact = float(UNITS.mean(torch.tensor(field).double()))
    assert float(f.grad) == pytest.approx(exact, rel=2e-5)


def test_normalizers_have_two_derivatives():
    fields = torch.tensor([-40.0, -6.5, -5.5, 0.1, 11.0, 13.0]).double().requires_grad_()
    assert torch.autograd.gradcheck(UNITS.log_normalizer, fields)
    assert torch.autograd.gradgradcheck(UNITS.log_normalizer, fields)


def test_means_of_short_floats_are_close():
    fields = torch.tensor(FIELDS)
    exact = UNITS.mean(fields.double())
    torch.testing.assert_close(UNITS.mean(fields).double(), exact, rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("field", [-300.0, -12.0, -5.1, -4.9, 0.3, 4.0, 50.0])
def test_draws_have_their_law(field):
    """Kolmogorov-Smirnov, false alarms 1e-7 each; a shifted law is rejected."""
    drawn = UNITS.sample(
        torch.full((40_000,), field).double(), torch.Generator().manual_seed(0)
    ).numpy()
    assert drawn.min() >= 0
    # Deep below zero the law is exponential to within 1 / f^2, and SciPy loses its digits.
    exact = law(field).cdf if field > -30 else lambda x: -np.expm1(field * x - x * x / 2)
    assert kstest(drawn, exact).pvalue > 1e-7
    assert kstest(drawn * 1.1, exact).pvalue < 1e-7


def test_free_energies_are_integrals(machine):
    made = machine(2, 1, "bernoulli", "rectified")
    grid = torch.linspace(0, 40, 400_001, dtype=torch.float64)
    for v in itertools.product([0.0, 1.0], repeat=2):
        row = torch.tensor([v]).double()
        field = made.hidden_bias + row @ made.weights
        logs = (field * grid - grid.square() / 2).flatten()
        integral = logs.logsumexp(0) + (grid[1] - grid[0]).log()
        expected = -(row @ made.visible_bias) - integral
        torch.testing.assert_close(made.free_energy(row), expected, atol=1e-4, rtol=0)


def test_a_machine_learns():
    """Pairs that agree: the entropy of the data is log 2."""
    rows = torch.tensor([[1.0, 1.0], [0.0, 0.0]]).repeat(100, 1)
    made = RestrictedBoltzmannMachine(2, 4, hidden="rectified", generator=0)
    made.fit(rows, epochs=1000, lr=0.05, generator=0, progress=False)
    assert made.score(rows) > -0.693 - 0.1
    assert all(bool(p.isfinite().all()) for p in made.parameters())


def test_values_are_checked(machine):
    with pytest.raises(ValueError, match="at least 0, found -1"):
        machine(2, 1, hidden="rectified").energy([[0.0, 1.0]], [[-1.0]])
