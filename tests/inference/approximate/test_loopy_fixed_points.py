"""Fixed points on graphs with cycles, against messages written out one by one."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from inference import Factor, FactorGraph
from inference.approximate import belief_propagation
from inference.convergence import ConvergenceWarning

QUIET = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}
SOME = settings(max_examples=25, **QUIET)


def network() -> FactorGraph:
    """Four binary nodes: one parent, two children, their common child."""
    return FactorGraph(
        dict.fromkeys(("x1", "x2", "x3", "x4"), 2),
        [
            Factor.from_potential(["x1"], [0.4, 0.6]),
            Factor.from_potential(["x1", "x2"], [[0.8, 0.2], [0.2, 0.8]]),
            Factor.from_potential(["x1", "x3"], [[0.7, 0.3], [0.3, 0.7]]),
            Factor.from_potential(
                ["x2", "x3", "x4"], [[[0.9, 0.1], [0.5, 0.5]], [[0.4, 0.6], [0.1, 0.9]]]
            ),
        ],
    )


@pytest.mark.parametrize("schedule", ["synchronous", "residual"])
@pytest.mark.parametrize("damping", [None, 0.0, 0.4])
def test_facts_t5_loopy_beliefs_are_near_the_exact_ones(schedule, damping):
    found = belief_propagation(network(), {"x4": 1}, schedule=schedule, damping=damping)
    beliefs = [float(found.marginals[name][1]) for name in ("x1", "x2", "x3", "x4")]
    np.testing.assert_allclose(beliefs, [0.756627, 0.772583, 0.722720, 1.0], atol=5e-7)
    exact = network().marginals({"x4": 1})
    exact = [float(exact[name][1]) for name in ("x1", "x2", "x3")]
    np.testing.assert_allclose(exact, [0.7757142857, 0.7928571429, 0.7392857143], atol=1e-9)


@pytest.mark.parametrize("beta", [0.2, 1.0])
def test_facts_t21_the_four_cycle_of_spins(beta, spin_graph):
    ones = np.full((2, 1), beta)
    graph = spin_graph(np.zeros((2, 2)), ones, ones.T)
    exact = math.log((2 * math.cosh(beta)) ** 4 + (2 * math.sinh(beta)) ** 4)
    assert float(graph.log_partition()) == pytest.approx(exact, abs=1e-12)
    found = belief_propagation(graph)
    # Messages say nothing, so that the Bethe value is the high-temperature term alone.
    assert float(found.log_partition) == pytest.approx(4 * math.log(2 * math.cosh(beta)))
    assert all([m.tolist() == [0.5, 0.5] for m in found.marginals.values()])


class Plain:
    """Sum-product messages in dictionaries, one factor and one state at a time."""

    def __init__(self, graph: FactorGraph) -> None:
        self.cards = graph.cardinalities
        merged: dict[tuple[str, ...], Factor] = {}
        for factor in graph.factors:
            key = tuple(sorted(factor.scope))
            merged[key] = merged[key] * factor if key in merged else factor
        self.factors = [f.permute(sorted(f.scope)) for f in merged.values() if f.scope]
        self.scalar = sum([float(f.log_values) for f in merged.values() if not f.scope])
        self.links = [(i, v) for i, f in enumerate(self.factors) for v in f.scope]
        self.messages = {(i, v): np.full(self.cards[v], 1 / self.cards[v]) for i, v in self.links}

    def to_factor(self, variable: str, factor: int) -> np.ndarray:
        told = np.ones(self.cards[variable])
        for other, v in self.links:
            if v == variable and other != factor:
                told = told * self.messages[other, v]
        return told

    def weights(self, factor: int, skip: str | None) -> np.ndarray:
        table = self.factors[factor].values.numpy().copy()
        for axis, v in enumerate(self.factors[factor].scope):
            if v != skip:
                shape = [1] * table.ndim
                shape[axis] = -1
                table = table * self.to_factor(v, factor).reshape(shape)
        return table

    def run(self, rounds: int) -> float:
        change = 0.0
        for _ in range(rounds):
            new = {}
            for i, v in self.links:
                axis = self.factors[i].scope.index(v)
                others = tuple([a for a in range(len(self.factors[i].scope)) if a != axis])
                message = self.weights(i, v).sum(others)
                new[i, v] = message / message.sum()
            change = max([float(np.abs(new[k] - self.messages[k]).max()) for k in new], default=0)
            self.messages = new
        return change

    def marginals(self) -> dict[str, np.ndarray]:
        beliefs = {v: self.to_factor(v, -1) for v in self.cards}
        return {v: b / b.sum() for v, b in beliefs.items()}

    def bethe(self) -> float:
        """Energy and entropies of the normalised beliefs."""
        marginals = self.marginals()
        value = self.scalar
        for i, factor in enumerate(self.factors):
            joint = self.weights(i, None)
            joint = joint / joint.sum()
            for index in itertools.product(*map(range, joint.shape)):
                if joint[index] > 0:
                    log_value = float(factor.log_values[index])
                    value += joint[index] * (log_value - math.log(joint[index]))
        for v, p in marginals.items():
            degree = sum([v in f.scope for f in self.factors])
            value += (degree - 1) * float((p * np.log(np.where(p > 0, p, 1))).sum())
        return value


@SOME
@given(data=st.data())
def test_messages_of_loopy_graphs(data, loopy):
    graph = data.draw(loopy(zeros=(0, 0, 0.1), cards=(2, 3)))
    assume(graph.log_partition() > -torch.inf)
    plain = Plain(graph)
    assume(plain.run(150) < 1e-12)
    found = belief_propagation(graph, tolerance=1e-13)
    for name, expected in plain.marginals().items():
        np.testing.assert_allclose(found.marginals[name].numpy(), expected, atol=1e-10)
    assert float(found.log_partition) == pytest.approx(plain.bethe(), abs=1e-9)


@SOME
@given(data=st.data())
def test_the_state_decoded_weighs_what_is_said_and_never_more_than_the_best(
    data, loopy, unsettled
):
    graph = data.draw(loopy(sd=2.0))
    with unsettled():
        found = belief_propagation(graph, mode="max", max_iterations=60)
    assert found.most_probable is not None
    total = 0.0
    for factor in graph.factors:
        state = tuple([found.most_probable[name] for name in factor.scope])
        total += float(factor.log_values[state])
    assert float(found.log_partition) == pytest.approx(total, abs=1e-9)
    assert total <= float(graph.most_probable()[1]) + 1e-9


def test_ties_are_broken_to_one_state():
    agree = torch.eye(2, dtype=torch.float64).log()
    names = list("abcde")
    pairs = [Factor([a, b], agree) for a, b in itertools.pairwise(names)]
    found = belief_propagation(FactorGraph(dict.fromkeys(names, 2), pairs), mode="max")
    assert found.most_probable is not None
    assert len(set(found.most_probable.values())) == 1
    assert float(found.log_partition) == 0.0


@pytest.mark.parametrize(
    ("coupling", "log_z", "worst", "mean", "gap"),
    [
        (0.3, 79.732732, 0.00726, 0.0009, 0.018),
        (0.6, 98.376891, 0.0771, 0.0137, 0.285),
        (1.0, 133.304357, 0.1780, 0.0431, 2.00),
    ],
)
def test_known_spins_of_growing_coupling(
    coupling, log_z, worst, mean, gap, ising, spin_graph, apart
):
    """Exact values by transfer matrix and fixed points of hyperbolic tangents, both elsewhere."""
    graph = spin_graph(*ising(10, coupling, 7))
    exact = graph.marginals()
    assert float(graph.log_partition()) == pytest.approx(log_z, abs=1e-6)
    found = belief_propagation(graph)
    assert bool(found.converged)
    assert apart(found.marginals, exact) == pytest.approx(worst, rel=0.01)
    errors = [float((found.marginals[v] - p).abs().max()) for v, p in exact.items()]
    assert np.mean(errors) == pytest.approx(mean, abs=6e-5)
    assert float(found.log_partition) - log_z == pytest.approx(gap, abs=0.002)


def test_damping_helps_where_undamped_rounds_swing(ising, spin_graph):
    graph = spin_graph(*ising(10, 1.0, 7))
    with pytest.warns(ConvergenceWarning, match="after 400 iterations the residual is 0\\.") as w:
        found = belief_propagation(graph, damping=0.0, max_iterations=400)
    assert w[0].filename == __file__
    assert not bool(found.converged)
    assert float(found.residual) > 1e-3
    assert found.iterations == 400
    assert bool(belief_propagation(graph).converged)


@pytest.mark.parametrize(
    ("name", "worst", "log10_z"),
    [("Alchemy_11", 0.002, 0.02), ("Promedus_24", 0.005, 0.002), ("CSP_12", 0.15, 0.9)],
)
def test_problems_of_the_competition(name, worst, log10_z, shared, apart):
    from pgm.formats import read_markov, read_uai_evidence

    path = shared / "data" / "uai" / f"{name}.uai"
    problem = read_markov(path)
    factors = [
        Factor.from_potential([str(v) for v in scope], table)
        for scope, table in zip(problem.scopes, problem.tables, strict=True)
    ]
    graph = FactorGraph({str(v): q for v, q in enumerate(problem.cardinalities)}, factors)
    evidence = {str(v): code for v, code in read_uai_evidence(f"{path}.evid").items()}
    found = belief_propagation(graph, evidence)
    assert bool(found.converged)
    assert apart(found.marginals, graph.marginals(evidence)) < worst
    gap = float(found.log_partition - graph.log_partition(evidence)) / math.log(10)
    assert abs(gap) < log10_z


def test_evidence_may_leave_no_cycle(apart):
    ring = [Factor([a, b], torch.tensor([[1.0, -0.5], [0.2, 0.3]])) for a, b in ("ab", "bc", "ca")]
    graph = FactorGraph(dict.fromkeys("abc", 2), ring)
    found = belief_propagation(graph, {"a": 1})
    assert apart(found.marginals, graph.marginals({"a": 1})) < 1e-12
