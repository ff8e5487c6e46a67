"""Linear-Gaussian networks: structure, moments, files and devices."""

from __future__ import annotations

import itertools

import networkx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgm.linear_gaussian_network import LinearGaussianNetwork

# Structure ---------------------------------------------------------------------------------------


def test_what_a_network_knows_of_itself(thermometers):
    net = thermometers()
    assert net.variables == ("heater", "room", "cheap", "good")
    assert net.parents("heater") == ("cheap",) and net.children("room") == ("cheap", "good")
    assert list(net.children()) == []
    assert net.n_parameters == 3 + 4 + 4
    assert set(net.graph.edges) == set(net.edges) and len(net.edges) == 3
    assert list(net.graph.nodes) == list(net.variables)
    assert "4 variables, 3 edges" in repr(net)
    assert net.markov_blanket("cheap") == {"room", "heater"}
    assert net.weights.dtype == torch.float64 and not net.weights.requires_grad
    assert net.weights[1, 3].item() == 1.5 and net.mask.sum().item() == 3
    assert list(dict(net.named_parameters())) == ["weights", "intercepts", "variances"]


def test_numbers_by_name_and_by_array_agree(thermometers):
    net = thermometers()
    arrays = [net.weights.numpy(), net.intercepts.tolist(), net.variances]
    again = LinearGaussianNetwork(net.edges, net.variables, *arrays)
    assert again.covariance.equal(net.covariance) and again.mean.equal(net.mean)
    with torch.no_grad():
        net.weights.zero_()
    assert again.weights.sum().item() == 0.5, "the caller's array is not shared"


def test_the_default_is_independent_standard_normal():
    net = LinearGaussianNetwork([("a", "b")], ["a", "b"])
    assert net.mean.tolist() == [0, 0] and net.covariance.equal(torch.eye(2).double())


def test_weights_beside_the_edges_count_as_zero(thermometers):
    net = thermometers()
    expected = net.covariance.clone()
    with torch.no_grad():
        net.weights[net.weights == 0] = 7.0
    assert net.covariance.equal(expected)
    net.requires_grad_()
    net.log_prob(torch.ones(1, 4)).sum().backward()
    assert not net.weights.grad[~net.mask].any() and net.weights.grad[net.mask].all()


def test_parameters_copied_in_are_those_in_use(thermometers):
    net = thermometers()
    with torch.no_grad():
        net.intercepts.copy_(torch.tensor([0.0, 1.0, 0.0, 0.0]))
        net.variances[1] = 9.0
    assert net.mean.tolist() == [-2.0, 1.0, 1.0, 1.5]
    assert net.marginals()["room"].stddev.item() == 3.0
    with torch.no_grad():
        net.variances[1] = -1.0
    for method in (net.sample, net.log_prob):
        with pytest.raises(ValueError, match=r"variances .*-1 for 'room'"):
            method(torch.zeros(2, 4) if method == net.log_prob else 2)


# Moments -----------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(st.data())
def test_moments_are_those_of_the_recursion(recursion, networks, data):
    net = data.draw(networks())
    mean, covariance = recursion(net)
    np.testing.assert_allclose(net.mean, mean, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(net.covariance, covariance, rtol=1e-10, atol=1e-12)
    size = len(mean)
    np.testing.assert_allclose(net.precision.numpy() @ covariance, np.eye(size), atol=1e-9)


@settings(max_examples=50)
@given(st.data(), st.integers(0, 2**32 - 1))
def test_d_separation_is_zero_partial_correlation(networks, data, seed):
    """Exactly for the graph's independences, and visibly not for its dependences."""
    net = data.draw(networks(5))
    names = np.random.default_rng(seed).permutation(net.variables).tolist()
    if len(names) < 2:
        return
    x, y, given_ = names[0], names[1], names[2 : 2 + seed % 4]
    seen = dict.fromkeys(given_, 0.0)
    partial = net.query([x, y], seen).covariance_matrix
    correlation = (partial[0, 1] / partial.diagonal().prod().sqrt()).abs().item()
    separated = networkx.is_d_separator(net.graph, {x}, {y}, set(given_))
    assert net.is_d_separated(x, y, given_) == separated
    # Dependences cancel on a set of measure zero, and come within 1e-9 of it as seldom.
    assert (correlation < 1e-12) if separated else (correlation > 1e-9)


def test_the_precision_has_a_zero_for_every_pair_beyond_the_blanket(thermometers):
    net = thermometers()
    for a, b in itertools.combinations(net.variables, 2):
        i, j = net.variables.index(a), net.variables.index(b)
        assert (net.precision[i, j] == 0) == (b not in net.markov_blanket(a))


# Files, types and devices ------------------------------------------------------------------------


def test_a_file_gives_the_network_back(thermometers, tmp_path):
    net = thermometers()
    net.save(tmp_path / "room.safetensors")
    copy = LinearGaussianNetwork.load(tmp_path / "room.safetensors")
    assert copy.variables == net.variables and copy.edges == net.edges
    assert copy.sample(3, generator=0).equal(net.sample(3, generator=0))
    for name, value in net.state_dict().items():
        assert copy.state_dict()[name].equal(value)
    single = thermometers().float()
    single.save(tmp_path / "single.safetensors")
    assert LinearGaussianNetwork.load(tmp_path / "single.safetensors").mean.dtype == torch.float32


def test_other_types_and_devices(thermometers, with_gaps, device, dtype):
    net = thermometers().to(device, dtype)
    exact = thermometers()
    x = with_gaps(exact.sample(20, generator=0), 0.3, 0)
    found = net.log_prob(x)
    assert (found.dtype, found.device.type) == (dtype, device.type)
    tolerance = 1e-3 if dtype == torch.float32 else 1e-9
    np.testing.assert_allclose(found.cpu(), exact.log_prob(x), rtol=tolerance)
    room = net.marginals({"good": 30.0})["room"]
    assert room.mean.dtype == dtype and room.mean.device.type == device.type
    assert room.mean.item() == pytest.approx(exact.marginals({"good": 30.0})["room"].mean.item())
    assert net.sample(3, {"good": 30.0}, generator=0).device.type == device.type
    assert net.impute(x).dtype == dtype
    assert net.intervene({"room": 3.0}).weights.dtype == dtype
    fitted = net.fit(x, max_iterations=2, tolerance=0.0)
    assert fitted.weights.dtype == dtype and fitted.weights.device.type == device.type
