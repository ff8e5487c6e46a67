"""Networks, their moments and rows with gaps that the tests of this folder share."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import networkx
import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor

from pgm.linear_gaussian_network import LinearGaussianNetwork

NAN = math.nan


def _thermometers() -> LinearGaussianNetwork:
    """A room, two thermometers, and a heater that follows the cheap one."""
    return LinearGaussianNetwork(
        [("room", "cheap"), ("room", "good"), ("cheap", "heater")],
        ["heater", "room", "cheap", "good"],
        {("room", "cheap"): 1.0, ("room", "good"): 1.5, ("cheap", "heater"): -2.0},
        {"room": 20.0, "cheap": 1.0, "good": 0.0, "heater": 50.0},
        {"room": 4.0, "cheap": 4.0, "good": 0.25, "heater": 1.0},
    )


@pytest.fixture(scope="session")
def thermometers() -> Callable[..., LinearGaussianNetwork]:
    """Builds a network of a room, two thermometers and a heater."""
    return _thermometers


@st.composite
def _networks(draw: st.DrawFn, most: int = 6) -> LinearGaussianNetwork:
    """A random graph in a random order of variables, with random numbers."""
    names = [f"v{i}" for i in range(draw(st.integers(1, most)))]
    order = draw(st.permutations(names))
    pairs = list(itertools.combinations(order, 2))
    chosen = draw(st.lists(st.booleans(), min_size=len(pairs), max_size=len(pairs)))
    edges = [pair for pair, taken in zip(pairs, chosen, strict=True) if taken]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    # Away from zero, so that no path cancels or fades by chance of size alone.
    weights = {e: rng.choice([-1, 1]) * rng.uniform(0.4, 1.2) for e in edges}
    size = len(names)
    return LinearGaussianNetwork(
        edges, names, weights, rng.normal(size=size), rng.uniform(0.3, 2.0, size)
    )


@pytest.fixture(scope="session")
def networks() -> Callable[..., st.SearchStrategy[LinearGaussianNetwork]]:
    """Random networks."""
    return _networks


def _recursion(net: LinearGaussianNetwork) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance, one variable after the other: the oracle."""
    size = len(net.variables)
    w, b, s = (p.numpy() for p in (net.weights, net.intercepts, net.variances))
    index = {name: v for v, name in enumerate(net.variables)}
    mean, covariance = np.zeros(size), np.zeros((size, size))
    done: list[int] = []
    for v in (index[name] for name in networkx.topological_sort(net.graph)):
        mean[v] = b[v] + w[done, v] @ mean[done]
        cross = covariance[np.ix_(done, done)] @ w[done, v]
        covariance[done, v] = covariance[v, done] = cross
        covariance[v, v] = s[v] + w[done, v] @ cross
        done.append(v)
    return mean, covariance


@pytest.fixture(scope="session")
def recursion() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Mean and covariance, one variable after the other."""
    return _recursion


def _with_gaps(x: Tensor, share: float, seed: int) -> Tensor:
    x = x.clone()
    x[torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)) < share] = NAN
    return x


@pytest.fixture(scope="session")
def with_gaps() -> Callable[..., Tensor]:
    """Copies rows and puts NaN in a share of their entries."""
    return _with_gaps


def _conditional(
    net: LinearGaussianNetwork, evidence: dict[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of everything given the evidence, by the Schur complement."""
    mean, covariance = _recursion(net)
    seen = [v for v, name in enumerate(net.variables) if name in evidence]
    values = np.array([evidence[net.variables[v]] for v in seen])
    gain = covariance[:, seen] @ np.linalg.inv(covariance[np.ix_(seen, seen)])
    return mean + gain @ (values - mean[seen]), covariance - gain @ covariance[seen]


@pytest.fixture(scope="session")
def conditional() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Mean and covariance given evidence."""
    return _conditional
