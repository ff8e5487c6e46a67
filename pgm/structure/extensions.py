"""Counts of one set of variables with each further variable, in one pass over the data.

.. math:: N(a, m_v) = N(a) - \\sum_{b \\ne m_v} N(a, b)

Only the rows are visited in which the further variable is not in its most frequent state m: where
states are unequal, as they mostly are, those are few.

Reference:
    Moore & Lee 1998, "Cached sufficient statistics for efficient machine learning with large
    datasets", section 2.3 (leaving out the most common value).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["Extensions"]

#: Most cells of the table of all counts, per row that is visited.
CELLS_PER_ROW = 4


class Extensions:
    """Sums of N log N over the tables of a set and each one of the variables.

    Arguments:
        columns: per variable its codes, complete.
        cards: numbers of states.
        n_log_n: table of k log k up to the number of rows.

    Example:
        >>> table = np.arange(5) * np.log(np.maximum(np.arange(5), 1))
        >>> columns = [np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])]
        >>> Extensions(columns, (2, 2), table).sums(columns[0], 2).round(4).tolist()
        [2.7726, 1.3863]
    """

    def __init__(
        self, columns: Sequence[np.ndarray], cards: Sequence[int], n_log_n: np.ndarray
    ) -> None:
        self._n_log_n = n_log_n
        widths = np.maximum(np.array(cards, dtype=np.int64) - 1, 1)
        self._starts = np.cumsum(widths) - widths
        self._width = int(widths.sum())
        rows, codes = [], []
        for column, start in zip(columns, self._starts.tolist(), strict=True):
            mode = int(np.bincount(column).argmax())
            others = np.flatnonzero(column != mode)
            rows.append(others)
            codes.append(column[others].astype(np.int64) - (column[others] > mode) + start)
        self._rows = np.concatenate(rows)
        self._codes = np.concatenate(codes)

    def sums(self, keys: np.ndarray, bound: int) -> np.ndarray | None:
        """Sum for every variable added to a set, (V,); None where the table would be too large.

        Arguments:
            keys: every row's cell in the table over the set.
            bound: all keys are below it.
        """
        if bound * self._width > CELLS_PER_ROW * len(self._rows):
            return None
        cells = keys.take(self._rows).astype(np.int64)
        cells *= self._width
        cells += self._codes
        counts = np.bincount(cells, minlength=bound * self._width).reshape(bound, self._width)
        found = np.add.reduceat(self._n_log_n.take(counts).sum(axis=0), self._starts)
        rest = np.bincount(keys, minlength=bound)[:, None] - np.add.reduceat(
            counts, self._starts, axis=1
        )
        return found + self._n_log_n.take(rest).sum(axis=0)
