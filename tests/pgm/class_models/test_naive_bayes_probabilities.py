"""Naive Bayes: probabilities that sum to one, and exact zeros."""

from __future__ import annotations

import itertools
import math
import re

import numpy as np
import pytest
from scipy.stats import norm

from pgm.naive_bayes import NaiveBayes
from tests.pgm.class_models.peers import PEERS

NAN = float("nan")


# Laws --------------------------------------------------------------------------------------------


def count_vectors(n_trials: int, d: int) -> list[tuple[int, ...]]:
    """All vectors of d counts with a given sum."""
    every = itertools.product(range(n_trials + 1), repeat=d)
    return [counts for counts in every if sum(counts) == n_trials]


@pytest.mark.parametrize("kind", ["bernoulli", "categorical", "multinomial"])
def test_probabilities_of_all_rows_sum_to_one(model_of, close, kind):
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


def test_gaussian_density(rows, close):
    x, y, weight = rows("gaussian", 4)
    model = NaiveBayes("gaussian", class_prior=[0.5, 0.25, 0.25]).fit(x, y, weight)
    spread = model.variances.sqrt().numpy()
    expected = sum(
        p * norm.pdf(x, model.means.numpy()[k], spread[k]).prod(1)
        for k, p in enumerate([0.5, 0.25, 0.25])
    )
    close(model.log_prob(x), np.log(expected), 1e-12)
    close(model.joint_log_prob(x), model.predict_joint_log_proba(x).numpy(), 0)


def test_categorical_likelihood_one_cell_at_a_time(rows, model_of):
    model = model_of("categorical", alpha=0.3)
    x, y, weight = rows("categorical", 0)
    for i, k in ((0, 0), (7, 2)):
        total = math.log(weight[y == k].sum() / weight.sum())
        for j, state in enumerate(x[i]):
            share = weight[(y == k) & (x[:, j] == state)].sum() + 0.3
            total += math.log(share / (weight[y == k].sum() + 4 * 0.3))
        assert model.joint_log_prob(x[i : i + 1])[0, k].item() == pytest.approx(total, rel=1e-13)


@pytest.mark.parametrize("kind", ["gaussian", "bernoulli", "categorical"])
def test_more_rows_than_one_block(rows, close, kind):
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
def test_zero_alpha_is_the_limit_of_small_alpha(close, kind):
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


def test_complement_with_features_of_one_class_alone(close):
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
