"""Observers against the draws they stand for."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from inference.sampling.counting import Frequencies, Histogram
from inference.sampling.observers import Covariance, Mean, Moments, Trace


def watched(observer, draws: Tensor):
    """What an observer makes of draws (chain, draw, ...)."""
    carry = observer.init(draws[:, 0])
    for t in range(draws.shape[1]):
        carry = observer.update(carry, draws[:, t])
    return observer.result(carry)


def normal(*shape: int, shift: float = 0.0, seed: int = 0) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    return shift + torch.randn(shape, dtype=torch.float64, generator=source)


@settings(max_examples=40)
@given(
    chains=st.integers(1, 4),
    draws=st.integers(1, 12),
    shift=st.sampled_from([0.0, 1e8]),
    seed=st.integers(0, 1000),
)
def test_moments_are_those_of_the_draws(chains, draws, shift, seed) -> None:
    x = normal(chains, draws, 2, 3, shift=shift, seed=seed)
    found, mean = watched(Moments(), x), watched(Mean(), x)
    array = x.numpy()
    flat = array.reshape(-1, 2, 3)
    means = array.mean(1)
    # A mean is rounded to eps times the shift, which each deviation, below 8 here, multiplies.
    close = {"rtol": 1e-12, "atol": 16 * np.finfo(float).eps * max(shift, 1) * 8}
    np.testing.assert_allclose(found.mean, flat.mean(0), rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(mean, flat.mean(0), rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(found.chain_means, means, rtol=1e-14, atol=1e-14)
    if chains * draws > 1:
        np.testing.assert_allclose(found.variance, flat.var(0, ddof=1), **close)
    else:
        assert found.variance.isnan().all()
    if draws > 1:
        np.testing.assert_allclose(found.chain_variances, array.var(1, ddof=1), **close)
    else:
        assert found.chain_variances.isnan().all() and found.rhat.isnan().all()
    if chains > 1:
        apart = np.var(means, axis=0, ddof=1)
        np.testing.assert_allclose(found.standard_error.square(), apart / chains, **close)
    else:
        assert found.standard_error.isnan().all() and found.rhat.isnan().all()


def test_rhat_of_moments_is_gelmans_and_rubins() -> None:
    x = normal(4, 50) + torch.tensor([0.0, 0.0, 0.0, 2.0])[:, None]
    array = x.numpy()
    within, between = array.var(1, ddof=1).mean(), 50 * array.mean(1).var(ddof=1)
    expected = math.sqrt((49 / 50 * within + between / 50) / within)
    assert watched(Moments(), x).rhat.item() == pytest.approx(expected, rel=1e-13)


def test_naive_sums_of_squares_would_fail() -> None:
    x = normal(2, 20, shift=1e9)
    naive = x.square().mean() - x.mean().square()
    truth = x.var()
    assert abs(watched(Moments(), x).variance / truth - 1) < 1e-7
    assert abs(naive / truth - 1) > 1e-2


def test_functions_of_positions() -> None:
    x = normal(3, 10, 4).float()

    def energy(position: Tensor) -> Tensor:
        return position.square().sum(1)

    values = torch.stack([energy(x[:, t]) for t in range(10)], 1)
    assert torch.equal(watched(Trace(energy), x), values)
    found = watched(Moments(energy), x)
    torch.testing.assert_close(found.mean, values.double().mean(), rtol=1e-13, atol=0)
    assert found.mean.dtype == torch.float64 and found.mean.shape == ()


@pytest.mark.parametrize("shift", [0.0, 1e7])
def test_covariance_is_numpys(shift) -> None:
    x = normal(3, 8, 2, 2, shift=shift)
    x[..., 1, 1] += x[..., 0, 0]
    found = watched(Covariance(), x)
    rows = x.reshape(-1, 4)
    torch.testing.assert_close(found.mean, rows.mean(0), rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(found.covariance, rows.T.cov(), rtol=1e-6, atol=1e-12)
    assert watched(Covariance(), x[:1, :1]).covariance.isnan().all()


def test_codes_are_counted() -> None:
    codes = torch.randint(0, 4, (3, 30, 2), generator=torch.Generator().manual_seed(0))
    found = watched(Frequencies(4), codes)
    for chain in range(3):
        for unit in range(2):
            expected = codes[chain, :, unit].bincount(minlength=4)
            assert torch.equal(found.counts[chain, unit], expected)
    assert torch.equal(found.shares, found.counts.sum(0).double() / 90)
    spins = 2.0 * (codes > 1) - 1
    shares = watched(Frequencies(2, lambda s: ((s + 1) / 2).long()), spins).shares
    torch.testing.assert_close(shares[..., 1], (codes > 1).double().mean((0, 1)))


def test_histogram_is_numpys() -> None:
    x = normal(3, 40, 2)
    edges = [-1.0, 0.0, 0.5, 2.0]
    x[0, 0, 0] = 0.5
    found = watched(Histogram(edges), x)
    cells = np.histogram(x[..., 0], [-np.inf, *edges, np.inf])[0]
    assert found.counts.sum(0)[0].tolist() == cells.tolist()
    assert found.counts.shape == (3, 2, 5)
    torch.testing.assert_close(found.shares.sum(-1), torch.ones(2, dtype=torch.float64))


def test_traces_outgrow_their_room() -> None:
    x = normal(2, 100, 3)
    assert torch.equal(watched(Trace(lambda position: position), x), x)


def test_nothing_observed_is_nan() -> None:
    start = normal(2, 3)
    for observer in (Mean(), Moments(), Covariance()):
        found = observer.result(observer.init(start))
        parts = [found] if isinstance(found, Tensor) else found
        assert all(part.isnan().all() for part in parts)
    counter = Frequencies(2, lambda x: (x > 0).long())
    assert counter.result(counter.init(start)).shares.isnan().all()
    trace = Trace(lambda x: x)
    assert trace.result(trace.init(start)).shape == (2, 0, 3)


def test_earlier_carries_stay() -> None:
    x = normal(2, 2, 3)
    for observer in (Mean(), Moments(), Covariance()):
        carry = observer.update(observer.init(x[:, 0]), x[:, 0])
        before = [part.clone() for part in carry]
        observer.update(carry, x[:, 1])
        assert all(map(torch.equal, carry, before))


def test_bad_observers_are_refused(monkeypatch) -> None:
    with pytest.raises(TypeError, match="counts codes"):
        Frequencies(2).init(torch.zeros(1, 2))
    with pytest.raises(ValueError, match=r"from 0 to 1, found 0 to 2"):
        Frequencies(2).init(torch.tensor([[0, 2]]))
    with pytest.raises(ValueError, match="n_states must be at least 1"):
        Frequencies(0)
    for edges in ([], 1.0, [1.0, 1.0], [2.0, 1.0], [math.nan], [[0.0, 1.0]]):
        with pytest.raises(ValueError, match="edges must be"):
            Histogram(edges)
    monkeypatch.setattr("inference.memory.free_memory", lambda: 100)
    with pytest.raises(ValueError, match=r"the covariance would take 384 bytes"):
        Covariance().init(torch.zeros(2, 4))
    with pytest.raises(ValueError, match="a trace would take"):
        watched(Trace(lambda position: position), normal(2, 1, 3))
    with pytest.raises(ValueError, match="counts would take"):
        Frequencies(10).init(torch.zeros(2, 4, dtype=torch.int64))


@pytest.mark.parametrize("observer", [Mean, Moments])
def test_whether_something_holds_can_be_observed(observer) -> None:
    x = normal(3, 10, 2)
    found = watched(observer(lambda position: position > 0), x)
    expected = watched(observer(lambda position: (position > 0).double()), x)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_covariance_of_a_single_number() -> None:
    x = normal(3, 10, 2)
    found = watched(Covariance(lambda position: position.sum(1)), x)
    sums = x.sum(2).flatten()
    torch.testing.assert_close(found.covariance, sums.var()[None, None])
    torch.testing.assert_close(found.mean, sums.mean()[None])


def test_edges_may_be_any_array() -> None:
    edges = np.array([0.0, 1.0])
    edges.flags.writeable = False
    for given_edges in (edges, edges.astype(">f4"), torch.tensor([0, 1])):
        assert Histogram(given_edges).edges == (0.0, 1.0)
    with pytest.raises(TypeError, match="edges must hold real numbers"):
        Histogram(["a"])
