"""Best trees against all trees, mutual information against its definition."""

from __future__ import annotations

import itertools
import math

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.exact.structure import bits
from pgm.discrete_data import DiscreteData
from pgm.structure import trees
from pgm.structure.cpdag import is_acyclic, skeleton
from pgm.structure.scores import SetScore
from pgm.structure.trees import chow_liu, pairwise_information, tan


def random_rows(seed: int, cards, n: int = 60, weights: str | None = None) -> DiscreteData:
    """Correlated rows: every variable copies another one in half of the rows."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, cards, size=(n, len(cards)))
    for v in range(1, len(cards)):
        copied = rng.random(n) < 0.5
        codes[copied, v] = codes[copied, rng.integers(v)] % cards[v]
    weight = {None: None, "real": rng.random(n) * 3, "zeros": rng.integers(0, 3, n)}[weights]
    return DiscreteData(codes, {f"x{v}": card for v, card in enumerate(cards)}, weight)


def tree_of_code(code, n: int) -> tuple[int, ...]:
    """The labelled tree of a Pruefer code, rooted at 0, as parent masks."""
    graph = networkx.from_prufer_sequence(list(code))
    parents = [0] * n
    for parent, child in networkx.bfs_edges(graph, 0):
        parents[child] = 1 << parent
    return tuple(parents)


def all_trees(n: int) -> list[tuple[int, ...]]:
    """All n ** (n - 2) labelled trees."""
    return [tree_of_code(code, n) for code in itertools.product(range(n), repeat=n - 2)]


def edge_set(parents) -> set[frozenset[int]]:
    return {frozenset((p, v)) for v, above in enumerate(parents) for p in bits(above)}


def information(codes: np.ndarray, weights: np.ndarray, u, v, scope=()) -> float:
    """n I(u; v | scope) from sums over dictionaries of counts."""

    def sums(*names) -> float:
        counts: dict[tuple[int, ...], float] = {}
        for row, weight in zip(codes[:, list(names)].tolist(), weights, strict=True):
            counts[tuple(row)] = counts.get(tuple(row), 0.0) + weight
        return sum(c * math.log(c) for c in counts.values() if c)

    return sums(u, v, *scope) - sums(u, *scope) - sums(v, *scope) + sums(*scope)


@pytest.mark.parametrize("weights", [None, "real", "zeros"])
@pytest.mark.parametrize("states_per_variable", [6, 0])
def test_information_of_all_pairs(monkeypatch, weights, states_per_variable):
    """By products of indicators in several blocks, and by sets; with and without a condition."""
    monkeypatch.setattr(trees, "MOST_STATES_PER_VARIABLE", states_per_variable)
    monkeypatch.setattr(trees, "CHUNK_CELLS", 1)
    data = random_rows(0, [2, 3, 1, 4, 2], n=600, weights=weights)
    codes = data.codes()
    weight = np.ones(600) if data.weights is None else data.weights
    alone, conditioned = pairwise_information(data), pairwise_information(data, given=3)
    assert alone.shape == conditioned.shape == (5, 5)
    for u, v in itertools.product(range(5), repeat=2):
        expected = information(codes, weight, u, v)
        assert alone[u, v] == pytest.approx(expected, rel=1e-10, abs=1e-9)
        expected = information(codes, weight, u, v, [3])
        assert conditioned[u, v] == pytest.approx(expected, rel=1e-10, abs=1e-9)


@pytest.mark.parametrize("states_per_variable", [6, 0])
def test_classes_that_never_occur_say_nothing(monkeypatch, states_per_variable):
    monkeypatch.setattr(trees, "MOST_STATES_PER_VARIABLE", states_per_variable)
    rows = [[0, 0, 0], [0, 1, 1], [2, 0, 1], [2, 1, 0], [3, 1, 1]]
    data = DiscreteData(rows, {"c": 5, "x": 2, "y": 2}, [1, 1, 1, 1, 0])
    found = pairwise_information(data, given=0)
    assert found[1, 2] == pytest.approx(4 * math.log(2))


def test_counts_are_exact_beyond_single_precision():
    """20 million rows' worth of weight: whole numbers above 2**24 are kept."""
    data = DiscreteData([[0, 0], [1, 1], [0, 1]], {"a": 2, "b": 2}, [2**24 + 1, 2**24 + 1, 1])
    codes, weights = data.codes(), data.weights
    assert weights is not None
    expected = information(codes, weights, 0, 1)
    assert pairwise_information(data)[0, 1] == pytest.approx(expected, rel=1e-14)


@settings(max_examples=15)
@given(st.integers(0, 2**32), st.sampled_from([None, "real", "zeros"]))
def test_no_tree_has_a_higher_likelihood(seed, weights):
    """All 125 trees on five variables."""
    data = random_rows(seed, [2, 3, 2, 4, 2], weights=weights)
    score = SetScore(data, "log-likelihood")
    found = chow_liu(data)
    assert len(all_trees(5)) == len({frozenset(edge_set(tree)) for tree in all_trees(5)}) == 125
    best = max(score.total(tree) for tree in all_trees(5))
    assert score.total(found) == pytest.approx(best, rel=1e-12)
    assert len(edge_set(found)) == 4 and is_acyclic(found)
    assert score.total(chow_liu(score)) == pytest.approx(best, rel=1e-12)


@settings(max_examples=15)
@given(st.integers(0, 2**32), st.sampled_from(["bic", "aic", "bdeu"]))
def test_no_forest_has_a_higher_score(seed, kind):
    """All 125 trees with any of their edges left out: every forest on five variables."""
    score = SetScore(random_rows(seed, [2, 3, 2, 4, 2], n=30), kind)
    best = max(
        score.total([above if chosen >> v & 1 else 0 for v, above in enumerate(tree)])
        for tree in all_trees(5)
        for chosen in range(32)
    )
    found = chow_liu(score)
    assert score.total(found) == pytest.approx(best, rel=1e-12)
    assert is_acyclic(found) and max(mask.bit_count() for mask in found) <= 1


def test_edges_that_do_not_pay_are_left_out():
    """Two pairs that know nothing of each other."""
    rng = np.random.default_rng(1)
    a, c = rng.integers(0, 3, 500), rng.integers(0, 3, 500)
    data = DiscreteData(np.stack([a, c, a, c], axis=1))
    assert chow_liu(SetScore(data, "bic")) == (0, 0, 0b0001, 0b0010)
    assert len(edge_set(chow_liu(data))) == 3
    assert chow_liu(SetScore(data, "bic"), root=3) == (0, 0b1000, 0b0001, 0)


def test_an_edge_that_gains_nothing_is_left_out_under_a_penalty():
    """A variable of one state costs nothing and tells nothing."""
    data = DiscreteData([[0, 0, 0], [1, 1, 0]] * 20, {"a": 2, "b": 2, "c": 1})
    for kind in ("bic", "aic", "bdeu"):
        assert chow_liu(SetScore(data, kind)) == (0, 0b001, 0)
    assert chow_liu(data) == (0, 0b001, 0b001)


def test_independent_columns_still_make_a_tree_without_a_penalty():
    grid = DiscreteData(np.array(list(itertools.product(range(2), repeat=3))))
    assert chow_liu(grid) == (0, 0b001, 0b001)
    assert chow_liu(SetScore(grid, "log-likelihood")) == (0, 0b001, 0b001)
    assert chow_liu(SetScore(grid, "bic")) == (0, 0, 0)


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.integers(0, 5))
def test_the_root_turns_the_tree_but_not_its_skeleton(seed, root):
    data = random_rows(seed, [2, 3, 2, 4, 2, 3])
    found = chow_liu(data, root=root)
    assert found[root] == 0
    assert [mask.bit_count() for mask in found].count(1) == 5
    assert is_acyclic(found)
    weights = pairwise_information(data)
    assert sum(weights[min(e), max(e)] for e in edge_set(found)) == pytest.approx(
        sum(weights[min(e), max(e)] for e in edge_set(chow_liu(data))), rel=1e-12
    )


def test_a_chain_is_found():
    """x0 - x1 - ... - x9 with 10 % of noise per step, the columns shuffled; fixed seed."""
    rng = np.random.default_rng(2)
    chain = [rng.integers(0, 2, 5000)]
    for _ in range(9):
        chain.append(chain[-1] ^ (rng.random(5000) < 0.1))
    place = rng.permutation(10)
    codes = np.empty((5000, 10), dtype=np.int8)
    codes[:, place] = np.stack(chain, axis=1)
    expected = {frozenset(map(int, pair)) for pair in itertools.pairwise(place)}
    assert edge_set(chow_liu(DiscreteData(codes))) == expected


@settings(max_examples=15)
@given(st.integers(0, 2**32), st.integers(0, 4), st.sampled_from([None, "zeros"]))
def test_no_augmented_naive_bayes_has_a_higher_likelihood(seed, target, weights):
    """All 16 trees on the four features below the class."""
    data = random_rows(seed, [2, 3, 2, 4, 3], weights=weights)
    score = SetScore(data, "log-likelihood")
    features = [v for v in range(5) if v != target]
    found = tan(data, target)
    best = -math.inf
    for tree in all_trees(4):
        parents = [0] * 5
        for v, above in zip(features, tree, strict=True):
            parents[v] = 1 << target | sum(1 << features[u] for u in bits(above))
        best = max(best, score.total(parents))
    assert score.total(found) == pytest.approx(best, rel=1e-12)
    assert found[target] == 0
    assert sorted(mask.bit_count() for mask in found) == [0, 1, 2, 2, 2]
    assert all(found[v] >> target & 1 for v in features)
    turned = tan(data, target, root=features[-1])
    assert turned[features[-1]] == 1 << target
    assert score.total(turned) == pytest.approx(best, rel=1e-12)


def test_tan_needs_the_condition():
    """x and y are independent, but not given the class; the marginal tree would join x and z."""
    rng = np.random.default_rng(3)
    x, y = rng.integers(0, 2, 4000), rng.integers(0, 2, 4000)
    target = x ^ y ^ (rng.random(4000) < 0.05)
    z = np.where(rng.random(4000) < 0.15, x, rng.integers(0, 2, 4000))
    data = DiscreteData(np.stack([target, x, y, z], axis=1))
    assert frozenset((1, 2)) in edge_set(tan(data, 0))
    marginal = pairwise_information(data)
    assert marginal[1, 2] < marginal[1, 3]


def test_smallest_cases():
    one = DiscreteData([[0], [1]])
    assert chow_liu(one) == (0,)
    assert tan(one, 0) == (0,)
    assert tan(DiscreteData([[0, 1], [1, 0]]), 1) == (0b10, 0)
    assert skeleton(tan(DiscreteData([[0, 1, 0], [1, 0, 0]]), 0)) == (0b110, 0b101, 0b011)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda d: chow_liu(d, root=3), ValueError, r"root must be in 0\.\.2, found 3"),
        (lambda d: chow_liu(d, root="a"), TypeError, "root must be the number of a variable"),
        (lambda d: chow_liu(d.codes()), TypeError, "must be DiscreteData or SetScore, found nd"),
        (lambda d: tan(d, -1), ValueError, r"target must be in 0\.\.2, found -1"),
        (lambda d: tan(d, True), TypeError, "target must be the number of a variable"),
        (lambda d: tan(d, 0, root=0), ValueError, "root must be a feature, found the target 0"),
        (lambda d: tan(d, 0, root=9), ValueError, r"root must be in 0\.\.2, found 9"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call(DiscreteData([[0, 1, 0], [1, 0, 1]]))


def test_rows_must_be_there_and_complete():
    gap = DiscreteData([[-1, 0], [0, 0]], {"a": 2, "b": 2})
    none = DiscreteData(np.zeros((0, 2), dtype=int), {"a": 2, "b": 2})
    for learn in (chow_liu, lambda data: tan(data, 0)):
        with pytest.raises(ValueError, match="'a' has 1 missing cells of 2"):
            learn(gap)
        with pytest.raises(ValueError, match="data has no rows"):
            learn(none)
