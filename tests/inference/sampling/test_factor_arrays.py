"""Factors as arrays: weights and counts against enumeration, shared tables, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from inference.exact.enumerate import enumerate_states
from inference.exact.factor import Factor
from inference.exact.graph import FactorGraph
from inference.sampling.factor_arrays import FactorArrays

CARDS = [2, 3, 2, 4]
SCOPES = [[1, 0], [3], [0, 2], [2, 1, 3], [], [0, 1]]


def tables(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.normal(size=[CARDS[v] for v in scope]) for scope in SCOPES]


def test_log_weights_are_sums_of_entries():
    parts = tables(np.random.default_rng(0))
    arrays = FactorArrays.from_scopes(CARDS, SCOPES)
    logs = torch.from_numpy(np.concatenate([part.reshape(-1) for part in parts]))
    states = enumerate_states(CARDS)
    expected = sum(
        [part[tuple(states[:, s].numpy().T)] for part, s in zip(parts, SCOPES, strict=True)]
    )
    torch.testing.assert_close(arrays.log_weight(logs, states), torch.from_numpy(expected))


def test_counts_are_the_gradient_of_the_weights():
    arrays = FactorArrays.from_scopes(CARDS, SCOPES)
    states = enumerate_states(CARDS)
    weights = torch.rand(len(states), generator=torch.Generator().manual_seed(0)).double()
    logs = torch.zeros(arrays.size, dtype=torch.float64, requires_grad=True)
    (arrays.log_weight(logs, states) * weights).sum().backward()
    torch.testing.assert_close(arrays.counts(states, weights), logs.grad)
    torch.testing.assert_close(arrays.counts(states).sum(), torch.tensor(48.0 * 6).double())


def test_chunks_change_nothing(monkeypatch):
    arrays = FactorArrays.from_scopes(CARDS, SCOPES)
    logs = torch.arange(arrays.size).double()
    states = enumerate_states(CARDS)
    whole = arrays.log_weight(logs, states), arrays.counts(states)
    monkeypatch.setattr("inference.sampling.factor_arrays.CHUNK", 13)
    torch.testing.assert_close((arrays.log_weight(logs, states), arrays.counts(states)), whole)


def test_structure_and_cells_keep_the_order_of_factors():
    arrays = FactorArrays.from_scopes([2, 2, 2], [[0], [0, 1], [1]])
    assert arrays.structure.scopes == ((0,), (0, 1), (1,), (2,))  # the last is in no factor
    assert arrays.cells.tolist() == list(range(8))
    shared = FactorArrays([2, 2, 2], [[[0, 1], [1, 2]]], [[0, 0]])
    assert shared.cells.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert shared.size == 4


def test_edges_are_pairs_that_share_a_scope():
    assert FactorArrays.from_scopes(CARDS, SCOPES).edges.tolist() == [
        [0, 1],
        [0, 2],
        [1, 2],
        [1, 3],
        [2, 3],
    ]


def test_a_factor_graph_gives_its_tables_in_order():
    graph = FactorGraph({"a": 2, "b": 2}, [Factor(["b"], [1.0, 2.0]), Factor(["a"], [3.0, 4.0])])
    arrays, logs = FactorArrays.from_graph(graph)
    assert logs.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert arrays.structure.scopes == ((1,), (0,))


@pytest.mark.parametrize(
    ("scopes", "offsets", "message"),
    [
        ([[[0, 5]]], [[0]], "0..3"),
        ([[[0, 0]]], [[0]], "twice"),
        ([[[0, 1], [0, 2]]], [[0, 0]], "one shape"),
        ([[[0, 1]]], [[-1]], "negative"),
        ([[[0, 1]]], [[0, 0]], "offsets"),
    ],
)
def test_what_does_not_fit_is_refused(scopes, offsets, message):
    with pytest.raises(ValueError, match=message):
        FactorArrays(CARDS, scopes, offsets)


def test_numbers_must_be_a_permutation():
    with pytest.raises(ValueError, match="permutation"):
        FactorArrays(CARDS, [[[0], [2]]], [[0, 0]], [[0, 0]])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_codes_of_any_integer_type_read_the_same_entries(dtype):
    """Places in a table of 4096 entries, which eight bits do not count."""
    arrays = FactorArrays.from_scopes([16, 16, 16], [[0, 1, 2]])
    logs = torch.arange(4096).double()
    codes = torch.tensor([[15, 15, 15], [1, 2, 3]], dtype=dtype)
    assert arrays.log_weight(logs, codes).tolist() == [4095.0, 291.0]
    assert arrays.counts(codes).nonzero()[:, 0].tolist() == [291, 4095]
