"""Factor tables multiplied into the tables of cliques, and counts of cliques summed back.

.. math:: \\psi_c(x_c) = \\prod_{f \\in c} \\phi_f(x_{S_f}), \\qquad
          N_f(x_{S_f}) = \\sum_{x_c \\setminus x_{S_f}} N_c(x_c)
"""

from __future__ import annotations

from itertools import accumulate

import numpy as np

from inference.exact.structure import Structure
from inference.exact.tree import JunctionTree

__all__ = ["CliqueTables"]


class CliqueTables:
    """The cliques of a junction tree as one vector, each table in C order of its axes.

    Arguments:
        structure: cardinalities and scopes; every scope must lie in some clique.
        tree: the cliques.

    Attributes:
        offsets: start of every clique's table, and the total length.
        constants: factors over no variable with several states.
    """

    def __init__(self, structure: Structure, tree: JunctionTree) -> None:
        self._structure = structure
        self._shapes = tree.shapes
        self.offsets = (0, *accumulate(tree.sizes))
        self.constants: list[int] = []
        self._homes: list[tuple[int, int, tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = []
        for factor in range(len(structure.scopes)):
            scope = structure.several_states(factor)
            if not scope:
                self.constants.append(factor)
                continue
            home = tree.home(scope)
            axes = tree.cliques[home]
            kept = [v for v in axes if v in scope]
            order = tuple([scope.index(v) for v in kept])
            spread = tuple([structure.cards[v] if v in scope else 1 for v in axes])
            summed = tuple([i for i, v in enumerate(axes) if v not in scope])
            self._homes.append((factor, home, order, spread, summed))

    def collect(self, values: np.ndarray) -> np.ndarray:
        """Clique tables, one after the other, from the factors' values."""
        structure, offsets = self._structure, self.offsets
        full = np.ones(offsets[-1])
        tables = [
            full[start:stop].reshape(shape)
            for start, stop, shape in zip(offsets, offsets[1:], self._shapes, strict=False)
        ]
        for factor, home, order, spread, _ in self._homes:
            values_of = values[structure.offsets[factor] : structure.offsets[factor + 1]]
            shape = [card for card in structure.shapes[factor] if card > 1]
            tables[home] *= values_of.reshape(shape).transpose(order).reshape(spread)
        return full

    def scatter(self, counts: np.ndarray, total: float) -> np.ndarray:
        """Counts of all factors' cells from those of the cliques' and the total count."""
        structure, offsets = self._structure, self.offsets
        full = np.empty(structure.offsets[-1])
        tables = [
            counts[start:stop].reshape(shape)
            for start, stop, shape in zip(offsets, offsets[1:], self._shapes, strict=False)
        ]
        for factor, home, order, _, summed in self._homes:
            part = tables[home].sum(axis=summed) if summed else tables[home]
            back = np.argsort(order)
            full[structure.offsets[factor] : structure.offsets[factor + 1]] = part.transpose(
                back
            ).reshape(-1)
        for factor in self.constants:
            full[structure.offsets[factor]] = total
        return full
