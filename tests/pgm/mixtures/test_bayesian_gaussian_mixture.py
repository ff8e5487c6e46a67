"""The Bayesian mixture as a whole: scikit-learn's optimum, bound, missing entries, densities."""

from __future__ import annotations

import itertools
import math
import types

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from sklearn.mixture import BayesianGaussianMixture as TheirMixture

from pgm.bayesian_gaussian_mixture import BayesianGaussianMixture
from pgm.mixtures import variational_search
from pgm.mixtures.components import COVARIANCE_TYPES
from pgm.mixtures.normal_wishart import NormalWishart
from pgm.mixtures.predictive import student_log_prob
from pgm.mixtures.variational import Posterior, VariationalModel

WEIGHT_LAW_NAMES = ("dirichlet_process", "dirichlet_distribution")
ALL_KINDS = [(c, w) for c in COVARIANCE_TYPES for w in WEIGHT_LAW_NAMES]
PLACES = np.array([[0.0, 0.0, 1.0], [6.0, 5.0, 0.0], [-6.0, 5.0, -2.0]])


def clusters(n, d=2, seed=0):
    """Rows around three places, and which."""
    rng = np.random.default_rng(seed)
    labels = np.array([0, 1, 2, 0, 1, 0])[np.arange(n) % 6]
    turn = np.array([[1.0, 0.4, 0.0], [0.0, 0.6, 0.2], [0.0, 0.0, 0.8]])[:d, :d]
    return PLACES[labels][:, :d] + rng.normal(size=(n, d)) @ turn, labels


class Labels:
    """First responsibilities that put every row into one component."""

    def __init__(self, labels, k):
        self.labels, self.k = np.atleast_2d(labels), k

    def block(self, rows):
        return 1.0 * (self.labels[:, None, rows] == np.arange(self.k)[:, None])


@pytest.fixture
def start_at(monkeypatch):
    """Make fits start at given labels."""

    def start(labels, k):
        found = Labels(labels, k)
        monkeypatch.setattr(variational_search, "first_responsibilities", lambda *_, **__: found)

    return start


class StartedMixture(TheirMixture):
    """scikit-learn's, from given labels."""

    first = None

    def _initialize_parameters(self, X, random_state, xp=None):
        self._initialize(X, Labels(self.first, self.n_components).block(slice(None))[0].T)


def fitted(x, covariance_type="full", k=4, **options):
    settings = {"tol": 1e-9, "max_iter": 5000, "random_state": 0, **options}
    return BayesianGaussianMixture(k, covariance_type, **settings).fit(x)


def bound_of(model, x, sample_weight=None):
    """The bound in the units of the data, from the model's parameters; differentiable."""
    kind, k = model.covariance_type, len(model.means)
    d = model.n_features
    shapes = {"full": (k, d, d), "tied": (1, d, d), "diag": (k, d), "spherical": (k, 1)}
    first = {"full": (d, d), "tied": (d, d), "diag": (d,), "spherical": (1,)}
    nu0 = model.prior_degrees_of_freedom
    prior = NormalWishart(
        model.prior_mean_precision.reshape(1, 1),
        model.prior_mean.reshape(1, 1, d),
        nu0.reshape(1, 1),
        (model.prior_covariance / nu0).reshape(1, 1, *first[kind]),
    )
    found = Posterior(
        model.weight_concentration[None],
        model.mean_precision[None],
        model.means[None],
        model.degrees_of_freedom.reshape(1, -1),
        model.covariances.reshape(1, *shapes[kind]),
    )
    law = model.settings.weight_law
    logs = model.log_prob(x)
    data = logs.sum() if sample_weight is None else (torch.as_tensor(sample_weight) * logs).sum()
    return data - VariationalModel(law, prior, kind).divergence(found)[0]


# Learning --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("covariance_type", "weights"), ALL_KINDS)
@pytest.mark.parametrize("reg_covar", [None, 0.05])
def test_ends_where_scikit_learn_ends(covariance_type, weights, reg_covar, start_at):
    x, labels = clusters(90)
    start_at(labels, 5)
    model = fitted(
        x, covariance_type, 5, reg_covar=reg_covar, weight_concentration_prior_type=weights
    )
    theirs = StartedMixture(
        n_components=5,
        covariance_type=covariance_type,
        weight_concentration_prior_type=weights,
        reg_covar=reg_covar or 0,
        tol=1e-9,
        max_iter=5000,
    )
    theirs.first = labels
    theirs.fit(x)
    assert model.converged_
    assert theirs.converged_
    for name in (
        "weights_",
        "means_",
        "covariances_",
        "precisions_",
        "precisions_cholesky_",
        "weight_concentration_",
        "mean_precision_",
        "degrees_of_freedom_",
        "weight_concentration_prior_",
        "mean_precision_prior_",
        "mean_prior_",
        "degrees_of_freedom_prior_",
        "covariance_prior_",
    ):
        wanted = np.array(getattr(theirs, name))
        found = getattr(model, name)
        assert found.shape == wanted.shape, name
        np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=2e-5, err_msg=name)
    np.testing.assert_allclose(model.score_samples(x), theirs.score_samples(x), atol=1e-4)
    np.testing.assert_allclose(model.predict_proba(x), theirs.predict_proba(x), atol=1e-4)
    assert (model.predict(x).numpy() == theirs.predict(x)).all()
    assert model.score(x).item() == pytest.approx(theirs.score(x), abs=1e-4)


@pytest.mark.parametrize(("covariance_type", "weights"), ALL_KINDS)
@pytest.mark.parametrize("missing", [False, True])
def test_the_end_is_a_maximum_of_the_bound(covariance_type, weights, missing):
    """Whatever coordinates learning works in: all derivatives are zero, and the value is right."""
    x, _ = clusters(60, d=3, seed=1)
    if missing:
        x[np.random.default_rng(1).random(x.shape) < 0.15] = np.nan
        x = x[~np.isnan(x).all(1)]
    weight = np.random.default_rng(2).uniform(0.3, 2, size=len(x))
    model = BayesianGaussianMixture(
        3,
        covariance_type,
        weight_concentration_prior_type=weights,
        tol=1e-11,
        max_iter=5000,
        random_state=0,
    ).fit(x, sample_weight=weight)
    bound = bound_of(model, x, weight)
    assert bound.item() == pytest.approx(model.lower_bound_, rel=1e-10)
    objectives = np.array([entry["objective"] for entry in model.history])
    assert (np.diff(objectives) >= -1e-9).all()
    bound.backward()
    for name in ("weight_concentration", "mean_precision", "means", "degrees_of_freedom"):
        # In units of the parameter: what a change by its own size would add, nats.
        parameter = getattr(model, name)
        assert (parameter.grad * (1 + parameter.detach().abs())).abs().max() < 1e-3, name
    gradient, covariances = model.covariances.grad, model.covariances.detach()
    if covariance_type in ("full", "tied"):
        gradient = 0.5 * (gradient + gradient.mT)
    assert (gradient * covariances.abs().max()).abs().max() < 1e-3


def test_needs_no_more_components_than_there_are_clusters():
    x, labels = clusters(150)
    for weights in WEIGHT_LAW_NAMES:
        model = fitted(x, k=10, n_init=4, weight_concentration_prior_type=weights)
        assert int((model.weights > 0.02).sum()) == 3
        found = model.predict(x).numpy()
        assert len(set(zip(found.tolist(), labels.tolist(), strict=True))) == 3


def test_sticks_are_ordered(start_at):
    """Whatever the numbers that first responsibilities give to clusters."""
    x, labels = clusters(90)
    start_at(4 - labels, 5)
    model = fitted(x, k=5)
    counts = model.weight_concentration[0].detach() - 1
    assert (counts.diff() <= 0).all()
    np.testing.assert_allclose(counts, [45, 30, 15, 0, 0], atol=0.1)
    start_at(labels, 5)
    assert fitted(x, k=5).lower_bound_ == pytest.approx(model.lower_bound_, rel=1e-9)


def test_the_best_of_several_starts_is_kept():
    x, _ = clusters(60, seed=3)
    model = fitted(x, k=4, n_init=5, init="random")
    ends = {entry["start"]: entry["objective"] for entry in model.history}
    assert sorted(ends) == [0, 1, 2, 3, 4]
    assert model.lower_bound_ >= max(ends.values()) - 1e-9


def test_whole_weights_are_repetitions(start_at):
    x, labels = clusters(30)
    weight = np.arange(30) % 3
    start_at(labels[weight > 0], 3)
    weighted = BayesianGaussianMixture(3, tol=1e-9, max_iter=5000).fit(x, sample_weight=weight)
    start_at(np.repeat(labels, weight), 3)
    repeated = fitted(np.repeat(x, weight, 0), k=3)
    assert weighted.lower_bound_ == pytest.approx(repeated.lower_bound_, rel=1e-9)
    torch.testing.assert_close(weighted.means, repeated.means, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_units_change_the_bound_by_their_logarithm(covariance_type, start_at):
    x, labels = clusters(60)
    start_at(labels, 3)
    model, moved = [fitted(rows, covariance_type, 3) for rows in (x, 1e-4 * x + 7)]
    assert moved.lower_bound_ - model.lower_bound_ == pytest.approx(120 * math.log(1e4), rel=1e-8)
    torch.testing.assert_close(moved.weights, model.weights, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_difficult_rows(covariance_type):
    """A constant column, collinear columns, few distinct rows, fewer rows than features."""
    x, _ = clusters(40)
    constant = np.column_stack([x, np.full(40, 3.0)])
    collinear = np.column_stack([x, x.sum(1)])
    repeated = np.repeat(x[:5], 8, 0)
    wide = np.random.default_rng(0).normal(size=(6, 9))
    for rows in (constant, collinear, repeated, wide):
        model = fitted(rows, covariance_type, 4, tol=1e-3)
        for value in model.state_dict().values():
            assert value.isfinite().all()
        assert model.predictive_log_prob(rows).isfinite().all()


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("factor", [1e4, 1e6, 1e8])
def test_an_outlier_leaves_everything_finite(covariance_type, factor):
    """Even where a matrix that holds it and the other rows has no root in double precision."""
    x, _ = clusters(91, d=3, seed=5)
    x[-1] = factor * np.array([1.0, -0.3, 0.5])
    model = fitted(x, covariance_type, 6, tol=1e-3, n_init=4)
    assert math.isfinite(model.lower_bound_)
    for value in (model.predictive_log_prob(x), model.log_prob(x)):
        assert value.isfinite().all()
    if covariance_type != "tied":
        found = model.predict(x).numpy()
        assert found[-1] not in found[:-1]


def test_kinds_of_input_agree():
    import pandas as pd

    x, _ = clusters(40)
    model = fitted(x)
    for same in (torch.from_numpy(x), pd.DataFrame(x), x.tolist()):
        again = fitted(same)
        torch.testing.assert_close(again.means, model.means, rtol=1e-6, atol=1e-6)
    single = fitted(x.astype(np.float32), tol=1e-3)
    assert single.means.dtype == torch.float64
    assert single.lower_bound_ == pytest.approx(model.lower_bound_, abs=0.1)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("missing", [False, True])
def test_tensors_are_learned_from_as_on_other_devices(covariance_type, missing, monkeypatch):
    x, labels = clusters(40)
    if missing:
        x[2, 1] = x[5, 0] = np.nan
    both = np.stack([labels, np.arange(40) % 4])
    weight = np.linspace(0.5, 2, 40)
    settings = BayesianGaussianMixture(4, covariance_type, n_init=2, max_iter=1000).settings
    ends = []
    for kind in (np.asarray, torch.from_numpy):

        def block(rows, kind=kind):
            return kind(Labels(both, 4).block(rows))

        seeds = types.SimpleNamespace(block=block)
        monkeypatch.setattr(
            variational_search, "first_responsibilities", lambda *_, seeds=seeds, **__: seeds
        )
        search = variational_search.VariationalSearch(
            kind(x), kind(weight), settings, generator=torch.Generator(), progress=False
        )
        ends.append(search.run())
    ours, theirs = ends
    assert isinstance(theirs.posterior.means, torch.Tensor)
    assert theirs.bound == pytest.approx(ours.bound, rel=1e-12)
    for one, other in zip(ours.posterior, theirs.posterior, strict=True):
        np.testing.assert_allclose(one, other.numpy(), rtol=1e-9, atol=1e-10)


def test_seeds_decide():
    x, _ = clusters(40)
    before = torch.get_rng_state()
    one, two = [fitted(x, init="random", random_state=3) for _ in range(2)]
    given = BayesianGaussianMixture(4, init="random", tol=1e-9, max_iter=5000)
    given.fit(x, generator=torch.Generator().manual_seed(3))
    assert torch.equal(one.means, two.means)
    assert torch.equal(one.means, given.means)
    assert torch.equal(torch.get_rng_state(), before)


def test_warns_of_too_few_steps():
    x, _ = clusters(60)
    with pytest.warns(UserWarning, match="converge"):
        fitted(x, k=6, max_iter=2)


# Densities -------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", WEIGHT_LAW_NAMES)
def test_the_predictive_density_integrates_to_one(weights):
    x, _ = clusters(30, d=1)
    model = fitted(x, k=3, weight_concentration_prior_type=weights, degrees_of_freedom_prior=4.0)

    def density(value):
        return model.predictive_log_prob([[value]]).exp().item()

    inner = integrate.quad(density, -30, 30, points=[-6, 0, 6], limit=300)[0]
    tails = integrate.quad(density, 30, np.inf)[0] + integrate.quad(density, -np.inf, -30)[0]
    assert inner + tails == pytest.approx(1, abs=1e-7)
    # What scikit-learn calls the log-density is not normalised, and below it.
    rows = torch.linspace(-20, 20, 41, dtype=torch.float64)[:, None]
    assert (model.log_prob(rows) < model.predictive_log_prob(rows)).all()


@pytest.mark.parametrize("weights", WEIGHT_LAW_NAMES)
def test_the_predictive_density_is_the_integral_over_the_laws(weights):
    """In one dimension the precision has a gamma law, and is integrated out numerically."""
    x, _ = clusters(12, d=1)
    model = fitted(x, k=2, weight_concentration_prior_type=weights, degrees_of_freedom_prior=3.0)

    def integral(value, mean, beta, nu, covariance):
        law = stats.gamma(nu / 2, scale=2 / (nu * covariance))

        def weighed(precision):
            deviation = math.sqrt((1 + 1 / beta) / precision)
            return law.pdf(precision) * stats.norm.pdf(value, mean, deviation)

        parts = [0, *law.ppf([0.01, 0.5, 0.99]), law.ppf(1 - 1e-14)]
        return sum([integrate.quad(weighed, *ends)[0] for ends in itertools.pairwise(parts)])

    expected, left = model.settings.weight_law.expected(model.weight_concentration.detach())
    nu0 = float(model.prior_degrees_of_freedom)
    for value in (-7.0, -1.0, 0.5, 12.0):
        parts = [
            integral(value, *[float(part.detach()[k].reshape(())) for part in laws])
            for k in range(2)
            for laws in [
                (model.means, model.mean_precision, model.degrees_of_freedom, model.covariances)
            ]
        ]
        new = integral(
            value,
            float(model.prior_mean),
            float(model.prior_mean_precision),
            nu0,
            float(model.prior_covariance) / nu0,
        )
        wanted = float((expected.numpy() * parts).sum() + float(left) * new)
        found = model.predictive_log_prob([[value]]).item()
        assert found == pytest.approx(math.log(wanted), abs=1e-7)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_student_laws_equal_those_of_scipy(covariance_type):
    rng, k, d = np.random.default_rng(4), 3, 3
    root = rng.normal(size=(k, d, d))
    matrices = root @ root.swapaxes(1, 2) + 0.1 * np.eye(d)
    nu, beta, means = rng.uniform(3, 9, k), rng.uniform(0.2, 5, k), rng.normal(size=(k, d))
    held = {
        "full": matrices,
        "tied": matrices[0],
        "diag": np.einsum("kii->ki", matrices),
        "spherical": matrices[:, 0, 0],
    }[covariance_type]
    whole = {
        "full": matrices,
        "tied": np.repeat(matrices[:1], k, 0),
        "diag": np.einsum("kii->ki", matrices)[:, None] * np.eye(d),
        "spherical": matrices[:, :1, :1] * np.eye(d),
    }[covariance_type]
    if covariance_type == "tied":
        nu = np.full(k, nu[0])
    own = nu[0] if covariance_type == "tied" else nu
    laws = NormalWishart(*[torch.as_tensor(part) for part in (beta, means, own, held)])
    x = 3 * rng.normal(size=(9, d))
    x[3, 0] = x[4, 1] = x[4, 2] = np.nan
    x[5] = np.nan
    found = student_log_prob(torch.from_numpy(x), laws, covariance_type)
    for i, row in enumerate(x):
        there = ~np.isnan(row)
        for j in range(k):
            eta = nu[j] + 1 - d
            shape = (1 + beta[j]) * nu[j] / (beta[j] * eta) * whole[j][np.ix_(there, there)]
            wanted = 0.0
            if there.any():
                wanted = stats.multivariate_t.logpdf(row[there], means[j][there], shape, df=eta)
            assert float(found[i, j]) == pytest.approx(wanted, rel=1e-10, abs=1e-10)


def test_missing_entries_in_densities():
    x, _ = clusters(60, d=3)
    model = fitted(x, k=3)
    rows = torch.from_numpy(x[:4].copy())
    rows[0, 1] = rows[1, 0] = rows[1, 2] = rows[2] = torch.nan
    assert model.predictive_log_prob(rows)[2].item() == pytest.approx(0, abs=1e-12)
    assert torch.allclose(model.predict_proba(rows).sum(1), torch.ones(4).double())
    # The value of one entry integrates out on a grid.
    grid = torch.linspace(-60, 60, 12001, dtype=torch.float64)
    whole = rows[:1].repeat(len(grid), 1)
    whole[:, 1] = grid
    for density in (model.log_prob, model.predictive_log_prob):
        mass = torch.trapezoid(density(whole).exp(), grid)
        assert mass.log().item() == pytest.approx(density(rows[:1]).item(), abs=1e-4)


def test_gradients_reach_rows_and_parameters():
    x, _ = clusters(20)
    for covariance_type in COVARIANCE_TYPES:
        model = fitted(x, covariance_type, 3)
        rows = torch.from_numpy(x[:5]).requires_grad_()
        (model.predictive_log_prob(rows).sum() + model.log_prob(rows).sum()).backward()
        for parameter in [rows, *model.parameters()]:
            assert parameter.grad.isfinite().all()
            assert (parameter.grad != 0).any()
        assert torch.autograd.gradcheck(model.predictive_log_prob, rows)
