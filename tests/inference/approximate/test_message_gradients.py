"""Gradients of beliefs and Bethe values: by differences, by exact answers, at zeros."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from inference import Factor, FactorGraph
from inference.approximate import belief_propagation, mean_field, tree_reweighted

SOME = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
RING = ("ab", "bc", "cd", "da", "ac")


def tables(seed: int = 0, sd: float = 0.4) -> Tensor:
    """One table (5, 2, 2) for every edge of the ring with a chord."""
    draws = torch.Generator().manual_seed(seed)
    return sd * torch.randn((len(RING), 2, 2), generator=draws, dtype=torch.float64)


def ring(values: Tensor, unary: Tensor | None = None) -> FactorGraph:
    factors = [Factor(list(scope), t) for scope, t in zip(RING, values, strict=True)]
    if unary is not None:
        factors.append(Factor(["b"], unary))
    return FactorGraph(dict.fromkeys("abcd", 2), factors)


@pytest.mark.parametrize("gradient", ["unrolled", "implicit"])
@pytest.mark.parametrize("damping", [0.0, 0.3])
def test_beliefs_by_finite_differences(gradient, damping):
    def belief(values: Tensor) -> Tensor:
        found = belief_propagation(
            ring(values), {"d": 1}, gradient=gradient, damping=damping, tolerance=1e-14
        )
        return torch.stack([found.marginals[name][1] for name in "abc"])

    torch.autograd.gradcheck(belief, tables().requires_grad_())


def value(values: Tensor, method: Any, **options: Any) -> Tensor:
    return method(ring(values), tolerance=1e-13, **options).log_partition


@pytest.mark.parametrize(
    ("method", "options"),
    [
        (belief_propagation, {}),
        (belief_propagation, {"gradient": "implicit"}),
        (belief_propagation, {"mode": "max"}),
        (tree_reweighted, {}),
        (mean_field, {"n_starts": 1}),
        (mean_field, {"n_starts": 1, "blocks": [["a", "b"], ["c", "d"]]}),
        (mean_field, {"n_starts": 1, "blocks": [["a", "c"]]}),
    ],
)
def test_values_by_finite_differences(method, options):
    torch.autograd.gradcheck(
        lambda values: value(values, method, **options),
        tables().requires_grad_(),
        fast_mode=True,
    )


def test_second_derivatives_of_unrolled_rounds():
    values = tables(sd=0.2).requires_grad_()
    torch.autograd.gradgradcheck(
        lambda v: belief_propagation(ring(v), max_iterations=60, tolerance=1e-9).log_partition,
        values,
    )


@SOME
@given(data=st.data())
def test_on_trees_gradients_are_exact(data, trees):
    graph = data.draw(trees(spreads=(0.3, 3), zeros=(0, 0.2)))
    if graph.log_partition() == -torch.inf or not graph.factors:
        return
    for gradient in ("unrolled", "implicit"):
        leaves = [f.log_values.clone().requires_grad_() for f in graph.factors]
        factors = [Factor(f.scope, x) for f, x in zip(graph.factors, leaves, strict=True)]
        model = FactorGraph(graph.cardinalities, factors)
        found = belief_propagation(model, gradient=gradient).log_partition
        ours = torch.autograd.grad(found, leaves)
        exact = torch.autograd.grad(model.log_partition(), leaves)
        for own, other in zip(ours, exact, strict=True):
            torch.testing.assert_close(own, other, rtol=0, atol=1e-9)


@pytest.mark.parametrize("gradient", ["unrolled", "implicit"])
def test_hard_zeros_have_gradients(gradient):
    values = tables()
    values[0, 0, 1] = values[2, 1, 0] = -torch.inf
    values.requires_grad_()
    unary = torch.tensor([0.3, -torch.inf], dtype=torch.float64, requires_grad=True)
    found = belief_propagation(ring(values, unary), gradient=gradient)
    total = found.log_partition + sum([m[1] for m in found.marginals.values()])
    total.backward()
    assert values.grad is not None and unary.grad is not None
    assert bool(values.grad.isfinite().all())
    assert bool(unary.grad.isfinite().all())
    assert float(values.grad[0, 0, 1]) == 0.0
    assert float(unary.grad[1]) == 0.0
    assert float(values.grad.abs().max()) > 0.1


def test_a_batch_of_factors_gets_its_rows_gradients():
    values = torch.stack([tables(1), tables(2)], dim=1).requires_grad_()
    belief_propagation(ring(values), tolerance=1e-12).log_partition.sum().backward()
    for row in range(2):
        single = values.detach()[:, row].clone().requires_grad_()
        belief_propagation(ring(single), tolerance=1e-12).log_partition.backward()
        assert values.grad is not None and single.grad is not None
        torch.testing.assert_close(values.grad[:, row], single.grad, rtol=0, atol=1e-8)
