"""Resampling: as many copies as the weights say, on average and almost always."""

from __future__ import annotations

import math
from typing import NamedTuple, get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from inference.random import as_generator
from inference.sampling.resampling import Resampling, ResamplingScheme, ancestors

SCHEMES = get_args(ResamplingScheme)

LOGS = st.lists(st.one_of(st.floats(-30, 30), st.just(-math.inf)), min_size=1, max_size=12).filter(
    lambda logs: max(logs) > -math.inf
)


class Place(NamedTuple):
    """Where a chain is."""

    position: torch.Tensor


def copies(logs: torch.Tensor, scheme: ResamplingScheme, seed: int = 0) -> torch.Tensor:
    """How often each chain of each group goes on."""
    chosen = ancestors(logs, scheme, as_generator(seed))
    return torch.zeros_like(logs).scatter_add_(1, chosen, torch.ones_like(logs))


@given(logs=LOGS, seed=st.integers(0, 2**31))
def test_numbers_of_copies(logs, seed):
    row = torch.tensor([logs], dtype=torch.float64)
    expected = len(logs) * row.softmax(1)
    for scheme in SCHEMES:
        found = copies(row, scheme, seed)
        assert found.sum() == len(logs)
        assert (found[row == -math.inf] == 0).all()
        if scheme == "systematic":
            assert ((found - expected).abs() < 1 + 1e-9).all()
        if scheme == "stratified":
            assert ((found - expected).abs() < 2 + 1e-9).all()
        if scheme == "residual":
            assert (found >= expected.floor() - (expected % 1 < 1e-9).double()).all()


def biases(counts: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    """Deviations of mean counts in standard errors."""
    error = counts.std(0) / math.sqrt(len(counts))
    return ((counts.mean(0) - expected) / error.clamp(min=1e-12)).abs()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_copies_are_right_on_average(scheme):
    """Six chains, 20 000 groups: false alarms below 1e-6 by the normal law."""
    logs = torch.tensor([0.1, 1.3, -0.7, 0.4, -math.inf, 1.0]).double()
    bound = norm.isf(1e-6 / 12)
    found = copies(logs.expand(20_000, 6), scheme)
    expected = 6 * logs.softmax(0)
    assert (biases(found, expected) < bound).all()
    # Weights whose logarithms are off by a tenth are found out.
    wrong = copies((1.1 * logs).expand(20_000, 6), scheme)
    assert (biases(wrong, expected) > bound).any()


def test_only_uneven_islands_are_resampled_and_keep_their_mean():
    logs = torch.tensor([0.0, 0.1, 0.0, 0.2, 9.0, 0.0, -math.inf, 0.0]).double()
    new, state = Resampling("systematic", 2).apply(logs, Place(torch.arange(8)), as_generator(0))
    assert state.position[:4].tolist() == [0, 1, 2, 3]
    assert state.position[4:].tolist() == [4, 4, 4, 4]
    torch.testing.assert_close(new[:4], logs[:4])
    assert len(new[4:].unique()) == 1
    torch.testing.assert_close(new.view(2, 4).logsumexp(1), logs.view(2, 4).logsumexp(1))


def test_an_island_without_weight_stays_without():
    logs = torch.tensor([-math.inf, -math.inf, 5.0, 0.0]).double()
    new, state = Resampling("residual", 2, 0.9).apply(
        logs, Place(torch.arange(4)), as_generator(0)
    )
    assert (new[:2] == -math.inf).all()
    assert state.position[2:].tolist() == [2, 2]


@pytest.mark.parametrize(("threshold", "moves"), [(0.0, False), (1.0, True)])
def test_the_threshold(threshold, moves):
    logs = torch.tensor([0.0, 0.1, -0.1, 0.2]).double()
    even = Resampling("systematic", 1, threshold)
    new, _ = even.apply(logs, Place(torch.arange(4)), as_generator(0))
    assert (new != logs).any() == moves


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="scheme"):
        ancestors(torch.zeros(1, 2), "best", as_generator(0))  # type: ignore[arg-type]
    for settings, message in (
        (Resampling("best", 2), "scheme"),  # type: ignore[arg-type]
        (Resampling("systematic", 3), "islands"),
        (Resampling("systematic", 8), "islands"),
        (Resampling("systematic", 1), "islands"),
        (Resampling("systematic", 2, 1.5), "threshold"),
        (Resampling("systematic", 2, math.nan), "threshold"),
    ):
        with pytest.raises(ValueError, match=message):
            settings.check(8)


def test_seeds_decide():
    logs = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 50)))
    for scheme in SCHEMES:
        assert torch.equal(
            ancestors(logs, scheme, as_generator(1)), ancestors(logs, scheme, as_generator(1))
        )
