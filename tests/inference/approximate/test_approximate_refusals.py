"""What approximate methods refuse, in words that name the argument; colours of graphs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inference import Factor, FactorGraph
from inference.approximate import (
    IsingGrid,
    PairwiseArrays,
    belief_propagation,
    mean_field,
    tree_reweighted,
)
from inference.approximate.coloring import color_graph


@pytest.fixture
def pair() -> FactorGraph:
    return FactorGraph({"a": 2, "b": 2}, [Factor(["a", "b"], torch.eye(2))])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "mean"}, "mode must be one of"),
        ({"schedule": "random"}, "schedule must be one of"),
        ({"gradient": "none"}, "gradient must be one of"),
        ({"damping": 1.0}, r"damping must be in \[0, 1\), found 1.0"),
        ({"damping": -0.1}, "damping must be"),
        ({"tolerance": -1.0}, "tolerance must be finite"),
        ({"tolerance": float("nan")}, "tolerance must be finite"),
        ({"max_iterations": 0}, "max_iterations must be at least 1"),
    ],
)
def test_options(pair, options, message):
    with pytest.raises(ValueError, match=message):
        belief_propagation(pair, **options)


def test_kinds(pair):
    with pytest.raises(TypeError, match="graph must be a FactorGraph"):
        belief_propagation([pair])  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="max_iterations must be a whole number"):
        mean_field(pair, max_iterations=1.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="progress must be"):
        tree_reweighted(pair, progress=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown variable 'z'"):
        belief_propagation(pair, {"z": 0})
    grid = IsingGrid(torch.zeros(1, 2), torch.zeros(1, 1), torch.zeros(0, 2))
    with pytest.raises(ValueError, match="evidence needs a FactorGraph"):
        belief_propagation(grid, {"a": 0})  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="blocks need the names"):
        mean_field(grid, blocks="trees")  # type: ignore[call-overload]


def test_impossible_models_are_refused_by_name():
    never = torch.tensor([[0.0, -torch.inf], [-torch.inf, -torch.inf]])
    graph = FactorGraph({"a": 2, "b": 2}, [Factor(["a", "b"], never)])
    for method in (belief_propagation, tree_reweighted):
        with pytest.raises(ValueError, match=r"evidence \{'a': 1\} has probability zero"):
            method(graph, {"a": 1})
    assert float(mean_field(graph, {"a": 1}).log_partition) == -torch.inf
    arrays = PairwiseArrays(
        torch.full((2, 2), -torch.inf), torch.tensor([[0, 1]]), torch.zeros(2, 2)
    )
    with pytest.raises(ValueError, match="every state has probability zero"):
        belief_propagation(arrays)


def test_batches_of_different_sizes(pair):
    batch = FactorGraph({"a": 2}, [Factor(["a"], torch.zeros(3, 2))])
    with pytest.raises(ValueError, match="evidence has 2 rows but the factors a batch of 3"):
        belief_propagation(batch, {"a": [0, 1]})


def test_only_pairs_have_trees():
    graph = FactorGraph(dict.fromkeys("abc", 2), [Factor(list("abc"), torch.zeros(2, 2, 2))])
    with pytest.raises(ValueError, match="pairwise for tree_reweighted, found a factor over 3"):
        tree_reweighted(graph)
    assert bool(tree_reweighted(graph, {"a": 0}).converged)
    with pytest.raises(ValueError, match="edge_updates must be at least 0"):
        tree_reweighted(graph, {"a": 0}, edge_updates=-1)


def test_blocks(pair):
    with pytest.raises(ValueError, match="blocks: unknown variable 'c'"):
        mean_field(pair, blocks=[["a", "c"]])
    with pytest.raises(ValueError, match="blocks must be disjoint, found 'a' twice"):
        mean_field(pair, blocks=[["a"], ["b", "a"]])
    with pytest.raises(ValueError, match="blocks must be lists of names, 'trees' or None"):
        mean_field(pair, blocks="chains")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="blocks must be lists of names, found the string"):
        mean_field(pair, blocks=["a", "b"])
    zero = Factor.from_potential(["a", "b"], [[1, 0], [1, 1]])
    graph = FactorGraph({"a": 2, "b": 2}, [zero])
    with pytest.raises(ValueError, match=r"hard zeros in one block, found one over \('a', 'b'\)"):
        mean_field(graph, blocks=[["a"], ["b"]])
    assert bool(mean_field(graph, blocks=[["a", "b"]]).converged)


EDGES = torch.tensor([[0, 1], [1, 2]])


@pytest.mark.parametrize(
    ("unary", "edges", "tables", "message"),
    [
        (torch.zeros(3), EDGES, torch.zeros(2, 2), "log_unary must be"),
        (torch.zeros(3, 2), EDGES.double(), torch.zeros(2, 2), "edges must be integers"),
        (torch.zeros(3, 2), EDGES.T[:, :, None], torch.zeros(2, 2), "edges must be integers"),
        (torch.zeros(3, 2), EDGES, torch.zeros(3, 2, 2), "log_tables must be"),
        (torch.zeros(3, 2), EDGES, torch.zeros(3, 3), "log_tables must be"),
        (torch.zeros(3, 2), EDGES + 1, torch.zeros(2, 2), r"variables 0..2, found 1..3"),
        (torch.zeros(3, 2), EDGES - 1, torch.zeros(2, 2), r"variables 0..2, found -1..1"),
        (torch.zeros(3, 2), EDGES * 0, torch.zeros(2, 2), "join variable 0 to itself"),
        (torch.zeros(3, 2), EDGES.flip(1)[[0, 0]], torch.zeros(2, 2), r"pair \(0, 1\) twice"),
        (torch.full((3, 2), torch.nan), EDGES, torch.zeros(2, 2), "log_unary holds NaN"),
        (torch.zeros(3, 2), EDGES, torch.full((2, 2), torch.inf), "log_tables holds NaN or"),
        (torch.zeros(2, 3, 2), EDGES, torch.zeros(3, 2, 2, 2), r"batches of \[2, 3\] rows"),
        (torch.zeros(3, 2), EDGES, torch.zeros(0, 2, 2, 2), r"batches of \[0\] rows"),
        (torch.zeros(0, 2), EDGES[:0], torch.zeros(2, 2), "log_unary has an empty axis"),
        (torch.zeros(3, 0), EDGES[:0], torch.zeros(0, 0), "log_unary has an empty axis"),
        (torch.zeros(0, 3, 2), EDGES, torch.zeros(2, 2), "log_unary has an empty axis"),
    ],
)
def test_arrays(unary, edges, tables, message):
    with pytest.raises(ValueError, match=message):
        PairwiseArrays(unary, edges, tables)


def test_grids():
    with pytest.raises(
        TypeError, match=r"field must be a floating-point tensor, found torch\.int"
    ):
        IsingGrid(torch.zeros(2, 2).long(), torch.zeros(2, 1), torch.zeros(1, 2))
    with pytest.raises(TypeError, match="right must be a floating-point tensor, found ndarray"):
        IsingGrid(torch.zeros(2, 2), np.zeros((2, 1)), torch.zeros(1, 2))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"down must be \(\.\.\., 1, 2\), found \(2, 1\)"):
        IsingGrid(torch.zeros(2, 2), torch.zeros(2, 1), torch.zeros(2, 1))
    with pytest.raises(ValueError, match="right must be finite"):
        IsingGrid(torch.zeros(2, 2), torch.full((2, 1), -torch.inf), torch.zeros(1, 2))
    with pytest.raises(ValueError, match=r"batches of \[2, 3\] rows"):
        IsingGrid(torch.zeros(2, 2, 2), torch.zeros(3, 2, 1), torch.zeros(1, 2))
    with pytest.raises(ValueError, match=r"field has an empty axis: shape \(0, 0\)"):
        IsingGrid(torch.zeros(0, 0), torch.zeros(0, 0), torch.zeros(0, 0))
    with pytest.raises(ValueError, match=r"batches of \[0\] rows"):
        IsingGrid(torch.zeros(2, 2), torch.zeros(0, 2, 1), torch.zeros(1, 2))


def test_what_does_not_fit_is_refused_before_it_is_allocated(pair, monkeypatch):
    monkeypatch.setattr("inference.memory.free_memory", lambda: 100)
    for method in (belief_propagation, tree_reweighted, mean_field):
        with pytest.raises(ValueError, match="tables of 4 entries would take 128 bytes"):
            method(pair)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 12), st.integers(0, 999), st.floats(0, 1))
def test_colors_differ_between_neighbors(n, seed, density):
    rng = np.random.default_rng(seed)
    pairs = np.array([(i, j) for i in range(n) for j in range(i)], dtype=int).reshape(-1, 2)
    edges = pairs[rng.random(len(pairs)) < density]
    colors = color_graph(n, edges)
    assert (colors[edges[:, 0]] != colors[edges[:, 1]]).all()
    assert colors.min() == 0
    degree = np.bincount(edges.reshape(-1), minlength=n)
    assert colors.max() <= degree.max()


def test_grids_take_two_colors():
    grid = IsingGrid(torch.zeros(4, 5), torch.zeros(4, 4), torch.zeros(3, 5))
    colors = color_graph(20, grid.edges().numpy()).reshape(4, 5)
    assert colors.max() == 1
    assert (colors == (np.add.outer(range(4), range(5)) % 2)).all()
