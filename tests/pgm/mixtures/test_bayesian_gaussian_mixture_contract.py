"""The Bayesian mixture among scikit-learn's tools, in files, and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.mixture import BayesianGaussianMixture as TheirMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pgm.bayesian_gaussian_mixture import BayesianGaussianMixture
from pgm.gaussian_mixture import GaussianMixture
from pgm.mixtures.components import COVARIANCE_TYPES


def rows(n=60, d=2, seed=0):
    rng = np.random.default_rng(seed)
    return 5 * (np.arange(n) % 2)[:, None] + rng.normal(size=(n, d))


def fitted(x=None, covariance_type="full", k=3, **options):
    settings = {"max_iter": 1000, "random_state": 0, **options}
    model = BayesianGaussianMixture(k, covariance_type, **settings)
    return model.fit(rows() if x is None else x)


# scikit-learn's tools --------------------------------------------------------------------------


def test_shared_arguments_have_their_names_and_defaults():
    ours, theirs = BayesianGaussianMixture().get_params(), TheirMixture().get_params()
    theirs["init"] = theirs.pop("init_params")
    shared = theirs.keys() & ours.keys()
    assert theirs.keys() - shared == {"verbose", "verbose_interval", "warm_start"}
    assert ours.keys() - shared == {"regularization"}
    assert ours.pop("reg_covar") is None
    assert all([ours[name] == theirs[name] for name in shared - {"reg_covar"}])


def test_clone_keeps_the_arguments_and_forgets_the_fit():
    prior = np.array([1.0, 2.0])
    model = fitted(mean_prior=prior, tol=1e-2)
    copy = clone(model)
    assert copy is not model
    assert copy.n_features == 0
    ours, theirs = model.get_params(), copy.get_params()
    assert np.array_equal(ours.pop("mean_prior"), theirs.pop("mean_prior"))
    assert ours == theirs


def test_set_params_checks_and_forgets():
    model = fitted()
    assert model.set_params(n_components=2, tol=1e-2) is model
    assert model.get_params()["n_components"] == 2
    assert model.n_features == 0
    with pytest.raises(ValueError, match="there is no argument 'components'"):
        model.set_params(components=3)
    with pytest.raises(ValueError, match="n_init must be at least 1"):
        model.set_params(n_init=0)
    assert model.get_params()["n_init"] == 1


def test_pipelines_and_grid_searches():
    x = rows(80)
    settings = {"max_iter": 1000, "random_state": 0, "tol": 1e-2}
    line = make_pipeline(StandardScaler(), BayesianGaussianMixture(2, **settings)).fit(x)
    assert line.predict(x).shape == (80,)
    assert line.score(x).isfinite()
    search = GridSearchCV(
        BayesianGaussianMixture(**settings), {"n_components": [1, 2]}, cv=2, error_score="raise"
    )
    search.fit(np.random.default_rng(0).permutation(x))
    assert search.best_params_ == {"n_components": 2}
    assert search.best_estimator_.converged_
    assert search.predict(x).shape == (80,)


def test_fit_predict():
    x = rows()
    labels = BayesianGaussianMixture(2, random_state=0, max_iter=1000).fit_predict(x)
    assert len(set(zip(labels.tolist(), (np.arange(60) % 2).tolist(), strict=True))) == 2


# Files and parameters --------------------------------------------------------------------------


@pytest.mark.parametrize("weights", ["dirichlet_process", "dirichlet_distribution"])
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_a_file_holds_the_whole_model(covariance_type, weights, tmp_path):
    x = rows()
    model = fitted(
        x,
        covariance_type,
        weight_concentration_prior_type=weights,
        mean_prior=torch.tensor([1.0, 2.0]),
        max_iter=np.int64(2000),
    )
    model.save(tmp_path / "mixture.safetensors")
    copy = BayesianGaussianMixture.load(tmp_path / "mixture.safetensors")
    own, kept = model.state_dict(), copy.state_dict()
    assert own.keys() == kept.keys()
    assert all([torch.equal(own[name], kept[name]) for name in own])
    assert copy.converged_ is model.converged_ is True
    assert (copy.n_iter_, copy.lower_bound_) == (model.n_iter_, model.lower_bound_)
    assert torch.equal(copy.predictive_log_prob(x), model.predictive_log_prob(x))
    assert torch.equal(copy.score_samples(x), model.score_samples(x))
    ours, theirs = model.get_params(), copy.get_params()
    assert ours.pop("mean_prior").tolist() == theirs.pop("mean_prior")
    assert ours == theirs


def test_every_method_speaks_of_values_that_a_user_sets():
    x = rows()
    model = fitted(x, k=2)
    before = model.log_prob(x), model.predictive_log_prob(x), model.weights
    with torch.no_grad():
        model.means += 1
        model.weight_concentration[0] = torch.tensor([1.0, 50.0])
    assert not torch.isclose(before[0], model.log_prob(x)).any()
    assert not torch.isclose(before[1], model.predictive_log_prob(x)).any()
    assert not torch.isclose(before[2], model.weights).any()
    sticks = model.weight_concentration[0] / model.weight_concentration.sum(0)
    wanted = torch.stack([sticks[0], (1 - sticks[0]) * sticks[1]])
    torch.testing.assert_close(model.weights, wanted / wanted.sum())


def test_single_precision():
    x = rows()
    model = fitted(x).float()
    assert model.predictive_log_prob(x).dtype == torch.float32
    assert model.predict(x).dtype == torch.int64
    assert model.fit(x).means.dtype == torch.float64


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_draws_come_from_the_expected_parameters(covariance_type):
    """Means of draws within six standard errors (false alarm below 1e-7)."""
    model = fitted(covariance_type=covariance_type, k=2)
    mixture = model.to_gaussian_mixture()
    assert isinstance(mixture, GaussianMixture)
    assert torch.equal(mixture.weights, model.weights)
    x, labels = model.sample_labelled(40_000, generator=1)
    assert torch.equal(model.sample(40_000, generator=1), x)
    for k in range(2):
        own = x[labels == k]
        errors = own.std(0) / math.sqrt(len(own))
        assert ((own.mean(0) - model.means[k]).abs() < 6 * errors).all()
    share = (labels == 0).double().mean().item()
    expected = model.weights[0].item()
    assert abs(share - expected) < 6 * math.sqrt(expected * (1 - expected) / 40_000)
    assert model.n_parameters == mixture.n_parameters
    grid = torch.cartesian_prod(*[torch.linspace(-15, 20, 351, dtype=torch.float64)] * 2)
    mass = model.distribution().log_prob(grid).exp().sum() * 0.1**2
    assert mass.item() == pytest.approx(1, abs=1e-6)


# Refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_components": 0}, ValueError, "n_components must be at least 1, found 0"),
        ({"n_components": 2.5}, TypeError, "n_components must be a whole number"),
        ({"covariance_type": "round"}, ValueError, "covariance_type must be one of"),
        ({"init": "best"}, ValueError, "init must be one of"),
        ({"weight_concentration_prior_type": "beta"}, ValueError, "dirichlet_process"),
        ({"weight_concentration_prior": 0.0}, ValueError, "must be positive, found 0"),
        ({"weight_concentration_prior": -1.0}, ValueError, "weight_concentration_prior must be"),
        ({"weight_concentration_prior": "much"}, TypeError, "weight_concentration_prior must be"),
        ({"mean_precision_prior": math.nan}, ValueError, "mean_precision_prior must be finite"),
        ({"degrees_of_freedom_prior": 0}, ValueError, "degrees_of_freedom_prior must be positive"),
        ({"tol": -1.0}, ValueError, "tol must be finite and not negative"),
        ({"reg_covar": -1.0}, ValueError, "reg_covar must be"),
        ({"regularization": math.inf}, ValueError, "regularization must be finite"),
        ({"max_iter": 0}, ValueError, "max_iter must be at least 1"),
    ],
)
def test_refuses_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        BayesianGaussianMixture(**arguments)


@pytest.mark.parametrize(
    ("covariance_type", "arguments", "message"),
    [
        ("full", {"degrees_of_freedom_prior": 1.0}, "must be above 1 for 2 features, found 1.0"),
        ("full", {"mean_prior": [0.0]}, r"mean_prior must have shape \(2,\), found \(1,\)"),
        ("full", {"mean_prior": [0.0, math.nan]}, "mean_prior must be finite"),
        ("full", {"covariance_prior": [1.0, 1.0]}, "covariance_prior must have shape"),
        ("tied", {"covariance_prior": [[1.0, 2.0], [2.0, 1.0]]}, "found the eigenvalue -1"),
        ("tied", {"covariance_prior": [[1.0, 2.0], [0.0, 9.0]]}, "must be symmetric"),
        ("diag", {"covariance_prior": [1.0, 0.0]}, "covariance_prior must be positive, found 0"),
        ("spherical", {"covariance_prior": [1.0]}, r"must have shape \(\)"),
        ("spherical", {"covariance_prior": -1.0}, "covariance_prior must be positive, found -1"),
    ],
)
def test_refuses_priors_that_do_not_fit_the_rows(covariance_type, arguments, message):
    model = fitted(covariance_type=covariance_type)
    means = model.means.clone()
    model.settings = BayesianGaussianMixture(2, covariance_type, **arguments).settings
    with pytest.raises(ValueError, match=message):
        model.fit(rows())
    assert torch.equal(model.means, means)


@pytest.mark.parametrize(
    ("x", "weight", "error", "message"),
    [
        (np.zeros((5, 0)), None, ValueError, "X must be"),
        (np.zeros(5), None, ValueError, r"X must be \(rows, features\)"),
        (np.eye(2), None, ValueError, "at least 3 rows for n_components=3, found 2"),
        (np.ones((5, 2)), None, ValueError, "X must vary"),
        ([["a"], ["b"]], None, TypeError, "X must hold numbers"),
        (np.full((5, 2), np.inf), None, ValueError, "X must be finite"),
        (np.eye(5), -np.ones(5), ValueError, "sample_weight must be finite and not negative"),
        (np.eye(5), np.ones(4), ValueError, "sample_weight must have shape"),
    ],
)
def test_refuses_rows(x, weight, error, message):
    with pytest.raises(error, match=message):
        BayesianGaussianMixture(3).fit(x, sample_weight=weight)


def test_refuses_what_does_not_fit_in_memory():
    with pytest.raises(ValueError, match=r"n_init=1000000000000 .* are free"):
        BayesianGaussianMixture(3, n_init=10**12).fit(rows())


def test_refuses_before_a_fit_and_other_widths():
    for method in ("predict", "log_prob", "predictive_log_prob", "score"):
        with pytest.raises(ValueError, match="call fit first"):
            getattr(BayesianGaussianMixture(2), method)(rows())
        with pytest.raises(ValueError, match="X must have 2 features, found 3"):
            getattr(fitted(), method)(rows(d=3))
    with pytest.raises(ValueError, match="call fit first"):
        BayesianGaussianMixture(2).to_gaussian_mixture()
