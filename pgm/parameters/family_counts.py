"""Counts of families over complete rows: a few wide tables first, the families from them.

.. math:: N_{S}(x_S) = \\sum_i w_i\\, [x^{(i)}_S = x_S]

One pass over a column of keys costs the same for eight cells as for eight thousand, so families
that share variables are counted together and their own tables are sums of the wide one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from inference.exact.structure import Structure, bits
from pgm.discrete_data import DiscreteData

__all__ = ["GluedFamilies"]

#: Cells of a table that serves several families.
MOST_CELLS = 8192
#: How many of the next families are tried as members of a group.
WINDOW = 64


@dataclass(frozen=True)
class _Group:
    """Families counted in one table over the union of their variables."""

    scope: tuple[int, ...]
    members: tuple[int, ...]


@dataclass(frozen=True)
class GluedFamilies:
    """The families of a structure in groups, with the two things one does with a group's keys.

    Arguments:
        structure: cardinalities and scopes.

    Example:
        >>> pairs = Structure((2, 2, 2), ((0,), (0, 1), (1, 2)), (0, 1, 2))
        >>> rows = DiscreteData(np.array([[0, 0, 1], [1, 0, 1]]), {"a": 2, "b": 2, "c": 2})
        >>> GluedFamilies(pairs).counts(rows).tolist()
        [1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 2.0, 0.0, 0.0]
    """

    structure: Structure

    def counts(self, data: DiscreteData) -> np.ndarray:
        """Weighted counts of every family's cells, one family after the other."""
        structure = self.structure
        full = np.empty(structure.offsets[-1])
        for group in self._groups:
            shape = [structure.cards[v] for v in group.scope]
            table = np.bincount(data.keys(group.scope), data.weights, prod(shape)).reshape(shape)
            for family in group.members:
                scope = structure.scopes[family]
                outside = tuple([i for i, v in enumerate(group.scope) if v not in scope])
                part = table.sum(axis=outside) if outside else table
                kept = [v for v in group.scope if v in scope]
                part = part.transpose([kept.index(v) for v in scope])
                start, stop = structure.offsets[family : family + 2]
                full[start:stop] = part.reshape(-1)
        return full

    def log_prob(self, data: DiscreteData, logs: np.ndarray) -> np.ndarray:
        """Sum over the families of the logs of every row's cells, (n,)."""
        structure = self.structure
        total = np.zeros(data.n_rows)
        for group in self._groups:
            table = np.zeros([structure.cards[v] for v in group.scope])
            for family in group.members:
                scope = structure.scopes[family]
                start, stop = structure.offsets[family : family + 2]
                part = logs[start:stop].reshape(structure.shapes[family])
                kept = [v for v in group.scope if v in scope]
                part = part.transpose([scope.index(v) for v in kept])
                table += part.reshape(
                    [structure.cards[v] if v in scope else 1 for v in group.scope]
                )
            total += table.reshape(-1).take(data.keys(group.scope))
        return total

    @cached_property
    def _groups(self) -> tuple[_Group, ...]:
        """Families joined while a group's table stays small, nearest in size first."""
        structure = self.structure
        masks = [sum([1 << v for v in scope]) for scope in structure.scopes]
        left = list(range(len(masks)))
        groups = []
        while left:
            members = [left.pop(0)]
            mask = masks[members[0]]
            cells = self._cells(mask)
            while left and cells <= MOST_CELLS:
                growth = [self._cells(masks[f] & ~mask) for f in left[:WINDOW]]
                best = min(range(len(growth)), key=growth.__getitem__)
                if cells * growth[best] > MOST_CELLS:
                    break
                family = left.pop(best)
                members.append(family)
                mask |= masks[family]
                cells *= growth[best]
            groups.append(_Group(tuple(bits(mask)), tuple(members)))
        return tuple(groups)

    def _cells(self, mask: int) -> int:
        return prod([self.structure.cards[v] for v in bits(mask)])
