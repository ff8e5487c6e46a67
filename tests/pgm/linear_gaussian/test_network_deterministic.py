"""Linear-Gaussian networks with variables of variance zero."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from pgm.linear_gaussian_network import LinearGaussianNetwork

NAN = math.nan


def double() -> LinearGaussianNetwork:
    """y = 2 x + 1 exactly, z a noisy reading of y."""
    return LinearGaussianNetwork(
        [("x", "y"), ("y", "z")],
        ["x", "y", "z"],
        {("x", "y"): 2.0, ("y", "z"): 1.0},
        {"x": 0.0, "y": 1.0, "z": 0.0},
        {"x": 1.0, "y": 0.0, "z": 4.0},
    )


def test_deterministic_variables_are_conditioned_exactly():
    net = double()
    assert net.covariance.tolist() == [[1, 2, 2], [2, 4, 4], [2, 4, 8]]
    draws = net.sample(100, generator=0)
    np.testing.assert_allclose(draws[:, 1], 2 * draws[:, 0] + 1, rtol=1e-14)
    found = net.marginals({"y": 5.0})
    assert found["x"].mean.item() == pytest.approx(2.0) and found["x"].stddev.item() < 1e-15
    agreeing, alone = net.query(["z"], {"x": 2.0, "y": 5.0}), net.query(["z"], {"y": 5.0})
    np.testing.assert_allclose(agreeing.mean, alone.mean, rtol=1e-14)
    np.testing.assert_allclose(agreeing.covariance_matrix, alone.covariance_matrix, rtol=1e-14)
    posterior = net.sample(200, {"z": 3.0}, generator=0)
    np.testing.assert_allclose(posterior[:, 1], 2 * posterior[:, 0] + 1, rtol=1e-12)


def test_contradictions_with_deterministic_variables_are_refused():
    net = double()
    for query in (lambda e: net.marginals(e), lambda e: net.sample(2, e), net.most_probable):
        with pytest.raises(ValueError, match="impossible"):
            query({"x": 2.0, "y": 5.1})
    batch = {"x": [2.0, 2.0, NAN], "y": [5.0, 5.1, 5.1]}
    found = net.query("z", batch)
    assert found.mean.isnan().flatten().tolist() == [False, True, False]
    assert found.covariance_matrix.isnan().flatten().tolist() == [False, True, False]
    marginals = net.marginals(batch)["z"]
    assert marginals.mean.isnan().tolist() == marginals.stddev.isnan().tolist()
    with pytest.raises(ValueError, match="row 1 contradicts"):
        net.impute([[2.0, 5.0, NAN], [2.0, 5.1, NAN]])


def test_there_is_no_density_of_what_is_determined():
    net = double()
    for x in ([[1.0, 3.0, 3.0]], [[1.0, 3.0, NAN]]):
        with pytest.raises(ValueError, match="no density"):
            net.log_prob(x)
    with pytest.raises(ValueError, match="no density of x, y together"):
        net.log_evidence({"x": 1.0, "y": 3.0})
    with pytest.raises(ValueError, match="'y' has variance zero"):
        _ = net.precision
    with pytest.raises(ValueError, match="'y' has variance zero"):
        net.most_probable({"x": 1.0})
    # Without y, or without x, there is one.
    found = net.log_prob([[1.0, NAN, 3.5], [NAN, 3.0, 3.5]])
    expected = [
        norm(0, 1).logpdf(1) + norm(3, 2).logpdf(3.5),
        norm(1, 2).logpdf(3) + norm(3, 2).logpdf(3.5),
    ]
    assert found.tolist() == pytest.approx(expected, rel=1e-13)


def test_gradients_exist_at_a_variance_of_zero():
    net = double().requires_grad_()
    x = torch.tensor([[1.0, NAN, 3.5], [NAN, 3.0, 3.5], [NAN, NAN, 1.0]], dtype=torch.float64)
    net.log_prob(x).sum().backward()
    assert all([parameter.grad.isfinite().all() for parameter in net.parameters()])
    with torch.no_grad():
        start = net.log_prob(x).sum()
        net.variances[1] = 1e-7
        slope = (net.log_prob(x).sum() - start) / 1e-7
    assert net.variances.grad[1].item() == pytest.approx(slope.item(), rel=1e-5)


@settings(max_examples=30)
@given(st.data(), st.integers(0, 2**16))
def test_no_noise_is_the_limit_of_little(with_gaps, networks, data, seed):
    net = data.draw(networks(5))
    rng = np.random.default_rng(seed)
    still = torch.from_numpy(rng.random(len(net.variables)) < 0.5)
    with torch.no_grad():
        net.variances[still] = 0.0
    x = with_gaps(net.sample(6, generator=seed), 0.4, seed)
    names = net.variables
    batch = {name: x[:, v] for v, name in enumerate(names)}
    exact = net.query(names, batch)
    assert exact.mean.isfinite().all(), "what the network draws is never impossible to it"
    with torch.no_grad():
        net.variances[still] = 1e-14
    close = net.query(names, batch)
    np.testing.assert_allclose(exact.mean, close.mean, atol=1e-4)
    np.testing.assert_allclose(exact.stddev, close.stddev, atol=1e-4)
