"""Naive Bayes against worked numbers and scikit-learn."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import naive_bayes as peer

from pgm.naive_bayes import NaiveBayes
from tests.pgm.class_models.peers import PEERS

NAN = float("nan")


KINDS = ["gaussian", "bernoulli", "multinomial", "categorical", "complement"]


# Worked numbers of the course notes --------------------------------------------------------------


# Words: I, like, loathe, reading.
TEXTS, SIGNS = [[1, 1, 0, 1], [1, 0, 1, 1]], ["+", "-"]


@pytest.mark.parametrize(
    "query",
    [[1, 1, 0, 1], [0, 1, 0, 0], [0, 1, 0, 1], [NAN, 1, 0, NAN], [-1, 1, 0, -1]],
)
def test_t6_laplace_bernoulli(close, query):
    """The word that is there and the one that is not decide; the words common to both do not."""
    model = NaiveBayes("bernoulli", alpha=1.0).fit(TEXTS, SIGNS)
    assert model.classes == ("+", "-")
    close(model.predict_proba([query])[0], [0.8, 0.2], 1e-15)
    assert model.predict([query]).tolist() == ["+"]


def test_t6_is_no_other_model():
    """Neither a multinomial law nor half the smoothing nor one word alone gives 0.8."""
    wrong = NaiveBayes("multinomial").fit(TEXTS, SIGNS).predict_proba([[1, 1, 0, 1]])[0, 0]
    assert wrong.item() == pytest.approx(2 / 3)
    wrong = NaiveBayes("bernoulli", 0.5).fit(TEXTS, SIGNS).predict_proba([[1, 1, 0, 1]])[0, 0]
    assert wrong.item() == pytest.approx(0.9)
    model = NaiveBayes("bernoulli").fit(TEXTS, SIGNS)
    assert model.predict_proba([[1, 1, NAN, 1]])[0, 0].item() == pytest.approx(2 / 3)


# Independent references --------------------------------------------------------------------------


@pytest.fixture
def reference(references) -> dict:
    """Stored numbers of another library."""
    return references["naive_bayes"]


@pytest.mark.parametrize(
    ("name", "kind", "alpha"),
    [
        ("MultinomialNB", "multinomial", 1.0),
        ("MultinomialNB_alpha0.1", "multinomial", 0.1),
        ("BernoulliNB", "bernoulli", 1.0),
        ("ComplementNB", "complement", 1.0),
        ("CategoricalNB", "categorical", 1.0),
    ],
)
def test_stored_numbers(close, reference, name, kind, alpha):
    options = {"min_categories": 6} if kind == "categorical" else {}
    model = NaiveBayes(kind, alpha, **options).fit(reference["X"], reference["y"])
    expected = reference[name]
    close(model.class_log_prior, expected["class_log_prior"])
    close(model.predict_log_proba(reference["Xq"]), expected["predict_log_proba"])


def test_stored_numbers_gaussian(close, reference):
    from sklearn.datasets import load_iris

    x, y = load_iris(return_X_y=True)
    keep = np.r_[0:20, 50:70, 100:120]
    expected = reference["GaussianNB"]
    model = NaiveBayes("gaussian").fit(x[keep], y[keep])
    close(model.means, expected["theta"])
    close(model.variances, expected["var"])
    close(model.predict_log_proba(x[expected["query_rows"]]), expected["predict_log_proba"])


def peer_settings(kind: str, alpha: float, fit_prior: bool) -> dict:
    """The settings that both libraries have."""
    if kind == "gaussian":
        return {"var_smoothing": alpha * 1e-3}
    return {"alpha": alpha, "fit_prior": fit_prior}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_classes=st.integers(1, 4),
    d=st.integers(1, 6),
    alpha=st.sampled_from([1.0, 0.01, 0.5, 3.0]),
    weighted=st.booleans(),
    fit_prior=st.booleans(),
)
def test_equals_scikit_learn(rows, close, kind, seed, n_classes, d, alpha, weighted, fit_prior):
    x, y, weight = rows(kind, seed, d=d, n_classes=n_classes)
    weight = weight if weighted else None
    options = peer_settings(kind, alpha, fit_prior)
    ours = NaiveBayes(kind, **options).fit(x, y, weight)
    theirs = PEERS[kind](**options).fit(x, y, sample_weight=weight)
    new = rows(kind, seed + 1, d=d, n_classes=n_classes)[0]
    close(ours.predict_joint_log_proba(new), theirs.predict_joint_log_proba(new))
    close(ours.predict_log_proba(new), theirs.predict_log_proba(new))
    close(ours.predict_proba(new), theirs.predict_proba(new))
    # Ties are decided by rounding.
    clear = np.ptp(np.sort(theirs.predict_joint_log_proba(new), axis=1)[:, -2:], axis=1) > 1e-9
    clear |= n_classes == 1
    if clear.any():
        assert np.array_equal(ours.predict(new[clear]), theirs.predict(new[clear]))
        query = new[clear], y[clear], None if weight is None else weight[clear]
        assert ours.score(*query) == pytest.approx(theirs.score(*query), abs=1e-14)
    assert np.array_equal(ours.classes_, theirs.classes_)
    close(ours.class_count_, theirs.class_count_)
    if kind == "gaussian":
        close(ours.theta_, theirs.theta_)
        close(ours.var_, theirs.var_)
        return
    close(ours.class_log_prior_, theirs.class_log_prior_)
    if kind == "categorical":
        assert len(ours.feature_log_prob_) == d
        for found, expected in zip(ours.feature_log_prob_, theirs.feature_log_prob_, strict=True):
            close(found, expected)
    else:
        close(ours.feature_log_prob_, theirs.feature_log_prob_)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("multinomial", {}), ("complement", {"norm": False}), ("complement", {"norm": True})],
)
def test_one_alpha_per_feature_and_a_given_prior(rows, close, kind, options):
    x, y, weight = rows(kind, 3)
    options = {"alpha": [0.1, 1.0, 2.0, 0.5, 3.0], "class_prior": [0.2, 0.3, 0.5], **options}
    ours = NaiveBayes(kind, **options).fit(x, y, weight)
    theirs = PEERS[kind](**options).fit(x, y, sample_weight=weight)
    close(ours.predict_log_proba(x), theirs.predict_log_proba(x))


def test_one_alpha_per_bit(rows, close):
    """Feature by feature: the peer takes several only where there are as many classes."""
    x, y, weight = rows("bernoulli", 3)
    alpha = [0.1, 1.0, 2.0, 0.5, 3.0]
    ours = NaiveBayes("bernoulli", alpha, class_prior=[0.2, 0.3, 0.5]).fit(x, y, weight)
    for j, one in enumerate(alpha):
        column = x[:, j : j + 1]
        theirs = peer.BernoulliNB(alpha=one, class_prior=[0.2, 0.3, 0.5])
        theirs.fit(column, y, sample_weight=weight)
        only = np.full_like(x, NAN)
        only[:, j] = x[:, j]
        close(ours.predict_log_proba(only), theirs.predict_log_proba(column))


def test_binarize_and_min_categories_as_in_scikit_learn(rows, close):
    x, y, weight = rows("gaussian", 5)
    ours = NaiveBayes("bernoulli", binarize=1.5).fit(x, y, weight)
    theirs = peer.BernoulliNB(binarize=1.5).fit(x, y, sample_weight=weight)
    close(ours.predict_log_proba(x), theirs.predict_log_proba(x))
    bits = (x > 1.5).astype(int)
    exact = NaiveBayes("bernoulli", binarize=None).fit(bits, y, weight)
    close(exact.predict_log_proba(bits), theirs.predict_log_proba(x))
    x, y, weight = rows("categorical", 5)
    for least in (6, [4, 5, 6, 7, 2]):
        ours = NaiveBayes("categorical", min_categories=least).fit(x, y, weight)
        theirs = peer.CategoricalNB(min_categories=least).fit(x, y, sample_weight=weight)
        assert ours.n_states == tuple(theirs.n_categories_)
        close(ours.predict_log_proba(x), theirs.predict_log_proba(x))


def test_gaussian_counts_are_not_thrown_by_an_offset(rows, close):
    """The textbook formula, the mean of squares less the square of the mean, is."""
    x, y, weight = rows("gaussian", 1)
    near = NaiveBayes("gaussian").fit(x, y, weight)
    far = NaiveBayes("gaussian").fit(x + 2.0**30, y, weight)
    close(far.variances, near.variances.numpy(), 1e-6)
    own = weight[y == 0, None] / weight[y == 0].sum()
    moved = x[y == 0] + 2.0**30
    wrong = (own * moved**2).sum(0) - (own * moved).sum(0) ** 2
    assert (np.abs(wrong / near.variances[0].numpy() - 1) > 1e-3).any()


def test_constant_columns_get_the_smoothing_alone(rows, close):
    x, y, weight = rows("gaussian", 2)
    x[:, 1] = 0.1
    ours = NaiveBayes("gaussian").fit(x, y, weight)
    theirs = peer.GaussianNB().fit(x, y, sample_weight=weight)
    close(ours.predict_log_proba(x), theirs.predict_log_proba(x))
    assert ours.variances[:, 1].tolist() == pytest.approx([1e-9 * x.var(0).max()] * 3, rel=1e-13)
    assert len(set(ours.variances[:, 1].tolist())) == 1
    with pytest.raises(ValueError, match=re.escape("X[:, 1] has no estimate in class 0")):
        NaiveBayes("gaussian", var_smoothing=0).fit(x, y, weight)
    constant = np.full((40, 2), [0.1, 1e9 / 7])
    with pytest.raises(ValueError, match="var_smoothing > 0 and another feature that varies"):
        NaiveBayes("gaussian").fit(constant, y, weight)
