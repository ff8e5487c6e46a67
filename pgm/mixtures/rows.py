"""Data in the layout that the steps of EM read: blocks of rows, feature by feature.

.. math:: Z^{(b)} = W (X^{(b)} - \\mu)^\\top
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from inference.arrays import to_double, zeros

__all__ = ["Rows", "block_width"]

# Numbers of a block, its features and its responsibilities, that stay in the second-level cache.
_CACHED = 196_608
_LEAST, _MOST = 256, 1024
# Rows of so few numbers that calls would cost more than the work on a narrow block.
_FEW_NUMBERS, _WIDEST = 24, 4096


def block_width(per_row: int) -> int:
    """Rows per block, a power of two, where a row needs so many numbers at a time."""
    if per_row <= _FEW_NUMBERS:
        return _WIDEST
    fitting = max(_CACHED // per_row, 1)
    return min(max(1 << (fitting.bit_length() - 1), _LEAST), _MOST)


@dataclass(frozen=True)
class Rows:
    """Complete rows.

    Attributes:
        blocks: (d, c) in one piece each, of one floating type.
        weights: (c,) of the same type for every block, or None.
        n_rows: n.
        total: summed weights.
    """

    blocks: list[Any]
    weights: list[Any] | None
    n_rows: int
    total: float

    @property
    def n_features(self) -> int:
        """D."""
        return self.blocks[0].shape[0]

    @cached_property
    def scatter(self) -> Any:
        """Weighted sum of z z', (d, d) float64."""
        total = zeros(self.blocks[0], (self.n_features, self.n_features), "float64")
        for block, weights in self.parts(max([x.shape[1] for x in self.blocks])):
            double = to_double(block)
            total += (double if weights is None else double * weights) @ double.T
        return total

    @cached_property
    def doubled(self) -> Rows:
        """The same rows in float64."""
        weights = None if self.weights is None else [to_double(w) for w in self.weights]
        return Rows([to_double(x) for x in self.blocks], weights, self.n_rows, self.total)

    def parts(self, width: int) -> Iterator[tuple[Any, Any]]:
        """Blocks cut to at most ``width`` rows, with their weights or None."""
        for number, block in enumerate(self.blocks):
            weights = None if self.weights is None else self.weights[number]
            for left in range(0, block.shape[1], width):
                some = slice(left, left + width)
                yield block[:, some], None if weights is None else weights[some]
