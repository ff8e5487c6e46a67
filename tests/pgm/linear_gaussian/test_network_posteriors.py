"""Posteriors of linear-Gaussian networks against Schur complements."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

NAN = math.nan


@settings(max_examples=50)
@given(st.data(), st.integers(0, 2**16))
def test_posteriors_are_schur_complements(conditional, networks, data, seed):
    net = data.draw(networks())
    rng = np.random.default_rng(seed)
    seen = {name: rng.normal() for name in net.variables if rng.random() < 0.5}
    mean, covariance = conditional(net, seen)
    names = rng.permutation(net.variables).tolist()
    places = [net.variables.index(name) for name in names]
    found = net.query(names, seen)
    assert found.variables == tuple(names)
    np.testing.assert_allclose(found.mean, mean[places], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        found.covariance_matrix, covariance[np.ix_(places, places)], rtol=1e-9, atol=1e-9
    )
    marginals = net.marginals(seen)
    assert list(marginals) == list(net.variables)
    for v, name in enumerate(net.variables):
        assert marginals[name].mean.item() == pytest.approx(mean[v], rel=1e-9, abs=1e-9)
        assert marginals[name].variance.item() == pytest.approx(covariance[v, v], abs=1e-9)
    assignment, density = net.most_probable(seen)
    assert list(assignment.values()) == pytest.approx(mean.tolist(), rel=1e-9, abs=1e-9)
    assert {name: assignment[name] for name in seen} == seen
    best = torch.tensor([list(assignment.values())], dtype=torch.float64)
    assert density.item() == pytest.approx(net.log_prob(best).item(), rel=1e-12)
    free = [v for v, name in enumerate(net.variables) if name not in seen]
    others = best.repeat(20, 1)
    others[:, free] += torch.from_numpy(rng.normal(size=(20, len(free))))
    assert (net.log_prob(others) <= density + 1e-9).all()


def test_two_thermometers_by_hand(thermometers):
    """Precisions add: 1/4 of the prior, 1/4 of the cheap one, 1.5^2 / 0.25 = 9 of the good one."""
    net = thermometers()
    found = net.marginals({"cheap": 17.0, "good": 33.0}, "room")["room"]
    precision = 0.25 + 0.25 + 9
    assert found.variance.item() == pytest.approx(1 / precision, rel=1e-14)
    mean = (0.25 * 20 + 0.25 * (17 - 1) + 9 * (33 / 1.5)) / precision
    assert found.mean.item() == pytest.approx(mean, rel=1e-14)


def test_a_batch_is_a_loop(thermometers):
    net = thermometers()
    batch = {
        "cheap": [15.0, NAN, 17.0, None],
        "good": np.array([30.0, 31.0, NAN, NAN]),
        "heater": 7,
    }
    rows = [
        {name: value for name, value in zip(batch, values, strict=True) if value == value}
        for values in ((15.0, 30.0, 7), (NAN, 31.0, 7), (17.0, NAN, 7), (NAN, NAN, 7))
    ]
    density, marginals = net.log_evidence(batch), net.marginals(batch)
    joint = net.query(["room", "good"], batch)
    assert joint.mean.shape == (4, 2) and joint.covariance_matrix.shape == (4, 2, 2)
    for i, row in enumerate(rows):
        assert density[i].item() == pytest.approx(net.log_evidence(row).item(), rel=1e-13)
        one = net.query(["room", "good"], row)
        np.testing.assert_allclose(joint.mean[i], one.mean, rtol=1e-13)
        np.testing.assert_allclose(joint.stddev[i], one.stddev, rtol=1e-13)
        for name, law in net.marginals(row).items():
            np.testing.assert_allclose(marginals[name].mean[i], law.mean, rtol=1e-13)
            np.testing.assert_allclose(marginals[name].stddev[i], law.stddev, atol=1e-13)
    assert net.log_evidence({"room": [1.0]}).shape == (1,)
    assert net.log_evidence().item() == 0.0
    assert net.query("room").mean.tolist() == [20.0]


def test_a_posterior_as_a_torch_distribution(thermometers):
    net = thermometers()
    found = net.query(["room", "good"], {"cheap": 20.0})
    law = found.to_distribution()
    point = torch.tensor([19.0, 28.0], dtype=torch.float64)
    both = net.log_evidence({"cheap": 20.0, "room": 19.0, "good": 28.0})
    expected = both - net.log_evidence({"cheap": 20.0})
    assert law.log_prob(point).item() == pytest.approx(expected.item(), rel=1e-12)
    known = net.query(["room", "cheap"], {"cheap": 20.0})
    assert known.variance[1].item() == 0.0
    with pytest.raises(ValueError, match="singular"):
        known.to_distribution()
