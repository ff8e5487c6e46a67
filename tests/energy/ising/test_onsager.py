"""Exact curves of the square lattice: stored values, enumeration, limits."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from energy.ising.lattice import lattice_edges
from energy.ising.onsager import (
    CRITICAL_BETA,
    CRITICAL_TEMPERATURE,
    onsager_energy,
    onsager_magnetization,
    torus_log_partition,
)
from inference.exact.enumerate import enumerate_states


def enumerated(shape: tuple[int, int], beta: float) -> float:
    edges, _ = lattice_edges(shape)
    spins = 2 * enumerate_states([2] * math.prod(shape)).double() - 1
    weights = beta * (spins[:, edges[:, 0]] * spins[:, edges[:, 1]]).sum(1)
    return float(torch.logsumexp(weights, 0))


@pytest.mark.parametrize("shape", [(2, 2), (2, 3), (3, 2), (3, 4), (3, 5), (4, 4)])
@pytest.mark.parametrize("beta", [0.1, CRITICAL_BETA, 1.3])
def test_the_torus_sums_to_what_enumeration_does(shape, beta):
    assert torus_log_partition(*shape, beta) == pytest.approx(enumerated(shape, beta), abs=1e-11)


def test_stored_references(shared):
    stored = json.loads((shared / "references" / "energy.json").read_text())
    infinite = stored["ising_2d_infinite_onsager"]
    assert pytest.approx(infinite["T_c"], abs=1e-14) == CRITICAL_TEMPERATURE
    for beta, values in infinite["values"].items():
        energy, magnetization = values["energy_per_spin"], values["spontaneous_magnetization"]
        assert onsager_energy(float(beta)) == pytest.approx(energy, abs=1e-12)
        assert onsager_magnetization(float(beta)) == pytest.approx(magnetization, abs=1e-12)
    for beta, values in stored["ising_4x4_periodic"].items():
        assert torus_log_partition(4, 4, float(beta)) == pytest.approx(values["logZ"], abs=1e-11)


def test_the_energy_is_the_slope_of_a_large_torus():
    """Away from the critical point the torus is infinite to the eye at side 64."""
    for beta in (0.2, 0.6):
        step = 1e-4
        slope = torus_log_partition(64, 64, beta + step) - torus_log_partition(64, 64, beta - step)
        assert -slope / (2 * step * 64**2) == pytest.approx(onsager_energy(beta), abs=1e-5)


def test_limits():
    assert onsager_energy(0.0) == 0.0
    assert onsager_energy(CRITICAL_BETA) == pytest.approx(-math.sqrt(2), abs=1e-7)
    assert onsager_energy(1e6, 2.0) == -4.0
    assert onsager_magnetization(1e6) == 1.0
    assert onsager_magnetization(CRITICAL_BETA - 1e-9) == 0.0
    assert torus_log_partition(5, 7, 0.0) == pytest.approx(35 * math.log(2))
    cold = torus_log_partition(4, 4, 1e3)
    assert cold == pytest.approx(32e3 + math.log(2))
    edge = [torus_log_partition(4, 4, beta) - 32 * beta for beta in (99.9, 100.1)]
    np.testing.assert_allclose(edge, math.log(2), atol=1e-9)


@pytest.mark.parametrize("beta", [-0.1, math.nan, math.inf])
def test_bad_temperatures_are_refused(beta):
    for curve in (onsager_energy, onsager_magnetization):
        with pytest.raises(ValueError, match="beta"):
            curve(beta)
    with pytest.raises(ValueError, match="beta"):
        torus_log_partition(3, 3, beta)


@pytest.mark.parametrize("beta", [1e-300, 1e-160, 1e-30, 1e-9])
def test_far_from_order_the_energy_is_its_first_term(beta):
    """u = -2 J K (1 + O(K^2)), two bonds per spin, each satisfied by tanh K."""
    assert onsager_energy(beta, 3.0) == pytest.approx(-18 * beta, rel=1e-15, abs=0)


@pytest.mark.parametrize("beta", [1e-4, 0.01, 0.1, 0.3])
def test_high_temperatures_keep_their_digits(beta):
    """2 K(k) / pi - 1 by its series in k^2, all terms of which are positive."""
    tanh = math.tanh(2 * beta)
    square, rest, term = (2 * tanh / math.cosh(2 * beta)) ** 2, 0.0, 1.0
    for n in range(1, 1000):
        term *= square * ((2 * n - 1) / (2 * n)) ** 2
        rest += term
    expected = -(2 * tanh + (2 * tanh**2 - 1) * rest / tanh)
    assert onsager_energy(beta) == pytest.approx(expected, rel=1e-14, abs=0)


@pytest.mark.parametrize("beta", [1e-320, 1e-300, 1e-12])
def test_a_torus_of_hardly_any_coupling(beta):
    assert torus_log_partition(3, 4, beta) == pytest.approx(12 * math.log(2), rel=1e-15)
