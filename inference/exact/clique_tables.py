"""Factor tables multiplied into the tables of cliques, and counts of cliques summed back.

.. math:: \\psi_c(x_c) = \\prod_{f \\in c} \\phi_f(x_{S_f}), \\qquad
          N_f(x_{S_f}) = \\sum_{x_c \\setminus x_{S_f}} N_c(x_c)
"""

from __future__ import annotations

from functools import cached_property
from itertools import accumulate

import numpy as np

from inference.exact.bounds import SAFE_LOG
from inference.exact.structure import Structure
from inference.exact.tree import JunctionTree

__all__ = ["CliqueTables", "CliqueValues"]


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

    def collect(self, values: np.ndarray) -> CliqueValues:
        """Clique tables from the factors' values."""
        return CliqueValues(self, values)

    def spread(self, values: np.ndarray, combine: np.ufunc, neutral: float) -> np.ndarray:
        """Factor tables combined into clique tables, one after the other."""
        structure, offsets = self._structure, self.offsets
        full = np.full(offsets[-1], neutral)
        tables = [
            full[start:stop].reshape(shape)
            for start, stop, shape in zip(offsets, offsets[1:], self._shapes, strict=False)
        ]
        for factor, home, order, spread, _ in self._homes:
            values_of = values[structure.offsets[factor] : structure.offsets[factor + 1]]
            shape = [card for card in structure.shapes[factor] if card > 1]
            part = values_of.reshape(shape).transpose(order).reshape(spread)
            combine(tables[home], part, out=tables[home])
        return full

    def lowest_log(self, values: np.ndarray) -> float:
        """Logarithm that no positive cell of a clique table is below."""
        starts = np.array(self._structure.offsets[:-1], dtype=np.intp)
        lows = np.log(np.minimum.reduceat(np.where(values > 0, values, 1.0), starts))
        total = np.zeros(len(self._shapes))
        for factor, home, *_ in self._homes:
            total[home] += lows[factor]
        return float(total.min()) if len(total) else 0.0

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


class CliqueValues:
    """The numbers of clique tables, linear and, where those may be too small, as logarithms.

    Arguments:
        tables: where the factors go.
        values: all factors, one after the other.
    """

    def __init__(self, tables: CliqueTables, values: np.ndarray) -> None:
        self._tables = tables
        self._values = values

    @cached_property
    def safe(self) -> bool:
        """Whether no positive cell is too small for a float."""
        return self._tables.lowest_log(self._values) > SAFE_LOG

    @cached_property
    def linear(self) -> np.ndarray:
        """Products of the factors' values."""
        return self._tables.spread(self._values, np.multiply, 1.0)

    @cached_property
    def logs(self) -> np.ndarray:
        """Sums of the logarithms of the factors' values."""
        with np.errstate(divide="ignore"):
            return self._tables.spread(np.log(self._values), np.add, 0.0)
