"""Rows of features, dense or sparse, seen in standard units without a copy of them.

.. math:: z_{ij} = (x_{ij} - \\mu_j) / s_j
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pgm.class_models.inputs import Columns

__all__ = ["Design", "as_matrix", "is_sparse", "read_columns"]

#: Relative rounding error of a mean.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Design:
    """Rows in units in which the objective is about equally curved along every feature.

    The units change neither the model nor its penalty, only the path to the optimum: features of
    all magnitudes become equally steep. A sparse matrix stays sparse, so it is not centered.

    Arguments:
        matrix: the rows in these units, dense or in CSR form.
        transposed: of a dense matrix a view, of a sparse one in CSR form too.
        center: what was subtracted from every feature.
        scale: by what it was divided then, positive.

    Shapes:
        matrix: (n, D). transposed: (D, n). center, scale: (D,).

    Example:
        >>> x = torch.tensor([[1.0], [5.0]], dtype=torch.float64)
        >>> design = Design.of(x, torch.ones(2, dtype=torch.float64), centered=True)
        >>> design.matrix.tolist(), design.center.tolist(), design.scale.tolist()
        ([[-1.0], [1.0]], [3.0], [2.0])
    """

    matrix: Tensor
    transposed: Tensor
    center: Tensor
    scale: Tensor

    @classmethod
    def plain(cls, matrix: Tensor) -> Design:
        """The rows as they are."""
        ones = torch.ones(matrix.shape[1], dtype=matrix.dtype, device=matrix.device)
        transposed = matrix.T if matrix.layout is torch.strided else _transpose(matrix)
        return cls(matrix, transposed, torch.zeros_like(ones), ones)

    @classmethod
    def of(cls, matrix: Tensor, weight: Tensor, *, centered: bool, ridge: float = 0.0) -> Design:
        """Units from the second moments of weighted rows.

        .. math:: s_j^2 = \\operatorname{E} (x_j - \\mu_j)^2 + r

        Arguments:
            matrix: the rows, dense or in CSR form.
            weight: of the rows, of positive sum.
            centered: whether the model has an intercept, which takes up what is subtracted.
            ridge: the curvature of the penalty as a second moment, r.

        Shapes:
            matrix: (n, D). weight: (n,).
        """
        share = (weight / weight.sum()).to(matrix.dtype)
        if matrix.layout is torch.strided:
            center = share @ matrix if centered else torch.zeros_like(matrix[0])
            shifted = matrix - center
            peak, largest = shifted.abs().amax(0), matrix.abs().amax(0)
            unit = _unit(peak, largest)
            moment = share @ (shifted / unit).square()
            scale = _scale(moment, unit, ridge)
            shifted /= scale
            return cls(shifted, shifted.T, center, scale)
        rows, columns, values = _entries(matrix)
        none = values.new_zeros(matrix.shape[1])
        peak = none.scatter_reduce(0, columns, values.abs(), "amax")
        unit = _unit(peak, peak)
        moment = none.index_add(0, columns, (values / unit[columns]).square() * share[rows])
        scale = _scale(moment, unit, ridge)
        scaled = _csr(matrix.crow_indices(), columns, values / scale[columns], matrix.shape)
        return cls(scaled, _transpose(scaled), none, scale)


def is_sparse(X: Any) -> bool:
    """Whether X is a sparse matrix of scipy or a sparse tensor."""
    if isinstance(X, Tensor):
        return X.layout is not torch.strided
    return type(X).__module__.startswith("scipy.sparse")


def read_columns(X: Any) -> Columns:
    """Number and names of the columns of a table that may be sparse.

    Raises:
        TypeError, ValueError: if it is no table of numbers or is empty.
    """
    if not is_sparse(X):
        return Columns.of(X, labelled=False)
    shape = tuple(X.shape)
    if len(shape) != 2 or 0 in shape:
        raise ValueError(f"X must have rows and columns, found shape {shape}")
    return Columns(shape[1])


def as_matrix(columns: Columns, X: Any, device: torch.device) -> Tensor:
    """The rows as finite float64 numbers, (n, D), sparse ones in CSR form.

    Arguments:
        columns: of the table that the model was fitted to.
        X: a tensor, array, DataFrame or sparse matrix.
        device: where the result is.

    Raises:
        TypeError, ValueError: if entries are no numbers, missing or infinite, or columns differ.
    """
    if not is_sparse(X):
        values = columns.read(X, codes=False, device=device)
        wrong = values.isnan()
        if wrong.any():
            row, j = wrong.nonzero()[0].tolist()
            raise ValueError(
                f"{columns.title(j)} is missing in row {row}: the model has no law of the "
                "features that could sum it out; fill it in, or use NaiveBayes"
            )
        return values
    if tuple(X.shape)[1:] != (columns.count,):
        raise ValueError(f"X must have {columns.count} columns, found shape {tuple(X.shape)}")
    matrix = _from_torch(X) if isinstance(X, Tensor) else _from_scipy(X)
    if not matrix.values().isfinite().all():
        raise ValueError("X must be finite and without gaps, found a stored entry that is not")
    return matrix.to(device)


def _from_scipy(X: Any) -> Tensor:
    """CSR tensor of a scipy matrix."""
    if X.dtype.kind not in "biuf":
        raise TypeError(f"X must hold real numbers, found dtype {X.dtype}")
    rows = X.tocsr(copy=True)
    rows.sum_duplicates()
    return _csr(rows.indptr, rows.indices, rows.data.astype(np.float64), rows.shape)


def _from_torch(X: Tensor) -> Tensor:
    """CSR tensor of a sparse tensor of any layout."""
    if X.is_complex():
        raise TypeError(f"X must hold real numbers, found {X.dtype}")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support")
        return X.detach().to(torch.float64).to_sparse_csr()


def _csr(indptr: Any, indices: Any, values: Any, shape: tuple[int, ...]) -> Tensor:
    """CSR tensor of the three arrays."""
    parts = [torch.as_tensor(part) for part in (indptr, indices, values)]
    with warnings.catch_warnings():
        # Said once by torch of the whole layout; the products used here have been stable.
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support")
        return torch.sparse_csr_tensor(
            parts[0].long(), parts[1].long(), parts[2], size=shape, check_invariants=True
        )


def _entries(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Row, column and value of every stored entry of a CSR tensor."""
    sizes = matrix.crow_indices().diff()
    rows = torch.arange(len(sizes), device=sizes.device).repeat_interleave(sizes)
    return rows, matrix.col_indices(), matrix.values()


def _transpose(matrix: Tensor) -> Tensor:
    """The transpose of a CSR tensor, in CSR form too."""
    rows, columns, values = _entries(matrix)
    n, count = matrix.shape
    order = columns.argsort(stable=True)
    sizes = columns.bincount(minlength=count)
    starts = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
    return _csr(starts, rows[order], values[order], (count, n))


def _unit(peak: Tensor, largest: Tensor) -> Tensor:
    """Peaks as units; one where a peak is but the rounding error of larger numbers.

    Squares of numbers up to one neither overflow nor vanish.
    """
    return torch.where(peak > _ROUNDING * largest, peak, 1.0)


def _scale(moment: Tensor, unit: Tensor, ridge: float) -> Tensor:
    """Roots of second moments, taken in the units given, plus ridge; one where that is zero."""
    root = torch.hypot(moment.sqrt() * unit, torch.full_like(unit, math.sqrt(ridge)))
    return torch.where(root > 0, root, 1.0)
