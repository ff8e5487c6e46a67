"""Machines with numbers of some size, and rows that they learn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from energy.boltzmann_machine import BoltzmannMachine
from energy.deep_belief_network import DeepBeliefNetwork
from energy.deep_boltzmann_machine import DeepBoltzmannMachine
from energy.rbm.kinds import HiddenKind, VisibleKind
from energy.restricted_boltzmann_machine import RestrictedBoltzmannMachine
from inference.model import Model


def fill(model: Model, seed: int, scale: float) -> None:
    """Double precision, and parameters that are normal numbers."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.double().parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(scale * noise)


@pytest.fixture(scope="session")
def boltzmann() -> Callable[..., BoltzmannMachine]:
    """A maker of Boltzmann machines."""

    def made(n_visible, n_hidden=0, temperature=1.0, mask=None, *, seed=0, scale=1.0):
        found = BoltzmannMachine(n_visible, n_hidden, temperature, mask)
        n, generator = found.n_units, torch.Generator().manual_seed(seed)
        noise = scale * torch.randn(n, n + 1, dtype=torch.float64, generator=generator)
        upper = noise[:, :n].triu(1) * (1 if mask is None else mask)
        with torch.no_grad():
            found.weights.copy_(upper + upper.T)
            found.bias.copy_(noise[:, n])
        return found

    return made


@pytest.fixture(scope="session")
def machine() -> Callable[..., RestrictedBoltzmannMachine]:
    """A maker of restricted Boltzmann machines."""

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
        kinds = visible, hidden
        found = RestrictedBoltzmannMachine(n_visible, n_hidden, *kinds, n_states=n_states)
        fill(found, seed, scale)
        return found

    return made


@pytest.fixture(scope="session")
def stack() -> Callable[..., DeepBoltzmannMachine]:
    """A maker of deep Boltzmann machines."""

    def made(*layer_sizes: int, seed: int = 0, scale: float = 1.0) -> DeepBoltzmannMachine:
        found = DeepBoltzmannMachine(layer_sizes)
        fill(found, seed, scale)
        return found

    return made


@pytest.fixture(scope="session")
def network() -> Callable[..., DeepBeliefNetwork]:
    """A maker of deep belief networks."""

    def made(
        sizes: Sequence[int] = (4, 3, 2), n_classes: int = 0, *, seed: int = 0, scale: float = 1.0
    ) -> DeepBeliefNetwork:
        found = DeepBeliefNetwork(sizes, n_classes, generator=seed)
        fill(found, seed, scale)
        return found

    return made


@pytest.fixture
def bars() -> Tensor:
    """Rows of three pixels that agree, two of them, with some noise."""
    generator = torch.Generator().manual_seed(0)
    on = torch.randint(0, 2, (400, 2), generator=generator)
    rows = on.repeat_interleave(3, 1).float()
    noise = torch.rand(rows.shape, generator=generator) < 0.05
    return torch.where(noise, 1 - rows, rows)
