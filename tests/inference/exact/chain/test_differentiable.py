"""Gradients of log partitions: closed form, finite differences, and no NaN at hard zeros."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference.exact.chain import differentiable
from inference.exact.chain.differentiable import (
    differentiable_log_partition,
    recorded_log_partition,
)
from inference.exact.chain.entropy import chain_entropy
from inference.exact.chain.forward_backward import forward_backward
from inference.exact.chain.layout import ChainLayout
from inference.exact.chain.potentials import ChainPotentials

QUIET = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def leaves(found):
    """Emissions, transitions, start and end that want gradients."""
    potentials, emissions, layout = found.cast(torch.from_numpy)
    parts = (emissions, potentials.log_transitions, potentials.log_start, potentials.log_end)
    return [x.clone().requires_grad_() for x in parts], layout


def partition(emissions, transitions, start, end, layout, of=differentiable_log_partition):
    return of(ChainPotentials(start, transitions, end), emissions, layout)


def long_chain():
    """In single precision, with log messages that grow to some 50,000 nats."""
    source = torch.Generator().manual_seed(0)
    emissions = 3 * torch.randn(5, 8000, generator=source)
    transitions = 2 * torch.randn(5, 5, generator=source)
    potentials = ChainPotentials(torch.zeros(5), transitions, torch.zeros(5))
    return potentials, emissions, ChainLayout([7900, 100])


@QUIET
@given(data=st.data(), uniform=st.booleans())
def test_first_derivatives_are_posteriors(data, uniform, chains, laws):
    found = data.draw(chains())
    inputs, layout = leaves(found)
    weights = np.ones(layout.n_sequences)
    if not uniform:
        weights = np.random.default_rng(0).normal(size=layout.n_sequences)
    total = partition(*inputs, layout)
    every = laws(found)
    # A log Z of zero is a difference of terms of some size.
    expected = [law.log_partition for law in every]
    np.testing.assert_allclose(total.detach(), expected, rtol=1e-12, atol=1e-13)
    total.backward(torch.from_numpy(weights))
    emissions, transitions, start, end = (x.grad.numpy() for x in inputs)
    for rows, weight, law in zip(found.each(emissions.T), weights, every, strict=True):
        np.testing.assert_allclose(rows, weight * law.unary, atol=1e-10)
    pairs = sum(w * law.pairs.sum(0) for w, law in zip(weights, every, strict=True))
    np.testing.assert_allclose(transitions, pairs, atol=1e-10)
    edges = zip((start, end), (slice(0, 1), slice(-1, None)), strict=True)
    for gradient, edge in edges:
        states = sum(w * law.unary[edge].sum(0) for w, law in zip(weights, every, strict=True))
        np.testing.assert_allclose(gradient, states, atol=1e-10)


@QUIET
@given(data=st.data())
def test_the_recorded_recursion_agrees_with_enumeration(data, chains, laws):
    found = data.draw(chains())
    inputs, layout = leaves(found)
    total = partition(*inputs, layout, of=recorded_log_partition)
    np.testing.assert_allclose(
        total.detach(), [law.log_partition for law in laws(found)], rtol=1e-12, atol=1e-12
    )
    if layout.n_tokens:
        total.masked_fill(total.isinf(), 0.0).sum().backward()
    assert all(x.grad is None or not x.grad.isnan().any() for x in inputs)


def forbidden(draw_chains):
    """Tame chains with one forbidden transition, start and end."""
    found = draw_chains([3, 0, 1, 4, 2], 3, 1, 0.0, 1.0)
    inputs, layout = leaves(found)
    bans = [torch.zeros(3, 3), torch.zeros(3), torch.zeros(3)]
    bans[0][0, 1] = bans[1][2] = bans[2][0] = -math.inf

    def total(*x, of=differentiable_log_partition):
        constrained = [part + ban for part, ban in zip(x[1:], bans, strict=True)]
        return partition(x[0], *constrained, layout, of=of)

    return total, inputs


def test_derivatives_of_all_orders_match_finite_differences(draw_chains):
    total, inputs = forbidden(draw_chains)
    assert torch.autograd.gradcheck(total, inputs)
    assert torch.autograd.gradgradcheck(total, inputs)


def test_what_is_forbidden_has_gradient_zero(draw_chains):
    total, inputs = forbidden(draw_chains)
    gradients = torch.autograd.grad(total(*inputs).sum(), inputs)
    assert gradients[1][0, 1] == gradients[2][2] == gradients[3][0] == 0
    higher = torch.autograd.grad(total(*inputs).sum(), inputs, create_graph=True)
    for a, b in zip(gradients, higher, strict=True):
        torch.testing.assert_close(a, b)


def test_entropy_has_the_gradient_of_finite_differences(draw_chains):
    total, inputs = forbidden(draw_chains)

    def entropy(*x):
        return total(*x, of=chain_entropy)

    assert torch.autograd.gradcheck(entropy, inputs)
    assert not any(x.isnan().any() for x in torch.autograd.grad(entropy(*inputs).sum(), inputs))


def test_an_impossible_sequence_has_gradient_zero():
    # Nothing follows state 0, nothing precedes state 1.
    transitions = torch.tensor([[-math.inf, -math.inf], [0.0, -math.inf]], requires_grad=True)
    emissions = torch.zeros(2, 4, requires_grad=True)
    layout = ChainLayout([3, 1])
    for order in (1, 2):
        total = partition(emissions, transitions, torch.zeros(2), torch.zeros(2), layout)
        assert total[0] == -math.inf and total[1] == math.log(2)
        inputs = (emissions, transitions)
        found = torch.autograd.grad(total.sum(), inputs, create_graph=order == 2)
        assert found[1].abs().max() == 0
        expected = torch.zeros(2, 4)
        expected[:, layout.first[1]] = 0.5
        torch.testing.assert_close(found[0], expected)


@pytest.mark.parametrize("order", [1, 2])
def test_an_impossible_sequence_has_gradient_zero_whatever_the_loss_makes_of_it(order):
    # The square of -inf has the derivative -inf.
    inputs = [torch.zeros(2, 4, requires_grad=True), torch.zeros(2, 2, requires_grad=True)]
    layout = ChainLayout([2, 2])
    forbidden = torch.zeros(2, 4)
    forbidden[:, layout.first[0]] = -math.inf
    total = partition(inputs[0] + forbidden, inputs[1], torch.zeros(2), torch.zeros(2), layout)
    assert total.tolist() == [-math.inf, pytest.approx(math.log(4))]
    found = torch.autograd.grad(total.square().sum(), inputs, create_graph=order == 2)
    weight = 2 * math.log(4)
    expected = torch.full((2, 4), weight / 2)
    expected[:, [layout.first[0], layout.last[0]]] = 0
    torch.testing.assert_close(found[0], expected)
    torch.testing.assert_close(found[1], torch.full((2, 2), weight / 4))


def test_recorded_gradients_of_long_sequences_in_single_precision_are_posteriors():
    potentials, emissions, layout = long_chain()
    emissions.requires_grad_()
    total = differentiable_log_partition(potentials, emissions, layout)
    (found,) = torch.autograd.grad(total.sum(), emissions, create_graph=True)
    double = ChainPotentials(*[x.double().numpy() for x in vars(potentials).values()])
    wanted = forward_backward(double, emissions.detach().double().numpy(), layout)
    np.testing.assert_allclose(found.detach(), wanted.unary, atol=1e-4)
    recorded = recorded_log_partition(potentials, emissions, layout)
    np.testing.assert_allclose(recorded.detach(), wanted.log_partition, rtol=1e-6)


def test_entropies_of_long_sequences_keep_their_digits_in_single_precision():
    potentials, emissions, layout = long_chain()
    double = ChainPotentials(*[x.double() for x in vars(potentials).values()])
    wanted = chain_entropy(double, emissions.double(), layout)
    found = chain_entropy(potentials, emissions, layout)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_one_pass_serves_sums_and_means(draw_chains, monkeypatch):
    inputs, layout = leaves(draw_chains([3, 4], 3, 1, 0.0, 1.0))
    calls = []
    right = differentiable.forward_backward
    monkeypatch.setattr(
        differentiable, "forward_backward", lambda *a: calls.append(0) or right(*a)
    )
    (-partition(*inputs, layout).mean()).backward()
    assert len(calls) == 1
    total = partition(*inputs, layout)
    (total * torch.tensor([1.0, 2.0])).sum().backward()
    assert len(calls) == 3


def test_without_gradients_no_posterior_is_computed(draw_chains, monkeypatch):
    inputs, layout = leaves(draw_chains([3, 4], 3, 1, 0.0, 1.0))
    monkeypatch.delattr(differentiable, "forward_backward")
    with torch.no_grad():
        assert partition(*inputs, layout).isfinite().all()


@pytest.mark.parametrize("lengths", [[], [0, 0]])
def test_nothing_to_sum_over(lengths):
    start = torch.zeros(2, requires_grad=True)
    emissions, zeros = torch.zeros(2, 0, requires_grad=True), torch.zeros(2, 2)
    total = partition(emissions, zeros, start, torch.zeros(2), ChainLayout(lengths))
    total.sum().backward()
    assert total.tolist() == [0.0] * len(lengths)
    assert start.grad.tolist() == [0.0, 0.0] and emissions.grad.shape == (2, 0)


def test_gradients_have_the_types_of_what_they_belong_to():
    emissions = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    emissions = emissions.double().requires_grad_()
    transitions = torch.zeros(2, 2, requires_grad=True)
    total = partition(emissions, transitions, torch.zeros(2), torch.zeros(2), ChainLayout([3]))
    total.sum().backward()
    assert emissions.grad.dtype == total.dtype == torch.float64
    assert transitions.grad.dtype == torch.float32
    torch.testing.assert_close(transitions.grad.sum(), torch.tensor(2.0))
