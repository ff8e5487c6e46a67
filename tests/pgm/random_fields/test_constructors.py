"""Grids, Ising models and features against sums written out; sizes; refusals."""

from __future__ import annotations

import itertools
import time

import networkx
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference.exact.factor import Factor
from pgm.markov_random_field import MarkovRandomField
from pgm.random_fields.lattices import lattice_edges
from tests.pgm.random_fields.enumeration import all_rows


def test_grid_with_a_table_per_site_and_bond():
    rng = np.random.default_rng(0)
    unary, down = rng.normal(size=(2, 3, 2)), rng.normal(size=(1, 3, 2, 2))
    right = rng.normal(size=(2, 2, 2, 2))
    field = MarkovRandomField.grid((2, 3), unary, [down, right])
    rows = all_rows(field)
    x = rows.reshape(-1, 2, 3)
    total = np.zeros(len(rows))
    for i, j in itertools.product(range(2), range(3)):
        total += unary[i, j][x[:, i, j]]
        if i < 1:
            total += down[i, j][x[:, i, j], x[:, i + 1, j]]
        if j < 2:
            total += right[i, j][x[:, i, j], x[:, i, j + 1]]
    torch.testing.assert_close(-field.energy(rows), torch.from_numpy(total))
    assert field.variables[:4] == ("0,0", "0,1", "0,2", "1,0")


@pytest.mark.parametrize("periodic", [False, True])
def test_shared_grid_tables(periodic):
    rng = np.random.default_rng(1)
    unary, pair = rng.normal(size=3), rng.normal(size=(3, 3))
    field = MarkovRandomField.grid((1, 4), unary, pair, periodic=periodic)
    rows = all_rows(field)
    x = rows.numpy()
    total = unary[x].sum(1) + sum([pair[x[:, j], x[:, j + 1]] for j in range(3)])
    if periodic:
        total += pair[x[:, 3], x[:, 0]]
    torch.testing.assert_close(-field.energy(rows), torch.from_numpy(total))
    assert len(field.weights) == 12


def test_ising_in_all_spellings():
    rng = np.random.default_rng(2)
    matrix = np.triu(rng.normal(size=(4, 4)), 1)
    matrix[0, 3] = 0.0
    matrix += matrix.T
    h = rng.normal(size=4)
    field = MarkovRandomField.ising(matrix, h)
    pairs = [(i, j) for i in range(4) for j in range(i + 1, 4) if matrix[i, j]]
    listed = MarkovRandomField.ising([matrix[i, j] for i, j in pairs], h, graph=pairs)
    rows = all_rows(field)
    s = 2.0 * rows.numpy() - 1
    total = 0.5 * np.einsum("ri,ij,rj->r", s, matrix, s) + s @ h
    for found in (field, listed):
        torch.testing.assert_close(-found.energy(rows), torch.from_numpy(total))
    assert field.n_parameters == len(pairs) + 4
    graph = networkx.Graph([("x", "y"), ("y", "z")])
    named = MarkovRandomField.ising(0.5, graph=graph)
    assert named.variables == ("x", "y", "z") and named.neighbours("y") == ("x", "z")


def test_periodic_lattices_of_any_dimension():
    field = MarkovRandomField.ising(0.3, shape=(3, 3, 3), periodic=True)
    assert all(len(field.neighbours(name)) == 6 for name in field.variables)
    assert len(lattice_edges((2, 2), periodic=True)[0]) == 2  # one bond, not two


@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.booleans())
def test_lattice_edges_join_sites_one_apart(shape, periodic):
    for axis, edges in enumerate(lattice_edges(shape, periodic)):
        first, second = (np.array(np.unravel_index(end, shape)) for end in edges.T)
        steps = (second - first) % np.array(shape)[:, None]
        assert (np.delete(steps, axis, 0) == 0).all()
        assert (steps[axis] == 1).all()
        wraps = periodic and shape[axis] > 2
        assert len(edges) == np.prod(shape) // shape[axis] * (shape[axis] - (not wraps))


def test_large_grids_are_built_from_arrays():
    """No object per factor: 300 x 300 with a table per bond takes a fraction of a second."""
    begin = time.process_time()
    rng = np.random.default_rng(0)
    unary = rng.normal(size=(300, 300, 2))
    field = MarkovRandomField.grid(
        (300, 300), unary, [rng.normal(size=(299, 300, 2, 2)), rng.normal(size=(300, 299, 2, 2))]
    )
    assert time.process_time() - begin < 5  # 0.3 where nothing else runs
    assert field.arrays.n_factors == 2 * 299 * 300 + 90_000
    rows = torch.zeros(2, 90_000, dtype=torch.int64)
    assert field.energy(rows).isfinite().all()
    state, weight = field.most_probable(method="annealing", sweeps=3, chains=2, generator=0)
    assert len(state) == 90_000 and weight > 0
    found = field.marginals(variables=["7,9"], method="gibbs", sweeps=3, chains=1, generator=0)
    assert found["7,9"].sum() == 1


def test_fields_without_factors_and_with_constants():
    empty = MarkovRandomField({"a": 2, "b": 3})
    assert abs(empty.log_partition().exp().item() - 6) < 1e-12
    assert empty.marginals()["b"].tolist() == pytest.approx([1 / 3] * 3)
    assert empty.neighbours("a") == () and empty.edges == []
    constant = MarkovRandomField({"a": 2}, [Factor([], 1.5)])
    assert abs(constant.log_partition().item() - 1.5 - np.log(2)) < 1e-12
    assert constant.energy([[0]]).item() == -1.5
    assert MarkovRandomField({}).log_partition().item() == 0.0


def test_the_graph():
    field = MarkovRandomField(
        {"a": 2, "b": 2, "c": 2, "d": 2, "e": 2},
        [Factor(s, np.zeros((2,) * len(s))) for s in (("b", "a"), ("b", "c", "d"))],
    )
    assert field.neighbours("b") == ("a", "c", "d")
    assert field.markov_blanket("c") == {"b", "d"}
    assert field.edges == [("a", "b"), ("b", "c"), ("b", "d"), ("c", "d")]
    assert set(field.graph.edges) == set(field.edges) and set(field.graph) == set("abcde")
    assert field.is_separated("a", ["c", "d"], "b")
    assert not field.is_separated("a", "d", "c")
    assert field.is_separated("a", "e")
    with pytest.raises(ValueError, match="disjoint"):
        field.is_separated("a", "b", ["a"])
    with pytest.raises(ValueError, match="unknown variable 'z'"):
        field.neighbours("z")
    assert repr(field) == "MarkovRandomField(5 variables, 2 factors, 12 parameters)"


@given(st.data())
def test_separation_is_absence_of_a_path(data):
    n = data.draw(st.integers(2, 7))
    pair = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda p: p[0] != p[1])
    pairs = {tuple(sorted(p)) for p in data.draw(st.lists(pair, max_size=10))}
    names = [str(v) for v in range(n)]
    factors = [Factor([names[u], names[v]], np.zeros((2, 2))) for u, v in pairs]
    field = MarkovRandomField(dict.fromkeys(names, 2), factors)
    order = data.draw(st.permutations(names))
    given = order[2 : 2 + data.draw(st.integers(0, n - 2))]
    graph = field.graph
    graph.remove_nodes_from(given)
    expected = not networkx.has_path(graph, order[0], order[1])
    assert field.is_separated(order[0], order[1], given) == expected


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: MarkovRandomField([2, 2]), TypeError, "states must map"),
        (lambda: MarkovRandomField({"a": 2}, ["x"]), TypeError, "Factor"),
        (lambda: MarkovRandomField({"a": 2}, [Factor(["z"], [0.0, 0.0])]), ValueError, "'z'"),
        (lambda: MarkovRandomField({"a": 3}, [Factor(["a"], [0.0, 0.0])]), ValueError, "2 states"),
        (
            lambda: MarkovRandomField({"a": 2}, [Factor(["a"], [[0.0, 0.0]])]),
            ValueError,
            "batch of tables",
        ),
        (lambda: MarkovRandomField.grid((2, 2), None, np.zeros(3)), ValueError, "pairwise"),
        (lambda: MarkovRandomField.grid((2, 2), np.zeros(3), np.eye(2)), ValueError, "unary"),
        (lambda: MarkovRandomField.grid((2, 2), None, [np.eye(2)]), ValueError, "per axis"),
        (lambda: MarkovRandomField.grid((0, 2), None, np.eye(2)), ValueError, "shape"),
        (lambda: MarkovRandomField.grid((2,), None, [[np.nan, 0], [0, 0]]), ValueError, "NaN"),
        (lambda: MarkovRandomField.ising(1.0), ValueError, "shape"),
        (lambda: MarkovRandomField.ising(np.ones((2, 3))), ValueError, "symmetric"),
        (lambda: MarkovRandomField.ising(np.eye(2)), ValueError, "diagonal"),
        (lambda: MarkovRandomField.ising([1.0], shape=(2, 2)), ValueError, "one per bond, 4"),
        (lambda: MarkovRandomField.ising(1.0, [1.0], shape=(2, 2)), ValueError, "one per site, 4"),
        (lambda: MarkovRandomField.ising(1.0, graph=[("a", "a")]), ValueError, "different"),
        (lambda: MarkovRandomField.ising(1.0, graph=[(1, "1")]), ValueError, "same string"),
        (lambda: MarkovRandomField.log_linear({"a": 2}, ["a"]), TypeError, "pair"),
        (
            lambda: MarkovRandomField.log_linear({"a": 2}, [(["a"], [1.0])]),
            ValueError,
            "shape",
        ),
        (
            lambda: MarkovRandomField.log_linear({"a": 2}, [(["a"], [1.0, np.inf])]),
            ValueError,
            "finite",
        ),
        (
            lambda: MarkovRandomField.log_linear({"a": 2}, [(["b"], [1.0, 0])]),
            ValueError,
            "'b'",
        ),
        (
            lambda: MarkovRandomField.log_linear({"a": 2}, [(["a"], [1.0, 0])], [1.0, 2.0]),
            ValueError,
            "one per feature",
        ),
    ],
)
def test_bad_models_are_refused(build, error, message):
    with pytest.raises(error, match=message):
        build()


def test_bad_queries_are_refused():
    field = MarkovRandomField.ising(0.1, shape=(2, 2))
    with pytest.raises(ValueError, match="complete"):
        field.energy([[0, 0, -1, 1]])
    with pytest.raises(ValueError, match="no rows"):
        field.score(torch.zeros(0, 4, dtype=torch.int64))
    for method in ("gibbs",):
        with pytest.raises(ValueError, match="single query"):
            field.marginals({"0,0": [0, 1]}, method=method)
    nothing = MarkovRandomField({"a": 2}, [Factor(["a"], [-np.inf, -np.inf])])
    with pytest.raises(ValueError, match="zero everywhere"):
        nothing.log_prob([[0]])
    assert nothing.log_partition().item() == -np.inf
