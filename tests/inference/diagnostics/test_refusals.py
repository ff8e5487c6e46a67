"""Where chains tell nothing no number is given, and bad input is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from inference.diagnostics.effective_sample_size import (
    autocorrelation,
    autocorrelation_time,
    ess,
    ess_bulk,
    ess_tail,
)
from inference.diagnostics.rhat import rhat
from inference.diagnostics.standard_error import mcse

ALL = [rhat, ess, ess_bulk, ess_tail, mcse, autocorrelation_time]


@pytest.mark.parametrize("statistic", ALL)
@pytest.mark.parametrize("value", [0.1, -3.0, math.nan, math.inf])
def test_constant_and_not_finite_dimensions_give_nan(statistic, value) -> None:
    x = np.random.default_rng(0).normal(size=(2, 20, 3))
    expected = statistic(x)
    if math.isfinite(value):
        x[..., 1] = value
    else:
        x[1, 7, 1] = value
    found = statistic(x)
    assert found[1].isnan()
    assert torch.equal(found[[0, 2]], expected[[0, 2]])


def test_chains_that_stand_still_apart_have_infinite_rhat() -> None:
    x = torch.arange(3.0)[:, None].expand(3, 401).double() / 10
    assert rhat(x) == math.inf
    assert ess_bulk(x) < 4


def test_one_side_of_the_tail_may_be_silent() -> None:
    spins = np.where(np.random.default_rng(0).random((4, 200)) < 0.5, 1.0, -1.0)
    low = (spins < 0).astype(float)
    assert ess_tail(spins) == min(ess(low).item(), spins.size)
    rare = np.where(np.random.default_rng(0).random((4, 200)) < 0.97, 1.0, -1.0)
    assert ess_tail(rare).isnan() and ess_bulk(rare).isfinite()


def test_squares_of_fair_spins_are_certain() -> None:
    assert mcse(np.tile([1.0, -1.0, -1.0, 1.0], (2, 5)), "sd") == 0


@pytest.mark.parametrize("statistic", ALL)
def test_bad_draws_are_refused(statistic) -> None:
    with pytest.raises(ValueError, match=r"at least 4 draws per chain, found 3"):
        statistic(torch.ones(4, 3))
    with pytest.raises(ValueError, match=r"pass x\[None\]"):
        statistic(torch.ones(40))
    with pytest.raises(ValueError, match="at least one chain"):
        statistic(torch.ones(0, 40))
    with pytest.raises(TypeError, match=r"pass x\.real"):
        statistic(torch.ones(4, 40, dtype=torch.complex64))
    with pytest.raises(TypeError, match="real numbers, found list"):
        statistic([["a"] * 4])
    with pytest.raises(ValueError, match="x must be a rectangular array"):
        statistic([[1, 2, 3, 4], [1, 2]])
    with pytest.raises(TypeError, match="found a sparse tensor"):
        statistic(torch.ones(4, 40).to_sparse())


@pytest.mark.parametrize("statistic", ALL)
def test_arrays_of_any_bytes_are_read(statistic) -> None:
    x = np.random.default_rng(0).normal(size=(2, 20))
    expected = statistic(x)
    x.setflags(write=False)
    for same in (x, x.astype(">f8"), x.astype(np.longdouble), x.tolist()):
        assert torch.equal(statistic(same), expected)


@pytest.mark.parametrize(
    "of",
    ["median", 0.0, 1.0, -0.2, True, math.nan, None, [0.1], b"sd", 0.5j, np.array([0.1, 0.2])],
)
def test_error_of_something_else_is_refused(of) -> None:
    with pytest.raises(ValueError, match="of must be"):
        mcse(torch.randn(2, 10), of)


def test_draws_that_do_not_fit_are_refused(monkeypatch) -> None:
    monkeypatch.setattr("inference.memory.free_memory", lambda: 2**20)
    x = torch.zeros(1).expand(4, 2**22)
    with pytest.raises(ValueError, match=r"would take 2\.0 GiB"):
        rhat(x)


# Autocorrelation -----------------------------------------------------------------------------


def test_autocorrelation_is_that_of_sums() -> None:
    x = np.random.default_rng(0).normal(size=(2, 15, 3)).cumsum(1)
    rest = x - x.mean(1, keepdims=True)
    expected = np.stack([(rest[:, : 15 - t] * rest[:, t:]).sum(1) for t in range(15)], 1)
    found = autocorrelation(x)
    np.testing.assert_allclose(found, expected / expected[:, :1], atol=1e-13)
    assert torch.equal(autocorrelation(x, 4), found[:, :5])
    assert autocorrelation(x, 99).shape == (2, 15, 3)


def test_autocorrelation_of_many_blocks(monkeypatch) -> None:
    import inference.diagnostics.effective_sample_size as module

    x = torch.randn(3, 10, 4, generator=torch.Generator().manual_seed(0))
    whole = autocorrelation(x)
    monkeypatch.setattr(module, "NEAR", 30)
    torch.testing.assert_close(autocorrelation(x), whole, rtol=0, atol=1e-13)


def test_autocorrelation_says_nothing_of_a_still_chain() -> None:
    x = torch.randn(3, 10, generator=torch.Generator().manual_seed(0))
    x[1] = 0.1
    x[2, 4] = math.nan
    found = autocorrelation(x)
    assert found[0].isfinite().all() and found[1:].isnan().all()
    with pytest.raises(ValueError, match="max_lag must be at least 0"):
        autocorrelation(x, -1)


def test_autocorrelation_time_is_draws_per_effective_draw(autoregressive) -> None:
    x = autoregressive(0.5, 4, 50, 3)
    torch.testing.assert_close(autocorrelation_time(x), 200 / ess(x), rtol=1e-13, atol=0)
