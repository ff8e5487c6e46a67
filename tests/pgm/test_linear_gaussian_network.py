"""Linear-Gaussian networks: moments, densities, posteriors, draws, interventions, refusals."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import networkx
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, multivariate_normal, norm
from torch import Tensor

from pgm.linear_gaussian import queries
from pgm.linear_gaussian_network import LinearGaussianNetwork

NAN = math.nan


def thermometers() -> LinearGaussianNetwork:
    """A room, two thermometers, and a heater that follows the cheap one."""
    return LinearGaussianNetwork(
        [("room", "cheap"), ("room", "good"), ("cheap", "heater")],
        ["heater", "room", "cheap", "good"],
        {("room", "cheap"): 1.0, ("room", "good"): 1.5, ("cheap", "heater"): -2.0},
        {"room": 20.0, "cheap": 1.0, "good": 0.0, "heater": 50.0},
        {"room": 4.0, "cheap": 4.0, "good": 0.25, "heater": 1.0},
    )


@st.composite
def networks(draw: st.DrawFn, most: int = 6) -> LinearGaussianNetwork:
    """A random graph in a random order of variables, with random numbers."""
    names = [f"v{i}" for i in range(draw(st.integers(1, most)))]
    order = draw(st.permutations(names))
    pairs = list(itertools.combinations(order, 2))
    chosen = draw(st.lists(st.booleans(), min_size=len(pairs), max_size=len(pairs)))
    edges = [pair for pair, taken in zip(pairs, chosen, strict=True) if taken]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    # Away from zero, so that no path cancels or fades by chance of size alone.
    weights = {e: rng.choice([-1, 1]) * rng.uniform(0.4, 1.2) for e in edges}
    size = len(names)
    return LinearGaussianNetwork(
        edges, names, weights, rng.normal(size=size), rng.uniform(0.3, 2.0, size)
    )


def recursion(net: LinearGaussianNetwork) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance, one variable after the other: the oracle."""
    size = len(net.variables)
    w, b, s = (p.numpy() for p in (net.weights, net.intercepts, net.variances))
    index = {name: v for v, name in enumerate(net.variables)}
    mean, covariance = np.zeros(size), np.zeros((size, size))
    done: list[int] = []
    for v in (index[name] for name in networkx.topological_sort(net.graph)):
        mean[v] = b[v] + w[done, v] @ mean[done]
        cross = covariance[np.ix_(done, done)] @ w[done, v]
        covariance[done, v] = covariance[v, done] = cross
        covariance[v, v] = s[v] + w[done, v] @ cross
        done.append(v)
    return mean, covariance


def with_gaps(x: Tensor, share: float, seed: int) -> Tensor:
    x = x.clone()
    x[torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)) < share] = NAN
    return x


# Structure ---------------------------------------------------------------------------------------


def test_what_a_network_knows_of_itself():
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


def test_numbers_by_name_and_by_array_agree():
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


def test_weights_beside_the_edges_count_as_zero():
    net = thermometers()
    expected = net.covariance.clone()
    with torch.no_grad():
        net.weights[net.weights == 0] = 7.0
    assert net.covariance.equal(expected)
    net.requires_grad_()
    net.log_prob(torch.ones(1, 4)).sum().backward()
    assert not net.weights.grad[~net.mask].any() and net.weights.grad[net.mask].all()


def test_parameters_copied_in_are_those_in_use():
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
@given(networks())
def test_moments_are_those_of_the_recursion(net):
    mean, covariance = recursion(net)
    np.testing.assert_allclose(net.mean, mean, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(net.covariance, covariance, rtol=1e-10, atol=1e-12)
    size = len(mean)
    np.testing.assert_allclose(net.precision.numpy() @ covariance, np.eye(size), atol=1e-9)


@settings(max_examples=50)
@given(networks(5), st.integers(0, 2**32 - 1))
def test_d_separation_is_zero_partial_correlation(net, seed):
    """Exactly for the graph's independences, and visibly not for its dependences."""
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


def test_the_precision_has_a_zero_for_every_pair_beyond_the_blanket():
    net = thermometers()
    for a, b in itertools.combinations(net.variables, 2):
        i, j = net.variables.index(a), net.variables.index(b)
        assert (net.precision[i, j] == 0) == (b not in net.markov_blanket(a))


# Densities ---------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(networks(), st.sampled_from([0.0, 0.3, 0.6, 1.0]), st.integers(0, 2**16))
def test_log_prob_is_that_of_the_multivariate_normal(net, share, seed):
    mean, covariance = recursion(net)
    x = with_gaps(net.sample(20, generator=seed), share, seed)
    for row, found in zip(x.numpy(), net.log_prob(x).tolist(), strict=True):
        seen = ~np.isnan(row)
        law = multivariate_normal(mean[seen], covariance[np.ix_(seen, seen)]) if seen.any() else 0
        expected = law.logpdf(row[seen]) if seen.any() else 0.0
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert net.score(x).item() == pytest.approx(net.log_prob(x).mean().item(), rel=1e-14)


def test_missing_entries_are_integrated_out():
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


def test_rows_in_any_form():
    net = thermometers()
    x = with_gaps(net.sample(30, generator=0), 0.3, 0)
    expected = net.log_prob(x)
    assert net.log_prob(x.numpy()).equal(expected)
    frame = pd.DataFrame(x.numpy(), columns=list(net.variables))[
        ["good", "cheap", "room", "heater"]
    ]
    assert net.log_prob(frame).equal(expected)
    assert net.log_prob(frame.astype("Float64")).equal(expected)
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


def test_gradients_reach_every_parameter_and_the_evidence():
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


def test_second_derivatives():
    """The observed information, for standard errors: backward may be differentiated."""
    net = thermometers().requires_grad_()
    x = with_gaps(net.sample(8, generator=1), 0.4, 1)
    (first,) = torch.autograd.grad(net.log_prob(x).sum(), net.variances, create_graph=True)
    (second,) = torch.autograd.grad(first[1], net.variances)

    def slope() -> Tensor:
        with torch.enable_grad():
            return torch.autograd.grad(net.log_prob(x).sum(), net.variances)[0][1]

    np.testing.assert_allclose(second, slopes(slope, net.variances), rtol=1e-5, atol=1e-7)


# Posteriors --------------------------------------------------------------------------------------


def conditional(
    net: LinearGaussianNetwork, evidence: dict[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of everything given the evidence, by the Schur complement."""
    mean, covariance = recursion(net)
    seen = [v for v, name in enumerate(net.variables) if name in evidence]
    values = np.array([evidence[net.variables[v]] for v in seen])
    gain = covariance[:, seen] @ np.linalg.inv(covariance[np.ix_(seen, seen)])
    return mean + gain @ (values - mean[seen]), covariance - gain @ covariance[seen]


@settings(max_examples=50)
@given(networks(), st.integers(0, 2**16))
def test_posteriors_are_schur_complements(net, seed):
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


def test_two_thermometers_by_hand():
    """Precisions add: 1/4 of the prior, 1/4 of the cheap one, 1.5^2 / 0.25 = 9 of the good one."""
    net = thermometers()
    found = net.marginals({"cheap": 17.0, "good": 33.0}, "room")["room"]
    precision = 0.25 + 0.25 + 9
    assert found.variance.item() == pytest.approx(1 / precision, rel=1e-14)
    mean = (0.25 * 20 + 0.25 * (17 - 1) + 9 * (33 / 1.5)) / precision
    assert found.mean.item() == pytest.approx(mean, rel=1e-14)


def test_a_batch_is_a_loop():
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


def test_a_posterior_as_a_torch_distribution():
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


# Draws -------------------------------------------------------------------------------------------

FALSE_ALARM = 1e-6


def smallest_p(standard: np.ndarray) -> float:
    """Least p-value, times the number of tests, that rows (n, k) are N(0, I).

    Exact tests of the mean and the square of every coordinate and of every sum and difference of
    two, so that means, variances and correlations are all seen.
    """
    n, k = standard.shape
    directions = list(np.eye(k))
    for i, j in itertools.combinations(range(k), 2):
        directions += [(np.eye(k)[i] + s * np.eye(k)[j]) / np.sqrt(2) for s in (1, -1)]
    along = standard @ np.array(directions).T
    squares, sums = (along**2).sum(axis=0), along.sum(axis=0)
    tails = [chi2(n).cdf(squares), chi2(n).sf(squares), norm.sf(np.abs(sums) / np.sqrt(n))]
    return 2 * np.min(tails) * 2 * len(directions)


def whitened(draws: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    return np.linalg.solve(np.linalg.cholesky(covariance), (draws - mean).T).T


def test_draws_follow_the_joint_law():
    net = thermometers()
    draws = net.sample(20_000, generator=0).numpy()
    assert smallest_p(whitened(draws, *recursion(net))) > FALSE_ALARM
    # The test sees a wrong weight, and draws that forget how variables depend.
    other = thermometers()
    with torch.no_grad():
        other.weights[1, 2] = 1.1
    assert smallest_p(whitened(draws, *recursion(other))) < FALSE_ALARM
    shuffled = draws.copy()
    shuffled[:, 0] = np.roll(shuffled[:, 0], 1)
    assert smallest_p(whitened(shuffled, *recursion(net))) < FALSE_ALARM


def test_draws_follow_the_posterior():
    net = thermometers()
    seen = {"heater": 10.0, "good": 29.0}
    draws = net.sample(20_000, seen, generator=0).numpy()
    assert (draws[:, 0] == 10.0).all() and (draws[:, 3] == 29.0).all()
    mean, covariance = conditional(net, seen)
    free = [1, 2]
    law = mean[free], covariance[np.ix_(free, free)]
    assert smallest_p(whitened(draws[:, free], *law)) > FALSE_ALARM
    # Independent draws of the two marginals would not pass.
    apart = np.random.default_rng(0).normal(mean[free], np.sqrt(np.diag(law[1])), (20_000, 2))
    assert smallest_p(whitened(apart, *law)) < FALSE_ALARM


def test_imputed_draws_follow_every_row_of_its_own():
    net = thermometers()
    x = with_gaps(net.sample(20_000, generator=3), 0.5, 4)
    filled = net.impute(x, "sample", generator=5)
    assert filled[~x.isnan()].equal(x[~x.isnan()]) and filled.isfinite().all()
    # Filled rows follow the joint law again if and only if every posterior is right.
    assert smallest_p(whitened(filled.numpy(), *recursion(net))) > FALSE_ALARM
    means = net.impute(x)
    assert means[~x.isnan()].equal(x[~x.isnan()])
    assert smallest_p(whitened(means.numpy(), *recursion(net))) < FALSE_ALARM
    for i in range(5):
        seen = {n: v for n, v in zip(net.variables, x[i].tolist(), strict=True) if v == v}
        np.testing.assert_allclose(means[i], conditional(net, seen)[0], rtol=1e-10)


def test_draws_follow_their_generator():
    net = thermometers()
    state = torch.get_rng_state()
    for seen in (None, {"good": 30.0}):
        assert net.sample(5, seen, generator=1).equal(net.sample(5, seen, generator=1))
        assert not net.sample(5, seen, generator=1).equal(net.sample(5, seen, generator=2))
        net.sample(5, seen)
    assert torch.get_rng_state().equal(state)
    assert net.sample(0).shape == (0, 4)


# Deterministic variables -------------------------------------------------------------------------


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
@given(networks(5), st.integers(0, 2**16))
def test_no_noise_is_the_limit_of_little(net, seed):
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


# Interventions -----------------------------------------------------------------------------------


def test_to_set_is_not_to_see():
    """A confounder with opposite effects turns the sign of the regression."""
    net = LinearGaussianNetwork(
        [("soil", "dose"), ("soil", "yield"), ("dose", "yield")],
        ["soil", "dose", "yield"],
        {("soil", "dose"): -1.0, ("soil", "yield"): 3.0, ("dose", "yield"): 1.0},
        None,
        {"soil": 1.0, "dose": 1.0, "yield": 1.0},
    )
    seen = net.marginals({"dose": [0.0, 1.0]}, "yield")["yield"].mean.diff().item()
    done = [net.intervene({"dose": dose}).mean[2].item() for dose in (0.0, 1.0)]
    assert done[1] - done[0] == pytest.approx(1.0)
    assert seen == pytest.approx(1.0 + 3.0 * -1.0 / 2)
    changed = net.intervene({"dose": 1.0})
    assert changed.parents("dose") == () and changed.parents("yield") == ("soil", "dose")
    assert net.parents("dose") == ("soil",), "the original stays"
    assert changed.marginals({"dose": 1.0})["soil"].mean.item() == 0.0
    # What is set says nothing of its causes; what is then seen does.
    assert changed.marginals({"yield": 4.0})["soil"].mean.item() == pytest.approx(0.3 * 3)


@settings(max_examples=30)
@given(networks(5), st.integers(0, 2**16))
def test_an_intervention_is_the_truncated_product(net, seed):
    rng = np.random.default_rng(seed)
    forced = {name: rng.normal() for name in net.variables if rng.random() < 0.4}
    changed = net.intervene(forced)
    assert changed.variables == net.variables
    free = [v for v, name in enumerate(net.variables) if name not in forced]
    x = torch.from_numpy(rng.normal(size=(4, len(net.variables))))
    for name, value in forced.items():
        x[:, net.variables.index(name)] = value
    w, b, s = (p.detach().numpy() for p in net.parameters())
    terms = norm(b + x.numpy() @ w, np.sqrt(s)).logpdf(x.numpy())
    x[:, [net.variables.index(name) for name in forced]] = NAN
    found = changed.log_prob(x)
    np.testing.assert_allclose(found, terms[:, free].sum(axis=1), rtol=1e-9, atol=1e-9)


# Files, types and devices ------------------------------------------------------------------------


def test_a_file_gives_the_network_back(tmp_path):
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


def test_other_types_and_devices(device, dtype):
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
    fitted = net.fit(x, max_iterations=2)
    assert fitted.weights.dtype == dtype and fitted.weights.device.type == device.type


# Refusals ----------------------------------------------------------------------------------------

AB = ([("a", "b")], ["a", "b"])
BAD = {
    "cycle": (([("a", "b"), ("b", "a")], ["a", "b"]), ValueError, "cycle"),
    "loop": (([("a", "a")], ["a"]), ValueError, "cycle"),
    "unknown": (([("a", "q")], ["a"]), ValueError, "'q'"),
    "edge twice": (([("a", "b"), ("a", "b")], ["a", "b"]), ValueError, "twice"),
    "edge no pair": (([3], ["a"]), TypeError, "edges"),
    "no variables": (([], []), ValueError, "at least one"),
    "a string": (([], "ab"), TypeError, "sequence"),
    "a number": (([], [1]), TypeError, "strings"),
    "name twice": (([], ["a", "a"]), ValueError, "'a' twice"),
    "weight unknown": ((*AB, {("b", "a"): 1.0}), ValueError, r"no edge \('b', 'a'\)"),
    "weight missing": ((*AB, {}), ValueError, "no value for the edge"),
    "weight shape": ((*AB, [1.0, 2.0]), ValueError, r"weights .*\(2, 2\)"),
    "weight off an edge": ((*AB, [[0.0, 1.0], [1.0, 0.0]]), ValueError, r"\('b', 'a'\)"),
    "weight NaN": ((*AB, {("a", "b"): NAN}), ValueError, "one number"),
    "weight NaN in a matrix": ((*AB, [[0.0, NAN], [0.0, 0.0]]), ValueError, r"\('a', 'b'\)"),
    "weight inf": ((*AB, {("a", "b"): math.inf}), ValueError, "finite"),
    "intercept missing": ((*AB, None, {"a": 1.0}), ValueError, "'b'"),
    "intercept unknown": ((*AB, None, {"q": 1.0}), ValueError, "'q'"),
    "intercept shape": ((*AB, None, [1.0]), ValueError, "intercepts"),
    "intercept words": ((*AB, None, ["x", "y"]), TypeError, "intercepts"),
    "variance negative": ((*AB, None, None, [1.0, -2.0]), ValueError, "-2 for 'b'"),
    "variance NaN": ((*AB, None, None, [1.0, NAN]), ValueError, "'b'"),
    "variance inf": ((*AB, None, None, [1.0, math.inf]), ValueError, "variances"),
    "complex": ((*AB, None, None, [1.0, 1j]), TypeError, "variances"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_networks_are_named(case):
    arguments, error, named = BAD[case]
    with pytest.raises(error, match=named):
        LinearGaussianNetwork(*arguments)


@pytest.mark.parametrize(
    ("evidence", "error", "named"),
    [
        ({"nobody": 1.0}, ValueError, "nobody"),
        ({"room": math.inf}, ValueError, r"evidence\['room'\] must be finite"),
        ({"room": "warm"}, TypeError, "room"),
        ({"room": [[1.0]]}, ValueError, "1-D"),
        ({"room": [1.0, 2.0], "good": [1.0, 2.0, 3.0]}, ValueError, "lengths"),
        ([("room", 1.0)], TypeError, "map"),
    ],
)
def test_bad_evidence_is_named(evidence, error, named):
    net = thermometers()
    for method in (net.log_evidence, net.marginals, net.most_probable):
        with pytest.raises(error, match=named):
            method(evidence)


@pytest.mark.parametrize(
    ("x", "error", "named"),
    [
        (torch.zeros(4), ValueError, r"\(n, 4\)"),
        (torch.zeros(2, 3), ValueError, r"\(n, 4\)"),
        ([[0, 0, math.inf, 0]], ValueError, "finite"),
        ([["a", 0, 0, 0]], TypeError, "x must hold"),
        ([[0, 0], [0]], ValueError, "x must hold"),
        (torch.zeros(1, 4, dtype=torch.complex64), TypeError, "real"),
        (pd.DataFrame({"room": [1.0]}), ValueError, "'heater'"),
        (pd.Series([1.0]), TypeError, "table"),
    ],
)
def test_bad_rows_are_named(x, error, named):
    for method in (thermometers().log_prob, thermometers().impute):
        with pytest.raises(error, match=named):
            method(x)


def test_other_refusals():
    net = thermometers()
    batch = {"good": [1.0, 2.0]}
    for call, named in (
        (lambda: net.sample(2, batch), "batch"),
        (lambda: net.most_probable(batch), "batch"),
        (lambda: net.intervene(batch), "batch"),
        (lambda: net.intervene({"good": NAN}), "NaN"),
        (lambda: net.sample(-1), "-1"),
        (lambda: net.impute(torch.zeros(1, 4), "median"), "median"),
        (lambda: net.query(["room", "room"]), "twice"),
        (lambda: net.query(["nobody"]), "nobody"),
        (lambda: net.marginals(None, ["nobody"]), "nobody"),
        (lambda: net.is_d_separated("room", "nobody"), "nobody"),
        (lambda: net.is_d_separated("room", ["room"]), "disjoint"),
        (lambda: net.parents("nobody"), "nobody"),
        (lambda: net.children("nobody"), "nobody"),
        (lambda: net.markov_blanket("nobody"), "nobody"),
    ):
        with pytest.raises(ValueError, match=named):
            call()


def test_what_does_not_fit_in_memory_is_refused_first(monkeypatch):
    monkeypatch.setattr(queries, "free_memory", lambda: 1000)
    net = thermometers()
    with pytest.raises(ValueError, match=r"8 covariances of 4 variables take 1\.0 KiB"):
        net.query(net.variables, {"room": torch.zeros(8)})
    assert net.marginals({"room": torch.zeros(8)})["good"].mean.shape == (8,)
