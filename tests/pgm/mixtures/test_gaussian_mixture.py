"""The public Gaussian mixture: what it computes, and the company it keeps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pgm.gaussian_mixture import GaussianMixture
from pgm.mixtures.components import COVARIANCE_TYPES

WEIGHTS, MEANS = [0.3, 0.7], [[0.0, 1.0, -1.0], [2.0, 0.0, 1.0]]
ROOT = np.array([[1.0, 0.0, 0.0], [0.5, 0.8, 0.0], [-0.3, 0.2, 1.1]])
MATRIX = ROOT @ ROOT.T
COVARIANCES = {
    "full": [MATRIX, 0.5 * MATRIX + np.eye(3)],
    "tied": MATRIX,
    "diag": [[1.0, 2.0, 0.5], [0.3, 1.0, 1.0]],
    "spherical": [1.0, 0.4],
}


def mixture(kind="full"):
    return GaussianMixture.from_parameters(WEIGHTS, MEANS, np.array(COVARIANCES[kind]), kind)


def blobs(n=300, seed=0):
    draws = np.random.default_rng(seed)
    return np.concatenate([draws.normal(size=(n, 2)), draws.normal(size=(n, 2)) * 0.5 + 4])


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_samples_have_the_moments_of_the_mixture(kind):
    model = mixture(kind)
    rows, labels = model.sample_labelled(200_000, generator=0)
    # Five standard errors of a mean or share of 200,000 draws: false alarms below 1e-5.
    assert abs((labels == 0).double().mean().item() - 0.3) < 5 * (0.21 / 200_000) ** 0.5
    for k in range(2):
        mine = rows[labels == k].numpy()
        law = np.cov(mine.T)
        right = model.distribution().component_distribution.covariance_matrix[k].detach().numpy()
        error = 5 * np.sqrt(np.diag(right) / len(mine))
        assert (np.abs(mine.mean(0) - MEANS[k]) < error).all()
        np.testing.assert_allclose(law, right, atol=0.05)
    assert torch.equal(model.sample(5, generator=3), model.sample(5, generator=3))
    assert model.sample(0).shape == (0, 3)


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_it_is_a_torch_distribution(kind):
    model, x = mixture(kind), torch.randn(6, 3, dtype=torch.float64)
    law = model.distribution()
    torch.testing.assert_close(law.log_prob(x), model.log_prob(x))
    law.log_prob(x).sum().backward()
    found = [p.grad.clone() for p in (model.weights, model.means, model.covariances)]
    model.zero_grad()
    model.log_prob(x).sum().backward()
    for grad, p in zip(found, (model.weights, model.means, model.covariances), strict=True):
        if p is not model.weights:  # a Categorical normalises its weights
            torch.testing.assert_close(grad, p.grad)


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_marginals_integrate_the_other_columns_out(kind):
    model = mixture(kind)
    part = model.marginal([2, 0])
    assert part.covariance_type == kind and part.n_features == 2
    x = torch.randn(4, 3, dtype=torch.float64)
    gaps = x.clone()
    gaps[:, 1] = torch.nan
    torch.testing.assert_close(part.log_prob(x[:, [2, 0]]), model.log_prob(gaps))
    alone = model.marginal([1])
    area = quad(lambda v: alone.log_prob([[v]]).exp().item(), -15, 15)[0]
    assert area == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_conditionals_are_ratios_of_densities(kind):
    model = mixture(kind)
    part = model.conditional({2: 0.5, 0: -0.2})
    assert part.covariance_type == kind and part.n_features == 1
    for value in (-1.0, 0.3, 2.0):
        whole = model.log_prob([[-0.2, value, 0.5]])
        known = model.log_prob([[-0.2, np.nan, 0.5]])
        torch.testing.assert_close(part.log_prob([[value]]), whole - known)


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_a_file_holds_all_of_it(kind, tmp_path):
    model = GaussianMixture(2, kind, n_init=2, random_state=1, reg_covar=1e-4).fit(blobs())
    model.save(tmp_path / "m.safetensors")
    again = GaussianMixture.load(tmp_path / "m.safetensors")
    assert again.get_params() == model.get_params()
    assert torch.equal(again.log_prob(blobs()), model.log_prob(blobs()))


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_weights_are_repetitions(kind):
    x = blobs(60)
    counts = np.random.default_rng(1).integers(0, 4, len(x))
    options = {
        "tol": 1e-10,
        "max_iter": 1000,
        "means_init": [[0, 0], [4, 4]],
        "weights_init": [0.5, 0.5],
    }
    shapes = {"full": np.tile(np.eye(2), (2, 1, 1)), "tied": np.eye(2), "diag": np.ones((2, 2))}
    options["precisions_init"] = shapes.get(kind, np.ones(2))
    one = GaussianMixture(2, kind, **options).fit(x, sample_weight=counts)
    other = GaussianMixture(2, kind, **options).fit(np.repeat(x, counts, 0))
    for name in ("weights_", "means_", "covariances_"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-6)


def test_it_lives_in_scikit_learn():
    x = load_iris().data
    model = GaussianMixture(3, "tied", n_init=3, random_state=0, means_init=x[[0, 60, 120]])
    copy = clone(model)
    assert copy is not model
    for name, value in model.get_params().items():
        assert copy.get_params()[name] is value or copy.get_params()[name] is not None
    piped = make_pipeline(StandardScaler(), clone(model).set_params(means_init=None))
    assert piped.fit(x).predict(x).shape == (150,)
    search = GridSearchCV(
        GaussianMixture(random_state=0), {"n_components": [1, 2], "covariance_type": ["tied"]}
    )
    search.fit(x[np.random.default_rng(0).permutation(150)])
    assert search.best_params_["n_components"] == 2
    assert model.fit_predict(x).unique().tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="there is no argument 'components'"):
        model.set_params(components=3)


def test_batches_reach_nearly_what_all_rows_reach():
    x = blobs(20_000)[np.random.default_rng(0).permutation(40_000)]
    whole = GaussianMixture(2, random_state=0, tol=1e-8).fit(x)
    model = GaussianMixture(2, random_state=0)
    for batch in np.array_split(x, 20):
        model.partial_fit(batch)
    assert model.score(x).item() > whole.score(x).item() - 2e-3
    assert len(model.history) > 19
    wrong = GaussianMixture(2, random_state=0).fit(x[:2000])
    assert model.score(x) > wrong.score(x)
    with pytest.raises(ValueError, match="X must have 2 features"):
        model.partial_fit(x[:, :1])


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_batches_may_lack_entries(kind):
    x = blobs(2000)[np.random.default_rng(0).permutation(4000)]
    gaps = x.copy()
    gaps[1000:][np.random.default_rng(1).random((3000, 2)) < 0.3] = np.nan
    model = GaussianMixture(2, kind, random_state=0)
    for batch in np.array_split(gaps, 4):
        model.partial_fit(batch)
    whole = GaussianMixture(2, kind, random_state=0).fit(x)
    assert model.score(x).item() > whole.score(x).item() - 0.02


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_fits_with_holes_climb_the_likelihood_of_what_is_there(kind):
    x = blobs(200)
    x[np.random.default_rng(1).random(x.shape) < 0.25] = np.nan
    x = x[~np.isnan(x).all(1)]
    model = GaussianMixture(2, kind, random_state=0, tol=1e-10, max_iter=2000).fit(x)
    objectives = np.array([step["objective"] for step in model.history])
    assert (np.diff(objectives) > -1e-7).all()
    assert objectives[-1] == pytest.approx(model.log_prob(x).sum().item(), rel=1e-9)
    # Nothing of a stationary point: a step along the gradient of the free means changes nothing.
    model.zero_grad()
    model.log_prob(x).sum().backward()
    assert model.means.grad.abs().max() < 1e-2
    full = GaussianMixture(2, kind, random_state=0).fit(blobs(200))
    np.testing.assert_allclose(np.sort(model.means_, 0), np.sort(full.means_, 0), atol=0.25)


@pytest.mark.parametrize("init", ["kmeans", "k-means++", "random", "random_from_data"])
def test_every_start_finds_two_blobs(init):
    model = GaussianMixture(2, init=init, n_init=4, random_state=0, tol=1e-6, max_iter=500)
    means = np.sort(model.fit(blobs()).means_.numpy(), 0)
    np.testing.assert_allclose(means, [[0, 0], [4, 4]], atol=0.2)


def test_seeds_repeat_fits():
    x = np.random.default_rng(0).normal(size=(300, 2))
    one, other = [GaussianMixture(4, n_init=5).fit(x, generator=7) for _ in range(2)]
    traces = [[step["objective"] for step in model.history] for model in (one, other)]
    assert torch.equal(one.means_, other.means_) and traces[0] == traces[1]
    assert torch.equal(GaussianMixture(4, n_init=5, random_state=7).fit(x).means_, one.means_)


def test_many_rows_start_from_some_of_them():
    draws = np.random.default_rng(0)
    centers = draws.normal(size=(5, 3)) * 6
    x = centers[draws.integers(0, 5, 60_000)] + draws.normal(size=(60_000, 3))
    model = GaussianMixture(5, random_state=0, n_init=3, tol=1e-5).fit(x)
    found = model.means_[model.means_[:, 0].argsort()].numpy()
    np.testing.assert_allclose(found, centers[centers[:, 0].argsort()], atol=0.1)


def test_gradients_reach_rows_and_parameters():
    model, x = mixture(), torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    model.log_prob(x).sum().backward()
    for part in (x, model.weights, model.means, model.covariances):
        assert part.grad is not None and part.grad.isfinite().all() and part.grad.abs().max() > 0


def test_parameters_that_are_set_are_used():
    model = mixture("spherical")
    with torch.no_grad():
        model.means.zero_()
        model.covariances.fill_(4.0)
    expected = -1.5 * np.log(2 * np.pi * 4) - 3 / 8
    torch.testing.assert_close(model.log_prob(torch.ones(1, 3)).item(), expected)
