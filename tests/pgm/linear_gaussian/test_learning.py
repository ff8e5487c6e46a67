"""Learning linear-Gaussian networks: least squares, EM with gaps, hidden variables."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.decomposition import FactorAnalysis
from sklearn.linear_model import LinearRegression, Ridge
from torch import Tensor

from pgm.linear_gaussian.family_regression import FamilyRegressions, triangular_root
from pgm.linear_gaussian.learning import EMOptions, LinearGaussianLearner
from pgm.linear_gaussian.score import GaussianScore
from pgm.linear_gaussian_network import LinearGaussianNetwork
from tests.pgm.linear_gaussian.four_variables import NAMES, blank, numbers, rows, truth

NAN = math.nan


ABOVE = [[], [0], [0, 1], [2]]


def steepest(net: LinearGaussianNetwork, x: Tensor, weights: Tensor | None = None) -> float:
    """Largest derivative of the log-likelihood per row, by logarithms for the variances."""
    net = LinearGaussianNetwork(net.edges, net.variables, *net.parameters()).requires_grad_()
    shares = torch.ones(len(x), dtype=torch.float64) if weights is None else weights
    (shares @ net.log_prob(x) / shares.sum()).backward()
    slopes = [net.weights.grad, net.intercepts.grad, net.variances.grad * net.variances]
    return max([slope.abs().max().item() for slope in slopes])


# Rows without gaps -------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_every_variable_is_regressed_on_its_parents(seed, weighted):
    rng = np.random.default_rng(seed)
    x = truth().sample(30, generator=seed).numpy()
    shares = rng.uniform(0.1, 3, 30) if weighted else np.ones(30)
    net = blank().fit(x, sample_weight=shares if weighted else None)
    for v, above in enumerate(ABOVE):
        design = x[:, above] if above else np.zeros((30, 1))
        oracle = LinearRegression().fit(design, x[:, v], sample_weight=shares)
        if above:
            np.testing.assert_allclose(net.weights[above, v], oracle.coef_, rtol=1e-8, atol=1e-9)
        assert net.intercepts[v].item() == pytest.approx(oracle.intercept_, rel=1e-8, abs=1e-9)
        residual = x[:, v] - oracle.predict(design)
        variance = (shares * residual**2).sum() / shares.sum()
        assert net.variances[v].item() == pytest.approx(variance, rel=1e-9)
    assert not net.weights[~net.mask].any()
    assert steepest(net, torch.from_numpy(x), torch.from_numpy(shares)) < 1e-9
    (entry,) = net.history
    likelihood = torch.from_numpy(shares) @ net.log_prob(x)
    assert entry["objective"] == pytest.approx(likelihood.item(), rel=1e-10)


@pytest.mark.parametrize("penalty", [0.1, 10.0])
def test_a_ridge_shrinks_as_in_ridge_regression(penalty):
    x = rows(40).numpy()
    net = blank().fit(x, ridge=penalty)
    for v, above in enumerate(ABOVE):
        if not above:
            continue
        oracle = Ridge(alpha=penalty).fit(x[:, above], x[:, v])
        np.testing.assert_allclose(net.weights[above, v], oracle.coef_, rtol=1e-8)
        square = ((x[:, v] - oracle.predict(x[:, above])) ** 2).mean()
        square += penalty / 40 * (oracle.coef_**2).sum()
        assert net.variances[v].item() == pytest.approx(square, rel=1e-9)


def test_weights_count_rows():
    x = rows(20)
    repeats = torch.arange(20) % 4
    once = blank().fit(x, sample_weight=repeats)
    many = blank().fit(x.repeat_interleave(repeats, dim=0))
    np.testing.assert_allclose(numbers(once), numbers(many), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_far_from_zero_digits_are_kept(share):
    x = rows(50, share)
    near, far = blank().fit(x), blank().fit(x + 1e7)
    np.testing.assert_allclose(far.weights, near.weights, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(far.variances, near.variances, rtol=1e-6)


def test_small_noise_keeps_its_digits():
    """A residual of 1e-8 of a variable's size: its square is lost in a moment of order one."""
    source = torch.Generator().manual_seed(0)
    a, noise = torch.randn(2, 100, dtype=torch.float64, generator=source)
    x = torch.stack([a, 2 * a + 1e-8 * noise], dim=1)
    net = LinearGaussianNetwork([("a", "b")], ["a", "b"]).fit(x)
    design = torch.stack([torch.ones(100).double(), a], dim=1)
    exact = torch.linalg.lstsq(design, x[:, 1:]).solution
    square = (x[:, 1:] - design @ exact).square().mean().item()
    assert net.variances[1].item() == pytest.approx(square, rel=1e-6)
    score = GaussianScore(x, "loglik").local(1, 0b1)
    assert score == pytest.approx(-50 * (1 + math.log(2 * math.pi * square)), rel=1e-7)
    moments = (x - x.mean(0)).mT @ (x - x.mean(0)) / 100
    lost = moments[1, 1] - moments[0, 1] ** 2 / moments[0, 0]
    assert abs(lost - square) > 0.5 * square, "as the moments themselves would have it"


def test_small_noise_keeps_its_digits_with_gaps():
    """The same scale of noise as a unit change of measurements in single precision."""
    source = torch.Generator().manual_seed(0)
    a, noise, other = torch.randn(3, 200, dtype=torch.float64, generator=source)
    gaps = torch.rand(200, 3, generator=source) < 0.2
    found = []
    for scale in (1e-2, 1e-7):
        x = torch.stack([a, 1.8 * a + 32 + scale * noise, a + other], dim=1)
        x[gaps] = NAN
        net = LinearGaussianNetwork([("a", "b"), ("a", "c")], ["a", "b", "c"])
        net.fit(x, tolerance=1e-12)
        objectives = [entry["objective"] for entry in net.history]
        assert (np.diff(objectives) >= -1e-9 * abs(objectives[-1])).all()
        found.append(net.variances[1].item() / scale**2)
    assert found[0] == pytest.approx(found[1], rel=1e-2)


def test_collinear_and_constant_parents_have_the_least_norm():
    rng = np.random.default_rng(0)
    a, y = rng.normal(size=(2, 50))
    x = np.column_stack([a, 3 * a - 1, np.full(50, 0.1), 2 * a + y])
    net = LinearGaussianNetwork([(p, "y") for p in "abc"], ["a", "b", "c", "y"]).fit(x)
    scaled = (x[:, :2] - x[:, :2].mean(0)) / x[:, :2].std(0)
    least = np.linalg.lstsq(scaled, x[:, 3] - x[:, 3].mean(), rcond=None)[0]
    np.testing.assert_allclose(net.weights[:2, 3].numpy() * x[:, :2].std(0), least, rtol=1e-9)
    assert net.weights[2, 3].item() == 0.0 and net.variances[2].item() == 0.0
    oracle = LinearRegression().fit(x[:, :3], x[:, 3])
    square = ((x[:, 3] - oracle.predict(x[:, :3])) ** 2).mean()
    assert net.variances[3].item() == pytest.approx(square, rel=1e-10)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_what_parents_determine_has_no_noise(offset):
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 40))
    x = np.column_stack([a, b, 0.3 * a - 7 * b + offset])
    net = LinearGaussianNetwork([("a", "c"), ("b", "c")], ["a", "b", "c"]).fit(x)
    assert net.variances[2].item() == 0.0 and (net.variances[:2] > 0).all()
    np.testing.assert_allclose(net.weights[:2, 2], [0.3, -7], rtol=1e-8)
    assert net.history[-1]["objective"] == math.inf
    assert net.impute([[1.0, 1.0, NAN]])[0, 2].item() == pytest.approx(-6.7 + offset, rel=1e-9)


def test_tables_are_read_by_name():
    x = rows(30, 0.2)
    expected = numbers(blank().fit(x, max_iterations=5, tolerance=0.0))
    frame = pd.DataFrame(x.numpy(), columns=NAMES)
    frame = frame.assign(other="text")[["other", "d", "b", "a", "c"]]
    for data in (frame, x.numpy(), x.tolist(), frame.astype(dict.fromkeys(NAMES, "Float64"))):
        assert (numbers(blank().fit(data, max_iterations=5, tolerance=0.0)) == expected).all()
    whole = pd.DataFrame({"a": [1, 2, 4, 9], "b": [True, False, True, True]})
    net = LinearGaussianNetwork([("a", "b")], ["a", "b"]).fit(whole)
    np.testing.assert_allclose(net.mean, [4, 0.75], rtol=1e-14)


def test_the_closest_network_to_a_gaussian_is_itself():
    """Regressions on the exact moments of a network give back its numbers."""
    net = truth()
    root = torch.linalg.cholesky(net.covariance).mT.numpy()
    weights, left = FamilyRegressions(ABOVE).solve(root, np.ones(4))
    np.testing.assert_allclose(weights, net.weights, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(left, net.variances, rtol=1e-10)


def test_a_triangular_root_has_the_moments():
    x = rows(50)
    root = triangular_root(x)
    assert root.shape == (4, 4) and triangular_root(x[:2]).shape == (2, 4)
    np.testing.assert_allclose(root.mT @ root, x.mT @ x, rtol=1e-12)


# Rows with gaps ----------------------------------------------------------------------------------


@pytest.mark.parametrize("edge", [("x", "y"), ("y", "x")])
def test_monotone_gaps_have_a_closed_form(edge):
    """x complete, y missing below: the moments of Anderson 1957, whatever way the edge goes."""
    rng = np.random.default_rng(0)
    x = rng.normal(2, 1.5, 60)
    y = 1 - 0.7 * x + rng.normal(size=60)
    seen = slice(0, 25)
    slope, start = np.polyfit(x[seen], y[seen], 1)
    square = ((y[seen] - start - slope * x[seen]) ** 2).mean()
    mean = np.array([x.mean(), start + slope * x.mean()])
    covariance = np.array([[x.var(), slope * x.var()], [slope * x.var(), 0]])
    covariance[1, 1] = square + slope**2 * x.var()
    data = np.column_stack([x, y])
    data[25:, 1] = NAN
    net = LinearGaussianNetwork([edge], ["x", "y"])
    net.fit(data, tolerance=0.0, max_iterations=300)
    np.testing.assert_allclose(net.mean, mean, rtol=1e-8)
    np.testing.assert_allclose(net.covariance, covariance, rtol=1e-8)


@pytest.mark.parametrize(("n", "share"), [(60, 0.15), (400, 0.5)])
def test_em_ends_at_a_maximum_of_the_observed_likelihood(n, share):
    x = rows(n, share, seed=n)
    net = blank().fit(x, tolerance=1e-13, max_iterations=2000)
    assert steepest(net, x) < 1e-5
    objectives = [entry["objective"] for entry in net.history]
    # The objective of a step is at the parameters before it.
    assert objectives[-1] == pytest.approx(net.log_prob(x).sum().item(), rel=1e-11)
    assert (np.diff(objectives) >= -1e-9 * abs(objectives[-1])).all()
    assert objectives[-1] > blank().fit(x, max_iterations=1).log_prob(x).sum()
    # Filling gaps with their expectations and forgetting that these are uncertain is no maximum.
    filled = net
    for _ in range(50):
        filled = blank().fit(filled.impute(x))
    assert steepest(filled, x) > 1e-2


def test_em_finds_what_direct_maximisation_finds():
    x = rows(40, 0.3, seed=3)
    found = blank().fit(x, tolerance=1e-13, max_iterations=5000)
    net = blank().requires_grad_()
    mask = net.mask.numpy()

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        with torch.no_grad():
            net.weights[net.mask] = torch.from_numpy(flat[:4])
            net.intercepts.copy_(torch.from_numpy(flat[4:8]))
            net.variances.copy_(torch.from_numpy(flat[8:]).exp())
        net.zero_grad()
        value = -net.log_prob(x).sum()
        value.backward()
        slopes = net.weights.grad.numpy()[mask], net.intercepts.grad.numpy()
        return value.item(), np.concatenate(
            [*slopes, (net.variances.grad * net.variances.detach()).numpy()]
        )

    best = minimize(loss, np.zeros(12), jac=True, method="BFGS", options={"gtol": 1e-7})
    assert -best.fun == pytest.approx(found.log_prob(x).sum().item(), rel=1e-10)
    fitted = [found.weights.numpy()[mask], found.intercepts, found.variances.log()]
    np.testing.assert_allclose(np.concatenate(fitted), best.x, atol=1e-4)


def test_em_ends_by_the_change_per_row():
    x = rows(60, 0.4, seed=5)
    x = x[~x.isnan().all(1)]
    shares = torch.linspace(0.5, 2, len(x), dtype=torch.float64)
    history = blank().fit(x, sample_weight=shares, tolerance=1e-4).history
    changes = [abs(step["change"]) / shares.sum().item() for step in history[1:]]
    assert changes[-1] < 1e-4 <= min(changes[:-1])


def test_one_step_of_em_by_hand():
    """Expected moments row by row, then regressions: many rows per pattern, and few."""
    x = torch.cat([rows(40, 0.4, seed=5), rows(30, 0.0, seed=6)])
    x = x[~x.isnan().all(1)]
    shares = torch.linspace(0.5, 2, len(x), dtype=torch.float64)
    before = blank().fit(x, sample_weight=shares, max_iterations=3, tolerance=0.0)
    after = blank().fit(x, sample_weight=shares, max_iterations=4, tolerance=0.0)
    first, second = np.zeros(4), np.zeros((4, 4))
    for row, share in zip(x, shares.tolist(), strict=True):
        seen = {n: v for n, v in zip(NAMES, row.tolist(), strict=True) if v == v}
        law = before.query(NAMES, seen)
        mean = law.mean.numpy()
        first += share * mean
        second += share * (np.outer(mean, mean) + law.covariance_matrix.numpy())
    total = shares.sum().item()
    first, second = first / total, second / total
    root = np.linalg.cholesky(second - np.outer(first, first)).T
    weights, left = FamilyRegressions(ABOVE).solve(root, np.ones(4))
    np.testing.assert_allclose(after.weights, weights, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(after.variances, left, rtol=1e-8)
    np.testing.assert_allclose(after.mean, first, rtol=1e-8)
    assert after.history[3]["objective"] == pytest.approx(
        (shares @ before.log_prob(x)).item(), rel=1e-11
    )


def test_em_without_gaps_is_least_squares():
    x, shares = rows(50), torch.linspace(1, 2, 50, dtype=torch.float64)
    for ridge in (0.0, 3.0):
        learner = LinearGaussianLearner(NAMES, ABOVE, [0, 1, 2, 3], ridge)
        direct, history = learner.complete(x, shares)
        stepped, steps = learner.incomplete(x, shares, EMOptions(tolerance=1e-12, progress=False))
        np.testing.assert_allclose(stepped.weights, direct.weights, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(stepped.intercepts, direct.intercepts, rtol=1e-9)
        np.testing.assert_allclose(stepped.variances, direct.variances, rtol=1e-9)
        assert steps[-1]["objective"] == pytest.approx(history[0]["objective"], rel=1e-11)


def test_a_ridge_makes_the_penalised_likelihood_climb():
    x = rows(60, 0.3, seed=1)
    net = blank().fit(x, ridge=5.0, tolerance=1e-12, max_iterations=1000)
    objectives = [entry["objective"] for entry in net.history]
    assert (np.diff(objectives) >= -1e-9 * abs(objectives[-1])).all()
    penalty = 2.5 * (net.weights.square().sum(0) / net.variances).sum()
    expected = (net.log_prob(x).sum() - penalty).item()
    assert objectives[-1] == pytest.approx(expected, rel=1e-10)
    assert net.weights.abs().sum() < blank().fit(x).weights.abs().sum()


def test_rows_that_say_nothing_change_nothing():
    x = rows(50, 0.3, seed=2)
    expected = numbers(blank().fit(x, max_iterations=20))
    more = torch.cat([x, torch.full((30, 4), NAN), rows(10, 0.3, seed=9)])
    shares = torch.cat([torch.ones(80), torch.zeros(10)])
    found = numbers(blank().fit(more, sample_weight=shares, max_iterations=20))
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_learned_numbers_approach_the_true_ones():
    """Within six standard errors, from the curvature of the likelihood: one chance in 10^7."""
    x = rows(5000, 0.3, seed=7)
    net = blank().fit(x, tolerance=1e-10).requires_grad_()
    free = torch.cat([net.mask.flatten(), torch.ones(8, dtype=torch.bool)])
    slopes = torch.autograd.grad(net.log_prob(x).sum(), list(net.parameters()), create_graph=True)
    flat = torch.cat([slope.flatten() for slope in slopes])[free]
    curvature = []
    for slope in flat:
        parts = torch.autograd.grad(slope, list(net.parameters()), retain_graph=True)
        curvature.append(torch.cat([part.flatten() for part in parts])[free])
    errors = torch.linalg.inv(-torch.stack(curvature)).diagonal().sqrt().numpy()
    gap = (numbers(net) - numbers(truth()))[free.numpy()]
    assert (np.abs(gap) < 6 * errors).all() and errors.max() < 0.1


# Hidden variables --------------------------------------------------------------------------------


def factor_rows() -> Tensor:
    weights = {("h", f"x{i}"): w for i, w in enumerate((1.0, 0.8, -1.5, 0.6, 0.9))}
    names = ["h", *[f"x{i}" for i in range(5)]]
    net = LinearGaussianNetwork(weights, names, weights, variances=[1, 0.3, 0.5, 0.4, 1, 0.2])
    x = net.sample(200, generator=0)
    x[:, 0] = NAN
    return x


def test_a_hidden_cause_is_factor_analysis():
    x = factor_rows()
    names = ["h", *[f"x{i}" for i in range(5)]]
    net = LinearGaussianNetwork([("h", name) for name in names[1:]], names)
    net.fit(x, generator=1, tolerance=1e-12, max_iterations=3000)
    oracle = FactorAnalysis(1, tol=1e-10, max_iter=5000, svd_method="lapack").fit(x[:, 1:])
    assert net.score(x).item() == pytest.approx(oracle.score(x[:, 1:].numpy()), abs=1e-6)
    np.testing.assert_allclose(net.covariance[1:, 1:], oracle.get_covariance(), atol=1e-3)
    # Without randomness at the start nothing would ever break the symmetry.
    stuck = LinearGaussianNetwork([], names).fit(x, generator=1)
    assert stuck.score(x) < net.score(x) - 0.5


def test_starts_are_random_only_by_their_generator():
    x = factor_rows()
    names = ["h", *[f"x{i}" for i in range(5)]]
    edges = [("h", name) for name in names[1:]]
    first, again, other = (
        numbers(
            LinearGaussianNetwork(edges, names).fit(
                x, generator=seed, max_iterations=4, tolerance=0.0
            )
        )
        for seed in (1, 1, 2)
    )
    assert (first == again).all() and (first != other).any()
    several = LinearGaussianNetwork(edges, names)
    several.fit(x, generator=1, n_starts=3, max_iterations=4, tolerance=0.0)
    ends = [entry["objective"] for entry in several.history if entry["iteration"] == 4]
    assert len(ends) == 3
    assert several.log_prob(x).sum().item() >= max(ends) - 1e-9
