"""Data that linear-Gaussian networks do not learn from, and what `fit` returns."""

from __future__ import annotations

import math

import pandas as pd
import pytest
import torch
from torch import Tensor

from pgm.linear_gaussian_network import LinearGaussianNetwork
from tests.pgm.linear_gaussian.four_variables import blank, numbers, rows, truth

NAN = math.nan


SMALL = rows(6)


def changed(value: float, place: tuple[int, int] = (1, 2)) -> Tensor:
    x = SMALL.clone()
    x[place] = value
    return x


BAD = {
    "shape": ((SMALL[:, :3],), {}, ValueError, r"data must have shape \(n, 4\)"),
    "inf": ((changed(math.inf),), {}, ValueError, r"finite .*\(1, 2\)"),
    "words": (([["x"] * 4],), {}, TypeError, "data"),
    "no column": ((pd.DataFrame({"a": [1.0]}),), {}, ValueError, "'b'"),
    "words in a column": (
        (pd.DataFrame({**{name: [1.0, 2.0] for name in "abc"}, "d": ["x", "y"]}),),
        {},
        TypeError,
        "'d'",
    ),
    "few rows": ((SMALL[:3],), {}, ValueError, "'c' with 2 parents .*3 rows"),
    "no rows": ((SMALL[:0],), {}, ValueError, "observed entry"),
    "all missing": ((torch.full((9, 4), NAN),), {}, ValueError, "observed entry"),
    "one row and a ridge": ((SMALL[:1], 1.0), {}, ValueError, "at least 2"),
    "seldom observed": ((changed(NAN, (slice(2, 6), 3)),), {}, ValueError, "'d' .*2 rows"),
    "constant with gaps": (
        (torch.cat([changed(NAN)[:, :3], torch.full((6, 1), 0.1)], dim=1),),
        {},
        ValueError,
        "'d' is constant",
    ),
    "weights negative": ((SMALL, 0.0, [1, 1, -1, 1, 1, 1]), {}, ValueError, "row 2"),
    "weights NaN": ((SMALL, 0.0, [1, 1, NAN, 1, 1, 1]), {}, ValueError, "row 2"),
    "weights inf": ((SMALL, 0.0, [1, 1, math.inf, 1, 1, 1]), {}, ValueError, "sample_weight"),
    "weights zero": ((SMALL, 0.0, [0] * 6), {}, ValueError, "zero in every row"),
    "weights short": ((SMALL, 0.0, [1, 1]), {}, ValueError, r"shape \(6,\)"),
    "ridge negative": ((SMALL, -1.0), {}, ValueError, "ridge"),
    "ridge NaN": ((SMALL, NAN), {}, ValueError, "ridge"),
    "starts": ((changed(NAN),), {"n_starts": 0}, ValueError, "n_starts"),
    "iterations": ((changed(NAN),), {"max_iterations": 0}, ValueError, "max_iterations"),
    "tolerance": ((changed(NAN),), {"tolerance": -1.0}, ValueError, "tolerance"),
    "starts without gaps": ((SMALL,), {"n_starts": 0}, ValueError, "n_starts"),
    "iterations without gaps": ((SMALL,), {"max_iterations": 0}, ValueError, "max_iterations"),
    "tolerance without gaps": ((SMALL,), {"tolerance": -1.0}, ValueError, "tolerance"),
    "generator without gaps": ((SMALL,), {"generator": "x"}, TypeError, "generator"),
    "progress without gaps": ((SMALL,), {"progress": 3}, TypeError, "progress"),
    "squares too large": ((1e200 * SMALL,), {}, ValueError, "'a' .*rescale"),
    "squares too small": ((1e-200 * SMALL,), {}, ValueError, "'a' .*rescale"),
    "squares too large, gaps": ((1e200 * changed(NAN),), {}, ValueError, "'a' .*rescale"),
    "squares too small, gaps": ((1e-200 * changed(NAN),), {}, ValueError, "'a' .*rescale"),
    "generator": ((changed(NAN),), {"generator": "x"}, TypeError, "generator"),
    "progress": ((changed(NAN),), {"progress": 3}, TypeError, "progress"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_are_named_and_change_nothing(case):
    arguments, options, error, named = BAD[case]
    net = truth()
    before = numbers(net).copy()
    with pytest.raises(error, match=named):
        net.fit(*arguments, **options)
    assert (numbers(net) == before).all() and net.history == []


@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_what_float32_does_not_hold_is_not_learned(scale):
    """Infinite variances, or zeros that would make the variables deterministic."""
    net = blank().float()
    before = numbers(net).copy()
    with pytest.raises(ValueError, match=r"outside the range of torch.float32; rescale"):
        net.fit(scale * SMALL)
    assert (numbers(net) == before).all() and net.history == []
    assert blank().fit(scale * SMALL).log_prob(scale * SMALL).isfinite().all()


def test_determined_variables_and_gaps_do_not_go_together():
    a = torch.linspace(-1, 1, 20, dtype=torch.float64)
    x = torch.stack([a.sin(), 2 * a.sin()], dim=1)
    x[3, 1] = NAN
    net = LinearGaussianNetwork([("a", "b")], ["a", "b"])
    with pytest.raises(ValueError, match="'b' is constant or determined"):
        net.fit(x, max_iterations=10_000, tolerance=0.0)
    found = net.fit(x, ridge=1e-3)
    assert found.weights[0, 1].item() == pytest.approx(2.0, rel=1e-3)


def test_fit_returns_the_network_and_a_history():
    net = blank()
    assert net.fit(rows(30, 0.2)) is net
    assert {"start", "iteration", "objective", "change"} == set(net.history[0])
    assert [entry["iteration"] for entry in net.history] == list(range(1, len(net.history) + 1))
    assert not any([parameter.requires_grad for parameter in net.parameters()])
