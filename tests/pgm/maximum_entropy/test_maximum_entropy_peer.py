"""The maximum-entropy classifier has scikit-learn's numbers, and works inside scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import log_softmax
from sklearn import datasets
from sklearn.base import clone, is_classifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pgm.maximum_entropy import MaximumEntropyClassifier


def loss(x, y, weight, coef, intercept, C, l1_ratio):
    """Scikit-learn's objective, written down anew."""
    coef, intercept = np.asarray(coef), np.asarray(intercept)
    scores = x @ coef.T + intercept
    if scores.shape[1] == 1:
        scores = np.hstack([np.zeros_like(scores), scores])
    fit = -(weight * log_softmax(scores, axis=1)[np.arange(len(y)), y]).sum()
    norms = l1_ratio * np.abs(coef).sum() + 0.5 * (1 - l1_ratio) * np.square(coef).sum()
    return fit + norms / C


@pytest.mark.parametrize(
    ("load", "tol"),
    [
        (datasets.load_iris, 1e-11),
        (datasets.load_wine, 1e-12),
        (datasets.load_breast_cancer, 1e-12),
    ],
)
@pytest.mark.parametrize("C", [1.0, 0.05])
def test_ridge_coefficients_equal_those_of_scikit_learn(load, tol, C):
    x, y = load(return_X_y=True)
    peer = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-12, max_iter=500).fit(x, y)
    model = MaximumEntropyClassifier(C=C, tol=tol, max_iter=5000).fit(x, y)
    np.testing.assert_allclose(model.coef_, peer.coef_, atol=1e-6, rtol=1e-6)
    np.testing.assert_allclose(model.intercept_, peer.intercept_, atol=1e-6, rtol=1e-6)
    np.testing.assert_allclose(model.predict_proba(x), peer.predict_proba(x), atol=1e-7)
    np.testing.assert_allclose(model.decision_function(x), peer.decision_function(x), atol=1e-5)
    assert (model.predict(x).numpy() == peer.predict(x)).all()
    assert model.score(x, y) == pytest.approx(peer.score(x, y), abs=1e-12)


def test_digits_with_dead_pixels():
    x, y = datasets.load_digits(return_X_y=True)
    peer = LogisticRegression(C=0.1, solver="newton-cholesky", tol=1e-12, max_iter=500).fit(x, y)
    model = MaximumEntropyClassifier(C=0.1, tol=1e-11, max_iter=5000).fit(x, y)
    np.testing.assert_allclose(model.coef_, peer.coef_, atol=1e-6)
    np.testing.assert_allclose(model.predict_proba(x), peer.predict_proba(x), atol=1e-6)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(
    "settings", [{}, {"fit_intercept": False}, {"class_weight": "balanced"}, {"C": math.inf}]
)
def test_settings_and_weights_mean_the_same(rows, n_classes, settings):
    x, y, weight = rows(n_classes, n_classes=n_classes)
    x = x / x.std(0)
    peer = LogisticRegression(**settings, solver="newton-cholesky", tol=1e-12, max_iter=500)
    peer.fit(x, y, weight)
    model = MaximumEntropyClassifier(**settings, tol=1e-12).fit(x, y, weight)
    np.testing.assert_allclose(model.coef_, peer.coef_, atol=1e-6)
    np.testing.assert_allclose(model.intercept_, peer.intercept_, atol=1e-6)
    assert model.score(x, y, weight) == pytest.approx(peer.score(x, y, weight), abs=1e-12)


def test_weights_of_named_classes(rows):
    x, y, _ = rows(5)
    x = x / x.std(0)
    names = np.array(["a", "b", "c"])[y]
    given = {"c": 0.5, "a": 3.0}
    peer = LogisticRegression(class_weight=given, solver="newton-cholesky", tol=1e-12)
    peer.fit(x, names)
    model = MaximumEntropyClassifier(class_weight=given, tol=1e-12).fit(x, names)
    np.testing.assert_allclose(model.coef_, peer.coef_, atol=1e-6)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_lasso_and_elastic_net_equal_those_of_scikit_learn(rows, n_classes, l1_ratio):
    x, y, weight = rows(7, n=60, n_classes=n_classes)
    x = (x - x.mean(0)) / x.std(0)
    options = {"C": 0.2, "l1_ratio": l1_ratio}
    peer = LogisticRegression(**options, solver="saga", tol=1e-12, max_iter=100_000)
    peer.fit(x, y, weight)
    model = MaximumEntropyClassifier(**options, tol=1e-10).fit(x, y, weight)
    np.testing.assert_allclose(model.coef_, peer.coef_, atol=1e-6)
    assert ((model.coef_.numpy() == 0) == (peer.coef_ == 0)).all()
    if l1_ratio == 1:
        assert (model.coef_ == 0).any()
    found = loss(x, y, weight, model.coef_, model.intercept_, **options)
    assert found <= loss(x, y, weight, peer.coef_, peer.intercept_, **options) + 1e-9


def test_units_of_the_features_do_not_matter_without_penalty(rows):
    x, y, _ = rows(11)
    plain = MaximumEntropyClassifier(C=math.inf, tol=1e-11).fit(x, y)
    scale, shift = np.array([1e-6, 1.0, 1e5, 1e8]), np.array([0.0, 1e3, -1e6, 0.0])
    moved = MaximumEntropyClassifier(C=math.inf, tol=1e-11).fit(x * scale + shift, y)
    np.testing.assert_allclose(
        moved.predict_proba(x * scale + shift), plain.predict_proba(x), atol=1e-7
    )
    assert len(moved.history) < 3 * len(plain.history)


def test_it_is_a_classifier_to_scikit_learn(rows):
    x, y, _ = rows(2)
    model = MaximumEntropyClassifier(C=2.0, class_weight={0: 2.0})
    copy = clone(model)
    assert is_classifier(model) and copy is not model
    assert copy.get_params() == model.get_params() == {**model.get_params(), "C": 2.0}
    with pytest.raises(ValueError, match="not fitted"):
        clone(model.fit(x, y)).predict(x)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), MaximumEntropyClassifier()),
        {"maximumentropyclassifier__C": [1e-3, 1.0]},
        cv=3,
    ).fit(x, y)
    peer = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression(tol=1e-8)),
        {"logisticregression__C": [1e-3, 1.0]},
        cv=3,
    ).fit(x, y)
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], peer.cv_results_["mean_test_score"]
    )
    assert search.best_estimator_[-1].n_features_in_ == 4
    for scoring in ("accuracy", "neg_log_loss"):
        found = cross_val_score(MaximumEntropyClassifier(), x, y, scoring=scoring, cv=3)
        expected = cross_val_score(
            LogisticRegression(solver="newton-cholesky"), x, y, scoring=scoring, cv=3
        )
        np.testing.assert_allclose(found, expected, atol=1e-3)
    names = np.array(["a", "b", "c"])[y]
    assert set(cross_val_predict(MaximumEntropyClassifier(), x, names, cv=3)) <= set(names)


def test_sparse_rows_give_the_numbers_of_dense_ones(rows):
    from scipy import sparse

    rng = np.random.default_rng(3)
    x, y = rng.poisson(0.3, (60, 8)).astype(float), rng.integers(0, 3, 60)
    dense = MaximumEntropyClassifier(tol=1e-11).fit(x, y)
    peer = LogisticRegression(tol=1e-12, solver="newton-cholesky").fit(x, y)
    np.testing.assert_allclose(dense.coef_, peer.coef_, atol=1e-6)
    layouts = [sparse.csr_matrix(x), sparse.coo_array(x), torch.from_numpy(x).to_sparse()]
    for table in layouts:
        found = MaximumEntropyClassifier(tol=1e-11).fit(table, y)
        np.testing.assert_allclose(found.coef_, dense.coef_, atol=1e-8)
        np.testing.assert_allclose(found.predict_proba(table), dense.predict_proba(x), atol=1e-8)
        assert found.score(table, y) == dense.score(x, y)
        np.testing.assert_allclose(
            found.feature_expectations(table), dense.feature_expectations(x), atol=1e-8
        )


def test_columns_of_a_frame_are_found_by_name(rows):
    x, y, _ = rows(4)
    frame = pd.DataFrame(x, columns=list("abcd"))
    model = MaximumEntropyClassifier().fit(frame, pd.Series(y > 0))
    assert model.classes == (False, True)
    expected = MaximumEntropyClassifier().fit(x, y > 0).predict_log_proba(x)
    assert torch.equal(model.predict_log_proba(frame[list("dbca")]), expected)
    with pytest.raises(ValueError, match="no column 'b'"):
        model.predict(frame[["a", "c", "d"]])
