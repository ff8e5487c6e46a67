"""Search over orders of the variables: the best graph of an order follows from parent lists.

.. math:: \\max_{\\prec} \\sum_x \\max_{S \\subseteq \\{y \\prec x\\}} s(x \\mid S)

A move takes a variable out of the order and puts it back at its best place. At a local optimum
some variables are kicked to random places; when kicks fail, the parent lists grow by the families
one edit away from the best graph.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from inference.exact.structure import bits
from inference.inputs import as_whole
from inference.progress import progress_bar
from inference.random import GeneratorLike, numpy_generator
from pgm.structure.constraints import Constraints
from pgm.structure.local_score import SearchResult
from pgm.structure.parent_lists import BoundedScore, ParentLists

__all__ = ["order_search"]

#: Numbers of failed kicks after which the parent lists grow.
GROW_AFTER = (10, 40)
#: Fewest and most variables that a kick moves.
KICK = (2, 8)


def order_search(
    score: BoundedScore,
    constraints: Constraints,
    *,
    beam: int = 12,
    max_size: int = 6,
    max_idle: int = 300,
    time_limit: float | None = None,
    generator: GeneratorLike = None,
    progress: bool | None = None,
) -> SearchResult:
    """Search for the graph of highest score by insertion moves on orders, with kicks.

    Arguments:
        score: a decomposable score with bounds.
        constraints: required and allowed parents, largest number of parents.
        beam: parent sets of each size that are grown further; 5 does for up to 40 variables.
        max_size: largest parent set made by growing (edits may pass it).
        max_idle: kicks without a gain after which the search ends.
        time_limit: seconds after which it ends too; results then depend on the machine.
        generator: None, a seed or a generator.
        progress: bar over idle kicks; None shows it on a terminal.

    Returns:
        The best graph met, its score, and the history of improvements.

    Raises:
        TypeError, ValueError: parameters of the wrong kind or out of range.

    Reference:
        Teyssier & Koller 2005 (orders); Alonso-Barba, de la Ossa & Puerta 2011 (insertions).

    Example:
        >>> from pgm.discrete_data import DiscreteData
        >>> from pgm.structure.scores import SetScore
        >>> x = np.array([0, 1, 0, 1, 1, 0, 1, 0] * 10)
        >>> rows = DiscreteData({"a": x, "b": 1 - x})
        >>> free = Constraints.read(rows.vocabulary)
        >>> order_search(SetScore(rows), free, generator=0).parents in ([0, 1], [2, 0])
        True
    """
    for name, value in (("beam", beam), ("max_size", max_size), ("max_idle", max_idle)):
        as_whole(name, value, least=0)
    if time_limit is not None and not time_limit > 0:
        raise ValueError(f"time_limit must be positive seconds or None, found {time_limit!r}")
    deadline = None if time_limit is None else time.monotonic() + time_limit
    lists = ParentLists(score, constraints, beam, max_size)
    search = _OrderSearch(lists, constraints, numpy_generator(generator))
    with progress_bar(max_idle, "orders", progress) as bar:
        search.run(max_idle, deadline, bar)
    return search.result()


class _OrderSearch:
    """The best order so far."""

    def __init__(
        self, lists: ParentLists, constraints: Constraints, draws: np.random.Generator
    ) -> None:
        self._lists = lists
        self._draws = draws
        self._n = len(constraints.required)
        start = _random_order(constraints, draws)
        self._value, self._order = self._climb(start)
        self._history: list[dict[str, Any]] = [{"kick": 0, "score": self._value}]

    def run(self, max_idle: int, deadline: float | None, bar: Any) -> None:
        """Kick until nothing better turns up."""
        idle = kicks = 0
        while idle < max_idle and (deadline is None or time.monotonic() < deadline):
            kicks += 1
            value, order = self._climb(self._kicked())
            gained = value > self._value + 1e-9 * abs(self._value)
            if value >= self._value:
                self._value, self._order = value, order
            if not gained and idle + 1 in GROW_AFTER and self._grow():
                value, order = self._climb(self._order)
                gained = value > self._value + 1e-9 * abs(self._value)
                self._value, self._order = value, order
            idle = 0 if gained else idle + 1
            if gained:
                self._history.append({"kick": kicks, "score": self._value})
                bar.reset()
            else:
                bar.update(1)
            bar.set_postfix_str(f"score {self._value:.2f}")

    def result(self) -> SearchResult:
        """The graph of the best order."""
        parents, before = [0] * self._n, 0
        for child in self._order:
            parents[child] = self._lists.best(child, before)[1]
            before |= 1 << child
        return SearchResult(parents, self._value, self._history)

    def _climb(self, order: Sequence[int]) -> tuple[float, list[int]]:
        """Move variables to their best places until a sweep over all of them brings nothing."""
        order, value, still = list(order), -np.inf, 0
        queue = self._draws.permutation(self._n).tolist()
        value = self._score_of(order)
        while still < self._n:
            for v in queue:
                better, place = self._best_place(order, v)
                if better > value + 1e-9 * abs(value):
                    order.remove(v)
                    order.insert(place, v)
                    value, still = better, 0
                else:
                    still += 1
                if still >= self._n:
                    break
        return value, order

    def _score_of(self, order: Sequence[int]) -> float:
        total, before = 0.0, 0
        for child in order:
            total += self._lists.best(child, before)[0]
            before |= 1 << child
        return total

    def _best_place(self, order: Sequence[int], v: int) -> tuple[float, int]:
        """Best total over all places of one variable among the others, and that place."""
        best, bit = self._lists.best, 1 << v
        rest = [child for child in order if child != v]
        before, total = 0, 0.0
        ahead = [0.0]  # scores of the variables ahead of each place, without v
        own = [best(v, 0)[0]]
        behind = []  # of each variable, with v before it
        for child in rest:
            total += best(child, before)[0]
            ahead.append(total)
            behind.append(best(child, before | bit)[0])
            before |= 1 << child
            own.append(best(v, before)[0])
        place = len(rest)
        tail, top = 0.0, ahead[place] + own[place]
        chosen = place
        for place in range(len(rest) - 1, -1, -1):
            tail += behind[place]
            value = ahead[place] + own[place] + tail
            if value > top:
                top, chosen = value, place
        return top, chosen

    def _kicked(self) -> list[int]:
        """The best order with a few variables at random places."""
        order = list(self._order)
        count = int(self._draws.integers(KICK[0], KICK[1] + 1))
        for v in self._draws.permutation(self._n)[:count].tolist():
            order.remove(v)
            order.insert(int(self._draws.integers(self._n)), v)
        return order

    def _grow(self) -> bool:
        """Offer every family one parent more, less or other than the best graph's."""
        grown, parents = False, self.result().parents
        for child, above in enumerate(parents):
            inside = bits(above)
            outside = [v for v in range(self._n) if v != child and not above >> v & 1]
            sets = [above | 1 << v for v in outside]
            for u in inside:
                smaller = above ^ 1 << u
                sets.append(smaller)
                sets.extend([smaller | 1 << v for v in outside])
            grown |= self._lists.add(child, sets)
        return grown


def _random_order(constraints: Constraints, draws: np.random.Generator) -> list[int]:
    """A random order in which required parents come first."""
    left = draws.permutation(len(constraints.required)).tolist()
    order, placed = [], 0
    while left:
        v = next(v for v in left if not constraints.required[v] & ~placed)
        left.remove(v)
        order.append(v)
        placed |= 1 << v
    return order
