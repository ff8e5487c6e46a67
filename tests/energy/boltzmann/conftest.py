"""Small Boltzmann machines with numbers of some size."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from energy.boltzmann_machine import BoltzmannMachine

Maker = Callable[..., BoltzmannMachine]


@pytest.fixture(scope="session")
def machine() -> Maker:
    """A machine whose parameters are normal numbers."""

    def made(n_visible=4, n_hidden=0, temperature=1.0, mask=None, *, seed=0, scale=1.0):
        found = BoltzmannMachine(n_visible, n_hidden, temperature, mask)
        generator = torch.Generator().manual_seed(seed)
        n = found.n_units
        noise = torch.randn(n, n + 1, dtype=torch.float64, generator=generator) * scale
        weights = noise[:, :n].triu(1)
        if mask is not None:
            weights = weights * mask
        with torch.no_grad():
            found.weights.copy_(weights + weights.T)
            found.bias.copy_(noise[:, n])
        return found

    return made
