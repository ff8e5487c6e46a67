"""Small random factor graphs with and without cycles, and how far two answers are apart."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from inference import Factor, FactorGraph
from inference.convergence import ConvergenceWarning

NAMES = "abcdefghijklmnop"


def table(rng: np.random.Generator, shape: tuple[int, ...], sd: float, zeros: float) -> Any:
    """Normal log potentials, whole numbers (ties) for sd = 1, a share of hard zeros."""
    values = rng.normal(0.0, sd, shape)
    values = values.round() if sd == 1 else values
    return torch.from_numpy(np.where(rng.random(shape) < zeros, -np.inf, values))


@st.composite
def _trees(
    draw: st.DrawFn,
    spreads: tuple[float, ...] = (0.3, 1, 3, 30),
    zeros: tuple[float, ...] = (0, 0, 0.15),
    widest: int = 4,
    least_states: int = 1,
) -> FactorGraph:
    """Factors that each meet what is there in one variable or none; a few more of one or none."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sd, share = draw(st.sampled_from(spreads)), draw(st.sampled_from(zeros))
    count = draw(st.integers(0, 6))
    scopes: list[list[str]] = []
    used = 1
    for _ in range(count):
        fresh = int(rng.integers(1, widest))
        scope = list(NAMES[used : used + fresh])
        if rng.random() < 0.85:
            scope.append(NAMES[rng.integers(used)])
        used += fresh
        scopes.append(rng.permutation(scope).tolist())
        if used > 10:
            break
    names = NAMES[:used]
    scopes += [[str(rng.choice(list(names)))] for _ in range(rng.integers(4))]
    scopes += [[] for _ in range(rng.integers(2))]
    cards = {name: int(rng.integers(least_states, 4)) for name in names}
    shapes = [tuple([cards[name] for name in scope]) for scope in scopes]
    factors = [
        Factor(s, table(rng, shape, sd, share)) for s, shape in zip(scopes, shapes, strict=True)
    ]
    return FactorGraph(cards, factors)


@pytest.fixture(scope="session")
def trees() -> Callable[..., st.SearchStrategy[FactorGraph]]:
    return _trees


@st.composite
def _loopy(
    draw: st.DrawFn,
    sd: float = 0.6,
    zeros: tuple[float, ...] = (0,),
    widest: int = 3,
    cards: tuple[int, ...] = (1, 2, 3),
) -> FactorGraph:
    """Any scopes over a few variables; couplings weak enough that rounds mostly settle."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    names = list(NAMES[: draw(st.integers(2, 6))])
    sizes = {name: int(rng.choice(cards)) for name in names}
    share = draw(st.sampled_from(zeros))
    factors = []
    for _ in range(draw(st.integers(1, 9))):
        arity = int(rng.integers(1, min(widest, len(names)) + 1))
        scope = rng.permutation(names)[:arity].tolist()
        shape = tuple([sizes[name] for name in scope])
        factors.append(Factor(scope, table(rng, shape, sd, share)))
    return FactorGraph(sizes, factors)


@pytest.fixture(scope="session")
def loopy() -> Callable[..., st.SearchStrategy[FactorGraph]]:
    return _loopy


def _ising(
    side: int, coupling: float, seed: int, field: float = 0.3
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fields and couplings to the right and downwards."""
    rng = np.random.default_rng(seed)
    own = field * rng.normal(size=(side, side))
    right = coupling * rng.normal(size=(side, side - 1))
    return own, right, coupling * rng.normal(size=(side - 1, side))


@pytest.fixture(scope="session")
def ising() -> Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]:
    return _ising


def _spin_graph(field: np.ndarray, right: np.ndarray, down: np.ndarray) -> FactorGraph:
    """The same spins as named factors."""
    signs = np.array([-1.0, 1.0])
    height, width = field.shape
    factors = [
        Factor([f"{i},{j}"], field[i, j] * signs) for i in range(height) for j in range(width)
    ]
    factors += [
        Factor([f"{i},{j}", f"{i},{j + 1}"], right[i, j] * np.outer(signs, signs))
        for i in range(height)
        for j in range(width - 1)
    ]
    factors += [
        Factor([f"{i},{j}", f"{i + 1},{j}"], down[i, j] * np.outer(signs, signs))
        for i in range(height - 1)
        for j in range(width)
    ]
    return FactorGraph({f"{i},{j}": 2 for i in range(height) for j in range(width)}, factors)


@pytest.fixture(scope="session")
def spin_graph() -> Callable[..., FactorGraph]:
    return _spin_graph


def _apart(found: Mapping[str, Any], expected: Mapping[str, Any]) -> float:
    """Largest difference of two sets of marginals; NaN must meet NaN."""
    assert list(found) == list(expected)
    gaps = [0.0]
    for name, other in expected.items():
        assert found[name].shape == other.shape
        assert torch.equal(found[name].isnan(), other.isnan())
        gaps.append(float((found[name] - other).nan_to_num().abs().max()))
    return max(gaps)


@pytest.fixture(scope="session")
def apart() -> Callable[[Mapping[str, Any], Mapping[str, Any]], float]:
    return _apart


@contextmanager
def _unsettled() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


@pytest.fixture(scope="session")
def unsettled() -> Any:
    """Context manager in which an iteration may stop before it has converged."""
    return _unsettled
