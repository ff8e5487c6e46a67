"""Models too large for memory are refused; many variables alone are no hindrance."""

from __future__ import annotations

import math
import re
import time
import tracemalloc
from itertools import pairwise

import pytest
import torch

from inference import Factor, FactorGraph
from pgm import BayesianNetwork


def grid(n: int, memory_limit: int | None = None) -> FactorGraph:
    names = [[f"x{i}_{j}" for j in range(n)] for i in range(n)]
    pairs = [(names[i][j], names[i][j + 1]) for i in range(n) for j in range(n - 1)]
    pairs += [(names[i][j], names[i + 1][j]) for i in range(n - 1) for j in range(n)]
    table = torch.tensor([[0.5, -0.5], [-0.5, 0.5]], dtype=torch.float64)
    cards = {name: 2 for row in names for name in row}
    return FactorGraph(cards, [Factor(pair, table) for pair in pairs], memory_limit=memory_limit)


QUERIES = {
    "log_partition": lambda graph: graph.log_partition(),
    "marginals": lambda graph: graph.marginals(),
    "some": lambda graph: graph.marginals(variables=["x3_3"]),
    "most_probable": lambda graph: graph.most_probable(),
    "sample": lambda graph: graph.sample(1),
    "batch": lambda graph: graph.marginals({"x0_0": [0, 1]}),
    "batch-log": lambda graph: graph.log_partition({"x0_0": [0, 1]}),
}


@pytest.fixture(scope="module")
def large_grid() -> FactorGraph:
    return grid(40)


@pytest.mark.parametrize("name", QUERIES)
def test_a_large_grid_is_refused_quickly(name, large_grid):
    start = time.process_time()
    with pytest.raises(ValueError, match="width") as refusal:
        QUERIES[name](large_grid)
    assert time.process_time() - start < 10
    message = str(refusal.value)
    width = int(re.findall(r"width (\d+)", message)[0])
    assert 39 <= width <= 80
    assert "memory_limit" in message and re.search(r"[TPEZY]iB|bytes", message)
    assert re.search(r"x\d+_\d+", message), "names the variables of the largest clique"


@pytest.mark.parametrize("name", QUERIES)
def test_a_refused_grid_allocates_nothing(name):
    """A grid small enough to be allocated by mistake, and too large for the limit."""
    graph = grid(18, memory_limit=10**6)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="width"):
            QUERIES[name](graph)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * 2**20


def test_gradients_of_a_large_grid_are_refused():
    graph = grid(40)
    leaf = graph.factors[0].log_values.clone().requires_grad_()
    factors = [Factor(graph.factors[0].scope, leaf), *graph.factors[1:]]
    with pytest.raises(ValueError, match="width"):
        FactorGraph(graph.cardinalities, factors).log_partition()


@pytest.mark.parametrize("name", QUERIES)
def test_the_limit_is_the_users(name):
    graph = grid(7, memory_limit=10_000)
    with pytest.raises(ValueError, match=r"9\.8 KiB"):
        QUERIES[name](graph)
    QUERIES[name](grid(7, memory_limit=10**7))


def test_evidence_can_make_a_large_grid_small():
    """Every other column observed: chains are left."""
    graph = grid(12, memory_limit=10**5)
    evidence = {f"x{i}_{j}": 0 for i in range(12) for j in range(0, 12, 2)}
    assert graph.plan(evidence).largest_table < 5000
    assert graph.marginals(evidence)["x5_5"][0] > 0.5


def test_asking_for_everything_at_once_is_refused_by_name():
    net = BayesianNetwork([], dict.fromkeys(map(str, range(50)), 2))
    with pytest.raises(ValueError, match=r"PiB|EiB|TiB|bytes"):
        net.query(net.variables)
    observed = dict.fromkeys(net.variables, 0)
    with pytest.raises(ValueError, match=r"PiB|EiB|TiB|bytes"):
        net.query(net.variables, observed)


def test_more_variables_than_an_array_has_axes(each_path):
    """Merging small cliques must stop before 64 axes, however small the tables stay."""
    names = [str(i) for i in range(130)]
    ones = FactorGraph(
        dict.fromkeys(names, 1),
        [Factor([u, v], [[0.5]]) for u, v in pairwise(names)],
    )
    assert ones.log_partition().item() == pytest.approx(0.5 * 129)
    assert ones.marginals()["77"].tolist() == [1.0]
    assert ones.most_probable()[1].item() == pytest.approx(0.5 * 129)
    assert ones.sample(2).tolist() == [[0] * 130] * 2
    copies = BayesianNetwork(
        list(pairwise(names)),
        dict.fromkeys(names, 2),
        {n: [1.0, 0.0] if n == "0" else [[1.0, 0.0], [0.0, 1.0]] for n in names},
    )
    assert copies.marginals()["129"].tolist() == [1.0, 0.0]
    assert copies.most_probable()[1].item() == 0.0
    assert copies.log_evidence({"64": [0, 1]}).tolist() == [0.0, -math.inf]


def test_a_star_of_many_leaves(each_path):
    leaves = [str(i) for i in range(100)]
    net = BayesianNetwork(
        [("c", leaf) for leaf in leaves],
        {"c": 2, **dict.fromkeys(leaves, 2)},
        {"c": [0.5, 0.5], **{leaf: [[0.6, 0.4], [0.4, 0.6]] for leaf in leaves}},
    )
    evidence = dict.fromkeys(leaves[:10], 0)
    odds = (0.6 / 0.4) ** 10
    assert net.marginals(evidence)["c"][0].item() == pytest.approx(odds / (1 + odds))
