"""The table of what chains say, and what it withholds."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from inference.diagnostics.effective_sample_size import ess_bulk, ess_tail
from inference.diagnostics.rhat import rhat
from inference.diagnostics.standard_error import mcse
from inference.diagnostics.summary import LEAST_TIMES, summarize


@pytest.fixture
def mixed(autoregressive) -> np.ndarray:
    """Good, slow, constant, not finite, nearly constant, and apart."""
    x = autoregressive(0.0, 4, 1000, 6, seed=5)
    x[..., 1] = autoregressive(0.97, 4, 1000, 1)[..., 0]
    x[..., 2] = 3.0
    x[1, 5, 3] = math.inf
    x[..., 4] = np.where(x[..., 4] > -2.2, 1.0, -1.0)
    x[3, :, 5] += 10
    return x


def test_columns_are_those_of_the_functions(autoregressive) -> None:
    x = autoregressive(0.5, 4, 1000, 6).reshape(4, 1000, 2, 3)
    table = summarize(x, quantiles=[0.0, 0.25, 1.0])
    assert list(table) == [
        *("mean", "mcse", "sd", "0%", "25%", "100%", "rhat", "ess_bulk", "ess_tail")
    ]
    assert len(table) == 9 and not table.reasons
    pairs = {
        "mean": x.mean((0, 1)),
        "sd": x.std((0, 1), ddof=1),
        "0%": x.min((0, 1)),
        "25%": np.quantile(x, 0.25, axis=(0, 1)),
        "100%": x.max((0, 1)),
        "mcse": mcse(x),
        "rhat": rhat(x),
        "ess_bulk": ess_bulk(x),
        "ess_tail": ess_tail(x),
    }
    for name, expected in pairs.items():
        np.testing.assert_allclose(table[name], expected, rtol=1e-12, atol=1e-14)


def test_numbers_are_withheld_with_reasons(mixed) -> None:
    table = summarize(mixed)
    time = 4000 / ess_bulk(mixed)[1]
    assert time * LEAST_TIMES > 1000
    reasons = dict(table.reasons)
    assert reasons.pop((1,)).startswith("too few draws: ")
    assert reasons.pop((5,)).startswith("too few draws: ")
    assert reasons == {
        (2,): "constant",
        (3,): "not finite",
        (4,): "no draw beyond the tail quantiles",
    }
    assert table["ess_bulk"].isnan().tolist() == [False, True, True, True, False, True]
    assert table["ess_tail"].isnan().tolist() == [False, True, True, True, True, True]
    assert table["mcse"].isnan().tolist() == [False, True, True, True, False, True]
    assert table["rhat"].isnan().tolist() == [False, False, True, True, False, False]
    assert table["mean"].isnan().tolist() == [False, False, False, True, False, False]


def test_printed_table(mixed) -> None:
    lines = str(summarize(mixed, quantiles=[0.5])).splitlines()
    assert lines[0] == "4 chains of 1000 draws"
    assert lines[1].split() == ["mean", "mcse", "sd", "50%", "rhat", "ess_bulk", "ess_tail"]
    assert lines[3].split()[6:8] == ["-", "-"] and "too few draws" in lines[3]
    assert lines[4].split() == ["x[2]", "3", "-", "0", "3", "-", "-", "-", "constant"]
    assert lines[5].split() == ["x[3]", *["-"] * 7, "not", "finite"]
    assert lines[-1].startswith("chains disagree: R-hat is above 1.01 in 2 of 6, ")
    assert lines[-1].endswith("in x[5]; run them longer")
    good = str(summarize(mixed[..., 0]))
    assert len(good.splitlines()) == 3 and "disagree" not in good


def test_long_tables_are_cut(autoregressive) -> None:
    x = autoregressive(0.0, 4, 500, 60, seed=9)
    x[..., 59] = 1
    lines = str(summarize(x.reshape(4, 500, 30, 2))).splitlines()
    assert lines[0] == "4 chains of 500 draws, 20 of 60 dimensions"
    assert lines[21].startswith(" x[9, 1]") or lines[21].startswith("x[9, 1]")
    assert "numbers are withheld in 1 more dimensions, see reasons" in lines


def test_data_frame(mixed) -> None:
    table = summarize(mixed)
    frame = table.to_pandas()
    assert list(frame.index) == [f"x[{i}]" for i in range(6)]
    assert list(frame.columns) == [*table, "note"]
    np.testing.assert_array_equal(frame["rhat"], table["rhat"])
    assert frame["note"].tolist()[2:4] == ["constant", "not finite"]


def test_stuck_chains_are_told_as_infinite() -> None:
    x = torch.arange(4.0)[:, None].expand(4, 100)
    assert "inf in x; run them longer" in str(summarize(x))


@pytest.mark.parametrize("quantiles", [[-0.1], [1.5], [math.nan]])
def test_bad_quantiles_are_refused(quantiles) -> None:
    with pytest.raises(ValueError, match="quantiles must be shares"):
        summarize(torch.randn(2, 10), quantiles=quantiles)


def test_quantiles_near_each_other_have_names_of_their_own() -> None:
    x = torch.randn(2, 10, generator=torch.Generator().manual_seed(0))
    table = summarize(x, quantiles=[0.07, 0.9999999, 1.0])
    assert list(table)[3:6] == ["7%", "99.99999%", "100%"]
    with pytest.raises(TypeError, match=r"quantiles must be a list of shares, found 0\.5"):
        summarize(x, quantiles=0.5)  # type: ignore[arg-type]
