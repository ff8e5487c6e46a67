"""Thousands of small random factor graphs against enumeration, along every path of the engine."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference import Factor, FactorGraph
from inference.exact.enumerate import EnumeratedLaw, enumerate_law

# Every test runs these numbers of examples along each of the engine's paths.
QUIET = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}
MANY = settings(max_examples=120, **QUIET)
SOME = settings(max_examples=40, **QUIET)
FEW = settings(max_examples=20, **QUIET)

# Rounding of sums of a dozen logarithms of some thousands, and of their exponentials.
NATS = {"rtol": 1e-13, "atol": 1e-9}
PROBABILITY = {"rtol": 1e-8, "atol": 1e-10}


def close(found: torch.Tensor, expected: torch.Tensor, **bounds: float) -> None:
    assert found.dtype == torch.float64
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, equal_nan=True, **bounds)


def weight(factors: list[Factor], evidence: dict[str, Any], state: dict[str, int]) -> float:
    """Log weight of one joint state."""
    total = sum(float(f.log_values[tuple([state[v] for v in f.scope])]) for f in factors)
    for name, value in evidence.items():
        if np.ndim(value):
            total += math.log(value[state[name]]) if value[state[name]] > 0 else -math.inf
        elif state[name] != value:
            total = -math.inf
    return total


def check_single(graph: FactorGraph, evidence: dict[str, Any], law: EnumeratedLaw) -> None:
    """All single queries, each asked for with the same evidence."""
    close(graph.log_partition(evidence), law.log_partition, **NATS)
    if law.log_partition == -math.inf:
        for query in (graph.marginals, graph.most_probable, lambda e: graph.sample(2, e)):
            with pytest.raises(ValueError, match="probability zero"):
                query(evidence)
        return
    found = graph.marginals(evidence)
    assert list(found) == list(graph.cardinalities)
    for name, expected in law.marginals.items():
        close(found[name], expected, **PROBABILITY)
    state, value = graph.most_probable(evidence)
    close(value, law.most_probable[1], **NATS)
    assert list(state) == list(graph.cardinalities)
    np.testing.assert_allclose(weight(list(graph.factors), evidence, state), float(value), **NATS)


@MANY
@given(data=st.data())
def test_random_graphs_without_evidence(data, graphs, each_path):
    cards, factors = data.draw(graphs())
    check_single(FactorGraph(cards, factors), {}, enumerate_law(cards, factors))


@MANY
@given(data=st.data())
def test_random_graphs_with_evidence(data, graphs, evidence, each_path):
    cards, factors = data.draw(graphs())
    graph = FactorGraph(cards, factors)
    for _ in range(3):
        given_ = data.draw(evidence(cards))
        check_single(graph, given_, enumerate_law(cards, factors, given_))


@MANY
@given(data=st.data())
def test_graphs_of_moderate_range(data, graphs, evidence, each_path):
    """More of the graphs that linear tables can hold, dense ones included."""
    cards, factors = data.draw(graphs(most=8, spreads=(1, 3), zeros=(0, 0.1)))
    given_ = data.draw(evidence(cards, kinds="hhss-------"))
    check_single(FactorGraph(cards, factors), given_, enumerate_law(cards, factors, given_))


@SOME
@given(data=st.data())
def test_batched_evidence_equals_its_rows(data, graphs, batches, each_path):
    cards, factors = data.draw(graphs(states=300))
    batch, rows = data.draw(batches(cards))
    laws = [enumerate_law(cards, factors, row) for row in rows]
    graph = FactorGraph(cards, factors)
    close(graph.log_partition(batch), torch.stack([law.log_partition for law in laws]), **NATS)
    found = graph.marginals(batch)
    assert list(found) == list(cards)
    for name, table in found.items():
        # Impossible rows are NaN in both.
        close(table, torch.stack([law.marginals[name] for law in laws]), **PROBABILITY)


@SOME
@given(data=st.data())
def test_asking_for_some_variables_in_any_order(data, graphs, evidence, each_path):
    cards, factors = data.draw(graphs(states=300))
    given_ = data.draw(evidence(cards))
    asked = data.draw(st.lists(st.sampled_from(list(cards)), unique=True))
    law = enumerate_law(cards, factors, given_)
    graph = FactorGraph(cards, factors)
    if law.log_partition == -math.inf:
        with pytest.raises(ValueError, match="probability zero"):
            graph.marginals(given_, variables=asked)
        return
    found = graph.marginals(given_, variables=asked)
    assert list(found) == asked
    for name, table in found.items():
        close(table, law.marginals[name], **PROBABILITY)


@SOME
@given(data=st.data())
def test_some_variables_of_a_batch_in_any_order(data, graphs, batches, each_path):
    cards, factors = data.draw(graphs(states=200, spreads=(1, 3), zeros=(0, 0.1)))
    batch, rows = data.draw(batches(cards))
    asked = data.draw(st.permutations(list(cards)))[: data.draw(st.integers(0, len(cards)))]
    found = FactorGraph(cards, factors).marginals(batch, variables=asked)
    assert list(found) == asked
    for name in asked:
        laws = [enumerate_law(cards, factors, row).marginals[name] for row in rows]
        close(found[name], torch.stack(laws), **PROBABILITY)


@SOME
@given(data=st.data())
def test_float32_factors_give_float64_answers(data, graphs, evidence, each_path):
    cards, factors = data.draw(graphs(states=100))
    single = [Factor(f.scope, f.log_values.float()) for f in factors]
    given_ = data.draw(evidence(cards))
    graph = FactorGraph(cards, single)
    check_single(graph, given_, enumerate_law(cards, single, given_))


@settings(max_examples=250, deadline=None)
@given(data=st.data())
def test_the_recorded_pass_agrees(data, graphs, batches, evidence):
    """The differentiable log Z is another piece of code: same numbers."""
    cards, factors = data.draw(graphs(states=200))
    leaves = [Factor(f.scope, f.log_values.clone().requires_grad_()) for f in factors]
    if not leaves:
        return
    graph = FactorGraph(cards, leaves)
    given_ = data.draw(evidence(cards))
    found = graph.log_partition(given_)
    assert found.requires_grad
    close(found.detach(), enumerate_law(cards, factors, given_).log_partition, **NATS)
    batch, rows = data.draw(batches(cards))
    laws = [enumerate_law(cards, factors, row) for row in rows]
    found = graph.log_partition(batch).detach()
    close(found, torch.stack([law.log_partition for law in laws]), **NATS)


@FEW
@given(data=st.data())
def test_many_rows_fill_several_chunks(data, graphs, engine_path):
    """Rows of a batch do not depend on their place in it."""
    cards, factors = data.draw(graphs(most=5, states=60, spreads=(1, 3), zeros=(0, 0.2)))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    size = 2500
    batch = {name: rng.integers(-1, card, size) for name, card in cards.items()}
    path = data.draw(st.sampled_from(["as-shipped", "tree"]))
    with engine_path(path):
        graph = FactorGraph(cards, factors)
        totals, tables = graph.log_partition(batch), graph.marginals(batch)
        picked = np.unique(rng.integers(0, size, 7))
        few = {name: column[picked] for name, column in batch.items()}
        close(totals[picked], graph.log_partition(few), **NATS)
        for name, table in graph.marginals(few).items():
            close(tables[name][picked], table, **PROBABILITY)
        law = enumerate_law(
            cards, factors, {n: int(c[size - 1]) for n, c in batch.items() if c[size - 1] >= 0}
        )
        close(totals[-1], law.log_partition, **NATS)
