"""Naive Bayes on DataFrames: labels, columns and categories."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import torch

from pgm.naive_bayes import NaiveBayes


def test_labels_of_a_frame_are_kept(frame, coded):
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


def test_columns_and_categories_are_checked(frame, coded):
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


def test_frames_of_numbers(rows):
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
