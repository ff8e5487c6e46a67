"""Rows with gaps, sorted by which entries they have.

.. math:: \\{1, \\dots, n\\} = \\bigcup_{O \\subseteq \\{1, \\dots, d\\}}
          \\{i : \\text{row } i \\text{ has exactly the entries } O\\}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from inference.arrays import index_like, namespace, zeros
from pgm.linear_gaussian.missing_patterns import unique_rows
from pgm.mixtures.rows import block_width

__all__ = ["Patterns", "present_in", "rows_at_once", "values_in"]

# Numbers that one array of a block of rows may have.
_LARGEST = 1 << 21


@dataclass(frozen=True)
class Patterns:
    """Patterns of present entries and the rows that have them.

    Attributes:
        present: (p, d) boolean, all different, in lexicographic order.
        counts: number of rows of every pattern, (p,).
        rows: numbers of the rows, pattern after pattern, (sum of the counts,).

    Example:
        >>> found = Patterns.of(np.array([[True, True], [False, True], [True, True]]))
        >>> found.present.tolist(), found.counts.tolist(), found.rows.tolist()
        ([[False, True], [True, True]], [1, 2], [1, 0, 2])
    """

    present: np.ndarray
    counts: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, present: np.ndarray) -> Patterns:
        """Sort rows by the entries that are present, (n, d) boolean."""
        table, of_row, counts = unique_rows(present)
        order = np.lexsort(table.T[::-1])
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        return cls(table[order], counts[order], np.argsort(rank[of_row], kind="stable"))

    def select(self, which: np.ndarray) -> Patterns:
        """Some of the patterns, by a mask or by ascending numbers, with their rows."""
        starts = np.cumsum(self.counts) - self.counts
        counts = self.counts[which]
        places = np.repeat(starts[which] - np.cumsum(counts) + counts, counts)
        rows = self.rows[places + np.arange(len(places))]
        return Patterns(self.present[which], counts, rows)


def rows_at_once(per_row: int) -> int:
    """Rows per block, as `block_width`, but fewer where a row needs very many numbers."""
    return min(block_width(per_row), max(_LARGEST // per_row, 1))


def values_in(x: Any, rows: np.ndarray) -> Any:
    """Rows of x (n, d) with these numbers, feature by feature, (d, *rows.shape), 0 for NaN."""
    index, isnan = index_like(rows, x), namespace(x).isnan
    values = zeros(x, (x.shape[1], *rows.shape))
    for out, column in zip(values, x.T, strict=True):
        out[:] = column[index]
        out[isnan(out)] = 0
    return values


def present_in(x: Any, rows: np.ndarray) -> Any:
    """One where an entry of these rows is present, 0 for NaN, shaped as `values_in`."""
    index, isnan = index_like(rows, x), namespace(x).isnan
    present = zeros(x, (x.shape[1], *rows.shape))
    for out, column in zip(present, x.T, strict=True):
        out[:] = ~isnan(column[index])
    return present
