"""Sparse matrices with many short rows, and their products with dense ones.

.. math:: Y_{nk} = \\sum_a X_{na} W_{ak}
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pgm.tagging.features import FeatureTable

__all__ = ["SparseRows"]


@dataclass(frozen=True)
class SparseRows:
    """A sparse matrix (n, m), row after row.

    Products are sums of rows of the dense matrix, one bag of rows per sparse row: the kernel of
    embedding tables, several times faster than general sparse products. Indices are 32 bits wide,
    which halves what has to be read.

    Attributes:
        columns: of every entry, (entries,) int32.
        offsets: where the rows start and end among the entries, (n + 1,) int32.
        values: of every entry, (entries,), or None where all are one.
        n_columns: m.

    Example:
        >>> columns, values = np.array([0, 2, 1]), np.array([1.0, 3.0, 1.0])
        >>> rows = SparseRows.of(np.array([2, 1]), columns, values, n_columns=3)
        >>> rows.matmul(torch.eye(3))
        tensor([[1., 0., 3.],
                [0., 1., 0.]])
        >>> rows.transposed().matmul(torch.eye(2))
        tensor([[1., 0.],
                [0., 1.],
                [3., 0.]])
    """

    columns: Tensor
    offsets: Tensor
    values: Tensor | None
    n_columns: int

    @classmethod
    def of(
        cls, sizes: np.ndarray, columns: np.ndarray, values: np.ndarray | None, n_columns: int
    ) -> SparseRows:
        """Build from the sizes of the rows, and column and value of every entry.

        Raises:
            ValueError: there are more entries than 32 bits count.
        """
        if len(columns) >= 2**31:
            raise ValueError(
                f"X has {len(columns):,} attributes of tokens, at most {2**31 - 1:,} can be held; "
                "fit on fewer sequences"
            )
        offsets = np.zeros(len(sizes) + 1, np.int32)
        np.cumsum(sizes, out=offsets[1:])
        same = values is None or bool((values == 1).all())
        return cls(
            torch.from_numpy(np.ascontiguousarray(columns, np.int32)),
            torch.from_numpy(offsets),
            None if same else torch.from_numpy(np.ascontiguousarray(values)),
            n_columns,
        )

    @classmethod
    def of_table(cls, table: FeatureTable) -> SparseRows:
        """Tokens in rows, attributes in columns."""
        return cls.of(table.sizes, table.codes, table.values, len(table.names))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def matmul(self, dense: Tensor) -> Tensor:
        """Product with a dense matrix.

        Shapes:
            dense: (m, K). result: (n, K), of the dense matrix's type.
        """
        values = None if self.values is None else self.values.to(dense.dtype)
        return torch.embedding_bag(
            dense, self.columns, self.offsets, False, 0, False, values, True
        )[0]

    def to(self, device: torch.device, dtype: torch.dtype) -> SparseRows:
        """The same matrix on a device, prepared for products with matrices of a type."""
        values = self.values
        if values is None and dtype is torch.float64:
            # The kernel for double precision is three times as fast with values as without.
            values = torch.ones(len(self.columns))
        values = None if values is None else values.to(device, dtype)
        return SparseRows(self.columns.to(device), self.offsets.to(device), values, self.n_columns)

    def select(self, rows: np.ndarray) -> SparseRows:
        """Some of the rows, or all in another order."""
        offsets = self.offsets.numpy().astype(np.int64)
        sizes = np.diff(offsets)[rows]
        ends = np.cumsum(sizes)
        total = int(ends[-1]) if len(ends) else 0
        entries = np.repeat(offsets[rows] - ends + sizes, sizes) + np.arange(total)
        values = None if self.values is None else self.values.numpy()[entries]
        return self.of(sizes, self.columns.numpy()[entries], values, self.n_columns)

    def relabelled(self, places: np.ndarray, n_columns: int) -> SparseRows:
        """The same entries with column c called ``places[c]``."""
        columns = np.asarray(places, np.int32)[self.columns.numpy()]
        return SparseRows(torch.from_numpy(columns), self.offsets, self.values, n_columns)

    def transposed(self) -> SparseRows:
        """The transpose, (m, n)."""
        from scipy.sparse import csr_array

        entries = np.arange(len(self.columns), dtype=np.int32)
        shape = (len(self), self.n_columns)
        matrix = csr_array((entries, self.columns.numpy(), self.offsets.numpy()), shape).tocsc()
        order = np.asarray(matrix.data, np.int32)
        values = None if self.values is None else self.values.numpy()[order]
        return self.of(np.diff(matrix.indptr), matrix.indices, values, len(self))
