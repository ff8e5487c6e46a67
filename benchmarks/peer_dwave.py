"""dwave-samplers as a sampler and annealer of spins."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np

__all__ = ["Dwave"]


class Dwave:
    """Its simulated annealing, compiled for one thread.

    Arguments:
        edges: (E, 2) numbers of spins.
        couplings: J of E(s) = sum J s s, (E,): low energies are likely, so minus ours.
    """

    def __init__(self, edges: np.ndarray, couplings: np.ndarray) -> None:
        import dimod
        from dwave.samplers import SimulatedAnnealingSampler

        pairs = {(int(i), int(j)): float(w) for (i, j), w in zip(edges, couplings, strict=True)}
        self._model = dimod.BinaryQuadraticModel.from_ising({}, pairs)
        self._sampler = SimulatedAnnealingSampler()

    @staticmethod
    def installed() -> bool:
        """Whether it can be imported."""
        return all(map(importlib.util.find_spec, ("dwave", "dimod")))

    def sweeps(self, beta: float, sweeps: int, chains: int, rule: str) -> Any:
        """Sweeps of all chains at one inverse temperature."""
        return self._sampler.sample(
            self._model,
            num_reads=chains,
            num_sweeps=sweeps,
            beta_schedule_type="custom",
            beta_schedule=[beta] * sweeps,
            proposal_acceptance_criteria=rule,
            seed=1,
        )

    def energies(self, sweeps: int, chains: int, seed: int) -> np.ndarray:
        """Energies that annealing with its own temperatures ends at, one per chain."""
        found = self._sampler.sample(self._model, num_reads=chains, num_sweeps=sweeps, seed=seed)
        return np.asarray(found.record.energy)
