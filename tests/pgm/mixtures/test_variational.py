"""Variational steps: scikit-learn's numbers, a bound that never falls nor passes the evidence."""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture

from pgm.mixtures.components import COVARIANCE_TYPES
from pgm.mixtures.moments import Moments, Scores
from pgm.mixtures.normal_wishart import NormalWishart
from pgm.mixtures.variational import Posterior, VariationalModel
from pgm.mixtures.weight_laws import WEIGHT_LAWS

WEIGHT_LAW_NAMES = ("dirichlet_process", "dirichlet_distribution")
ALL_KINDS = [(c, w) for c in COVARIANCE_TYPES for w in WEIGHT_LAW_NAMES]


def clusters(n, d, seed, k=3):
    """Rows around k places, features correlated."""
    rng = np.random.default_rng(seed)
    turn = rng.normal(size=(d, d))
    places = 4 * rng.normal(size=(k, d))
    return places[rng.integers(k, size=n)] + rng.normal(size=(n, d)) @ turn


def own_type(matrices, covariance_type, counts=None):
    """Matrices (R, K, d, d) projected to a covariance type; for tied, weighted by counts."""
    if covariance_type == "full":
        return matrices
    if covariance_type == "tied":
        return np.einsum("rk,rkij->rij", counts / counts.sum(-1, keepdims=True), matrices)[:, None]
    diagonals = np.einsum("rkii->rki", matrices)
    return diagonals if covariance_type == "diag" else diagonals.mean(-1, keepdims=True)


def plain_moments(x, shares, logs, covariance_type):
    """Moments of complete rows (n, d) under responsibilities (R, n, K), all rows at once."""
    counts = shares.sum(1)
    means = np.einsum("rnk,nd->rkd", shares, x) / counts[..., None]
    gaps = x[None, :, None] - means[:, None]
    scatters = np.einsum("rnk,rnki,rnkj->rkij", shares, gaps, gaps) / counts[..., None, None]
    return Moments(logs, counts, means, own_type(scatters, covariance_type, counts))


def plain_scores(x, scores):
    """Scores of every row under every component, (R, n, K)."""
    gaps = x[None, :, None] - scores.means[:, None]
    if scores.factors.ndim == 4:
        whitened = np.einsum("rkij,rnkj->rnki", scores.factors + 0 * gaps[:, 0, :, :, None], gaps)
    else:
        whitened = gaps * scores.factors[:, None]
    return scores.offsets[:, None] - 0.5 * (whitened**2).sum(-1)


def plain_expect(x, covariance_type):
    """The E step on complete rows, responsibilities stored."""

    def expect(scores):
        joint = plain_scores(x, scores)
        logs = special.logsumexp(joint, axis=-1)
        return plain_moments(x, np.exp(joint - logs[..., None]), logs.sum(1), covariance_type)

    return expect


def prior_of(x, covariance_type, *, beta=1.0, nu=None, mean=None):
    """scikit-learn's default prior of these rows."""
    d = x.shape[1]
    nu = float(d if nu is None else nu)
    scatter = own_type(np.atleast_2d(np.cov(x.T))[None, None], covariance_type, np.ones((1, 1)))
    mean = x.mean(0) if mean is None else mean
    return NormalWishart(
        np.full((1, 1), beta), mean[None, None], np.full((1, 1), nu), scatter / nu
    )


def model_of(x, covariance_type, weights, *, alpha=None, k=4, **prior):
    law = WEIGHT_LAWS[weights](1 / k if alpha is None else alpha)
    return VariationalModel(law, prior_of(x, covariance_type, **prior), covariance_type)


def first_shares(n, k, seed, runs=1):
    return np.random.default_rng(seed).dirichlet(np.ones(k), size=(runs, n))


# Against scikit-learn --------------------------------------------------------------------------


class StartedMixture(BayesianGaussianMixture):
    """scikit-learn's, from given responsibilities."""

    first = None

    def _initialize_parameters(self, X, random_state, xp=None):
        self._initialize(X, self.first)


def started(x, shares, iterations, covariance_type, weights, **options):
    model = StartedMixture(
        n_components=shares.shape[1],
        covariance_type=covariance_type,
        weight_concentration_prior_type=weights,
        reg_covar=0,
        tol=0,
        max_iter=iterations,
        **options,
    )
    model.first = shares
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(x)


def squeezed(array, theirs):
    return np.asarray(array).reshape(np.shape(theirs))


@pytest.mark.parametrize(("covariance_type", "weights"), ALL_KINDS)
@pytest.mark.parametrize("d", [1, 3])
def test_steps_equal_those_of_scikit_learn(covariance_type, weights, d):
    x, k = clusters(60, d, seed=d), 4
    shares = first_shares(60, k, seed=7)
    prior = {"beta": 0.7, "nu": d + 1.5, "mean": x[0]}
    model = model_of(x, covariance_type, weights, alpha=0.3, k=k, **prior)
    expect = plain_expect(x, covariance_type)
    found = model.posterior(plain_moments(x, shares, np.zeros(1), covariance_type))
    for iteration in range(1, 9):
        found, _ = model.step(found, expect)
        theirs = started(
            x,
            shares[0],
            iteration,
            covariance_type,
            weights,
            weight_concentration_prior=0.3,
            mean_precision_prior=0.7,
            degrees_of_freedom_prior=d + 1.5,
            mean_prior=x[0],
        )
        concentration = np.array(theirs.weight_concentration_)
        np.testing.assert_allclose(found.concentration[0], concentration, rtol=1e-9)
        for name in ("mean_precision", "means", "degrees_of_freedom", "covariances"):
            wanted = getattr(theirs, f"{name}_")
            ours = squeezed(getattr(found, name)[0], wanted)
            np.testing.assert_allclose(ours, wanted, rtol=1e-9, atol=1e-11, err_msg=name)
        weighted, left = model.weight_law.expected(found.concentration)
        np.testing.assert_allclose(weighted[0] / (1 - left[0]), theirs.weights_, rtol=1e-9)
        joint = plain_scores(x, model.scores(found))[0]
        np.testing.assert_allclose(
            special.logsumexp(joint, axis=1), theirs.score_samples(x), rtol=1e-9, atol=1e-9
        )


@pytest.mark.parametrize(("covariance_type", "weights"), ALL_KINDS)
def test_their_bound_differs_from_ours_by_a_constant(covariance_type, weights):
    """They leave constants out, and compute it for the laws after a step, as is done here."""
    x, k = clusters(40, 2, seed=3), 3
    model = model_of(x, covariance_type, weights, k=k)
    gaps = []
    for seed in range(3):
        first = first_shares(40, k, seed=seed)
        found = model.posterior(plain_moments(x, first, np.zeros(1), covariance_type))
        for iteration in range(1, 4):
            logs = special.log_softmax(plain_scores(x, model.scores(found)), axis=-1)
            shares = np.exp(logs)
            found = model.posterior(plain_moments(x, shares, np.zeros(1), covariance_type))
            data = (shares * (plain_scores(x, model.scores(found)) - logs)).sum()
            theirs = started(x, first[0], iteration, covariance_type, weights)
            gaps.append(float((data - model.divergence(found) - theirs.lower_bound_).squeeze()))
    np.testing.assert_allclose(gaps, gaps[0], rtol=0, atol=1e-9)


# Against the evidence --------------------------------------------------------------------------


def normal_wishart_evidence(x, prior):
    """Log-evidence of rows that one normal law made, by Bishop's update in closed form.

    Murphy 2012, "Machine learning: a probabilistic perspective", equation 5.29.
    """
    n, d = x.shape
    if not n:
        return 0.0
    beta0, nu0 = float(prior.mean_precision[0, 0]), float(prior.degrees_of_freedom[0, 0])
    m0, first = prior.means[0, 0], prior.covariances[0, 0]
    own = {1: np.diag(first * np.ones(d)), 2: first}[first.ndim] * nu0
    gap = x.mean(0) - m0
    scatter = (x - x.mean(0)).T @ (x - x.mean(0))
    last = own + scatter + beta0 * n / (beta0 + n) * np.outer(gap, gap)
    return (
        -0.5 * n * d * math.log(math.pi)
        + special.multigammaln(0.5 * (nu0 + n), d)
        - special.multigammaln(0.5 * nu0, d)
        + 0.5 * nu0 * np.linalg.slogdet(own)[1]
        - 0.5 * (nu0 + n) * np.linalg.slogdet(last)[1]
        + 0.5 * d * math.log(beta0 / (beta0 + n))
    )


def labels_evidence(counts, alpha, weights):
    """Log-probability of one labelling with these counts, weights integrated out."""
    counts = np.asarray(counts, dtype=float)
    if weights == "dirichlet_distribution":
        k = len(counts)
        both = special.gammaln(k * alpha) - special.gammaln(k * alpha + counts.sum())
        return both + (special.gammaln(alpha + counts) - special.gammaln(alpha)).sum()
    later = np.append(np.cumsum(counts[::-1])[-2::-1], 0.0)
    return (special.betaln(1 + counts, alpha + later) - special.betaln(1, alpha)).sum()


def run(model, x, k, seed, steps):
    """Bounds of a run, the last laws."""
    expect = plain_expect(x, model.covariance_type)
    shares = first_shares(len(x), k, seed)
    found = model.posterior(plain_moments(x, shares, np.zeros(1), model.covariance_type))
    bounds = []
    for _ in range(steps):
        found, bound = model.step(found, expect)
        bounds.append(float(bound[0]))
    return np.array(bounds), found


@pytest.mark.parametrize("weights", WEIGHT_LAW_NAMES)
@pytest.mark.parametrize("covariance_type", ["full", "tied"])
@pytest.mark.parametrize("d", [1, 2, 4])
def test_bound_of_one_component_is_the_evidence(weights, covariance_type, d):
    x = clusters(30, d, seed=d, k=1)
    model = model_of(x, covariance_type, weights, alpha=0.6, k=1, beta=0.4, nu=d + 0.5)
    bounds, _ = run(model, x, 1, seed=0, steps=2)
    exact = normal_wishart_evidence(x, model.prior) + labels_evidence([30], 0.6, weights)
    assert bounds[-1] == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("covariance_type", ["diag", "spherical"])
def test_bound_of_one_component_of_a_narrower_type_is_below_the_evidence(covariance_type):
    """Their laws are Wishart laws with diagonal matrices: too few for correlated rows."""
    x = clusters(30, 3, seed=1, k=1)
    model = model_of(x, covariance_type, "dirichlet_distribution", k=1)
    bounds, _ = run(model, x, 1, seed=0, steps=2)
    assert bounds[-1] < normal_wishart_evidence(x, model.prior) - 1e-3
    line = x[:, :1]
    model = model_of(line, covariance_type, "dirichlet_distribution", k=1)
    bounds, _ = run(model, line, 1, seed=0, steps=2)
    exact = normal_wishart_evidence(line, model.prior)
    assert bounds[-1] == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize(("covariance_type", "weights"), ALL_KINDS)
@given(seed=st.integers(0, 10**6), d=st.integers(1, 2))
@settings(max_examples=8)
def test_bound_is_below_the_evidence_of_all_labellings(covariance_type, weights, seed, d):
    x = clusters(6, d, seed, k=2)
    model = model_of(x, covariance_type, weights, alpha=0.5, k=2)
    subsets = {}
    for chosen in itertools.product([False, True], repeat=6):
        subsets[chosen] = normal_wishart_evidence(x[np.array(chosen)], model.prior)
    logs = [
        labels_evidence([6 - sum(second), sum(second)], 0.5, weights)
        + subsets[second]
        + subsets[tuple([not label for label in second])]
        for second in subsets
    ]
    evidence = special.logsumexp(logs)
    bounds, _ = run(model, x, 2, seed, steps=30)
    assert (bounds <= evidence).all()
    # It is a bound that says something: less than one nat per row and component is lost.
    assert bounds[-1] > evidence - 6 * 2


@pytest.mark.parametrize(("covariance_type", "weights"), ALL_KINDS)
@given(seed=st.integers(0, 10**6))
@settings(max_examples=8)
def test_bound_never_falls(covariance_type, weights, seed):
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 5))
    x = clusters(int(rng.integers(8, 50)), d, seed) * 10.0 ** rng.integers(-3, 4)
    model = model_of(x, covariance_type, weights, nu=d - 1 + rng.uniform(0.1, 3))
    bounds, _ = run(model, x, 4, seed, steps=40)
    assert (np.diff(bounds) >= -1e-10 * (1 + np.abs(bounds[1:]))).all()


@pytest.mark.parametrize("mistake", ["one row more", "certain means"])
def test_mistakes_are_noticed(mistake):
    """A misprint of Bishop's equation 10.63, and the means' uncertainty left out of the scores."""
    x = clusters(30, 3, seed=2, k=1)
    model = model_of(x, "full", "dirichlet_distribution", k=1)
    exact = normal_wishart_evidence(x, model.prior)
    _, found = run(model, x, 1, seed=0, steps=1)
    expect = plain_expect(x, "full")
    if mistake == "one row more":
        nu = found.degrees_of_freedom
        longer = found._replace(
            degrees_of_freedom=nu + 1, covariances=found.covariances * nu / (nu + 1)
        )
        assert model.step(longer, expect)[1][0] < exact - 1e-3
    else:

        def careless(scores):
            return expect(scores._replace(offsets=scores.offsets + 1.5 / found.mean_precision))

        assert model.step(found, careless)[1][0] > exact + 1e-3


# The parts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("covariance_type", "weights"), ALL_KINDS)
def test_the_step_is_the_maximum_of_the_bound(covariance_type, weights):
    """No small change of the laws raises the bound at fixed responsibilities."""
    x, k = clusters(20, 2, seed=4), 3
    model = model_of(x, covariance_type, weights, k=k)
    moments = plain_moments(x, first_shares(20, k, 1), np.zeros(1), covariance_type)
    best = model.posterior(moments)

    def bound(found):
        scores = model.scores(found)
        shares = first_shares(20, k, 1)
        return float((shares * plain_scores(x, scores)).sum() - model.divergence(found)[0])

    rng = np.random.default_rng(0)
    for name in Posterior._fields:
        for _ in range(10):
            value = getattr(best, name)
            noise = 1e-3 * rng.normal(size=value.shape)
            changed = value * (1 + (noise + noise.swapaxes(-1, -2) if value.ndim == 4 else noise))
            assert bound(best._replace(**{name: changed})) < bound(best)


@pytest.mark.parametrize(("covariance_type", "weights"), ALL_KINDS)
def test_runs_are_independent_and_tensors_give_the_same(covariance_type, weights):
    x, k = clusters(25, 3, seed=6), 4
    model = model_of(x, covariance_type, weights, k=k)
    shares = first_shares(25, k, seed=2, runs=3)
    moments = plain_moments(x, shares, np.zeros(3), covariance_type)
    together = model.posterior(moments)
    scores, divergence = model.scores(together), model.divergence(together)
    for r in range(3):
        one = plain_moments(x, shares[r : r + 1], np.zeros(1), covariance_type)
        alone = model.posterior(one)
        for ours, theirs in zip(together, alone, strict=True):
            np.testing.assert_allclose(ours[r], theirs[0], rtol=1e-12)
        for ours, theirs in zip(scores, model.scores(alone), strict=True):
            np.testing.assert_allclose(ours[r], theirs[0], rtol=1e-11)
        assert divergence[r] == pytest.approx(float(model.divergence(alone)[0]), rel=1e-12)
    prior = NormalWishart(*[torch.from_numpy(part) for part in model.prior])
    twin = VariationalModel(model.weight_law, prior, covariance_type)
    found = twin.posterior(Moments(*[torch.from_numpy(part) for part in moments]))
    for ours, theirs in zip(found, together, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-12)
    for ours, theirs in zip(twin.scores(found), scores, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-11)
    np.testing.assert_allclose(twin.divergence(found).numpy(), divergence, rtol=1e-11)


def test_scores_are_expectations_under_the_laws():
    """By draws of the laws, within six standard errors (false alarm below 1e-7)."""
    x = clusters(20, 2, seed=8)
    model = model_of(x, "full", "dirichlet_distribution", k=2)
    found = model.posterior(plain_moments(x, first_shares(20, 2, 0), np.zeros(1), "full"))
    rng, row = np.random.default_rng(1), x[3]
    nu, beta = found.degrees_of_freedom[0, 0], found.mean_precision[0, 0]
    scale = np.linalg.inv(found.covariances[0, 0]) / nu
    precisions = stats.wishart(nu, scale).rvs(20_000, random_state=rng)
    roots = np.linalg.cholesky(np.linalg.inv(beta * precisions))
    means = found.means[0, 0] + np.einsum("nij,nj->ni", roots, rng.normal(size=(20_000, 2)))
    gaps = row - means
    logs = 0.5 * np.linalg.slogdet(precisions)[1] - math.log(2 * math.pi)
    logs -= 0.5 * np.einsum("ni,nij,nj->n", gaps, precisions, gaps)
    weight = model.weight_law.expected_logs(found.concentration)[0, 0]
    wanted = plain_scores(row[None], model.scores(found))[0, 0, 0] - weight
    assert abs(logs.mean() - wanted) < 6 * logs.std() / math.sqrt(len(logs))


def test_refuses_matrices_that_are_not_positive():
    x = clusters(20, 2, seed=8)
    for covariance_type in COVARIANCE_TYPES:
        model = model_of(x, covariance_type, "dirichlet_distribution", k=2)
        moments = plain_moments(x, first_shares(20, 2, 0), np.zeros(1), covariance_type)
        found = model.posterior(moments)
        broken = found._replace(covariances=-found.covariances)
        with pytest.raises(ValueError, match="positive"):
            model.scores(broken)


def test_scores_hold_what_the_kernel_reads():
    x = clusters(20, 3, seed=8)
    shapes = {
        "full": (2, 4, 3, 3),
        "tied": (2, 1, 3, 3),
        "diag": (2, 4, 3),
        "spherical": (2, 4, 1),
    }
    for covariance_type, shape in shapes.items():
        model = model_of(x, covariance_type, "dirichlet_process")
        shares = first_shares(20, 4, 0, runs=2)
        scores = model.scores(model.posterior(plain_moments(x, shares, 0, covariance_type)))
        assert isinstance(scores, Scores)
        assert scores.offsets.shape == (2, 4)
        assert scores.factors.shape == shape
