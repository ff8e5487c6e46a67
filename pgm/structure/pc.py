"""PC-stable: a structure from tests of conditional independence.

.. math:: x - y \\iff x \\not\\perp y \\mid S \\text{ for all }
          S \\subseteq \\mathrm{adj}(x) \\setminus y
          \\text{ or } S \\subseteq \\mathrm{adj}(y) \\setminus x
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from inference.exact.structure import bits
from pgm.structure.constraints import Constraints
from pgm.structure.cpdag import PDAG, children_of, consistent_extension, meek_closure
from pgm.structure.independence import IndependenceTest

__all__ = ["PCResult", "pc"]


class PCResult(NamedTuple):
    """What the tests say about a structure.

    Attributes:
        graph: arrows that the tests decide, and lines that they leave open.
        dag: one parent mask per variable, an extension of ``graph``.
        consistent: whether ``dag`` has exactly the skeleton, arrows and v-structures of ``graph``.
        separating_sets: per pair (x, y), x < y, that a test took apart, the set that did.
        n_tests: number of different tests asked for.
    """

    graph: PDAG
    dag: tuple[int, ...]
    consistent: bool
    separating_sets: dict[tuple[int, int], int]
    n_tests: int


def pc(
    test: IndependenceTest,
    constraints: Constraints | None = None,
    *,
    max_condition: int | None = None,
) -> PCResult:
    """Learn a partially directed graph by conditional independence.

    1. Skeleton: every pair is joined at first. For k = 0, 1, ... a pair is taken apart when it is
       independent given k neighbours of either end. Neighbours are those at the start of a round,
       so the skeleton does not depend on the order of the variables.
    2. V-structures: z between x and y, which are not adjacent, is a collider if it is in fewer
       than half of the sets of neighbours of x, or of y, that take x and y apart (majority rule).
       The v-structures with the smallest shares come first, among equal shares those of lower
       numbers; one that would turn an arrow of an earlier one is left out.
    3. Arrows that follow (Meek's rules R1-R4).
    4. A DAG: a consistent extension, or, where the tests contradict each other and there is none,
       a DAG of the same skeleton by repeatedly taking away, as a sink, the variable that turns
       the fewest arrows and adds the fewest v-structures.

    With an oracle and no limit the graph is the true CPDAG. Limits hold throughout: required edges
    are not tested; an edge forbidden in one direction gets the other. Only in the DAG, parents
    beyond ``max_parents`` go, the one with the largest p-value given the others first.

    Arguments:
        test: answers whether two variables are independent given a set; its significance level
            is its own.
        constraints: edges that must or must not be there.
        max_condition: largest number of variables to condition on; None: no limit. The number
            of tests is exponential in the neighbours of a variable: 2 or 3 tames hubs, and is
            often more accurate, since tests with few rows per stratum have little power.

    Raises:
        TypeError: a ``max_condition`` that is no whole number.
        ValueError: a negative ``max_condition``, constraints for other variables.

    Reference:
        Spirtes, Glymour & Scheines 2000, section 5.4.2 (PC); Colombo & Maathuis 2014,
        "Order-independent constraint-based causal structure learning", algorithm 4.1
        (PC-stable) and section 4.2 (majority rule); Meek 1995 (rules).

    Example:
        >>> from pgm.digraph import Digraph
        >>> from pgm.structure.independence import DSeparation
        >>> oracle = DSeparation(Digraph(["a", "b", "c", "d"], {"c": ["a", "b"], "d": ["c"]}))
        >>> pc(oracle).graph
        PDAG(parents=(0, 0, 3, 4), neighbours=(0, 0, 0, 0))
    """
    n_variables = test.n_variables
    limit = _condition_limit(max_condition, n_variables)
    if constraints is None:
        everything = (1 << n_variables) - 1
        allowed = tuple([everything ^ 1 << v for v in range(n_variables)])
        constraints = Constraints((0,) * n_variables, allowed, max(n_variables - 1, 0))
    if len(constraints.allowed) != n_variables:
        raise ValueError(
            f"constraints are for {len(constraints.allowed)} variables, test for {n_variables}"
        )
    asked = _Asked(test)
    adjacent, separating = _skeleton(asked, constraints, limit)
    colliders = _colliders(asked, adjacent, separating, limit)
    graph = _oriented(adjacent, colliders, constraints)
    dag, consistent = _dag(test, graph, constraints)
    return PCResult(graph, dag, consistent, separating, len(asked.answers))


class _Asked:
    """A test that remembers its answers."""

    def __init__(self, test: IndependenceTest) -> None:
        self.test = test
        self.answers: dict[tuple[int, int, int], bool] = {}

    def independent(self, x: int, y: int, given: int) -> bool:
        """Whether x and y, x < y, pass for independent."""
        found = self.answers.get((x, y, given))
        if found is None:
            found = self.answers[x, y, given] = self.test.independent(x, y, given)
        return found


def _condition_limit(max_condition: int | None, n_variables: int) -> int:
    """Largest number of variables to condition on."""
    if max_condition is None:
        return n_variables
    if isinstance(max_condition, bool) or not isinstance(max_condition, (int, np.integer)):
        raise TypeError(f"max_condition must be a whole number or None, found {max_condition!r}")
    if max_condition < 0:
        raise ValueError(f"max_condition must not be negative, found {max_condition}")
    return int(max_condition)


def _skeleton(
    asked: _Asked, constraints: Constraints, limit: int
) -> tuple[list[int], dict[tuple[int, int], int]]:
    """Which variables stay adjacent, and what took the others apart."""
    pairs = zip(constraints.allowed, children_of(constraints.allowed), strict=True)
    adjacent = [above | below for above, below in pairs]
    required = constraints.required
    fixed = [above | below for above, below in zip(required, children_of(required), strict=True)]
    separating: dict[tuple[int, int], int] = {}
    for size in range(limit + 1):
        frozen = tuple(adjacent)
        if max([mask.bit_count() for mask in frozen], default=0) <= size:
            break
        for x, mask in enumerate(frozen):
            for y in bits(mask & ~fixed[x] & -(2 << x)):
                found = next(
                    (s for s in _subsets(frozen, x, y, size) if asked.independent(x, y, s)), None
                )
                if found is not None:
                    separating[x, y] = found
                    adjacent[x] ^= 1 << y
                    adjacent[y] ^= 1 << x
    return adjacent, separating


def _subsets(adjacent: Sequence[int], x: int, y: int, size: int) -> Iterator[int]:
    """Sets of so many neighbours of x, then of y; what both have comes twice."""
    if not size:
        yield 0
        return
    for pool in (adjacent[x] & ~(1 << y), adjacent[y] & ~(1 << x)):
        if pool.bit_count() >= size:
            yield from map(sum, combinations([1 << v for v in bits(pool)], size))


def _colliders(
    asked: _Asked, adjacent: Sequence[int], separating: dict[tuple[int, int], int], limit: int
) -> list[tuple[int, int, int]]:
    """V-structures (x, z, y), x < y, by the majority rule, the clearest first."""
    everything = (1 << len(adjacent)) - 1
    found = []
    for x, mask in enumerate(adjacent):
        for y in bits(everything & ~mask & -(2 << x)):
            between = bits(mask & adjacent[y])
            if not between:
                continue
            largest = min(limit, max(mask.bit_count(), adjacent[y].bit_count()))
            sets = {
                s
                for size in range(largest + 1)
                for s in _subsets(adjacent, x, y, size)
                if asked.independent(x, y, s)
            }
            if (x, y) in separating:
                sets.add(separating[x, y])
            for z in between:
                # Without any such set (an edge forbidden, not tested away) nothing is known.
                share = sum([s >> z & 1 for s in sets]) / len(sets) if sets else 1.0
                if share < 0.5:
                    found.append((share, x, z, y))
    return [(x, z, y) for _, x, z, y in sorted(found)]


def _oriented(
    adjacent: Sequence[int], colliders: Sequence[tuple[int, int, int]], constraints: Constraints
) -> PDAG:
    """Arrows from what is known and from v-structures, then those that follow."""
    parents = [0] * len(adjacent)
    for v, mask in enumerate(adjacent):
        for other in bits(mask & ~constraints.allowed[v]):
            parents[other] |= 1 << v
    for x, z, y in colliders:
        if not (parents[x] | parents[y]) >> z & 1:
            parents[z] |= 1 << x | 1 << y
    sides = zip(adjacent, parents, children_of(parents), strict=True)
    lines = [mask & ~above & ~below for mask, above, below in sides]
    return meek_closure(PDAG(tuple(parents), tuple(lines)))


def _dag(
    test: IndependenceTest, graph: PDAG, constraints: Constraints
) -> tuple[tuple[int, ...], bool]:
    """A DAG within all limits, and whether it is a consistent extension."""
    try:
        dag, consistent = consistent_extension(graph), True
    except ValueError:
        dag, consistent = _nearest_dag(graph, constraints), False
    trimmed = list(dag)
    for v, above in enumerate(dag):
        while trimmed[v].bit_count() > constraints.max_parents:
            trimmed[v] ^= 1 << _weakest(test, v, trimmed[v], constraints.required[v])
        consistent = consistent and trimmed[v] == above
    return tuple(trimmed), consistent


def _weakest(test: IndependenceTest, v: int, parents: int, required: int) -> int:
    """The parent that is not required and needed least beside the others."""
    loose = bits(parents & ~required)
    return max(loose, key=lambda u: (test.p_value(u, v, parents & ~(1 << u)), u))


def _nearest_dag(graph: PDAG, constraints: Constraints) -> tuple[int, ...]:
    """A DAG near a graph without consistent extension, with the required edges.

    Edges are lost only to those forbidden: where the directions left would close a cycle.
    """
    adjacent, children = graph.adjacent, children_of(graph.parents)
    required = children_of(constraints.required)
    left, parents = (1 << len(adjacent)) - 1, [0] * len(adjacent)

    def cost(v: int) -> tuple[int, int, int, int]:
        """Edges lost, arrows turned and v-structures added by making v a sink."""
        around = adjacent[v] & left
        added = [around & ~adjacent[u] & ~(1 << u) for u in bits(graph.neighbours[v] & left)]
        lost, turned = around & ~constraints.allowed[v], children[v] & left
        unshielded = sum([mask.bit_count() for mask in added])
        return lost.bit_count(), turned.bit_count(), unshielded, -v

    while left:
        v = min([v for v in bits(left) if not required[v] & left], key=cost)
        parents[v] = adjacent[v] & left & constraints.allowed[v]
        left ^= 1 << v
    return tuple(parents)
