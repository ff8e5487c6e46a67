"""Place, scale and rounding of columns, and the coordinates made of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pgm.mixtures.components import COVARIANCE_TYPES, log_joint_scores
from pgm.mixtures.coordinates import Coordinates
from pgm.mixtures.moments import Components
from pgm.mixtures.spread import measure


def normal(n=2000, d=3, seed=0):
    draws = np.random.default_rng(seed)
    return draws.normal(size=(n, d)) @ np.triu(draws.normal(size=(d, d)) + 2 * np.eye(d)) + 5


def test_ordinary_columns_have_mean_and_standard_deviation():
    x = normal(200_000)
    found = measure(x)
    np.testing.assert_allclose(found.center, x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.scales, x.std(0), rtol=0.05)
    np.testing.assert_allclose(
        found.correlations * found.scales * found.scales[:, None], np.cov(x.T, bias=True)
    )
    assert not found.rounding.any() and not found.constant.any()


def test_neither_scale_nor_center_is_that_of_an_outlier():
    x = normal()
    before = measure(x)
    x[0, 0] = 1e8
    found = measure(x)
    np.testing.assert_allclose(found.scales, before.scales, rtol=0.05)
    np.testing.assert_allclose(found.mean, x.mean(0), rtol=1e-12)
    assert (np.abs(found.center - before.center) < 0.1 * before.scales).all()
    x[0, 0] = 1e200
    assert np.isfinite(measure(x).scales).all()


@pytest.mark.parametrize("unit", [1e-200, 1e-4, 1.0, 1e4, 1e100])
def test_units_of_columns_do_not_matter(unit):
    x = normal()
    one, other = measure(x), measure(unit * x)
    np.testing.assert_allclose(other.scales, unit * one.scales)
    np.testing.assert_allclose(other.center, unit * one.center)
    np.testing.assert_allclose(other.correlations, one.correlations, rtol=1e-9)


@pytest.mark.parametrize("step", [1.0, 0.25, 0.1])
def test_steps_of_rounding_are_found(step):
    x = normal(1000, 2)
    x[:, 0] = np.round(x[:, 0] / step) * step
    found = measure(x)
    np.testing.assert_allclose(found.rounding, [step, 0], rtol=1e-6)


def test_a_constant_column_has_the_scale_of_the_others():
    x = normal()
    x[:, 1] = 7
    found = measure(x)
    assert found.constant.tolist() == [False, True, False]
    assert found.scales[1] == np.median(found.scales[[0, 2]]) and found.center[1] == 7
    with pytest.raises(ValueError, match="X must vary in at least one column"):
        measure(np.ones((5, 2)))


def test_weights_are_repetitions():
    x = normal(300)
    counts = np.random.default_rng(0).integers(1, 4, 300)
    one = measure(x, counts.astype(float))
    other = measure(np.repeat(x, counts, 0))
    np.testing.assert_allclose(one.center, other.center)
    np.testing.assert_allclose(one.correlations, other.correlations, rtol=0.05, atol=0.05)
    np.testing.assert_allclose(one.scales, other.scales, rtol=0.02)


def test_missing_entries_are_left_out():
    x = normal()
    x[np.random.default_rng(0).random(x.shape) < 0.3] = np.nan
    found = measure(x, missing=True)
    np.testing.assert_allclose(found.center, np.nanmean(x, 0))
    np.testing.assert_allclose(found.scales, np.nanstd(x, 0), rtol=0.1)
    assert found.correlations is None


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_tensors_are_measured_alike(missing, weighted):
    x = normal(500)
    if missing:
        x[::3, 1] = np.nan
    weights = np.linspace(0.5, 2, 500) if weighted else None
    one = measure(x, weights, missing=missing)
    tensor = None if weights is None else torch.from_numpy(weights)
    other = measure(torch.from_numpy(x), tensor, missing=missing)
    for a, b in zip(vars(one).values(), vars(other).values(), strict=True):
        assert (a is None and b is None) or isinstance(b, (torch.Tensor, float))
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=1e-9)


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
@pytest.mark.parametrize("whiten", [True, False])
def test_coordinates_keep_densities(kind, whiten):
    x = normal()
    coordinates = Coordinates.of(measure(x), kind, whiten=whiten)
    block = coordinates.block(x, np.float64)
    if whiten and kind in ("full", "tied"):
        np.testing.assert_allclose(np.cov(block, bias=True), np.eye(3), atol=1e-9)
    draws = np.random.default_rng(1)
    k = 1 if kind == "tied" else 2
    shapes = {"diag": (1, 2, 3), "spherical": (1, 2, 1)}
    covariances = draws.uniform(0.5, 2, shapes.get(kind, (1, k, 1, 1)))
    if kind in ("full", "tied"):
        root = draws.normal(size=(1, k, 3, 3))
        covariances = root @ root.swapaxes(-1, -2) + np.eye(3)
    components = Components(np.array([[0.3, 0.7]]), draws.normal(size=(1, 2, 3)) + 5, covariances)
    inside = coordinates.into(components)
    for one, other in zip(coordinates.back(inside), components, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)
    offsets = log_joint_scores(inside, kind).offsets + coordinates.log_volume
    np.testing.assert_allclose(offsets, log_joint_scores(components, kind).offsets)


def test_large_offsets_lose_no_digits():
    x = normal().astype(np.float32)
    far = x.astype(np.float64) + 1e7
    one = Coordinates.of(measure(x), "full", whiten=True).block(x, np.float32)
    other = Coordinates.of(measure(far), "full", whiten=True).block(far, np.float32)
    np.testing.assert_allclose(one, other, atol=1e-5)
