"""Counts of a set with each further variable, against counting them one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgm.discrete_data import DiscreteData
from pgm.structure.extensions import Extensions
from pgm.structure.scores import SetScore


def n_log_n(n: int) -> np.ndarray:
    k = np.arange(n + 1.0)
    return k * np.log(np.maximum(k, 1.0))


@given(
    cards=st.lists(st.integers(1, 5), min_size=1, max_size=5),
    n=st.integers(1, 60),
    skew=st.floats(0.1, 3.0),
    seed=st.integers(0, 10**6),
)
def test_sums_are_those_of_full_tables(cards, n, skew, seed) -> None:
    rng = np.random.default_rng(seed)
    columns = [rng.choice(c, n, p=rng.dirichlet(np.full(c, skew))) for c in cards]
    keys, table = columns[0] * 2 + rng.integers(0, 2, n), n_log_n(n)
    found = Extensions(columns, cards, table).sums(keys, 2 * cards[0])
    if found is None:
        return  # too few rows off the modes for a table of this size
    for v, (column, card) in enumerate(zip(columns, cards, strict=True)):
        expected = table[np.bincount(keys * card + column)].sum()
        assert found[v] == pytest.approx(expected, abs=1e-9)


def test_large_tables_are_left_alone() -> None:
    columns = [np.arange(50) % 2, np.arange(50) // 5]
    extensions = Extensions(columns, (2, 10), n_log_n(50))
    assert extensions.sums(columns[0], 2) is not None
    assert extensions.sums(np.arange(50), 10**6) is None


def test_prepared_families_have_the_scores_of_those_that_are_not() -> None:
    rng = np.random.default_rng(0)
    cards = (2, 3, 4, 1, 2, 5, 2)
    codes = np.stack([rng.integers(0, c, 400) * rng.integers(0, 2, 400) for c in cards], axis=1)
    data = DiscreteData(codes, {f"v{i}": c for i, c in enumerate(cards)})
    for kind in ("bic", "aic", "log-likelihood", "bdeu"):
        prepared, plain = SetScore(data, kind), SetScore(data, kind)
        for child, parents in ((0, 0), (1, 0b101), (6, 0b110)):
            prepared.prepare(child, parents)
            for v in range(len(cards)):
                if v != child:
                    family = parents | 1 << v
                    assert prepared.local(child, family) == pytest.approx(
                        plain.local(child, family), abs=1e-9
                    )
        counted = prepared.n_sets
        prepared.prepare(0, 0)
        assert prepared.n_sets == counted
