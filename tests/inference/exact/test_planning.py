"""Elimination orders, junction trees and plans: valid, as greedy as promised, honest on cost."""

from __future__ import annotations

import math
import re
import time
import tracemalloc
from itertools import combinations, pairwise
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inference import Factor, FactorGraph
from inference.exact import plan as planning
from inference.exact.order import Elimination, interaction_graph, min_fill, min_weight
from inference.exact.plan import Query, make_plan
from inference.exact.structure import Structure, bits
from inference.exact.tree import build_tree
from pgm import BayesianNetwork


@st.composite
def scope_lists(draw: st.DrawFn, most: int = 14) -> tuple[list[tuple[int, ...]], list[int]]:
    """Scopes that touch every variable, and cardinalities."""
    count = draw(st.integers(1, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scopes = [(v,) for v in range(count)]
    for _ in range(draw(st.integers(0, 3 * count))):
        size = int(rng.integers(1, min(4, count) + 1))
        scopes.append(tuple(rng.choice(count, size, replace=False).tolist()))
    return scopes, rng.integers(1, 5, count).tolist()


def adjacency(scopes) -> dict[int, set[int]]:
    found = {v: set() for scope in scopes for v in scope}
    for scope in scopes:
        for u, v in combinations(scope, 2):
            found[u].add(v)
            found[v].add(u)
    return found


def missing_edges(graph: dict[int, set[int]], v: int) -> int:
    return sum(b not in graph[a] for a, b in combinations(sorted(graph[v]), 2))


def weight(graph: dict[int, set[int]], v: int, logs: list[float]) -> float:
    return logs[v] + sum(logs[u] for u in graph[v])


def eliminate(graph: dict[int, set[int]], v: int) -> None:
    around = graph.pop(v)
    for u in around:
        graph[u] |= around - {u}
        graph[u].discard(v)


@settings(deadline=None, max_examples=300)
@given(scope_lists())
def test_min_fill_chooses_what_a_slow_search_would(example):
    """At each step no other variable adds fewer edges, or as few with a lighter clique."""
    scopes, cards = example
    logs = [math.log(card) for card in cards]
    found = min_fill(interaction_graph(scopes), logs)
    graph = adjacency(scopes)
    assert sorted(found.order) == sorted(graph)
    for v, clique in zip(found.order, found.cliques, strict=True):
        assert set(bits(clique)) == graph[v] | {v}
        fills = {u: missing_edges(graph, u) for u in graph}
        assert fills[v] == min(fills.values())
        best = min(weight(graph, u, logs) for u in graph if fills[u] == fills[v])
        assert weight(graph, v, logs) == pytest.approx(best, abs=1e-9)
        eliminate(graph, v)


@settings(deadline=None, max_examples=300)
@given(scope_lists())
def test_min_weight_chooses_the_lightest_clique(example):
    scopes, cards = example
    logs = [math.log(card) for card in cards]
    found = min_weight(interaction_graph(scopes), logs)
    graph = adjacency(scopes)
    assert sorted(found.order) == sorted(graph)
    for v, clique in zip(found.order, found.cliques, strict=True):
        assert set(bits(clique)) == graph[v] | {v}
        weights = [weight(graph, u, logs) for u in graph]
        assert weight(graph, v, logs) == pytest.approx(min(weights), abs=1e-9)
        eliminate(graph, v)


def test_orders_of_known_graphs():
    """A chain and a tree need no fill, a cycle of n needs n - 3, a k x k grid has width k."""
    chain = [(i, i + 1) for i in range(50)]
    assert max(map(int.bit_count, min_fill(interaction_graph(chain), [1.0] * 51).cliques)) == 2
    cycle = [(i, (i + 1) % 30) for i in range(30)]
    assert max(map(int.bit_count, min_fill(interaction_graph(cycle), [1.0] * 30).cliques)) == 3
    grid = [(10 * i + j, 10 * i + j + 1) for i in range(10) for j in range(9)]
    grid += [(10 * i + j, 10 * i + j + 10) for i in range(9) for j in range(10)]
    widths = map(int.bit_count, min_fill(interaction_graph(grid), [1.0] * 100).cliques)
    assert 11 <= max(widths) <= 16


def check_tree(found, scopes, cards) -> None:
    """A junction forest: covers every scope, and every variable's cliques hang together."""
    cliques = [set(clique) for clique in found.cliques]
    for scope in scopes:
        homes = [c for c, clique in enumerate(cliques) if set(scope) <= clique]
        assert homes, f"{scope} is in no clique"
        assert list(found.holders(scope)) == homes
        assert found.sizes[found.home(scope)] == min(found.sizes[c] for c in homes)
    assert found.home((0, 99)) == -1
    for c, parent in enumerate(found.parents):
        assert parent == -1 or c < parent < len(cliques)
        above = cliques[parent] if parent >= 0 else set()
        clique, residual = found.cliques[c], found.residuals[c]
        assert len(clique) == len(cliques[c]), "a variable twice"
        assert residual >= 1
        assert not set(clique[:residual]) & above
        assert set(clique[residual:]) <= above
        assert found.shapes[c] == tuple(cards[v] for v in clique)
        assert found.sizes[c] == math.prod(found.shapes[c])
        assert found.masks[c] == sum(1 << v for v in clique)
    assert found.entries == sum(found.sizes)
    # Running intersection: a variable is residual in one clique only, the top of its subtree.
    variables = {v for scope in scopes for v in scope}
    tops = [v for c, clique in enumerate(found.cliques) for v in clique[: found.residuals[c]]]
    assert sorted(tops) == sorted(variables)
    for v in variables:
        holding = {c for c, clique in enumerate(cliques) if v in clique}
        links = sum(1 for c in holding if found.parents[c] in holding)
        assert links == len(holding) - 1
    for c, below in enumerate(found.children):
        assert all(found.parents[k] == c for k in below)
    assert sum(map(len, found.children)) == sum(parent >= 0 for parent in found.parents)


@settings(deadline=None, max_examples=200)
@given(scope_lists(), st.sampled_from([0, 1, 5, 40, 1200, 10**9]), st.booleans())
def test_trees_are_junction_trees_whatever_is_merged(example, allowance, lightest):
    scopes, cards = example
    order = min_weight if lightest else min_fill
    elimination = order(interaction_graph(scopes), [math.log(card) for card in cards])
    found = build_tree(elimination, cards, allowance)
    check_tree(found, scopes, cards)
    apart = build_tree(elimination, cards, 0)
    merged = len(apart.cliques) - len(found.cliques)
    assert merged >= 0
    assert found.entries <= apart.entries + merged * allowance
    if allowance == 10**9:
        assert len(found.cliques) <= len(apart.cliques)


def test_unmerged_cliques_are_maximal():
    rng = np.random.default_rng(0)
    for _ in range(50):
        count = int(rng.integers(2, 14))
        scopes = [(v,) for v in range(count)]
        scopes += [tuple(rng.choice(count, 2, replace=False).tolist()) for _ in range(2 * count)]
        elimination = min_fill(interaction_graph(scopes), [1.0] * count)
        cliques = [set(c) for c in build_tree(elimination, [2] * count, -1).cliques]
        for a, b in combinations(cliques, 2):
            assert not a <= b and not b <= a


def test_any_elimination_order_gives_a_tree():
    """Not only greedy ones."""
    rng = np.random.default_rng(1)
    for _ in range(100):
        count = int(rng.integers(1, 9))
        scopes = [(v,) for v in range(count)]
        scopes += [
            tuple(rng.choice(count, min(3, count), replace=False).tolist())
            for _ in range(int(rng.integers(0, count)))
        ]
        graph = adjacency(scopes)
        order, cliques = rng.permutation(count).tolist(), []
        for v in order:
            cliques.append(sum(1 << u for u in graph[v] | {v}))
            eliminate(graph, v)
        cards = rng.integers(1, 4, count).tolist()
        elimination = Elimination(tuple(order), tuple(cliques))
        for allowance in (0, 10, 10**6):
            check_tree(build_tree(elimination, cards, allowance), scopes, cards)


# Plans -------------------------------------------------------------------------------------------


def random_structure(rng, directed: bool) -> Structure:
    count = int(rng.integers(2, 12))
    cards = tuple(rng.integers(1, 5, count).tolist())
    if directed:
        order = rng.permutation(count).tolist()
        scopes = []
        for v in range(count):
            before = order[: order.index(v)]
            above = rng.permutation(before)[: rng.integers(0, 4)].astype(int).tolist()
            scopes.append((*above, v))
        return Structure(cards, tuple(scopes), tuple(range(count)))
    scopes = [(v,) for v in range(count)]
    for _ in range(count):
        size = int(rng.integers(1, min(4, count) + 1))
        scopes.append(tuple(rng.choice(count, size, replace=False).tolist()))
    return Structure(cards, tuple(scopes), (-1,) * len(scopes))


def ancestors(structure: Structure, seeds) -> set[int]:
    found: set[int] = set()
    stack = list(seeds)
    while stack:
        v = stack.pop()
        if v not in found:
            found.add(v)
            stack += [u for u in structure.scopes[v] if u != v]
    return found


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("small", [300_000, -1])
def test_plans_place_everything_that_matters(directed, small):
    rng = np.random.default_rng(3)
    groups = 0
    for _ in range(150):
        structure = random_structure(rng, directed)
        count = len(structure.cards)
        roles = rng.choice(["observed", "weighted", "free"], count, p=[0.2, 0.2, 0.6])
        observed = frozenset(np.flatnonzero(roles == "observed").tolist())
        weighted = frozenset(np.flatnonzero(roles == "weighted").tolist())
        asked = rng.permutation(count)[: rng.integers(0, count + 1)].tolist()
        query = Query(observed, weighted, tuple((v,) for v in asked))
        with (
            mock.patch.object(planning, "SMALL", small),
            mock.patch.object(planning, "SMALL_PER_VARIABLE", small),
            mock.patch.object(planning._Candidate, "cost", -1),
        ):
            plan = make_plan(structure, query, allowance=0)
        groups = max(groups, len(plan.groups))
        needed = set(range(count))
        if directed:
            needed = ancestors(structure, [*asked, *observed, *weighted])
            factors = needed
        else:
            factors = set(range(len(structure.scopes)))
        # Variables with one state are axes of no table; their own distributions are one.
        cut = observed | structure.single_state
        factors = factors - set(structure.certain_factors)
        constants = {f for f in factors if set(structure.scopes[f]) <= cut}
        assert sorted(plan.constants) == sorted(constants)
        placed, counted, read, held = set(), {}, [], set()
        for group in plan.groups:
            held |= {v for clique in group.tree.cliques for v in clique}
            for f, c in group.homes:
                live = set(structure.scopes[f]) - cut
                assert live and live <= set(group.tree.cliques[c])
                placed.add(f)
                if group.complete:
                    counted[f] = counted.get(f, 0) + 1
            for v, c in group.weights:
                assert v in weighted and v in group.tree.cliques[c]
            for target, c in group.reads:
                assert set(query.targets[target]) <= set(group.tree.cliques[c])
                read.append(target)
            # A group with a weighted variable multiplies its likelihood, and once.
            inside = {v for clique in group.tree.cliques for v in clique}
            assert sorted(v for v, _ in group.weights) == sorted(weighted & inside - cut)
            assert len({f for f, _ in group.homes}) == len(group.homes)
        assert placed == factors - constants
        assert sorted(read) == [i for i, v in enumerate(asked) if v not in cut]
        # What log P(e) depends on is counted once.
        relevant = factors
        if directed:
            relevant = ancestors(structure, [*observed, *weighted])
        for f in relevant & factors - constants:
            assert counted.get(f) == 1
        assert held <= needed - observed
        assert plan.entries == sum(s for g in plan.groups for s in g.tree.sizes)
        assert plan.bytes == 8 * plan.entries
        sizes = [s for g in plan.groups for s in g.tree.sizes]
        assert plan.largest_table == max(sizes, default=0)
        assert plan.cliques == len(sizes)
        lengths = [len(c) for g in plan.groups for c in g.tree.cliques]
        assert plan.width == max(lengths, default=0) - 1
        size = math.prod(structure.cards[v] for v in plan.largest_clique)
        assert size == plan.largest_table or not sizes
    assert groups > 1 if directed and small < 0 else groups == 1


def test_the_report_says_what_the_plan_takes():
    graph = FactorGraph(
        dict.fromkeys("abcd", 5),
        [Factor(list(pair), torch.zeros(5, 5)) for pair in ("ab", "bc", "cd", "da")],
    )
    plan = graph.plan()
    text = str(plan)
    assert plan.width in (2, 3)
    for number in (f"width {plan.width}", f"{plan.largest_table:,}", f"{plan.entries:,}"):
        assert number in text
    assert plan.seconds > 0 and plan.operations >= plan.entries
    smaller = graph.plan({"a": 1})
    assert smaller.entries < plan.entries and smaller.width < plan.width
    assert str(graph.plan({"a": [1.0, 2, 0, 0, 1]})) == text, "soft evidence cuts nothing out"


def test_plans_are_remembered(each_path):
    graph = FactorGraph(
        dict.fromkeys("abc", 40), [Factor(list(p), torch.zeros(40, 40)) for p in ("ab", "bc")]
    )
    assert graph.plan({"a": 1}) is graph.plan({"a": 2})
    target = "inference.exact.engine.make_plan"
    with mock.patch(target, side_effect=make_plan) as counted:
        for state in range(5):
            graph.marginals({"a": state})
            graph.log_partition({"a": state})
            graph.most_probable({"a": state})
            graph.sample(1, {"a": state})
        once = counted.call_count
        assert once <= 4
        for state in range(5):
            graph.marginals({"a": state, "c": 0})
        assert counted.call_count == once + 1
        graph.factors[0].log_values[0] += 1.0
        for state in range(5):
            graph.marginals({"a": state, "c": 0})
        assert counted.call_count == once + 1, "new numbers need no new plan"


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


# Possible states ---------------------------------------------------------------------------------


def test_impossible_states_shrink_the_plan():
    rng = np.random.default_rng(0)
    card, used = 30, 3
    support = np.zeros((card, card))
    support[:, :used] = rng.random((card, used))
    first = np.zeros(card)
    first[:used] = 1 / used
    tables = {"a": first}
    tables |= {name: support / support.sum(1, keepdims=True) for name in "bcd"}
    edges = [("a", "b"), ("a", "c"), ("b", "d")]
    net = BayesianNetwork(edges, dict.fromkeys("abcd", card), tables)
    net.marginals()
    assert net.plan().entries <= used**4
    found = net.marginals({"d": 1})
    assert found["a"].shape == (card,) and (found["a"][used:] == 0).all()
    assert found["a"].sum().item() == pytest.approx(1.0)
    assert found["d"].tolist() == pytest.approx([float(i == 1) for i in range(card)])
    with pytest.raises(ValueError, match="probability zero"):
        net.marginals({"d": used})
    assert net.log_evidence({"d": card - 1}).item() == -math.inf
    assert net.query(["d", "a"]).log_values.shape == (card, card)
    state, _ = net.most_probable()
    assert all(code < used for code in state.values())
    assert (net.sample(100, {"d": 2}) < used).all()


@pytest.mark.parametrize("order", [1, -1])
def test_impossibility_spreads_to_the_end(order):
    """Through a chain of copies, whatever the order of the factors."""
    names = [str(i) for i in range(12)]
    factors = [Factor.from_potential(pair, np.eye(4)) for pair in pairwise(names)]
    factors.append(Factor.from_potential(["11"], [0.0, 3.0, 0.0, 0.0]))
    graph = FactorGraph(dict.fromkeys(names, 4), factors[::order])
    assert graph.log_partition().item() == pytest.approx(math.log(3))
    assert graph.plan().largest_table <= 1
    assert graph.marginals()["0"].tolist() == [0, 1, 0, 0]


def test_possible_states_follow_the_numbers():
    """The same number of impossible states, but others; then none."""
    net = BayesianNetwork(
        [("a", "b")], {"a": 3, "b": 2}, {"a": [0, 0.5, 0.5], "b": [[0.1, 0.9]] * 3}
    )
    assert net.marginals()["a"].tolist() == [0, 0.5, 0.5]
    for row in ([0.5, 0, 0.5], [0.25, 0.25, 0.5], [0, 0, 1.0], [0.5, 0.5, 0]):
        with torch.no_grad():
            net.table("a").copy_(torch.tensor(row))
        assert net.marginals()["a"].tolist() == row
        assert net.marginals({"b": [0, 1]})["a"][1].tolist() == pytest.approx(row)
        assert net.log_evidence({"a": [0, 1, 2]}).exp().tolist() == pytest.approx(row)


# Several trees -----------------------------------------------------------------------------------


def several_funnels(rng) -> BayesianNetwork:
    """Sinks whose ancestral sets are small alone and large together."""
    roots = [f"r{i}" for i in range(14)]
    cards = dict.fromkeys(roots, 4)
    tables = {name: rng.dirichlet(np.ones(4)) for name in roots}
    edges = []
    for s in range(30):
        name = f"s{s}"
        above = rng.choice(roots, 3, replace=False).tolist()
        cards[name] = 3
        tables[name] = rng.dirichlet(np.ones(3), [4, 4, 4])
        edges += [(p, name) for p in above]
    return BayesianNetwork(edges, cards, tables)


def test_splitting_into_several_trees_is_exact():
    """Unforced: this network is split because that is cheaper."""
    rng = np.random.default_rng(4)
    net = several_funnels(rng)
    plan = net.plan()
    assert len(plan.groups) > 1
    whole = make_plan(net._engine.structure, plan.query, split=False)
    assert plan.entries < whole.entries
    split = net.marginals()
    for name in net.variables:
        alone = net.marginals(variables=[name])[name]
        torch.testing.assert_close(split[name], alone, rtol=1e-12, atol=1e-14)
    for evidence in ({"s0": 1}, {"s0": 1, "s7": [0.2, 1.0, 0.4]}, {"r3": 2, "s9": 0}):
        plan = net.plan(evidence)
        found = net.marginals(evidence)
        for name in ("r0", "s1", "s22"):
            alone = net.marginals(evidence, variables=[name])[name]
            torch.testing.assert_close(found[name], alone, rtol=1e-11, atol=1e-14)
        assert sum(group.complete for group in plan.groups) == 1
    with pytest.raises(ValueError, match="probability zero"):
        net.marginals({"s0": [0.0, 0.0, 0.0]})
