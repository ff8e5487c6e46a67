"""Probabilities of sequences and states, against sums over all paths."""

from __future__ import annotations

import math

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
    ("gaussian", {"n_features": 2, "covariance_type": "full"}),
    ("gaussian", {"n_features": 3, "covariance_type": "tied"}),
    ("poisson", {"n_features": 2}),
]


@pytest.mark.parametrize(("kind", "shape"), KINDS)
@settings(max_examples=15)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 3),
    st.lists(st.integers(0, 4), min_size=1, max_size=3),
    st.booleans(),
)
def test_everything_agrees_with_sums_over_paths(
    joint_law, draw_model, kind, shape, seed, n_states, lengths, zeros
):
    rng = np.random.default_rng(seed)
    model = draw_model(rng, n_states, kind, **shape)
    if zeros and n_states > 1:
        with torch.no_grad():  # a left-right chain
            model.transitions.copy_(model.transitions.triu())
            model.transitions /= model.transitions.sum(1, keepdim=True)
    sequences = some_sequences(rng, kind, shape, lengths)
    log_probs = model.log_prob(sequences)
    posteriors = model.posterior(sequences)
    best, scores = model.viterbi(sequences)
    assert len(log_probs) == len(posteriors) == len(best) == len(lengths)
    for i, sequence in enumerate(sequences):
        paths, logs = joint_law(model, sequence)
        total = logsumexp(logs)
        assert log_probs[i].item() == pytest.approx(total, abs=1e-11)
        weights = np.exp(logs - total)
        expected = np.zeros((len(sequence), n_states))
        for path, weight in zip(paths, weights, strict=True):
            expected[np.arange(len(sequence)), path] += weight
        assert np.abs(posteriors[i].numpy() - expected).max(initial=0) < 1e-12
        assert scores[i].item() == pytest.approx(logs.max(), abs=1e-11)
        mine = (paths == best[i].numpy()).all(1)
        assert logs[mine].item() == pytest.approx(logs.max(), abs=1e-11)


@pytest.mark.parametrize(("kind", "shape"), KINDS)
def test_a_missing_observation_is_the_sum_over_what_it_could_be(draw_model, kind, shape):
    rng = np.random.default_rng(3)
    model = draw_model(rng, 3, kind, **shape)
    (x,) = some_sequences(rng, kind, shape, [6], gaps=0.0)
    x[2] = -1 if kind == "categorical" else NAN
    if kind == "gaussian":  # nothing to sum over: the posterior is the step of the chain
        before, after = model.posterior(x[:2])[0][-1], model.posterior(x[:3])[0][-1]
        assert torch.allclose(after, before @ model.transitions, atol=1e-14)
        return
    values = range(shape.get("n_symbols", 60))
    rows = []
    for value in values:
        filled = x.copy()
        if kind == "categorical":
            filled[2] = value
        else:
            filled[2, 0], filled[2, 1] = value, NAN
        rows.append(filled)
    total = torch.logsumexp(model.log_prob(rows), 0)
    assert torch.allclose(total, model.log_prob(x)[0], atol=1e-10)


@pytest.mark.parametrize(("kind", "shape"), KINDS)
def test_factor_graph_is_the_same_law(draw_model, kind, shape):
    rng = np.random.default_rng(5)
    model = draw_model(rng, 3, kind, **shape)
    (x,) = some_sequences(rng, kind, shape, [7])
    graph = model.to_factor_graph(x)
    assert torch.allclose(graph.log_partition(), model.log_prob(x)[0], atol=1e-11)
    marginals = graph.marginals()
    rows = torch.stack([marginals[f"z{t}"] for t in range(7)])
    assert torch.allclose(rows, model.posterior(x)[0], atol=1e-12)


@pytest.mark.parametrize(("kind", "shape"), KINDS)
def test_a_batch_equals_a_loop_in_any_form(draw_model, kind, shape):
    rng = np.random.default_rng(6)
    model = draw_model(rng, 3, kind, **shape)
    sequences = some_sequences(rng, kind, shape, [4, 0, 6, 1])
    one_by_one = torch.cat([model.log_prob(x) for x in sequences])
    assert torch.allclose(model.log_prob(sequences), one_by_one, atol=1e-12)
    lengths = [len(x) for x in sequences]
    joined = np.concatenate(sequences)
    assert torch.allclose(model.log_prob(joined, lengths=lengths), one_by_one, atol=1e-12)
    padded = np.zeros((4, 6, *joined.shape[1:]), dtype=joined.dtype)
    for row, x in zip(padded, sequences, strict=True):
        row[: len(x)] = x
    tensor = torch.from_numpy(padded)
    assert torch.allclose(model.log_prob(tensor, lengths=lengths), one_by_one, atol=1e-12)
    flat = torch.cat(model.posterior(sequences))
    assert torch.allclose(flat, torch.cat(model.posterior(joined, lengths=lengths)), atol=1e-14)


def test_blocks_do_not_change_anything(draw_model, monkeypatch):
    model = draw_model(np.random.default_rng(1), 2, "gaussian", n_features=1)
    sequences = [list(range(t)) for t in (3, 1, 0, 5, 2)]
    whole = model.log_prob(sequences), model.posterior(sequences), model.viterbi(sequences)
    fitted = HiddenMarkovModel(2, "gaussian").fit(
        sequences, generator=0, max_iterations=3, tolerance=0.0
    )
    monkeypatch.setattr("pgm.hidden_markov.blocks.BLOCK_SIZE", 8)
    assert torch.allclose(model.log_prob(sequences), whole[0], atol=1e-13)
    for a, b in zip(model.posterior(sequences), whole[1], strict=True):
        assert torch.allclose(a, b, atol=1e-14)
    for a, b in zip(model.viterbi(sequences)[0], whole[2][0], strict=True):
        assert a.equal(b)
    again = HiddenMarkovModel(2, "gaussian").fit(
        sequences, generator=0, max_iterations=3, tolerance=0.0
    )
    assert torch.allclose(again.means, fitted.means, atol=1e-12)
    assert torch.allclose(again.transitions, fitted.transitions, atol=1e-12)


@pytest.mark.parametrize(("kind", "shape"), KINDS)
def test_gradients_reach_every_parameter(draw_model, kind, shape):
    rng = np.random.default_rng(8)
    model = draw_model(rng, 2, kind, **shape).requires_grad_()
    sequences = some_sequences(rng, kind, shape, [4, 1, 3])
    model.log_prob(sequences).sum().backward()
    symmetric = shape.get("covariance_type") in ("full", "tied")
    for name, p in model.named_parameters():
        assert p.grad is not None, name
        numeric = torch.zeros_like(p)
        for place in np.ndindex(*p.shape):
            values = []
            for sign in (1, -1):
                moved = draw_model(np.random.default_rng(8), 2, kind, **shape)
                own = getattr(moved, name)
                with torch.no_grad():
                    own[place] += sign * 4e-7  # within what counts as normalised
                    if name == "covariances" and symmetric:  # both halves move together
                        other = (*place[:-2], place[-1], place[-2])
                        if other != place:
                            own[other] += sign * 4e-7
                values.append(moved.log_prob(sequences).sum().item())
            numeric[place] = (values[0] - values[1]) / 8e-7
        found = p.grad
        if name == "covariances" and symmetric:
            eye = torch.eye(found.shape[-1], dtype=torch.bool)
            found = torch.where(eye, found, found + found.mT)
        assert torch.allclose(found, numeric, atol=2e-6 * (1 + numeric.abs().max())), name


def test_gradients_at_zeros_are_zeros():
    model = HiddenMarkovModel(2, n_symbols=2)
    with torch.no_grad():
        model.start.copy_(torch.tensor([1.0, 0.0]))
        model.transitions.copy_(torch.tensor([[0.5, 0.5], [0.0, 1.0]]))
        model.emission_probs.copy_(torch.tensor([[1.0, 0.0], [0.5, 0.5]]))
    model.requires_grad_()
    model.log_prob([[0, 1], [1], [0, 1, 0]])[[0, 2]].sum().backward()
    for p in model.parameters():
        assert p.grad is not None and p.grad.isfinite().all()
        assert (p.grad[p == 0] == 0).all()


def test_100_000_steps_are_stable(draw_model):
    model = draw_model(np.random.default_rng(2), 4, "gaussian", n_features=1)
    x = np.random.default_rng(0).normal(size=(100_000, 1)) * 3
    (rows,) = model.posterior(x)
    assert (rows.sum(1) - 1).abs().max() < 1e-12
    assert rows.isfinite().all() and (rows >= 0).all()
    # A chain is a product: two halves and what joins them.
    half = model.log_prob(x[:50_000])[0]
    rest = model.posterior(x[:50_000])[0][-1] @ model.transitions
    second = HiddenMarkovModel(4, "gaussian", n_features=1)
    second.load_state_dict(model.state_dict())
    with torch.no_grad():
        second.start.copy_(rest)
    expected = half + second.log_prob(x[50_000:])[0]
    assert torch.allclose(model.log_prob(x)[0], expected, rtol=1e-12)


@pytest.mark.parametrize("covariance_type", ["diag", "spherical", "full", "tied"])
def test_an_offset_of_a_million_loses_nothing(draw_model, covariance_type):
    rng = np.random.default_rng(4)
    shape = {"n_features": 2, "covariance_type": covariance_type}
    model = draw_model(rng, 3, "gaussian", **shape)
    # Powers of two, so that moved numbers are exact.
    x = np.round(rng.normal(size=(50, 2)) * 2**10) / 2**10
    with torch.no_grad():
        model.means.copy_((model.means * 2**10).round() / 2**10)
    plain, rows = model.log_prob(x), model.posterior(x)[0]
    with torch.no_grad():
        model.means += 2.0**20
    assert torch.allclose(model.log_prob(x + 2.0**20), plain, rtol=1e-13, atol=0)
    assert torch.allclose(model.posterior(x + 2.0**20)[0], rows, atol=1e-13)


def test_states_far_from_the_rest_are_as_exact(joint_law):
    """Expanded squares would cancel here: narrow states, far apart."""
    model = HiddenMarkovModel(2, "gaussian", n_features=2)
    with torch.no_grad():
        model.means.copy_(torch.tensor([[-1e5, 0.0], [1e5, 3.0]]))
        model.covariances.copy_(torch.tensor([[1e-4, 1.0], [1e-4, 1e-6]]))
    x = np.array([[-1e5 + 0.01, 0.5], [1e5 - 0.02, 3.001], [1e5, NAN], [NAN, 0.1]])
    _, logs = joint_law(model, x)
    assert model.log_prob(x)[0].item() == pytest.approx(logsumexp(logs), rel=1e-12)


def test_impossible_sequences():
    model = HiddenMarkovModel(2, n_symbols=2)
    with torch.no_grad():
        model.emission_probs.copy_(torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
    assert model.log_prob([[0, 0], [0, 1, 0], [0]]).tolist() == [0.0, -math.inf, 0.0]
    for method in (model.posterior, model.viterbi, model.posterior_sample):
        with pytest.raises(ValueError, match=r"sequence 1 has probability zero.*position 1"):
            method([[0, 0], [0, 1, 0], [0]])
    assert model.score([[0], [0, 0]]).item() == 0.0


def test_forecast_is_the_posterior_of_missing_observations(draw_model):
    model = draw_model(np.random.default_rng(9), 3, n_symbols=4)
    found = model.forecast([[0, 1, 2], [], [3]], 4)
    assert found.shape == (3, 4, 3)
    for row, x in zip(found, ([0, 1, 2], [], [3]), strict=True):
        rows = model.posterior([[*x, -1, -1, -1, -1]])[0][-4:]
        assert torch.allclose(row, rows, atol=1e-14)
    assert model.forecast([[0]], 0).shape == (1, 0, 3)


def test_stationary_distribution(draw_model):
    model = draw_model(np.random.default_rng(9), 3, n_symbols=4)
    pi = model.stationary_distribution()
    assert torch.allclose(pi @ model.transitions, pi, atol=1e-15)


def test_criteria(draw_model):
    model = draw_model(np.random.default_rng(9), 3, n_symbols=4)
    x = [[0, 1, 2], [3, 3]]
    total = model.log_prob(x).sum()
    assert model.n_parameters == 2 + 6 + 9
    assert torch.allclose(model.aic(x), 2 * 17 - 2 * total)
    assert torch.allclose(model.bic(x), 17 * math.log(5) - 2 * total)
    assert torch.allclose(model.score(x), total / 2)
    sizes = {"diag": 2 * 6, "spherical": 6 + 2, "full": 6 + 2 * 6, "tied": 6 + 6}
    for kind, size in sizes.items():
        gaussian = HiddenMarkovModel(2, "gaussian", n_features=3, covariance_type=kind)
        assert gaussian.n_parameters == 1 + 2 + size
    with torch.no_grad():
        gaussian.transitions.copy_(torch.tensor([[0.5, 0.5], [0.0, 1.0]]))
    assert gaussian.n_parameters == 1 + 1 + 12
    assert HiddenMarkovModel(2, "poisson", n_features=3).n_parameters == 1 + 2 + 6


def test_gaps_have_no_gradient_where_a_state_is_far_away():
    model = HiddenMarkovModel(2, "gaussian", n_features=2).requires_grad_()
    with torch.no_grad():
        model.means.copy_(torch.tensor([[0.0, 0.0], [1e9, 1e9]]))
    x = torch.tensor([[0.1, torch.nan], [0.2, 0.3]], dtype=torch.float64)
    model.log_prob([x]).sum().backward()
    for parameter in (model.means, model.covariances):
        assert parameter.grad.isfinite().all() and parameter.grad[0].abs().max() > 0
