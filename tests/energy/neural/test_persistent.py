"""Persistent chains: the loss, and that chains at the law stay there."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from energy.neural.persistent import PersistentChains
from energy.neural.training import Settings
from inference.sampling.continuous_law import NormalBase
from inference.sampling.langevin import MALA, ULA
from inference.sampling.metropolis import ContinuousKernel

CHAINS = 4000


def energy(x: Tensor) -> Tensor:
    """Of the standard normal law."""
    return 0.5 * x.square().sum(1)


def started(kernel: ContinuousKernel, **numbers: float) -> PersistentChains:
    """Chains that start at exact draws of that law; the base is another one."""
    source = torch.Generator().manual_seed(0)
    begun = torch.randn(CHAINS, 1, generator=source, dtype=torch.float64)
    settings = Settings(chains=CHAINS, **numbers)  # type: ignore[arg-type]
    base = NormalBase([5.0], 0.1)
    return PersistentChains(energy, energy, kernel, base, begun, settings)


def moved_variance(kernel: ContinuousKernel) -> float:
    """Variance of the chains after one step of learning."""
    loss = started(kernel, restart=0.0, steps=20)
    loss(torch.zeros(CHAINS, 1, dtype=torch.float64), torch.Generator().manual_seed(1))
    return float(loss.chains.square().mean())


#: Six standard errors of a variance of independent draws: false alarms are 2e-9.
ALLOWED = 6 * math.sqrt(2 / CHAINS)


def test_chains_at_the_law_stay_there() -> None:
    log_density = lambda x: -energy(x)  # noqa: E731
    assert abs(moved_variance(MALA(log_density, 1.2)) - 1) < ALLOWED
    # Without acceptance the variance is 1 / (1 - 1.2 ** 2 / 4).
    assert moved_variance(ULA(log_density, 1.2)) - 1 > ALLOWED


def test_loss_is_the_gap_and_the_penalty() -> None:
    batch = torch.full((CHAINS, 1), 2.0, dtype=torch.float64)
    for l2 in (0.0, 0.5):
        loss = started(MALA(lambda x: -energy(x), 0.5), l2=l2, steps=2)
        value = loss(batch, torch.Generator().manual_seed(1))
        e, f = energy(batch), energy(loss.chains)
        exact = e.mean() - f.mean() + l2 * (e.square().mean() + f.square().mean())
        assert torch.allclose(value, exact, rtol=1e-12)


def test_chains_begin_again_at_the_base() -> None:
    loss = started(MALA(lambda x: -energy(x), 1e-6), restart=0.25, steps=1)
    before = loss.chains.clone()
    loss(torch.zeros(CHAINS, 1, dtype=torch.float64), torch.Generator().manual_seed(1))
    share = float(((loss.chains - 5).abs() < 1).double().mean())
    # Six standard errors of a share of a quarter.
    assert abs(share - 0.25) < 6 * math.sqrt(0.25 * 0.75 / CHAINS)
    assert float(before.max()) < 4.5


def test_a_small_batch_moves_as_many_chains() -> None:
    loss = started(MALA(lambda x: -energy(x), 0.5), restart=0.0)
    before = loss.chains.clone()
    loss(torch.zeros(10, 1, dtype=torch.float64), torch.Generator().manual_seed(1))
    assert 0 < int((loss.chains != before).sum()) <= 10


@pytest.mark.parametrize("first", [0.01, 30.0])
def test_step_size_follows_the_acceptance(first: float) -> None:
    loss = started(MALA(lambda x: -energy(x), first), restart=0.0, steps=50)
    source = torch.Generator().manual_seed(1)
    for _ in range(20):
        loss(torch.zeros(100, 1, dtype=torch.float64), source)
    # The best acceptance 0.574 of this law is reached near 1.9.
    assert 1.2 < float(loss.step_size) < 3.0
