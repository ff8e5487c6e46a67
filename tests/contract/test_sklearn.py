"""What scikit-learn's tools ask of the models that promise its interface."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import mixture, naive_bayes
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

from pgm import (
    BayesianGaussianMixture,
    CRFTagger,
    GaussianMixture,
    MaximumEntropyClassifier,
    NaiveBayes,
)
from tests.contract.case import same
from tests.contract.pgm_cases import CLASSES, POINTS, TAGS, TOKENS

pytestmark = pytest.mark.filterwarnings("ignore::inference.convergence.ConvergenceWarning")

X, Y = POINTS.numpy(), CLASSES.numpy()
LABELS = np.array(["no", "yes"])[Y]

#: Models that `clone` and searches copy: their arguments are read and set by name.
COPIED: dict[str, Callable[[], Any]] = {
    "GaussianMixture": lambda: GaussianMixture(2, random_state=0),
    "BayesianGaussianMixture": lambda: BayesianGaussianMixture(2, random_state=0),
    "MaximumEntropyClassifier": MaximumEntropyClassifier,
}
#: Models with fit(X, y), whose law of the features given the class varies.
CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "MaximumEntropyClassifier": MaximumEntropyClassifier,
    "NaiveBayes": NaiveBayes,
}
ALL = COPIED | CLASSIFIERS
#: Settings with which fits end at the optimum.
EXACT = {name: {"tol": 1e-10, "max_iter": 5000} for name in COPIED} | {"NaiveBayes": {}}

#: Checks of scikit-learn that hold as they are. Not among them: those that want its own words in
#: messages, its exceptions (ours are ValueError), numpy's types in results, or arguments that are
#: looked at in `fit` only (ours are refused at once).
CHECKS = (
    "check_dict_unchanged",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_estimators_dtypes",
    "check_estimators_fit_returns_self",
    "check_estimators_overwrite_params",
    "check_f_contiguous_array_estimator",
    "check_fit1d",
    "check_fit2d_1feature",
    "check_fit_check_is_fitted",
    "check_fit_score_takes_y",
    "check_get_params_invariance",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
    "check_non_transformer_estimators_n_iter",
    "check_parameters_default_constructible",
    "check_pipeline_consistency",
    "check_positive_only_tag_during_fit",
    "check_readonly_memmap_input",
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weights_list",
    "check_sample_weights_not_an_array",
    "check_sample_weights_not_overwritten",
    "check_sample_weights_pandas_series",
    "check_sample_weights_shape",
    "check_set_params",
    "check_estimator_sparse_array",
    "check_estimator_sparse_matrix",
    "check_all_zero_sample_weights_error",
)


def fitted(make: Callable[[], Any], x: Any = X, y: Any = Y, **options: Any) -> Any:
    """A model that has learned; mixtures do not look at y."""
    return make().fit(x, y, **options)


def answers(model: Any, x: Any = X) -> dict[str, Any]:
    """What a model says of rows, by method."""
    names = ("predict", "predict_proba", "score_samples", "predict_log_proba")
    found = {name: getattr(model, name)(x) for name in names if hasattr(model, name)}
    return {n: v.detach() if isinstance(v, torch.Tensor) else v for n, v in found.items()}


@pytest.mark.parametrize("name", COPIED)
@pytest.mark.parametrize("check", CHECKS)
def test_scikit_learns_checks(name: str, check: str) -> None:
    test = getattr(estimator_checks, check, None)
    if test is None:
        pytest.skip("this version of scikit-learn has no such check")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = COPIED[name]()
        if "n_components" in model.get_params():
            model.set_params(n_components=1)
        test(name, model)


@pytest.mark.parametrize("name", COPIED)
def test_arguments_make_a_round_trip(name: str) -> None:
    model = COPIED[name]()
    parameters = model.get_params()
    assert type(model)(**parameters).get_params() == parameters
    assert clone(model).set_params(**parameters).get_params() == parameters
    other = fitted(COPIED[name])
    assert other.get_params() == parameters, "fit changes no argument"
    assert same(answers(clone(other).fit(X, Y)), answers(other))


@pytest.mark.parametrize("name", ALL)
def test_fits_do_not_depend_on_earlier_ones(name: str) -> None:
    model = fitted(ALL[name], X[:20] + 3, Y[:20])
    assert same(answers(model.fit(X, Y)), answers(fitted(ALL[name])), exact=True)


@pytest.mark.parametrize("name", ALL)
def test_weights_of_one_are_none_and_whole_ones_are_repetitions(name: str) -> None:
    make = lambda: type(ALL[name]())(**EXACT[name])  # noqa: E731
    ones = fitted(make, sample_weight=np.ones(40))
    assert same(answers(ones), answers(fitted(make)))
    weights = np.arange(40) % 3
    weighted = fitted(make, sample_weight=weights)
    repeated = fitted(make, np.repeat(X, weights, 0), np.repeat(Y, weights))
    for method, found in answers(weighted).items():
        assert torch.allclose(found, answers(repeated)[method], atol=1e-5), method


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    "convert",
    [
        pytest.param(np.asfortranarray, id="fortran"),
        pytest.param(lambda x: x.tolist(), id="list"),
        pytest.param(torch.from_numpy, id="tensor"),
        pytest.param(lambda x: np.repeat(x, 2, 0)[::2], id="strided"),
        pytest.param(lambda x: __import__("pandas").DataFrame(x, columns=["p", "q"]), id="frame"),
    ],
)
def test_rows_of_any_kind_teach_the_same(name: str, convert: Callable[[Any], Any]) -> None:
    expected = answers(fitted(ALL[name]))
    assert same(answers(fitted(ALL[name], convert(X)), convert(X)), expected)


@pytest.mark.parametrize("name", ALL)
def test_single_precision_rows_teach_nearly_the_same(name: str) -> None:
    make = lambda: type(ALL[name]())(**EXACT[name])  # noqa: E731
    exact = answers(fitted(make))
    for method, found in answers(fitted(make, X.astype(np.float32))).items():
        assert torch.allclose(found.double(), exact[method].double(), atol=1e-3), method


@pytest.mark.parametrize("name", ALL)
def test_other_numbers_of_features_are_refused_after_a_fit(name: str) -> None:
    model = fitted(ALL[name])
    for wide in (X[:, :1], np.hstack([X, X])):
        for method in answers(model):
            with pytest.raises(ValueError, match="2"):
                getattr(model, method)(wide)


@pytest.mark.parametrize("name", ALL)
def test_one_row_and_one_feature(name: str) -> None:
    model = fitted(ALL[name], X[:, :1])
    assert model.predict(X[:1, :1]).shape == (1,)
    assert model.predict_proba(X[:1, :1]).shape == (1, 2 if name in CLASSIFIERS else 1) or (
        name in COPIED
    )
    with pytest.raises(ValueError, match=r"X|rows|class"):
        fitted(ALL[name], X[:1], Y[:1])


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize(
    "labels", [Y, Y == 1, LABELS, 3 * Y - 5], ids=["int", "bool", "str", "-5"]
)
def test_answers_of_classifiers_agree(name: str, labels: np.ndarray) -> None:
    model = fitted(CLASSIFIERS[name], X, labels)
    classes = np.asarray(model.classes_)
    assert classes.tolist() == np.unique(labels).tolist()
    found, probs = np.asarray(model.predict(X)), model.predict_proba(X).detach()
    assert probs.shape == (40, 2)
    assert torch.allclose(probs.sum(1), torch.ones(40, dtype=probs.dtype))
    assert np.array_equal(found, classes[probs.argmax(1).numpy()])
    assert torch.allclose(model.predict_log_proba(X).detach().exp(), probs)
    assert model.score(X, labels) == pytest.approx(float((found == labels).mean()))
    halves = np.where(np.arange(40) < 20, 0.5, 2.0)
    right = float(((found == labels) * halves).sum() / halves.sum())
    assert model.score(X, labels, sample_weight=halves) == pytest.approx(right)


def test_one_class_is_known_or_refused() -> None:
    assert NaiveBayes().fit(X, np.zeros(40, int)).predict(X).unique().tolist() == [0]
    with pytest.raises(ValueError, match="at least two classes"):
        MaximumEntropyClassifier().fit(X, np.zeros(40, int))


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("labels", [None, Y[:-1], Y[:, None], Y + 0.5], ids=str)
def test_wrong_labels_are_refused(name: str, labels: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="y"):
        CLASSIFIERS[name]().fit(X, labels)


@pytest.mark.parametrize("name", COPIED)
def test_pipelines_searches_and_validations(name: str) -> None:
    line = make_pipeline(StandardScaler(), COPIED[name]()).fit(X, Y)
    assert line.predict(X).shape == (40,)
    assert np.isfinite(float(line.score(X, Y)))
    option = {"C": [0.1, 1.0]} if name in CLASSIFIERS else {"n_components": [1, 2]}
    search = GridSearchCV(COPIED[name](), option, cv=2, error_score="raise").fit(X, Y)
    assert search.best_params_.keys() == option.keys()
    assert np.isfinite(cross_val_score(COPIED[name](), X, Y, cv=2, error_score="raise")).all()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (GaussianMixture(2, random_state=0), mixture.GaussianMixture(2, random_state=0)),
        (
            BayesianGaussianMixture(2, random_state=0),
            mixture.BayesianGaussianMixture(n_components=2, random_state=0),
        ),
        (MaximumEntropyClassifier(), LogisticRegression()),
        (NaiveBayes(), naive_bayes.GaussianNB()),
    ],
    ids=lambda model: type(model).__name__,
)
def test_results_have_the_shapes_and_types_of_scikit_learns(ours: Any, theirs: Any) -> None:
    ours.fit(X, Y)
    theirs.fit(X, Y)
    for method, found in answers(ours).items():
        expected = getattr(theirs, method)(X)
        assert found.shape == expected.shape, method
        assert str(found.dtype).removeprefix("torch.") == str(expected.dtype), method
    shared = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")
    for name in (*shared, "coef_", "intercept_", "classes_", "n_features_in_", "theta_", "var_"):
        if hasattr(ours, name) and hasattr(theirs, name):
            assert np.shape(np.asarray(getattr(ours, name))) == np.shape(getattr(theirs, name))
    assert np.ndim(float(ours.score(X, Y))) == np.ndim(theirs.score(X, Y))


def test_taggers_score_what_they_predict() -> None:
    tagger = CRFTagger(c2=0.1).fit(TOKENS, TAGS)
    found = tagger.predict(TOKENS)
    right = [a == b for x, y in zip(found, TAGS, strict=True) for a, b in zip(x, y, strict=True)]
    assert tagger.score(TOKENS, TAGS) == pytest.approx(sum(right) / len(right))
    best = [[max(m, key=m.get) for m in row] for row in tagger.predict_marginals(TOKENS)]
    assert best == found
