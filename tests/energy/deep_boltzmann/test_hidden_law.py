"""What is hidden given rows: exact sums, bounds that never fall, unbiased samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from energy.deep_boltzmann.hidden_law import HiddenLaw, MeanField
from inference.exact.enumerate import enumerate_states


def made(n_even: int, n_odd: int, rows: int = 5, seed: int = 0, scale: float = 2.0) -> HiddenLaw:
    generator = torch.Generator().manual_seed(seed)
    shapes = (n_even, n_odd), (n_even,), (rows, n_odd)
    parts = [torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes]
    return HiddenLaw(scale * parts[0], *parts[1:])


def enumerated(law: HiddenLaw) -> torch.Tensor:
    """Log sums, all joint states one by one."""
    n_even, n_odd = law.weights.shape
    states = enumerate_states([2] * (n_even + n_odd)).double()
    even, odd = states[:, :n_even], states[:, n_even:]
    own = even @ law.bias + torch.einsum("si,ij,sj->s", even, law.weights, odd)
    return (own + law.fields @ odd.T).logsumexp(1)


@pytest.mark.parametrize("sizes", [(3, 5), (5, 3), (4, 4), (0, 4)])
def test_sums_are_exact(sizes, monkeypatch):
    law = made(*sizes)
    torch.testing.assert_close(law.log_sums(), enumerated(law), rtol=0, atol=1e-12)
    monkeypatch.setattr("energy.deep_boltzmann.hidden_law.AT_ONCE", 60)
    torch.testing.assert_close(law.log_sums(), enumerated(law), rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_bounds_never_fall_and_stay_below(seed):
    law = made(4, 5, rows=20, seed=seed, scale=3.0)
    exact = law.log_sums()
    before = torch.full_like(exact, -torch.inf)
    for steps in range(1, 30):
        bounds = law.bounds(law.mean_field(steps).even)
        assert (bounds >= before - 1e-9).all()
        assert (bounds <= exact + 1e-9).all()
        before = bounds
    # Both sides moved at once is another rule, and does lower bounds.
    even = torch.full((20, 4), 0.5).double()
    odd, falls = torch.full((20, 5), 0.5).double(), 0
    for _ in range(10):
        last = law.bounds(even)
        even, odd = (
            (law.bias + odd @ law.weights.T).sigmoid(),
            (law.fields + even @ law.weights).sigmoid(),
        )
        falls += int((law.bounds(even) < last - 1e-9).sum())
    assert falls > 0


def test_bounds_are_entropy_less_expected_energy():
    law = made(3, 4)
    even, odd = law.mean_field(3)
    entropy = sum(
        (torch.special.entr(means) + torch.special.entr(1 - means)).sum(1) for means in (even, odd)
    )
    joint = torch.einsum("ri,ij,rj->r", even, law.weights, odd)
    expected = entropy + even @ law.bias + (odd * law.fields).sum(1) + joint
    torch.testing.assert_close(law.bounds(even), expected)


def test_a_settled_field_no_longer_moves():
    law = made(4, 5, scale=1.0)
    found = law.settled(2000)
    even = (law.bias + found.odd @ law.weights.T).sigmoid()
    odd = (law.fields + found.even @ law.weights).sigmoid()
    torch.testing.assert_close(odd, found.odd, rtol=0, atol=1e-14)
    torch.testing.assert_close(even, found.even, rtol=0, atol=1e-12)
    assert torch.equal(law.settled(3).even, law.mean_field(3).even)
    nothing = made(0, 4).settled(50)
    assert nothing.even.shape == (5, 0)


@pytest.mark.parametrize("settled", [True, False])
def test_importance_weights_are_unbiased(settled):
    """From any means the mean weight is the sum itself: |z| < 6 in five rows, alarms 1e-8."""
    law = made(3, 4, scale=1.0)
    exact, means = law.log_sums(), law.settled(100)
    if not settled:
        means = MeanField(torch.zeros_like(means.even), means.odd)
    generator = torch.Generator().manual_seed(0)
    found = [(law.importance_bounds(means, 500, generator) - exact).exp() for _ in range(200)]
    ratios = torch.stack(found)
    error = ratios.std(0) / len(ratios) ** 0.5
    assert ((ratios.mean(0) - 1).abs() < 6 * error).all()
    # Draws that are weighed as if they were even ones are not.
    odd = torch.bernoulli(means.odd.expand(100_000, -1, -1), generator=generator)
    logs = torch.nn.functional.softplus(law.bias + odd @ law.weights.T).sum(-1)
    weights = (logs + (odd * law.fields).sum(-1) + 4 * np.log(2) - exact).exp()
    error = weights.std(0) / len(weights) ** 0.5
    assert ((weights.mean(0) - 1).abs() > 6 * error).any()


def test_single_samples_lie_between(monkeypatch):
    """One sample is the bound with the even side summed out: six standard errors, twice."""
    law = made(3, 4)
    monkeypatch.setattr("energy.deep_boltzmann.hidden_law.AT_ONCE", 100)
    means, generator = law.settled(100), torch.Generator().manual_seed(0)
    single = torch.stack([law.importance_bounds(means, 1, generator) for _ in range(3000)])
    error = single.std(0) / len(single) ** 0.5
    assert (single.mean(0) > law.bounds(means.even) - 6 * error).all()
    assert (single.mean(0) < law.log_sums() + 6 * error).all()


def test_large_sums_are_refused():
    with pytest.raises(ValueError, match=r"2\^21 .*log_prob_bound"):
        made(30, 21).log_sums()


def test_slopes_of_samples_are_those_at_the_means_held(monkeypatch):
    """All states of the odd side are drawn once each; the weights are spelled out, q without."""
    law = made(3, 4, seed=1, scale=1.0)
    parts = [law.weights, law.bias, law.fields]
    for part in parts:
        part.requires_grad_()
    with torch.no_grad():
        means = law.mean_field(20)
    odd = enumerate_states([2] * 4).double()
    monkeypatch.setattr(
        "energy.rbm.units.BernoulliUnits.sample",
        lambda units, fields, generator: odd[:, None].expand(fields.shape),
    )
    found = law.importance_bounds(means, len(odd), torch.Generator())
    even = enumerate_states([2] * 3).double()
    logs = (odd @ law.fields.T)[..., None] + (even @ law.bias)[None, None]
    logs = (logs + (odd @ law.weights.T @ even.T)[:, None]).logsumexp(-1)
    proposed = torch.where(odd[:, None] > 0, means.odd, 1 - means.odd).log().sum(-1)
    expected = (logs - proposed).logsumexp(0) - np.log(len(odd))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
    slopes = [torch.autograd.grad(x.sum(), parts) for x in (found, expected)]
    for own, other in zip(*slopes, strict=True):
        torch.testing.assert_close(own, other, rtol=0, atol=1e-9)
