"""Who touches whom: the cardinalities and factor scopes of a discrete model, without its numbers.

.. math:: p(x) \\propto \\prod_f \\phi_f(x_{S_f})
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

__all__ = ["Structure", "bits", "strides"]


def bits(mask: int) -> list[int]:
    """Return the positions of the set bits of ``mask``, ascending.

    Example:
        >>> bits(0b1101)
        [0, 2, 3]
    """
    positions = []
    while mask:
        low = mask & -mask
        positions.append(low.bit_length() - 1)
        mask ^= low
    return positions


def strides(cards: Sequence[int]) -> list[int]:
    """Row-major strides of an index over several variables.

    Example:
        >>> strides([2, 3, 4])
        [12, 4, 1]
    """
    found, step = [], 1
    for card in reversed(cards):
        found.append(step)
        step *= card
    return found[::-1]


@dataclass(frozen=True)
class Structure:
    """The integer skeleton of a factorised model.

    Arguments:
        cards: number of states of every variable, variables being 0..V-1.
        scopes: for every factor the variables of its table's axes, in order.
        heads: for every factor the variable it is a conditional distribution of (its table sums
            to one over that axis), or -1 for a plain potential. A head lets the planner drop the
            factors of descendants that nobody asks about.
    """

    cards: tuple[int, ...]
    scopes: tuple[tuple[int, ...], ...]
    heads: tuple[int, ...]

    @cached_property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of every factor's table."""
        cards = self.cards
        return tuple(tuple([cards[v] for v in scope]) for scope in self.scopes)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Start of every factor's table in the concatenated values, and their total length."""
        starts, total = [], 0
        for shape in self.shapes:
            starts.append(total)
            total += prod(shape)
        return (*starts, total)

    @cached_property
    def single_state(self) -> frozenset[int]:
        """Variables with at most one state: they take no part in any table."""
        return frozenset([v for v, card in enumerate(self.cards) if card <= 1])

    @cached_property
    def certain_factors(self) -> tuple[int, ...]:
        """Conditional distributions of variables with one state: one everywhere."""
        single = self.single_state
        return tuple([f for f, head in enumerate(self.heads) if head in single])

    def without_certain(self) -> Structure:
        """Return the structure with the scopes of certain factors emptied."""
        certain = set(self.certain_factors)
        if not certain:
            return self
        scopes = [() if f in certain else scope for f, scope in enumerate(self.scopes)]
        return Structure(self.cards, tuple(scopes), self.heads)

    def several_states(self, factor: int) -> list[int]:
        """The variables of a factor that have more than one state."""
        cards = self.cards
        return [v for v in self.scopes[factor] if cards[v] > 1]

    @cached_property
    def factor_of_head(self) -> dict[int, int]:
        """The factor that is the conditional distribution of a variable."""
        return {head: factor for factor, head in enumerate(self.heads) if head >= 0}

    @cached_property
    def undirected_factors(self) -> tuple[int, ...]:
        """Factors that are plain potentials and therefore always relevant."""
        return tuple(factor for factor, head in enumerate(self.heads) if head < 0)

    @cached_property
    def topological_factors(self) -> tuple[int, ...]:
        """Headed factors, parents before children."""
        factors = self.factor_of_head
        waiting: dict[int, int] = {}
        children: dict[int, list[int]] = {}
        for head, factor in factors.items():
            above = [u for u in self.scopes[factor] if u != head and u in factors]
            waiting[head] = len(above)
            for u in above:
                children.setdefault(u, []).append(head)
        ready = [head for head, count in waiting.items() if not count]
        for head in ready:
            for child in children.get(head, ()):
                waiting[child] -= 1
                if not waiting[child]:
                    ready.append(child)
        return tuple([factors[head] for head in ready])

    def relevant_factors(self, seeds: Iterable[int]) -> list[int]:
        """Return the factors that the law of ``seeds`` depends on, in ascending order.

        A conditional distribution whose head is neither asked for nor an ancestor of anything
        asked for sums to one and is left out (a barren node; Shachter 1986).
        """
        heads = self.factor_of_head
        if not heads:
            return list(range(len(self.scopes)))
        kept = set(self.undirected_factors)
        stack = list(seeds)
        for factor in kept:
            stack.extend(self.scopes[factor])
        seen: set[int] = set()
        while stack:
            variable = stack.pop()
            if variable in seen:
                continue
            seen.add(variable)
            factor = heads.get(variable)
            if factor is not None:
                kept.add(factor)
                stack.extend(self.scopes[factor])
        return sorted(kept)

    def with_cards(self, cards: Sequence[int]) -> Structure:
        """Return the same scopes over variables with other numbers of states."""
        return Structure(tuple(cards), self.scopes, self.heads)
