"""Fluctuations against derivatives of the exact log Z; correlations against a slow sum."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from energy.ising.observables import (
    binder_cumulant,
    correlations,
    specific_heat,
    susceptibility,
)
from energy.ising_model import IsingModel


@pytest.fixture(scope="module")
def draws():
    model = IsingModel.lattice((4, 4), beta=0.4)
    return model, model.sample(40_000, method="exact", generator=0)


def test_observables_of_exact_draws(draws, shared):
    """Stored values within six standard errors, estimated from forty groups of draws."""
    stored = json.loads((shared / "references" / "energy.json").read_text())
    values = stored["ising_4x4_periodic"]["0.4"]
    model, spins = draws
    m, energy = model.magnetization(spins).double(), model.energy(spins)
    figures = {
        "abs_m": lambda g: m[g].abs().mean(),
        "m2": lambda g: m[g].square().mean(),
        "binder": lambda g: binder_cumulant(m[g]),
        "energy_per_spin": lambda g: energy[g].mean() / 16,
        "specific_heat_per_spin": lambda g: specific_heat(energy[g], 16, 0.4),
        "nn_correlation": lambda g: correlations(spins[g], (4, 4))[0, 1],
        "diag_correlation": lambda g: correlations(spins[g], (4, 4))[1, 1],
    }
    groups = torch.arange(len(spins)).split(1000)
    for name, figure in figures.items():
        found = torch.stack([figure(group) for group in groups])
        error = float(found.std()) / len(found) ** 0.5
        bias = 1e-3 * abs(values[name])  # of curved figures, from groups of a thousand
        assert abs(float(found.mean()) - values[name]) < 6 * error + bias, name


def test_the_susceptibility_is_the_slope_in_the_field():
    step = 1e-3
    slopes = []
    for h in (-step, 0.0, step):
        model = IsingModel.lattice((3, 3), h=h, beta=0.3)
        slopes.append(float(model.log_partition()))
    second = (slopes[0] - 2 * slopes[1] + slopes[2]) / step**2
    model = IsingModel.lattice((3, 3), beta=0.3)
    spins = model.sample(60_000, method="exact", generator=1)
    found = float(susceptibility(model.magnetization(spins), 9, 0.3))
    # d2 log Z / dh2 = beta^2 n^2 var(m) = beta n chi
    assert found == pytest.approx(second / (0.3 * 9), rel=0.05)


def test_correlations_are_mean_products():
    rng = np.random.default_rng(0)
    spins = torch.from_numpy(rng.choice([-1.0, 1.0], size=(5, 12)))
    found = correlations(spins, (3, 4))
    grid = spins.reshape(5, 3, 4)
    for a in range(3):
        for b in range(4):
            expected = (grid * grid.roll((-a, -b), (1, 2))).mean()
            assert float(found[a, b]) == pytest.approx(float(expected), abs=1e-12)


@pytest.mark.parametrize("spins", [torch.ones(2, 4), torch.ones(0, 3), torch.ones(6)])
def test_spins_of_another_lattice_are_refused(spins):
    with pytest.raises(ValueError, match=r"spins must be \(draw, 3\)"):
        correlations(spins, [3])
