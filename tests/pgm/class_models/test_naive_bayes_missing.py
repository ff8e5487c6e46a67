"""Naive Bayes: missing entries are summed or integrated out."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import naive_bayes as peer

from pgm.naive_bayes import NaiveBayes
from tests.pgm.class_models.peers import PEERS

NAN = float("nan")


@pytest.mark.parametrize("kind", ["gaussian", "bernoulli", "categorical"])
def test_missing_cells_are_not_counted(rows, close, kind):
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
def test_missing_entries_are_summed_out(model_of, close, kind):
    """A row with gaps has the probability of all its completions together."""
    model = model_of(kind)
    n_states = 2 if kind == "bernoulli" else 4
    row = np.array([[1.0, NAN, 0.0, NAN, 1.0]])
    full = np.repeat(row, n_states**2, axis=0)
    full[:, [1, 3]] = list(itertools.product(range(n_states), repeat=2))
    close(model.joint_log_prob(row)[0], model.joint_log_prob(full).logsumexp(0).numpy(), 1e-13)
    zero_instead = np.nan_to_num(row)
    assert abs(model.log_prob(row) - model.log_prob(zero_instead)).item() > 0.1


def test_missing_numbers_are_integrated_out(model_of, close):
    model = model_of("gaussian")
    row = np.array([[1.0, NAN, -3.0, 0.5, 2.0]])
    spread = model.variances.sqrt()[:, 1].max().item()
    grid = np.linspace(-12 * spread, 12 * spread, 4001) + model.means[:, 1].mean().item()
    full = np.repeat(row, len(grid), axis=0)
    full[:, 1] = grid
    density = np.trapezoid(model.joint_log_prob(full).exp().numpy(), grid, axis=0)
    close(model.joint_log_prob(row)[0].exp(), density, 1e-9)


def test_a_row_without_any_entry_has_the_prior(model_of, close):
    for kind in ("gaussian", "bernoulli", "categorical"):
        model = model_of(kind)
        close(model.predict_log_proba([[NAN] * 5])[0], model.class_log_prior.numpy(), 1e-15)


def test_every_spelling_of_missing(rows):
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


def test_minus_one_is_missing_in_codes_and_a_number_in_reals(close):
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
