"""Naive Bayes: classes without weight, labels of every kind, the score."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import naive_bayes as peer

from pgm.naive_bayes import NaiveBayes

KINDS = ["gaussian", "bernoulli", "multinomial", "categorical", "complement"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_without_weight_is_impossible(rows, close, kind):
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
def test_a_class_without_weight_but_with_a_prior(rows, close, options):
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


def test_one_class_is_certain(rows, close):
    for kind in KINDS:
        x = rows(kind, 0)[0]
        model = NaiveBayes(kind).fit(x, ["only"] * len(x))
        assert (model.predict_proba(x) == 1).all()
        close(model.class_log_prior, [0.0], 0)


def test_score_counts_unseen_labels_as_errors_and_weighs_rows():
    model = NaiveBayes("bernoulli", 0.1).fit([[0], [1]], [0, 1])
    assert model.score([[0], [1], [1]], [0, 1, 9]) == pytest.approx(2 / 3)
    assert model.score([[0], [1], [1]], [0, 1, 9], [1.0, 0.0, 3.0]) == pytest.approx(1 / 4)


def test_labels_beyond_64_bits_with_a_sign_are_refused():
    with pytest.raises(ValueError, match=f"y must fit 64 bits with a sign, found label {2**63}"):
        NaiveBayes().fit([[0.0], [1.0]], np.array([1, 2**63], dtype=np.uint64))
    small = np.array([1, 2**63 - 1], dtype=np.uint64)
    assert NaiveBayes().fit([[0.0], [1.0]], small).classes == (1, 2**63 - 1)


@pytest.mark.parametrize("labels", [[0, 1], ["ham", "spam"]])
def test_no_labels_of_no_rows_are_of_no_kind(labels):
    model = NaiveBayes().fit([[0.0], [1.0]], labels)
    with pytest.raises(ValueError, match="a row of positive weight to score, found none"):
        model.score(np.zeros((0, 1)), [])
