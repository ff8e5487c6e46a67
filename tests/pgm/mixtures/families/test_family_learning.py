"""Learning of the families, against plain EM written with loops, row by row."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from pgm.mixture import Mixture
from pgm.mixtures.families.bernoulli import Bernoulli
from pgm.mixtures.families.categorical import Categorical
from pgm.mixtures.families.gaussian import Gaussian
from pgm.mixtures.families.poisson import Poisson
from pgm.mixtures.families.product import Product
from pgm.mixtures.families.student_t import StudentT

FAMILIES = [
    Bernoulli(4),
    Categorical((2, 3, 4)),
    Poisson(3),
    Gaussian(3, covariance_floor=0.0),
    StudentT(3, degrees=4.0, covariance_floor=0.0),
    StudentT(3, "diag", degrees=4.0, covariance_floor=0.0),
]
LEARNED = [
    *FAMILIES[:3],
    Gaussian(3),
    StudentT(2),
    StudentT(2, "diag"),
    Product({(0, 3): StudentT(2), 1: Bernoulli(1), (4, 2): Categorical((3, 2)), 5: Poisson(1)}),
]


def names(family):
    return type(family).__name__.lower()


def mean_of(x, w, prior=0.0, at=0.0):
    """Weighted mean of what is present, with pseudo-numbers."""
    seen = ~np.isnan(x)
    return (w[seen] @ x[seen] + prior * at) / (w[seen].sum() + prior)


def maximize(family, numbers, x, r, w, a):
    """Textbook estimates from responsibilities r (n, K), weights w and a pseudo-rows."""
    k = r.shape[1]
    if isinstance(family, (Bernoulli, Poisson)):
        name = "probs" if isinstance(family, Bernoulli) else "rates"
        result = np.empty((k, x.shape[1]))
        for j, column in enumerate(x.T):
            seen = ~np.isnan(column)
            total = w[seen].sum()
            extra = 1 if name == "probs" else 0
            marginal = (w[seen] @ column[seen] + 0.5) / (total + extra)
            for c in range(k):
                result[c, j] = mean_of(column, r[:, c] * w, a, marginal)
        return {name: result}
    if isinstance(family, Categorical):
        tables = []
        for j, card in enumerate(family.cards):
            hits = np.where(np.isnan(x[:, j, None]), math.nan, x[:, j, None] == np.arange(card))
            seen = ~np.isnan(x[:, j])
            marginal = (w[seen] @ hits[seen] + 1 / card) / (w[seen].sum() + 1)
            tables.append(
                [
                    [mean_of(h, r[:, c] * w, a, m) for h, m in zip(hits.T, marginal, strict=True)]
                    for c in range(k)
                ]
            )
        return {"probs": np.concatenate(tables, axis=1)}
    centre = np.array([mean_of(column, w) for column in x.T])
    spread = np.array([mean_of((c - m) ** 2, w) for c, m in zip(x.T, centre, strict=True)])
    if isinstance(family, Gaussian):
        means, variances = np.empty((2, k, x.shape[1]))
        for c in range(k):
            for j, column in enumerate(x.T):
                own = r[:, c] * w
                means[c, j] = mean_of(column, own, a, centre[j])
                rest = spread[j] + (centre[j] - means[c, j]) ** 2
                variances[c, j] = mean_of((column - means[c, j]) ** 2, own, a, rest)
        return {"means": means, "covariances": variances}
    return maximize_t(family, numbers, x, r * w[:, None], a, centre, spread)


def maximize_t(family, numbers, x, shares, a, centre, spread):
    """Peel & McLachlan's estimates, with expectations of what is missing."""
    k, d = shares.shape[1], x.shape[1]
    means, scales = np.empty((k, d)), np.empty((k, d, d))
    full = family.scale == "full"
    for c in range(k):
        mu, scale, nu = numbers["means"][c], numbers["scales"][c], numbers["degrees"][c]
        scale = scale if full else np.diag(scale)
        filled, weights, rest, there = [], [], [], []
        for row in x:
            o = np.flatnonzero(~np.isnan(row))
            inverse = np.linalg.inv(scale[np.ix_(o, o)])
            gap = row[o] - mu[o]
            gain = scale[:, o] @ inverse
            filled.append(mu + gain @ gap)
            weights.append((nu + len(o)) / (nu + gap @ inverse @ gap))
            rest.append(scale - gain @ scale[o])
            there.append(~np.isnan(row))
        filled, weights, there = np.array(filled), np.array(weights), np.array(there)
        own = shares[:, c]
        if full:
            u = own * weights
            means[c] = (u @ filled + a * centre) / (u.sum() + a)
            e, off = filled - means[c], centre - means[c]
            total = (e * u[:, None]).T @ e + np.einsum("i,ijk", own, np.array(rest))
            total += a * (np.diag(spread) + np.outer(off, off))
            scales[c] = total / (own.sum() + a)
            continue
        for j in range(d):
            u, seen = own * weights * there[:, j], own * there[:, j]
            means[c, j] = (u @ filled[:, j] + a * centre[j]) / (u.sum() + a)
            off = spread[j] + (centre[j] - means[c, j]) ** 2
            square = u @ (filled[:, j] - means[c, j]) ** 2 + a * off
            scales[c, j, j] = square / (seen.sum() + a)
    found = scales if full else np.diagonal(scales, axis1=1, axis2=2)
    return {"means": means, "scales": found.copy(), "degrees": numbers["degrees"]}


def as_arrays(model):
    return {n: p.detach().numpy().copy() for n, p in model.named_parameters() if n != "weights"}


@pytest.mark.parametrize("family", FAMILIES, ids=names)
@pytest.mark.parametrize(("prior", "weight_prior"), [(0.0, 0.0), (1.5, 0.7)])
def test_steps_are_those_of_the_textbook(
    draw_mixture, some_rows, component_logs, family, prior, weight_prior
):
    model, x = draw_mixture(1, family, 3), some_rows(2, family, 25)
    if "degrees" in as_arrays(model):
        model.degrees.data.fill_(4.0)
    x = x[~np.isnan(x).all(1)]
    w = np.random.default_rng(3).gamma(2.0, 1.0, len(x))
    with_prior = {"prior": prior, "weight_prior": weight_prior}
    trial = Mixture.from_config(model.config())
    trial.load_state_dict(model.state_dict())
    trial.fit(x, w, init="current", max_iter=4, tol=0, **with_prior)
    objectives = []
    for _ in range(4):
        joint = component_logs(model, x) + np.log(model.weights.detach().numpy())
        total = logsumexp(joint, axis=1)
        objectives.append(w @ total)
        r = np.exp(joint - total[:, None])
        found = maximize(family, as_arrays(model), x, r, w, prior)
        with torch.no_grad():
            for name, value in found.items():
                getattr(model, name).copy_(torch.from_numpy(value))
            counts = w @ r + weight_prior
            model.weights.copy_(torch.from_numpy(counts / counts.sum()))
    for (name, a), b in zip(model.named_parameters(), trial.parameters(), strict=True):
        torch.testing.assert_close(b, a, rtol=1e-8, atol=1e-9, msg=name)
    if not prior:
        found = [step["objective"] for step in trial.history]
        np.testing.assert_allclose(found, objectives, rtol=1e-10)


@pytest.mark.parametrize("family", LEARNED, ids=names)
@settings(max_examples=4)
@given(st.integers(0, 2**31), st.integers(1, 4), st.sampled_from([0.0, 2.0]))
def test_the_objective_never_falls(draw_mixture, some_rows, family, seed, k, prior):
    """The driver raises an error where it does."""
    x = some_rows(seed, family, 40, 0.2)
    model = draw_mixture(seed, family, k)
    x = torch.from_numpy(x)
    start = model.log_prob(x).sum().item()
    model.fit(x, init="current", max_iter=15, tol=0, prior=prior)
    objective = [step["objective"] for step in model.history]
    assert len(objective) == 15 and objective[-1] > objective[0]
    if not prior:
        assert abs(objective[0] - start) < 1e-8 * abs(start)
        assert model.log_prob(x).sum().item() >= objective[-1] - 1e-9 * abs(start)
    assert all([p.isfinite().all() for p in model.parameters()])
    assert abs(model.weights.sum().item() - 1) < 1e-12
    model.log_prob(x)  # checks that the numbers are a law


def log_posterior(model, x, w, prior, weight_prior):
    """What the fit maximises, from what the family says of its own prior."""
    numbers = model._numbers()
    with torch.no_grad():
        reference = model.family.reference(x, w)
    result = w @ model.log_prob(x) + model.family.log_prior(numbers, reference, prior)
    return result + weight_prior * model.weights.log().sum()


@pytest.mark.parametrize("family", LEARNED, ids=names)
@pytest.mark.parametrize("prior", [0.0, 3.0])
def test_a_long_fit_ends_where_the_gradient_vanishes(draw_mixture, some_rows, family, prior):
    x = torch.from_numpy(some_rows(5, family, 60, 0.1))
    w = torch.from_numpy(np.random.default_rng(1).gamma(2.0, 1.0, 60))
    model = draw_mixture(7, family, 2)
    model.fit(x, w, init="current", max_iter=300, tol=0, prior=prior, weight_prior=1.0)
    values = log_posterior(model, x, w, prior, 1.0)
    parameters = dict(model.named_parameters())
    grads = torch.autograd.grad(values, list(parameters.values()))
    worst = {}
    for (name, p), grad in zip(parameters.items(), grads, strict=True):
        if name == "weights":
            slope = p * (grad - (p * grad).sum())
        elif name.startswith("probs") and "Bernoulli" in repr(owner(family, name)):
            slope = p * (1 - p) * grad
        elif name.startswith("probs"):
            tables = owner(family, name).tables
            pairs = zip(tables(p), tables(grad), strict=True)
            slope = torch.cat([q * (g - (q * g).sum(1, keepdim=True)) for q, g in pairs], dim=1)
        elif name.startswith("degrees"):
            inside = (p < 9990) & (p > 0.1001)
            slope = torch.where(inside, p * grad, 0.0)
        else:
            slope = grad * p.abs().clamp_max(1.0)
        worst[name] = slope.abs().max().item()
    assert max(worst.values()) < 1e-4, worst


def owner(family, name):
    """The family of a parameter."""
    return family.parts[int(name[-1])][1] if isinstance(family, Product) else family


@pytest.mark.parametrize("family", LEARNED, ids=names)
def test_weights_stand_for_repeated_rows(draw_mixture, some_rows, family):
    x = some_rows(4, family, 30, 0.2)
    w = np.random.default_rng(0).integers(0, 4, 30)
    weighted, repeated = draw_mixture(3, family, 2), draw_mixture(3, family, 2)
    options = {"init": "current", "max_iter": 10, "tol": 0, "prior": 1.0}
    weighted.fit(x, w, **options)
    repeated.fit(np.repeat(x, w, axis=0), **options)
    for (name, a), b in zip(weighted.named_parameters(), repeated.parameters(), strict=True):
        if name.startswith("degrees"):
            a, b = 1 / a, 1 / b  # thousands of degrees are as good as thousands more
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(
        [step["objective"] for step in weighted.history],
        [step["objective"] for step in repeated.history],
        rtol=1e-10,
    )


@pytest.mark.parametrize("family", LEARNED, ids=names)
@pytest.mark.parametrize("init", ["kmeans", "random", "random_from_data"])
def test_every_start_leads_somewhere(some_rows, family, init):
    x = some_rows(4, family, 50, 0.2)
    x[0] = math.nan
    model = Mixture(3, family)
    options = {"init": init, "n_init": 2, "max_iter": 20, "tol": 0, "prior": 0.5, "generator": 0}
    first = model.fit(x, **options).state_dict()
    first = {name: p.clone() for name, p in first.items()}
    assert {step["start"] for step in model.history} == {0, 1}
    assert (model.weights > 0).all()
    again = Mixture(3, family).fit(x, **options)
    for name, p in again.state_dict().items():
        assert torch.equal(p, first[name])
    assert abs(model.log_prob(x)[0].item()) < 1e-15


@pytest.mark.parametrize("family", LEARNED, ids=names)
def test_a_dead_component_stays_and_hurts_nothing(draw_mixture, some_rows, family):
    x = some_rows(4, family, 40, 0.2)
    dead, alive = draw_mixture(3, family, 3), draw_mixture(3, family, 3)
    with torch.no_grad():
        dead.weights.copy_(torch.tensor([0.5, 0.0, 0.5]))
    kept = {name: p[1].clone() for name, p in dead.named_parameters() if name != "weights"}
    dead.fit(x, init="current", max_iter=10, tol=0)
    assert dead.weights[1] == 0
    for name, value in kept.items():
        if not name.startswith("degrees"):
            torch.testing.assert_close(getattr(dead, name)[1], value)
    small = Mixture(2, family)
    with torch.no_grad():
        small.weights.fill_(0.5)
        for name in kept:
            getattr(small, name).copy_(getattr(alive, name)[[0, 2]])
    small.fit(x, init="current", max_iter=10, tol=0)
    torch.testing.assert_close(small.log_prob(x), dead.log_prob(x))


@pytest.mark.parametrize("family", [Bernoulli(3), Categorical((2, 3, 2)), Poisson(3)], ids=names)
def test_hard_zeros_stay_zero(draw_mixture, family):
    model = draw_mixture(2, family, 2)
    name = "rates" if isinstance(family, Poisson) else "probs"
    with torch.no_grad():
        getattr(model, name)[0, 0] = 0.0
        if isinstance(family, Categorical):
            model.probs[0, 1] = 1.0
    x = [[0, 1, 1], [1, 1, 0], [1, 0, 1], [0, 0, 1], [0, 2 if name == "rates" else 1, 1]]
    model.fit(x, init="current", prior=1.0, max_iter=20, tol=0)
    assert getattr(model, name)[0, 0] == 0.0 and getattr(model, name)[1, 0] > 0
    share, never = model.predict_proba(x)[:, 0], torch.tensor([row[0] > 0 for row in x])
    if name == "probs" and isinstance(family, Categorical):
        never = ~never
    assert (share[never] == 0).all() and (share[~never] > 0).all()


@pytest.mark.parametrize("family", [Gaussian(2), StudentT(2), StudentT(2, "diag")], ids=names)
def test_a_start_below_the_floor_is_raised_to_it(draw_mixture, some_rows, family):
    model, x = draw_mixture(2, family, 2), some_rows(3, family, 40)
    with torch.no_grad():
        (model.covariances if isinstance(family, Gaussian) else model.scales).mul_(1e-9)
    model.fit(x, init="current", max_iter=20, tol=0)
    assert len(model.history) == 20
