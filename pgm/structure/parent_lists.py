"""Scored parent sets per variable: for every set of predecessors, the best parents among them.

.. math:: b_x(P) = \\max_{S \\subseteq P} s(x \\mid S)

A set is kept only if it beats all its subsets found so far: others are never the best.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Iterable
from typing import Protocol

from inference.exact.structure import bits
from pgm.structure.constraints import Constraints
from pgm.structure.local_score import NEGLIGIBLE, LocalScore

__all__ = ["BoundedScore", "ParentLists"]

#: Parent sets up to this size are all scored; larger ones grow from the best of each size.
COMPLETE_SIZE = 2
#: Possible parents up to this number are all combined.
COMPLETE_PARENTS = 100


class BoundedScore(LocalScore, Protocol):
    """A score that knows what more parents can bring at most."""

    def bound(self, child: int, parents: int) -> float:
        """What no family with these parents, or more, can pass; inf where that is unknown."""
        ...


class ParentLists:
    """Sorted lists of parent sets, one per variable, that can grow.

    Arguments:
        score: a decomposable score with bounds.
        constraints: required and allowed parents, largest number of parents.
        beam: how many of the best sets of each size are grown by one more parent.
        max_size: largest set made by growing.
        pool: among more than a hundred possible parents, the number of the best single ones that
            larger sets are made of.

    Reference:
        Teyssier & Koller 2005, "Ordering-based search", section 3.
    """

    def __init__(
        self,
        score: BoundedScore,
        constraints: Constraints,
        beam: int = 12,
        max_size: int = 6,
        pool: int = 30,
    ) -> None:
        self._score = score
        self._constraints = constraints
        self._max_size = min(max_size, constraints.max_parents)
        n = score.n_variables
        # Per child: (-score, set) ascending; sets scored; the members of all sets; answers.
        self._lists: list[list[tuple[float, int]]] = [[] for _ in range(n)]
        self._scored: list[dict[int, float]] = [{} for _ in range(n)]
        self._members = [0] * n
        self._answers: list[dict[int, tuple[float, int]]] = [{} for _ in range(n)]
        for child in range(n):
            self._fill(child, beam, pool)

    def __len__(self) -> int:
        return sum(map(len, self._lists))

    def best(self, child: int, predecessors: int) -> tuple[float, int]:
        """Best score and parents of a child among its predecessors; -inf if none is allowed."""
        answers = self._answers[child]
        key = predecessors & self._members[child]
        found = answers.get(key)
        if found is None:
            found = answers[key] = self._search(child, key)
        return found

    def add(self, child: int, sets: Iterable[int]) -> bool:
        """Score more parent sets; return whether one was better than all its subsets kept."""
        grown = False
        for members in sets:
            if members not in self._scored[child] and self._permits(child, members):
                grown |= self._offer(child, members)
        return grown

    def _permits(self, child: int, members: int) -> bool:
        limits = self._constraints
        required, allowed = limits.required[child], limits.allowed[child]
        return not (
            required & ~members
            or members & ~(allowed | required)
            or members.bit_count() > limits.max_parents
        )

    def _search(self, child: int, predecessors: int) -> tuple[float, int]:
        outside = ~predecessors
        for negative, members in self._lists[child]:
            if not members & outside:
                return -negative, members
        return -math.inf, 0

    def _offer(self, child: int, members: int) -> bool:
        """Score a set and keep it if no kept subset is as good."""
        value = self._score.local(child, members)
        self._scored[child][members] = value
        best = self._search(child, members)[0]
        # A subset that is as good but for rounding comes first.
        if best > -math.inf and value <= best + NEGLIGIBLE * (1 + abs(best)):
            return False
        insort(self._lists[child], (-value, members))
        if members & ~self._members[child]:
            self._members[child] |= members
            self._answers[child].clear()
        else:
            answers = self._answers[child]
            for key in [k for k, (old, _) in answers.items() if old < value]:
                if not members & ~key:
                    del answers[key]
        return True

    def _fill(self, child: int, beam: int, pool: int) -> None:
        """Score all small sets, then grow the best of each size."""
        required = self._constraints.required[child]
        self._offer(child, required)
        singles = bits(self._constraints.allowed[child] & ~required)
        layer = [required]
        for size in range(required.bit_count() + 1, self._max_size + 1):
            extra = size - required.bit_count()
            if extra > COMPLETE_SIZE:
                layer = self._best_of(child, layer, beam)
            elif extra == COMPLETE_SIZE and len(singles) > COMPLETE_PARENTS:
                layer = self._best_of(child, layer, pool, kept_only=False)
                singles = [v for v in singles if any(s >> v & 1 for s in layer)]
            layer = self._grown(child, layer, singles)
            if not layer:
                return

    def _grown(self, child: int, layer: list[int], singles: list[int]) -> list[int]:
        """Offer all sets of a layer with one more parent, where that can pay."""
        found: dict[int, None] = {}
        scored, bound = self._scored[child], self._score.bound
        for base in layer:
            floor = self._search(child, base)[0]
            self._score.prepare(child, base)
            for v in singles:
                members = base | 1 << v
                if members == base or members in scored:
                    continue
                if bound(child, members) <= floor:
                    continue
                self._offer(child, members)
                found[members] = None
        return list(found)

    def _best_of(
        self, child: int, layer: list[int], most: int, kept_only: bool = True
    ) -> list[int]:
        """The best sets of a layer, by default among those that beat their subsets."""
        scored = self._scored[child]
        kept = {members for _, members in self._lists[child]}
        chosen = [members for members in layer if members in kept or not kept_only]
        return sorted(chosen, key=lambda members: -scored[members])[:most]
