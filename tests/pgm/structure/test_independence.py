"""Tests of independence against scipy, definitions, false-alarm rates and d-separation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pgm import BayesianNetwork
from pgm.digraph import Digraph
from pgm.discrete_data import DiscreteData
from pgm.structure.independence import ConditionalIndependence, DSeparation

LAMBDA = {"g2": "log-likelihood", "chi2": "pearson"}


def table_of(data: DiscreteData, x: int, y: int) -> np.ndarray:
    """Counts of two variables by a plain loop."""
    table = np.zeros((data.cards[x], data.cards[y]))
    weights = np.ones(data.n_rows) if data.weights is None else data.weights
    for row, weight in zip(data.codes(), weights, strict=True):
        table[row[x], row[y]] += weight
    return table


def by_scipy(data: DiscreteData, x: int, y: int, kind: str) -> tuple[float, int]:
    """Statistic and freedom of scipy's table test after dropping empty rows and columns."""
    table = table_of(data, x, y)
    table = table[table.sum(1) > 0][:, table.sum(0) > 0]
    if min(table.shape) < 2:
        return 0.0, 0
    found = stats.chi2_contingency(table, correction=False, lambda_=LAMBDA[kind])
    return float(found.statistic), int(found.dof)


def by_stratum(data: DiscreteData, x: int, y: int, given: list[int], kind: str):
    """Sum over the strata that occur: statistic, adjusted freedom and the number of strata."""
    codes = data.codes()
    weights = np.ones(data.n_rows) if data.weights is None else data.weights
    statistic, freedom, n_strata = 0.0, 0, 0
    for stratum in itertools.product(*[range(data.cards[v]) for v in given]):
        rows = (codes[:, given] == np.array(stratum, dtype=np.int64)).all(1) & (weights > 0)
        if rows.any():
            part, dof = by_scipy(data.take(rows), x, y, kind)
            statistic, freedom, n_strata = statistic + part, freedom + dof, n_strata + 1
    return statistic, freedom, n_strata


@st.composite
def tables(draw):
    """Few rows over four variables of 1 to 4 states, some of them correlated, maybe weighted."""
    cards = draw(st.lists(st.integers(1, 4), min_size=4, max_size=4))
    n = draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    codes = rng.integers(0, cards, size=(n, 4))
    copied = rng.random(n) < 0.5
    codes[copied, 1] = codes[copied, 0] % cards[1]
    weights = draw(st.sampled_from([None, "whole", "real"]))
    if weights == "whole":
        weights = rng.integers(0, 4, size=n).astype(float)
    elif weights == "real":
        weights = rng.random(n)
    if weights is not None:
        weights[0] = 1.5
    return DiscreteData(codes, {f"v{v}": card for v, card in enumerate(cards)}, weights)


@settings(max_examples=150)
@given(tables(), st.sampled_from(["g2", "chi2"]), st.permutations(range(4)), st.integers(0, 2))
def test_statistics_are_sums_of_scipys_over_the_strata(data, kind, order, size):
    x, y, chosen = order[0], order[1], list(order[2 : 2 + size])
    mask = sum(1 << v for v in chosen)
    statistic, adjusted, n_strata = by_stratum(data, x, y, chosen, kind)
    classical = (data.cards[x] - 1) * (data.cards[y] - 1) * n_strata
    for freedom, expected in (("classical", classical), ("adjusted", adjusted)):
        found = ConditionalIndependence(data, kind, freedom=freedom).test(x, y, mask)
        assert found.statistic == pytest.approx(statistic, rel=1e-9, abs=1e-9)
        assert found.degrees_of_freedom == expected
        if expected:
            p_value = stats.chi2.sf(found.statistic, expected)
            assert found.p_value == pytest.approx(p_value, rel=1e-9, abs=1e-300)
        else:
            assert found.p_value == 1.0


@settings(max_examples=50)
@given(tables(), st.sampled_from(["g2", "chi2", "mutual-information"]))
def test_both_orders_of_a_pair_agree(data, kind):
    test = ConditionalIndependence(data, kind, freedom="adjusted")
    forth, back = test.test(0, 1, 0b1100), test.test(1, 0, 0b1100)
    assert forth.statistic == pytest.approx(back.statistic, rel=1e-9, abs=1e-11)
    assert forth.degrees_of_freedom == back.degrees_of_freedom
    assert test.n_tests == 2


def test_a_table_by_hand():
    """30, 10 / 10, 30: chi2 = 20, G2 = 2 * (60 log 1.5 + 20 log 0.5)."""
    codes = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], [30, 10, 10, 30], axis=0)
    data = DiscreteData(codes)
    g2 = 2 * (60 * math.log(1.5) + 20 * math.log(0.5))
    assert ConditionalIndependence(data, "chi2").test(0, 1).statistic == pytest.approx(20.0)
    found = ConditionalIndependence(data).test(0, 1)
    assert found.statistic == pytest.approx(g2, rel=1e-12)
    assert found.degrees_of_freedom == 1
    # With one degree of freedom the tail is erfc(sqrt(G2 / 2)).
    assert found.p_value == pytest.approx(math.erfc(math.sqrt(g2 / 2)), rel=1e-10)
    information = ConditionalIndependence(data, "mutual-information").test(0, 1)
    assert information.statistic == pytest.approx(g2 / 160, rel=1e-12)
    assert information.p_value == found.p_value


def test_weights_are_repeated_rows():
    rng = np.random.default_rng(3)
    codes, times = rng.integers(0, [2, 3, 2], size=(40, 3)), rng.integers(0, 5, size=40)
    states = {"a": 2, "b": 3, "c": 2}
    weighted = DiscreteData(codes, states, times)
    repeated = DiscreteData(np.repeat(codes, times, axis=0), states)
    for kind in ("g2", "chi2", "mutual-information"):
        for freedom in ("classical", "adjusted"):
            for mask in (0, 0b100):
                one, other = (
                    ConditionalIndependence(data, kind, freedom=freedom).test(0, 1, mask)
                    for data in (weighted, repeated)
                )
                assert one == pytest.approx(other, rel=1e-9)


def test_mutual_information_is_that_of_the_empirical_law():
    """I(x; y | z) = H(xz) + H(yz) - H(xyz) - H(z), nats."""
    rng = np.random.default_rng(4)
    codes = rng.integers(0, [2, 3, 2, 2], size=(500, 4))
    codes[:, 1] = (codes[:, 0] + codes[:, 2] + rng.integers(0, 2, 500)) % 3

    def entropy(*scope):
        counts = np.unique(codes[:, scope], axis=0, return_counts=True)[1] / 500
        return float(-(counts * np.log(counts)).sum())

    expected = entropy(0, 2, 3) + entropy(1, 2, 3) - entropy(0, 1, 2, 3) - entropy(2, 3)
    test = ConditionalIndependence(DiscreteData(codes), "mutual-information")
    assert test.test(0, 1, 0b1100).statistic == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("kind", ["g2", "chi2"])
def test_false_alarms_are_as_frequent_as_stated(kind):
    """x and y independent given z: rejections at 5 % among 2,000 tables of 4,000 rows.

    The counts of every table are one multinomial draw, used as weights. The number of rejections
    is binomial with the tail of the chi-square law up to its error at 4,000 rows, far below the
    five standard deviations allowed (false-alarm rate 6e-7).
    """
    rng, n_tables, alpha = np.random.default_rng(5), 2000, 0.05
    p_z, p_x, p_y = [0.3, 0.7], np.array([[0.5, 0.5], [0.3, 0.7]]), np.array([[0.2, 0.3, 0.5]] * 2)
    law = np.einsum("z,zx,zy->xyz", p_z, p_x, p_y)
    cells = np.array(list(np.ndindex(law.shape)))
    draws = rng.multinomial(4000, law.ravel(), size=n_tables)
    rejected = rejected_by_fewer = 0
    for counts in draws:
        data = DiscreteData(cells, {"x": 2, "y": 3, "z": 2}, counts)
        test = ConditionalIndependence(data, kind, alpha=alpha)
        rejected += not test.independent(0, 1, 0b100)
        statistic, freedom, _ = test.test(0, 1, 0b100)
        rejected_by_fewer += stats.chi2.sf(statistic, freedom - 1) <= alpha
    spread = math.sqrt(n_tables * alpha * (1 - alpha))
    assert abs(rejected - n_tables * alpha) < 5 * spread
    # One degree of freedom too few is noticed.
    assert abs(rejected_by_fewer - n_tables * alpha) > 5 * spread


def test_adjusted_freedom_keeps_power_where_cells_are_impossible():
    """z decides which two of four states x can take; the classical count charges for all four.

    Within a stratum x and y are strongly dependent for 20 rows; over 2 strata the freedom is 2,
    classically 6.
    """
    codes = [[2 * z + x, y, z] for z in (0, 1) for x in (0, 1) for y in (0, 1)]
    times = [7, 3, 3, 7] * 2
    data = DiscreteData(np.repeat(codes, times, axis=0))
    found = {
        freedom: ConditionalIndependence(data, "chi2", freedom=freedom).test(0, 1, 0b100)
        for freedom in ("classical", "adjusted")
    }
    assert found["classical"].degrees_of_freedom == 6
    assert found["adjusted"].degrees_of_freedom == 2
    assert found["classical"].statistic == pytest.approx(6.4)
    assert found["adjusted"].p_value == pytest.approx(math.exp(-3.2))
    assert found["adjusted"].p_value < 0.05 < found["classical"].p_value


def test_a_conditioning_set_larger_than_any_table():
    """Thirty conditioning variables of eight states: 2**90 strata, of which 200 occur."""
    rng = np.random.default_rng(6)
    codes = rng.integers(0, 8, size=(200, 32))
    data = DiscreteData(codes)
    mask = (1 << 32) - 1 & ~0b11
    for kind in ("g2", "chi2"):
        classical = ConditionalIndependence(data, kind).test(0, 1, mask)
        assert classical.statistic == pytest.approx(0.0, abs=1e-9)
        assert classical.degrees_of_freedom == 7 * 7 * 200
        adjusted = ConditionalIndependence(data, kind, freedom="adjusted").test(0, 1, mask)
        assert (adjusted.degrees_of_freedom, adjusted.p_value) == (0, 1.0)


def test_small_caches_change_nothing():
    rng = np.random.default_rng(7)
    data = DiscreteData(rng.integers(0, 3, size=(100, 9)))
    questions = [
        (x, y, mask)
        for x, y in itertools.combinations(range(9), 2)
        for mask in range(0, 512, 7)
        if not mask & (1 << x | 1 << y)
    ]
    large = ConditionalIndependence(data, freedom="adjusted")
    small = ConditionalIndependence(data, freedom="adjusted")
    small._most_strata = 3
    assert [large.test(*q) for q in questions] == [small.test(*q) for q in questions]
    assert len(small._strata) <= 3 and len(small._present) <= 3


def test_alpha_and_threshold_decide():
    codes = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], [30, 20, 20, 30], axis=0)
    data = DiscreteData(codes)
    p_value = ConditionalIndependence(data).p_value(0, 1)
    assert 0.01 < p_value < 0.05
    assert not ConditionalIndependence(data, alpha=0.05).independent(0, 1)
    assert ConditionalIndependence(data, alpha=0.01).independent(0, 1)
    assert not ConditionalIndependence(data, alpha=p_value).independent(0, 1)
    nats = ConditionalIndependence(data, "mutual-information").test(0, 1).statistic
    for threshold, independent in ((nats * 1.001, True), (nats * 0.999, False), (nats, False)):
        test = ConditionalIndependence(data, "mutual-information", threshold=threshold)
        assert test.independent(0, 1) is independent


def test_torch_rows_and_constant_columns():
    data = DiscreteData(torch.tensor([[0, 1, 0], [0, 0, 1]] * 3), {"a": 3, "b": 2, "c": 2})
    classical = ConditionalIndependence(data).test(0, 1)
    assert classical == (0.0, 2, 1.0)
    assert ConditionalIndependence(data, freedom="adjusted").test(0, 1) == (0.0, 0, 1.0)


def test_oracle_is_d_separation_of_the_network():
    net = BayesianNetwork(
        [("a", "c"), ("b", "c"), ("c", "d"), ("b", "e")], dict.fromkeys("abcde", 2)
    )
    parents = {name: net.parents(name) for name in net.variables}
    oracle, names, asked = DSeparation(Digraph(net.variables, parents)), net.variables, 0
    assert oracle.n_variables == 5
    for x, y in itertools.combinations(range(5), 2):
        for mask in range(32):
            if not mask & (1 << x | 1 << y):
                given_names = [names[v] for v in range(5) if mask >> v & 1]
                separated = net.is_d_separated(names[x], names[y], given_names)
                assert oracle.independent(x, y, mask) is separated
                assert oracle.p_value(y, x, mask) == float(separated)
                asked += 2
    assert oracle.n_tests == asked


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"statistic": "t"}, "statistic must be .* found 't'"),
        ({"freedom": "exact"}, "freedom must be one of classical, adjusted, found 'exact'"),
        ({"alpha": 0.0}, r"alpha must be in \(0, 1\), found 0"),
        ({"alpha": 1}, r"alpha must be in \(0, 1\), found 1"),
        ({"alpha": math.nan}, "alpha must be in"),
        ({"threshold": 0.1}, "threshold needs statistic='mutual-information', not 'g2'"),
        ({"statistic": "mutual-information", "threshold": -1.0}, "threshold must be positive"),
    ],
)
def test_options_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        ConditionalIndependence(DiscreteData(np.zeros((2, 2), dtype=int)), **arguments)


@pytest.mark.parametrize(
    ("x", "y", "mask", "message"),
    [
        (0, 3, 0, r"x and y must be in 0\.\.2"),
        (-1, 0, 0, r"x and y must be in 0\.\.2"),
        (0, 1, 8, "given = 0b1000"),
        (0, 0, 0, "disjoint"),
        (0, 1, 0b101, r"disjoint, found x = 0, y = 1, given = \[0, 2\]"),
    ],
)
def test_questions_are_checked(x, y, mask, message):
    test = ConditionalIndependence(DiscreteData(np.zeros((2, 3), dtype=int)))
    with pytest.raises(ValueError, match=message):
        test.test(x, y, mask)
    assert test.n_tests == 0


def test_rows_must_be_there_and_complete():
    with pytest.raises(ValueError, match="'a' has 1 missing cells of 2"):
        ConditionalIndependence(DiscreteData([[-1, 0], [0, 0]], {"a": 2, "b": 2}))
    with pytest.raises(ValueError, match="data has no rows"):
        ConditionalIndependence(DiscreteData(np.zeros((0, 2), dtype=int), {"a": 2, "b": 2}))
    with pytest.raises(ValueError, match="sample_weight is zero in every row"):
        ConditionalIndependence(DiscreteData([[0, 0]], {"a": 2, "b": 2}, [0.0]))
