"""Sigmoid belief networks learn complete rows as logistic regressions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from pgm.sigmoid import regression as regression_module
from pgm.sigmoid_belief_network import SigmoidBeliefNetwork

DIAMOND = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("d", "e")]


def regression(rows: np.ndarray, above: list[int], k: int, l2: float) -> LogisticRegression:
    strength = np.inf if l2 == 0 else 1 / l2
    model = LogisticRegression(C=strength, tol=1e-12, max_iter=10_000, solver="newton-cholesky")
    return model.fit(rows[:, above], rows[:, k])


@pytest.mark.parametrize("l2", [0.0, 2.0])
@pytest.mark.parametrize("method", ["em", "wake-sleep", "variational"])
def test_complete_rows_are_logistic_regressions(randomized, l2, method):
    truth = randomized(SigmoidBeliefNetwork(DIAMOND), 15, scale=1.0)
    rows = truth.sample(600, generator=0).numpy()
    net = SigmoidBeliefNetwork(DIAMOND).fit(rows, method, l2=l2)
    for k, name in enumerate(net.units):
        above = [net.units.index(parent) for parent, child in DIAMOND if child == name]
        if not above:
            share = rows[:, k].mean()
            assert net.bias[k].item() == pytest.approx(math.log(share / (1 - share)), abs=1e-9)
            continue
        expected = regression(rows, above, k, l2)
        np.testing.assert_allclose(
            net.weights.detach().numpy()[above, k], expected.coef_[0], atol=1e-5, rtol=0
        )
        assert net.bias[k].item() == pytest.approx(expected.intercept_[0], abs=1e-5)
    values = [entry["objective"] for entry in net.history]
    assert values == sorted(values) and len(values) < 15
    penalty = 0.5 * l2 * net.weights.detach().square().sum().item()
    assert values[-1] == pytest.approx(600 * net.score(rows) - penalty, rel=1e-12)


def test_a_layer_is_learned_as_its_units_one_by_one(randomized, monkeypatch):
    """Many targets on one design, here with the curvatures of few at a time."""
    monkeypatch.setattr(regression_module, "_CHUNK", 100)
    rows = randomized(SigmoidBeliefNetwork([4, 6]), 16, scale=0.8).sample(300, generator=1)
    net = SigmoidBeliefNetwork([4, 6]).fit(rows)
    for k in range(4, 10):
        expected = regression(rows.numpy(), [0, 1, 2, 3], k, 0.0)
        np.testing.assert_allclose(
            net.weights.detach().numpy()[:4, k], expected.coef_[0], atol=1e-5, rtol=0
        )


def test_separable_rows_stop_at_finite_weights():
    rows = np.array([[0, 0], [1, 1], [0, 0], [1, 1], [1, 1]])
    net = SigmoidBeliefNetwork([1, 1]).fit(rows)
    assert net.weights.isfinite().all() and net.weights.abs().max() < 60
    torch.testing.assert_close(
        net.posterior([[0, -1], [1, -1]])[:, 1],
        torch.tensor([0.0, 1.0]).double(),
        atol=1e-9,
        rtol=0,
    )
    with_penalty = SigmoidBeliefNetwork([1, 1]).fit(rows, l2=1.0)
    expected = regression(rows, [0], 1, 1.0)
    assert with_penalty.weights[0, 1].item() == pytest.approx(expected.coef_[0, 0], abs=1e-6)
    constant = SigmoidBeliefNetwork([1, 1]).fit(np.ones((5, 2)))
    assert constant.score(np.ones((1, 2))) > -1e-9


def test_equal_columns_share_what_one_would_have(randomized):
    rows = randomized(SigmoidBeliefNetwork([1, 1]), 17).sample(300, generator=2)
    single = SigmoidBeliefNetwork([1, 1]).fit(rows)
    twice = SigmoidBeliefNetwork([2, 1]).fit(rows[:, [0, 0, 1]])
    total = twice.weights[:2, 2].sum().item()
    assert total == pytest.approx(single.weights[0, 1].item(), abs=1e-6)
