"""Greedy equivalence search: from class to class of Markov-equivalent graphs.

.. math:: \\Delta_{X \\to Y, T} = s(Y \\mid S \\cup X) - s(Y \\mid S),
          \\qquad S = NA_{Y,X} \\cup T \\cup \\mathrm{pa}(Y)

A class is held as its essential graph (CPDAG). NA is the set of neighbours of Y (joined to it by
a line) that are adjacent to X; T are neighbours of Y that become parents of Y with X.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from inference.exact.structure import bits
from pgm.structure.constraints import Constraints
from pgm.structure.cpdag import PDAG, children_of, consistent_extension, essential_graph
from pgm.structure.hill_climbing import hill_climb
from pgm.structure.local_score import (
    NEGLIGIBLE,
    LocalScore,
    SearchResult,
    check_start,
    total_score,
)

__all__ = ["Operator", "Phase", "apply_operator", "greedy_equivalence_search", "valid_operators"]

Phase: TypeAlias = Literal["insert", "delete"]


class Operator(NamedTuple):
    """One step between classes.

    Attributes:
        gain: change of the score.
        x: one end of the edge that is inserted or deleted; the parent if it is an arrow.
        y: the other end, whose family changes.
        clique: NA and T of an insertion, NA without H of a deletion: neighbours of y that count
            as its parents.
    """

    gain: float
    x: int
    y: int
    clique: int


def greedy_equivalence_search(
    score: LocalScore,
    constraints: Constraints,
    *,
    start: Sequence[int] | None = None,
    turning: bool = True,
) -> SearchResult:
    """Structure found by inserting edges into a class while that helps, then deleting them.

    .. math:: E_{t+1} = \\operatorname*{arg\\,max}_{E' \\in \\mathcal{E}^{+}(E_t)} s(E'),
              \\quad\\text{then}\\quad \\mathcal{E}^{-}

    One insertion or deletion goes to the best class that holds a graph with one edge more (less)
    than some graph of the present class. With ever more data from a law that is faithful to a
    graph this finds its class, if the score is consistent (BIC, BDeu). The score must give
    equivalent graphs the same value; BIC, AIC and BDeu do.

    With ``turning`` the two phases alternate with a climb over single graphs, which also reverses
    edges, until neither brings anything.

    The limit on the number of parents holds, as all graphs of a class have the same largest
    number. Whether an edge may be there at all is a property of a class, its direction is not.

    Arguments:
        score: score of the families; the larger, the better.
        constraints: number of parents; edges may be forbidden in both directions together.
        start: per variable the mask of its parents in a graph of the first class; None: no edge.
        turning: whether to alternate with hill climbing.

    Returns:
        A graph of the class; its ``essential_graph`` is the class.

    Raises:
        ValueError: required edges, edges forbidden in one direction only, a start that is cyclic
            or breaks the constraints, a score that is not finite.

    Reference:
        Chickering 2002, "Optimal structure identification with greedy search", J. Mach. Learn.
        Res. 3, theorems 15 and 17, corollaries 16 and 18; turning: Hauser & Buhlmann 2012,
        "Characterization and greedy learning of interventional Markov equivalence classes",
        section 4.

    Example:
        >>> from pgm.discrete_data import DiscreteData
        >>> from pgm.structure.scores import SetScore
        >>> rows = DiscreteData({"a": [0, 0, 1, 1] * 9, "b": [0, 0, 1, 1] * 9, "c": [0, 1] * 18})
        >>> found = greedy_equivalence_search(SetScore(rows), Constraints.read(rows.vocabulary))
        >>> essential_graph(found.parents).neighbours
        (2, 1, 0)
    """
    parents = check_start(start, score, constraints)
    _require_undirected(constraints)
    history: list[dict[str, Any]] = []
    while True:
        for phase in ("insert", "delete"):
            parents, moves = _phase(phase, score, constraints, parents)
            best = total_score(score, parents)
            history.append({"phase": phase, "moves": moves, "score": best})
        if not turning:
            return SearchResult(parents, best, history)
        climbed = hill_climb(score, constraints, start=parents)
        history.append({**climbed.history[0], "phase": "turn"})
        if climbed.score <= best + NEGLIGIBLE * (1 + abs(best)):
            return SearchResult(parents, best, history)
        parents = climbed.parents


def valid_operators(
    phase: Phase, graph: PDAG, score: LocalScore, constraints: Constraints
) -> list[Operator]:
    """All insertions into, or deletions from, an essential graph that lead to another one.

    An insertion is valid if NA and T form a clique and every semi-directed path from y to x
    passes through it; a deletion, if NA without H is a clique.

    Arguments:
        phase: "insert" or "delete".
        graph: an essential graph.
        score: for the gains.
        constraints: number of parents, forbidden edges.

    Reference:
        Chickering 2002, theorems 15 and 17, corollaries 16 and 18.

    Example:
        >>> from pgm.discrete_data import DiscreteData
        >>> from pgm.structure.scores import SetScore
        >>> rows = DiscreteData({"a": [0, 0, 1, 1], "b": [0, 0, 1, 1]})
        >>> free, score = Constraints.read(rows.vocabulary), SetScore(rows, "aic")
        >>> [op[1:] for op in valid_operators("insert", PDAG((0, 0), (0, 0)), score, free)]
        [(1, 0, 0), (0, 1, 0)]
    """
    around = _Around(graph)
    return [
        op
        for y in range(score.n_variables)
        for op in _row(phase, around, y, score, constraints)
        if phase == "delete" or not around.reaches(op.y, op.x, op.clique)
    ]


def apply_operator(phase: Phase, graph: PDAG, operator: Operator) -> PDAG:
    """The partially directed graph after an operator; its extensions are the new class.

    An insertion adds x -> y and turns t - y into t -> y for all t of the clique; a deletion takes
    the edge away and turns h - y into y -> h and h - x into x -> h for the other common
    neighbours h.

    Reference:
        Chickering 2002, definitions 12 and 13.

    Example:
        >>> apply_operator("insert", PDAG((0, 0), (0, 0)), Operator(1.0, 0, 1, 0))
        PDAG(parents=(0, 1), neighbours=(0, 0))
    """
    _, x, y, clique = operator
    parents, neighbours = list(graph.parents), list(graph.neighbours)

    def orient(tails: int, head: int) -> None:
        parents[head] |= tails
        neighbours[head] &= ~tails
        for tail in bits(tails):
            neighbours[tail] &= ~(1 << head)

    if phase == "insert":
        orient(1 << x | clique, y)
    else:
        parents[y] &= ~(1 << x)
        neighbours[y] &= ~(1 << x)
        neighbours[x] &= ~(1 << y)
        for h in bits(graph.neighbours[y] & graph.adjacent[x] & ~clique):
            orient(1 << y | (1 << x & graph.neighbours[h]), h)
    return PDAG(tuple(parents), tuple(neighbours))


class _Around:
    """Masks of an essential graph: who is adjacent, and where semi-directed steps lead.

    Arguments:
        graph: the essential graph.
    """

    def __init__(self, graph: PDAG) -> None:
        children = children_of(graph.parents)
        sides = list(zip(graph.parents, children, graph.neighbours, strict=True))
        self.parents, self.neighbours = graph.parents, graph.neighbours
        self.adjacent = [above | below | beside for above, below, beside in sides]
        self._onwards = [below | beside for _, below, beside in sides]

    def reaches(self, source: int, target: int, barrier: int) -> bool:
        """Whether a semi-directed path leads from the source to the target past the barrier."""
        frontier = 1 << source
        closed = barrier | frontier
        while frontier:
            reached = 0
            for v in bits(frontier):
                reached |= self._onwards[v]
            if reached >> target & 1:
                return True
            frontier = reached & ~closed
            closed |= frontier
        return False

    def changed_from(self, other: _Around) -> int:
        """Mask of the variables whose edges differ."""
        return sum(
            1 << v
            for v, above in enumerate(self.parents)
            if above != other.parents[v]
            or self.neighbours[v] != other.neighbours[v]
            or self._onwards[v] != other._onwards[v]
        )


def _row(
    phase: Phase, around: _Around, y: int, score: LocalScore, constraints: Constraints
) -> Iterator[Operator]:
    """Operators that change the family of y, paths not yet looked at."""
    above, beside, adjacent = around.parents[y], around.neighbours[y], around.adjacent
    if phase == "insert":
        room = constraints.max_parents - above.bit_count() - 1
        for x in bits(constraints.allowed[y] & ~adjacent[y] & ~(1 << y)):
            common = beside & adjacent[x]
            for clique in _cliques(common, beside & ~adjacent[x], adjacent):
                if clique.bit_count() <= room:
                    family = above | clique
                    gain = score.local(y, family | 1 << x) - score.local(y, family)
                    yield Operator(gain, x, y, clique)
    else:
        for x in bits(above | beside):
            for clique in _cliques(0, beside & adjacent[x], adjacent):
                family = (above | clique) & ~(1 << x)
                gain = score.local(y, family) - score.local(y, family | 1 << x)
                yield Operator(gain, x, y, clique)


def _cliques(base: int, others: int, adjacent: Sequence[int]) -> Iterator[int]:
    """All cliques made of the base, if it is one, and some of the others."""
    for v in bits(base):
        if base & ~adjacent[v] & ~(1 << v):
            return
        others &= adjacent[v]
    yield from _grown(base, others, adjacent)


def _grown(clique: int, others: int, adjacent: Sequence[int]) -> Iterator[int]:
    """A clique and all larger ones with some of the others, which are adjacent to all of it."""
    yield clique
    for v in bits(others):
        yield from _grown(clique | 1 << v, others & adjacent[v] & -(2 << v), adjacent)


def _phase(
    phase: Phase, score: LocalScore, constraints: Constraints, parents: list[int]
) -> tuple[list[int], int]:
    """Apply the best operator while one improves; the graph reached and the number of steps."""
    n = score.n_variables
    best = np.full((n, n), -math.inf)
    operators: dict[tuple[int, int], list[Operator]] = {}
    expected = total_score(score, parents)
    least = NEGLIGIBLE * (1 + abs(expected))
    graph, moves, stale = essential_graph(parents), 0, (1 << n) - 1
    around = _Around(graph)
    while True:
        for y, beside in enumerate(around.neighbours):
            # Cliques and common neighbours of y are seen from y and from its neighbours.
            if stale & (beside | 1 << y):
                _renew(y, _row(phase, around, y, score, constraints), best, operators, least)
        chosen = _best_valid(phase, around, best, operators)
        if chosen is None:
            return parents, moves
        parents = list(consistent_extension(apply_operator(phase, graph, chosen)))
        expected, moves = expected + chosen.gain, moves + 1
        graph = essential_graph(parents)
        before, around = around, _Around(graph)
        stale = around.changed_from(before)
        _check_equivalent(expected, total_score(score, parents))


def _renew(
    y: int,
    found: Iterator[Operator],
    best: np.ndarray,
    operators: dict[tuple[int, int], list[Operator]],
    least: float,
) -> None:
    """Replace the operators of one variable by those found that improve, best first."""
    for x in range(len(best)):
        operators[x, y] = []
    for op in found:
        if op.gain > least:
            operators[op.x, y].append(op)
    for x in range(len(best)):
        operators[x, y].sort(key=lambda op: -op.gain)
        best[x, y] = operators[x, y][0].gain if operators[x, y] else -math.inf


def _best_valid(
    phase: Phase,
    around: _Around,
    best: np.ndarray,
    operators: dict[tuple[int, int], list[Operator]],
) -> Operator | None:
    """The operator of largest gain that is valid; paths are looked at for the best ones only."""
    gains, tried = best.copy(), Counter[tuple[int, int]]()
    while True:
        x, y = divmod(int(gains.argmax()), len(gains))
        if gains[x, y] == -math.inf:
            return None
        choices = operators[x, y]
        op = choices[tried[x, y]]
        if phase == "delete" or not around.reaches(y, x, op.clique):
            return op
        tried[x, y] += 1
        left = tried[x, y] < len(choices)
        gains[x, y] = choices[tried[x, y]].gain if left else -math.inf


def _check_equivalent(expected: float, found: float) -> None:
    """Equivalent graphs must have the same score, up to rounding."""
    if abs(found - expected) > 1e-6 * (1 + abs(expected)):
        raise ValueError(
            f"score must give equivalent graphs the same value, found {found} and {expected}; "
            "search single graphs instead (hill climbing)"
        )


def _require_undirected(constraints: Constraints) -> None:
    """A class of equivalent graphs can honour limits on adjacency, not on direction."""
    for y, must in enumerate(constraints.required):
        if must:
            raise ValueError(
                f"a search over equivalence classes cannot honour required edges, found "
                f"{bits(must)[0]} -> {y}; search single graphs instead (hill climbing)"
            )
    for x, permitted in enumerate(_as_parent(constraints.allowed)):
        one_way = (permitted ^ constraints.allowed[x]) & ~(1 << x)
        if one_way:
            raise ValueError(
                f"a search over equivalence classes can forbid an edge only in both directions, "
                f"found one between {x} and {bits(one_way)[0]} forbidden in one; forbid the other "
                "too, or search single graphs instead (hill climbing)"
            )


def _as_parent(allowed: Sequence[int]) -> list[int]:
    """Per variable the mask of those that may have it as a parent."""
    everything = (1 << len(allowed)) - 1
    return children_of([mask & everything for mask in allowed])
