"""Distances between structures: known values, invariances, and what is refused."""

from __future__ import annotations

import itertools

import networkx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgm import BayesianNetwork
from pgm.structure.cpdag import PDAG
from pgm.structure.distance import (
    StructureComparison,
    compare_partial_structures,
    compare_structures,
    structural_hamming_distance,
)

CHAIN = [("a", "b"), ("b", "c")]
FORK = [("b", "a"), ("b", "c")]
COLLIDER = [("a", "b"), ("c", "b")]
NAMES = "abcde"


def network(names: str, edges) -> BayesianNetwork:
    return BayesianNetwork(edges, dict.fromkeys(names, 2))


def edge_lists():
    """Edges of a DAG on five variables in a random order."""

    def along(order):
        return st.lists(st.sampled_from(list(itertools.combinations(order, 2))), unique=True)

    return st.permutations(NAMES).flatmap(along)


def by_definition(a, b, names: str = NAMES) -> int:
    """Pairs of variables that two sets of directed edges do not treat alike."""

    def kind(edges, u, v):
        return ((u, v) in edges, (v, u) in edges)

    pairs = itertools.combinations(names, 2)
    return sum(kind(set(a), u, v) != kind(set(b), u, v) for u, v in pairs)


@pytest.mark.parametrize(
    ("a", "b", "directed", "essential"),
    [
        (CHAIN, CHAIN, 0, 0),
        (CHAIN, FORK, 1, 0),
        # The collider's two arrows are compelled, both lines of the chain are not.
        (CHAIN, COLLIDER, 1, 2),
        (FORK, COLLIDER, 2, 2),
        (CHAIN, [("a", "b")], 1, 1),
        ([("a", "b")], CHAIN, 1, 1),
        (CHAIN, [("a", "c")], 3, 3),
        (CHAIN, [("b", "a"), ("c", "b")], 2, 0),
        # Closing the collider's triangle turns two arrows into lines and adds one.
        ([*COLLIDER, ("a", "c")], COLLIDER, 1, 3),
        ([], COLLIDER, 2, 2),
        ([], [], 0, 0),
    ],
)
def test_values_by_hand(a, b, directed, essential):
    assert structural_hamming_distance(a, b) == directed
    assert structural_hamming_distance(a, b, equivalence=True) == essential


def test_all_kinds_of_structures_and_any_order_of_variables():
    shuffled = network("cab", FORK)
    graph = networkx.DiGraph()
    graph.add_nodes_from("bca")
    graph.add_edges_from(CHAIN)
    for chain in (
        CHAIN,
        iter(CHAIN),
        [list(edge) for edge in CHAIN],
        graph,
        network("abc", CHAIN),
    ):
        assert structural_hamming_distance(shuffled, chain) == 1
    assert structural_hamming_distance(shuffled, graph, equivalence=True) == 0
    assert structural_hamming_distance(shuffled.graph, network("bac", COLLIDER)) == 2


def test_an_isolated_variable_counts_for_nothing():
    assert structural_hamming_distance(network("abcd", CHAIN), CHAIN) == 0


def test_comparison_by_hand():
    learned = [("a", "b"), ("c", "b"), ("a", "d")]
    true = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e")]
    found = compare_structures(learned, true)
    assert found[:4] == (1, 2, 1, 1)
    assert found.distance == 4
    assert (found.precision, found.recall) == pytest.approx((2 / 3, 2 / 4))
    assert found.f1 == pytest.approx(2 / (3 / 2 + 4 / 2))
    # Seen as classes: the learned collider's arrows meet lines, a -> d is a line but extra.
    assert compare_structures(learned, true, equivalence=True)[:4] == (0, 2, 1, 2)


def test_rates_of_nothing_are_one():
    assert compare_structures([], []) == StructureComparison(0, 0, 0, 0, 1.0, 1.0, 1.0)
    assert compare_structures([], CHAIN)[4:] == (1.0, 0.0, 0.0)
    assert compare_structures(CHAIN, [])[4:] == (0.0, 1.0, 0.0)


def test_a_line_against_an_arrow_counts_once():
    line = PDAG((0, 0), (0b10, 0b01))
    arrow, turned = PDAG((0, 0b01), (0, 0)), PDAG((0b10, 0), (0, 0))
    for a, b in itertools.permutations((line, arrow, turned), 2):
        assert compare_partial_structures(a, b)[:4] == (0, 0, 0, 1)
    assert compare_partial_structures(line, line)[:4] == (1, 0, 0, 0)
    with pytest.raises(ValueError, match="same variables, found 2 and 1"):
        compare_partial_structures(line, PDAG((0,), (0,)))


@settings(max_examples=200)
@given(edge_lists(), edge_lists())
def test_distance_is_the_number_of_pairs_treated_differently(a, b):
    distance = structural_hamming_distance(a, b)
    assert distance == by_definition(a, b) == structural_hamming_distance(b, a)
    forth, back = compare_structures(a, b), compare_structures(b, a)
    assert (forth.missing, forth.extra, forth.reversed) == (
        back.extra,
        back.missing,
        back.reversed,
    )
    assert forth.correct + forth.reversed + forth.extra == len(a)
    assert forth.correct + forth.reversed + forth.missing == len(b)


@settings(max_examples=100)
@given(edge_lists(), edge_lists(), st.permutations(NAMES), st.permutations(NAMES))
def test_order_of_the_variables_is_of_no_importance(a, b, first, second):
    for equivalence in (False, True):
        assert structural_hamming_distance(
            network("".join(first), a), network("".join(second), b), equivalence=equivalence
        ) == structural_hamming_distance(
            network(NAMES, a), network(NAMES, b), equivalence=equivalence
        )


@settings(max_examples=100)
@given(edge_lists(), edge_lists())
def test_equivalence_is_blind_to_covered_arrows_only(a, b):
    """Turning a covered arrow costs 1 among DAGs and nothing among classes."""
    parents = {v: {p for p, c in a if c == v} for v in NAMES}
    for x, y in a:
        if parents[y] == parents[x] | {x}:
            turned = [(y, x) if edge == (x, y) else edge for edge in a]
            assert structural_hamming_distance(a, turned) == 1
            assert structural_hamming_distance(a, turned, equivalence=True) == 0
            assert structural_hamming_distance(a, b, equivalence=True) == (
                structural_hamming_distance(turned, b, equivalence=True)
            )


def test_masks_and_names_agree(shared):
    """On a real network: three edges deleted, two added, some turned."""
    net = BayesianNetwork.load(shared / "data" / "bif" / "alarm.bif")
    place = {v: i for i, v in enumerate(networkx.topological_sort(net.graph))}
    edges = net.edges
    new = [
        (u, v)
        for u, v in itertools.combinations(sorted(place, key=place.__getitem__), 2)
        if (u, v) not in edges
    ][:2]
    children = {v: net.children(v) for v in net.variables}
    # Into a variable without parents and from one without children: such turns make no cycle.
    turned = [(u, v) for u, v in edges if not net.parents(u) and not children[v]][:4]
    assert turned
    deleted = [edge for edge in edges if edge not in turned][:3]
    kept = [edge for edge in edges if edge not in deleted and edge not in turned]
    changed = [*kept, *new, *[(v, u) for u, v in turned]]
    found = compare_structures(changed, net)
    assert found[:4] == (len(edges) - 3 - len(turned), 3, 2, len(turned))
    assert structural_hamming_distance(net, net.graph, equivalence=True) == 0


@pytest.mark.parametrize(
    ("a", "b", "error", "message"),
    [
        (CHAIN, "abc", TypeError, "true must be a BayesianNetwork"),
        (3, CHAIN, TypeError, "learned must be a BayesianNetwork.* found int"),
        (networkx.Graph(CHAIN), CHAIN, TypeError, "learned must be a directed graph"),
        (["ab"], CHAIN, TypeError, r"learned must list \(parent, child\) pairs, found 'ab'"),
        ([("a", "b", "c")], CHAIN, TypeError, r"pairs, found \('a', 'b', 'c'\)"),
        ([("a", "b"), ("b", "a")], CHAIN, ValueError, "learned: edges contain a directed cycle"),
        (CHAIN, [("a", "b"), ("a", "b")], ValueError, "true: edges: 'b' has a parent twice"),
        (network("abc", CHAIN), network("abd", []), ValueError, r"only one has \['c', 'd'\]"),
        (network("abc", CHAIN), [("a", "z")], ValueError, r"edges of one name \['z'\]"),
        (network("", []), [("a", "z")], ValueError, r"edges of one name \['a', 'z'\]"),
    ],
)
def test_refusals(a, b, error, message):
    with pytest.raises(error, match=message):
        structural_hamming_distance(a, b)


def test_complete_graphs():
    """All 10 edges of one order against all of the reverse order: every edge is turned."""
    forth = list(itertools.combinations(NAMES, 2))
    back = [(v, u) for u, v in forth]
    assert compare_structures(forth, back)[:4] == (0, 0, 0, 10)
    assert compare_structures(forth, back, equivalence=True)[:4] == (10, 0, 0, 0)
