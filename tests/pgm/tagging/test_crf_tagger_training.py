"""Training of the tagger: both methods, both precisions, weights, validation, interruptions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pgm.crf_tagger import CRFTagger

TIGHT = {"epsilon": 1e-8, "delta": 1e-12}


def loss_of(tagger, X, y, c1: float, c2: float) -> float:
    """The objective at a tagger's weights, from its probabilities."""
    weights = torch.cat([tagger.state_weights, tagger.transition_weights]).double()
    penalty = c2 * weights.square().sum() + c1 * weights.abs().sum()
    return float(penalty - tagger.log_prob(X, y).sum())


@pytest.mark.parametrize("c1", [0.0, 0.5])
def test_history_tells_the_loss(corpus, c1):
    X, y = corpus(0)
    tagger = CRFTagger(c1=c1, c2=0.3, precision="double").fit(X, y)
    last = tagger.history[-1]
    assert last["loss"] == pytest.approx(loss_of(tagger, X, y, c1, 0.3), rel=1e-12)
    losses = [record["loss"] for record in tagger.history]
    assert losses[-1] <= losses[0]
    assert [record["iteration"] for record in tagger.history] == list(range(1, len(losses) + 1))
    for name in ("evaluations", "seconds"):
        values = [record[name] for record in tagger.history]
        assert values == sorted(values)
    assert set(last) == {"iteration", "loss", "gradient_norm", "evaluations", "seconds"}


def test_precisions_agree(corpus):
    X, y = corpus(1, n=40)
    single = CRFTagger(c2=0.1).fit(X, y)
    double = CRFTagger(c2=0.1, precision="double", **TIGHT).fit(X, y)
    assert single.state_weights.dtype is torch.float32
    assert double.state_weights.dtype is torch.float64
    best = double.history[-1]
    assert best["gradient_norm"] < 1e-6
    assert best["loss"] - 1e-9 <= loss_of(single, X, y, 0.0, 0.1) <= best["loss"] * (1 + 1e-4)


@pytest.mark.parametrize("settings", [{}, {"c1": 0.2}, {"batch_size": 2}, {"batch_size": 1000}])
def test_sgd_comes_near_the_optimum(corpus, settings):
    X, y = corpus(2, n=30)
    c1 = settings.get("c1", 0.0)
    best = CRFTagger(c1=c1, c2=0.1, **TIGHT).fit(X, y).history[-1]["loss"]
    options = {"batch_size": 8, "max_iterations": 100, "delta": 0.0, **settings}
    tagger = CRFTagger(c2=0.1, method="sgd", **options).fit(X, y, generator=0)
    reached = loss_of(tagger, X, y, c1, 0.1)
    assert best * (1 - 1e-6) <= reached <= best * 1.01
    assert len(tagger.history) == 100


def test_a_batch_carries_its_share_of_the_penalty(corpus):
    # One batch is the whole objective: the loss of the first pass is that at zero.
    X, y = corpus(3)
    whole = CRFTagger(method="sgd", batch_size=100, max_iterations=2, delta=0.0, c1=0.1)
    whole.fit(X, y, generator=0)
    once = CRFTagger(method="sgd", batch_size=100, max_iterations=1, delta=0.0, c1=0.1)
    once.fit(X, y, generator=0)
    assert whole.history[1]["loss"] == pytest.approx(loss_of(once, X, y, 0.1, 1.0), rel=1e-5)
    tokens = sum([len(sequence) for sequence in X])
    assert whole.history[0]["loss"] == pytest.approx(tokens * np.log(3), rel=1e-6)


def test_sgd_follows_its_seed(corpus):
    X, y = corpus(4)
    settings = {"method": "sgd", "batch_size": 2, "max_iterations": 3}
    state = torch.get_rng_state()
    a, b, c = [CRFTagger(**settings).fit(X, y, generator=seed) for seed in (5, 5, 6)]
    assert torch.equal(a.state_weights, b.state_weights)
    assert not torch.equal(a.state_weights, c.state_weights)
    assert torch.equal(torch.get_rng_state(), state)


def test_sgd_stops_when_the_loss_stands_still(corpus):
    X, y = corpus(4)
    settings = {"method": "sgd", "max_iterations": 500, "delta": 1e-3, "period": 5}
    history = CRFTagger(**settings).fit(X, y, generator=0).history
    assert 5 < len(history) < 500
    before, last = history[-6]["loss"], history[-1]["loss"]
    assert before - last <= 1e-3 * last


@pytest.mark.parametrize("method", ["lbfgs", "sgd"])
def test_sample_weights_are_repetitions(corpus, method):
    X, y = corpus(5)
    times = [k % 3 + 1 for k in range(len(X))]
    settings = {"c2": 0.2, "method": method, "batch_size": 1000, "precision": "double", **TIGHT}
    weighted = CRFTagger(**settings).fit(X, y, times)
    repeated = [
        [row for row, n in zip(rows, times, strict=True) for _ in range(n)] for rows in (X, y)
    ]
    plain = CRFTagger(**settings).fit(*repeated)
    assert weighted.history[-1]["loss"] == pytest.approx(plain.history[-1]["loss"], rel=1e-9)
    torch.testing.assert_close(weighted.log_prob(X, y), plain.log_prob(X, y), rtol=1e-4, atol=1e-5)
    uneven = CRFTagger(**settings).fit(X, y)
    assert uneven.history[-1]["loss"] < 0.9 * plain.history[-1]["loss"]


def test_l1_leaves_few_weights_and_attributes(corpus):
    X, y = corpus(6, n=40)
    full, sparse = CRFTagger(c2=0.1).fit(X, y), CRFTagger(c1=2.0, c2=0.1).fit(X, y)
    assert 0 < len(sparse.state_weights) < len(full.state_weights)
    assert (sparse.state_weights != 0).all() and (sparse.transition_weights != 0).all()
    assert {row[0] for row in sparse.top_features(None)} == set(sparse.attributes.strings)
    assert sparse.labels == full.labels == ("A", "B", "C")
    huge = CRFTagger(c1=1e6).fit(X, y)
    assert len(huge.attributes) == 0
    assert huge.predict_marginals([[{"w": "w0"}]]) == [
        [pytest.approx(dict.fromkeys("ABC", 1 / 3))]
    ]


@pytest.mark.parametrize("method", ["lbfgs", "sgd"])
def test_validation_is_measured(corpus, method):
    (X, y), (X_valid, y_valid) = corpus(7), corpus(8)
    y_valid[-1][0] = "A"
    tagger = CRFTagger(c2=0.1, method=method, max_iterations=4).fit(
        X, y, X_valid=X_valid, y_valid=y_valid, generator=0
    )
    last = tagger.history[-1]
    found = -float(tagger.log_prob(X_valid, y_valid).mean())
    assert last["valid_loss"] == pytest.approx(found, rel=1e-6)
    assert last["valid_score"] == tagger.score(X_valid, y_valid)
    plain = CRFTagger(c2=0.1, method=method, max_iterations=4).fit(X, y, generator=0)
    assert torch.equal(plain.state_weights, tagger.state_weights)


class Stop:
    """Interrupts at the n-th call of what it wraps."""

    def __init__(self, wrapped, n: int) -> None:
        self.wrapped, self.n, self.calls = wrapped, n, 0

    def __call__(self, *arguments):
        self.calls += 1
        if self.calls == self.n:
            raise KeyboardInterrupt
        return self.wrapped(*arguments)


@pytest.mark.parametrize("method", ["lbfgs", "sgd"])
def test_an_interruption_leaves_the_last_iteration(corpus, method, monkeypatch):
    from pgm.tagging.objective import Objective

    X, y = corpus(9)
    settings = {"c2": 0.1, "method": method, "batch_size": 1000}
    tagger = CRFTagger(**settings)
    original = Objective.__call__
    stop = Stop(original, 8)
    monkeypatch.setattr(Objective, "__call__", lambda self, weights: stop(self, weights))
    with pytest.raises(KeyboardInterrupt):
        tagger.fit(X, y, generator=0)
    monkeypatch.undo()
    n = len(tagger.history)
    assert n >= 2
    shorter = CRFTagger(**settings, max_iterations=n).fit(X, y, generator=0)
    assert torch.equal(tagger.state_weights, shorter.state_weights)
    assert tagger.predict(X) == shorter.predict(X)


def test_an_interruption_before_the_first_iteration_changes_nothing(corpus, monkeypatch):
    from pgm.tagging.objective import Objective

    X, y = corpus(9)
    tagger = CRFTagger().fit(*corpus(10))
    before, history = tagger.state_dict(), tagger.history
    stop = Stop(None, 1)
    monkeypatch.setattr(Objective, "__call__", lambda self, weights: stop(self, weights))
    with pytest.raises(KeyboardInterrupt):
        tagger.fit(X, y)
    assert tagger.history is history
    assert all([torch.equal(value, before[key]) for key, value in tagger.state_dict().items()])


def test_zero_iterations_know_the_labels(corpus):
    tagger = CRFTagger(max_iterations=0).fit(*corpus(0))
    assert tagger.labels == ("A", "B", "C") and tagger.history == []
    assert tagger.predict_marginals([[{"w": "w0"}]]) == [
        [pytest.approx(dict.fromkeys("ABC", 1 / 3))]
    ]


def test_fit_again_forgets(corpus):
    X, y = corpus(0)
    again = CRFTagger(c2=0.1).fit(*corpus(1, labels="XYZ")).fit(X, y)
    assert torch.equal(again.state_weights, CRFTagger(c2=0.1).fit(X, y).state_weights)
    assert again.labels == ("A", "B", "C")
