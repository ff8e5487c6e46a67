"""What judges the sections on fields and spins, and the peers' side of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks import propagation
from benchmarks.peer_dwave import Dwave
from benchmarks.peer_pgmax import PGMax
from energy import IsingModel
from inference import IsingGrid, simulated_annealing


def test_propagation_is_judged_by_exact_elimination() -> None:
    (row,) = propagation._against_exact("grid", *propagation._small_grid(0.3))
    assert 0 < row["measured"] < 0.02
    assert row["verdict"] == ""  # the upper bound is one
    assert "settled" in row["note"]


def test_pgmax_makes_the_same_messages() -> None:
    if not PGMax.installed():
        pytest.skip("needs PGMax, which is not installed")
    grid = IsingGrid(*[0.3 * torch.randn(shape) for shape in ((4, 5), (4, 4), (3, 5))]).pairwise()
    peer = PGMax(
        grid.log_unary.reshape(4, 5, 2).numpy(), grid.edges.numpy(), grid.log_tables.numpy()
    )
    theirs = peer.marginals(peer.iterations(7)())
    ours = propagation._run(grid, 7).marginals.reshape(4, 5, 2).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_dwave_finds_the_same_ground_states() -> None:
    if not Dwave.installed():
        pytest.skip("needs dwave-samplers, which is not installed")
    edges = np.array([[0, 1], [1, 2], [2, 0], [2, 3]])
    weights = np.array([1.0, 2.0, 3.0, 1.5])
    found = simulated_annealing(IsingModel.from_edges(4, edges, -weights), generator=0)
    energies = Dwave(edges, weights).energies(100, 8, 0)
    assert energies.min() == pytest.approx(float(found.energy.min()))
