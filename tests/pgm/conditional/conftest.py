"""Conditional random fields by brute force: every labelling of small graphs, weighed in Python."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pgm.conditional.templates import GridTemplate
from pgm.conditional_random_field import ConditionalRandomField


class Law:
    """All labellings (S, n) of a graph with their log weights (S,), added up node by node."""

    def __init__(self, unary: Tensor, edges: list[tuple[int, int]], tables: list[Tensor]) -> None:
        n, n_states = unary.shape
        self.labellings = torch.tensor(list(itertools.product(range(n_states), repeat=n)))
        y = self.labellings.T
        self.log_weights = sum(unary[i, y[i]] for i in range(n)) + sum(
            table[y[i], y[j]] for (i, j), table in zip(edges, tables, strict=True)
        )
        self.log_partition = torch.logsumexp(self.log_weights, 0)
        self.probs = (self.log_weights - self.log_partition).exp()

    def log_prob(self, y: Tensor) -> Tensor:
        """Of a labelling (n,) in which -1 is missing."""
        agrees = ((self.labellings == y) | (y < 0)).all(1)
        return torch.logsumexp(self.log_weights[agrees], 0) - self.log_partition

    def marginals(self, n_states: int) -> Tensor:
        """(n, K)."""
        return torch.einsum(
            "s,snk->nk", self.probs, nn.functional.one_hot(self.labellings, n_states).double()
        )


def _grid_edges(height: int, width: int, offsets) -> list[tuple[int, int, int]]:
    """Both ends and the kind of every edge, by looking at all pairs of places."""
    places = list(itertools.product(range(height), range(width)))
    found = []
    for kind, (down, right) in enumerate(offsets):
        for i, (r, c) in enumerate(places):
            other = (r + down, c + right)
            if other in places:
                found.append((i, places.index(other), kind))
    return found


@pytest.fixture(scope="session")
def grid_edges() -> Callable[..., list[tuple[int, int, int]]]:
    """Edges of a plane by brute force."""
    return _grid_edges


@pytest.fixture(scope="session")
def law() -> type[Law]:
    """The law of a graph by brute force."""
    return Law


def _grid_law(scores: Tensor, tables: Tensor, neighbours: int = 4) -> Law:
    """Law of one grid with scores (K, H, W) and tables (M, K, K)."""
    n_states, height, width = scores.shape
    edges = _grid_edges(height, width, GridTemplate(neighbours).offsets)
    return Law(
        scores.reshape(n_states, -1).T,
        [(i, j) for i, j, _ in edges],
        [tables[kind] for _, _, kind in edges],
    )


@pytest.fixture(scope="session")
def grid_law() -> Callable[..., Law]:
    """The law of one grid with a table per displacement."""
    return _grid_law


def _table_field(
    seed: int, n_states: int, *, strength: float = 1.0, neighbours: int = 4
) -> ConditionalRandomField:
    """A field on planes whose input holds the scores, with random tables."""
    field = ConditionalRandomField(
        GridTemplate(neighbours), n_states, nn.Identity(), "table"
    ).double()
    rng = np.random.default_rng(seed)
    tables = strength * rng.normal(size=field.pairwise.tables.shape)
    field.pairwise.tables.data.copy_(torch.from_numpy(tables))
    return field


@pytest.fixture(scope="session")
def table_field() -> Callable[..., ConditionalRandomField]:
    """A field on planes with random tables."""
    return _table_field


def _scores(seed: int, *shape: int) -> Tensor:
    """Random scores."""
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


@pytest.fixture(scope="session")
def scores() -> Callable[..., Tensor]:
    """Random scores of a shape."""
    return _scores


def _labels(seed: int, n_states: int, *shape: int, missing: bool = False) -> Tensor:
    """Random labels, some of them missing if asked for."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(-1 if missing else 0, n_states, shape))


@pytest.fixture(scope="session")
def labels() -> Callable[..., Tensor]:
    """Random labels of a shape."""
    return _labels
