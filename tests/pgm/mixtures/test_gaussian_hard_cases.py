"""Data on which mixtures usually break: finite, right, or refused."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from pgm.gaussian_mixture import CollapsedComponentWarning, GaussianMixture
from pgm.mixtures.components import COVARIANCE_TYPES

DRAWS = np.random.default_rng(0)
BASE = np.concatenate(
    [DRAWS.normal(size=(150, 3)), DRAWS.normal(size=(150, 3)) * [1, 2, 0.5] + [4, 0, 2]]
)
kinds = pytest.mark.parametrize("kind", COVARIANCE_TYPES)


def fit(x, kind, k=2, **options):
    return GaussianMixture(k, kind, **{"random_state": 0} | options).fit(x)


def quiet(x, kind, k=2, **options):
    """A fit whose components may collapse."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapsedComponentWarning)
        model = fit(x, kind, k, **options)
    assert model.covariances.isfinite().all() and model.log_prob(x).isfinite().all()
    return model


@kinds
@pytest.mark.parametrize("unit", [1e-4, 1e4, 1e-150])
def test_units_of_all_columns_change_nothing_but_the_volume(kind, unit):
    one, other = fit(BASE, kind), fit(unit * BASE, kind)
    assert one.n_iter_ == other.n_iter_
    np.testing.assert_allclose(other.means_, unit * one.means_, rtol=1e-6, atol=1e-9 * unit)
    scaled = fit(unit * BASE, kind).score(unit * BASE).item() if unit > 1e-100 else None
    if scaled is not None:
        expected = one.score(BASE).item() - 3 * np.log(unit)
        assert scaled == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("kind", ["full", "tied", "diag"])
def test_units_of_each_column_change_nothing_but_the_volume(kind):
    units = np.array([1e-4, 1.0, 1e8])
    one, other = fit(BASE, kind), fit(units * BASE, kind)
    expected = one.score(BASE).item() - np.log(units).sum()
    assert other.score(units * BASE).item() == pytest.approx(expected, abs=1e-6)
    np.testing.assert_array_equal(one.predict(BASE), other.predict(units * BASE))


@kinds
def test_a_large_offset_changes_nothing(kind):
    one, other = fit(BASE, kind), fit(BASE + 1e7, kind)
    assert other.score(BASE + 1e7).item() == pytest.approx(one.score(BASE).item(), abs=1e-6)
    single = (100 * BASE + 1e7).astype(np.float32)
    options = {"tol": 1e-7, "max_iter": 1000}
    exact = fit(single.astype(np.float64), kind, **options).score(single).item()
    assert fit(single, kind, **options).score(single).item() == pytest.approx(exact, abs=1e-5)


@kinds
def test_a_constant_column_takes_the_scale_of_the_others(kind):
    x = np.c_[BASE, np.full(300, 3.0)]
    model = fit(x, kind)
    assert not model.collapsed and model.score(x).isfinite()
    if kind != "spherical":
        np.testing.assert_array_equal(model.predict(x), fit(BASE, kind).predict(BASE))


@kinds
def test_collinear_columns_are_no_collapse(kind):
    x = np.c_[BASE, 2 * BASE[:, 0] + 1]
    model = fit(x, kind)
    assert not model.collapsed
    assert model.covariances.isfinite().all() and model.log_prob(x).isfinite().all()


@kinds
def test_duplicates_are_finite_and_flagged(kind):
    model = quiet(np.repeat(DRAWS.normal(size=(10, 3)), 100, 0), kind, 3)
    assert kind in ("tied", "spherical") or model.collapsed


@kinds
def test_fewer_rows_than_columns_are_finite(kind):
    model = quiet(DRAWS.normal(size=(20, 50)), kind)
    assert kind in ("diag", "spherical") or model.collapsed == [0, 1]


@kinds
def test_as_many_components_as_rows_are_flagged(kind):
    assert quiet(DRAWS.normal(size=(4, 2)), kind, 4).collapsed == [0, 1, 2, 3]


@kinds
@pytest.mark.parametrize("far", [1e8, -1e12, 1e13])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_an_outlier_gets_a_component_of_its_own(kind, far, dtype):
    x = BASE.copy()
    x[0, 0] = far
    rest = fit(BASE[1:], kind).score(BASE[1:]).item()
    for seed in range(4):
        model = quiet(x.astype(dtype), kind, 3, n_init=3, random_state=seed)
        assert len(model.collapsed) == 1
        assert model.log_prob(x[1:]).mean().item() > rest - 0.35


@kinds
def test_an_outlier_beyond_all_digits_is_refused(kind):
    x = BASE.copy()
    x[0, 0] = 1e100
    with pytest.raises(ValueError, match="times the scale of its column"):
        fit(x, kind)


@kinds
def test_a_component_without_rows_is_set_elsewhere(kind):
    shapes = {"full": np.tile(np.eye(3), (2, 1, 1)), "tied": np.eye(3), "diag": np.ones((2, 3))}
    options = {
        "weights_init": [0.5, 0.5],
        "means_init": [[2.0, 0.0, 1.0], [1000.0, 0.0, 0.0]],
        "precisions_init": shapes.get(kind, np.ones(2)),
        "tol": 1e-8,
        "max_iter": 1000,
    }
    model = fit(BASE, kind, **options)
    assert model.score(BASE).item() == pytest.approx(
        fit(BASE, kind, tol=1e-8, max_iter=1000).score(BASE).item(), abs=1e-3
    )
    # With scikit-learn's regularisation the steps are scikit-learn's: the component stays dead.
    dead = quiet(BASE, kind, reg_covar=1e-6, **options)
    assert dead.weights_.min() < 1e-10 and dead.score(BASE) < model.score(BASE) - 0.1


def test_collapsed_components_are_warned_of():
    x = np.concatenate([BASE, np.repeat([[50.0, 50.0, 50.0]], 3, 0)])
    with pytest.warns(CollapsedComponentWarning, match="have collapsed"):
        model = fit(x, "full", 3)
    assert len(model.collapsed) == 1


@kinds
def test_thin_true_components_are_not_flagged(kind):
    draws = np.random.default_rng(1)
    x = np.concatenate([draws.normal(size=(500, 3)), draws.normal(size=(500, 3)) * 0.02 + 3])
    assert not fit(x, kind).collapsed


def test_a_stream_warns_of_collapsed_components_once():
    x = np.concatenate([BASE, np.repeat([[50.0, 50.0, 50.0]], 3, 0)])
    model = GaussianMixture(3, random_state=0)
    with pytest.warns(CollapsedComponentWarning, match="have collapsed"):
        model.partial_fit(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.partial_fit(BASE)
    assert len(model.collapsed) == 1
