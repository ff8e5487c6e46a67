"""Log-likelihood = bound + divergence, on printed numbers and for any q; a printed trace of EM."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.learning.em import climb

X = np.array([-2.2, -1.8, -2.0, 1.5, 2.0, 2.5, 3.0])


@pytest.fixture(scope="module")
def steps(normal_steps):
    return normal_steps(X)


@pytest.fixture(scope="module")
def start(normals):
    return normals(np.array([[0.5, 0.5]]), np.array([[-1.0, 1.0]]), np.array([[1.0, 1.0]]))


def bound_and_divergence(log_joint, q):
    """ELBO(q) and KL(q || posterior), both from their sums over z; (K, n)."""
    evidence = np.log(np.exp(log_joint - log_joint.max(0)).sum(0)) + log_joint.max(0)
    logs = np.log(np.where(q > 0, q, 1.0))
    bound = (q * (log_joint - logs)).sum()
    divergence = (q * (logs - (log_joint - evidence))).sum()
    return bound, divergence


def test_t12_the_printed_numbers(steps, start):
    log_joint = steps.log_joint(start)[0]
    bound, divergence = bound_and_divergence(log_joint, np.full((2, 7), 0.5))
    assert bound == pytest.approx(-26.7225697324, abs=5e-11)
    assert divergence == pytest.approx(10.2812076547, abs=5e-11)
    assert bound + divergence == pytest.approx(-16.4413620777, abs=5e-11)
    assert steps(start)[1][0] == pytest.approx(bound + divergence, abs=1e-12)


@given(first=st.lists(st.floats(0.0, 1.0), min_size=7, max_size=7))
def test_t12_for_any_q_the_gap_is_a_divergence(steps, start, first):
    q = np.array([first, [1 - share for share in first]])
    bound, divergence = bound_and_divergence(steps.log_joint(start)[0], q)
    objective = steps(start)[1][0]
    assert bound + divergence == pytest.approx(objective, abs=1e-9)
    assert divergence >= -1e-12 and bound <= objective + 1e-12


@given(seed=st.integers(0, 2**32 - 1))
def test_t12_for_any_parameters_the_posterior_closes_the_gap(steps, normals, seed):
    draws = np.random.default_rng(seed)
    theta = normals(
        draws.dirichlet(np.ones(3))[None],
        draws.normal(0, 3, (1, 3)),
        draws.uniform(0.05, 4, (1, 3)),
    )
    posterior, objective = steps.posterior(theta)
    bound, divergence = bound_and_divergence(steps.log_joint(theta)[0], posterior[0])
    assert abs(divergence) < 1e-9 * (1 + abs(objective[0]))
    assert bound == pytest.approx(objective[0], rel=1e-9)
    other = draws.dirichlet(np.ones(3), len(X)).T
    bound, divergence = bound_and_divergence(steps.log_joint(theta)[0], other)
    assert bound + divergence == pytest.approx(objective[0], rel=1e-9) and divergence > 0


def test_t13_the_trace_of_em(steps, start):
    found = climb(steps, start, tolerance=1e-14, max_iterations=1000)
    objectives = [record["objective"] for record in found.history]
    assert objectives[:3] == pytest.approx([-16.441362, -9.825299, -6.950113], abs=5e-7)
    assert (np.diff(objectives) > -1e-12).all() and found.converged.all()
    assert found.objective[0] == pytest.approx(-6.9501134463, abs=5e-11)
    limits = [3 / 7, 4 / 7], [-2, 2.25], [0.163299**2, 0.559017**2]
    for value, limit in zip(found.parameters, limits, strict=True):
        np.testing.assert_allclose(value[0], limit, rtol=1e-5)


def test_t13_one_step(steps, start):
    shares, _ = steps.posterior(start)
    assert shares[0, :, 0] == pytest.approx([0.987872, 0.012128], abs=5e-7)
    weights, means, variances = climb(steps, start, max_iterations=1).parameters
    assert weights[0] == pytest.approx([0.431124, 0.568876], abs=5e-7)
    assert means[0] == pytest.approx([-1.90804, 2.199376], abs=5e-6)
    assert np.sqrt(variances[0]) == pytest.approx([0.608933, 0.745220], abs=5e-7)


def test_the_identity_holds_at_every_e_step_of_a_run(steps, start):
    seen = []

    def watched(theta):
        posterior, objective = steps.posterior(theta)
        log_joint = steps.log_joint(theta)[0]
        exact = bound_and_divergence(log_joint, posterior[0])
        even = bound_and_divergence(log_joint, np.full((2, 7), 0.5))
        assert abs(exact[1]) < 1e-10
        assert exact[0] == pytest.approx(objective[0], abs=1e-10)
        assert sum(even) == pytest.approx(objective[0], abs=1e-10) and even[1] > 0
        following, _ = steps(theta)
        # The M step raises the bound of the posterior that it was made for.
        raised, _ = bound_and_divergence(steps.log_joint(following)[0], posterior[0])
        assert raised >= exact[0] - 1e-10
        seen.append(objective[0])
        return following, objective

    found = climb(watched, start, tolerance=1e-12)
    assert len(seen) == found.iterations[0] > 3
