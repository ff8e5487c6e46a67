"""Greedy search over directed acyclic graphs: one edge at a time, out of local optima by tabu.

.. math:: G_{t+1} = \\operatorname*{arg\\,max}_{G' \\in N(G_t) \\setminus T_t} s(G')

The neighbours N(G) of a graph differ from it by one edge added, removed or reversed. All changes
of score are kept in one matrix; a move renews the rows of the children it touches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from inference.exact.structure import bits
from inference.random import GeneratorLike, numpy_generator
from pgm.structure.constraints import Constraints
from pgm.structure.cpdag import topological_order
from pgm.structure.local_score import (
    NEGLIGIBLE,
    LocalScore,
    SearchResult,
    check_start,
    require_finite,
    total_score,
)

__all__ = ["hill_climb"]

Kind: TypeAlias = Literal["toggle", "reverse"]
#: An edge's child and parent, and whether the edge is added or removed, or reversed.
Move: TypeAlias = tuple[Kind, int, int]

#: Up to this many families of one child are scored one by one.
FEW = 6

#: Smallest and largest number of random edits before a new climb.
EDITS = (3, 12)


def hill_climb(
    score: LocalScore,
    constraints: Constraints,
    *,
    start: Sequence[int] | None = None,
    tabu: int = 20,
    patience: int = 100,
    restarts: int = 0,
    generator: GeneratorLike = None,
) -> SearchResult:
    """Best structure on a walk that takes the best single edit at every step.

    .. math:: G_{t+1} = \\operatorname*{arg\\,max}_{G' \\in N(G_t) \\setminus T_t} s(G')

    The walk goes on downhill. An edge just added, removed or reversed is tabu: it stays as it is
    for the next steps, unless the edit gives a graph better than all before. The result is
    therefore a local optimum: no single edit that the constraints permit improves it.

    Arguments:
        score: score of the families; the larger, the better.
        constraints: required and permitted edges, number of parents.
        start: per variable the mask of its parents; None: only the required edges.
        tabu: number of steps for which an edited edge is left alone; at most half the pairs of
            variables, so that there is always something left to edit.
        patience: number of steps without a new best graph before the walk stops; 0 stops at the
            first local optimum.
        restarts: number of further walks, each from the best graph after 3 to 12 random edits.
        generator: for the edits: None, a seed or a generator.

    Raises:
        ValueError: negative numbers, a start that is cyclic or breaks the constraints, masks of
            the wrong number, a score that is not finite.

    Reference:
        Heckerman, Geiger & Chickering 1995, section 7.1 (local search); Glover 1989, "Tabu
        search, part I", section 2; Koller & Friedman 2009, algorithm A.6 and section 18.4.3.

    Example:
        >>> from pgm.discrete_data import DiscreteData
        >>> from pgm.structure.scores import SetScore
        >>> rows = DiscreteData({"a": [0, 0, 1, 1] * 9, "b": [0, 0, 1, 1] * 9, "c": [0, 1] * 18})
        >>> found = hill_climb(SetScore(rows), Constraints.read(rows.vocabulary))
        >>> found.parents, round(found.score, 3)
        ([2, 0, 0], -57.074)
    """
    for name, value in (("tabu", tabu), ("patience", patience), ("restarts", restarts)):
        if value < 0:
            raise ValueError(f"{name} must not be negative, found {value}")
    n = score.n_variables
    tabu = min(tabu, n * (n - 1) // 4)
    graph = _EditableGraph(score, constraints, check_start(start, score, constraints))
    best = _walk(graph, tabu, patience)
    history = [best.entry("climb", best.score)]
    draws = numpy_generator(generator)
    for _ in range(restarts):
        graph.replace(best.parents)
        for _ in range(draws.integers(*EDITS, endpoint=True)):
            _edit_at_random(graph, draws)
        found = _walk(graph, tabu, patience)
        if found.score >= best.score:
            best = found
        history.append(found.entry("restart", best.score))
    return SearchResult(best.parents, best.score, history)


class _EditableGraph:
    """A directed acyclic graph with the change of score of every edit.

    Matrices have one row per child and one column per parent.

    Attributes:
        parents: per variable the mask of its parents.
        edges: (V, V) where the column is a parent of the row.
        changes: (V, V) change of the score when the column enters or leaves the parents of the
            row; NaN where it was not needed yet.
        reach: (V, V) where a path, maybe of length 0, leads from the row to the column.
    """

    def __init__(
        self, score: LocalScore, constraints: Constraints, parents: Sequence[int]
    ) -> None:
        n = score.n_variables
        self._score = score
        self._max_parents = constraints.max_parents
        self._allowed = _matrix(constraints.allowed, n)
        np.fill_diagonal(self._allowed, False)
        self._fixed = _matrix(constraints.required, n)
        self._rows: dict[tuple[int, int], np.ndarray] = {}
        self.parents = [0] * n
        self.edges = np.zeros((n, n), dtype=bool)
        self.changes = np.full((n, n), math.nan)
        self.reach = np.eye(n, dtype=bool)
        self.replace(parents)

    def replace(self, parents: Sequence[int]) -> None:
        """Make this the graph."""
        for child, above in enumerate(parents):
            self._set_parents(child, above)
        self.reach[:] = np.eye(len(parents), dtype=bool)
        for v in topological_order(parents):
            self._reach_from_parents(v)

    def total(self, parents: Sequence[int]) -> float:
        """Score of a graph."""
        return total_score(self._score, parents)

    def edits(self) -> tuple[np.ndarray, np.ndarray]:
        """Edges that may be toggled, and those that may be reversed unless a path forbids it."""
        room = self.edges.sum(axis=1) < self._max_parents
        movable = self.edges & ~self._fixed
        addable = self._allowed & ~self.edges & ~self.reach & room[:, None]
        return addable | movable, movable & self._allowed.T & room

    def evaluate(self, wanted: np.ndarray) -> None:
        """Compute the wanted changes that are not known."""
        missing = wanted & np.isnan(self.changes)
        for child in np.flatnonzero(missing.any(axis=1)).tolist():
            above = self.parents[child]
            row = self._rows[child, above]
            local, base = self._score.local, self._score.local(child, above)
            columns = np.flatnonzero(missing[child])
            if len(columns) > FEW:
                self._score.prepare(child, above)
            families = [above ^ 1 << v for v in columns.tolist()]
            values = [local(child, family) for family in families]
            require_finite(child, families, values)
            row[columns] = np.array(values) - base
            self.changes[child] = row

    def is_reversible(self, child: int, parent: int) -> bool:
        """Whether no path but the edge itself leads from the parent to the child."""
        return np.count_nonzero(self.edges[child] & self.reach[parent]) == 1

    def apply(self, kind: Kind, child: int, parent: int) -> None:
        """Add, remove or reverse an edge."""
        if self.edges[child, parent]:
            self._remove(child, parent)
            if kind == "reverse":
                self._add(parent, child)
        else:
            self._add(child, parent)

    def _add(self, child: int, parent: int) -> None:
        self._set_parents(child, self.parents[child] | 1 << parent)
        self.reach |= self.reach[:, parent, None] & self.reach[child]

    def _remove(self, child: int, parent: int) -> None:
        self._set_parents(child, self.parents[child] ^ 1 << parent)
        # The number of ancestors grows along every path: it orders the variables below the edge.
        below = np.flatnonzero(self.reach[child])
        for v in below[np.argsort(self.reach[:, below].sum(axis=0))].tolist():
            self._reach_from_parents(v)

    def _reach_from_parents(self, v: int) -> None:
        self.reach[:, v] = self.reach[:, self.edges[v]].any(axis=1)
        self.reach[v, v] = True

    def _set_parents(self, child: int, above: int) -> None:
        n = len(self.parents)
        self.parents[child] = above
        row = self._rows.get((child, above))
        if row is None:
            row = self._rows[child, above] = np.full(n, math.nan)
        self.changes[child] = row
        self.edges[child] = False
        self.edges[child, bits(above)] = True


@dataclass(frozen=True)
class _Walk:
    """The best graph of a walk, and the number of moves to its end."""

    parents: list[int]
    score: float
    moves: int

    def entry(self, phase: str, best: float) -> dict[str, Any]:
        """Line of a history."""
        return {"phase": phase, "moves": self.moves, "score": best}


def _walk(graph: _EditableGraph, tabu: int, patience: int) -> _Walk:
    """Take the best edit until the patience ends; a better graph is never passed over."""
    current = best = graph.total(graph.parents)
    parents, moves, idle = list(graph.parents), 0, 0
    free_from = np.zeros(graph.edges.shape, dtype=np.int64)
    while True:
        enough = best + NEGLIGIBLE * (1 + abs(best)) - current
        gain, move = _best_edit(graph, free_from > moves, enough)
        if gain == -math.inf or (idle >= patience and gain <= enough):
            return _Walk(parents, graph.total(parents), moves)
        graph.apply(*move)
        current, moves, idle = current + gain, moves + 1, idle + 1
        _, child, parent = move
        free_from[child, parent] = free_from[parent, child] = moves + tabu
        if gain > enough:
            best, parents, idle = current, list(graph.parents), 0


def _best_edit(graph: _EditableGraph, closed: np.ndarray, enough: float) -> tuple[float, Move]:
    """The edit of largest gain that is not closed, or gains enough to be taken all the same."""
    toggles, reversals = graph.edits()
    graph.evaluate(toggles | reversals | reversals.T)
    gains = np.where(toggles, graph.changes, -math.inf)
    gains[closed & (gains <= enough)] = -math.inf
    gain, child, parent = _largest(gains)
    gains = np.where(reversals, graph.changes + graph.changes.T, -math.inf)
    gains[closed & (gains <= enough)] = -math.inf
    while True:
        turned, below, above = _largest(gains)
        if turned <= gain:
            return gain, ("toggle", child, parent)
        if graph.is_reversible(below, above):
            return turned, ("reverse", below, above)
        gains[below, above] = -math.inf


def _edit_at_random(graph: _EditableGraph, draws: np.random.Generator) -> None:
    """Add, remove or reverse an edge, each kind that is possible with equal probability."""
    toggles, reversals = graph.edits()
    kinds = (toggles & ~graph.edges, toggles & graph.edges, reversals)
    for kind in draws.permutation(3).tolist():
        places = draws.permutation(np.flatnonzero(kinds[kind])).tolist()
        edges = (divmod(place, len(toggles)) for place in places)
        edge = next((e for e in edges if kind < 2 or graph.is_reversible(*e)), None)
        if edge is not None:
            graph.apply("reverse" if kind == 2 else "toggle", *edge)
            return


def _largest(values: np.ndarray) -> tuple[float, int, int]:
    """Largest entry, the first of several, with its row and column."""
    row, column = divmod(int(values.argmax()), len(values))
    return float(values[row, column]), row, column


def _matrix(masks: Sequence[int], n: int) -> np.ndarray:
    """Bit masks as the rows of a boolean matrix."""
    matrix = np.zeros((n, n), dtype=bool)
    for v, mask in enumerate(masks):
        matrix[v, bits(mask & (1 << n) - 1)] = True
    return matrix
