"""Couplings in every form are the same edges; what is no symmetric matrix is refused."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from energy.ising.couplings import checked_edges, checked_field, edges_of_matrix, merged


def forms(matrix: np.ndarray) -> list[object]:
    graph = nx.Graph()
    graph.add_nodes_from(range(len(matrix)))
    for i, j in zip(*np.triu(matrix).nonzero(), strict=True):
        graph.add_edge(int(i), int(j), weight=float(matrix[i, j]))
    tensor = torch.from_numpy(matrix)
    return [
        matrix,
        matrix.tolist(),
        tensor,
        tensor.to_sparse(),
        tensor.to_sparse_csr(),
        sparse.csr_array(matrix),
        sparse.coo_matrix(matrix),
        graph,
    ]


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")
@given(st.integers(1, 7), st.integers(0, 999), st.floats(0, 1))
def test_all_forms_agree(n, seed, share):
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.normal(size=(n, n)) * (rng.random((n, n)) < share), 1)
    for form in forms(upper + upper.T):
        size, edges, values = edges_of_matrix(form)
        made = np.zeros((n, n))
        made[edges[:, 0], edges[:, 1]] = values.numpy()
        assert size == n
        np.testing.assert_array_equal(made, upper)
        assert values.dtype is torch.float64


def test_single_precision_stays():
    values = edges_of_matrix(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))[2]
    assert values.dtype is torch.float32


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[0.0, 1.0], [2.0, 0.0]], "symmetric.*1 at .0, 1. and 2 at .1, 0."),
        ([[0.0, 1.0], [0.0, 0.0]], "symmetric"),
        ([[3.0, 1.0], [1.0, 0.0]], "diagonal.*3 at unit 0"),
        ([[0.0, 1.0, 2.0], [1.0, 0.0, 0.0]], "square"),
        ([0.0, 1.0], "square"),
        ([[0.0, np.inf], [np.inf, 0.0]], "finite"),
        ([[0.0, np.nan], [np.nan, 0.0]], "NaN"),
    ],
)
def test_bad_matrices_are_refused(matrix, message):
    with pytest.raises(ValueError, match=message):
        edges_of_matrix(matrix)
    if np.asarray(matrix).ndim == 2:
        with pytest.raises(ValueError, match=message):
            edges_of_matrix(sparse.csr_array(np.asarray(matrix)))


def test_other_kinds_are_refused():
    with pytest.raises(TypeError, match="couplings"):
        edges_of_matrix("strong")
    with pytest.raises(TypeError, match="undirected"):
        edges_of_matrix(nx.DiGraph([(0, 1)]))


def test_lists_of_edges_are_checked_and_merged():
    edges, values = merged(np.array([[1, 0], [0, 1], [2, 1]]), torch.tensor([1.0, 2.0, 5.0]))
    assert edges.tolist() == [[0, 1], [1, 2]]
    assert values.tolist() == [3.0, 5.0]
    assert checked_edges(3, []).shape == (0, 2)
    for wrong, message in (([[0, 3]], "0 to 2"), ([[1, 1]], "loop"), ([[0.5, 1]], "whole")):
        with pytest.raises(ValueError, match=message):
            checked_edges(3, wrong)


def test_fields():
    like = torch.zeros(1, dtype=torch.float64)
    assert checked_field(2, None, like).tolist() == [0.0, 0.0]
    assert checked_field(2, 3, like).tolist() == [3.0, 3.0]
    assert checked_field(4, [[1, 2], [3, 4]], like).tolist() == [1.0, 2.0, 3.0, 4.0]
    with pytest.raises(ValueError, match="one number per unit"):
        checked_field(3, [1.0, 2.0], like)
    with pytest.raises(ValueError, match="finite"):
        checked_field(2, [1.0, np.inf], like)
