"""Mean field in sigmoid belief networks: a bound, its flat end, strong weights."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pgm.sigmoid import mean_field as mean_field_module
from pgm.sigmoid.mean_field import mean_field
from pgm.sigmoid.structure import softplus
from pgm.sigmoid_belief_network import SigmoidBeliefNetwork


def states(n: int) -> Tensor:
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=n)), dtype=torch.float64)


def elbo(net: SigmoidBeliefNetwork, row: Tensor, mean: Tensor) -> float:
    """Exact lower bound of a factorised law, by enumeration of the missing units."""
    hidden = (row < 0).nonzero().squeeze(1)
    joint = states(len(hidden))
    full = row.double().expand(len(joint), -1).clone()
    full[:, hidden] = joint
    log_q = (joint * mean[hidden].log() + (1 - joint) * (-mean[hidden]).log1p()).sum(1)
    return float((log_q.exp() * (net.log_prob(full) - log_q)).sum())


@settings(deadline=None, max_examples=30)
@given(st.data(), st.integers(0, 1000))
def test_mean_field_bounds_the_log_probability(with_gaps, networks, data, seed):
    net = data.draw(networks())
    rows = with_gaps(net, 6, seed, share=0.6)
    found = mean_field(net._graph, net._masked(), net._rows(rows))
    exact = net.log_prob(rows).detach()
    assert found.converged
    assert (found.bound <= exact + 1e-10).all()
    own = [elbo(net, *pair) for pair in zip(rows, found.marginals, strict=True)]
    assert (found.bound <= torch.tensor(own, dtype=torch.float64) + 1e-10).all(), (
        "xi only loosens it"
    )
    for trace in found.trace:
        steps = torch.stack(trace).diff(dim=0)
        assert (steps >= -1e-11).all(), "no sweep lowers a bound"
    complete = (rows >= 0).all(1)
    torch.testing.assert_close(found.bound[complete], exact[complete])
    assert found.marginals[rows >= 0].equal(rows[rows >= 0].double())
    torch.testing.assert_close(net.log_prob(rows, method="mean-field"), found.bound)


def test_the_plain_mean_in_place_of_xi_is_no_bound(explaining_away):
    """log(1 + exp(E a)) is below E log(1 + exp(a)): what it gives may exceed log p."""
    net, row = explaining_away, torch.tensor([[-1.0, -1.0, 1.0]])
    mean = net.posterior(row, "mean-field")[0]
    weights, bias = (value.detach() for value in net._masked())
    center = bias + mean @ weights
    entropy = -(torch.special.xlogy(mean, mean) + torch.special.xlogy(1 - mean, 1 - mean)).sum()
    plain = (mean * center - softplus(center)).sum() + entropy
    exact = net.log_prob(row).item()
    assert plain > exact + 1e-3
    assert net.log_prob(row, method="mean-field").item() < exact


def test_mean_field_ends_where_the_bound_is_flat(randomized):
    """Against the bound written out anew, with its gradient by mean and by xi."""
    net = randomized(SigmoidBeliefNetwork([3, 4]), 13, scale=1.0)
    rows = net.sample(4, generator=0).double()
    rows[:, :3] = -1
    mean = net.posterior(rows, "mean-field")
    bound = net.log_prob(rows, method="mean-field")
    weights, bias = net.weights.detach()[:3, 3:], net.bias.detach()

    def soft(mu: Tensor, xi: Tensor) -> Tensor:
        """Bound on E log(1 + exp(a)) of every unit below, for xi (..., 4)."""

        def moment(tilt: Tensor) -> Tensor:
            factors = 1 - mu[:, None] + mu[:, None] * torch.exp(tilt[..., None, :] * weights)
            return tilt * bias[3:] + factors.log().sum(-2)

        return xi * (bias[3:] + mu @ weights) + torch.logaddexp(moment(-xi), moment(1 - xi))

    def written_out(odds: Tensor, xi: Tensor, row: Tensor) -> Tensor:
        mu = torch.sigmoid(odds)
        top = mu * bias[:3] - softplus(bias[:3]) + softplus(odds) - mu * odds
        below = row[3:] * (bias[3:] + mu @ weights) - soft(mu, xi)
        return top.sum() + below.sum()

    for row, mu, value in zip(rows, mean[:, :3], bound, strict=True):
        odds = torch.logit(mu).requires_grad_()
        # The best xi by a grid that is refined around its best point: the bound is concave in xi.
        low, high = torch.zeros(4).double(), torch.ones(4).double()
        for _ in range(12):
            grid = low + (high - low) * torch.linspace(0, 1, 21).double()[:, None]
            found = soft(torch.sigmoid(odds.detach()), grid).argmin(0)
            low, high = (grid[(found + d).clamp(0, 20), torch.arange(4)] for d in (-1, 1))
        best = written_out(odds, (low + high) / 2, row)
        assert best.item() == pytest.approx(value.item(), abs=1e-8)
        (slope,) = torch.autograd.grad(best, odds)
        assert slope.abs().max() < 1e-4


@pytest.mark.parametrize("scale", [30.0, 1000.0])
def test_strong_weights_neither_overflow_nor_cancel(randomized, scale):
    """Certain units and log-odds in the thousands: still a bound, still monotone, no NaN."""
    for seed in range(10):
        net = randomized(SigmoidBeliefNetwork([3, 4]), seed, scale)
        rows = net.sample(5, generator=seed)
        rows[:, :3] = -1
        exact = net.log_prob(rows)
        assert (exact <= 0).all() and exact.isfinite().all()
        expected = net.to_bayesian_network().log_prob(rows)
        torch.testing.assert_close(exact, expected, rtol=1e-9, atol=1e-9)
        found = mean_field(net._graph, net._masked(), net._rows(rows))
        assert (found.bound <= exact + 1e-12 * scale).all()
        for trace in found.trace:
            assert (torch.stack(trace).diff(dim=0) >= -1e-11 * scale).all()
        for method in ("exact", "mean-field", "gibbs"):
            mean = net.posterior(rows, method, sweeps=5, warmup=0, generator=0)
            assert ((mean >= 0) & (mean <= 1)).all()


def test_mean_field_in_pieces(randomized, with_gaps, monkeypatch):
    net = randomized(SigmoidBeliefNetwork([3, 4]), 14)
    rows = with_gaps(net, 10, 0)
    whole = net.posterior(rows, "mean-field")
    monkeypatch.setattr(mean_field_module, "_CHUNK", 24)
    torch.testing.assert_close(net.posterior(rows, "mean-field"), whole, rtol=0, atol=1e-5)


def test_a_unit_with_many_parents_has_no_table():
    net = SigmoidBeliefNetwork([21, 1])
    with pytest.raises(ValueError, match=r"unit '1.0' has 21 parents"):
        net.to_bayesian_network()
