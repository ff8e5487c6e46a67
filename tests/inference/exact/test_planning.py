"""Plans: what matters is placed; impossible states and several trees."""

from __future__ import annotations

import math
from itertools import pairwise
from unittest import mock

import numpy as np
import pytest
import torch

from inference import Factor, FactorGraph
from inference.exact import plan as planning
from inference.exact.plan import Query, make_plan
from inference.exact.structure import Structure
from pgm import BayesianNetwork

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


def test_a_hopeless_model_is_refused_without_long_planning():
    """Orders that are worked out with care would take minutes here."""
    side = 90
    place = np.arange(side * side).reshape(side, side)
    pairs = [*zip(place[:, :-1].flat, place[:, 1:].flat, strict=True)]
    pairs += [*zip(place[:-1].flat, place[1:].flat, strict=True)]
    cards = {str(v): 2 for v in place.flat}
    table = torch.zeros(2, 2, dtype=torch.float64)
    graph = FactorGraph(cards, [Factor([str(a), str(b)], table) for a, b in pairs])
    with pytest.raises(ValueError, match=r"8,100 variables needs a table over \d+"):
        graph.log_partition()
    # A long chain of as many variables is no trouble.
    chain = FactorGraph(cards, [Factor([str(v), str(v + 1)], table) for v in range(side**2 - 1)])
    assert chain.log_partition().item() == pytest.approx(side**2 * np.log(2), rel=1e-12)
