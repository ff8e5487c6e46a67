"""Random ragged chains, and what enumeration of all paths says of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import strategies as st

from inference.exact.chain.layout import ChainLayout
from inference.exact.chain.potentials import ChainPotentials


class Law(NamedTuple):
    """One sequence, enumerated; ``possible`` marks states on paths of weight above zero."""

    paths: np.ndarray
    log_weights: np.ndarray
    log_partition: float
    unary: np.ndarray
    pairs: np.ndarray
    possible: np.ndarray
    possible_pairs: np.ndarray


class Chains(NamedTuple):
    """Ragged sequences with the emissions (N, K) of the tokens one after the other."""

    potentials: ChainPotentials
    emissions: np.ndarray
    layout: ChainLayout

    @property
    def packed(self) -> np.ndarray:
        """Emissions as the engine takes them, (K, N)."""
        return self.layout.pack(self.emissions).T

    def cast(self, convert: Callable) -> tuple[ChainPotentials, object, ChainLayout]:
        """Arguments of the engine, every array converted."""
        p = self.potentials
        parts = [convert(x) for x in (p.log_start, p.log_transitions, p.log_end)]
        return ChainPotentials(*parts), convert(np.ascontiguousarray(self.packed)), self.layout

    def each(self, rows: np.ndarray) -> list[np.ndarray]:
        """Rows of packed tokens, (N, ...), sequence by sequence."""
        return np.split(self.layout.unpack(rows), np.cumsum(self.layout.lengths)[:-1])


def _enumerate(p: ChainPotentials, emissions: np.ndarray) -> Law:
    n_steps, n_states = emissions.shape
    paths = np.array(list(itertools.product(range(n_states), repeat=n_steps)), dtype=int)
    if n_steps == 0:
        unary, pairs = np.zeros((0, n_states)), np.zeros((0, n_states, n_states))
        return Law(paths, np.zeros(1), 0.0, unary, pairs, unary > 0, pairs > 0)
    weights = p.log_start[paths[:, 0]] + p.log_end[paths[:, -1]]
    weights = weights + emissions[np.arange(n_steps), paths].sum(1)
    weights = weights + p.log_transitions[paths[:, :-1], paths[:, 1:]].sum(1)
    peak = weights.max()
    shift = peak if peak > -np.inf else 0.0
    mass = np.exp(weights - shift)
    share = mass / mass.sum() if mass.any() else mass
    with np.errstate(divide="ignore"):
        total = float(np.log(mass.sum()) + shift)
    states = np.arange(n_states)
    at = (paths[:, :, None] == states).astype(float)
    parts = [
        array
        for by in (share, (weights > -np.inf).astype(float))
        for array in (
            np.einsum("p,pti->ti", by, at),
            np.einsum("p,pti,ptj->tij", by, at[:, :-1], at[:, 1:]),
        )
    ]
    return Law(paths, weights, total, *parts[:2], parts[2] > 0, parts[3] > 0)


@pytest.fixture(scope="session")
def laws() -> Callable[[Chains], list[Law]]:
    """Enumerate every sequence."""

    def of(chains: Chains) -> list[Law]:
        rows = np.split(chains.emissions, np.cumsum(chains.layout.lengths)[:-1])
        return [_enumerate(chains.potentials, row) for row in rows]

    return of


def _draw_chains(
    lengths: list[int], n_states: int, seed: int, zeros: float, spread: float
) -> Chains:
    rng = np.random.default_rng(seed)

    def table(*shape: int) -> np.ndarray:
        return np.where(rng.random(shape) < zeros, -np.inf, spread * rng.normal(size=shape))

    parts = (table(n_states), table(n_states, n_states), table(n_states))
    layout = ChainLayout(lengths)
    return Chains(ChainPotentials(*parts), table(layout.n_tokens, n_states), layout)


@pytest.fixture(scope="session")
def draw_chains() -> Callable[..., Chains]:
    """Chains from lengths, a number of states, a seed, the share of zeros and the spread."""
    return _draw_chains


@pytest.fixture(scope="session")
def chains() -> Callable[..., st.SearchStrategy[Chains]]:
    """Strategy for small chains, with and without zeros, tame and wild."""

    def strategy() -> st.SearchStrategy[Chains]:
        return st.builds(
            _draw_chains,
            st.lists(st.integers(0, 5), min_size=1, max_size=5),
            st.integers(1, 3),
            st.integers(0, 2**32 - 1),
            st.sampled_from([0.0, 0.15, 0.5]),
            st.sampled_from([0.0, 1.0, 30.0, 300.0]),
        )

    return strategy
