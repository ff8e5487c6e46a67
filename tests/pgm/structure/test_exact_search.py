"""Exact search: every graph enumerated, constraints, memory, other searches never above it."""

from __future__ import annotations

import functools
import itertools
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgm.discrete_data import DiscreteData
from pgm.structure.constraints import Constraints
from pgm.structure.cpdag import is_acyclic
from pgm.structure.equivalence_search import greedy_equivalence_search
from pgm.structure.exact_search import exact_search, exact_search_bytes
from pgm.structure.hill_climbing import hill_climb
from pgm.structure.local_score import total_score
from pgm.structure.scores import SetScore


class Table:
    """A score with one independent number per family, which counts its calls."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values
        self.n_variables = len(values)
        self.calls = 0

    def prepare(self, child: int, parents: int) -> None:
        pass

    def local(self, child: int, parents: int) -> float:
        assert not parents >> child & 1, "a family with the child among its parents"
        self.calls += 1
        return float(self.values[child, parents])


def free(n: int, max_parents: int | None = None) -> Constraints:
    everything = (1 << n) - 1
    allowed = tuple([everything ^ 1 << v for v in range(n)])
    return Constraints((0,) * n, allowed, n - 1 if max_parents is None else max_parents)


@functools.cache
def all_graphs(n: int) -> np.ndarray:
    """Parent masks of all directed acyclic graphs, (number, n): sinks are peeled off all at once.

    The numbers are those of Robinson 1977: 1, 3, 25, 543, 29281.
    """
    below = [[m for m in range(1 << n) if not m >> v & 1] for v in range(n)]
    graphs = np.stack([g.ravel() for g in np.meshgrid(*below, indexing="ij")], axis=1)
    placed = np.zeros(len(graphs), dtype=np.int64)
    for _ in range(n):
        for v in range(n):
            placed |= (graphs[:, v] & ~placed == 0).astype(np.int64) << v
    return graphs[placed == (1 << n) - 1]


def permitted(graphs: np.ndarray, constraints: Constraints) -> np.ndarray:
    """The graphs that keep to the constraints."""
    kept = np.ones(len(graphs), dtype=bool)
    for v, (must, may) in enumerate(zip(constraints.required, constraints.allowed, strict=True)):
        above = graphs[:, v]
        size = sum((above >> u & 1 for u in range(graphs.shape[1])), np.zeros_like(above))
        kept &= (must & ~above == 0) & (above & ~may == 0) & (size <= constraints.max_parents)
    return graphs[kept]


def scores_of(values: np.ndarray, graphs: np.ndarray) -> np.ndarray:
    return sum((values[v, graphs[:, v]] for v in range(len(values))), np.zeros(len(graphs)))


def random_constraints(n: int, draws: np.random.Generator) -> Constraints:
    """Required edges along a random order, forbidden ones at random."""
    order = draws.permutation(n).tolist()
    limit = int(draws.integers(1, n))
    required, allowed = [0] * n, [0] * n
    for place, v in enumerate(order):
        for u in order[:place][:limit]:
            required[v] |= (1 << u) * int(draws.random() < 0.2)
        allowed[v] = required[v] | sum([1 << u for u in order if u != v and draws.random() < 0.6])
    return Constraints(tuple(required), tuple(allowed), limit)


@pytest.mark.parametrize(("n", "number"), [(1, 1), (2, 3), (3, 25), (4, 543), (5, 29281)])
def test_enumeration_is_complete(n, number):
    graphs = all_graphs(n)
    assert len(graphs) == number
    assert all(is_acyclic(graph) for graph in graphs[:: max(1, number // 200)].tolist())


@settings(max_examples=60)
@given(n=st.integers(1, 5), seed=st.integers(0, 2**32), limit=st.integers(0, 4))
def test_best_of_all_graphs(n, seed, limit):
    values = np.random.default_rng(seed).normal(size=(n, 1 << n))
    constraints = free(n, min(limit, n - 1))
    found = exact_search(Table(values), constraints)
    scores = scores_of(values, permitted(all_graphs(n), constraints))
    assert found.score == pytest.approx(scores.max(), abs=1e-12)
    assert is_acyclic(found.parents) and constraints.permits(found.parents)
    assert found.score == pytest.approx(total_score(Table(values), found.parents), abs=1e-12)


@settings(max_examples=60)
@given(n=st.integers(2, 5), seed=st.integers(0, 2**32))
def test_best_of_all_permitted_graphs(n, seed):
    draws = np.random.default_rng(seed)
    values, constraints = draws.normal(size=(n, 1 << n)), random_constraints(n, draws)
    found = exact_search(Table(values), constraints)
    scores = scores_of(values, permitted(all_graphs(n), constraints))
    assert constraints.permits(found.parents) and is_acyclic(found.parents)
    assert found.score == pytest.approx(scores.max(), abs=1e-12)


def test_constraints_cost_something():
    """The test above would not pass with the constraints ignored."""
    draws = np.random.default_rng(0)
    values, constraints = draws.normal(size=(5, 32)), random_constraints(5, draws)
    assert (
        exact_search(Table(values), free(5)).score > exact_search(Table(values), constraints).score
    )


def test_one_order_is_not_enough():
    """Best parents along any fixed order: the best order gives the optimum, others do not."""
    values = np.random.default_rng(5).normal(size=(5, 32))
    best = exact_search(Table(values), free(5)).score
    found = []
    for order in itertools.permutations(range(5)):
        above, total = 0, 0.0
        for v in order:
            total += max(values[v, m] for m in range(32) if not m & ~above)
            above |= 1 << v
        found.append(total)
    assert max(found) == pytest.approx(best, abs=1e-12)
    assert min(found) < best - 1.0


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32))
def test_no_search_is_better(seed):
    values = np.random.default_rng(seed).normal(size=(7, 128))
    best = exact_search(Table(values), free(7)).score
    climbed = hill_climb(Table(values), free(7), restarts=2, generator=seed).score
    assert climbed <= best + 1e-9


def test_data(shared):
    """Ten variables of alarm: heuristic searches come close from below."""
    with np.load(shared / "data" / "alarm_100k_seed0.npz") as file:
        rows = DiscreteData(file["X"][:2000, 5:15], names=file["names"][5:15].tolist())
    score, constraints = SetScore(rows), Constraints.read(rows.vocabulary, max_parents=3)
    best = exact_search(score, constraints)
    assert best.score == pytest.approx(score.total(best.parents), abs=1e-8)
    for found in (
        hill_climb(score, constraints, restarts=5, generator=0),
        greedy_equivalence_search(score, constraints),
    ):
        assert best.score - 100 < found.score <= best.score + 1e-8


def test_only_permitted_families_are_scored():
    score = Table(np.random.default_rng(0).normal(size=(7, 128)))
    exact_search(score, free(7, 2))
    families = 7 * (1 + 6 + math.comb(6, 2))
    assert score.calls == families + 7, "once each, and the answer once more"


def test_ties_are_broken_the_same_way():
    found = [exact_search(Table(np.zeros((4, 16))), free(4)).parents for _ in range(2)]
    assert found[0] == found[1] == [0, 0, 0, 0]


@pytest.mark.parametrize(("n", "limit"), [(6, 5), (12, 3), (12, 11), (14, 1)])
def test_stated_memory_is_what_it_takes(n, limit):
    score, constraints = Table(np.zeros((n, 1 << n))), free(n, limit)
    tracemalloc.start()
    try:
        exact_search(score, constraints)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= exact_search_bytes(constraints)
    if n > 6:
        assert peak > 0.5 * exact_search_bytes(constraints)


def test_more_than_fits_is_refused_before_anything_is_scored():
    class Untouched:
        n_variables = 30

        def prepare(self, child: int, parents: int) -> None:
            pass

        def local(self, child: int, parents: int) -> float:
            raise AssertionError("scored before the size was looked at")

    with pytest.raises(ValueError, match=r"30 variables would take 154,\d{3},\d{3},\d{3} bytes"):
        exact_search(Untouched(), free(30, 1))
    score, constraints = Table(np.zeros((4, 16))), free(4)
    exact_search(score, constraints, max_bytes=exact_search_bytes(constraints))
    with pytest.raises(ValueError, match="more than max_bytes"):
        exact_search(score, constraints, max_bytes=exact_search_bytes(constraints) - 1)


def test_refusals():
    values = np.zeros((3, 8))
    values[2, 0b01] = math.nan
    with pytest.raises(ValueError, match=r"score.local\(2, 0b1\) must be finite, found nan"):
        exact_search(Table(values), free(3))
    with pytest.raises(ValueError, match="constraints must have one mask for each of the 3"):
        exact_search(Table(np.zeros((3, 8))), free(2))
