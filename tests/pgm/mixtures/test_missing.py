"""EM moments of rows with missing entries against row-by-row conditioning."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from pgm.mixtures.components import COVARIANCE_TYPES, log_joint_scores
from pgm.mixtures.missing import MissingRows
from pgm.mixtures.missing_layout import Patterns
from pgm.mixtures.missing_patterns import PatternForm
from pgm.mixtures.missing_rows import RowForm
from pgm.mixtures.moments import Components, Moments, Scores
from pgm.mixtures.quadratic import FEATURES, expect_quadratic
from pgm.mixtures.rows import Rows
from tests.pgm.mixtures.components import random_components, random_rows

TYPES = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)


def matrix(components, covariance_type, run, k):
    """Covariance of one component as a matrix."""
    found = components.covariances[run, 0 if covariance_type == "tied" else k]
    if covariance_type in ("full", "tied"):
        return found
    return np.diag(np.broadcast_to(found, components.means.shape[-1:]))


def condition(row, mean, covariance):
    """Log-density of the present entries, completed row and what stays unknown of it."""
    present = ~np.isnan(row)
    completed, rest = mean.copy(), covariance.copy()
    if not present.any():
        return 0.0, completed, rest
    own = covariance[np.ix_(present, present)]
    deviation = row[present] - mean[present]
    solved = np.linalg.solve(own, deviation)
    log_density = -0.5 * (
        deviation @ solved + np.linalg.slogdet(own)[1] + present.sum() * math.log(2 * math.pi)
    )
    completed += covariance[:, present] @ solved
    rest -= covariance[:, present] @ np.linalg.solve(own, covariance[present])
    return log_density, completed, rest


def by_conditioning(x, weights, components, covariance_type, heights=None):
    """Moments and scores, every row and component with a solve of its own.

    ``heights`` (R, K) replace the logarithms of the weights.
    """
    n_runs, k, d = components.means.shape
    x = x.astype(np.float64)
    weights = np.ones(len(x)) if weights is None else weights
    heights = np.log(components.weights) if heights is None else heights
    scores = np.empty((n_runs, len(x), k))
    completed = np.empty((n_runs, k, len(x), d))
    rests = np.empty((n_runs, k, len(x), d, d))
    for run, j, i in np.ndindex(n_runs, k, len(x)):
        covariance = matrix(components, covariance_type, run, j)
        found = condition(x[i], components.means[run, j], covariance)
        log_density, completed[run, j, i], rests[run, j, i] = found
        scores[run, i, j] = heights[run, j] + log_density
    totals = np.logaddexp.reduce(scores, -1)
    shares = (weights[:, None] * np.exp(scores - totals[..., None])).swapaxes(1, 2)
    counts = shares.sum(-1)
    means = np.einsum("rki,rkid->rkd", shares, completed) / counts[..., None]
    gaps = completed - means[:, :, None]
    scatters = np.einsum("rki,rkid,rkie->rkde", shares, gaps, gaps)
    scatters = (scatters + np.einsum("rki,rkide->rkde", shares, rests)) / counts[..., None, None]
    if covariance_type == "tied":
        scatters = (counts[..., None, None] * scatters).sum(1) / counts.sum(1)[:, None, None]
        scatters = scatters[:, None]
    elif covariance_type != "full":
        scatters = np.einsum("rkdd->rkd", scatters)
        if covariance_type == "spherical":
            scatters = scatters.mean(-1, keepdims=True)
    return Moments((weights * totals).sum(-1), counts, means, scatters), scores


def assert_moments(found, expected, tolerance=1e-10):
    for name, one, other in zip(Moments._fields, found, expected, strict=True):
        assert np.asarray(one).dtype == np.float64, name
        assert one.shape == other.shape, name
        scale = max(1.0, np.abs(other).max()) if name in ("log_likelihood", "counts") else 1.0
        assert np.abs(np.asarray(one) - other).max() <= tolerance * scale, name


def by_forms(x, weights, scores, covariance_type, least):
    """Patterns of at least so many rows by quadratic functions, the others row by row."""
    patterns = Patterns.of(~np.isnan(x))
    many = patterns.counts >= least
    tied = covariance_type == "tied"
    sums = PatternForm.of(x, weights, patterns.select(many), tied=tied).expect(scores)
    sums.add(RowForm.of(x, weights, patterns.select(~many)).expect(scores))
    return sums.moments(scores, covariance_type)


def check(x, weights, components, covariance_type, tolerance=1e-10):
    """Every way to the moments, and the scores, against conditioning."""
    expected, log_joint = by_conditioning(x, weights, components, covariance_type)
    scores = log_joint_scores(components, covariance_type)
    rows = MissingRows.of(x, weights, covariance_type)
    assert_moments(rows.expect(scores), expected, tolerance)
    assert_moments(rows.expect(scores, quadratic=False), expected, tolerance)
    if covariance_type in ("full", "tied"):
        for least in (1, 3):
            found = by_forms(x, weights, scores, covariance_type, least)
            assert_moments(found, expected, tolerance)
    assert np.abs(rows.log_joint(scores) - log_joint).max() <= tolerance * np.abs(log_joint).max()


def awkward_rows(rng, n, d):
    """Some patterns with many rows, rows of nearly unique ones, empty rows, full rows."""
    x = rng.normal(size=(n, d))
    x[: n // 2, 0] = np.nan
    x[n // 2 : 3 * n // 4, 1:3] = np.nan
    scattered = rng.random((n // 4, d)) < 0.4
    x[3 * n // 4 :][scattered] = np.nan
    x[[0, n // 2, n - 1]] = np.nan
    return x[rng.permutation(n)]


@TYPES
@pytest.mark.parametrize("n_runs", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_moments_are_those_of_conditioning(covariance_type, n_runs, weighted):
    rng = np.random.default_rng(0)
    x = awkward_rows(rng, 160, 5)
    weights = rng.uniform(0.2, 3, len(x)) if weighted else None
    check(x, weights, random_components(rng, n_runs, 3, 5, covariance_type), covariance_type)


@TYPES
def test_single_precision_rows_have_double_precision_moments(covariance_type):
    rng = np.random.default_rng(1)
    x = awkward_rows(rng, 160, 4).astype(np.float32)
    weights = rng.uniform(0.2, 3, len(x)).astype(np.float32)
    check(x, weights, random_components(rng, 1, 3, 4, covariance_type), covariance_type)


@TYPES
def test_nothing_missing(covariance_type):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(150, 3))
    components = random_components(rng, 2, 3, 3, covariance_type)
    check(x, None, components, covariance_type)
    rows = Rows([np.ascontiguousarray(x.T)], None, len(x), float(len(x)))
    scores = log_joint_scores(components, covariance_type)
    complete = expect_quadratic(rows, scores, FEATURES[covariance_type])
    assert_moments(MissingRows.of(x, None, covariance_type).expect(scores), complete)


@TYPES
def test_rows_without_any_entry_leave_the_parameters_as_they_are(covariance_type):
    rng = np.random.default_rng(3)
    components = random_components(rng, 2, 3, 4, covariance_type)
    scores = log_joint_scores(components, covariance_type)
    x = np.full((7, 4), np.nan)
    found = MissingRows.of(x, None, covariance_type).expect(scores)
    assert np.abs(found.log_likelihood).max() < 1e-12
    assert np.abs(found.counts - 7 * components.weights).max() < 1e-12
    assert np.abs(found.means - components.means).max() < 1e-12
    if covariance_type != "tied":
        assert np.abs(found.scatters - components.covariances).max() < 1e-12


@TYPES
def test_a_column_that_is_always_missing_keeps_its_mean(covariance_type):
    rng = np.random.default_rng(4)
    x = random_rows(rng, 120, 4, 0.2)
    x[:, 2] = np.nan
    components = random_components(rng, 1, 1, 4, covariance_type)
    if covariance_type in ("full", "tied"):
        components.covariances[..., 2, [0, 1, 3]] = 0
        components.covariances[..., [0, 1, 3], 2] = 0
    check(x, None, components, covariance_type)
    scores = log_joint_scores(components, covariance_type)
    found = MissingRows.of(x, None, covariance_type).expect(scores)
    assert abs(found.means[0, 0, 2] - components.means[0, 0, 2]) < 1e-12
    if covariance_type == "diag":
        assert abs(found.scatters[0, 0, 2] - components.covariances[0, 0, 2]) < 1e-12


@TYPES
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_pattern(covariance_type, data):
    d = data.draw(st.integers(1, 5))
    table = data.draw(
        st.lists(st.lists(st.booleans(), min_size=d, max_size=d), min_size=1, max_size=12)
    )
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    repeats = rng.choice([1, 2, 30], len(table))
    present = np.repeat(np.array(table), repeats, axis=0)
    x = np.where(present, rng.normal(size=present.shape), np.nan)
    components = random_components(rng, 2, 2, d, covariance_type)
    check(x, rng.uniform(0.5, 2, len(x)), components, covariance_type)


@TYPES
def test_scores_are_scipys_marginal_densities(covariance_type):
    rng = np.random.default_rng(5)
    x = random_rows(rng, 40, 4, 0.3)
    components = random_components(rng, 1, 3, 4, covariance_type)
    scores = log_joint_scores(components, covariance_type)
    found = MissingRows.of(x, None, covariance_type).log_joint(scores)[0]
    for i, row in enumerate(x):
        o = ~np.isnan(row)
        for k in range(3):
            covariance = matrix(components, covariance_type, 0, k)[np.ix_(o, o)]
            mean, log_density = components.means[0, k, o], 0.0
            if o.any():
                log_density = multivariate_normal.logpdf(row[o], mean, covariance)
            assert found[i, k] == pytest.approx(
                math.log(components.weights[0, k]) + log_density, abs=1e-10
            )


@TYPES
@pytest.mark.parametrize("quadratic", [True, False])
def test_em_never_loses_likelihood(covariance_type, quadratic):
    rng = np.random.default_rng(6)
    centers = rng.normal(size=(3, 4)) * 2
    x = centers[rng.integers(3, size=2000)] + rng.normal(size=(2000, 4)) @ rng.normal(size=(4, 4))
    x[rng.random(x.shape) < 0.3] = np.nan
    x[0] = np.nan
    rows = MissingRows.of(x, None, covariance_type)
    components = random_components(rng, 2, 3, 4, covariance_type)
    trace = []
    for _ in range(60):
        scores = log_joint_scores(components, covariance_type)
        found = rows.expect(scores, quadratic=quadratic)
        trace.append(found.log_likelihood)
        weights = found.counts / found.counts.sum(-1)[:, None]
        components = Components(weights, found.means, found.scatters)
    steps = np.diff(np.array(trace), axis=0)
    assert steps.min() >= -1e-9
    assert (np.array(trace)[-1] - trace[0] > 1).all()


@TYPES
def test_constants_need_not_be_those_of_a_mixture(covariance_type):
    rng = np.random.default_rng(7)
    x = awkward_rows(rng, 160, 4)
    components = random_components(rng, 1, 3, 4, covariance_type)
    scores = log_joint_scores(components, covariance_type)
    extra = rng.normal(size=(1, 3))
    moved = scores._replace(offsets=scores.offsets + extra)
    heights = np.log(components.weights) + extra
    expected, _ = by_conditioning(x, None, components, covariance_type, heights)
    assert_moments(MissingRows.of(x, None, covariance_type).expect(moved), expected)
    if covariance_type in ("full", "tied"):
        assert_moments(by_forms(x, None, moved, covariance_type, 3), expected)


@TYPES
@pytest.mark.parametrize("quadratic", [True, False])
def test_excluded_component_counts_nothing(covariance_type, quadratic):
    rng = np.random.default_rng(8)
    x = awkward_rows(rng, 160, 4)
    scores = log_joint_scores(random_components(rng, 1, 3, 4, covariance_type), covariance_type)
    scores.offsets[0, 1] = -np.inf
    found = MissingRows.of(x, None, covariance_type).expect(scores, quadratic=quadratic)
    assert found.counts[0, 1] == 0 and (found.means[0, 1] == 0).all()
    assert all(np.isfinite(part).all() for part in found)
    assert found.counts.sum() == pytest.approx(len(x), abs=1e-10)


@TYPES
@pytest.mark.parametrize("quadratic", [True, False])
def test_tensors_as_arrays(covariance_type, quadratic):
    rng = np.random.default_rng(9)
    x = awkward_rows(rng, 160, 4)
    weights = rng.uniform(0.5, 2, len(x))
    scores = log_joint_scores(random_components(rng, 2, 3, 4, covariance_type), covariance_type)
    tensors = Scores(*[torch.from_numpy(part) for part in scores])
    rows = MissingRows.of(x, weights, covariance_type)
    moved = MissingRows.of(torch.from_numpy(x), torch.from_numpy(weights), covariance_type)
    found = moved.expect(tensors, quadratic=quadratic)
    assert all(isinstance(part, torch.Tensor) for part in found)
    assert_moments(found, rows.expect(scores, quadratic=quadratic))
    assert np.abs(moved.log_joint(tensors).numpy() - rows.log_joint(scores)).max() < 1e-10


@TYPES
def test_deviations_keep_the_digits_of_narrow_components(covariance_type):
    rng = np.random.default_rng(10)
    x = 1 + 1e-5 * awkward_rows(rng, 160, 3)
    components = random_components(rng, 1, 1, 3, covariance_type)
    narrow = Components(
        components.weights, 1 + 1e-5 * components.means, 1e-10 * components.covariances
    )
    rows = MissingRows.of(x, None, covariance_type)
    found = rows.expect(log_joint_scores(narrow, covariance_type), quadratic=False)
    # The same numbers in other units; every present entry adds the logarithm of the unit.
    wide = Components(components.weights, (narrow.means - 1) / 1e-5, components.covariances)
    expected, _ = by_conditioning((x - 1) / 1e-5, None, wide, covariance_type)
    volume = (~np.isnan(x)).sum() * math.log(1e5)
    assert found.log_likelihood[0] == pytest.approx(expected.log_likelihood[0] + volume, rel=1e-9)
    assert np.abs((found.means - 1) / 1e-5 - expected.means).max() < 1e-9
    assert np.abs(found.scatters / 1e-10 - expected.scatters).max() < 1e-9


def test_wrong_moments_are_rejected():
    """Filling in what is expected, without what stays unknown, is not EM."""
    rng = np.random.default_rng(11)
    x = awkward_rows(rng, 160, 4)
    components = random_components(rng, 1, 1, 4, "full")
    expected, _ = by_conditioning(x, None, components, "full")
    covariance = matrix(components, "full", 0, 0)
    filled = np.array([condition(row, components.means[0, 0], covariance)[1] for row in x])
    scores = log_joint_scores(components, "full")
    imputed = MissingRows.of(filled, None, "full").expect(scores)
    assert np.abs(imputed.means - expected.means).max() < 1e-10
    assert np.abs(imputed.scatters - expected.scatters).max() > 0.05
