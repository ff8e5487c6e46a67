"""What a Gaussian mixture refuses, and how it says so."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from pgm.bayesian_gaussian_mixture import BayesianGaussianMixture
from pgm.gaussian_mixture import GaussianMixture

X = np.random.default_rng(0).normal(size=(20, 3))


def broken(value, row=4, column=1):
    x = X.copy()
    x[row, column] = value
    return x


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (broken(np.inf), "X must be finite .NaN where missing., found inf in row 4, column 1"),
        (broken(-np.inf), "found -inf in row 4"),
        (np.where(np.arange(20)[:, None] == 3, np.nan, X), "an entry in every row, found row 3"),
        (np.where(np.arange(3) == 2, np.nan, X), "an entry in every column, found column 2"),
        (X[:1], "at least 2 rows for n_components=2, found 1"),
        (X[:, 0], "X must be .rows, features., found shape .20,."),
        (X[:, :0], "found shape .20, 0."),
        (np.ones((5, 2)), "X must vary in at least one column"),
        (broken(-1e155), "X must be within 1e.150, found -1e.155 in row 4, column 1; rescale"),
    ],
)
def test_rows_that_are_none_are_refused(x, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(2).fit(x)


def test_a_bayesian_mixture_refuses_numbers_without_a_square():
    with pytest.raises(ValueError, match=r"within 1e\+150, found 1e\+160 in row 4, column 1"):
        BayesianGaussianMixture(2).fit(broken(1e160))


def test_criteria_of_no_rows():
    model = GaussianMixture(2).fit(X, generator=0)
    with pytest.raises(ValueError, match="x has no rows"):
        model.bic(X[:0])
    assert model.aic(X[:0]) == 2 * model.n_parameters


def test_more_components_than_rows_are_refused():
    with pytest.raises(ValueError, match="at least 30 rows for n_components=30, found 20"):
        GaussianMixture(30).fit(X)


@pytest.mark.parametrize(
    "x", [["a", "b"], np.array([["a"], ["b"]]), 1j * X, torch.ones(3, 3) * 1j]
)
def test_what_are_no_numbers_is_refused(x):
    with pytest.raises(TypeError, match="X must hold"):
        GaussianMixture(2).fit(x)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"covariance_type": "round"}, "covariance_type must be one of .*found 'round'"),
        ({"init": "k-means"}, "init must be one of"),
        ({"n_components": 0}, "n_components must be at least 1"),
        ({"max_iter": 0}, "max_iter must be at least 1"),
        ({"n_init": 0}, "n_init must be at least 1"),
        ({"tol": -1.0}, "tol must be finite and not negative"),
        ({"tol": np.nan}, "tol must be finite"),
        ({"regularization": -1e-6}, "regularization must be finite and not negative"),
        ({"reg_covar": -1e-6}, "reg_covar must be finite and not negative"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(**arguments)
    if "covariance_type" not in arguments:
        with pytest.raises(ValueError, match=message):
            GaussianMixture().set_params(**arguments)


@pytest.mark.parametrize("arguments", [{"tol": "small"}, {"n_components": 1.5}])
def test_arguments_of_another_kind_are_refused(arguments):
    with pytest.raises(TypeError):
        GaussianMixture(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights_init": [0.5, 0.6]}, "weights_init must be a distribution"),
        ({"weights_init": [1.0]}, "weights_init must have shape .2,., found .1,."),
        ({"means_init": [[0.0, 0.0]]}, "means_init must have shape .2, 3."),
        ({"means_init": np.full((2, 3), np.nan)}, "means_init must be finite"),
        ({"precisions_init": np.zeros((2, 3, 3))}, "positive definite, found the eigenvalue 0"),
        ({"precisions_init": -np.tile(np.eye(3), (2, 1, 1))}, "found the eigenvalue -1"),
        ({"precisions_init": np.tile(np.triu(np.ones((3, 3))), (2, 1, 1))}, "symmetric"),
        ({"covariance_type": "diag", "precisions_init": np.zeros((2, 3))}, "must be positive"),
    ],
)
def test_first_parameters_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(2, **arguments).fit(X)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.full(20, -1.0), "sample_weight"),
        (np.zeros(20), "sample_weight|rows"),
        (np.ones(3), "sample_weight"),
        (np.full(20, np.nan), "sample_weight"),
    ],
)
def test_weights_that_are_none_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(2).fit(X, sample_weight=weights)


def test_parameters_that_are_no_mixture_are_refused():
    make = GaussianMixture.from_parameters
    with pytest.raises(ValueError, match="weights"):
        make([0.4, 0.4], np.zeros((2, 3)), np.ones((2, 3)), "diag")
    with pytest.raises(ValueError, match=r"means must be \(2, features\)"):
        make([0.5, 0.5], np.zeros((3, 3)), np.ones((2, 3)), "diag")
    with pytest.raises(ValueError, match=r"covariances must have shape \(2, 3\)"):
        make([0.5, 0.5], np.zeros((2, 3)), np.ones(2), "diag")
    with pytest.raises(ValueError, match="covariances must be positive"):
        make([0.5, 0.5], np.zeros((2, 3)), np.zeros((2, 3)), "diag")


def test_a_mixture_without_parameters_says_so():
    with pytest.raises(ValueError, match="no parameters yet; call fit first"):
        GaussianMixture(2).log_prob(X)
    model = GaussianMixture(2, random_state=0).fit(X)
    with pytest.raises(ValueError, match="X must have 3 features, found 2"):
        model.predict(X[:, :2])


def test_columns_are_checked():
    model = GaussianMixture(2, random_state=0).fit(X)
    for columns in ([], [0, 0], [3], [-1]):
        with pytest.raises(ValueError, match="columns must be"):
            model.marginal(columns)
    with pytest.raises(ValueError, match="given must leave a column"):
        model.conditional({0: 0.0, 1: 0.0, 2: 0.0})
    with pytest.raises(ValueError, match="given must be finite"):
        model.conditional({0: np.nan})
    assert model.conditional({0: 1e100}).weights.sum().item() == pytest.approx(1.0)
    with pytest.raises(
        ValueError, match=r"given must be nearer to a component, found \[1e\+200\]"
    ):
        model.conditional({0: 1e200})
    with pytest.raises(ValueError, match="criterion must be one of bic, aic"):
        GaussianMixture.select(X, [1], ["full"], criterion="hic")
    with pytest.raises(ValueError, match="at least one of each"):
        GaussianMixture.select(X, [])


@pytest.mark.filterwarnings("ignore::pgm.gaussian_mixture.CollapsedComponentWarning")
def test_tables_and_lists_are_rows():
    table = pd.DataFrame(X, columns=list("abc"))
    table.loc[3, "b"] = None
    gaps = broken(np.nan, 3, 1)
    fits = [
        GaussianMixture(2, random_state=0).fit(x)
        for x in (table, gaps, gaps.tolist(), torch.from_numpy(gaps))
    ]
    for fit in fits[1:]:
        torch.testing.assert_close(fit.means_, fits[0].means_)
    assert fits[0].log_prob(table).shape == (20,)
    GaussianMixture(2, random_state=0).fit(np.arange(40).reshape(20, 2) % 7)


def test_a_refused_fit_leaves_the_model_as_it_was():
    model = GaussianMixture(2, random_state=0).fit(X)
    before = model.means_.clone()
    with pytest.raises(ValueError, match="finite"):
        model.fit(broken(np.inf))
    assert torch.equal(model.means_, before)
