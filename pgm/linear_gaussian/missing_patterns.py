"""Rows with gaps, sorted by which entries they have, in blocks of equal shapes.

.. math:: \\{1, \\dots, n\\} = \\bigcup_{O \\subseteq V} \\{i : \\text{row } i
          \\text{ has exactly the entries } O\\}
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

__all__ = ["PatternBlock", "pattern_blocks", "unique_rows"]

#: Numbers that the arrays of one block may hold (P times V times the longer of k and m).
BLOCK_SIZE = 1 << 22


@dataclass(frozen=True)
class PatternBlock:
    """Patterns with the same number of present entries, and similar numbers of rows.

    Attributes:
        observed: (P, k) numbers of the present variables, ascending.
        rows: (P, m) numbers of the rows; shorter lists repeat their last one.
        valid: (P, m) which of them are no repeats.
    """

    observed: Tensor
    rows: Tensor
    valid: Tensor

    def values(self, x: Tensor) -> Tensor:
        """The present entries of the rows of x (n, V), as (P, m, k)."""
        return x[self.rows.unsqueeze(-1), self.observed.unsqueeze(-2)]

    def fill(self, x: Tensor, values: Tensor) -> Tensor:
        """Copy of x (P, m, V) with the present variables set to values (P, m, k)."""
        return x.scatter(-1, self.observed.unsqueeze(-2).expand_as(values), values)


def pattern_blocks(present: Tensor) -> Iterator[PatternBlock]:
    """Sort rows by pattern; the number of blocks does not grow with the number of patterns.

    Patterns share a block when they have equally many entries and, within a factor of two,
    equally many rows, so that one batched call serves thousands of them and little is padded.

    Arguments:
        present: which entries there are.

    Shapes:
        present: (n, V), boolean.

    Example:
        >>> rows = torch.tensor([[True, False], [False, True], [True, False], [True, True]])
        >>> [(b.observed.tolist(), b.rows.tolist()) for b in pattern_blocks(rows)]
        [([[1]], [[1]]), ([[0]], [[0, 2]]), ([[0, 1]], [[3]])]
    """
    if not len(present):
        return
    table = present.cpu().numpy()
    patterns, of_row, counts = unique_rows(table)
    by_pattern = np.argsort(of_row, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    sizes = patterns.sum(axis=1)
    doublings = np.ceil(np.log2(counts)).astype(np.int64)
    for size, doubling in np.unique(np.stack([sizes, doublings], axis=1), axis=0).tolist():
        members = np.flatnonzero((sizes == size) & (doublings == doubling))
        longest = int(counts[members].max())
        for group in _chunks(members, table.shape[1] * max(size, longest, 1)):
            observed = np.nonzero(patterns[group])[1].reshape(len(group), size)
            steps = np.arange(longest)
            places = starts[group, None] + np.minimum(steps, counts[group, None] - 1)
            valid = steps < counts[group, None]
            yield PatternBlock(
                torch.from_numpy(observed).to(present.device),
                torch.from_numpy(by_pattern[places]).to(present.device),
                torch.from_numpy(valid).to(present.device),
            )


def unique_rows(table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Different rows of a boolean table, which one every row is, and how often each occurs.

    Shapes:
        table: (n, d). result: (p, d), (n,), (p,).
    """
    packed = np.packbits(table, axis=1)
    width = -(-max(packed.shape[1], 1) // 8) * 8
    words = np.pad(packed, ((0, 0), (0, width - packed.shape[1]))).view(np.uint64)
    # One word per row sorts as a number, much faster than as a record.
    keys, axis = (words[:, 0], None) if words.shape[1] == 1 else (words, 0)
    _, first, of_row, counts = np.unique(
        keys, return_index=True, return_inverse=True, return_counts=True, axis=axis
    )
    return table[first], of_row.reshape(-1), counts


def _chunks(members: np.ndarray, cost: int) -> list[np.ndarray]:
    """Cut a list of patterns so that no block is larger than need be."""
    most = max(1, BLOCK_SIZE // cost)
    return [members[start : start + most] for start in range(0, len(members), most)]
