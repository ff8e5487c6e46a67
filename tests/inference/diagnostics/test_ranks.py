"""Ranks, normal scores and quantiles of rows."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inference.diagnostics.autocovariance import autocovariances, fast_length
from inference.diagnostics.ranks import (
    folded_scores,
    mean_ranks,
    normal_scores,
    order_of,
    sorted_quantile,
)

# Halves of the smallest numbers round, and with them medians.
NUMBERS = st.one_of(st.integers(-3, 3).map(float), st.floats(-1e9, 1e9, allow_subnormal=False))
ROWS = hnp.arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(1, 24)), elements=NUMBERS)


@given(rows=ROWS)
def test_ranks_and_scores_are_scipys(rows) -> None:
    from scipy.special import ndtri
    from scipy.stats import rankdata

    x = torch.from_numpy(rows)
    ranks = rankdata(rows, axis=1)
    order = order_of(x)
    scores = normal_scores(x.gather(1, order), order)
    assert np.array_equal(mean_ranks(x), ranks)
    np.testing.assert_allclose(
        scores, ndtri((ranks - 0.375) / (rows.shape[1] + 0.25)), rtol=1e-13, atol=1e-15
    )


@given(rows=ROWS)
def test_folded_scores_are_those_of_distances(rows) -> None:
    from scipy.special import ndtri
    from scipy.stats import rankdata

    rows = np.concatenate([rows, rows[:, ::-1]], 1)
    x = torch.from_numpy(rows)
    order = order_of(x)
    found = folded_scores(x.gather(1, order), order)
    ranks = rankdata(np.abs(rows - np.median(rows, axis=1, keepdims=True)), axis=1)
    np.testing.assert_allclose(
        found, ndtri((ranks - 0.375) / (rows.shape[1] + 0.25)), rtol=1e-13, atol=1e-15
    )


@given(rows=ROWS, share=st.floats(0, 1))
def test_quantiles_are_numpys(rows, share) -> None:
    ascending = np.sort(rows, axis=1)
    found = sorted_quantile(torch.from_numpy(ascending), share)
    np.testing.assert_allclose(found, np.quantile(rows, share, axis=1), rtol=1e-15, atol=1e-300)


def test_fast_length_is_the_least_smooth_number() -> None:
    def smooth(number: int) -> bool:
        for prime in (2, 3, 5):
            while number % prime == 0:
                number //= prime
        return number == 1

    smooth_numbers = [number for number in range(1, 4000) if smooth(number)]
    for least in range(1, 3000):
        assert fast_length(least) == next(n for n in smooth_numbers if n >= least)


def test_both_transforms_agree() -> None:
    rest = torch.randn(5, 3, 17, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    direct = [(rest[..., : 17 - t] * rest[..., t:]).sum(-1).mean(1) / 17 for t in range(17)]
    torch.testing.assert_close(autocovariances(rest), torch.stack(direct, 1), rtol=0, atol=1e-14)
