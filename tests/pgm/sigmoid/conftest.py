"""Networks and rows that the tests of sigmoid belief networks share."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor

from pgm.sigmoid_belief_network import SigmoidBeliefNetwork


def _randomized(net: SigmoidBeliefNetwork, seed: int, scale: float = 1.5) -> SigmoidBeliefNetwork:
    """Random parameters, also where there is no arrow: those must not matter."""
    generator = torch.Generator().manual_seed(seed)
    for value in (net.weights, net.bias):
        noise = torch.randn(value.shape, generator=generator, dtype=torch.float64)
        value.data.copy_(scale * noise)
    return net


@pytest.fixture(scope="session")
def randomized() -> Callable[..., SigmoidBeliefNetwork]:
    """Gives a network random parameters."""
    return _randomized


def _with_gaps(net: SigmoidBeliefNetwork, n: int, seed: int, share: float = 0.4) -> Tensor:
    """Sampled rows with entries missing at random."""
    rows = net.sample(n, generator=seed)
    generator = torch.Generator().manual_seed(seed + 1)
    return torch.where(torch.rand(rows.shape, generator=generator) < share, -1, rows)


@pytest.fixture(scope="session")
def with_gaps() -> Callable[..., Tensor]:
    """Sampled rows with entries missing at random."""
    return _with_gaps


@st.composite
def _networks(draw: st.DrawFn, most: int = 6) -> SigmoidBeliefNetwork:
    names = [f"u{k}" for k in range(draw(st.integers(1, most)))]
    order = draw(st.permutations(names))
    pairs = list(itertools.combinations(order, 2))
    taken = draw(st.lists(st.booleans(), min_size=len(pairs), max_size=len(pairs)))
    edges = [pair for pair, keep in zip(pairs, taken, strict=True) if keep]
    return _randomized(SigmoidBeliefNetwork(edges, names), draw(st.integers(0, 2**31)))


@pytest.fixture(scope="session")
def networks() -> Callable[..., st.SearchStrategy[SigmoidBeliefNetwork]]:
    """Random networks."""
    return _networks


@pytest.fixture
def explaining_away() -> SigmoidBeliefNetwork:
    """T7: two causes with prior 1/2, weights 2 and bias -1 of their effect."""
    net = SigmoidBeliefNetwork([2, 1])
    net.bias.data[2] = -1.0
    net.weights.data[:2, 2] = 2.0
    return net
