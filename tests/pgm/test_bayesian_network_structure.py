"""Structure and independences of Bayesian networks."""

from __future__ import annotations

import itertools
import math

import networkx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgm import BayesianNetwork

# Worked numbers of the course notes --------------------------------------------------------------


@pytest.fixture
def loop() -> BayesianNetwork:
    """T4: x1 -> x2, x3 -> x4, whose skeleton is a loop."""
    return BayesianNetwork(
        [("x1", "x2"), ("x1", "x3"), ("x2", "x4"), ("x3", "x4")],
        dict.fromkeys(["x1", "x2", "x3", "x4"], 2),
        {
            "x1": [0.4, 0.6],
            "x2": [[0.8, 0.2], [0.2, 0.8]],
            "x3": [[0.7, 0.3], [0.3, 0.7]],
            "x4": [[[0.9, 0.1], [0.5, 0.5]], [[0.4, 0.6], [0.1, 0.9]]],
        },
    )


def test_T4_four_binary_nodes(loop):
    assert loop.n_parameters == 9
    prior = loop.marginals()
    for name, p in (("x2", 0.56), ("x3", 0.54), ("x4", 0.56), ("x1", 0.6)):
        assert prior[name][1].item() == pytest.approx(p, rel=1e-14)
    posterior = loop.marginals({"x4": 1})
    for name, p in (("x1", 0.7757142857), ("x2", 0.7928571429), ("x3", 0.7392857143)):
        assert posterior[name][1].item() == pytest.approx(p, abs=5e-11)
    assert loop.marginals({"x4": 0})["x1"][1].item() == pytest.approx(0.3763636364, abs=5e-11)
    state, log_p = loop.most_probable()
    assert state == {"x1": 1, "x2": 1, "x3": 1, "x4": 1}
    assert log_p.exp().item() == pytest.approx(0.3024, rel=1e-14)
    joint = BayesianNetwork([], {"all": 16})
    assert joint.n_parameters == 15


def dependence(net: BayesianNetwork, x, y, given) -> float:
    """Largest |p(x, y, z) p(z) - p(x, z) p(y, z)| over all states: zero iff independent."""
    x, y, given = list(x), list(y), list(given)
    joint = net.query([*x, *y, *given]).values
    ax, ay = tuple(range(len(x))), tuple(range(len(x), len(x) + len(y)))
    pz = joint.sum(ax + ay, keepdim=True)
    px, py = joint.sum(ay, keepdim=True), joint.sum(ax, keepdim=True)
    return float((joint * pz - px * py).abs().max())


def test_T4_independences_are_exact(loop):
    assert loop.is_d_separated("x4", "x1", ["x2", "x3"])
    assert dependence(loop, ["x4"], ["x1"], ["x2", "x3"]) < 1e-16
    assert loop.is_d_separated("x2", "x3", "x1")
    assert dependence(loop, ["x2"], ["x3"], ["x1"]) < 1e-16
    assert not loop.is_d_separated("x2", "x3", ["x1", "x4"])
    assert dependence(loop, ["x2"], ["x3"], ["x1", "x4"]) > 1e-3
    assert not loop.is_d_separated("x2", "x3")


# Structure ---------------------------------------------------------------------------------------


def test_what_a_network_knows_of_itself(rain):
    net = rain()
    assert net.variables == ("rain", "wind", "wet")
    assert net.parents("wet") == ("wind", "rain"), "in the order of the edges"
    assert net.children("rain") == ("wind", "wet")
    assert net.states["wind"] == ("none", "some", "storm")
    assert net.table("wet").shape == (3, 2, 2) and net.table("wet").dtype == torch.float64
    assert net.n_parameters == 1 + 2 * 2 + 6
    assert set(net.graph.edges) == set(net.edges)
    assert list(net.graph.nodes) == list(net.variables)
    assert "3 variables" in repr(net)
    assert list(BayesianNetwork([], {"a": 3}).states["a"]) == [0, 1, 2]


def test_tables_default_to_uniform():
    net = BayesianNetwork([("a", "b")], {"a": 2, "b": 4})
    assert net.table("b").tolist() == [[0.25] * 4] * 2
    assert net.log_evidence({"b": 3}).item() == pytest.approx(math.log(0.25))


def test_a_network_may_be_built_from_its_own_parts(rain):
    net = rain()
    numbered = BayesianNetwork([("a", "b")], {"a": 2, "b": 3})
    for original in (net, numbered):
        tables = {name: original.table(name) for name in original.variables}
        again = BayesianNetwork(original.edges, original.states, tables)
        assert again.values.equal(original.values)
        assert again.states == original.states


def test_rows_are_normalised_to_full_precision():
    net = BayesianNetwork([], {"a": 3}, {"a": [0.3333333, 0.3333333, 0.3333333]})
    assert net.table("a").sum().item() == pytest.approx(1.0, abs=1e-16)
    assert net.log_evidence().item() == pytest.approx(0.0, abs=1e-15)


def test_tables_of_any_kind_of_array():
    for make in (list, np.asarray, torch.tensor, lambda x: np.asarray(x, dtype=np.float32)):
        table = make([0.25, 0.75])
        assert BayesianNetwork([], {"a": 2}, {"a": table}).table("a").tolist() == [0.25, 0.75]
    given_ = np.array([0.25, 0.75])
    net = BayesianNetwork([], {"a": 2}, {"a": given_})
    given_[:] = 0.5
    assert net.table("a").tolist() == [0.25, 0.75], "the caller's array is not shared"


@st.composite
def dags(draw: st.DrawFn, most: int = 6) -> tuple[list[str], list[tuple[str, str]]]:
    names = [f"v{i}" for i in range(draw(st.integers(2, most)))]
    order = draw(st.permutations(names))
    pairs = list(itertools.combinations(order, 2))
    chosen = draw(st.lists(st.booleans(), min_size=len(pairs), max_size=len(pairs)))
    return names, [pair for pair, taken in zip(pairs, chosen, strict=True) if taken]


@settings(deadline=None, max_examples=200)
@given(dags(), st.integers(0, 2**32 - 1))
def test_d_separation_is_independence(dag, seed):
    """Of every distribution of the graph: networkx agrees, and so do random numbers."""
    names, edges = dag
    rng = np.random.default_rng(seed)
    above = {name: [p for p, child in edges if child == name] for name in names}
    tables = {name: rng.dirichlet([0.5, 0.5], [2] * len(above[name])) for name in names}
    net = BayesianNetwork(edges, dict.fromkeys(names, 2), tables)
    graph = net.graph
    for _ in range(4):
        roles = rng.choice(["x", "y", "z", "-"], len(names))
        roles[:2] = rng.permutation(["x", "y"])
        order = rng.permutation(names).tolist()
        x, y, z = ({n for n, r in zip(order, roles, strict=True) if r == k} for k in "xyz")
        separated = net.is_d_separated(x, y, z)
        assert separated == net.is_d_separated(y, x, z)
        assert separated == networkx.is_d_separator(graph, x, y, z)
        if separated:
            assert dependence(net, x, y, z) < 1e-15
        elif len(names) <= 4:
            # Random numbers are dependent where the graph allows it, on short paths visibly.
            assert dependence(net, x, y, z) > 1e-14


@settings(deadline=None, max_examples=100)
@given(dags())
def test_the_markov_blanket_shields_and_is_minimal(dag):
    names, edges = dag
    net = BayesianNetwork(edges, dict.fromkeys(names, 2))
    for name in names:
        blanket = net.markov_blanket(name)
        assert name not in blanket
        rest = set(names) - blanket - {name}
        assert not rest or net.is_d_separated(name, rest, blanket)
        for member in blanket:
            assert not net.is_d_separated(name, member, blanket - {member})


def test_d_separation_refuses_nonsense(loop):
    with pytest.raises(ValueError, match="x9"):
        loop.is_d_separated("x1", "x9", [])
    with pytest.raises(ValueError, match="disjoint"):
        loop.is_d_separated("x1", "x2", ["x1"])
    with pytest.raises(ValueError, match="disjoint"):
        loop.is_d_separated("x1", ["x1", "x2"])
    for method in (loop.markov_blanket, loop.parents, loop.children, loop.table):
        with pytest.raises(ValueError, match="x9"):
            method("x9")
