"""Markov equivalence: every DAG on 3 and 4 variables, extensions, Meek's rules with knowledge."""

from __future__ import annotations

import itertools
from collections import defaultdict

import networkx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.exact.structure import bits
from pgm.structure.cpdag import (
    PDAG,
    children_of,
    consistent_extension,
    essential_graph,
    is_acyclic,
    meek_closure,
    skeleton,
    topological_order,
    v_structures,
)


def digraph(parents) -> networkx.DiGraph:
    graph = networkx.DiGraph()
    graph.add_nodes_from(range(len(parents)))
    graph.add_edges_from((p, v) for v, above in enumerate(parents) for p in bits(above))
    return graph


def all_digraphs(n: int):
    """Every choice, per pair, of no edge or one of two arrows, as parent masks."""
    pairs = list(itertools.combinations(range(n), 2))
    for choice in itertools.product((None, 0, 1), repeat=len(pairs)):
        parents = [0] * n
        for (u, v), arrow in zip(pairs, choice, strict=True):
            if arrow is not None:
                parents[(u, v)[arrow]] |= 1 << (u, v)[1 - arrow]
        yield tuple(parents)


def all_dags(n: int) -> list[tuple[int, ...]]:
    """All DAGs, told by networkx."""
    return [g for g in all_digraphs(n) if networkx.is_directed_acyclic_graph(digraph(g))]


def pattern(parents) -> tuple:
    """Skeleton and v-structures from the definition."""
    edges = {frozenset((p, v)) for v, above in enumerate(parents) for p in bits(above)}
    colliders = {
        (frozenset((a, b)), v)
        for v, above in enumerate(parents)
        for a, b in itertools.combinations(bits(above), 2)
        if frozenset((a, b)) not in edges
    }
    return frozenset(edges), frozenset(colliders)


def classes(n: int) -> list[list[tuple[int, ...]]]:
    """DAGs grouped by skeleton and v-structures (Verma & Pearl 1990, theorem 1)."""
    found = defaultdict(list)
    for dag in all_dags(n):
        found[pattern(dag)].append(dag)
    return list(found.values())


def common(members) -> PDAG:
    """What all DAGs of a set with one skeleton share: arrows, and lines where they differ."""
    parents = [0] * len(members[0])
    for v in range(len(parents)):
        parents[v] = members[0][v]
        for dag in members:
            parents[v] &= dag[v]
    adjacent = skeleton(members[0])
    sides = zip(adjacent, parents, children_of(parents), strict=True)
    return PDAG(tuple(parents), tuple([mask & ~a & ~b for mask, a, b in sides]))


@st.composite
def dags(draw, most: int = 12):
    """A DAG with a random order, as parent masks."""
    n = draw(st.integers(1, most))
    order = draw(st.permutations(range(n)))
    parents = [0] * n
    for position, v in enumerate(order):
        for u in order[:position]:
            parents[v] |= draw(st.sampled_from([0, 0, 1])) << u
    return tuple(parents)


@pytest.mark.parametrize(
    ("n", "n_dags", "n_classes"), [(1, 1, 1), (2, 3, 2), (3, 25, 11), (4, 543, 185)]
)
def test_essential_graph_is_what_the_class_shares(n, n_dags, n_classes):
    """Robinson's numbers of DAGs; Gillispie & Perlman's numbers of classes."""
    groups = classes(n)
    assert sum(map(len, groups)) == n_dags
    assert len(groups) == n_classes
    graphs = set()
    for members in groups:
        expected = common(members)
        graphs.add(expected)
        assert {essential_graph(dag) for dag in members} == {expected}
    assert len(graphs) == n_classes


@pytest.mark.parametrize("n", [3, 4])
def test_consistent_extension_is_a_member_of_the_class(n):
    for members in classes(n):
        assert consistent_extension(common(members)) in members


def partial_graphs(n: int):
    """Every PDAG on n variables: per pair no edge, a line or one of two arrows."""
    pairs = list(itertools.combinations(range(n), 2))
    for choice in itertools.product((None, "-", 0, 1), repeat=len(pairs)):
        parents, beside = [0] * n, [0] * n
        for (u, v), kind in zip(pairs, choice, strict=True):
            if kind == "-":
                beside[u] |= 1 << v
                beside[v] |= 1 << u
            elif kind is not None:
                parents[(u, v)[kind]] |= 1 << (u, v)[1 - kind]
        yield PDAG(tuple(parents), tuple(beside))


def extensions_of(graph: PDAG, dags) -> list[tuple[int, ...]]:
    """DAGs of the same skeleton with all arrows and no further v-structure."""
    arrows_only = {
        (a, v, b)
        for v, above in enumerate(graph.parents)
        for a, b in itertools.combinations(bits(above), 2)
        if not graph.adjacent[a] >> b & 1
    }
    return [
        dag
        for dag in dags
        if skeleton(dag) == graph.adjacent
        and all(not above & ~own for above, own in zip(graph.parents, dag, strict=True))
        and v_structures(dag) == arrows_only
    ]


@pytest.mark.parametrize("n", [3, 4])
def test_every_partial_graph_against_all_dags(n):
    """Dor & Tarsi's extension exists iff some DAG fits; Meek's closure is what all of them share.

    The 64 and 4,096 graphs hold every pattern with every background knowledge about it.
    """
    by_skeleton = defaultdict(list)
    for dag in all_dags(n):
        by_skeleton[skeleton(dag)].append(dag)
    n_without = 0
    for graph in partial_graphs(n):
        fitting = extensions_of(graph, by_skeleton[graph.adjacent])
        if not fitting:
            n_without += 1
            with pytest.raises(ValueError, match="no consistent extension"):
                consistent_extension(graph)
            continue
        assert consistent_extension(graph) in fitting
        assert meek_closure(graph) == common(fitting)
    assert 0 < n_without < 4 ** (n * (n - 1) // 2)


def test_rule_4_is_needed_with_background_knowledge():
    """Meek 1995, figure 1: a - b, a - c, a - d, c -> d, d -> b; b and c apart force a -> b."""
    a, b, c, d = range(4)
    graph = PDAG(
        parents=(0, 1 << d, 0, 1 << c),
        neighbours=(1 << b | 1 << c | 1 << d, 1 << a, 1 << a, 1 << a),
    )
    assert meek_closure(graph).parents[b] == 1 << a | 1 << d
    # No other rule applies: no arrow enters a, none leaves it, and d is b's only parent.
    assert graph.parents[a] == 0 and children_of(graph.parents)[a] == 0
    assert graph.parents[b].bit_count() == 1


@settings(max_examples=200)
@given(dags())
def test_labelled_edges_agree_with_v_structures_and_meek_rules(dag):
    """Chickering's labels and the closure of the v-structures are two ways to one graph."""
    parents = [0] * len(dag)
    for a, child, b in v_structures(dag):
        parents[child] |= 1 << a | 1 << b
    sides = zip(skeleton(dag), parents, children_of(parents), strict=True)
    start = PDAG(tuple(parents), tuple([mask & ~a & ~b for mask, a, b in sides]))
    graph = essential_graph(dag)
    assert meek_closure(start) == graph
    assert graph.adjacent == skeleton(dag)
    member = consistent_extension(graph)
    assert essential_graph(member) == graph
    assert v_structures(member) == v_structures(dag)


@settings(max_examples=200)
@given(dags(), st.data())
def test_covered_reversals_stay_in_the_class_and_others_leave_it(dag, data):
    """Chickering 1995, lemma 1: x -> y may turn iff pa(y) = pa(x) + x."""
    arrows = [(p, v) for v, above in enumerate(dag) for p in bits(above)]
    if not arrows:
        return
    x, y = data.draw(st.sampled_from(arrows))
    turned = list(dag)
    turned[y] ^= 1 << x
    turned[x] |= 1 << y
    if dag[y] == dag[x] | 1 << x:
        assert essential_graph(turned) == essential_graph(dag)
    elif is_acyclic(turned):
        assert essential_graph(turned) != essential_graph(dag)


@settings(max_examples=300)
@given(st.integers(1, 6), st.data())
def test_acyclicity_and_order_agree_with_networkx(n, data):
    parents = [data.draw(st.integers(0, 2**n - 1)) for _ in range(n)]
    graph = digraph(parents)
    acyclic = networkx.is_directed_acyclic_graph(graph)
    assert is_acyclic(parents) == acyclic
    if acyclic:
        place = {v: position for position, v in enumerate(topological_order(parents))}
        assert sorted(place) == list(range(n))
        assert all(place[p] < place[v] for p, v in graph.edges)
    else:
        with pytest.raises(ValueError, match="cycle") as error:
            topological_order(parents)
        named = [int(v) for v in str(error.value).split(": ")[1].split(" -> ")]
        assert named[0] == named[-1] and len(set(named)) == len(named) - 1
        assert all(graph.has_edge(u, v) for u, v in itertools.pairwise(named))


@settings(max_examples=200)
@given(dags())
def test_masks_agree_with_definitions(dag):
    edges, colliders = pattern(dag)
    assert {frozenset((u, v)) for v, mask in enumerate(skeleton(dag)) for u in bits(mask)} == edges
    assert {(frozenset((a, b)), child) for a, child, b in v_structures(dag)} == colliders
    assert all(a < b for a, _, b in v_structures(dag))
    graph = digraph(dag)
    assert [set(bits(below)) for below in children_of(dag)] == [set(graph[v]) for v in graph]


def test_a_skeleton_alone_does_not_tell_a_class():
    """The chain and the collider: a comparison of skeletons would not tell them apart."""
    chain, collider = (0, 0b001, 0b010), (0, 0b101, 0)
    assert skeleton(chain) == skeleton(collider)
    assert essential_graph(chain) != essential_graph(collider)


@pytest.mark.parametrize(
    ("parents", "neighbours", "message"),
    [
        ((0, 0), (0,), "one mask per variable, found 2 and 1"),
        ((1, 0), (0, 0), "variable 0 is joined to itself"),
        ((0, 0), (0, 2), "variable 1 is joined to itself"),
        ((0, 0), (2, 0), "line between"),
        ((2, 1), (0, 0), "two edges between 0 and 1"),
        ((2, 0), (2, 1), "two edges between 0 and 1"),
        ((4, 0), (0, 0), "mask of variable 0 must be within 0..3"),
        ((0, 0), (0, -1), "mask of variable 1 must be within 0..3"),
    ],
)
def test_graphs_that_make_no_sense_are_refused(parents, neighbours, message):
    with pytest.raises(ValueError, match=message):
        PDAG(parents, neighbours)


def test_cycles_and_unknown_parents_are_refused():
    with pytest.raises(ValueError, match="directed cycle: "):
        essential_graph((2, 1))
    for function in (topological_order, is_acyclic, skeleton):
        with pytest.raises(ValueError, match=r"mask of variable 1 must be within 0\.\.3"):
            function((0, 4))
    with pytest.raises(ValueError, match=r"no consistent extension: in its part over \[0, 1, 2\]"):
        consistent_extension(PDAG((0b100, 0b001, 0b010), (0, 0, 0)))
