"""Elimination orders and junction trees: valid, and as greedy as they should be."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.exact.order import Elimination, interaction_graph, min_fill, min_weight
from inference.exact.structure import bits
from inference.exact.tree import build_tree


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
