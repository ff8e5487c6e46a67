"""Order search and its parent lists, against all parent sets and the exact optimum."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgm import BayesianNetwork
from pgm.discrete_data import DiscreteData
from pgm.structure.constraints import Constraints
from pgm.structure.cpdag import is_acyclic
from pgm.structure.distance import structural_hamming_distance
from pgm.structure.exact_search import exact_search
from pgm.structure.order_search import order_search
from pgm.structure.parent_lists import ParentLists
from pgm.structure.scores import SetScore

NAMES = "abcdefg"


def sampled(seed: int, n_variables: int = 6, n_rows: int = 300) -> DiscreteData:
    """Rows from a random network in which everything depends on something before it."""
    rng = np.random.default_rng(seed)
    columns: list[np.ndarray] = []
    for v in range(n_variables):
        above = rng.permutation(v)[:2]
        keys = np.zeros(n_rows, dtype=int)
        for u in above:
            keys = keys * 3 + columns[u]
        table = rng.dirichlet(np.full(3, 0.4), size=9)[keys]
        columns.append((rng.random(n_rows)[:, None] > table.cumsum(1)).sum(1).clip(max=2))
    return DiscreteData(np.stack(columns, axis=1), dict.fromkeys(NAMES[:n_variables], 3))


class Arbitrary:
    """Scores drawn at random: nothing relates a set to its subsets."""

    def __init__(self, n: int, seed: int) -> None:
        self.n_variables = n
        self._values = np.random.default_rng(seed).normal(size=(n, 1 << n))

    def prepare(self, child: int, parents: int) -> None:
        pass

    def local(self, child: int, parents: int) -> float:
        return float(self._values[child, parents])

    def bound(self, child: int, parents: int) -> float:
        return np.inf


def free(n: int, most: int | None = None) -> Constraints:
    everything = (1 << n) - 1
    allowed = tuple(everything ^ 1 << v for v in range(n))
    return Constraints((0,) * n, allowed, n - 1 if most is None else most)


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 5), most=st.integers(0, 4))
def test_lists_hold_the_best_parents_among_any_predecessors(seed, n, most) -> None:
    score, limits = Arbitrary(n, seed), free(n, min(most, n - 1))
    lists = ParentLists(score, limits, beam=1000)
    for child in range(n):
        for before in range(1 << n):
            before &= ~(1 << child)
            members = [v for v in range(n) if before >> v & 1]
            sets = [
                sum(1 << v for v in chosen)
                for size in range(limits.max_parents + 1)
                for chosen in combinations(members, size)
            ]
            best = max(score.local(child, s) for s in sets)
            # Sets of three and more grow from kept sets only, so the best may be out of reach.
            found, parents = lists.best(child, before)
            assert parents in sets
            assert found == score.local(child, parents) <= best
            small = [s for s in sets if s.bit_count() <= 2]
            assert found >= max(score.local(child, s) for s in small)


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6))
def test_sets_added_later_are_found_wherever_they_fit(seed) -> None:
    score = Arbitrary(5, seed)
    lists = ParentLists(score, free(5), beam=0, max_size=1)
    for before in range(32):
        lists.best(0, before & ~1)
    everything = [mask for mask in range(32) if not mask & 1]
    lists.add(0, everything)
    for before in everything:
        best = max(score.local(0, s) for s in everything if not s & ~before)
        assert lists.best(0, before)[0] == best


@pytest.mark.parametrize("seed", range(8))
def test_search_reaches_the_exact_optimum(seed: int) -> None:
    score, limits = SetScore(sampled(seed)), free(6)
    found = order_search(score, limits, generator=seed)
    best = exact_search(score, limits)
    assert found.score == pytest.approx(best.score, abs=1e-8)
    assert found.score == pytest.approx(score.total(found.parents), abs=1e-8)
    assert is_acyclic(found.parents)
    values = [step["score"] for step in found.history]
    assert values == sorted(values)


@pytest.mark.parametrize("seed", range(4))
def test_constraints_hold_and_the_optimum_under_them_is_found(seed: int) -> None:
    data = sampled(seed)
    limits = Constraints.read(
        data.vocabulary,
        required=[("f", "a"), ("c", "d")],
        forbidden=[("a", "b"), ("b", "a"), ("d", "e")],
        max_parents=2,
    )
    score = SetScore(data, "bdeu")
    found = order_search(score, limits, generator=0)
    assert limits.permits(found.parents)
    assert is_acyclic(found.parents)
    assert found.score == pytest.approx(exact_search(score, limits).score, abs=1e-8)


def test_the_same_seed_gives_the_same_graph() -> None:
    data = sampled(11, 7, 60)
    runs = [order_search(SetScore(data), free(7), generator=5) for _ in range(2)]
    assert runs[0] == runs[1]


def test_a_time_limit_ends_the_kicks() -> None:
    score = SetScore(sampled(0))
    found = order_search(score, free(6), max_idle=10**9, time_limit=0.05, generator=0)
    assert is_acyclic(found.parents)


@pytest.mark.parametrize("n", [0, 1])
def test_trivial_sizes(n: int) -> None:
    data = DiscreteData(np.zeros((3, n), dtype=int), dict.fromkeys(NAMES[:n], 2))
    found = order_search(SetScore(data), free(n), max_idle=2, generator=0)
    assert found.parents == [0] * n


def test_alarm_passes_the_true_graph(shared) -> None:
    network = BayesianNetwork.load(shared / "data" / "bif" / "alarm.bif")
    rows = np.load(shared / "data" / "alarm_100k_seed0.npz")["X"][:5000]
    data = DiscreteData(rows, network.vocabulary)
    found = order_search(SetScore(data), Constraints.read(data.vocabulary), beam=5, generator=0)
    assert found.score >= -53_932
    names = network.variables
    edges = [
        (names[u], names[v])
        for v, above in enumerate(found.parents)
        for u in range(37)
        if above >> u & 1
    ]
    learned = BayesianNetwork(edges, network.config()["states"])
    assert structural_hamming_distance(learned, network, equivalence=True) <= 9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"beam": -1}, "beam must be"),
        ({"max_size": 1.5}, "max_size must be"),
        ({"max_idle": True}, "max_idle must be"),
        ({"time_limit": 0.0}, "time_limit must be positive"),
    ],
)
def test_bad_arguments_are_named(change, message) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        order_search(Arbitrary(2, 0), free(2), **change)
