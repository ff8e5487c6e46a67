"""Mode coverage: counts by hand, perfect samples against their exact laws."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, chi2, entropy
from torch import Tensor

from generative.metrics import mode_coverage, reverse_kl
from generative.toy import grid, grid_centres, ring, ring_centres

#: Probability with which a statistical test may fail by chance.
FALSE_ALARM = 1e-6


@given(seed=st.integers(0, 10**6), k=st.integers(1, 5), within=st.floats(0.5, 4.0))
def test_equals_a_loop(seed: int, k: int, within: float) -> None:
    rng = np.random.default_rng(seed)
    centres, samples = 3 * rng.normal(size=(k, 2)), 3 * rng.normal(size=(30, 2))
    counts = [0] * k
    for sample in samples:
        distances = [math.dist(sample, centre) for centre in centres]
        nearest = distances.index(min(distances))
        counts[nearest] += distances[nearest] <= within * 0.7
    found = mode_coverage(samples, centres, 0.7, within=within)
    assert found.counts.tolist() == counts
    assert found.modes.item() == sum(count > 0 for count in counts)
    assert found.high_quality.item() == pytest.approx(sum(counts) / 30)
    if sum(counts):
        expected = entropy(np.array(counts) / sum(counts), np.full(k, 1 / k))
        assert found.reverse_kl.item() == pytest.approx(expected, abs=1e-12)
    else:
        assert found.reverse_kl.item() == math.inf


@pytest.mark.parametrize(
    ("draw", "centres", "std"), [(ring, ring_centres(), 0.01), (grid, grid_centres(), 0.05)]
)
def test_perfect_samples(draw: Callable[..., Tensor], centres: Tensor, std: float) -> None:
    n, k = 2500, len(centres)
    found = mode_coverage(draw(n, generator=0), centres, std)
    assert found.modes.item() == k
    near = -math.expm1(-4.5)
    assert round(near, 5) == 0.98889
    low, high = binom.ppf(FALSE_ALARM / 2, n, near), binom.isf(FALSE_ALARM / 2, n, near)
    assert low <= found.counts.sum().item() <= high
    # Of a wider law, by a tenth, the share is another one.
    wider = mode_coverage(draw(n, std=1.1 * std, generator=0), centres, std)
    assert not low <= wider.counts.sum().item() <= high
    assert 2 * n * found.reverse_kl.item() < chi2.isf(FALSE_ALARM, k - 1)


def test_collapse() -> None:
    one = ring_centres()[:1] + 0.005 * torch.randn(
        100, 2, generator=torch.Generator().manual_seed(0)
    )
    found = mode_coverage(one, ring_centres(), 0.01)
    assert found.modes.item() == 1
    assert found.reverse_kl.item() == pytest.approx(math.log(8))
    nothing = mode_coverage([[0.0, 0.0]], ring_centres(), 0.01)
    assert nothing.modes.item() == nothing.high_quality.item() == 0
    assert nothing.reverse_kl.item() == math.inf


def test_one_sample_makes_a_mode_and_the_divergence_tells() -> None:
    uneven = torch.cat([ring_centres(), ring_centres()[:1].expand(992, 2)])
    found = mode_coverage(uneven, ring_centres(), 0.01)
    assert found.modes.item() == 8
    assert found.reverse_kl.item() > 1.9


def test_reverse_kl_by_closed_form_and_in_batches() -> None:
    found = reverse_kl([[1, 1, 1, 1], [8, 0, 0, 0], [3, 3, 0, 0], [0, 0, 0, 0]])
    expected = torch.tensor([0.0, math.log(4), math.log(2), math.inf], dtype=torch.float64)
    assert torch.allclose(found, expected, atol=1e-15)
    # The mean of perfect histograms: (K - 1) / 2n, five standard errors of a chi-squared law.
    n, repeats = 2000, 500
    draws = np.random.default_rng(0).multinomial(n, np.full(8, 1 / 8), repeats)
    error = 5 * math.sqrt(2 * 7 / repeats) / (2 * n)
    assert reverse_kl(draws).mean().item() == pytest.approx(7 / (2 * n), abs=error)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="std must be positive"):
        mode_coverage([[0.0]], [[0.0]], 0.0)
    with pytest.raises(ValueError, match="within must be positive"):
        mode_coverage([[0.0]], [[0.0]], 1.0, within=-1.0)
    with pytest.raises(ValueError, match="samples and centres must be"):
        mode_coverage([[0.0]], [[0.0, 1.0]], 1.0)
    with pytest.raises(ValueError, match="samples must hold at least 1 rows"):
        mode_coverage(torch.zeros(0, 2), ring_centres(), 1.0)
    with pytest.raises(ValueError, match="counts must not be negative, found -2"):
        reverse_kl([1, -2])
    with pytest.raises(ValueError, match=r"counts must be \(\.\.\., K\)"):
        reverse_kl(3)
