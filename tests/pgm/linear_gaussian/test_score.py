"""Scores of Gaussian families: residuals, penalties, equivalence, fitted networks, refusals."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgm.linear_gaussian.score import GaussianScore
from pgm.linear_gaussian_network import LinearGaussianNetwork


def rows(seed: int, n: int = 40, size: int = 4) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = np.eye(size) + np.tril(rng.normal(size=(size, size)), -1)
    return 3 + rng.normal(size=(n, size)) @ mixing


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_a_family_is_its_least_squares(seed):
    x = rows(seed)
    scores = {kind: GaussianScore(x, kind) for kind in ("bic", "aic", "loglik")}
    penalty = {"bic": math.log(40) / 2, "aic": 1.0, "loglik": 0.0}
    for child, parents in itertools.product(range(4), range(16)):
        if parents >> child & 1:
            continue
        above = [v for v in range(4) if parents >> v & 1]
        design = np.column_stack([np.ones(40), x[:, above]])
        residual = x[:, child] - design @ np.linalg.lstsq(design, x[:, child], rcond=None)[0]
        variance = (residual**2).mean()
        density = -0.5 * (np.log(2 * np.pi * variance) + residual**2 / variance).sum()
        for kind, score in scores.items():
            expected = density - penalty[kind] * (len(above) + 2)
            assert score.local(child, parents) == pytest.approx(expected, rel=1e-9)


def test_scores_add_up_to_the_likelihood_of_the_fitted_network():
    x = rows(0)
    edges = [("a", "b"), ("b", "c"), ("a", "c"), ("c", "d")]
    network = LinearGaussianNetwork(edges, ["a", "b", "c", "d"]).fit(x)
    families = [(0, 0), (1, 0b1), (2, 0b11), (3, 0b100)]
    likelihood = GaussianScore(x, "loglik")
    total = sum([likelihood.local(*family) for family in families])
    assert total == pytest.approx(network.log_prob(x).sum().item(), rel=1e-12)
    aic = GaussianScore(torch.from_numpy(x), "aic")
    total -= network.n_parameters
    assert sum([aic.local(*family) for family in families]) == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("kind", ["bic", "aic", "loglik"])
def test_equivalent_graphs_score_alike_and_others_do_not(kind):
    score = GaussianScore(rows(1), kind)
    chain = score.local(0, 0) + score.local(1, 0b001) + score.local(2, 0b010)
    fork = score.local(1, 0) + score.local(0, 0b010) + score.local(2, 0b010)
    collider = score.local(0, 0) + score.local(2, 0) + score.local(1, 0b101)
    assert chain == pytest.approx(fork, rel=1e-12)
    assert abs(chain - collider) > 1e-3


def test_the_score_knows_its_data():
    frame = pd.DataFrame(rows(2), columns=list("wxyz"))
    score = GaussianScore(frame)
    assert (score.n_variables, score.n_rows) == (4, 40)
    assert score.local(2, 0b1001) == GaussianScore(frame.to_numpy()).local(2, 0b1001)
    moved = GaussianScore(frame * 1e-3 + 1e4)
    shift = 40 * math.log(1e3)
    assert moved.local(2, 0b1001) == pytest.approx(score.local(2, 0b1001) + shift, rel=1e-6)


def test_a_family_is_computed_once(monkeypatch):
    score = GaussianScore(rows(3))
    first = score.local(1, 0b101)
    monkeypatch.setitem(GaussianScore.local.__globals__, "regress", None)
    assert score.local(1, 0b101) == first


def test_collinear_parents_tell_no_more_than_one_of_them():
    x = rows(4)
    x[:, 1] = 2 * x[:, 0] - 1
    score = GaussianScore(x, "loglik")
    assert score.local(2, 0b0011) == pytest.approx(score.local(2, 0b0001), rel=1e-12)
    with pytest.raises(ValueError, match="column 1 is determined by column 0"):
        score.local(1, 0b0001)
    x[:, 3] = 0.1
    with pytest.raises(ValueError, match="column 3 is constant"):
        GaussianScore(x).local(3, 0)
    frame = pd.DataFrame(x, columns=list("wxyz"))
    with pytest.raises(ValueError, match="x is determined by w, y"):
        GaussianScore(frame).local(1, 0b0101)


def test_families_with_more_coefficients_than_rows_are_never_chosen():
    score = GaussianScore(rows(5, n=4, size=6))
    assert math.isfinite(score.local(0, 0b000110))
    assert score.local(0, 0b001110) == -math.inf


@pytest.mark.parametrize(
    ("data", "kind", "error", "named"),
    [
        (rows(0), "bdeu", ValueError, "kind"),
        (rows(0)[:1], "bic", ValueError, "data"),
        (rows(0)[0], "bic", ValueError, "data"),
        (1e200 * rows(0), "bic", ValueError, "'column 0' .*rescale"),
        (1e-200 * rows(0), "bic", ValueError, "'column 0' .*rescale"),
        (np.array([[0.0, np.nan], [1, 2]]), "bic", ValueError, "row 0, column 1"),
        (np.array([[0.0, np.inf], [1, 2]]), "bic", ValueError, "finite"),
        ([["a", "b"], ["c", "d"]], "bic", TypeError, "data"),
    ],
)
def test_bad_data_are_named(data, kind, error, named):
    with pytest.raises(error, match=named):
        GaussianScore(data, kind)


@pytest.mark.parametrize("family", [(4, 0), (-1, 0), (0, 0b1), (2, 0b100), (0, 1 << 4), (0, -1)])
def test_bad_families_are_named(family):
    with pytest.raises(ValueError, match="child"):
        GaussianScore(rows(0)).local(*family)
