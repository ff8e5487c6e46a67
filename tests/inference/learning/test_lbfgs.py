"""L-BFGS and OWL-QN against scipy, liblinear, a dense BFGS and the conditions of optimality."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference.learning.lbfgs import minimize
from inference.learning.line_search import Trial, wolfe_search


def quadratic(seed: int, n: int, condition: float = 1e3):
    """A convex quadratic, its minimum and its matrix."""
    rng = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(rng.normal(size=(n, n)))
    matrix = torch.from_numpy((basis * np.geomspace(1, condition, n)) @ basis.T)
    center = torch.from_numpy(rng.normal(size=n))

    def function(x):
        turned = matrix @ (x - center)
        return 0.5 * turned.dot(x - center), turned

    return function, center, matrix


def logistic(seed: int, n: int = 120, d: int = 15, rate: float = 0.0):
    """Logistic regression with correlated columns."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) / math.sqrt(d)
    y = np.where(X[:, :4].sum(1) + rng.normal(size=n) > 0, 1.0, -1.0)
    x, sign = torch.from_numpy(X), torch.from_numpy(y)

    def function(w):
        margin = sign * (x @ w)
        gradient = -(x.T @ (sign * torch.sigmoid(-margin))) + 2 * rate * w
        return torch.nn.functional.softplus(-margin).sum() + rate * w.square().sum(), gradient

    return function, X, y


def rosenbrock(x):
    from scipy.optimize import rosen, rosen_der

    return rosen(x.numpy()), rosen_der(x.numpy())


@pytest.mark.parametrize("n", [2, 10, 100])
def test_rosenbrock_as_fast_as_scipy(n):
    from scipy.optimize import minimize as scipy_minimize
    from scipy.optimize import rosen, rosen_der

    start = np.tile([-1.2, 1.0], n // 2)
    found = minimize(rosenbrock, start, value_tolerance=0)
    assert found.stop == "gradient" and found.converged
    assert torch.allclose(found.x, torch.ones(n, dtype=torch.float64), atol=1e-5)
    options = {"maxcor": 20, "gtol": 1e-7, "ftol": 0.0}
    peer = scipy_minimize(rosen, start, jac=rosen_der, method="L-BFGS-B", options=options)
    assert found.evaluations <= 1.3 * peer.nfev


@given(st.integers(0, 10**6), st.integers(1, 30))
def test_quadratics_reach_their_minimum(seed, n):
    function, center, _ = quadratic(seed, n)
    found = minimize(function, np.zeros(n), gradient_tolerance=1e-9, value_tolerance=0)
    assert found.stop == "gradient"
    assert float((found.x - center).norm()) <= 1e-8 * max(1.0, float(found.x.norm()))


@pytest.mark.parametrize("seed", range(3))
def test_same_minimum_as_scipy(seed):
    from scipy.optimize import minimize as scipy_minimize

    function, _, _ = logistic(seed, rate=0.1)

    def flat(w):
        value, gradient = function(torch.from_numpy(w))
        return float(value), gradient.numpy()

    options = {"gtol": 1e-10, "ftol": 0.0}
    peer = scipy_minimize(flat, np.zeros(15), jac=True, method="L-BFGS-B", options=options)
    found = minimize(function, np.zeros(15), gradient_tolerance=1e-9, value_tolerance=0)
    assert found.converged and found.value == pytest.approx(peer.fun, rel=1e-12)
    # The curvature is at least 0.2, so that a gradient says how far away the minimum is.
    radius = (np.linalg.norm(peer.jac) + found.gradient_norm) / 0.2
    assert np.linalg.norm(found.x.numpy() - peer.x) <= radius < 1e-4


def dense_bfgs(function, x, memory: int, iterations: int, inverse_of=lambda s, y: s.dot(y)):
    """The same method with the inverse Hessian as a matrix, made anew from the last changes."""
    value, gradient = function(x)
    pairs, path = [], []
    for _ in range(iterations):
        eye = torch.eye(len(x), dtype=x.dtype)
        s, y = pairs[-1] if pairs else (x, x)
        inverse = eye * (s.dot(y) / y.dot(y)) if pairs else eye
        for s, y in pairs:
            left = eye - torch.outer(s, y) / inverse_of(s, y)
            inverse = left @ inverse @ left.T + torch.outer(s, s) / inverse_of(s, y)
        direction = -inverse @ gradient

        def along(step, x=x, direction=direction):
            value, gradient = function(x + step * direction)
            slope = float(gradient.dot(direction))
            return Trial(step, float(value), slope, x + step * direction, gradient)

        slope = float(gradient.dot(direction))
        first = 1.0 if pairs else min(1.0, 1 / float(gradient.norm()))
        found = wolfe_search(along, Trial(0.0, float(value), slope, x, gradient), first)
        pairs = [*pairs, (found.point - x, found.gradient - gradient)][-memory:]
        x, value, gradient = found.point, found.value, found.gradient
        path.append(x)
    return torch.stack(path)


@pytest.mark.parametrize("memory", [1, 3, 20])
def test_two_loops_equal_the_matrix(memory):
    function, _, _ = logistic(5, rate=0.1)
    path = []
    start = torch.full((15,), 0.1, dtype=torch.float64)
    minimize(
        function, start, memory=memory, max_iterations=8, callback=lambda at: path.append(at.x)
    )
    expected = dense_bfgs(function, start, memory, 8)
    torch.testing.assert_close(torch.stack(path), expected, rtol=1e-7, atol=1e-9)
    wrong = dense_bfgs(function, start, memory, 8, inverse_of=lambda s, y: 1.1 * s.dot(y))
    assert not torch.allclose(torch.stack(path), wrong, rtol=1e-3)


# L1 --------------------------------------------------------------------------------------------


def optimality(function, x, l1) -> float:
    """How far the one-sided gradients are from allowing no descent."""
    _, gradient = function(x)
    at_zero = (gradient.abs() - l1).clamp_min(0)
    return float(torch.where(x == 0, at_zero, (gradient + l1 * x.sign()).abs()).max())


@pytest.mark.parametrize("l1", [0.5, 3.0, 10.0])
def test_same_as_liblinear(l1):
    from sklearn.linear_model import LogisticRegression

    function, X, y = logistic(7)
    found = minimize(function, np.zeros(15), l1=l1, gradient_tolerance=1e-9, value_tolerance=0)
    assert found.converged
    peer = LogisticRegression(
        l1_ratio=1.0,
        C=1 / l1,
        solver="liblinear",
        fit_intercept=False,
        tol=1e-9,
        max_iter=10**5,
        random_state=0,
    ).fit(X, y)
    np.testing.assert_allclose(found.x, peer.coef_[0], atol=1e-6)
    assert ((found.x == 0).numpy() == (peer.coef_[0] == 0)).all()


@given(st.integers(0, 10**6), st.floats(0.0, 20.0), st.integers(2, 12))
def test_l1_ends_where_nothing_descends(seed, l1, n):
    function, _, _ = quadratic(seed, n, condition=30.0)
    weight = torch.full((n,), l1, dtype=torch.float64)
    weight[::2] = 0.0  # free coordinates beside penalised ones
    found = minimize(function, np.zeros(n), l1=weight, gradient_tolerance=1e-8, value_tolerance=0)
    assert found.stop in ("gradient", "precision")
    assert optimality(function, found.x, weight) <= 1e-6
    smooth, _ = function(found.x)
    assert found.value == pytest.approx(float(smooth + (weight * found.x.abs()).sum()), abs=1e-12)


def test_optimality_rejects_the_minimum_without_penalty():
    function, center, _ = quadratic(3, 6)
    assert optimality(function, center, 1.0) > 0.5


def test_large_penalty_leaves_zeros():
    function, _, _ = logistic(1)
    found = minimize(function, np.zeros(15), l1=1e6)
    assert (found.stop, found.iterations, found.evaluations) == ("gradient", 0, 1)
    assert not found.x.any()


# Ends of a run ---------------------------------------------------------------------------------


def test_ends_of_a_run():
    function, _, _ = logistic(2, rate=0.1)
    start = np.zeros(15)
    limited = minimize(function, start, max_iterations=3)
    assert (limited.stop, limited.converged, limited.iterations) == ("iterations", False, 3)
    none = minimize(function, start, max_iterations=0)
    assert (none.iterations, none.evaluations, none.history) == (0, 1, [])
    stopped = minimize(function, start, callback=lambda at: at.iteration == 2)
    assert (stopped.stop, stopped.converged, stopped.iterations) == ("callback", False, 2)
    exact = minimize(function, start, gradient_tolerance=0, value_tolerance=0)
    assert (exact.stop, exact.converged) == ("precision", False)
    assert exact.gradient_norm < 1e-6


@pytest.mark.parametrize("period", [1, 5])
def test_value_rule(period):
    function, _, _ = logistic(4, rate=0.1)
    found = minimize(
        function, np.zeros(15), gradient_tolerance=0, value_tolerance=1e-4, period=period
    )
    values = [float(function(torch.zeros(15, dtype=torch.float64))[0])]
    values += [record["value"] for record in found.history]
    small = [
        values[t - period] - values[t] <= 1e-4 * max(1.0, abs(values[t]))
        for t in range(period, len(values))
    ]
    assert found.stop == "value"
    assert small.index(True) == len(small) - 1


def test_history_and_callback_agree():
    function, _, _ = logistic(6, rate=0.1)
    seen = []
    found = minimize(function, np.zeros(15), callback=seen.append)
    assert [at.record() for at in seen] == found.history
    assert [at.iteration for at in seen] == list(range(1, found.iterations + 1))
    assert found.history[-1]["value"] == found.value
    assert found.history[-1]["evaluations"] == found.evaluations
    values = [record["value"] for record in found.history]
    assert values == sorted(values, reverse=True)
    assert torch.equal(seen[-1].x, found.x)
    assert float(function(found.x)[1].norm()) == found.gradient_norm


def test_single_precision_gets_as_far_as_it_can():
    function, _, _ = logistic(8, rate=0.1)
    best = minimize(function, np.zeros(15), gradient_tolerance=1e-10, value_tolerance=0).value

    def single(w):
        value, gradient = function(w.double())
        return value.float().double(), gradient.float()

    found = minimize(single, torch.zeros(15), gradient_tolerance=0, value_tolerance=0)
    assert found.x.dtype is torch.float32 and found.stop == "precision"
    assert found.value == pytest.approx(best, rel=5e-7)


def test_steps_shrink_where_the_function_is_not_defined():
    def barrier(x):
        inside = bool((x > 0).all())
        value = (x - x.log()).sum() if inside else math.inf
        return value, 1 - 1 / x

    found = minimize(barrier, [1e-3, 50.0], gradient_tolerance=1e-9, value_tolerance=0)
    assert found.converged
    np.testing.assert_allclose(found.x, [1.0, 1.0], atol=1e-7)


def test_the_start_is_left_alone():
    function, center, _ = quadratic(0, 4)
    start = torch.zeros(4, dtype=torch.float64)
    found = minimize(function, start, progress=False)
    assert not start.any() and torch.allclose(found.x, center, atol=1e-4)
    assert minimize(function, center).iterations == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": [[0.0]]}, r"start must be flat, \(n,\), found shape \(1, 1\)"),
        ({"start": [math.nan]}, "start must be finite"),
        ({"l1": -1.0}, "l1 must be finite and not negative"),
        ({"l1": [1.0, 2.0, 3.0]}, r"one per coordinate, \(2,\), found shape \(3,\)"),
        ({"memory": 0}, "memory must be at least 1, found 0"),
        ({"memory": 10**15}, "memory=10+, .* would take .* but .* are free"),
        ({"max_iterations": -1}, "max_iterations must be at least 0"),
        ({"period": 0}, "period must be at least 1"),
        ({"gradient_tolerance": -1.0}, "gradient_tolerance must be finite"),
        ({"value_tolerance": math.nan}, "value_tolerance must be finite"),
        ({"function": lambda x: (math.inf, x)}, "finite at start"),
        ({"function": lambda x: (0.0, x * math.nan)}, "finite at start"),
        ({"function": lambda x: (0.0, x[:1])}, r"shape of x, \(2,\), found \(1,\)"),
    ],
)
def test_refusals(options, message):
    arguments = {"function": lambda x: (0.5 * x.dot(x), x), "start": [1.0, 2.0], **options}
    with pytest.raises(ValueError, match=message):
        minimize(**arguments)


@pytest.mark.parametrize("start", [[1j], [True]])
def test_start_of_another_kind(start):
    with pytest.raises(TypeError, match="start must hold real numbers"):
        minimize(lambda x: (0.0, x), start)


def test_buffers_that_are_used_again_and_points_that_are_marked():
    function, _, _ = quadratic(0, 20)
    buffer = np.empty(20)

    def into_buffer(x):
        value, gradient = function(x)
        buffer[:] = gradient.numpy()
        return value, buffer

    def marks(x):
        x.requires_grad_()
        value, _ = function(x)
        return value, torch.autograd.grad(value, x)[0]

    wanted = minimize(function, torch.zeros(20, dtype=torch.float64))
    for other in (into_buffer, marks):
        found = minimize(other, torch.zeros(20, dtype=torch.float64))
        assert not found.x.requires_grad
        torch.testing.assert_close(found.x, wanted.x, rtol=1e-6, atol=1e-6)
        assert found.evaluations <= wanted.evaluations + 5


@pytest.mark.parametrize("kind", ["backwards", "other bytes", "read-only"])
def test_gradients_and_penalties_are_arrays_of_any_layout(kind):
    def laid_out(x):
        x = np.array(x)
        if kind == "backwards":
            return x[::-1].copy()[::-1]
        if kind == "other bytes":
            return x.astype(x.dtype.newbyteorder())
        x.flags.writeable = False
        return x

    function, _, _ = quadratic(0, 5)

    def other(x):
        value, gradient = function(x)
        return value, laid_out(gradient.numpy())

    l1, start = np.linspace(0.0, 1.0, 5), torch.zeros(5, dtype=torch.float64)
    wanted = minimize(function, start, l1=torch.from_numpy(l1))
    assert torch.equal(minimize(other, start, l1=laid_out(l1)).x, wanted.x)


def test_a_penalty_that_is_no_number():
    with pytest.raises(TypeError, match="l1 must hold real numbers"):
        minimize(lambda x: (0.5 * x.dot(x), x), [1.0], l1="a")
