"""PC: exact with an oracle, invariant, within limits, sound where tests contradict each other."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.exact.evidence import Variables
from inference.exact.structure import bits
from pgm import BayesianNetwork
from pgm.digraph import Digraph
from pgm.discrete_data import DiscreteData
from pgm.structure.constraints import Constraints
from pgm.structure.cpdag import (
    PDAG,
    children_of,
    consistent_extension,
    essential_graph,
    is_acyclic,
    skeleton,
    v_structures,
)
from pgm.structure.distance import compare_partial_structures
from pgm.structure.independence import ConditionalIndependence, DSeparation
from pgm.structure.pc import _nearest_dag, pc


def oracle_of(parents) -> DSeparation:
    names = [str(v) for v in range(len(parents))]
    above = {str(v): [str(p) for p in bits(mask)] for v, mask in enumerate(parents)}
    return DSeparation(Digraph(names, above))


@st.composite
def dags(draw, most: int = 8):
    """A DAG with a random order, as parent masks."""
    n = draw(st.integers(1, most))
    order = draw(st.permutations(range(n)))
    parents = [0] * n
    for position, v in enumerate(order):
        for u in order[:position]:
            parents[v] |= draw(st.sampled_from([0, 0, 1])) << u
    return tuple(parents)


class Table:
    """A test that answers from a list of independences, however contradictory."""

    def __init__(self, n_variables: int, independences) -> None:
        self.n_variables = n_variables
        self._independent = {(*sorted(pair), mask) for *pair, mask in independences}

    def p_value(self, x: int, y: int, given: int) -> float:
        return float(self.independent(x, y, given))

    def independent(self, x: int, y: int, given: int) -> bool:
        return (*sorted((x, y)), given) in self._independent


class Noisy:
    """A test whose answers are coin flips, the same whenever asked again."""

    def __init__(self, n_variables: int, seed: int, rate: float) -> None:
        self.n_variables, self._seed, self._rate = n_variables, seed, rate

    def p_value(self, x: int, y: int, given: int) -> float:
        x, y = sorted((x, y))
        return float(np.random.default_rng([self._seed, x, y, given]).random())

    def independent(self, x: int, y: int, given: int) -> bool:
        return self.p_value(x, y, given) < self._rate


# With an oracle --------------------------------------------------------------------------------


@settings(max_examples=150)
@given(dags())
def test_the_oracle_gives_the_true_class(dag):
    oracle = oracle_of(dag)
    found = pc(oracle)
    assert found.graph == essential_graph(dag)
    assert found.consistent
    assert essential_graph(found.dag) == found.graph
    assert found.n_tests == oracle.n_tests
    for (x, y), mask in found.separating_sets.items():
        assert x < y and oracle.independent(x, y, mask)
    apart = {(x, y) for x, y in itertools.combinations(range(len(dag)), 2)}
    apart -= {(x, y) for x, mask in enumerate(skeleton(dag)) for y in bits(mask)}
    assert set(found.separating_sets) == apart


def test_alarm_and_others_with_the_oracle(shared):
    for name in ("asia", "sachs", "alarm"):
        net = BayesianNetwork.load(shared / "data" / "bif" / f"{name}.bif")
        number = {v: i for i, v in enumerate(net.variables)}
        parents = [sum(1 << number[p] for p in net.parents(v)) for v in net.variables]
        graph = Digraph(net.variables, {v: net.parents(v) for v in net.variables})
        assert pc(DSeparation(graph)).graph == essential_graph(parents)


@settings(max_examples=50)
@given(dags(most=7), st.integers(0, 3))
def test_a_limited_search_keeps_all_true_edges(dag, limit):
    """Fewer tests take fewer pairs apart; no set is larger than the limit."""
    found = pc(oracle_of(dag), max_condition=limit)
    sides = zip(skeleton(dag), found.graph.adjacent, strict=True)
    assert all(not true & ~kept for true, kept in sides)
    assert all(mask.bit_count() <= limit for mask in found.separating_sets.values())
    assert is_acyclic(found.dag)


@settings(max_examples=100)
@given(dags(most=7), st.data())
def test_true_background_knowledge_only_adds_true_arrows(dag, data):
    """Required edges of the truth and forbidden ones outside it: true arrows, none lost."""
    n = len(dag)
    arrows = {(p, v) for v, above in enumerate(dag) for p in bits(above)}
    others = [pair for pair in itertools.permutations(range(n), 2) if pair not in arrows]
    required = data.draw(
        st.lists(st.sampled_from(sorted(arrows)), unique=True) if arrows else st.just([])
    )
    forbidden = data.draw(
        st.lists(st.sampled_from(others), unique=True) if others else st.just([])
    )
    vocabulary = Variables({str(v): 2 for v in range(n)})
    named = [[(str(p), str(c)) for p, c in edges] for edges in (required, forbidden)]
    known = Constraints.read(vocabulary, *named)
    found, blind = pc(oracle_of(dag), known), pc(oracle_of(dag))
    assert found.graph.adjacent == blind.graph.adjacent
    for own, before, true in zip(found.graph.parents, blind.graph.parents, dag, strict=True):
        assert not before & ~own and not own & ~true
    for p, c in required:
        assert found.graph.parents[c] >> p & 1
    assert found.consistent and known.permits(found.dag)
    assert essential_graph(found.dag) == essential_graph(dag)


def test_knowledge_of_one_edge_orients_a_chain():
    chain = (0, 0b001, 0b010, 0b100)
    vocabulary = Variables(dict.fromkeys("abcd", 2))
    known = Constraints.read(vocabulary, forbidden=[("b", "a")])
    assert pc(oracle_of(chain), known).graph == PDAG(chain, (0, 0, 0, 0))
    assert pc(oracle_of(chain)).graph.parents == (0, 0, 0, 0)


def test_an_edge_forbidden_both_ways_is_not_there_and_not_tested():
    triangle = (0, 0b001, 0b011)
    vocabulary = Variables(dict.fromkeys("abc", 2))
    known = Constraints.read(vocabulary, forbidden=[("a", "b"), ("b", "a")])
    found = pc(oracle_of(triangle), known)
    assert found.graph.adjacent == (0b100, 0b100, 0b011)
    assert (0, 1) not in found.separating_sets
    # Nothing takes a and b apart, so c is not made a collider: a - c - b stays open.
    assert found.graph.neighbours == (0b100, 0b100, 0b011)


def test_required_edges_stay_against_the_tests():
    empty = (0, 0, 0)
    vocabulary = Variables(dict.fromkeys("abc", 2))
    known = Constraints.read(vocabulary, required=[("c", "a"), ("b", "a")])
    found = pc(oracle_of(empty), known)
    assert found.graph == PDAG((0b110, 0, 0), (0, 0, 0))
    assert found.dag == (0b110, 0, 0)


# Where tests contradict each other -------------------------------------------------------------


def test_majority_of_the_separating_sets_decides():
    """x - z - y with w beside z: x and y are told independent by {} and by sets of neighbours."""
    x, z, y, w = range(4)
    edges = {(x, z), (z, y), (z, w)}
    apart = [p for p in itertools.combinations(range(4), 2) if p not in edges]
    base = [(*pair, 1 << z) for pair in apart if pair != (x, y)]
    # {} leaves z out, {z} has it: a tie is no majority for a collider.
    tied = Table(4, [*base, (x, y, 0), (x, y, 1 << z)])
    assert pc(tied).graph.parents == (0, 0, 0, 0)
    # The first set found alone would have made z a collider.
    assert pc(tied).separating_sets[x, y] == 0
    alone = Table(4, [*base, (x, y, 0)])
    assert pc(alone).graph.parents == (0, 1 << x | 1 << y, 0, 1 << z)


def test_the_set_that_separated_counts_when_it_is_no_neighbour_any_more():
    """x and y are told apart by w, which is then told apart from both by z."""
    x, z, y, w = range(4)
    answers = [(x, y, 1 << w), (x, w, 1 << z), (y, w, 1 << z)]
    found = pc(Table(4, answers))
    assert found.separating_sets[x, y] == 1 << w
    assert found.graph == PDAG((0, 1 << x | 1 << y, 0, 1 << z), (0, 0, 0, 0))


def test_conflicting_v_structures_leave_the_later_out():
    """On a path a - b - c - d both b and c look like colliders; b -> c and c -> b exclude it."""
    a, b, c, d = range(4)
    answers = [(a, c, 0), (b, d, 0), (a, d, 0)]
    found = pc(Table(4, answers))
    assert found.graph == PDAG((0, 1 << a | 1 << c, 0, 0), (0, 0, 1 << d, 1 << c))
    assert found.consistent


def test_four_cycle_has_no_extension_and_still_gives_a_dag():
    """Opposite corners independent given the other two: true of a Markov field, of no DAG."""
    cycle = Table(4, [(0, 2, 0b1010), (1, 3, 0b0101)])
    found = pc(cycle)
    assert found.graph == PDAG((0,) * 4, (0b1010, 0b0101, 0b1010, 0b0101))
    assert not found.consistent
    assert is_acyclic(found.dag)
    assert skeleton(found.dag) == found.graph.adjacent
    # One v-structure is the least that a DAG on this skeleton can have.
    assert len(v_structures(found.dag)) == 1


def limits(draw, n: int) -> Constraints:
    """Required edges along one order, forbidden ones anywhere else, maybe few parents."""
    order = draw(st.permutations(range(n)))
    forward = [(str(u), str(v)) for u, v in itertools.combinations(order, 2)]
    some = st.lists(st.sampled_from(forward), max_size=3, unique=True) if forward else st.just([])
    required = draw(some)
    pairs = itertools.permutations(map(str, range(n)), 2)
    free = [pair for pair in pairs if pair not in required]
    some = st.lists(st.sampled_from(free), max_size=12, unique=True) if free else st.just([])
    forbidden = draw(some)
    indegree = max([sum(c == str(v) for _, c in required) for v in range(n)])
    limit = draw(st.one_of(st.none(), st.integers(indegree, n)))
    vocabulary = Variables({str(v): 2 for v in range(n)})
    return Constraints.read(vocabulary, required, forbidden, limit)


@settings(max_examples=150)
@given(st.integers(1, 7), st.integers(0, 2**32), st.sampled_from([0.1, 0.3]), st.data())
def test_whatever_the_tests_say_the_dag_is_within_the_limits(n, seed, rate, data):
    known = limits(data.draw, n)
    found = pc(Noisy(n, seed, rate), known)
    assert is_acyclic(found.dag)
    assert known.permits(found.dag)
    inside = zip(skeleton(found.dag), found.graph.adjacent, strict=True)
    assert all(not own & ~allowed for own, allowed in inside)
    if found.consistent:
        assert skeleton(found.dag) == found.graph.adjacent
        kept = zip(found.graph.parents, found.dag, strict=True)
        assert all(not above & ~own for above, own in kept)
        assert v_structures(found.dag) == v_structures_of(found.graph)


@settings(max_examples=300)
@given(st.integers(2, 6), st.data())
def test_the_nearest_dag_of_any_graph_is_within_the_limits(n, data):
    """Arrows in cycles, lines that force v-structures, edges without a possible direction."""
    known = replace(limits(data.draw, n), max_parents=n)
    parents, lines = list(known.required), [0] * n
    for u, v in itertools.combinations(range(n), 2):
        if not (parents[u] >> v | parents[v] >> u) & 1:
            kind = data.draw(st.sampled_from(["none", "line", "arrow", "turned"]))
            if kind == "line":
                lines[u] |= 1 << v
                lines[v] |= 1 << u
            elif kind != "none":
                child, parent = (v, u) if kind == "arrow" else (u, v)
                parents[child] |= 1 << parent
    graph = PDAG(tuple(parents), tuple(lines))
    dag = _nearest_dag(graph, known)
    assert is_acyclic(dag) and known.permits(dag)
    assert all(not own & ~given for own, given in zip(skeleton(dag), graph.adjacent, strict=True))
    free = Constraints.read(Variables({str(v): 2 for v in range(n)}))
    dag = _nearest_dag(graph, free)
    assert is_acyclic(dag) and skeleton(dag) == graph.adjacent


@settings(max_examples=200)
@given(dags())
def test_the_nearest_dag_is_the_consistent_extension_where_there_is_one(dag):
    free = Constraints.read(Variables({str(v): 2 for v in range(len(dag))}))
    graph = essential_graph(dag)
    assert _nearest_dag(graph, free) == consistent_extension(graph)


def v_structures_of(graph: PDAG) -> set[tuple[int, int, int]]:
    """Pairs of arrows that meet, from variables that are not adjacent."""
    return {
        (a, v, b)
        for v, above in enumerate(graph.parents)
        for a, b in itertools.combinations(bits(above), 2)
        if not graph.adjacent[a] >> b & 1
    }


class Renamed:
    """Another test with variable order[v] called v."""

    def __init__(self, test: Noisy, order) -> None:
        self.n_variables, self._test, self._order = test.n_variables, test, order

    def p_value(self, x: int, y: int, given: int) -> float:
        mask = sum(1 << self._order[v] for v in bits(given))
        return self._test.p_value(self._order[x], self._order[y], mask)

    def independent(self, x: int, y: int, given: int) -> bool:
        mask = sum(1 << self._order[v] for v in bits(given))
        return self._test.independent(self._order[x], self._order[y], mask)


def unstable_skeleton(test: Noisy) -> list[int]:
    """The first PC algorithm: neighbours are those at the moment, not those of the round."""
    n = test.n_variables
    adjacent = [(1 << n) - 1 ^ 1 << v for v in range(n)]
    for size in range(n - 1):
        for x, y in itertools.permutations(range(n), 2):
            around = bits(adjacent[x] & ~(1 << y))
            sets = (sum(1 << v for v in s) for s in itertools.combinations(around, size))
            if adjacent[x] >> y & 1 and any(test.independent(x, y, s) for s in sets):
                adjacent[x] ^= 1 << y
                adjacent[y] ^= 1 << x
    return adjacent


def test_the_skeleton_does_not_depend_on_the_order():
    n, order, n_unstable = 6, [3, 5, 0, 1, 4, 2], 0

    def back(masks) -> list[int]:
        """Masks of renamed variables in the first names."""
        named = dict(zip(order, masks, strict=True))
        return [sum(1 << order[u] for u in bits(named[v])) for v in range(n)]

    for seed in range(40):
        test = Noisy(n, seed, 0.15)
        renamed = Renamed(test, order)
        assert back(pc(renamed).graph.adjacent) == list(pc(test).graph.adjacent)
        n_unstable += back(unstable_skeleton(renamed)) != unstable_skeleton(test)
    # The comparison tells the two algorithms apart.
    assert n_unstable > 0


def test_too_many_parents_lose_the_one_with_the_largest_p_value():
    """a, b, c, d -> e; limited to two parents, the weakest two go."""
    strength = {0: 0.010, 1: 0.001, 2: 0.020, 3: 0.002}

    class Star(DSeparation):
        def p_value(self, x: int, y: int, given: int = 0) -> float:
            return strength[x]

    names = [str(v) for v in range(5)]
    star = Star(Digraph(names, {"4": ["0", "1", "2", "3"]}))
    vocabulary = Variables(dict.fromkeys(names, 2))
    found = pc(star, Constraints.read(vocabulary, max_parents=2))
    assert found.graph.parents[4] == 0b1111
    assert found.dag[4] == 0b1010 and not found.consistent
    kept = Constraints.read(vocabulary, required=[("2", "4")], max_parents=2)
    assert pc(star, kept).dag[4] == 0b0110


# With data -------------------------------------------------------------------------------------


def test_data_from_a_strong_network_give_its_class():
    """Ten thousand rows, dependences far above the noise; fixed seed."""
    rng = np.random.default_rng(8)
    n = 10_000
    a, b = rng.integers(0, 2, n), rng.choice(3, n, p=[0.6, 0.3, 0.1])
    c = np.where(rng.random(n) < 0.8, (a + b) % 3, rng.integers(0, 3, n))
    d = np.where(rng.random(n) < 0.7, c, rng.integers(0, 3, n))
    data = DiscreteData(np.stack([a, b, c, d], axis=1))
    for kind in ("g2", "chi2", "mutual-information"):
        found = pc(ConditionalIndependence(data, kind, alpha=1e-4))
        assert found.graph == PDAG((0, 0, 0b0011, 0b0100), (0,) * 4)
    by_threshold = ConditionalIndependence(data, "mutual-information", threshold=0.005)
    assert pc(by_threshold).graph == found.graph


def test_alarm_from_five_thousand_rows(shared):
    """Distances between the true and the learned class, below those of the usual greedy search."""
    net = BayesianNetwork.load(shared / "data" / "bif" / "alarm.bif")
    file = np.load(shared / "data" / "alarm_100k_seed0.npz")
    column = {str(name): i for i, name in enumerate(file["names"])}
    rows = file["X"][:5000, [column[v] for v in net.variables]]
    number = {v: i for i, v in enumerate(net.variables)}
    parents = [sum(1 << number[p] for p in net.parents(v)) for v in net.variables]
    states = {v: len(labels) for v, labels in net.states.items()}
    test = ConditionalIndependence(DiscreteData(rows, states), freedom="adjusted")
    found = pc(test, max_condition=3)
    compared = compare_partial_structures(found.graph, essential_graph(parents))
    assert compared.extra == 0
    assert compared.recall > 0.9
    assert compared.distance <= 9
    assert found.n_tests == test.n_tests
    assert found.consistent and sum(map(int.bit_count, children_of(found.dag))) <= len(net.edges)


# Refusals --------------------------------------------------------------------------------------


def test_refusals():
    oracle = oracle_of((0, 1))
    with pytest.raises(ValueError, match="max_condition must not be negative, found -1"):
        pc(oracle, max_condition=-1)
    for wrong in (1.0, True, "2"):
        with pytest.raises(TypeError, match="max_condition must be a whole number"):
            pc(oracle, max_condition=wrong)
    with pytest.raises(ValueError, match="constraints are for 1 variables, test for 2"):
        pc(oracle, Constraints.read(Variables({"a": 2})))
