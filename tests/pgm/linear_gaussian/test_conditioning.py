"""Conditioning of Gaussians: textbook formulas, many patterns, digits, deterministic variables."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from torch import Tensor

from pgm.linear_gaussian.conditioning import GaussianConditioner, condition
from pgm.linear_gaussian.missing_patterns import pattern_blocks


def schur(
    mean: np.ndarray, covariance: np.ndarray, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of a row given what it has: the oracle."""
    seen = ~np.isnan(x)
    gain = covariance[:, seen] @ np.linalg.inv(covariance[np.ix_(seen, seen)])
    expected = mean + gain @ (x[seen] - mean[seen])
    return expected, covariance - gain @ covariance[seen]


def gaussian(seed: int, size: int, n: int, gaps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, root and rows of which about a share is missing."""
    source = torch.Generator().manual_seed(seed)
    mean = torch.randn(size, dtype=torch.float64, generator=source)
    mixing = torch.randn(2, size, size, dtype=torch.float64, generator=source)
    triangle = mixing[0].tril(-1) / 2 + torch.eye(size, dtype=torch.float64)
    root = triangle @ torch.linalg.qr(mixing[1]).Q
    x = mean + torch.randn(n, size, dtype=torch.float64, generator=source) @ root.mT
    x[torch.rand(n, size, generator=source) < gaps] = torch.nan
    return mean, root, x


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.sampled_from([0.0, 0.3, 0.7, 1.0]))
def test_every_row_is_the_textbook_formula(seed, size, gaps):
    mean, root, x = gaussian(seed, size, 30, gaps)
    covariance = root @ root.mT
    law = GaussianConditioner([str(v) for v in range(size)], mean, root)
    density = law.log_density(x, mean, covariance)
    expected, deviation = law.mean(x), law.deviation(~x.isnan())
    spread = law.covariance(~x.isnan(), range(size))
    for i, row in enumerate(x.numpy()):
        seen = ~np.isnan(row)
        m, c = schur(mean.numpy(), covariance.numpy(), row)
        np.testing.assert_allclose(expected[i], m, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(spread[i], c, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(deviation[i] ** 2, np.diag(c), rtol=1e-8, atol=1e-8)
        assert expected[i, seen].equal(x[i, seen]) and not deviation[i, seen].any()
        oracle = (
            multivariate_normal(mean[seen], covariance[seen][:, seen]).logpdf(row[seen])
            if seen.any()
            else 0.0
        )
        assert density[i].item() == pytest.approx(oracle, rel=1e-9, abs=1e-9)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 70), st.integers(0, 60))
def test_blocks_hold_every_row_once_with_its_own_pattern(seed, size, n):
    source = torch.Generator().manual_seed(seed)
    # Few different patterns of a random subset of columns, so that both kinds of repeats occur.
    kinds = torch.rand(5, size, generator=source) < 0.5
    present = kinds[torch.randint(5, (n,), generator=source)]
    found = torch.zeros(n, dtype=torch.int64)
    for block in pattern_blocks(present):
        for observed, rows, valid in zip(block.observed, block.rows, block.valid, strict=True):
            for row in rows[valid].tolist():
                assert present[row].nonzero().flatten().equal(observed)
                found[row] += 1
            assert len(valid) <= 2 * valid.sum(), "little is padded"
    assert (found == 1).all()


def test_thousands_of_patterns_are_a_handful_of_blocks(monkeypatch):
    present = torch.rand(5000, 12, generator=torch.Generator().manual_seed(0)) < 0.5
    assert len(torch.unique(present, dim=0)) > 2500
    assert len(list(pattern_blocks(present))) < 50
    monkeypatch.setitem(pattern_blocks.__globals__, "BLOCK_SIZE", 1000)
    small = list(pattern_blocks(present))
    assert max([block.rows.numel() * 12 for block in small]) <= 2000
    assert sum([int(block.valid.sum()) for block in small]) == 5000


def test_nearly_determined_variables_keep_their_digits():
    """Two gauges of noise 1e-9 on a variable of variance one: the exact answer is known."""
    noise = 1e-9
    root = torch.tensor([[1.0, 0, 0], [1, noise, 0], [1, 0, noise]], dtype=torch.float64)
    law = GaussianConditioner("xyz", torch.zeros(3, dtype=torch.float64), root)
    x = torch.tensor([[torch.nan, 0.5, 0.5 + 3e-9]], dtype=torch.float64)
    exact = 1 / (2 + noise**2) * (x[0, 1] + x[0, 2])
    variance = noise**2 / (2 + noise**2)
    assert abs(law.mean(x)[0, 0] - exact) < 1e-16 / noise * 10
    assert law.deviation(~x.isnan())[0, 0].item() == pytest.approx(variance**0.5, rel=1e-6)
    # Half the digits of the noise are beyond what the covariance itself can hold.
    covariance = (root @ root.mT).numpy()
    with pytest.raises(np.linalg.LinAlgError):
        schur(np.zeros(3), covariance, x[0].numpy())


def test_no_posterior_variance_is_negative():
    for seed in range(20):
        mean, root, x = gaussian(seed, 8, 40, 0.3)
        root = root * torch.logspace(0, -9, 8, dtype=torch.float64)
        spread = GaussianConditioner("abcdefgh", mean, root).covariance(~x.isnan(), range(8))
        assert (torch.linalg.eigvalsh(spread) >= -1e-15).all()


# Deterministic variables -------------------------------------------------------------------------


def test_dependence_is_seen_behind_variables_that_are_close_to_dependent():
    """c magnifies the difference of a and b a million times: the pivots alone do not tell."""
    root = torch.zeros(3, 6, dtype=torch.float64)
    root[:2, :5] = torch.randn(5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    root[1, :5] += 1e-6 * torch.arange(5)
    root[2] = 1e6 * (root[1] - root[0])
    root = torch.cat([root, torch.eye(6, dtype=torch.float64)[:3]])
    triangle = torch.linalg.qr(root[:3].mT).R
    assert triangle[2, 2].abs() > 64 * 6 * 2e-16 * root[2].norm(), "what would pass for noise"
    assert condition(root, torch.tensor([[0, 1, 2]])).singular.item()
    assert not condition(root, torch.tensor([[0, 1], [0, 2], [1, 2]])).singular.any()
    # With a tiny noise for d the triangle is used; what does not involve it is the same.
    noisy = root.clone()
    noisy[5, 5] = 1e-3
    x = torch.full((1, 6), torch.nan, dtype=torch.float64)
    x[0, :2] = torch.tensor([0.5, 0.5 + 1e-6])
    mean = torch.zeros(6, dtype=torch.float64)
    exact, close = (
        GaussianConditioner("abcdef", mean, part).log_density(x, mean, part @ part.mT).item()
        for part in (root, noisy)
    )
    assert exact == pytest.approx(close, rel=1e-9)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_singular_evidence_is_the_limit_of_vanishing_noise(seed, rank):
    source = torch.Generator().manual_seed(seed)
    root = torch.zeros(5, 5, dtype=torch.float64)
    root[:, :rank] = torch.randn(5, rank, dtype=torch.float64, generator=source)
    mean = torch.randn(5, dtype=torch.float64, generator=source)
    x = (mean + root @ torch.randn(5, dtype=torch.float64, generator=source)).unsqueeze(0)
    x[0, torch.randperm(5, generator=source)[:1]] = torch.nan
    law = GaussianConditioner("abcde", mean, root)
    limit = GaussianConditioner("abcde", mean, root + 1e-7 * torch.eye(5, dtype=torch.float64))
    np.testing.assert_allclose(law.mean(x), limit.mean(x), atol=1e-3)
    np.testing.assert_allclose(law.deviation(~x.isnan()), limit.deviation(~x.isnan()), atol=1e-3)
    found = condition(root, torch.tensor([[0, 1, 2, 3, 4]]))
    assert found.singular.all()
    assert torch.linalg.matrix_rank(found.basis).tolist() == [rank]
    with pytest.raises(ValueError, match="no density of"):
        law.log_density(x, mean, root @ root.mT)
    off = x.clone()
    off[~off.isnan()] += torch.tensor([1.0, -1.0, 1.0, 1.0], dtype=torch.float64)
    assert law.mean(off).isnan().all()


def test_rows_of_one_call_may_be_regular_singular_and_impossible():
    root = torch.tensor([[1.0, 0, 0], [2, 0, 0], [1, 0, 1]], dtype=torch.float64)
    law = GaussianConditioner("abc", torch.zeros(3, dtype=torch.float64), root)
    nan = torch.nan
    x = torch.tensor([[nan, 2, nan], [1, 2, nan], [1, 3, nan], [1, nan, 5]], dtype=torch.float64)
    found = law.mean(x)
    expected = torch.tensor([[1, 2, 1], [1, 2, 1], [1, 2, 5]], dtype=torch.float64)
    assert torch.allclose(found[[0, 1, 3]], expected, rtol=1e-14)
    assert found[2].isnan().all()
    drawn = law.sample(x, 0)
    assert drawn[:2, :2].tolist() == [[1, 2], [1, 2]] and drawn[2].isnan().all()
    assert abs(drawn[0, 2] - 1) > 1e-6, "what is free is drawn"


# Draws -------------------------------------------------------------------------------------------


def test_a_draw_follows_its_generator_only():
    mean, root, x = gaussian(3, 4, 50, 0.5)
    law = GaussianConditioner("abcd", mean, root)
    state = torch.get_rng_state()
    first, again, other = law.sample(x, 5), law.sample(x, 5), law.sample(x, 6)
    assert torch.get_rng_state().equal(state)
    assert first.equal(again) and not first.equal(other)
    assert first[~x.isnan()].equal(x[~x.isnan()])
