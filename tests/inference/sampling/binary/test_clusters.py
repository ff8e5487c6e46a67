"""Cluster moves: exact starts with and without fields, clusters against a slow search."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from inference.sampling.binary import clusters
from inference.sampling.binary.clusters import SwendsenWang


@pytest.mark.parametrize("field", [0.0, 0.5])
@pytest.mark.parametrize("spread", [False, True])
def test_one_step_from_exact_draws(glass, rejected, monkeypatch, field, spread):
    """Both ways to find clusters; spread labels are what other devices use."""
    made = glass(seed=1, field=field)
    if spread:
        monkeypatch.setattr(clusters, "_clusters", spread_clusters)
    kernel = SwendsenWang(torch.from_numpy(made.edges), made.couplings, made.field)

    def step(spins, generator):
        return kernel.position(kernel.step(kernel.init(spins), generator))

    assert not rejected(made.spins, made.log_weights, step, 200_000)


@pytest.mark.parametrize("scale", [0.5, 1.1])
def test_wrong_bonds_are_rejected(glass, rejected, scale):
    """Half the exponent, the classic slip, and a small one."""
    made = glass(seed=1)
    kernel = SwendsenWang(torch.from_numpy(made.edges), scale * made.couplings, scale * made.field)

    def step(spins, generator):
        return kernel.position(kernel.step(kernel.init(spins), generator))

    assert rejected(made.spins, made.log_weights, step, 200_000)


def spread_clusters(bonds: torch.Tensor, ends: torch.Tensor, n: int) -> torch.Tensor:
    chain, edge = bonds.nonzero(as_tuple=True)
    first, second = ends[0][edge] + chain * n, ends[1][edge] + chain * n
    return clusters._spread(first, second, len(bonds) * n)


def test_both_ways_find_the_same_clusters():
    rng = np.random.default_rng(0)
    n = 40
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n) if rng.random() < 0.2]
    ends = torch.tensor(pairs).T.contiguous()
    for share in (0.0, 0.05, 0.2, 1.0):
        bonds = torch.from_numpy(rng.random((3, len(pairs))) < share)
        first = clusters._clusters(bonds, ends, n)
        second = spread_clusters(bonds, ends, n)
        same = first[:, None] == first[None]
        assert torch.equal(same, second[:, None] == second[None])


def test_steps_are_pure_and_seeded(glass):
    made = glass()
    kernel = SwendsenWang(torch.from_numpy(made.edges), made.couplings, made.field)
    state = kernel.init(made.spins)
    before = state.spins.clone()
    first = kernel.step(state, torch.Generator().manual_seed(2)).spins
    assert torch.equal(first, kernel.step(state, torch.Generator().manual_seed(2)).spins)
    assert torch.equal(state.spins, before)


def test_bad_positions_are_refused():
    kernel = SwendsenWang(torch.tensor([[0, 1]]), torch.ones(1), torch.zeros(2))
    with pytest.raises(ValueError, match="must be"):
        kernel.init(torch.ones(3, 3))
    with pytest.raises(ValueError, match="-1 and 1"):
        kernel.init(torch.zeros(3, 2))


def test_no_chains_stay_none(glass):
    made = glass()
    kernel = SwendsenWang(torch.from_numpy(made.edges), made.couplings, made.field)
    state = kernel.step(kernel.init(made.spins[:0]), torch.Generator().manual_seed(0))
    assert kernel.position(state).shape == (0, 6)


@pytest.mark.parametrize(
    ("edges", "couplings", "field", "message"),
    [
        ([[0, 1]], [1.0, 1.0], [0.0, 0.0], "must be"),
        ([0, 1], [1.0, 1.0], [0.0, 0.0], "must be"),
        ([[0, 2]], [1.0], [0.0, 0.0], "edges must name spins in 0..1"),
        ([[-1, 0]], [1.0], [0.0, 0.0], "edges must name spins in 0..1"),
        ([[0, 1]], [float("nan")], [0.0, 0.0], "NaN"),
        ([[0, 1]], [1.0], [0.0, float("nan")], "NaN"),
    ],
)
def test_couplings_that_do_not_fit_are_refused(edges, couplings, field, message):
    with pytest.raises(ValueError, match=message):
        SwendsenWang(torch.tensor(edges), torch.tensor(couplings), torch.tensor(field))
