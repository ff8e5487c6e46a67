"""Kinds of units: normalisers by quadrature and sums, means as their slopes, draws."""

from __future__ import annotations

import math

import pytest
import torch

from energy.rbm.units import BernoulliUnits, GaussianUnits

FIELDS = torch.tensor([-30.0, -1.3, 0.0, 0.4, 25.0], dtype=torch.float64)


def gaussian() -> GaussianUnits:
    return GaussianUnits(torch.tensor([0.0, 0.7, -0.5, 1.0, 0.2], dtype=torch.float64))


def test_bernoulli_normalizers_are_sums():
    expected = torch.stack([torch.zeros_like(FIELDS), FIELDS]).logsumexp(0)
    torch.testing.assert_close(BernoulliUnits().log_normalizer(FIELDS), expected)


def test_gaussian_normalizers_are_integrals():
    units = gaussian()
    grid = torch.linspace(-80, 80, 400_001, dtype=torch.float64)
    for i, field in enumerate(FIELDS):
        own = GaussianUnits(units.log_precision[i])
        logs = field * grid - 0.5 * own.log_precision.exp() * grid.square()
        integral = logs.logsumexp(0) + math.log(float(grid[1] - grid[0]))
        assert float(own.log_normalizer(field)) == pytest.approx(float(integral), abs=1e-9)


@pytest.mark.parametrize("units", [BernoulliUnits(), gaussian()])
def test_means_are_slopes(units):
    fields = FIELDS.clone().requires_grad_()
    units.log_normalizer(fields).sum().backward()
    torch.testing.assert_close(units.mean(FIELDS), fields.grad)


@pytest.mark.parametrize("units", [BernoulliUnits(), gaussian()])
def test_draws_have_their_means(units):
    """|z| < 6 for ten means: false alarms 2e-8."""
    n = 100_000
    draws = units.sample(FIELDS.expand(n, -1), torch.Generator().manual_seed(0))
    error = draws.std(0) / n**0.5 + 1e-9
    assert ((draws.mean(0) - units.mean(FIELDS)).abs() < 6 * error).all()
    assert draws.dtype == torch.float64


def test_self_energies():
    x = torch.tensor([1.0, 2.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    assert float(BernoulliUnits().self_energy(x)) == 0.0
    lam = gaussian().log_precision.exp()
    assert float(gaussian().self_energy(x)) == pytest.approx(float(0.5 * (lam * x * x).sum()))


def test_values_are_checked():
    with pytest.raises(ValueError, match=r"cue must be 0 and 1.*found 2"):
        BernoulliUnits().check("cue", torch.tensor([0.0, 2.0]))
    with pytest.raises(ValueError, match="cue must be finite"):
        gaussian().check("cue", torch.tensor([math.inf]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_short_numbers_draw_their_law(dtype):
    """|z| < 6 for five means: false alarms 1e-8. Certain units are certain."""
    n, fields = 100_000, FIELDS.to(dtype)
    draws = BernoulliUnits().sample(fields.expand(n, -1), torch.Generator().manual_seed(0))
    assert draws.dtype == dtype
    means, expected = draws.double().mean(0), fields.sigmoid().double()
    error = (expected * (1 - expected) / n).sqrt()
    assert ((means - expected).abs() <= 6 * error).all()
