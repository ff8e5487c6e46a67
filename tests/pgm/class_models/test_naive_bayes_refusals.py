"""Naive Bayes refuses bad settings, data and questions."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import naive_bayes as peer

from pgm.naive_bayes import NaiveBayes

NAN = float("nan")


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
            "tables for X, .* codes up to",
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
        (TypeError, "must hold real numbers", "bernoulli", [[0], [1]], [0, 1], ["a", "b"]),
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


def test_predictions_are_checked(rows):
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


def test_what_has_no_probability(rows, model_of, close):
    with pytest.raises(ValueError, match="scores instead of densities"):
        model_of("complement").log_prob([[1, 0, 0, 0, 0]])
    model = model_of("multinomial")
    with pytest.raises(ValueError, match=r"must hold whole counts .* found 0.5 in row 0"):
        model.joint_log_prob([[0.5, 0, 0, 0, 0]])
    theirs = peer.MultinomialNB().fit(*rows("multinomial", 0)[:2], rows("multinomial", 0)[2])
    shares = np.array([[0.5, 0.25, 0, 0, 3.5]])
    close(model.predict_log_proba(shares), theirs.predict_log_proba(shares))
