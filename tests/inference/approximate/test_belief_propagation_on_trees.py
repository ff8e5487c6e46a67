"""On trees messages are exact: marginals, log partition function, most probable state."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference import Factor, FactorGraph
from inference.approximate import belief_propagation, mean_field, tree_reweighted

QUIET = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}
MANY = settings(max_examples=60, **QUIET)
SOME = settings(max_examples=25, **QUIET)

EXACT = 1e-10


def draw_evidence(data: st.DataObject, graph: FactorGraph) -> dict[str, Any]:
    """Observed, weighted and free variables."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    found: dict[str, Any] = {}
    for name, card in graph.cardinalities.items():
        kind = rng.integers(5)
        if kind == 0:
            found[name] = int(rng.integers(card))
        elif kind == 1:
            found[name] = rng.random(card)
    return found


def draw_batch(data: st.DataObject, graph: FactorGraph, rows: int) -> dict[str, Any]:
    """The same for several rows."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    first = next(iter(graph.cardinalities))
    found: dict[str, Any] = {first: rng.integers(-1, graph.cardinalities[first], rows)}
    for name, card in list(graph.cardinalities.items())[1:]:
        kind = rng.integers(5)
        if kind == 0:
            found[name] = rng.integers(-1, card, rows)
        elif kind == 1:
            found[name] = rng.random((rows, card))
        elif kind == 2:
            found[name] = int(rng.integers(card))
    return found


def check(graph: FactorGraph, evidence: dict[str, Any], apart: Any, **options: Any) -> None:
    """Both modes against elimination."""
    exact = graph.log_partition(evidence)
    if exact == -torch.inf:
        for mode in ("sum", "max"):
            with pytest.raises(ValueError, match="probability zero"):
                belief_propagation(graph, evidence, mode=mode, **options)
        return
    found = belief_propagation(graph, evidence, **options)
    assert bool(found.converged)
    assert apart(found.marginals, graph.marginals(evidence)) < EXACT
    assert abs(float(found.log_partition - exact)) < EXACT * (1 + abs(float(exact)))
    best = belief_propagation(graph, evidence, mode="max", **options)
    state, value = graph.most_probable(evidence)
    assert best.most_probable is not None
    assert list(best.most_probable) == list(state)
    assert abs(float(best.log_partition - value)) < 1e-9 * (1 + abs(float(value)))


@MANY
@given(data=st.data())
def test_trees_are_exact(data, trees, apart):
    check(data.draw(trees()), {}, apart)


@MANY
@given(data=st.data())
def test_trees_with_evidence_are_exact(data, trees, apart):
    graph = data.draw(trees())
    check(graph, draw_evidence(data, graph), apart)


@SOME
@given(data=st.data())
def test_trees_of_pairs_take_the_fast_forms(data, trees, apart):
    graph = data.draw(trees(spreads=(0.3, 3), zeros=(0,), widest=2, least_states=3))
    check(graph, draw_evidence(data, graph), apart)


@SOME
@given(data=st.data())
def test_the_residual_schedule_is_exact_on_trees_too(data, trees, apart):
    graph = data.draw(trees(spreads=(0.3, 1, 3)))
    check(graph, draw_evidence(data, graph), apart, schedule="residual")


@SOME
@given(data=st.data())
def test_batched_evidence_equals_its_rows(data, trees, apart):
    graph = data.draw(trees(spreads=(0.3, 3)))
    batch = draw_batch(data, graph, 3)
    found = belief_propagation(graph, batch)
    assert found.log_partition.shape == found.converged.shape == found.residual.shape == (3,)
    assert apart(found.marginals, graph.marginals(batch)) < EXACT
    exact = graph.log_partition(batch)
    torch.testing.assert_close(found.log_partition, exact, rtol=EXACT, atol=EXACT)


@SOME
@given(data=st.data())
def test_batched_factors_equal_their_rows(data, trees, apart):
    graph = data.draw(trees(spreads=(0.3, 3), zeros=(0,)))
    draws = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    factors = list(graph.factors)
    if not factors:
        return
    own = factors[0].log_values
    noise = torch.randn((2, *own.shape), generator=draws, dtype=torch.float64)
    factors[0] = Factor(factors[0].scope, own + noise)
    batch = FactorGraph(graph.cardinalities, factors)
    found = belief_propagation(batch)
    best = belief_propagation(batch, mode="max")
    assert apart(found.marginals, batch.marginals()) < EXACT
    torch.testing.assert_close(found.log_partition, batch.log_partition(), rtol=0, atol=1e-9)
    for row in range(2):
        factors[0] = Factor(factors[0].scope, (own + noise)[row])
        state, value = FactorGraph(graph.cardinalities, factors).most_probable()
        assert abs(float(best.log_partition[row] - value)) < 1e-9
        assert best.most_probable is not None and set(best.most_probable) == set(state)


def test_a_long_chain_is_exact_however_long_the_residual_stands_still():
    signs = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    names = [f"x{i}" for i in range(200)]
    pair = 4.0 * torch.outer(signs, signs)
    factors = [Factor([a, b], pair) for a, b in itertools.pairwise(names)]
    graph = FactorGraph(dict.fromkeys(names, 2), [*factors, Factor(["x0"], 2.0 * signs)])
    found = belief_propagation(graph, tolerance=0.0)
    exact = graph.marginals()
    assert max([float((found.marginals[n] - exact[n]).abs().max()) for n in names]) < EXACT


@pytest.mark.parametrize("method", [belief_propagation, tree_reweighted, mean_field])
def test_graphs_with_nothing_to_pass(method, apart):
    alone = FactorGraph({"a": 3, "b": 1}, [Factor([], torch.tensor(0.5))])
    assert apart(method(alone).marginals, alone.marginals()) < EXACT
    assert abs(float(method(alone).log_partition - alone.log_partition())) < EXACT
    observed = FactorGraph({"a": 2, "b": 2}, [Factor(["a", "b"], torch.eye(2))])
    found = method(observed, {"a": 0, "b": 1})
    assert found.marginals["b"].tolist() == [0.0, 1.0]
    assert float(found.log_partition) == 0.0
    assert bool(method(FactorGraph({}, [])).converged)


def test_rows_that_cannot_be_are_nan_and_leave_the_others_alone():
    graph = FactorGraph({"a": 2, "b": 2}, [Factor.from_potential(["a", "b"], [[1, 0], [0, 3]])])
    found = belief_propagation(graph, {"a": [0, 1, -1], "b": [1, 1, -1]})
    assert found.marginals["a"][0].isnan().all()
    np.testing.assert_allclose(found.marginals["a"][1:], [[0.0, 1.0], [0.25, 0.75]], atol=1e-15)
    torch.testing.assert_close(
        found.log_partition.exp(), torch.tensor([0.0, 3.0, 4.0], dtype=torch.float64)
    )


@pytest.mark.parametrize("damping", [0.3, 0.5])
@pytest.mark.parametrize("mode", ["sum", "max"])
@pytest.mark.parametrize("states", [2, 3])
@pytest.mark.parametrize("spread", [200.0, 1000.0])
def test_damped_rounds_go_all_their_way(damping, mode, states, spread):
    # The message to b is all but sure after a few rounds, and outweighs b's own field only at the
    # end of its way. The three forms of messages take their turns.
    first, second = torch.zeros(2, states, dtype=torch.float64)
    first[1:], second[1] = -1.5 * spread, 0.5 * spread
    unlike = spread * (torch.eye(states, dtype=torch.float64) - 1)
    tables = {"a": first, "b": second, "ab": unlike}
    graph = FactorGraph(
        {"a": states, "b": states}, [Factor(list(scope), t) for scope, t in tables.items()]
    )
    found = belief_propagation(graph, mode=mode, damping=damping)
    assert bool(found.converged)
    assert float(found.marginals["b"][0]) > 0.999
    assert abs(float(found.log_partition - graph.log_partition())) < 1e-9
