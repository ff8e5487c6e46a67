"""Numbers of other programs: reference data, and hmmlearn where it is installed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pgm.hidden_markov_model import HiddenMarkovModel

NAMES = {
    "start": "startprob",
    "transitions": "transmat",
    "emission_probs": "emissionprob",
    "means": "means",
    "covariances": "covars",
}


def as_model(entry):
    """The model of a reference entry."""
    k = len(entry["startprob"])
    model = HiddenMarkovModel(k, n_symbols=4)
    if entry["kind"] == "gaussian_full":
        model = HiddenMarkovModel(k, "gaussian", n_features=2, covariance_type="full")
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(torch.tensor(entry[NAMES[name]], dtype=torch.float64))
    return model


@pytest.fixture(scope="module")
def faithful(shared):
    """Durations and waiting times in the order of the eruptions."""
    path = shared / "data" / "faithful.csv"
    if not path.exists():
        pytest.skip("needs faithful.csv")
    return np.loadtxt(path, delimiter=",", skiprows=1, usecols=(-2, -1))


@pytest.mark.parametrize("number", [0, 1])
def test_categorical(references, number):
    entry = references["hmm"][number]
    model = as_model(entry)
    x = entry["obs"]
    assert model.log_prob(x).item() == pytest.approx(entry["loglik"], abs=1e-9)
    paths, scores = model.viterbi(x)
    assert paths[0].tolist() == entry["viterbi_path"]
    assert scores.item() == pytest.approx(entry["viterbi_logprob"], abs=1e-9)
    expected = torch.tensor(entry["posteriors_first8"], dtype=torch.float64)
    assert torch.allclose(model.posterior(x)[0][:8], expected, atol=1e-9, rtol=0)


def test_gaussian(references, faithful):
    entry = references["hmm"][2]
    model = as_model(entry)
    assert model.log_prob(faithful).item() == pytest.approx(entry["loglik"], abs=1e-9)
    paths, scores = model.viterbi(faithful)
    assert scores.item() == pytest.approx(entry["viterbi_logprob"], abs=1e-9)
    assert paths[0].tolist() == entry["viterbi_path"]


def test_baum_welch(references):
    entry = references["hmm_baum_welch"]
    expected = entry["total_loglik_at_params_after_t_M_steps"]
    model = as_model(references["hmm"][1])
    x = np.array(references["hmm"][1]["obs"])
    model.fit(x, lengths=[100, 100], init="current", max_iterations=6, tolerance=0)
    # An entry of the history belongs to the parameters before its step.
    found = [step["log_likelihood"] for step in model.history]
    assert found == pytest.approx(expected, abs=1e-9)
    for name in ("start", "transitions", "emission_probs"):
        values = torch.tensor(entry[f"final_{NAMES[name]}"], dtype=torch.float64)
        assert torch.allclose(getattr(model, name), values, atol=1e-9, rtol=0)


@pytest.fixture(scope="module")
def hmmlearn():
    """The module of the peer."""
    return pytest.importorskip("hmmlearn.hmm")


def as_peer(hmmlearn, model, implementation, **settings):
    """The same model."""
    k = model.n_states
    common = {"init_params": "", "implementation": implementation, "tol": -np.inf, **settings}
    if model.emission == "categorical":
        common["params"] = "ste"
        peer = hmmlearn.CategoricalHMM(k, **common)
        peer.emissionprob_ = model.emission_probs.numpy().copy()
    else:
        common["params"] = "stmc"
        # Its estimates with these priors are those of maximum likelihood.
        kind = model.config()["covariance_type"]
        peer = hmmlearn.GaussianHMM(k, kind, covars_prior=0.0, covars_weight=1.0, **common)
        peer.means_ = model.means.numpy().copy()
        peer.covars_ = model.covariances.numpy().copy()
    peer.startprob_ = model.start.numpy().copy()
    peer.transmat_ = model.transitions.numpy().copy()
    return peer


PEERS = [
    ("categorical", {"n_symbols": 5}),
    *[
        ("gaussian", {"n_features": 2, "covariance_type": kind})
        for kind in ("diag", "spherical", "full", "tied")
    ],
]


@pytest.mark.parametrize(("kind", "shape"), PEERS)
@pytest.mark.parametrize("implementation", ["log", "scaling"])
def test_hmmlearn_has_the_same_probabilities(hmmlearn, draw_model, kind, shape, implementation):
    rng = np.random.default_rng(0)
    model = draw_model(rng, 4, kind, **shape)
    peer = as_peer(hmmlearn, model, implementation)
    lengths = [30, 1, 50]
    x = rng.integers(0, 5, (81, 1)) if kind == "categorical" else rng.normal(size=(81, 2)) * 2
    total = model.log_prob(x, lengths=lengths).sum().item()
    assert total == pytest.approx(peer.score(x, lengths), rel=1e-11)
    rows = torch.cat(model.posterior(x, lengths=lengths)).numpy()
    assert np.abs(rows - peer.predict_proba(x, lengths)).max() < 1e-9
    score, states = peer.decode(x, lengths)
    paths, scores = model.viterbi(x, lengths=lengths)
    assert scores.sum().item() == pytest.approx(score, rel=1e-11)
    assert torch.cat(paths).tolist() == states.tolist()


@pytest.mark.parametrize(("kind", "shape"), PEERS)
def test_hmmlearn_learns_the_same(hmmlearn, draw_model, kind, shape):
    rng = np.random.default_rng(1)
    model = draw_model(rng, 3, kind, **shape)
    peer = as_peer(hmmlearn, model, "scaling", n_iter=8)
    lengths = [40, 25, 60]
    x = rng.integers(0, 5, (125, 1)) if kind == "categorical" else rng.normal(size=(125, 2)) * 2
    peer.fit(x, lengths)
    settings = {"init": "current", "max_iterations": 8, "tolerance": 0.0, "covariance_floor": 0.0}
    model.fit(x, lengths=lengths, **settings)
    found = [step["log_likelihood"] for step in model.history]
    assert found == pytest.approx(list(peer.monitor_.history), rel=1e-9)
    assert np.abs(model.transitions.numpy() - peer.transmat_).max() < 1e-8
