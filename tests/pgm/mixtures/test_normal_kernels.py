"""Both kernels of the E step against all responsibilities written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgm.mixtures.centered import DEVIATIONS, expect_centered, score_centered
from pgm.mixtures.components import COVARIANCE_TYPES, log_joint_scores
from pgm.mixtures.expectation import error_bound, expect, is_quadratic
from pgm.mixtures.moments import Components
from pgm.mixtures.quadratic import FEATURES, expect_quadratic, sum_responsible
from pgm.mixtures.rows import Rows, block_width

CLOSE = {"rtol": 1e-9, "atol": 1e-10}
KERNELS = {
    "quadratic": lambda rows, scores, kind: expect_quadratic(rows, scores, FEATURES[kind]),
    "centered": lambda rows, scores, kind: expect_centered(rows, scores, DEVIATIONS[kind]),
}
ARRAYS = {"numpy": np.asarray, "torch": torch.as_tensor}


def draw(kind, n_runs, k, d, seed, spread=1.0):
    """Parameters of some mixtures."""
    draws = np.random.default_rng(seed)
    weights = draws.dirichlet(np.ones(k), n_runs)
    means = draws.normal(size=(n_runs, k, d))
    count = 1 if kind == "tied" else k
    if kind in ("full", "tied"):
        roots = draws.normal(size=(n_runs, count, d, d))
        covariances = roots @ roots.swapaxes(-1, -2) + 0.3 * np.eye(d)
    else:
        covariances = draws.uniform(0.3, 2, (n_runs, k, d if kind == "diag" else 1))
    return Components(weights, means, spread * covariances)


def rows_of(x, weights=None, width=7):
    """Rows in blocks that do not divide their number."""
    cuts = range(0, len(x), width)
    blocks = [np.ascontiguousarray(x[i : i + width].T) for i in cuts]
    parts = None if weights is None else [weights[i : i + width] for i in cuts]
    total = float(len(x) if weights is None else weights.sum())
    return Rows(blocks, parts, len(x), total)


def matrices(components, kind):
    """Covariances of one mixture as K matrices."""
    k, d = components.means.shape
    found = components.covariances
    if kind == "spherical":
        found = found * np.ones(d)
    if kind in ("diag", "spherical"):
        found = found[:, :, None] * np.eye(d)
    return np.broadcast_to(found, (k, d, d))


def by_hand(x, weights, components, kind):
    """Log-likelihood, counts, means and scatters of one mixture, from n x K responsibilities."""
    d = x.shape[1]
    joint = []
    for weight, mean, matrix in zip(
        components.weights, components.means, matrices(components, kind), strict=True
    ):
        deviations = x - mean
        distances = (deviations * np.linalg.solve(matrix, deviations.T).T).sum(1)
        height = np.linalg.slogdet(2 * np.pi * matrix)[1]
        joint.append(np.log(weight) - 0.5 * (distances + height))
    joint = np.array(joint)
    total = np.logaddexp.reduce(joint)
    shares = np.exp(joint - total) * weights
    counts = shares.sum(1)
    means = shares @ x / counts[:, None]
    outer = np.array(
        [(s * (x - m).T) @ (x - m) / s.sum() for s, m in zip(shares, means, strict=True)]
    )
    if kind == "tied":
        outer = (counts[:, None, None] * outer).sum(0, keepdims=True) / counts.sum()
    if kind in ("diag", "spherical"):
        outer = np.diagonal(outer, axis1=1, axis2=2)
    if kind == "spherical":
        outer = outer.mean(-1, keepdims=True)
    return (total * weights).sum(), counts, means, outer + 0 * d


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
@settings(max_examples=25, deadline=None)
@given(
    n_runs=st.integers(1, 3),
    k=st.integers(1, 4),
    d=st.integers(1, 18),
    weighted=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_moments_are_those_of_all_responsibilities(kernel, kind, n_runs, k, d, weighted, seed):
    draws = np.random.default_rng(seed)
    x = 2 * draws.normal(size=(40, d))
    weights = draws.uniform(0.1, 3, 40) if weighted else None
    components = draw(kind, n_runs, k, d, seed)
    scores = log_joint_scores(components, kind)
    found = KERNELS[kernel](rows_of(x, weights), scores, kind)
    for run in range(n_runs):
        one = Components(*[part[run] for part in components])
        expected = by_hand(x, np.ones(40) if weights is None else weights, one, kind)
        for part, right in zip(found, expected, strict=True):
            np.testing.assert_allclose(part[run], right, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_tensors_as_working_arrays_give_the_same(kernel, kind):
    # What other devices use.
    draws = np.random.default_rng(0)
    x, weights = draws.normal(size=(33, 9)), draws.uniform(0.5, 2, 33)
    scores = log_joint_scores(draw(kind, 2, 3, 9, 1), kind)
    found = KERNELS[kernel](rows_of(x, weights), scores, kind)
    rows = rows_of(x, weights)
    turned = Rows(
        [torch.from_numpy(block) for block in rows.blocks],
        [torch.from_numpy(part) for part in rows.weights],
        33,
        rows.total,
    )
    tensors = log_joint_scores(Components(*map(torch.from_numpy, draw(kind, 2, 3, 9, 1))), kind)
    again = KERNELS[kernel](turned, tensors, kind)
    for one, other in zip(found, again, strict=True):
        assert isinstance(other, torch.Tensor)
        np.testing.assert_allclose(one, other, **CLOSE)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_single_precision_rows_have_double_precision_sums(kernel, kind):
    x = np.random.default_rng(0).normal(size=(5000, 3)).astype(np.float32)
    scores = log_joint_scores(draw(kind, 1, 4, 3, 2), kind)
    found = KERNELS[kernel](rows_of(x, width=512), scores, kind)
    right = KERNELS[kernel](rows_of(x.astype(np.float64), width=512), scores, kind)
    for one, other in zip(found, right, strict=True):
        assert one.dtype == np.float64
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_a_component_of_weight_zero_takes_no_part(kernel, kind):
    x = np.random.default_rng(0).normal(size=(50, 3))
    components = draw(kind, 1, 3, 3, 3)
    components.weights[0] = [0.0, 0.4, 0.6]
    found = KERNELS[kernel](rows_of(x), log_joint_scores(components, kind), kind)
    assert found.counts[0, 0] == 0 and (found.means[0, 0] == 0).all()
    for part in found:
        assert np.isfinite(part).all()
    np.testing.assert_allclose(found.counts.sum(), 50)


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_narrow_components_are_left_to_the_centered_kernel(kind):
    # 1e-6 wide, far from the origin of the rows: quadratic features lose all their digits.
    draws = np.random.default_rng(0)
    x = np.concatenate([1 + 1e-6 * draws.normal(size=(40, 2)), draws.normal(size=(40, 2))])
    components = draw(kind, 1, 2, 2, 4, spread=1e-12)
    components.means[0] = [[1.0, 1.0], [0.0, 0.0]]
    scores, rows = log_joint_scores(components, kind), rows_of(x)
    assert error_bound(scores, kind, np.float64) > 1e-3
    assert not is_quadratic(rows, scores, kind)
    found = expect(rows, scores, kind)
    one = Components(*[part[0] for part in components])
    expected = by_hand(x, np.ones(80), one, kind)
    np.testing.assert_allclose(found.log_likelihood[0], expected[0], rtol=1e-9)
    np.testing.assert_allclose(found.scatters[0], expected[3], rtol=1e-6)


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_the_error_bound_bounds_the_error_of_single_precision(kind):
    draws = np.random.default_rng(5)
    x = draws.normal(size=(2000, 4))
    for spread in (1.0, 1e-1, 1e-2):
        components = draw(kind, 1, 3, 4, 6, spread)
        scores = log_joint_scores(components, kind)
        exact = score_centered(np.ascontiguousarray(x.T), scores, DEVIATIONS[kind])[0]
        features = FEATURES[kind]
        f = np.ones((features.count(4), 2000), dtype=np.float32)
        features.fill(x.T.astype(np.float32), f)
        found = features.coefficients(scores)[0].astype(np.float32) @ f
        if kind == "tied":
            common = scores.factors[0, 0] @ x.T.astype(np.float32)
            found = found - 0.5 * (common**2).sum(0)
        shares = np.exp(exact - np.logaddexp.reduce(exact))
        error = np.abs(found - exact)[shares > 1e-6].max()
        assert error < 10 * error_bound(scores, kind, np.float32)


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_given_responsibilities_are_summed(kind):
    draws = np.random.default_rng(0)
    x, weights = draws.normal(size=(30, 4)), draws.uniform(0.5, 2, 30)
    given_shares = draws.dirichlet(np.ones(3), (2, 30)).swapaxes(1, 2)
    counts, means, scatters = sum_responsible(
        rows_of(x, weights), lambda some: given_shares[:, :, some], (2, 3), FEATURES[kind]
    )
    shares = given_shares * weights
    np.testing.assert_allclose(counts, shares.sum(-1))
    np.testing.assert_allclose(means, shares @ x / shares.sum(-1)[..., None])
    centred = x - means[:, :, None]
    outer = np.einsum("rkn,rkni,rknj->rkij", shares, centred, centred)
    outer /= counts[..., None, None]
    if kind == "tied":
        outer = (counts[..., None, None] * outer).sum(1, keepdims=True) / weights.sum()
    if kind in ("diag", "spherical"):
        outer = np.diagonal(outer, axis1=2, axis2=3)
    if kind == "spherical":
        outer = outer.mean(-1, keepdims=True)
    np.testing.assert_allclose(scatters, outer, **CLOSE)


def test_blocks_shrink_with_the_numbers_of_a_row():
    widths = [block_width(n) for n in (1, 60, 170, 600, 10**6)]
    assert widths == sorted(widths, reverse=True) and widths[0] == 4096 and widths[-1] == 256
    assert all(width & (width - 1) == 0 for width in widths)


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_a_singular_covariance_is_refused(kind):
    components = draw(kind, 1, 2, 3, 0)
    components.covariances[0, 0] = 0
    with pytest.raises(ValueError, match="not positive definite"):
        log_joint_scores(components, kind)
