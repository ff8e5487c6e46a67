"""Naive Bayes: draws from the joint law."""

from __future__ import annotations

import itertools

import pytest
import torch
from scipy.stats import binomtest, kstest, norm

from pgm.naive_bayes import NaiveBayes

# Words: I, like, loathe, reading.
TEXTS, SIGNS = [[1, 1, 0, 1], [1, 0, 1, 1]], ["+", "-"]


def trials(kind: str) -> dict:
    return {"n_trials": 5} if kind == "multinomial" else {}


def chance(count: int, n: int, p: float) -> float:
    """How probable a count as extreme is."""
    return binomtest(count, n, min(p, 1.0)).pvalue


@pytest.mark.parametrize("kind", ["bernoulli", "categorical"])
def test_draws_follow_the_joint_law(rows, kind):
    """Every cell of the joint table; false alarms below one in a million, all cells together."""
    x, y, weight = rows(kind, 3, d=2)
    model = NaiveBayes(kind, class_prior=[0.2, 0.0, 0.8]).fit(x, y, weight)
    n = 20_000
    x, y = model.sample(n, generator=1)
    assert x.dtype == (torch.int64 if kind == "categorical" else torch.float64)
    states = list(itertools.product(range(2 if kind == "bernoulli" else 4), repeat=2))
    law = model.joint_log_prob(states).exp()
    cells = [(k, s) for k in range(3) for s in range(len(states))]
    for k, s in cells:
        count = int(((y == k) & (x == torch.tensor(states[s])).all(1)).sum())
        assert chance(count, n, law[s, k].item()) > 1e-6 / len(cells)
    uneven = (n - 1000, n)  # a wrong law, by one draw in twenty, is noticed
    assert chance(uneven[0], n, 0.99) < 1e-6


def test_multinomial_draws(model_of):
    """Totals are exact; every count is binomial; false alarms below one in a million."""
    model = model_of("multinomial")
    n, n_trials = 4000, 6
    x, y = model.sample(n, n_trials=n_trials, generator=2)
    assert x.dtype == torch.float64 and (x.sum(1) == n_trials).all()
    share = model.feature_log_prob.exp()
    for k in range(3):
        own = x[y == k]
        for j in range(5):
            p = chance(int(own[:, j].sum()), len(own) * n_trials, share[k, j].item())
            assert p > 1e-6 / 15
    assert model.sample(2, n_trials=0, generator=0)[0].tolist() == [[0.0] * 5] * 2


def test_gaussian_draws(model_of):
    """Kolmogorov-Smirnov per class and feature; false alarms below one in a million."""
    model = model_of("gaussian")
    x, y = model.sample(6000, generator=3)
    for k in range(3):
        for j in range(5):
            law = norm(model.means[k, j].item(), model.variances[k, j].sqrt().item())
            assert kstest(x[y == k, j].numpy(), law.cdf).pvalue > 1e-6 / 15
    off = norm(model.means[0, 0].item(), model.variances[0, 0].item())
    assert kstest(x[y == 0, 0].numpy(), off.cdf).pvalue < 1e-6, "the variance is no deviation"


@pytest.mark.parametrize("kind", ["gaussian", "bernoulli", "categorical", "multinomial"])
def test_draws_follow_the_seed(model_of, kind):
    model = model_of(kind)
    before = torch.random.get_rng_state()
    first, second = (model.sample(50, generator=7, **trials(kind)) for _ in range(2))
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])
    assert torch.equal(torch.random.get_rng_state(), before)
    shared = torch.Generator().manual_seed(7)
    drawn = [model.sample(50, generator=shared, **trials(kind))[0] for _ in range(2)]
    assert torch.equal(drawn[0], first[0]) and not torch.equal(drawn[1], first[0])
    x, y = model.sample(0, generator=0, **trials(kind))
    assert x.shape == (0, 5) and y.shape == (0,)


def test_draws_have_labels():
    model = NaiveBayes("bernoulli").fit(TEXTS, SIGNS)
    assert set(model.sample(100, generator=0)[1].tolist()) == {"+", "-"}


def test_what_cannot_be_drawn(model_of):
    with pytest.raises(ValueError, match="'complement' is no model of the features"):
        model_of("complement").sample(1)
    with pytest.raises(ValueError, match="n_trials must be given for kind 'multinomial'"):
        model_of("multinomial").sample(1)
    with pytest.raises(ValueError, match=r"n_trials must be given .* for no other"):
        model_of("gaussian").sample(1, n_trials=3)
    with pytest.raises(ValueError, match="n must be at least 0, found -1"):
        model_of("gaussian").sample(-1)
    with pytest.raises(ValueError, match="n_trials must be at least 0, found -1"):
        model_of("multinomial").sample(1, n_trials=-1)
