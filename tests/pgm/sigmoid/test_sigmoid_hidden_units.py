"""Sigmoid belief networks learn with hidden units."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from pgm.sigmoid_belief_network import SigmoidBeliefNetwork
from tests.pgm.sigmoid.prototypes import patterns


def states(n: int) -> Tensor:
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=n)), dtype=torch.float64)


def independent_score(rows: Tensor) -> float:
    share = rows.double().mean(0)
    return float(
        (torch.special.xlogy(share, share) + torch.special.xlogy(1 - share, 1 - share)).sum()
    )


@pytest.mark.parametrize("l2", [0.0, 0.5])
def test_em_climbs_to_a_point_without_slope(l2):
    rows = patterns(150, 0)
    net = SigmoidBeliefNetwork([2, 6]).fit(
        rows, l2=l2, max_iterations=3000, tolerance=1e-13, generator=1
    )
    values = [entry["objective"] for entry in net.history]
    assert all([b >= a - 1e-9 * abs(a) for a, b in itertools.pairwise(values)])
    net.requires_grad_()
    weights = torch.where(net.mask, net.weights, 0.0)
    objective = net.log_prob(rows).sum() - 0.5 * l2 * weights.square().sum()
    assert objective.item() == pytest.approx(values[-1], rel=1e-9)
    gradient = torch.cat(
        [g.flatten() for g in torch.autograd.grad(objective, [net.weights, net.bias])]
    )
    start = SigmoidBeliefNetwork([2, 6]).requires_grad_()
    before = torch.autograd.grad(start.log_prob(rows).sum(), start.bias)[0].abs().max()
    assert gradient.abs().max() < (1e-3 if l2 else 2e-2) < 1e-2 * before
    assert net.score(rows) > independent_score(rows) + 1.0


def test_em_ends_by_the_change_per_row():
    history = (
        SigmoidBeliefNetwork([2, 6]).fit(patterns(150, 0), tolerance=1e-3, generator=1).history
    )
    changes = [abs(step["change"]) / 150 for step in history[1:]]
    assert changes[-1] < 1e-3 <= min(changes[:-1])


def test_em_starts_at_the_present_parameters(randomized):
    rows = patterns(80, 1)
    net = randomized(SigmoidBeliefNetwork([2, 6]), 18)
    before = net.score(rows)
    net.fit(rows, max_iterations=1)
    assert net.history[0]["objective"] == pytest.approx(80 * before, rel=1e-12)
    assert net.score(rows) > before
    several = SigmoidBeliefNetwork([2, 6]).fit(
        rows, n_init=3, max_iterations=5, tolerance=0.0, generator=0
    )
    assert {entry["start"] for entry in several.history} == {0, 1, 2}


def test_em_with_entries_missing_at_random(randomized):
    """Every pattern of gaps, the posterior by tables: one exact EM step of a two-unit network."""
    net = randomized(SigmoidBeliefNetwork([("a", "b")]), 19)
    rows = torch.tensor([[0, 1], [1, -1], [-1, 1], [-1, 0], [1, 1], [0, 0], [0, 1], [1, 0]])
    learned = SigmoidBeliefNetwork([("a", "b")])
    learned.load_state_dict(net.state_dict())
    learned.fit(rows, max_iterations=150, tolerance=1e-15)
    # The network of two bits can be any law of them: EM on the joint table is the oracle.
    table = net.log_prob(states(2)).exp().view(2, 2).numpy()
    for _ in range(150):
        counts = np.zeros((2, 2))
        for a, b in rows.tolist():
            fits = np.ix_([a] if a >= 0 else [0, 1], [b] if b >= 0 else [0, 1])
            counts[fits] += table[fits] / table[fits].sum()
        table = counts / counts.sum()
    found = learned.log_prob(states(2)).exp().view(2, 2)
    np.testing.assert_allclose(found.numpy(), table, rtol=0, atol=1e-7)


@pytest.mark.parametrize("method", ["wake-sleep", "variational"])
def test_sampled_learning_describes_the_patterns(method):
    rows = patterns(200, 2)
    net = SigmoidBeliefNetwork([2, 6])
    guide = net.recognition_network()
    net.fit(rows, method, epochs=40, lr=0.1, recognition=guide, n_samples=5, generator=0)
    assert net.score(rows) > independent_score(rows) + 0.7
    assert len(net.history) == 40
    assert net.history[-1]["bound"] > net.history[0]["bound"] + 0.5
    assert net.history[-1]["bound"] < net.score(rows) + 0.1
    assert guide.weights.abs().max() > 0.5, "the recognition network is trained in place"
    first, second = (
        SigmoidBeliefNetwork([2, 6]).fit(rows, method, epochs=2, generator=0) for _ in range(2)
    )
    assert first.weights.equal(second.weights)
