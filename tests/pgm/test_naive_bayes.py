"""Naive Bayes: worked numbers, scikit-learn, enumeration, missing entries, files, refusals."""

from __future__ import annotations

import itertools
import json
import math
import re

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, kstest, norm
from sklearn import naive_bayes as peer

from inference.model import Model
from pgm.naive_bayes import NaiveBayes

NAN = float("nan")
KINDS = ["gaussian", "bernoulli", "multinomial", "categorical", "complement"]
PEERS = {
    "gaussian": peer.GaussianNB,
    "bernoulli": peer.BernoulliNB,
    "multinomial": peer.MultinomialNB,
    "categorical": peer.CategoricalNB,
    "complement": peer.ComplementNB,
}


def rows(kind: str, seed: int, n: int = 40, d: int = 5, n_classes: int = 3):
    """Random features, labels in which every class occurs, weights."""
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, n - n_classes)])
    if kind == "gaussian":
        x = rng.normal(y[:, None] * rng.normal(size=d), rng.uniform(0.5, 20, d), (n, d))
    elif kind == "bernoulli":
        x = (rng.random((n, d)) < rng.random((n_classes, d))[y]).astype(float)
    else:
        x = rng.integers(0, 4, (n, d))
        x[0], x[1] = 3, 1  # every state occurs
    return x, y, rng.uniform(0.1, 3.0, n)


def model_of(kind: str, **settings) -> NaiveBayes:
    """A model fitted to random rows."""
    x, y, weight = rows(kind, 0)
    return NaiveBayes(kind, **settings).fit(x, y, weight)


def close(found, expected, tolerance: float = 1e-10) -> None:
    """Equal within a relative and an absolute tolerance."""
    found = found.detach().cpu().numpy() if isinstance(found, torch.Tensor) else np.asarray(found)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


# Worked numbers of the course notes --------------------------------------------------------------

# Words: I, like, loathe, reading.
TEXTS, SIGNS = [[1, 1, 0, 1], [1, 0, 1, 1]], ["+", "-"]


@pytest.mark.parametrize(
    "query",
    [[1, 1, 0, 1], [0, 1, 0, 0], [0, 1, 0, 1], [NAN, 1, 0, NAN], [-1, 1, 0, -1]],
)
def test_t6_laplace_bernoulli(query):
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
def reference(shared) -> dict:
    """Stored numbers of another library."""
    text = (shared / "references" / "mixtures_and_sequences.json").read_text(encoding="utf-8")
    return json.loads(text)["naive_bayes"]


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
def test_stored_numbers(reference, name, kind, alpha):
    options = {"min_categories": 6} if kind == "categorical" else {}
    model = NaiveBayes(kind, alpha, **options).fit(reference["X"], reference["y"])
    expected = reference[name]
    close(model.class_log_prior, expected["class_log_prior"])
    close(model.predict_log_proba(reference["Xq"]), expected["predict_log_proba"])


def test_stored_numbers_gaussian(reference):
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
def test_equals_scikit_learn(kind, seed, n_classes, d, alpha, weighted, fit_prior):
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
def test_one_alpha_per_feature_and_a_given_prior(kind, options):
    x, y, weight = rows(kind, 3)
    options = {"alpha": [0.1, 1.0, 2.0, 0.5, 3.0], "class_prior": [0.2, 0.3, 0.5], **options}
    ours = NaiveBayes(kind, **options).fit(x, y, weight)
    theirs = PEERS[kind](**options).fit(x, y, sample_weight=weight)
    close(ours.predict_log_proba(x), theirs.predict_log_proba(x))


def test_one_alpha_per_bit():
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


def test_binarize_and_min_categories_as_in_scikit_learn():
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


def test_gaussian_counts_are_not_thrown_by_an_offset():
    """The textbook formula, the mean of squares less the square of the mean, is."""
    x, y, weight = rows("gaussian", 1)
    near = NaiveBayes("gaussian").fit(x, y, weight)
    far = NaiveBayes("gaussian").fit(x + 2.0**30, y, weight)
    close(far.variances, near.variances.numpy(), 1e-6)
    own = weight[y == 0, None] / weight[y == 0].sum()
    moved = x[y == 0] + 2.0**30
    wrong = (own * moved**2).sum(0) - (own * moved).sum(0) ** 2
    assert (np.abs(wrong / near.variances[0].numpy() - 1) > 1e-3).any()


def test_constant_columns_get_the_smoothing_alone():
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


# Laws --------------------------------------------------------------------------------------------


def count_vectors(n_trials: int, d: int) -> list[tuple[int, ...]]:
    """All vectors of d counts with a given sum."""
    every = itertools.product(range(n_trials + 1), repeat=d)
    return [counts for counts in every if sum(counts) == n_trials]


@pytest.mark.parametrize("kind", ["bernoulli", "categorical", "multinomial"])
def test_probabilities_of_all_rows_sum_to_one(kind):
    model = model_of(kind)
    if kind == "multinomial":
        every = count_vectors(4, 5)
    else:
        every = list(itertools.product(range(2 if kind == "bernoulli" else 4), repeat=5))
    joint = model.joint_log_prob(every)
    close(joint.exp().sum(0), model.class_log_prior.exp().numpy(), 1e-12)
    close(model.log_prob(every).exp().sum(), 1.0, 1e-12)
    close(joint.logsumexp(1), model.log_prob(every).numpy(), 1e-12)
    if kind == "multinomial":
        wrong = model.predict_joint_log_proba(every).exp().sum()
        assert wrong.item() < 0.5, "without the coefficients it is no probability"


def test_gaussian_density():
    x, y, weight = rows("gaussian", 4)
    model = NaiveBayes("gaussian", class_prior=[0.5, 0.25, 0.25]).fit(x, y, weight)
    spread = model.variances.sqrt().numpy()
    expected = sum(
        p * norm.pdf(x, model.means.numpy()[k], spread[k]).prod(1)
        for k, p in enumerate([0.5, 0.25, 0.25])
    )
    close(model.log_prob(x), np.log(expected), 1e-12)
    close(model.joint_log_prob(x), model.predict_joint_log_proba(x).numpy(), 0)


def test_categorical_likelihood_one_cell_at_a_time():
    model = model_of("categorical", alpha=0.3)
    x, y, weight = rows("categorical", 0)
    for i, k in ((0, 0), (7, 2)):
        total = math.log(weight[y == k].sum() / weight.sum())
        for j, state in enumerate(x[i]):
            share = weight[(y == k) & (x[:, j] == state)].sum() + 0.3
            total += math.log(share / (weight[y == k].sum() + 4 * 0.3))
        assert model.joint_log_prob(x[i : i + 1])[0, k].item() == pytest.approx(total, rel=1e-13)


@pytest.mark.parametrize("kind", ["gaussian", "bernoulli", "categorical"])
def test_more_rows_than_one_block(kind):
    x, y, weight = rows(kind, 1, n=40_000, d=8)
    model = NaiveBayes(kind).fit(x, y, weight)
    theirs = PEERS[kind]().fit(x, y, sample_weight=weight)
    together = model.predict_joint_log_proba(x)
    close(together, theirs.predict_joint_log_proba(x))
    holed = np.where(np.arange(8) == 3, NAN, x)
    gaps = model.predict_joint_log_proba(holed)
    for i in (0, 9_999, 39_999):
        close(together[i], model.predict_joint_log_proba(x[i : i + 1])[0].numpy(), 1e-13)
        close(gaps[i], model.predict_joint_log_proba(holed[i : i + 1])[0].numpy(), 1e-13)
    if kind == "categorical":
        x[39_998, 2] = 9
        with pytest.raises(
            ValueError, match=re.escape("X[:, 2]: unknown category 9 in row 39998")
        ):
            model.predict(x)


# Hard zeros --------------------------------------------------------------------------------------


def test_zero_alpha_is_exact():
    x, y = [[0, 1], [0, 0], [1, 1], [1, 0]], [0, 0, 1, 1]
    model = NaiveBayes("bernoulli", alpha=0.0).fit(x, y)
    assert model.feature_log_prob_[:, 0].tolist() == [-math.inf, 0.0]
    assert model.joint_log_prob([[0, 1]]).tolist() == [[2 * math.log(0.5), -math.inf]]
    assert model.predict_proba([[0, 1], [1, 1]]).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    clipped = NaiveBayes("bernoulli", alpha=1e-10).fit(x, y)
    assert clipped.joint_log_prob([[0, 1]]).isfinite().all(), "clipping is another model"


@pytest.mark.parametrize("kind", ["bernoulli", "categorical", "multinomial"])
def test_zero_alpha_is_the_limit_of_small_alpha(kind):
    rng = np.random.default_rng(0)
    x = np.array([[2, 0, 1], [1, 0, 0], [0, 2, 1], [0, 1, 1], [1, 1, 1]]).clip(0, 1)
    y, weight = [0, 0, 1, 1, 2], rng.uniform(0.1, 1, 5)
    exact = NaiveBayes(kind, alpha=0.0).fit(x, y, weight)
    near = NaiveBayes(kind, alpha=1e-280).fit(x, y, weight)
    found, limit = exact.joint_log_prob(x), near.joint_log_prob(x)
    impossible = found == -math.inf
    assert impossible.any()
    assert (limit[impossible] < -600).all()
    close(found[~impossible], limit[~impossible].numpy(), 1e-13)
    assert not exact.predict_proba(x).isnan().any()


def test_a_count_of_nothing_is_exactly_zero():
    """A count taken as the total less the rest is not, when weights are fractions."""
    weight = [0.1, 0.2, 0.3, 1.0]
    x, y = [[1], [1], [1], [0]], [0, 0, 0, 1]
    for kind in ("bernoulli", "categorical"):
        model = NaiveBayes(kind, alpha=0).fit(x, y, weight)
        assert model.joint_log_prob([[0]])[0, 0].item() == -math.inf
    others = NaiveBayes("complement", alpha=0).fit([[1, 1], [1, 2], [1, 3], [0, 1]], y, weight)
    assert others.weights[0, 0].item() == math.inf
    assert sum(weight[:3]) - sum(weight[2::-1]) != 0.0, "which would be the count of zeros"


def test_rows_impossible_in_every_class_are_refused():
    model = NaiveBayes("categorical", alpha=0, min_categories=3).fit([[0, 0], [1, 1]], ["a", "b"])
    x = [[0, 0], [1, 1], [0, 1], [2, 2]]
    assert model.log_prob(x).tolist() == [math.log(0.5), math.log(0.5), -math.inf, -math.inf]
    for method in (model.predict, model.predict_proba, model.predict_log_proba):
        with pytest.raises(ValueError, match="row 2 of X is impossible in every class"):
            method(x)
    with pytest.raises(ValueError, match="row 2 of X"):
        model.score(x, ["a", "b", "a", "b"])
    assert model.score(x[:2], ["a", "b"]) == 1.0


def test_complement_with_features_of_one_class_alone():
    """Weights are infinite there; small alpha shows what that must mean."""
    x, y = [[3, 0, 1], [0, 2, 1], [0, 0, 4]], [0, 1, 2]
    exact = NaiveBayes("complement", alpha=0).fit(x, y)
    near = NaiveBayes("complement", alpha=1e-280).fit(x, y)
    query = [[1, 0, 2], [0, 1, 0], [0, 0, 5]]
    close(exact.predict_proba(query), near.predict_proba(query).numpy(), 1e-13)
    assert exact.predict(query).tolist()[:2] == [0, 1]
    with pytest.raises(ValueError, match="row 0 of X is impossible"):
        exact.predict([[1, 1, 0]])
    with pytest.raises(ValueError, match="with norm"):
        NaiveBayes("complement", alpha=0, norm=True).fit(x, y)


def test_estimates_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match=re.escape("X[:, 1] has no estimate in class 'b'")):
        NaiveBayes("bernoulli", alpha=0).fit([[0, 1], [1, NAN]], ["a", "b"])
    with pytest.raises(ValueError, match=re.escape("X[:, 0] has no estimate in class 1")):
        NaiveBayes("categorical", alpha=0).fit([[0, 1], [-1, 0]], [0, 1])
    with pytest.raises(ValueError, match="the class has no counts; pass alpha > 0"):
        NaiveBayes("multinomial", alpha=0).fit([[0, 1], [0, 0]], [0, 1])
    with pytest.raises(ValueError, match="no estimate in class 1: it needs an observed value"):
        NaiveBayes("gaussian").fit([[0.0, 1.0], [1.0, 0.0], [NAN, 2.0]], [0, 0, 1])


# Classes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_without_weight_is_impossible(kind):
    x, y, weight = rows(kind, 6)
    weight[y == 1] = 0.0
    model = NaiveBayes(kind).fit(x, y, weight)
    assert model.classes == (0, 1, 2)
    assert model.class_log_prior[1].item() == -math.inf
    if kind == "complement":
        theirs = peer.ComplementNB().fit(x, y, sample_weight=weight)
        close(model.predict_proba(x), theirs.predict_proba(x))
        return
    posterior = model.predict_proba(x)
    assert (posterior[:, 1] == 0).all() and posterior.isfinite().all()
    keep = y != 1
    if kind == "gaussian":  # the smoothing refers to all rows
        model = NaiveBayes(kind, var_smoothing=0).fit(x, y, weight)
        alone = NaiveBayes(kind, var_smoothing=0).fit(x[keep], y[keep], weight[keep])
    else:
        alone = NaiveBayes(kind).fit(x[keep], y[keep], weight[keep])
    close(model.predict_proba(x)[:, [0, 2]], alone.predict_proba(x).numpy(), 1e-12)
    assert set(np.asarray(model.sample(100, generator=0, **trials(kind))[1])) <= {0, 2}


def trials(kind: str) -> dict:
    return {"n_trials": 5} if kind == "multinomial" else {}


@pytest.mark.parametrize("options", [{"fit_prior": False}, {"class_prior": [0.5, 0.25, 0.25]}])
def test_a_class_without_weight_but_with_a_prior(options):
    x, y, weight = rows("bernoulli", 6)
    weight[y == 1] = 0.0
    model = NaiveBayes("bernoulli", **options).fit(x, y, weight)
    close(model.feature_log_prob_[1].exp(), [0.5] * 5, 1e-15)
    theirs = peer.BernoulliNB(**options).fit(x, y, sample_weight=weight)
    close(model.predict_log_proba(x), theirs.predict_log_proba(x))
    with pytest.raises(ValueError, match=r"no estimate in class 1: .*pass alpha > 0"):
        NaiveBayes("bernoulli", 0.0, **options).fit(x, y, weight)
    with pytest.raises(ValueError, match="no estimate in class 1"):
        NaiveBayes("gaussian", **options).fit(x, y, weight)


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        ([5, -2, 5, 7], "tensor"),
        ([True, False, True, False], "tensor"),
        ([1.0, 0.0, 1.0, 3.0], "tensor"),
        (["spam", "ham", "spam", "eggs"], "array"),
        (["是", "否", "是", "是"], "array"),
    ],
)
def test_labels_of_every_kind(labels, kind):
    x = [[0, 0], [1, 1], [0, 0], [0, 1]]
    spellings = [labels, np.array(labels), pd.Series(labels), pd.Series(labels, dtype="category")]
    spellings += [np.array(labels, dtype=object), tuple(labels)]
    if kind == "tensor":
        spellings.append(torch.tensor(labels))
    for y in spellings:
        model = NaiveBayes("bernoulli", 0.1).fit(x, y)
        assert model.classes == tuple(sorted(set(labels)))
        assert model.classes_.tolist() == sorted(set(labels))
        found = model.predict(x[:2])
        assert found.tolist() == labels[:2]
        assert isinstance(found, torch.Tensor if kind == "tensor" else np.ndarray)
        assert [type(label) for label in found.tolist()] == [type(label) for label in labels[:2]]
        assert model.score(x, y) == model.score(x, labels) >= 0.75


def test_one_class_is_certain():
    for kind in KINDS:
        x = rows(kind, 0)[0]
        model = NaiveBayes(kind).fit(x, ["only"] * len(x))
        assert (model.predict_proba(x) == 1).all()
        close(model.class_log_prior, [0.0], 0)


def test_score_counts_unseen_labels_as_errors_and_weighs_rows():
    model = NaiveBayes("bernoulli", 0.1).fit([[0], [1]], [0, 1])
    assert model.score([[0], [1], [1]], [0, 1, 9]) == pytest.approx(2 / 3)
    assert model.score([[0], [1], [1]], [0, 1, 9], [1.0, 0.0, 3.0]) == pytest.approx(1 / 4)


# Missing entries ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["gaussian", "bernoulli", "categorical"])
def test_missing_cells_are_not_counted(kind):
    """Every feature is estimated from the rows that have it."""
    x, y, weight = rows(kind, 8)
    gaps = np.random.default_rng(8).random(x.shape) < 0.3
    gaps[:3] = False
    holed = np.where(gaps, NAN, x)
    model = NaiveBayes(kind).fit(holed, y, weight)
    for j in range(x.shape[1]):
        seen = ~gaps[:, j]
        options = {}
        if kind == "gaussian":
            share = 1e-9 * max(np.nanvar(holed[:, i]) for i in range(x.shape[1]))
            options["var_smoothing"] = share / x[seen, j].var()
        if kind == "categorical":
            options["min_categories"] = model.n_states[j]
        alone = PEERS[kind](**options).fit(x[seen, j : j + 1], y[seen], sample_weight=weight[seen])
        if kind == "gaussian":
            close(model.means[:, j], alone.theta_[:, 0])
            close(model.variances[:, j], alone.var_[:, 0])
        elif kind == "categorical":
            close(model.feature_log_prob_[j], alone.feature_log_prob_[0])
        else:
            close(model.feature_log_prob_[:, j], alone.feature_log_prob_[:, 0])
    close(model.class_count, NaiveBayes(kind).fit(x, y, weight).class_count.numpy(), 0)


@pytest.mark.parametrize("kind", ["bernoulli", "categorical"])
def test_missing_entries_are_summed_out(kind):
    """A row with gaps has the probability of all its completions together."""
    model = model_of(kind)
    n_states = 2 if kind == "bernoulli" else 4
    row = np.array([[1.0, NAN, 0.0, NAN, 1.0]])
    full = np.repeat(row, n_states**2, axis=0)
    full[:, [1, 3]] = list(itertools.product(range(n_states), repeat=2))
    close(model.joint_log_prob(row)[0], model.joint_log_prob(full).logsumexp(0).numpy(), 1e-13)
    zero_instead = np.nan_to_num(row)
    assert abs(model.log_prob(row) - model.log_prob(zero_instead)).item() > 0.1


def test_missing_numbers_are_integrated_out():
    model = model_of("gaussian")
    row = np.array([[1.0, NAN, -3.0, 0.5, 2.0]])
    spread = model.variances.sqrt()[:, 1].max().item()
    grid = np.linspace(-12 * spread, 12 * spread, 4001) + model.means[:, 1].mean().item()
    full = np.repeat(row, len(grid), axis=0)
    full[:, 1] = grid
    density = np.trapezoid(model.joint_log_prob(full).exp().numpy(), grid, axis=0)
    close(model.joint_log_prob(row)[0].exp(), density, 1e-9)


def test_a_row_without_any_entry_has_the_prior():
    for kind in ("gaussian", "bernoulli", "categorical"):
        model = model_of(kind)
        close(model.predict_log_proba([[NAN] * 5])[0], model.class_log_prior.numpy(), 1e-15)


def test_every_spelling_of_missing():
    x, y, weight = rows("categorical", 9)
    x[4, 2] = x[10, 0] = -1
    expected = NaiveBayes("categorical").fit(x, y, weight)
    real = np.where(x < 0, NAN, x)
    frame = pd.DataFrame(x).astype("Int64").mask(x < 0)
    objects = np.where(x < 0, None, x.astype(object))
    for other in (torch.from_numpy(x), real, x.astype(float), frame, pd.DataFrame(real), objects):
        model = NaiveBayes("categorical").fit(other, y, weight)
        assert torch.equal(model.feature_log_prob, expected.feature_log_prob)
        assert torch.equal(model.predict_proba(other), expected.predict_proba(x))


def test_minus_one_is_missing_in_codes_and_a_number_in_reals():
    y = [0, 0, 1, 1]
    codes = np.array([[0, 1], [1, -1], [1, 1], [1, 0]])
    gaps = NaiveBayes("bernoulli").fit(np.where(codes < 0, NAN, codes), y)
    for model in (
        NaiveBayes("bernoulli").fit(codes, y),
        NaiveBayes("bernoulli").fit(pd.DataFrame(codes), y),
        NaiveBayes("bernoulli", binarize=None).fit(codes.astype(float), y),
    ):
        assert torch.equal(model.feature_log_prob, gaps.feature_log_prob)
    number = NaiveBayes("bernoulli").fit(codes.astype(float), y)
    theirs = peer.BernoulliNB().fit(codes.astype(float), y)
    close(number.feature_log_prob_, theirs.feature_log_prob_)
    assert not torch.equal(number.feature_log_prob, gaps.feature_log_prob)
    whole = NaiveBayes("gaussian").fit(codes, y)
    close(whole.means, [[0.5, 0.0], [1.0, 0.5]], 1e-15)
    with pytest.raises(ValueError, match=r"holds the integer -2 in row 1.*floating-point"):
        NaiveBayes("bernoulli").fit([[0], [-2]], [0, 1])


# DataFrames --------------------------------------------------------------------------------------


def frame() -> tuple[pd.DataFrame, list[str]]:
    table = pd.DataFrame(
        {
            "colour": ["red", "green", None, "red", "blue", "green"],
            "size": pd.Categorical(["S", "L", "L", "S", None, "L"], ["S", "M", "L"]),
            "legs": [2, 4, 4, -1, 2, 0],
        }
    )
    return table, ["bird", "cat", "cat", "bird", "bird", "snake"]


def coded(table: pd.DataFrame) -> np.ndarray:
    """The codes of the frame above by hand."""
    colours = table["colour"].map({"blue": 0, "green": 1, "red": 2}).fillna(-1)
    sizes = table["size"].astype(object).map({"S": 0, "M": 1, "L": 2}).fillna(-1)
    return np.stack([colours, sizes, table["legs"]], axis=1).astype(int)


def test_labels_of_a_frame_are_kept():
    table, y = frame()
    model = NaiveBayes("categorical").fit(table, y)
    assert model.n_states == (3, 3, 5)
    plain = NaiveBayes("categorical").fit(coded(table), y)
    assert torch.equal(model.feature_log_prob, plain.feature_log_prob)
    expected = plain.predict_proba(coded(table))
    shuffled = table[["legs", "size", "colour"]].assign(extra="?")
    objects = np.stack([table["colour"], table["size"].astype(object), table["legs"]], axis=1)
    for same in (table, shuffled, table.astype({"size": object}), coded(table), objects):
        assert torch.equal(model.predict_proba(same), expected)
    assert torch.equal(
        NaiveBayes("categorical").fit(table[::-1], y[::-1]).predict_proba(table), expected
    )


def test_an_array_of_strings_has_labels_too():
    x = np.array([["a", "x"], ["b", "y"], ["a", "y"]])
    for other in (x, x.astype(object), x.tolist()):
        model = NaiveBayes("categorical").fit(other, [0, 1, 0])
        assert model.predict([["a", "x"], ["b", "y"]]).tolist() == [0, 1]
        assert model.predict([[0, 0], [1, 1]]).tolist() == [0, 1]


def test_columns_and_categories_are_checked():
    table, y = frame()
    model = NaiveBayes("categorical").fit(table, y)
    with pytest.raises(
        ValueError, match=r"X\['colour'\]: unknown state 'pink'; it has the labels"
    ):
        model.predict(table.assign(colour="pink"))
    with pytest.raises(ValueError, match=r"X\['legs'\]: unknown category 8 in row 1"):
        model.predict(table.assign(legs=[2, 8, 0, 0, 0, 0]))
    with pytest.raises(ValueError, match=re.escape("X[:, 2]: unknown category 5 in row 0")):
        NaiveBayes("categorical").fit(coded(table), y).predict([[0, 0, 5]])
    with pytest.raises(TypeError, match=r"X\['legs'\] must hold numbers, found 'two'"):
        model.predict(table.assign(legs="two"))
    with pytest.raises(ValueError, match="X has no column 'size'"):
        model.predict(table.drop(columns="size"))
    with pytest.raises(ValueError, match="X must have 3 columns, found 2"):
        model.predict(coded(table)[:, :2])
    with pytest.raises(TypeError, match="mixes strings and other objects"):
        NaiveBayes("categorical").fit(table.assign(colour=["red", 1, 2, 3, 4, 5]), y)
    with pytest.raises(ValueError, match="two columns of one name"):
        NaiveBayes("categorical").fit(pd.concat([table, table], axis=1), y)
    with pytest.raises(ValueError, match="must not exceed the 3 labels of X\\['colour'\\]"):
        NaiveBayes("categorical", min_categories=4).fit(table, y)


def test_frames_of_numbers():
    for kind in ("gaussian", "bernoulli", "multinomial", "complement"):
        x, y, weight = rows(kind, 2)
        table = pd.DataFrame(x, columns=list("abcde"))
        model = NaiveBayes(kind).fit(table, pd.Series(y), pd.Series(weight))
        plain = NaiveBayes(kind).fit(x, y, weight)
        expected = plain.predict_proba(x)
        assert torch.equal(model.predict_proba(table[list("edcba")]), expected)
        assert torch.equal(model.predict_proba(x), expected)
        assert torch.equal(plain.predict_proba(table), expected)
        with pytest.raises(TypeError, match=r"X\['b'\] must hold numbers, found 'two'"):
            model.predict(table.astype(object).assign(b="two"))


# Sampling ----------------------------------------------------------------------------------------


def chance(count: int, n: int, p: float) -> float:
    """How probable a count as extreme is."""
    return binomtest(count, n, min(p, 1.0)).pvalue


@pytest.mark.parametrize("kind", ["bernoulli", "categorical"])
def test_draws_follow_the_joint_law(kind):
    """Every cell of the joint table; false alarms below one in a million, all cells together."""
    x, y, weight = rows(kind, 3, d=2)
    model = NaiveBayes(kind, class_prior=[0.2, 0.0, 0.8]).fit(x, y, weight)
    n = 20_000
    x, y = model.sample(n, generator=1)
    assert x.dtype == (torch.int64 if kind == "categorical" else torch.float64)
    states = list(itertools.product(range(2 if kind == "bernoulli" else 4), repeat=2))
    law = model.joint_log_prob(states).exp()
    cells = [(k, s) for k in range(3) for s in range(len(states))]
    for k, s in cells:
        count = int(((y == k) & (x == torch.tensor(states[s])).all(1)).sum())
        assert chance(count, n, law[s, k].item()) > 1e-6 / len(cells)
    uneven = (n - 1000, n)  # a wrong law, by one draw in twenty, is noticed
    assert chance(uneven[0], n, 0.99) < 1e-6


def test_multinomial_draws():
    """Totals are exact; every count is binomial; false alarms below one in a million."""
    model = model_of("multinomial")
    n, n_trials = 4000, 6
    x, y = model.sample(n, n_trials=n_trials, generator=2)
    assert x.dtype == torch.float64 and (x.sum(1) == n_trials).all()
    share = model.feature_log_prob.exp()
    for k in range(3):
        own = x[y == k]
        for j in range(5):
            p = chance(int(own[:, j].sum()), len(own) * n_trials, share[k, j].item())
            assert p > 1e-6 / 15
    assert model.sample(2, n_trials=0, generator=0)[0].tolist() == [[0.0] * 5] * 2


def test_gaussian_draws():
    """Kolmogorov-Smirnov per class and feature; false alarms below one in a million."""
    model = model_of("gaussian")
    x, y = model.sample(6000, generator=3)
    for k in range(3):
        for j in range(5):
            law = norm(model.means[k, j].item(), model.variances[k, j].sqrt().item())
            assert kstest(x[y == k, j].numpy(), law.cdf).pvalue > 1e-6 / 15
    off = norm(model.means[0, 0].item(), model.variances[0, 0].item())
    assert kstest(x[y == 0, 0].numpy(), off.cdf).pvalue < 1e-6, "the variance is no deviation"


@pytest.mark.parametrize("kind", ["gaussian", "bernoulli", "categorical", "multinomial"])
def test_draws_follow_the_seed(kind):
    model = model_of(kind)
    before = torch.random.get_rng_state()
    first, second = (model.sample(50, generator=7, **trials(kind)) for _ in range(2))
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])
    assert torch.equal(torch.random.get_rng_state(), before)
    shared = torch.Generator().manual_seed(7)
    drawn = [model.sample(50, generator=shared, **trials(kind))[0] for _ in range(2)]
    assert torch.equal(drawn[0], first[0]) and not torch.equal(drawn[1], first[0])
    x, y = model.sample(0, generator=0, **trials(kind))
    assert x.shape == (0, 5) and y.shape == (0,)


def test_draws_have_labels():
    model = NaiveBayes("bernoulli").fit(TEXTS, SIGNS)
    assert set(model.sample(100, generator=0)[1].tolist()) == {"+", "-"}


def test_what_cannot_be_drawn():
    with pytest.raises(ValueError, match="'complement' is no model of the features"):
        model_of("complement").sample(1)
    with pytest.raises(ValueError, match="n_trials must be given for kind 'multinomial'"):
        model_of("multinomial").sample(1)
    with pytest.raises(ValueError, match=r"n_trials must be given .* for no other"):
        model_of("gaussian").sample(1, n_trials=3)
    with pytest.raises(ValueError, match="n and n_trials must not be negative, found -1"):
        model_of("gaussian").sample(-1)
    with pytest.raises(ValueError, match="must not be negative, found 1 and -1"):
        model_of("multinomial").sample(1, n_trials=-1)


# Learning in parts -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_parts_equal_the_whole(kind):
    x, y, weight = rows(kind, 11)
    whole = NaiveBayes(kind).fit(x, y, weight)
    parts = NaiveBayes(kind)
    for part in (slice(0, 3), slice(3, 4), slice(4, 25), slice(25, 40)):
        parts.partial_fit(x[part], y[part], classes=[2, 0, 1], sample_weight=weight[part])
    close(parts.predict_joint_log_proba(x), whole.predict_joint_log_proba(x).numpy(), 1e-12)
    assert [entry["rows"] for entry in parts.history] == [3, 1, 21, 15]
    more = NaiveBayes(kind).fit(x[:25], y[:25], weight[:25])
    more.partial_fit(x[25:], y[25:], sample_weight=weight[25:])
    close(more.predict_joint_log_proba(x), whole.predict_joint_log_proba(x).numpy(), 1e-12)
    more.fit(x, y, weight)
    assert torch.equal(more.predict_proba(x), whole.predict_proba(x)), "fit forgets"
    assert len(more.history) == 1 and more.history[0]["weight"] == pytest.approx(weight.sum())


def test_parts_with_gaps_equal_the_whole():
    x, y, weight = rows("gaussian", 12)
    x[np.random.default_rng(0).random(x.shape) < 0.3] = NAN
    x[:6] = rows("gaussian", 13, n=6)[0]
    whole = NaiveBayes("gaussian").fit(x, y, weight)
    parts = NaiveBayes("gaussian").fit(x[:6], y[:6], weight[:6])
    for i in range(6, 40):
        parts.partial_fit(x[i : i + 1], y[i : i + 1], sample_weight=weight[i : i + 1])
    close(parts.means, whole.means.numpy(), 1e-12)
    close(parts.variances, whole.variances.numpy(), 1e-12)


def test_classes_may_come_later():
    model = NaiveBayes("gaussian")
    model.partial_fit([[0.0], [1.0]], ["a", "a"], classes=["a", "b"])
    assert model.predict_proba([[5.0]]).tolist() == [[1.0, 0.0]]
    model.partial_fit([[5.0], [6.0]], ["b", "b"])
    assert model.predict([[5.0]]).tolist() == ["b"]


def test_refused_parts_change_nothing():
    x, y, weight = rows("categorical", 0)
    model = NaiveBayes("categorical").fit(x, y, weight)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match="unknown category 9"):
        model.partial_fit([[9, 0, 0, 0, 0]], [0])
    with pytest.raises(ValueError, match=r"y must hold the classes .0, 1, 2., found 5"):
        model.partial_fit(x[:1], [5])
    with pytest.raises(ValueError, match="classes must be those of the first call"):
        model.partial_fit(x, y, classes=[0, 1])
    with pytest.raises(ValueError, match="X must have 5 columns, found 4"):
        model.partial_fit(x[:, :4], y)
    with pytest.raises(ValueError, match="missing labels"):
        model.fit(x, [None, *y[1:]])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert len(model.history) == 1
    with pytest.raises(ValueError, match="classes must be given at the first call"):
        NaiveBayes().partial_fit([[0.0]], [0])


# Other models and files --------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [1.0, 0.0])
def test_network_of_bits_agrees(alpha):
    x, y, weight = rows("bernoulli", 14)
    model = NaiveBayes("bernoulli", alpha).fit(x, y, weight)
    network = model.to_bayesian_network()
    assert network.variables == ("class", "x0", "x1", "x2", "x3", "x4")
    assert network.edges == [("class", f"x{j}") for j in range(5)]
    every = np.array(list(itertools.product([-1, 0, 1], repeat=5)))
    evidence = {f"x{j}": every[:, j] for j in range(5)}
    close(network.log_evidence(evidence), model.log_prob(every).numpy(), 1e-12)
    possible = every[(model.log_prob(every) > -math.inf).numpy()]
    evidence = {f"x{j}": possible[:, j] for j in range(5)}
    posterior = network.marginals(evidence, ["class"])["class"]
    close(posterior, model.predict_proba(possible).numpy(), 1e-12)


def test_network_of_states_agrees():
    table, y = frame()
    model = NaiveBayes("categorical").fit(table, y)
    network = model.to_bayesian_network("animal")
    assert network.states["animal"] == ("bird", "cat", "snake")
    assert network.states["size"] == ("S", "M", "L")
    assert network.states["legs"] == range(5)
    evidence = {name: table[name].astype(object).to_numpy() for name in ("colour", "size")}
    evidence["legs"] = table["legs"].to_numpy()
    posterior = network.marginals(evidence, ["animal"])["animal"]
    close(posterior, model.predict_proba(table).numpy(), 1e-12)
    full = np.concatenate([np.zeros((6, 1), dtype=int), coded(table)], axis=1)
    close(network.log_prob(full), model.joint_log_prob(table)[:, 0].numpy(), 1e-12)


def test_network_names_classes():
    model = NaiveBayes("bernoulli").fit([[0], [1]], [3, 7])
    assert model.to_bayesian_network().states["class"] == ("3", "7")
    model = NaiveBayes("bernoulli").fit(pd.DataFrame({"class": [0, 1]}), [0, 1])
    with pytest.raises(ValueError, match="class_name must not be that of a feature"):
        model.to_bayesian_network()
    assert model.to_bayesian_network("y").states["y"] == range(2)


@pytest.mark.parametrize("kind", ["gaussian", "multinomial", "complement"])
def test_other_kinds_are_no_networks(kind):
    with pytest.raises(ValueError, match=f"found kind '{kind}'"):
        model_of(kind).to_bayesian_network()


@pytest.mark.parametrize("kind", KINDS)
def test_file_round_trip(kind, tmp_path):
    x, y, weight = rows(kind, 15)
    options = {
        "gaussian": {"var_smoothing": 1e-3, "fit_prior": False},
        "bernoulli": {"alpha": [1, 2, 3, 4, 5], "binarize": None},
        "multinomial": {"alpha": 0.5, "class_prior": [0.2, 0.3, 0.5]},
        "categorical": {"alpha": 0.5, "min_categories": [7, 4, 4, 4, 5]},
        "complement": {"norm": True},
    }
    labels = np.array(["a", "b", "c"])[y]
    model = NaiveBayes(kind, **options[kind]).fit(x, labels, weight)
    model.save(tmp_path / "model.safetensors")
    copy = NaiveBayes.load(tmp_path / "model.safetensors")
    assert copy.classes == ("a", "b", "c") and copy.config() == model.config()
    assert torch.equal(copy.predict_log_proba(x), model.predict_log_proba(x))
    assert copy.predict(x).tolist() == model.predict(x).tolist()
    for both in (model, copy):
        both.partial_fit(x[:9], labels[:9])
    assert torch.equal(copy.predict_log_proba(x), model.predict_log_proba(x))


@pytest.mark.parametrize("labels", [[3, 5, 3, 5, 3, 7], [True, False] * 3, [0.0, 1.0] * 3])
def test_files_keep_labels_and_columns(labels, tmp_path):
    table, _ = frame()
    model = NaiveBayes("categorical").fit(table, labels)
    model.save(tmp_path / "model.safetensors")
    copy = NaiveBayes.load(tmp_path / "model.safetensors")
    assert copy.classes == model.classes
    assert [type(label) for label in copy.classes] == [type(label) for label in model.classes]
    assert torch.equal(copy.predict_proba(table), model.predict_proba(table))
    assert copy.predict(table).dtype == model.predict(table).dtype
    with pytest.raises(ValueError, match="unknown state 'pink'"):
        copy.predict(table.assign(colour="pink"))


def test_models_that_were_not_fitted(tmp_path):
    model = NaiveBayes("bernoulli")
    calls = [
        lambda: model.predict([[0]]),
        lambda: model.predict_proba([[0]]),
        lambda: model.log_prob([[0]]),
        lambda: model.score([[0]], [0]),
        lambda: model.sample(1),
        lambda: model.classes,
        lambda: model.to_bayesian_network(),
        lambda: model.save(tmp_path / "none.safetensors"),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="not fitted; call fit"):
            call()
    Model.save(model, tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match="holds a NaiveBayes that was not fitted"):
        NaiveBayes.load(tmp_path / "none.safetensors")


# Parameters --------------------------------------------------------------------------------------


def test_parameters_have_their_documented_shapes():
    shapes = {
        "gaussian": {"means": (3, 5), "variances": (3, 5)},
        "bernoulli": {"feature_log_prob": (3, 5, 2)},
        "multinomial": {"feature_log_prob": (3, 5)},
        "categorical": {"feature_log_prob": (3, 20)},
        "complement": {"weights": (3, 5)},
    }
    for kind, expected in shapes.items():
        model = model_of(kind)
        found = {name: tuple(value.shape) for name, value in model.named_parameters()}
        assert found == {"class_log_prior": (3,), **expected}
        assert not any(value.requires_grad for value in model.parameters())
        assert all(value.dtype == torch.float64 for value in model.state_dict().values())
    assert repr(model_of("bernoulli")) == "NaiveBayes('bernoulli', 3 classes, 5 features)"
    assert repr(NaiveBayes()) == "NaiveBayes('gaussian', not fitted)"
    with pytest.raises(AttributeError, match="feature_log_prob_"):
        _ = model_of("gaussian").feature_log_prob_
    with pytest.raises(AttributeError, match="means"):
        _ = model_of("bernoulli").theta_


def test_methods_speak_of_the_numbers_in_the_parameters():
    model = model_of("gaussian")
    with torch.no_grad():
        model.class_log_prior.copy_(torch.tensor([0.5, 0.5, 0.0]).log())
        model.means.zero_()
        model.means[1] += 1
        model.variances.fill_(1.0)
    posterior = model.predict_proba([[1.0] * 5, [0.5] * 5])
    close(posterior[0], torch.tensor([0.0, 2.5, -math.inf]).softmax(0).numpy(), 1e-7)
    close(posterior[1], [0.5, 0.5, 0.0], 1e-15)


@pytest.mark.parametrize("kind", ["gaussian", "bernoulli", "multinomial", "categorical"])
def test_gradients_reach_every_parameter(kind):
    model = model_of(kind).requires_grad_()
    x = rows(kind, 0)[0]
    inputs = tuple(model.parameters())

    def total(*_):
        return model.log_prob(x[:4]).sum()

    assert torch.autograd.gradcheck(total, inputs)
    model.log_prob(x).sum().backward()
    assert all(value.grad is not None and value.grad.isfinite().all() for value in inputs)


def test_gradients_of_hard_zeros_are_finite():
    for kind in ("bernoulli", "multinomial", "categorical"):
        model = NaiveBayes(kind, alpha=0).fit([[0, 1], [1, 1], [1, 0]], [0, 0, 1])
        model.requires_grad_().log_prob([[0, 1], [1, 0]]).sum().backward()
        assert all(value.grad.isfinite().all() for value in model.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_other_devices_and_types(kind, device, dtype):
    x, y, weight = rows(kind, 16)
    expected = NaiveBayes(kind).fit(x, y, weight)
    moved = NaiveBayes(kind).fit(x, y, weight).to(device, dtype)
    there = NaiveBayes(kind).to(device, dtype).fit(torch.from_numpy(x), y, weight)
    tolerance = 1e-10 if dtype == torch.float64 else 1e-3
    for model in (moved, there):
        for value in (model.predict_proba(x), model.predict_log_proba(torch.from_numpy(x))):
            assert value.device.type == device.type and value.dtype == dtype
        if kind != "complement":
            assert model.log_prob(x).dtype == dtype
        found = model.predict_proba(torch.from_numpy(x).to(device))
        close(found, expected.predict_proba(x).numpy(), tolerance)
        assert model.predict(x).device.type == device.type
        assert model.score(x, y) == expected.score(x, y)
        model.partial_fit(x, y, sample_weight=weight)
        assert {value.device.type for value in model.state_dict().values()} == {device.type}
        if kind != "complement":
            draws = model.sample(3, generator=0, **trials(kind))[0]
            assert draws.device.type == device.type


def test_arrays_of_every_kind():
    x, y, weight = rows("multinomial", 17)
    expected = NaiveBayes("multinomial").fit(x, y, weight).predict_proba(x)
    readonly = x.astype(float)
    readonly.setflags(write=False)
    kinds = [x.astype(t) for t in (np.int8, np.uint8, np.uint64, np.float32, ">f8", np.longdouble)]
    kinds += [readonly, x[:, ::-1][:, ::-1], np.asfortranarray(x), x.tolist(), torch.tensor(x)]
    kinds += [x.astype(object), torch.tensor(x).float().requires_grad_()]
    for other in kinds:
        model = NaiveBayes("multinomial").fit(other, y, weight)
        close(model.predict_proba(other), expected.numpy(), 1e-14)
    bits = rows("bernoulli", 17)[0]
    expected = NaiveBayes("bernoulli").fit(bits, y).predict_proba(bits)
    for other in (bits.astype(bool), torch.tensor(bits).bool(), pd.DataFrame(bits.astype(bool))):
        assert torch.equal(NaiveBayes("bernoulli").fit(other, y).predict_proba(other), expected)


# Refusals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (ValueError, "kind must be one of .*found 'poisson'", {"kind": "poisson"}),
        (ValueError, "alpha must not be negative, found -1", {"kind": "bernoulli", "alpha": -1}),
        (ValueError, "alpha must not be negative, found -2", {"alpha": [1, -2]}),
        (ValueError, "alpha must not hold NaN", {"alpha": NAN}),
        (ValueError, "alpha must be one finite number", {"alpha": math.inf}),
        (TypeError, "alpha must hold real numbers", {"alpha": "one"}),
        (ValueError, "alpha must be one number, found", {"kind": "categorical", "alpha": [1, 1]}),
        (ValueError, "var_smoothing must not be negative", {"var_smoothing": -1e-9}),
        (ValueError, "binarize is read by kind 'bernoulli' only", {"binarize": 0.5}),
        (ValueError, "norm is read by kind 'complement' only", {"norm": True}),
        (ValueError, "min_categories is read by kind 'categorical'", {"min_categories": 2}),
        (ValueError, "var_smoothing is read", {"kind": "bernoulli", "var_smoothing": 0.1}),
        (ValueError, "class_prior must sum to one", {"class_prior": [0.5, 0.4]}),
        (ValueError, "class_prior must hold probabilities", {"class_prior": [1.5, -0.5]}),
        (ValueError, "class_prior must be", {"class_prior": [[1.0]]}),
        (ValueError, "at least 1, found 0", {"kind": "categorical", "min_categories": 0}),
        (TypeError, "whole numbers", {"kind": "categorical", "min_categories": [2, 2.5]}),
    ],
)
def test_settings_are_checked(error, message, arguments):
    with pytest.raises(error, match=message):
        NaiveBayes(**arguments)


@pytest.mark.parametrize(
    ("error", "message", "kind", "x", "y", "weight"),
    [
        (
            ValueError,
            "equally many rows, found 2 and 3",
            "gaussian",
            [[0.0], [1]],
            [0, 1, 1],
            None,
        ),
        (
            ValueError,
            "rows and columns, found shape .0, 2",
            "gaussian",
            np.zeros((0, 2)),
            [],
            None,
        ),
        (ValueError, "rows and columns", "bernoulli", np.zeros((2, 0)), [0, 1], None),
        (ValueError, r"shape \(n, features\)", "gaussian", [0.0, 1.0], [0, 1], None),
        (ValueError, "X must be rectangular", "gaussian", [[0.0], [1.0, 2.0]], [0, 1], None),
        (ValueError, "finite, found inf in row 1", "gaussian", [[0.0], [math.inf]], [0, 1], None),
        (ValueError, "rescale the feature", "gaussian", [[0.0], [1e200]], [0, 1], None),
        (TypeError, "must hold numbers, found 'a'", "gaussian", [["a"], ["b"]], [0, 1], None),
        (TypeError, "real numbers", "gaussian", np.zeros((2, 1), complex), [0, 1], None),
        (TypeError, "real numbers", "gaussian", torch.zeros(2, 1).cfloat(), [0, 1], None),
        (TypeError, "to_dense", "multinomial", torch.ones(2, 1).to_sparse(), [0, 1], None),
        (ValueError, "counts from 0, found -1", "multinomial", [[1], [-1]], [0, 1], None),
        (ValueError, "summed out", "multinomial", [[1], [NAN]], [0, 1], None),
        (ValueError, "summed out", "complement", [[1], [NAN]], [0, 1], None),
        (ValueError, "unknown category 1.5", "categorical", [[1], [1.5]], [0, 1], None),
        (ValueError, "unknown category -3", "categorical", [[1.0], [-3.0]], [0, 1], None),
        (
            ValueError,
            "needs tables of .* codes up to",
            "categorical",
            [[0], [10**14]],
            [0, 1],
            None,
        ),
        (ValueError, "one column of labels", "gaussian", [[0.0], [1]], [[0], [1]], None),
        (
            ValueError,
            "nan in row 1, which is missing",
            "gaussian",
            [[0.0], [1]],
            np.array([0, NAN]),
            None,
        ),
        (
            ValueError,
            "missing labels, found nan in row 1",
            "gaussian",
            [[0.0], [1]],
            [0, NAN],
            None,
        ),
        (ValueError, "missing labels, found None", "gaussian", [[0.0], [1]], ["a", None], None),
        (ValueError, "missing labels", "gaussian", [[0.0], [1]], pd.Series(["a", None]), None),
        (ValueError, "0.5 in row 1, which is no whole", "gaussian", [[0.0], [1]], [0, 0.5], None),
        (TypeError, "labels of one kind", "gaussian", [[0.0], [1]], ["a", 1], None),
        (TypeError, "numbers or strings", "gaussian", [[0.0], [1]], np.array([1j, 2j]), None),
        (ValueError, "not negative, found -1 in row 1", "bernoulli", [[0], [1]], [0, 1], [1, -1]),
        (ValueError, "not negative, found nan", "bernoulli", [[0], [1]], [0, 1], [1, NAN]),
        (ValueError, "one weight per row", "bernoulli", [[0], [1]], [0, 1], [1.0]),
        (TypeError, "must hold numbers", "bernoulli", [[0], [1]], [0, 1], ["a", "b"]),
        (ValueError, "found zero in all", "bernoulli", [[0], [1]], [0, 1], [0, 0]),
    ],
)
def test_data_are_checked(error, message, kind, x, y, weight):
    model = NaiveBayes(kind)
    with pytest.raises(error, match=message):
        model.fit(x, y, weight)
    with pytest.raises(ValueError, match="not fitted"):
        model.predict(x)


def test_lengths_of_settings_are_checked_when_the_data_come():
    with pytest.raises(ValueError, match="alpha must have one entry per feature, 1, found 2"):
        NaiveBayes("bernoulli", [1, 1]).fit([[0], [1]], [0, 1])
    with pytest.raises(ValueError, match="min_categories must have one entry per feature"):
        NaiveBayes("categorical", min_categories=[2, 2]).fit([[0], [1]], [0, 1])
    with pytest.raises(ValueError, match="class_prior must have one entry per class, 2, found 3"):
        NaiveBayes("bernoulli", class_prior=[0.5, 0.25, 0.25]).fit([[0], [1]], [0, 1])
    with pytest.raises(ValueError, match=r"0, 1 or -1 .missing. where binarize is None, found 3"):
        NaiveBayes("bernoulli", binarize=None).fit([[0], [3]], [0, 1])


def test_sparse_matrices_are_refused_with_advice():
    from scipy.sparse import csr_matrix

    with pytest.raises(TypeError, match="toarray"):
        NaiveBayes("multinomial").fit(csr_matrix([[1.0], [0.0]]), [0, 1])


def test_predictions_are_checked():
    model = NaiveBayes("gaussian").fit(*rows("gaussian", 0)[:2])
    with pytest.raises(ValueError, match="X must have 5 columns, found 4"):
        model.predict(np.zeros((1, 4)))
    with pytest.raises(ValueError, match="equally many rows, found 1 and 2"):
        model.score(np.zeros((1, 5)), [0, 1])
    with pytest.raises(ValueError, match="row of positive weight"):
        model.score(np.zeros((1, 5)), [0], [0.0])
    with pytest.raises(TypeError, match="y must hold labels like those of the classes"):
        model.score(np.zeros((1, 5)), ["a"])
    assert model.predict(np.zeros((0, 5))).shape == (0,)
    assert model.predict_proba(np.zeros((0, 5))).shape == (0, 3)


def test_what_has_no_probability():
    with pytest.raises(ValueError, match="scores instead of densities"):
        model_of("complement").log_prob([[1, 0, 0, 0, 0]])
    model = model_of("multinomial")
    with pytest.raises(ValueError, match=r"must hold whole counts .* found 0.5 in row 0"):
        model.joint_log_prob([[0.5, 0, 0, 0, 0]])
    theirs = peer.MultinomialNB().fit(*rows("multinomial", 0)[:2], rows("multinomial", 0)[2])
    shares = np.array([[0.5, 0.25, 0, 0, 3.5]])
    close(model.predict_log_proba(shares), theirs.predict_log_proba(shares))
