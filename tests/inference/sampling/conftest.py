"""Small models whose law is enumerated, and exact transition matrices of sweeps over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from inference.exact.enumerate import enumerate_states
from inference.sampling.density import DiscreteDensity
from inference.sampling.factor_arrays import FactorArrays

CARDS = (2, 3, 2, 3, 2)
SCOPES = ((0, 1), (1, 2, 3), (3, 4), (0,), (1,), (0, 4), (), (2,))

Maker = Callable[..., DiscreteDensity]


@pytest.fixture(scope="session")
def make() -> Maker:
    """A random model of mixed shapes; a share of its entries are hard zeros."""

    def made(
        seed: int = 0,
        zeros: float = 0.0,
        cards: Sequence[int] = CARDS,
        scopes: Sequence[Sequence[int]] = SCOPES,
        scale: float = 1.0,
        **options: object,
    ) -> DiscreteDensity:
        rng = np.random.default_rng(seed)
        arrays = FactorArrays.from_scopes(cards, scopes)
        logs = scale * rng.normal(size=arrays.size)
        logs[rng.random(arrays.size) < zeros] = -np.inf
        # Some state is always possible: the one that is zero everywhere.
        for group in arrays.groups:
            logs[group.offsets] = 0.0
        return DiscreteDensity(arrays, torch.from_numpy(logs), **options)

    return made


@pytest.fixture(scope="session")
def law() -> Callable[..., tuple[Tensor, Tensor]]:
    """All joint states of a density, and their probabilities at an inverse temperature."""

    def found(density: DiscreteDensity, beta: float = 1.0) -> tuple[Tensor, Tensor]:
        states = enumerate_states(density.arrays.cards.tolist())
        weights = density.log_weight(states)
        possible = weights > -torch.inf
        weights = torch.where(possible, beta * weights, -torch.inf)
        return states, weights.softmax(0)

    return found


@pytest.fixture(scope="session")
def transitions() -> Callable[..., Tensor]:
    """The exact matrix of one sweep, from the conditionals that the sweep draws from."""

    def found(density: DiscreteDensity, states: Tensor, beta: float = 1.0) -> Tensor:
        n_states, n = states.shape
        total = torch.eye(n_states, dtype=torch.float64)
        for block in density.blocks:
            logits = density.conditionals(block, states.int(), beta).log_softmax(0)
            step = torch.ones(n_states, n_states, dtype=torch.float64)
            members = block.variables.tolist()
            for place, v in enumerate(members):
                step = step * logits[:, place].exp().T[:, states[:, v]]
            rest = [v for v in range(n) if v not in members]
            step = step * (states[:, None, rest] == states[None, :, rest]).all(-1)
            total = total @ step
        return total

    return found
