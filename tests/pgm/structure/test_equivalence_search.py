"""Equivalence search: operators against all graphs of a class, recovery, constraints, refusals."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.exact.structure import bits
from pgm.discrete_data import DiscreteData
from pgm.structure.constraints import Constraints
from pgm.structure.cpdag import PDAG, consistent_extension, essential_graph, is_acyclic
from pgm.structure.equivalence_search import (
    Operator,
    apply_operator,
    greedy_equivalence_search,
    valid_operators,
)
from pgm.structure.local_score import total_score
from pgm.structure.scores import SetScore


class SetFunction:
    """A score that is a difference of a function of sets: equal on equivalent graphs.

    The penalty per parameter of a binary variable is subtracted.
    """

    def __init__(self, values: np.ndarray, penalty: float = 0.0) -> None:
        self.values, self.penalty = values, penalty
        self.n_variables = len(values).bit_length() - 1

    def prepare(self, child: int, parents: int) -> None:
        pass

    def local(self, child: int, parents: int) -> float:
        gain = self.values[parents | 1 << child] - self.values[parents]
        return float(gain - self.penalty * 2 ** parents.bit_count())

    @classmethod
    def random(cls, n: int, seed: int) -> SetFunction:
        return cls(np.random.default_rng(seed).normal(size=1 << n))


def free(n: int, max_parents: int | None = None) -> Constraints:
    everything = (1 << n) - 1
    allowed = tuple([everything ^ 1 << v for v in range(n)])
    return Constraints((0,) * n, allowed, n - 1 if max_parents is None else max_parents)


def random_graph(n: int, density: float, draws: np.random.Generator) -> list[int]:
    order, parents = draws.permutation(n).tolist(), [0] * n
    for place, v in enumerate(order):
        parents[v] = sum([1 << u for u in order[:place] if draws.random() < density])
    return parents


def equivalent_graphs(parents: Sequence[int]) -> set[tuple[int, ...]]:
    """The whole class, by reversing covered edges (Chickering 1995, theorem 2)."""
    found, waiting = {tuple(parents)}, [tuple(parents)]
    while waiting:
        graph = waiting.pop()
        for child, above in enumerate(graph):
            for u in bits(above):
                if above ^ 1 << u == graph[u]:
                    turned = list(graph)
                    turned[child] ^= 1 << u
                    turned[u] |= 1 << child
                    if tuple(turned) not in found:
                        found.add(tuple(turned))
                        waiting.append(tuple(turned))
    return found


def classes_one_edge_away(parents: Sequence[int]) -> dict[str, set[PDAG]]:
    """Classes of all graphs with an edge more, or less, than some equivalent graph."""
    away: dict[str, set[PDAG]] = {"insert": set(), "delete": set()}
    for graph in equivalent_graphs(parents):
        for child, u in itertools.permutations(range(len(graph)), 2):
            edited = list(graph)
            edited[child] ^= 1 << u
            if is_acyclic(edited):
                phase = "delete" if graph[child] >> u & 1 else "insert"
                away[phase].add(essential_graph(edited))
    return away


def is_wrong(phase, parents: Sequence[int], x: int, y: int, clique: int) -> bool:
    """Whether an operator leads nowhere, to a class not one edge away, or gains something else."""
    score, graph = SetFunction.random(len(parents), 0), essential_graph(parents)
    family = (graph.parents[y] | clique) & ~(1 << x)
    gain = score.local(y, family | 1 << x) - score.local(y, family)
    gain = gain if phase == "insert" else -gain
    try:
        extension = consistent_extension(
            apply_operator(phase, graph, Operator(gain, x, y, clique))
        )
    except ValueError:
        return True
    away = classes_one_edge_away(parents)[phase]
    found = total_score(score, extension) - total_score(score, parents)
    return essential_graph(extension) not in away or abs(found - gain) > 1e-9


def check_operators(parents: Sequence[int], seed: int) -> None:
    """Operators reach exactly the classes one edge away, and their gains are what they say."""
    n = len(parents)
    score, graph = SetFunction.random(n, seed), essential_graph(parents)
    here = total_score(score, parents)
    for phase, expected in classes_one_edge_away(parents).items():
        reached = set()
        for operator in valid_operators(phase, graph, score, free(n)):
            extension = consistent_extension(apply_operator(phase, graph, operator))
            gain = total_score(score, extension) - here
            assert operator.gain == pytest.approx(gain, abs=1e-10), (phase, operator, graph)
            reached.add(essential_graph(extension))
        assert reached == expected, (phase, graph)


# Operators ---------------------------------------------------------------------------------------


def test_operators_from_every_class_of_four_variables():
    """All 185 classes (Gillispie & Perlman 2001, table 1)."""
    below = [[m for m in range(16) if not m >> v & 1] for v in range(4)]
    classes = {
        essential_graph(graph): graph for graph in itertools.product(*below) if is_acyclic(graph)
    }
    assert len(classes) == 185
    for seed, parents in enumerate(classes.values()):
        check_operators(parents, seed)


@settings(max_examples=40)
@given(
    n=st.integers(5, 6),
    seed=st.integers(0, 2**32),
    density=st.sampled_from([0.3, 0.5, 0.7]),
)
def test_operators_from_random_classes(n, seed, density):
    check_operators(random_graph(n, density, np.random.default_rng(seed)), seed)


def test_conditions_of_an_insertion_are_needed():
    """0 - 1 - 2, 3 -> 4 <- 0: neither past a path from y to x nor with a clique that is none."""
    parents = [0, 0b00001, 0b00010, 0, 0b01001]
    operators = valid_operators(
        "insert", essential_graph(parents), SetFunction.random(5, 0), free(5)
    )
    found = {op[1:] for op in operators}
    assert (2, 0, 0b010) in found and (2, 0, 0) not in found
    assert is_wrong("insert", parents, 2, 0, 0)
    assert (3, 1, 0b001) in found and (3, 1, 0b101) not in found
    assert is_wrong("insert", parents, 3, 1, 0b101)
    assert not any(is_wrong("insert", parents, *op[1:]) for op in operators)


def test_condition_of_a_deletion_is_needed():
    """0, 1 are joined to 2 and 3, which are not adjacent: not both stay parents of 0."""
    parents = [0, 0b0001, 0b0011, 0b0011]
    operators = valid_operators(
        "delete", essential_graph(parents), SetFunction.random(4, 0), free(4)
    )
    kept = {op.clique for op in operators if (op.x, op.y) == (1, 0)}
    assert kept == {0, 0b0100, 0b1000}
    assert is_wrong("delete", parents, 1, 0, 0b1100)
    assert not any(is_wrong("delete", parents, *op[1:]) for op in operators)


# The search --------------------------------------------------------------------------------------


def naive_search(score: SetFunction, constraints: Constraints) -> tuple[PDAG, list[float]]:
    """Both phases with every operator looked at again in every step."""
    parents = [0] * score.n_variables
    scores = [total_score(score, parents)]
    for phase in ("insert", "delete"):
        while True:
            graph = essential_graph(parents)
            found = valid_operators(phase, graph, score, constraints)
            best = max(found, key=lambda op: op.gain, default=None)
            if best is None or best.gain <= 1e-9:
                break
            parents = list(consistent_extension(apply_operator(phase, graph, best)))
            scores.append(total_score(score, parents))
    return essential_graph(parents), scores


def check_against_naive_search(score: SetFunction, constraints: Constraints) -> int:
    """The class, the score and the number of steps, which is returned."""
    expected, scores = naive_search(score, constraints)
    found = greedy_equivalence_search(score, constraints, turning=False)
    assert essential_graph(found.parents) == expected
    assert found.score == pytest.approx(scores[-1], abs=1e-10)
    assert sum(entry["moves"] for entry in found.history) == len(scores) - 1
    assert scores == sorted(scores)
    assert constraints.permits(found.parents)
    return len(scores) - 1


@settings(max_examples=40)
@given(n=st.integers(1, 7), seed=st.integers(0, 2**32), limit=st.integers(0, 6))
def test_only_what_changed_is_looked_at_again(n, seed, limit):
    check_against_naive_search(SetFunction.random(n, seed), free(n, min(limit, n - 1)))


def test_long_searches_equal_the_naive_one():
    """Laws of dense networks, disturbed: some 13 steps each."""
    steps = 0
    for seed in range(30):
        draws = np.random.default_rng(seed)
        score = limit_score(exact_law(random_graph(7, 0.4, draws), draws), penalty=1e-4)
        score.values += draws.normal(scale=1e-3, size=score.values.shape)
        steps += check_against_naive_search(score, free(7))
        check_against_naive_search(SetFunction.random(7, seed), free(7))
    assert steps > 300


def exact_law(parents: Sequence[int], draws: np.random.Generator) -> np.ndarray:
    """A joint table of binary variables, (2,) * V, with marked effects of all parents."""
    n = len(parents)
    states, joint = np.indices((2,) * n), np.ones((2,) * n)
    for v, above in enumerate(parents):
        ones = draws.uniform(0.1, 0.9, size=[1 + (above >> u & 1) for u in range(n)])
        joint = joint * np.where(states[v] == 1, ones, 1 - ones)
    return joint


def limit_score(joint: np.ndarray, penalty: float) -> SetFunction:
    """Expected log-likelihood per row under the law: what BIC tends to, for any small penalty."""
    n = joint.ndim
    values = np.zeros(1 << n)
    for mask in range(1 << n):
        table = joint.sum(axis=tuple([v for v in range(n) if not mask >> v & 1]))
        values[mask] = (table * np.log(table)).sum()
    return SetFunction(values, penalty)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("turning", [False, True])
def test_recovers_the_class_of_the_law(seed, turning):
    """With the exact law of a faithful network (random tables are, almost surely)."""
    draws = np.random.default_rng(seed)
    parents = random_graph(5, 0.45, draws)
    score = limit_score(exact_law(parents, draws), penalty=1e-8)
    found = greedy_equivalence_search(score, free(5), turning=turning)
    assert essential_graph(found.parents) == essential_graph(parents)
    assert found.score == pytest.approx(total_score(score, parents), abs=1e-12)


def test_some_laws_need_the_deletions():
    """The insertions alone go past the class of the law."""
    deleted = 0
    for seed in range(40):
        draws = np.random.default_rng(seed)
        score = limit_score(exact_law(random_graph(5, 0.45, draws), draws), penalty=1e-8)
        history = greedy_equivalence_search(score, free(5), turning=False).history
        assert [entry["phase"] for entry in history] == ["insert", "delete"]
        deleted += history[1]["moves"]
    assert deleted > 0


@settings(max_examples=25)
@given(n=st.integers(2, 6), seed=st.integers(0, 2**32))
def test_scores_of_the_phases_never_fall(n, seed):
    score = SetFunction.random(n, seed)
    start = random_graph(n, 0.4, np.random.default_rng(seed))
    found = greedy_equivalence_search(score, free(n), start=start)
    scores = [total_score(score, start)] + [entry["score"] for entry in found.history]
    assert all(after >= before - 1e-10 for before, after in itertools.pairwise(scores))
    assert found.score == pytest.approx(total_score(score, found.parents), abs=1e-12)
    plain = greedy_equivalence_search(score, free(n), start=start, turning=False)
    assert found.score >= plain.score - 1e-10
    assert found == greedy_equivalence_search(score, free(n), start=start)


def test_turning_helps_on_some_scores():
    gains = []
    for seed in range(30):
        score = SetFunction.random(6, seed)
        both = [greedy_equivalence_search(score, free(6), turning=t).score for t in (False, True)]
        gains.append(both[1] - both[0])
    assert max(gains) > 0.5


# Constraints -------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(n=st.integers(2, 6), seed=st.integers(0, 2**32), limit=st.integers(1, 3))
def test_forbidden_pairs_and_number_of_parents(n, seed, limit):
    draws = np.random.default_rng(seed)
    kept = np.triu(draws.random((n, n)) < 0.6, 1)
    allowed = [sum([1 << u for u in range(n) if kept[u, v] or kept[v, u]]) for v in range(n)]
    constraints = Constraints((0,) * n, tuple(allowed), min(limit, n - 1))
    found = greedy_equivalence_search(SetFunction.random(n, seed), constraints)
    assert constraints.permits(found.parents)
    assert all(constraints.permits(graph) for graph in equivalent_graphs(found.parents))


def test_limits_that_depend_on_direction_are_refused():
    score = SetFunction.random(3, 0)
    with pytest.raises(ValueError, match="cannot honour required edges, found 0 -> 1"):
        greedy_equivalence_search(score, Constraints((0, 1, 0), (6, 5, 3), 2))
    with pytest.raises(ValueError, match="one between 0 and 2 forbidden in one"):
        greedy_equivalence_search(score, Constraints((0, 0, 0), (6, 5, 2), 2))
    with pytest.raises(ValueError, match="one between 0 and 2 forbidden in one"):
        greedy_equivalence_search(score, Constraints((0, 0, 0), (2, 5, 3), 2))


def test_scores_that_differ_on_equivalent_graphs_are_refused():
    class Directed:
        n_variables = 4
        values = np.random.default_rng(1).normal(size=(4, 16))

        def prepare(self, child: int, parents: int) -> None:
            pass

        def local(self, child: int, parents: int) -> float:
            return float(self.values[child, parents])

    with pytest.raises(ValueError, match="score must give equivalent graphs the same value"):
        greedy_equivalence_search(Directed(), free(4))


def test_bad_start_is_refused():
    with pytest.raises(ValueError, match="start must be acyclic"):
        greedy_equivalence_search(SetFunction.random(2, 0), free(2), start=[2, 1])


# Reference data ----------------------------------------------------------------------------------


def test_alarm_scores(shared):
    """BIC of the first 5,000 rows: greedy search over single graphs stays below -54,600."""
    with np.load(shared / "data" / "alarm_100k_seed0.npz") as file:
        rows = DiscreteData(file["X"][:5000], names=file["names"].tolist())
    score = SetScore(rows)
    found = greedy_equivalence_search(score, Constraints.read(rows.vocabulary))
    assert found.score > -54_406
    assert found.score == pytest.approx(score.total(found.parents), abs=1e-7)
