"""Baum-Welch: single steps against sums over paths, and what a whole fit promises."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from pgm.hidden_markov_model import HiddenMarkovModel
from tests.pgm.hidden_markov.sequences import some_sequences

NAN = math.nan
KINDS = [
    ("categorical", {"n_symbols": 3}),
    ("gaussian", {"n_features": 2, "covariance_type": "diag"}),
    ("gaussian", {"n_features": 2, "covariance_type": "spherical"}),
    ("gaussian", {"n_features": 3, "covariance_type": "full"}),
    ("gaussian", {"n_features": 3, "covariance_type": "tied"}),
    ("poisson", {"n_features": 2}),
]


def expectations(joint_law, model, sequences, weights):
    """Expected first states, transitions, and weights of all tokens in all states."""
    k = model.n_states
    first, pairs, rows = np.zeros(k), np.zeros((k, k)), []
    for x, weight in zip(sequences, weights, strict=True):
        paths, logs = joint_law(model, x)
        shares = weight * np.exp(logs - logsumexp(logs))
        gamma = np.zeros((len(x), k))
        for path, share in zip(paths, shares, strict=True):
            gamma[np.arange(len(x)), path] += share
            first[path[:1]] += share
            np.add.at(pairs, (path[:-1], path[1:]), share)
        rows.append(gamma)
    return first, pairs, np.concatenate(rows)


def expected_moments(model, x, gamma):
    """Means and covariances (K, D, D) of vectors whose missing entries are expected."""
    k, d = model.means.shape
    means, covariances = np.zeros((k, d)), np.zeros((k, d, d))
    for s in range(k):
        mean = model.means[s].numpy()
        cov = model.covariances.numpy()
        cov = cov if cov.ndim == 2 else cov[s]
        filled, extra = x.copy(), np.zeros((d, d))
        for row, weight in zip(filled, gamma[:, s], strict=True):
            seen = ~np.isnan(row)
            gain = cov[:, seen] @ np.linalg.pinv(cov[np.ix_(seen, seen)])
            expected = mean + gain @ (row[seen] - mean[seen])
            rest = cov - gain @ cov[seen]
            row[~seen] = expected[~seen]
            extra += weight * np.where(np.outer(~seen, ~seen), rest, 0.0)
        total = gamma[:, s].sum()
        means[s] = gamma[:, s] @ filled / total
        gaps = filled - means[s]
        covariances[s] = (gaps.T * gamma[:, s]) @ gaps + extra
    return means, covariances


@pytest.mark.parametrize("gaps", [0.0, 0.3])
@pytest.mark.parametrize(("kind", "shape"), KINDS)
def test_one_step_is_the_expected_estimate(joint_law, draw_model, kind, shape, gaps):
    rng = np.random.default_rng(11)
    model = draw_model(rng, 2, kind, **shape)
    sequences = some_sequences(rng, kind, shape, [5, 6, 0, 4], gaps)
    weights = np.array([1.0, 2.5, 1.0, 0.5])
    first, pairs, gamma = expectations(joint_law, model, sequences, weights)
    x = np.concatenate(sequences)
    before = draw_model(np.random.default_rng(11), 2, kind, **shape)
    once = {"max_iterations": 1, "covariance_floor": 0.0}
    model.fit(sequences, sample_weight=weights, init="current", **once)
    assert np.allclose(model.start, first / first.sum(), atol=1e-12)
    assert np.allclose(model.transitions, pairs / pairs.sum(1, keepdims=True), atol=1e-12)
    if kind == "categorical":
        counts = np.stack([gamma[x == m].sum(0) for m in range(3)], axis=1)
        assert np.allclose(model.emission_probs, counts / counts.sum(1, keepdims=True), atol=1e-12)
        return
    seen = ~np.isnan(x)
    known = np.where(seen, x, 0.0)
    weight = gamma.T @ seen
    if kind == "poisson":
        assert np.allclose(model.rates, gamma.T @ known / weight, atol=1e-12)
    elif shape["covariance_type"] in ("diag", "spherical"):
        means = gamma.T @ known / weight
        squares = np.stack(
            [gamma[:, s] @ np.where(seen, (x - means[s]) ** 2, 0.0) for s in range(2)]
        )
        variances = squares / weight
        if shape["covariance_type"] == "spherical":
            variances = squares.sum(1) / weight.sum(1)
        assert np.allclose(model.means, means, atol=1e-12)
        assert np.allclose(model.covariances, variances, atol=1e-12)
    else:
        means, scatter = expected_moments(before, x, gamma)
        total = gamma.sum(0)
        expected = scatter / total[:, None, None]
        if shape["covariance_type"] == "tied":
            expected = scatter.sum(0) / total.sum()
        assert np.allclose(model.means, means, atol=1e-12)
        assert np.allclose(model.covariances, expected, atol=1e-12)


def test_the_bound_touches_at_the_expectation(joint_law, draw_model):
    """log p = ELBO + KL for any numbers, and KL = 0 where the posterior was taken."""
    rng = np.random.default_rng(2)
    model = draw_model(rng, 3, "gaussian", n_features=2, covariance_type="full")
    (x,) = some_sequences(rng, "gaussian", {"n_features": 2}, [5], 0.2)
    _, logs = joint_law(model, x)
    log_q = logs - logsumexp(logs)
    q = np.exp(log_q)
    old = model.log_prob(x).item()
    assert q @ (logs - log_q) == pytest.approx(old, abs=1e-11)
    model.fit(x, init="current", max_iterations=1)
    _, moved = joint_law(model, x)
    finite = q > 0
    bound = q[finite] @ (moved - log_q)[finite]
    new = model.log_prob(x).item()
    divergence = q[finite] @ (log_q - (moved - logsumexp(moved)))[finite]
    assert new == pytest.approx(bound + divergence, abs=1e-10)
    assert old <= bound <= new and divergence > 0


@pytest.mark.parametrize(("kind", "shape"), KINDS)
@pytest.mark.parametrize("init", ["kmeans", "random", "current"])
def test_every_step_climbs(draw_model, kind, shape, init):
    rng = np.random.default_rng(7)
    sequences = some_sequences(rng, kind, shape, [30, 1, 0, 25], 0.2)
    model = draw_model(rng, 3, kind, **shape)
    if kind == "categorical" and init == "kmeans":
        with pytest.raises(ValueError, match="init must be 'random' or 'current'"):
            model.fit(sequences, init=init)
        return
    priors = {"start_prior": 0.5, "transition_prior": 0.1 * torch.ones(3, 3)}
    if kind == "categorical":
        priors["emission_prior"] = 0.3
    floor = 0.05  # large, so that it holds some states back
    chosen = {"covariance_floor": floor, "generator": 1, "tolerance": 0.0, **priors}
    model.fit(sequences, init=init, max_iterations=40, **chosen)
    climbed = [step["objective"] for step in model.history]
    assert len(climbed) == 40
    assert all(b >= a - 1e-9 * abs(a) for a, b in pairwise(climbed))
    assert climbed[-1] > climbed[0]
    assert not any(step["taken_back"] for step in model.history)
    reached = model.log_prob(sequences).sum().item()
    model.fit(sequences, init="current", max_iterations=1, **chosen)
    assert model.history[0]["log_likelihood"] == pytest.approx(reached, rel=1e-12)
    assert model.history[0]["objective"] >= climbed[-1] - 1e-9 * abs(climbed[-1])


def test_the_history_holds_the_objective(draw_model):
    rng = np.random.default_rng(1)
    model = draw_model(rng, 2, n_symbols=3)
    x = rng.integers(0, 3, (4, 10))
    before = model.log_prob(x).sum().item()
    logs = [0.5 * model.start.log().sum(), 0.25 * model.transitions.log().sum()]
    logs.append(2.0 * model.emission_probs.log().sum())
    priors = {"start_prior": 0.5, "transition_prior": 0.25, "emission_prior": 2.0}
    model.fit(x, init="current", max_iterations=3, tolerance=0.0, **priors)
    assert model.history[0]["log_likelihood"] == pytest.approx(before, abs=1e-11)
    assert model.history[0]["objective"] == pytest.approx(before + sum(logs).item(), abs=1e-11)
    assert set(model.history[0]) == {
        "start",
        "iteration",
        "objective",
        "change",
        "log_likelihood",
        "empty_states",
        "taken_back",
    }


def test_pseudo_counts_are_added(joint_law, draw_model):
    rng = np.random.default_rng(1)
    model = draw_model(rng, 2, n_symbols=3)
    x = [[0, 1, 2, 1], [2, 2, 0]]
    first, pairs, _ = expectations(joint_law, model, [np.array(s) for s in x], [1, 1])
    sticky = torch.tensor([[5.0, 0.0], [0.0, 5.0]])
    model.fit(x, init="current", max_iterations=1, start_prior=1.0, transition_prior=sticky)
    pairs = pairs + sticky.numpy()
    assert np.allclose(model.start, (first + 1) / (first + 1).sum(), atol=1e-12)
    assert np.allclose(model.transitions, pairs / pairs.sum(1, keepdims=True), atol=1e-12)


def test_zeros_stay_zeros_and_left_right_models_are_learned():
    rng = np.random.default_rng(0)
    stages = np.array([0.0, 4.0, 8.0])
    sequences = []
    for _ in range(20):
        states = np.repeat(np.arange(3), rng.integers(4, 9, 3))
        sequences.append(stages[states] + rng.normal(size=len(states)) * 0.3)
    model = HiddenMarkovModel(3, "gaussian")
    with torch.no_grad():
        model.start.copy_(torch.tensor([1.0, 0.0, 0.0]))
        steps = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]])
        model.transitions.copy_(steps)
    with pytest.raises(ValueError, match="fit it, or give"):
        model.fit(sequences, init="current")
    model.fit(sequences, keep=["start", "transitions"], generator=0, transition_prior=0.5)
    assert model.start.tolist() == [1.0, 0.0, 0.0]
    assert ((model.transitions == 0) == (steps == 0)).all()
    assert torch.allclose(model.means[:, 0], torch.from_numpy(stages), atol=0.2)
    assert model.n_parameters == 0 + 2 + 6


def test_weights_are_repetitions(draw_model):
    rng = np.random.default_rng(3)
    sequences = [rng.normal(size=(t, 2)) for t in (6, 9, 4)]
    repeated = [sequences[0], sequences[2], sequences[2], sequences[2]]
    models = [
        draw_model(np.random.default_rng(5), 2, "gaussian", n_features=2, covariance_type="full")
        for _ in range(2)
    ]
    # The floor refers to the scale of the data, which weights do not change.
    chosen = {"init": "current", "max_iterations": 5, "tolerance": 0, "covariance_floor": 0.0}
    models[0].fit(sequences, sample_weight=[1, 0, 3], **chosen)
    models[1].fit(repeated, **chosen)
    for (name, a), b in zip(models[0].named_parameters(), models[1].parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-11), name
    assert models[0].history[-1]["objective"] == pytest.approx(models[1].history[-1]["objective"])


def test_a_state_without_observations_keeps_its_numbers_and_is_reported():
    model = HiddenMarkovModel(3, "gaussian", n_features=1)
    with torch.no_grad():
        model.start.copy_(torch.tensor([0.5, 0.5, 0.0]))
        model.transitions.copy_(torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.2, 0.3, 0.5]]))
        model.means.copy_(torch.tensor([[0.0], [1.0], [7.0]]))
    model.fit(
        np.random.default_rng(0).normal(size=30), init="current", max_iterations=4, tolerance=0.0
    )
    assert all(step["empty_states"] == [2] for step in model.history)
    assert model.means[2].item() == 7.0 and model.covariances[2].item() == 1.0
    assert torch.allclose(model.transitions[2], torch.tensor([0.2, 0.3, 0.5]).double())


@pytest.mark.parametrize("covariance_type", ["diag", "spherical", "full", "tied"])
def test_equal_vectors_do_not_collapse(covariance_type):
    """Two values only: the likelihood has no bound without the floor."""
    x = np.tile([[0.0, 1.0], [10.0, 3.0]], (20, 1)) * 1e-3
    model = HiddenMarkovModel(3, "gaussian", covariance_type=covariance_type)
    model.fit(x, generator=0, n_init=3)
    assert all(p.isfinite().all() for p in model.parameters())
    matrices = model.covariances
    if covariance_type in ("diag", "spherical"):
        least = matrices.min().item()
    else:
        unit = torch.from_numpy(x.std(0))
        least = torch.linalg.eigvalsh(matrices / (unit[:, None] * unit)).min().item()
        assert least == pytest.approx(1e-6, rel=1e-6)
    assert least > 0
    with pytest.raises(ValueError, match="covariance_floor"):
        model.fit(x, generator=0, covariance_floor=0.0)


def test_the_floor_is_the_best_covariance_above_it():
    """Of all covariances above the floor, the one returned has the highest likelihood."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2)) @ np.array([[1.0, 0.9], [0.0, 0.05]])
    model = HiddenMarkovModel(1, "gaussian", covariance_type="full")
    model.fit(x, covariance_floor=0.3)
    best = model.log_prob(x).item()
    scale = np.minimum(x.std(0), np.subtract(*np.quantile(x, (0.75, 0.25), axis=0)) / 1.349)
    found = model.covariances[0].clone()
    for _ in range(50):
        step = rng.normal(size=(2, 2)) * rng.choice([1e-3, 1e-1])
        other = found.numpy() + step + step.T
        low = np.linalg.eigvalsh(other / np.outer(scale, scale)).min()
        if low < 0.3:
            continue
        with torch.no_grad():
            model.covariances.copy_(torch.from_numpy(other)[None])
        assert model.log_prob(x).item() <= best + 1e-9


def test_an_outlier_does_not_raise_the_floor():
    x = np.random.default_rng(0).normal(size=500)
    x[7] = 1e8
    model = HiddenMarkovModel(2, "gaussian").fit(x, generator=0)
    one, bulk = model.covariances.flatten().sort().values.tolist()
    assert 0.8 < bulk < 1.3
    assert 0.5e-6 < one < 2e-6  # the outlier's own state, at the floor


@settings(max_examples=20)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["diag", "spherical", "full", "tied"]),
    st.sampled_from(["outliers", "collinear", "rounded", "offset", "narrow"]),
    st.sampled_from([0.0, 0.5]),
)
def test_hard_data_are_learned_all_the_same(seed, covariance_type, kind, gaps):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(30, 3))
    if kind == "outliers":
        x[rng.random(30) < 0.1] *= 1e8
    elif kind == "collinear":
        x[:, 2] = x[:, 0] - x[:, 1]
    elif kind == "rounded":
        x = np.round(x)
    elif kind == "offset":
        x += 1e9
    else:
        x[::2, 0] = 1e6 + 1e-6 * x[::2, 0]
    x[rng.random(x.shape) < gaps] = NAN
    x[0] = np.where(np.isnan(x[0]), 1.0, x[0])
    x[1] = np.where(np.isnan(x[1]), 2.0, x[1])
    model = HiddenMarkovModel(int(rng.integers(1, 5)), "gaussian", covariance_type=covariance_type)
    model.fit(x, lengths=[20, 10], generator=seed, max_iterations=15, tolerance=0)
    climbed = [step["objective"] for step in model.history]
    assert all(b >= a - 1e-9 * (1 + abs(a)) for a, b in pairwise(climbed))
    assert model.log_prob(x).isfinite().all()
    assert all(p.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("covariance_type", ["diag", "spherical", "full", "tied"])
def test_fits_move_with_the_data(covariance_type):
    """Shifted and scaled data give the shifted and scaled model, whatever the units."""
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(size=(40, 2)), rng.normal(size=(40, 2)) * 0.3 + 4])
    x = np.round(x * 2**8) / 2**8
    plain = HiddenMarkovModel(2, "gaussian", covariance_type=covariance_type)
    plain.fit(x, generator=0, max_iterations=30, tolerance=0)
    moved = HiddenMarkovModel(2, "gaussian", covariance_type=covariance_type)
    moved.fit(x * 2.0**-10 + 2.0**10, generator=0, max_iterations=30, tolerance=0)
    assert torch.allclose(moved.means, plain.means * 2.0**-10 + 2.0**10, rtol=1e-13)
    assert torch.allclose(moved.covariances, plain.covariances * 2.0**-20, rtol=1e-8)
    assert torch.allclose(moved.transitions, plain.transitions, atol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
def test_fits_end_by_the_change_per_observed_token(weighted):
    x = np.random.default_rng(0).integers(0, 4, (5, 20))
    x[0, :7] = -1
    weights = np.array([1.0, 2.0, 0.5, 1.0, 3.0])
    observed = (weights @ (x >= 0)).sum() if weighted else (x >= 0).sum()
    chosen = {"generator": 0, "tolerance": 1e-4, "sample_weight": weights if weighted else None}
    model = HiddenMarkovModel(2).fit(x, **chosen)
    changes = [abs(step["change"]) / observed for step in model.history[1:]]
    assert changes[-1] < 1e-4 <= min(changes[:-1])


def test_the_best_of_several_starts_is_kept():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 4, (5, 20))
    model = HiddenMarkovModel(2).fit(x, n_init=5, generator=0, max_iterations=100)
    ends = {}
    for step in model.history:
        ends[step["start"]] = step["objective"]
    assert set(ends) == set(range(5))
    assert model.log_prob(x).sum().item() >= max(ends.values()) - 1e-9
    again = HiddenMarkovModel(2).fit(x, n_init=5, generator=0, max_iterations=100)
    assert again.emission_probs.equal(model.emission_probs)


def test_missing_entries_are_learned_from(draw_model):
    """Gaps cost precision only: the fit finds the truth with a fifth of the entries missing."""
    truth = HiddenMarkovModel(2, "gaussian", n_features=2, covariance_type="full")
    with torch.no_grad():
        truth.means.copy_(torch.tensor([[0.0, 0.0], [3.0, 1.0]]))
        truth.covariances.copy_(
            torch.tensor([[[1.0, 0.8], [0.8, 1.0]], [[0.5, -0.3], [-0.3, 0.5]]])
        )
        truth.transitions.copy_(torch.tensor([[0.9, 0.1], [0.2, 0.8]]))
    x = truth.sample(40, 100, generator=0).observations
    holes = torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) < 0.2
    model = HiddenMarkovModel(2, "gaussian", covariance_type="full")
    model.fit(x.masked_fill(holes, NAN), generator=0)
    order = model.means[:, 0].argsort()
    assert torch.allclose(model.means[order], truth.means, atol=0.15)
    assert torch.allclose(model.covariances[order], truth.covariances, atol=0.15)
    assert torch.allclose(model.transitions[order][:, order], truth.transitions, atol=0.05)
