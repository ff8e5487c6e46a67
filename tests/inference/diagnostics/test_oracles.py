"""All diagnostics against loops over their definition and against ArviZ."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.diagnostics.effective_sample_size import ess, ess_bulk, ess_tail
from inference.diagnostics.rhat import rhat
from inference.diagnostics.standard_error import mcse

SHAPES = [(4, 200), (2, 101), (1, 60), (3, 7), (2, 4), (2, 5), (2, 6), (8, 9)]
LAWS = {
    "normal": lambda x: x,
    "ties": np.round,
    "spins": lambda x: np.where(x > 0, 1.0, -1.0),
    "heavy": lambda x: np.tan(1.5 * np.tanh(x)),
    "far": lambda x: 1e6 + x,
}


@pytest.fixture(scope="module")
def arviz():
    """ArviZ's functions of arrays, without its warnings of constant rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("arviz_stats.base").array_stats


def moving(x: np.ndarray) -> np.ndarray:
    """The dimensions whose halves do not stand still."""
    half = x.shape[1] // 2
    parts = np.concatenate([x[:, :half], x[:, -half:]])
    return x[:, :, (parts.max(1) > parts.min(1)).all(0)]


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("phi", [0.0, 0.9, 0.995, -0.8])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equal_to_arviz(arviz, autoregressive, shape, phi, law) -> None:
    x = moving(LAWS[law](autoregressive(phi, *shape, 12, seed=1)))
    rows = np.moveaxis(x, -1, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pairs = {
            "bulk": (arviz.ess(rows, method="bulk"), ess_bulk(x)),
            "tail": (arviz.ess(rows, method="tail", prob=(0.05, 0.95)), ess_tail(x)),
            "mean": (arviz.ess(rows, method="mean"), ess(x)),
            "mcse": (arviz.mcse(rows), mcse(x)),
        }
        if shape[0] > 1:  # ArviZ gives no R-hat of one chain
            pairs["rhat"] = (arviz.rhat(rows), rhat(x))
        if law != "spins":  # the spread of the squares of spins is rounding error there
            pairs["sd"] = (arviz.mcse(rows, method="sd"), mcse(x, "sd"))
        for share in (0.1, 0.5, 0.73):
            pairs[share] = (arviz.mcse(rows, method="quantile", prob=share), mcse(x, share))
    for name, (expected, found) in pairs.items():
        known = ~found.isnan().numpy()
        # Withheld here, S there: an indicator that never changes.
        assert known.all() or name in ("tail", 0.1, 0.5, 0.73)
        np.testing.assert_allclose(
            found.numpy()[known], np.asarray(expected)[known], rtol=1e-6, err_msg=str(name)
        )


@settings(max_examples=60)
@given(
    chains=st.integers(1, 5),
    draws=st.integers(4, 40),
    seed=st.integers(0, 2**32 - 1),
    decimals=st.sampled_from([0, 1, 8]),
    walk=st.floats(0, 1),
)
def test_equal_to_loops(loops, chains, draws, seed, decimals, walk) -> None:
    noise = np.random.default_rng(seed).normal(size=(chains, draws, 3))
    x = moving(np.round(walk * noise.cumsum(1) + (1 - walk) * noise, decimals))
    pairs = {
        loops.rhat: rhat(x),
        loops.bulk: ess_bulk(x),
        loops.mean_error: mcse(x),
        loops.tail: ess_tail(x),
    }
    for slow, found in pairs.items():
        expected = np.array([slow(loops(), x[..., d]) for d in range(x.shape[2])])
        known = ~found.isnan().numpy()
        assert known.all() or slow is loops.tail
        known &= ~np.isnan(expected)
        np.testing.assert_allclose(found[known], expected[known], rtol=1e-9)


@pytest.mark.parametrize("left_out", ["folded", "monotone", "halved"])
def test_every_part_is_needed(loops, autoregressive, left_out) -> None:
    x = autoregressive(0.9, 4, 100, 8, seed=2)
    x[0] *= 4
    wrong = loops(**{left_out: False})
    slow = wrong.bulk if left_out == "monotone" else wrong.rhat
    found = ess_bulk(x) if left_out == "monotone" else rhat(x)
    assert np.abs(found.numpy() / [slow(x[..., d]) for d in range(8)] - 1).max() > 1e-3


def test_wide_cauchy_chain_is_seen_by_ranks_alone(loops) -> None:
    x = np.random.default_rng(0).standard_cauchy((4, 1000))
    x[3] *= 20
    plain = loops().reduction(loops().split(x))
    assert plain < 1.01
    assert rhat(x) > 1.2


def test_shapes_and_kinds(autoregressive) -> None:
    x = autoregressive(0.5, 3, 30, 6)
    deep = x.reshape(3, 30, 2, 3)
    for statistic in (rhat, ess_bulk, ess_tail, mcse):
        flat = statistic(x)
        assert flat.dtype == torch.float64 and flat.shape == (6,)
        assert torch.equal(statistic(deep), flat.reshape(2, 3))
        assert torch.equal(statistic(torch.from_numpy(x[..., 4])), flat[4])
        assert torch.equal(statistic(torch.from_numpy(x).requires_grad_()), flat)
        assert statistic(x[..., :0]).shape == (0,)
    codes = torch.from_numpy(x > 0)
    assert torch.equal(ess_bulk(codes), ess_bulk(codes.int()))
    assert torch.equal(rhat(codes), rhat(codes.double()))


def test_many_blocks_equal_one(monkeypatch, autoregressive) -> None:
    import inference.diagnostics.block as block

    x = autoregressive(0.7, 2, 40, 50)
    whole = [statistic(x) for statistic in (rhat, ess_bulk, ess_tail, mcse)]
    monkeypatch.setattr(block, "NEAR", 240)
    parts = [statistic(x) for statistic in (rhat, ess_bulk, ess_tail, mcse)]
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-13, atol=0)


@pytest.mark.parametrize("factor", [1e300, 1e-300, 1e150, -1.0])
def test_units_do_not_matter(autoregressive, factor) -> None:
    x = autoregressive(0.7, 3, 50, 4)
    for statistic in (rhat, ess_bulk, ess):
        torch.testing.assert_close(statistic(factor * x), statistic(x), rtol=1e-9, atol=0)
    for of in ("mean", "sd", 0.3):
        expected = mcse(x if factor > 0 else -x, of) * abs(factor)
        torch.testing.assert_close(mcse(factor * x, of), expected, rtol=1e-9, atol=0)


def test_largest_numbers_stay_finite() -> None:
    x = np.random.default_rng(0).choice([-1.7e308, 1.7e308], (4, 50, 2))
    for statistic in (rhat, ess_bulk, ess_tail, mcse):
        assert statistic(x).isfinite().all()


def test_error_of_the_mean_is_right_on_average(autoregressive) -> None:
    # The variance of the mean of n draws of a chain is known. Over 1000 dimensions the average of
    # an estimate with 15 % of spread is off by .5 %; 10 % leave room for its bias.
    phi, n = 0.8, 1000
    lags = np.arange(1, n)
    truth = (1 + 2 * ((1 - lags / n) * phi**lags).sum()) / n / 4
    found = mcse(autoregressive(phi, 4, n, 1000, seed=3)).square().mean().item()
    assert abs(found / truth - 1) < 0.1
