"""Densities of linear-Gaussian networks, with gaps and gradients."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from torch import Tensor

NAN = math.nan


@settings(max_examples=50)
@given(st.data(), st.sampled_from([0.0, 0.3, 0.6, 1.0]), st.integers(0, 2**16))
def test_log_prob_is_that_of_the_multivariate_normal(
    recursion, with_gaps, networks, data, share, seed
):
    net = data.draw(networks())
    mean, covariance = recursion(net)
    x = with_gaps(net.sample(20, generator=seed), share, seed)
    for row, found in zip(x.numpy(), net.log_prob(x).tolist(), strict=True):
        seen = ~np.isnan(row)
        law = multivariate_normal(mean[seen], covariance[np.ix_(seen, seen)]) if seen.any() else 0
        expected = law.logpdf(row[seen]) if seen.any() else 0.0
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert net.score(x).item() == pytest.approx(net.log_prob(x).mean().item(), rel=1e-14)


def test_missing_entries_are_integrated_out(thermometers):
    """Against a sum over a fine grid, of the product of the conditional densities."""
    net = thermometers()
    grid = torch.linspace(-8, 8, 401, dtype=torch.float64)
    heater, room = torch.meshgrid(18 + 6 * grid, 20 + 2 * grid, indexing="ij")
    rows = torch.stack([heater, room, 0 * room + 16.0, 0 * room + 31.0], dim=-1).reshape(-1, 4)
    density = net.log_prob(rows).exp()
    cell = (6 * 0.04) * (2 * 0.04)
    seen = {"cheap": 16.0, "good": 31.0}
    assert net.log_evidence(seen).exp().item() == pytest.approx(
        (density.sum() * cell).item(), rel=1e-12
    )
    found = net.query(["heater", "room"], seen)
    share = density / density.sum()
    mean = share @ rows[:, :2]
    np.testing.assert_allclose(found.mean, mean, rtol=1e-12)
    spread = (rows[:, :2] - mean).mT @ (share[:, None] * (rows[:, :2] - mean))
    np.testing.assert_allclose(found.covariance_matrix, spread, rtol=1e-10, atol=1e-10)


def test_rows_in_any_form(thermometers, with_gaps):
    net = thermometers()
    x = with_gaps(net.sample(30, generator=0), 0.3, 0)
    expected = net.log_prob(x)
    assert net.log_prob(x.numpy()).equal(expected)
    frame = pd.DataFrame(x.numpy(), columns=list(net.variables))[
        ["good", "cheap", "room", "heater"]
    ]
    assert net.log_prob(frame).equal(expected)
    assert net.log_prob(frame.astype("Float64")).equal(expected)
    array = x.numpy()
    assert net.log_prob(array.astype(">f8")).equal(expected)
    masked = np.ma.array(np.nan_to_num(array), mask=np.isnan(array))
    assert net.log_prob(masked).equal(expected)
    nones = [[None if value != value else value for value in row] for row in x.tolist()]
    assert net.log_prob(nones).equal(expected)
    whole = pd.DataFrame({name: [1, 2] for name in net.variables})
    assert net.log_prob(whole).equal(net.log_prob([[1.0] * 4, [2.0] * 4]))
    assert net.log_prob(torch.zeros(0, 4)).shape == (0,)
    assert net.log_prob([[NAN] * 4]).tolist() == [0.0]


def slopes(f: Callable[[], Tensor], parameter: Tensor) -> Tensor:
    """Central differences of a function by every entry of a parameter."""
    found = torch.zeros_like(parameter)
    with torch.no_grad():
        for place in itertools.product(*map(range, parameter.shape)):
            start, ends = parameter[place].item(), []
            for step in (1e-5, -1e-5):
                parameter[place] = start + step
                ends.append(f())
            parameter[place] = start
            found[place] = (ends[0] - ends[1]) / 2e-5
    return found


def test_gradients_reach_every_parameter_and_the_evidence(thermometers, with_gaps):
    net = thermometers().requires_grad_()
    x = with_gaps(net.sample(12, generator=1), 0.4, 1)
    assert x.isnan().any(1).sum() > 5 and not x.isnan().any(1).all()
    weights = torch.linspace(0.5, 2, 12, dtype=torch.float64)

    def loss() -> Tensor:
        return weights @ net.log_prob(x)

    loss().backward()
    for parameter in net.parameters():
        expected = slopes(loss, parameter)
        np.testing.assert_allclose(parameter.grad, expected, rtol=1e-6, atol=1e-6)
    x.requires_grad_()
    loss().backward()
    assert not x.grad[x.isnan()].any()
    steps = slopes(loss, x)
    np.testing.assert_allclose(x.grad[~x.isnan()], steps[~x.isnan()], rtol=1e-6, atol=1e-6)
    net.zero_grad()
    net.log_evidence({"good": 3.0}).backward()
    found = [parameter.grad.abs().sum().item() > 0 for parameter in net.parameters()]
    assert found == [True, True, True]


def test_second_derivatives(thermometers, with_gaps):
    """The observed information, for standard errors: backward may be differentiated."""
    net = thermometers().requires_grad_()
    x = with_gaps(net.sample(8, generator=1), 0.4, 1)
    (first,) = torch.autograd.grad(net.log_prob(x).sum(), net.variances, create_graph=True)
    (second,) = torch.autograd.grad(first[1], net.variances)

    def slope() -> Tensor:
        with torch.enable_grad():
            return torch.autograd.grad(net.log_prob(x).sum(), net.variances)[0][1]

    np.testing.assert_allclose(second, slopes(slope, net.variances), rtol=1e-5, atol=1e-7)
