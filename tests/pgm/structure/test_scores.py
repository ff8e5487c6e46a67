"""Scores as differences of set functions, against the formulas written out family by family."""

from __future__ import annotations

from itertools import combinations, permutations
from math import lgamma, log, prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.exact.structure import bits
from pgm import BayesianNetwork
from pgm.discrete_data import DiscreteData
from pgm.structure.cpdag import essential_graph, is_acyclic
from pgm.structure.scores import SetScore

KINDS = ("bic", "aic", "bdeu", "log-likelihood")


@st.composite
def tables(draw, most_variables=4):
    cards = draw(st.lists(st.integers(1, 4), min_size=2, max_size=most_variables))
    n = draw(st.integers(1, 40))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    columns = np.stack([rng.integers(0, card, n) for card in cards], axis=1)
    weights = rng.integers(0, 4, n).astype(float) if draw(st.booleans()) else None
    if weights is not None and not weights.any():
        weights[0] = 1.0
    return DiscreteData(columns, {f"v{i}": card for i, card in enumerate(cards)}, weights)


def by_hand(data: DiscreteData, kind: str, alpha: float, child: int, parents: int) -> float:
    """The score of a family, counted row by row."""
    above = bits(parents)
    weights = np.ones(data.n_rows) if data.weights is None else data.weights
    counts: dict[tuple[int, ...], np.ndarray] = {}
    for i in range(data.n_rows):
        key = tuple(int(data.columns[v][i]) for v in above)
        row = counts.setdefault(key, np.zeros(data.cards[child]))
        row[data.columns[child][i]] += weights[i]
    q, r = prod(data.cards[v] for v in above), data.cards[child]
    if kind == "bdeu":
        rows, cells = alpha / q, alpha / (q * r)
        return sum(
            lgamma(rows)
            - lgamma(rows + row.sum())
            + sum(lgamma(cells + n) - lgamma(cells) for n in row)
            for row in counts.values()
        )
    value = sum(n * log(n / row.sum()) for row in counts.values() for n in row if n)
    rate = {"bic": 0.5 * log(weights.sum()), "aic": 1.0, "log-likelihood": 0.0}[kind]
    return value - rate * (r - 1) * q


@settings(max_examples=60)
@given(data=tables(), kind=st.sampled_from(KINDS), alpha=st.sampled_from([0.5, 1.0, 10.0]))
def test_every_family_has_the_score_of_its_formula(data, kind, alpha) -> None:
    score = SetScore(data, kind, alpha)
    n = len(data.cards)
    for child in range(n):
        others = [v for v in range(n) if v != child]
        for size in range(n):
            for chosen in combinations(others, size):
                parents = sum(1 << v for v in chosen)
                expected = by_hand(data, kind, alpha, child, parents)
                assert score.local(child, parents) == pytest.approx(expected, abs=1e-9)
                assert score.local(child, parents) <= score.bound(child, 0) + 1e-9
                if kind in ("bic", "aic"):
                    assert score.local(child, parents) <= score.bound(child, parents) + 1e-9


@settings(max_examples=30)
@given(data=tables(most_variables=3), kind=st.sampled_from(KINDS))
def test_equivalent_graphs_have_equal_scores(data, kind) -> None:
    score, n = SetScore(data, kind), len(data.cards)
    found: dict[object, float] = {}
    for order in permutations(range(n)):
        pairs = list(combinations(order, 2))
        for chosen in range(1 << len(pairs)):
            parents = [0] * n
            for k, (u, v) in enumerate(pairs):
                parents[v] |= (chosen >> k & 1) << u
            assert is_acyclic(parents)
            value = score.total(parents)
            key = essential_graph(parents)
            assert found.setdefault(key, value) == pytest.approx(value, abs=1e-9)


def test_weights_are_repeated_rows() -> None:
    rng = np.random.default_rng(0)
    rows, weights = rng.integers(0, 3, (30, 3)), rng.integers(0, 3, 30)
    states = dict.fromkeys("abc", 3)
    for kind in KINDS:
        once = SetScore(DiscreteData(rows, states, weights), kind)
        often = SetScore(DiscreteData(rows.repeat(weights, axis=0), states), kind)
        assert once.local(0, 0b110) == pytest.approx(often.local(0, 0b110), abs=1e-9)


@pytest.mark.parametrize("card", [1 << 16, (1 << 16) + 1, 70_000])
def test_many_states_do_not_wrap_around(card: int) -> None:
    column = np.array([0, 1, card - 1, card - 1])
    data = DiscreteData(np.stack([column, column], axis=1), {"a": card, "b": card})
    score = SetScore(data, "log-likelihood")
    assert score.local(0, 0) == pytest.approx(2 * log(1 / 4) + 2 * log(2 / 4))
    assert score.local(0, 0b10) == pytest.approx(0.0, abs=1e-12)


def test_sets_are_counted_once_and_forgotten_keys_made_again() -> None:
    rng = np.random.default_rng(1)
    data = DiscreteData(rng.integers(0, 3, (50, 8)), {f"v{i}": 3 for i in range(8)})
    score = SetScore(data)
    score._most_keys = 2
    wanted = [sum(1 << v for v in c) for k in (4, 5, 3) for c in combinations(range(8), k)]
    values = [score.value(mask) for mask in wanted]
    assert score.n_sets == len(set(wanted))
    fresh = [SetScore(data).value(mask) for mask in wanted]
    assert values == fresh


def test_a_wrong_penalty_is_seen() -> None:
    rng = np.random.default_rng(2)
    data = DiscreteData(rng.integers(0, 2, (50, 2)), {"a": 2, "b": 2})
    score = SetScore(data, "bic")
    score._rates = [2 * rate for rate in score._rates]
    assert abs(score.local(0, 0b10) - by_hand(data, "bic", 1.0, 0, 0b10)) > 1.0


def test_alarm_has_the_published_score(shared) -> None:
    network = BayesianNetwork.load(shared / "data" / "bif" / "alarm.bif")
    rows = np.load(shared / "data" / "alarm_100k_seed0.npz")["X"][:5000]
    index = network.vocabulary.index
    parents = [sum(1 << index[p] for p in network.parents(name)) for name in network.variables]
    score = SetScore(DiscreteData(rows, network.vocabulary))
    assert score.total(parents) == pytest.approx(-54_195.57, abs=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "bicc"}, "score must be"),
        ({"equivalent_sample_size": 0.0}, "equivalent_sample_size must be positive"),
        ({"data": DiscreteData([[0, -1]], {"a": 2, "b": 2})}, "'b' has 1 missing cells of 1"),
        ({"data": DiscreteData(np.zeros((0, 2), int), {"a": 2, "b": 2})}, "no rows"),
        ({"data": DiscreteData([[0, 1]], {"a": 2, "b": 2}, [0.0])}, "zero in every row"),
    ],
)
def test_bad_arguments_are_named(change, message) -> None:
    arguments = {"data": DiscreteData([[0, 1]], {"a": 2, "b": 2}), **change}
    with pytest.raises(ValueError, match=message):
        SetScore(**arguments)
