"""Small machines of two layers with numbers of some size, and their states."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from energy.rbm.kinds import HiddenKind, VisibleKind
from energy.restricted_boltzmann_machine import RestrictedBoltzmannMachine

Maker = Callable[..., RestrictedBoltzmannMachine]


@pytest.fixture(scope="session")
def machine() -> Maker:
    """A machine in double precision whose parameters are normal numbers."""

    def made(
        n_visible: int = 4,
        n_hidden: int = 3,
        visible: VisibleKind = "bernoulli",
        hidden: HiddenKind = "bernoulli",
        *,
        seed: int = 0,
        scale: float = 1.0,
        n_states: int | None = None,
    ) -> RestrictedBoltzmannMachine:
        found = RestrictedBoltzmannMachine(
            n_visible, n_hidden, visible, hidden, n_states=n_states
        ).double()
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in found.parameters():
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.copy_(scale * noise)
        return found

    return made
