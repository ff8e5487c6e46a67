"""Naive Bayes learned in parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pgm.naive_bayes import NaiveBayes

NAN = float("nan")


KINDS = ["gaussian", "bernoulli", "multinomial", "categorical", "complement"]


@pytest.mark.parametrize("kind", KINDS)
def test_parts_equal_the_whole(rows, close, kind):
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


def test_parts_with_gaps_equal_the_whole(rows, close):
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


def test_refused_parts_change_nothing(rows):
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
