"""Draws: exact laws on small spaces, tested with a false-alarm rate of one in a million.

Every test compares counts of independent draws with exact probabilities by Pearson's statistic,
whose quantile at 1e-7 leaves room for all of them together. A wrong law must be rejected.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import logsumexp

from pgm.hidden_markov_model import HiddenMarkovModel

NAN = math.nan
ALARM = 1e-7


def fits(codes, probabilities):
    """Whether counts of codes agree with probabilities; impossible codes never occur."""
    counts = np.bincount(codes, minlength=len(probabilities))
    assert len(counts) == len(probabilities)
    possible = probabilities > 0
    if counts[~possible].any():
        return False
    expected = probabilities[possible] * counts.sum()
    if possible.sum() == 1:
        return True
    statistic = ((counts[possible] - expected) ** 2 / expected).sum()
    return statistic < stats.chi2(possible.sum() - 1).isf(ALARM)


def path_codes(paths, n_states):
    """Paths (S, T) as numbers."""
    return np.asarray(paths) @ n_states ** np.arange(np.asarray(paths).shape[1])


def with_zeros(model):
    """The model with a transition and a symbol that are impossible."""
    with torch.no_grad():
        model.transitions[0, 1] = 0
        model.transitions /= model.transitions.sum(1, keepdim=True)
        if model.emission == "categorical":
            model.emission_probs[1, 0] = 0
            model.emission_probs /= model.emission_probs.sum(1, keepdim=True)
    return model


def test_states_and_symbols_have_their_law(joint_law, draw_model):
    model = with_zeros(draw_model(np.random.default_rng(0), 2, n_symbols=2))
    drawn = model.sample(100_000, 3, generator=0)
    assert drawn.observations.shape == drawn.states.shape == (100_000, 3)
    law = np.zeros(64)
    for x in np.ndindex(2, 2, 2):
        paths, logs = joint_law(model, np.array(x))
        law[path_codes(paths, 2) + 8 * path_codes([x], 2)] = np.exp(logs)
    codes = path_codes(drawn.states.numpy(), 2) + 8 * path_codes(drawn.observations.numpy(), 2)
    assert fits(codes, law)
    # A chain that begins in its second step is rejected.
    shifted = np.roll(drawn.states.numpy(), 1, axis=1)
    assert not fits(path_codes(shifted, 2) + 8 * path_codes(drawn.observations.numpy(), 2), law)


def test_long_chains_are_drawn_in_parts(draw_model, monkeypatch):
    model = draw_model(np.random.default_rng(0), 2, n_symbols=2)
    monkeypatch.setattr("pgm.hidden_markov.chains.DRAWS", 8)
    states = model.sample(4_000, 6, generator=0).states.numpy()
    law = model.start.numpy()
    for column in range(6):
        assert fits(states[:, column], law)
        law = law @ model.transitions.numpy()


@pytest.mark.parametrize("missing", [False, True])
def test_paths_given_observations_have_the_posterior_law(joint_law, draw_model, missing):
    model = with_zeros(draw_model(np.random.default_rng(3), 3, n_symbols=3))
    sequences = [np.array([0, 2, 1, -1 if missing else 1]), np.array([], dtype=int), np.array([1])]
    draws = model.posterior_sample(sequences, 20_000, generator=1)
    assert [tuple(d.shape) for d in draws] == [(20_000, 4), (20_000, 0), (20_000, 1)]
    for x, paths in zip(sequences, draws, strict=True):
        every, logs = joint_law(model, x)
        law = np.zeros(3 ** len(x))
        law[path_codes(every, 3)] = np.exp(logs - logsumexp(logs))
        assert fits(path_codes(paths.numpy(), 3), law)
    # Independent draws from the marginals are rejected: the steps belong together.
    marginals = model.posterior(sequences[0])[0]
    wrong = torch.multinomial(marginals, 20_000, True, generator=torch.Generator().manual_seed(0))
    every, logs = joint_law(model, sequences[0])
    law = np.zeros(81)
    law[path_codes(every, 3)] = np.exp(logs - logsumexp(logs))
    assert not fits(path_codes(wrong.T.numpy(), 3), law)


@pytest.mark.parametrize("covariance_type", ["diag", "spherical", "full", "tied"])
def test_vectors_have_their_moments(draw_model, covariance_type):
    shape = {"n_features": 2, "covariance_type": covariance_type}
    model = draw_model(np.random.default_rng(1), 2, "gaussian", **shape)
    x, states = model.sample(40_000, 2, generator=0)
    assert x.shape == (40_000, 2, 2) and states.shape == (40_000, 2)
    own = HiddenMarkovModel(1, "gaussian", **shape)
    for k in range(2):
        with torch.no_grad():
            own.means.copy_(model.means[k])
            tied = covariance_type == "tied"
            own.covariances.copy_(model.covariances if tied else model.covariances[k])
        mine = x[states == k]
        # Whitened vectors are standard normal: squared lengths are chi-squared.
        full = own.covariances
        if covariance_type == "spherical":
            full = own.covariances[..., None] * torch.eye(2, dtype=torch.float64)
        elif covariance_type == "diag":
            full = own.covariances[0].diag()
        root = torch.linalg.cholesky(full.view(2, 2))
        z = torch.linalg.solve_triangular(root, (mine - own.means[0]).T, upper=False).numpy()
        for row in (*z, (z[0] + z[1]) / math.sqrt(2)):
            assert stats.kstest(row, "norm").pvalue > ALARM
        assert stats.kstest(z[0] * 1.1, "norm").pvalue < ALARM


def test_counts_have_their_law(draw_model):
    model = draw_model(np.random.default_rng(1), 1, "poisson", n_features=1)
    x = model.sample(30_000, 1, generator=0).observations.flatten().long().numpy()
    law = stats.poisson(model.rates.item()).pmf(np.arange(x.max() + 1))
    law[-1] += 1 - law.sum()
    assert fits(x, law)


def test_seeds_and_sizes(draw_model):
    model = draw_model(np.random.default_rng(1), 3, n_symbols=4)
    a, b = model.sample(5, 7, generator=3), model.sample(5, 7, generator=3)
    assert a.states.equal(b.states) and a.observations.equal(b.observations)
    assert model.sample(0, 3).states.shape == (0, 3)
    assert model.sample(3, 0).observations.shape == (3, 0)
    x = [[0, 1], [2]]
    first, second = (model.posterior_sample(x, 4, generator=3) for _ in range(2))
    assert all(p.equal(q) for p, q in zip(first, second, strict=True))
    assert model.posterior_sample([], 4) == []
    with pytest.raises(ValueError, match="n must be at least 0"):
        model.sample(-1, 3)
    with pytest.raises(ValueError, match="length must be at least 0"):
        model.sample(1, -3)
    with pytest.raises(ValueError, match="n must be at least 0"):
        model.posterior_sample(x, -1)


def test_draws_can_be_scored_in_every_shape(draw_model):
    for emission, shape in (
        ("categorical", {"n_symbols": 3}),
        ("gaussian", {"n_features": 1}),
        ("gaussian", {"n_features": 2}),
        ("poisson", {"n_features": 2}),
    ):
        model = draw_model(np.random.default_rng(1), 2, emission, **shape)
        for n, length in ((4, 1), (1, 4), (3, 5)):
            assert model.log_prob(model.sample(n, length).observations).shape == (n,)
