"""Least squares of many families at once, from a triangular root of the second moments.

.. math:: \\sqrt{C}\\,[1 \\;\\, X] = Q T, \\qquad
          T^T T = [1 \\;\\, X]^T C\\, [1 \\;\\, X], \\qquad
          \\min_w \\lVert T_c - T_p w \\rVert^2 + \\lambda \\lVert w \\rVert^2

The root holds what the moments hold, without squaring: a residual of 1e-10 of a variable's size
keeps six digits in it and none in the moments.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

__all__ = ["FamilyRegressions", "regress", "triangular_root"]

#: Relative size of what rounding leaves of columns of float64.
ROUNDING = 64 * np.finfo(np.float64).eps


def triangular_root(rows: Tensor) -> Tensor:
    """Fewest rows with the same second moments: at most as many as there are columns.

    .. math:: T^T T = X^T X

    Shapes:
        rows: (..., n, V). result: (..., min(n, V), V).

    Reference:
        Golub & Van Loan 2013, "Matrix computations", section 5.3.2.

    Example:
        >>> triangular_root(torch.tensor([[3.0], [4.0]])).abs()
        tensor([[5.]])
    """
    return torch.linalg.qr(rows, mode="r").R


def regress(
    root: np.ndarray,
    size: np.ndarray,
    children: np.ndarray,
    parents: np.ndarray,
    penalty: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Regress B children on k parents each.

    With a penalty the second result is the penalised mean square, ``s^2 + penalty |w|^2``.

    Parents that are constant or collinear get the solution of least norm in units of their
    standard deviations; what rounding leaves of a child that they determine is exactly zero.

    Arguments:
        root: its columns have the covariances of the variables as inner products.
        size: root mean squares about zero: how large the numbers were before they were rounded.
        children: numbers of the children.
        parents: numbers of their parents.
        penalty: lambda, in the units of the covariance.

    Shapes:
        root: (r, V). size: (V,). children: (B,). parents: (B, k). result: (B, k), (B,).

    Reference:
        Golub & Van Loan 2013, sections 5.5.1 (least norm) and 6.1.4 (ridge).

    Example:
        >>> root = np.array([[2.0, 1.0], [0.0, 2.0]])
        >>> w, left = regress(root, np.ones(2), np.array([1]), np.array([[0]]))
        >>> w.round(9).tolist(), left.round(9).tolist()
        ([[0.5]], [4.0])
    """
    count = parents.shape[1]
    spread = np.linalg.norm(root, axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    columns, rounding = root / spread, ROUNDING * size / spread
    design, target = np.moveaxis(columns[:, parents], 0, 1), columns[:, children].T
    if penalty and count:
        shrink = np.sqrt(penalty) / spread[parents]
        design = np.concatenate([design, shrink[:, :, None] * np.eye(count)], axis=1)
        target = np.concatenate([target, np.zeros_like(shrink)], axis=1)
    weights = np.zeros(parents.shape)
    if count:
        left, values, right = np.linalg.svd(design, full_matrices=False)
        kept = values > np.sqrt(count) * rounding[parents].max(axis=1, keepdims=True)
        along = (target[:, None, :] @ left)[:, 0] * kept / np.where(kept, values, 1.0)
        weights = (along[:, None, :] @ right)[:, 0]
    residuals = target - (design @ weights[:, :, None])[:, :, 0]
    squares = (residuals**2).sum(axis=1)
    least = rounding[children] + (np.abs(weights) * rounding[parents]).sum(axis=1)
    squares[squares <= least**2] = 0.0
    own = spread[children]
    return weights * own[:, None] / spread[parents], squares * own**2


class FamilyRegressions:
    """The regressions of every variable on its parents, those with equally many in one call.

    Arguments:
        parents: numbers of the parents of every variable.

    Example:
        >>> chain = FamilyRegressions([[], [0]])
        >>> weights, left = chain.solve(np.array([[2.0, 1.0], [0.0, 2.0]]), np.ones(2))
        >>> weights.round(9).tolist(), left.round(9).tolist()
        ([[0.0, 0.5], [0.0, 0.0]], [4.0, 4.0])
    """

    def __init__(self, parents: Sequence[Sequence[int]]) -> None:
        counts = np.array([len(above) for above in parents])
        self._groups = []
        for count in sorted(set(counts.tolist())):
            children = np.flatnonzero(counts == count)
            above = np.array([parents[child] for child in children.tolist()], dtype=np.int64)
            self._groups.append((children, above.reshape(len(children), count)))

    def solve(
        self, root: np.ndarray, size: np.ndarray, penalty: float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Weights (V, V), from -> to, and (penalised) mean squares (V,)."""
        weights = np.zeros((root.shape[1], root.shape[1]))
        left = np.zeros(root.shape[1])
        for children, parents in self._groups:
            found, left[children] = regress(root, size, children, parents, penalty)
            weights[parents, children[:, None]] = found
        return weights, left
