"""Emissions of tokens that are symbols of a finite alphabet.

.. math:: u_n(k) = \\text{table}_{k x_n}
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from inference.arrays import Array

__all__ = ["SymbolEmissions"]


@dataclass(frozen=True)
class SymbolEmissions:
    """Log emissions by symbol, so that likelihoods are looked up rather than computed by token.

    .. math:: u_n(k) = \\text{table}_{k x_n}

    Arguments:
        table: nats, (K, M); -inf forbids.
        codes: symbol of every token, in packed order, (N,) int64 in 0..M-1.

    Arrays or tensors, both of one kind.

    Raises:
        ValueError: if shapes or types do not fit, or a code is out of range.

    Example:
        >>> SymbolEmissions(np.zeros((2, 3)), np.array([0, 2, 1, 0])).shape
        (2, 4)
    """

    table: Array
    codes: Array

    def __post_init__(self) -> None:
        table, codes = self.table, self.codes
        whole = codes.dtype in (torch.int64, np.dtype(np.int64))
        if table.ndim != 2 or codes.ndim != 1 or not whole:
            raise ValueError(
                "table and codes must be (K, M) and (N,) int64, found shapes "
                f"{tuple(table.shape)} and {tuple(codes.shape)} of {codes.dtype}"
            )
        if len(codes) and not 0 <= int(codes.min()) <= int(codes.max()) < table.shape[1]:
            raise ValueError(
                f"codes must be in 0..{table.shape[1] - 1}, the columns of the table, found "
                f"{int(codes.min())} to {int(codes.max())}"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(K, N)."""
        return self.table.shape[0], len(self.codes)
