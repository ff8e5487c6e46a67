"""A stack of layers as two sides: a unit meets only units of the other one.

.. math:: x = (v, h_2, h_4, \\dots), \\quad y = (h_1, h_3, \\dots), \\qquad
          \\sum_l h_l^\\top W_l h_{l+1} = x^\\top W y
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Sides"]


@dataclass(frozen=True)
class Sides:
    """Which units stand on which side: layers 0, 2, ... on the even one, 1, 3, ... on the odd one.

    So a deep machine is one of two layers, whose weights are blocks on two diagonals.

    Arguments:
        layer_sizes: numbers of units, visible ones first; two or more.

    Example:
        >>> sides = Sides((4, 3, 2))
        >>> sides.n_even, sides.n_odd
        (6, 3)
    """

    layer_sizes: tuple[int, ...]

    @property
    def n_even(self) -> int:
        """Units of the even side."""
        return sum(self.layer_sizes[0::2])

    @property
    def n_odd(self) -> int:
        """Units of the odd side."""
        return sum(self.layer_sizes[1::2])

    def join(self, layers: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Even and odd side, (..., n_even) and (..., n_odd), of layers (..., n_l)."""
        return torch.cat(list(layers[0::2]), -1), torch.cat(list(layers[1::2]), -1)

    def split(self, even: Tensor, odd: Tensor) -> list[Tensor]:
        """Layers of two sides, bottom up; the inverse of ``join``."""
        found = [even.new_empty(0)] * len(self.layer_sizes)
        found[0::2] = even.split(list(self.layer_sizes[0::2]), -1)
        found[1::2] = odd.split(list(self.layer_sizes[1::2]), -1)
        return found

    def joined_weights(self, weights: Sequence[Tensor]) -> Tensor:
        """W between the sides, (n_even, n_odd), of W_l (n_l, n_{l+1}); zeros between the rest."""
        rows = []
        for above, size in enumerate(self.layer_sizes[0::2]):
            row = [weights[0].new_zeros(size, other) for other in self.layer_sizes[1::2]]
            if above > 0:
                row[above - 1] = weights[2 * above - 1].T
            if 2 * above < len(weights):
                row[above] = weights[2 * above]
            rows.append(torch.cat(row, 1))
        return torch.cat(rows)

    def split_weights(self, joined: Tensor) -> list[Tensor]:
        """The blocks W_l of W; the inverse of ``joined_weights``."""
        rows = joined.split(list(self.layer_sizes[0::2]))
        blocks = [row.split(list(self.layer_sizes[1::2]), 1) for row in rows]
        return [
            blocks[(lower + 1) // 2][lower // 2].T if lower % 2 else blocks[lower // 2][lower // 2]
            for lower in range(len(self.layer_sizes) - 1)
        ]

    def connected(self, device: torch.device | str = "cpu") -> Tensor | None:
        """Which units of the sides are joined, (n_even, n_odd) bool, or None for all of them.

        Example:
            >>> Sides((1, 1, 1)).connected() is None
            True
            >>> Sides((1, 1, 1, 1)).connected().tolist()
            [[True, False], [True, True]]
        """
        if len(self.layer_sizes) <= 3:
            return None
        pairs = zip(self.layer_sizes[:-1], self.layer_sizes[1:], strict=True)
        return self.joined_weights([torch.ones(pair, device=device) for pair in pairs]).bool()
