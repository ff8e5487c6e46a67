"""Couplings as users pass them - matrices, sparse matrices, graphs - as a list of edges.

.. math:: J_{ij} = J_{ji}, \\qquad J_{ii} = 0
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from inference.inputs import as_tensors, check_finite

__all__ = ["checked_edges", "checked_field", "edges_of_matrix", "merged"]

#: What two entries that should be equal may differ by, relative to the largest.
SYMMETRIC = 1e-8


def edges_of_matrix(couplings: Any) -> tuple[int, np.ndarray, Tensor]:
    """Edges and couplings of a matrix.

    Arguments:
        couplings: symmetric (n, n) with a diagonal of zeros: a tensor, also sparse, an array, a
            scipy sparse matrix, or a networkx graph with edge attributes ``weight`` (1 where
            there is none).

    Returns:
        Number of units, edges (E, 2) int64 with the smaller unit first, couplings (E,).

    Raises:
        TypeError: if it is none of these.
        ValueError: if it is not square, not symmetric, has a diagonal, or holds NaN or infinity.

    Example:
        >>> n, edges, values = edges_of_matrix([[0.0, 2.0], [2.0, 0.0]])
        >>> n, edges.tolist(), values.tolist()
        (2, [[0, 1]], [2.0])
    """
    rows, columns, values, shape = _entries(couplings)
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ValueError(f"couplings must be a square matrix (n, n), found shape {shape}")
    check_finite(couplings=values)
    return _upper(shape[0], rows.astype(np.int64), columns.astype(np.int64), values)


def _entries(couplings: Any) -> tuple[np.ndarray, np.ndarray, Tensor, tuple[int, ...]]:
    """Rows, columns and values of what is not zero, and the shape."""
    from scipy import sparse

    if _is_graph(couplings):
        from networkx import to_scipy_sparse_array

        if couplings.is_directed():
            raise TypeError("couplings must be an undirected graph, found a directed one")
        return _entries(to_scipy_sparse_array(couplings, dtype=np.float64, format="coo"))
    if sparse.issparse(couplings):
        listed: Any = sparse.coo_array(couplings)
        listed.sum_duplicates()
        (values,) = as_tensors(couplings=listed.data)
        return listed.row, listed.col, values, listed.shape
    if isinstance(couplings, Tensor) and couplings.layout != torch.strided:
        stored = couplings.detach().to_sparse_coo().coalesce()
        rows, columns = stored.indices().cpu().numpy()
        (values,) = as_tensors(couplings=stored.values())
        return rows, columns, values, tuple(couplings.shape)
    (matrix,) = as_tensors(couplings=couplings)
    matrix = matrix.detach()
    if matrix.ndim != 2:
        none = np.zeros(0, dtype=np.int64)
        return none, none, matrix.new_zeros(0), tuple(matrix.shape)
    rows, columns = matrix.cpu().numpy().nonzero()
    return rows, columns, matrix[rows, columns], tuple(matrix.shape)


def _is_graph(couplings: Any) -> bool:
    """Whether it is a networkx graph; networkx is there if one was made."""
    import sys

    networkx = sys.modules.get("networkx")
    return networkx is not None and isinstance(couplings, networkx.Graph)


def _upper(
    n: int, rows: np.ndarray, columns: np.ndarray, values: Tensor
) -> tuple[int, np.ndarray, Tensor]:
    """One of each pair of equal entries."""
    numbers = values.double().cpu().numpy()
    loops = (rows == columns) & (numbers != 0)
    if loops.any():
        unit = int(rows[loops][0])
        raise ValueError(
            f"couplings must have a diagonal of zeros, found {numbers[loops][0]:g} at unit "
            f"{unit}; a spin's square is one, so a diagonal only shifts the energy"
        )
    from scipy.sparse import coo_array

    found = coo_array((numbers, (rows, columns)), shape=(n, n)).tocsr()
    gap = abs(found - found.T)
    worst = gap.max() if gap.nnz else 0.0
    if worst > SYMMETRIC * np.abs(numbers).max(initial=0.0):
        i, j = _where(gap)
        raise ValueError(
            f"couplings must be symmetric, found {found[i, j]:g} at ({i}, {j}) and "
            f"{found[j, i]:g} at ({j}, {i}); pass (J + J.T) / 2"
        )
    kept = (rows < columns) & (numbers != 0)
    order = np.lexsort((columns[kept], rows[kept]))
    places = np.flatnonzero(kept)[order]
    edges = np.stack([rows[places], columns[places]], axis=1)
    return n, edges, values[torch.from_numpy(places).to(values.device)].clone()


def _where(gap: Any) -> tuple[int, int]:
    """Where a sparse matrix is largest."""
    found = gap.tocoo()
    worst = int(found.data.argmax())
    return int(found.row[worst]), int(found.col[worst])


def checked_edges(n_units: int, edges: Any) -> np.ndarray:
    """Edges (E, 2) int64 between different units, as they were given.

    Raises:
        ValueError: if they are not pairs of whole numbers below n_units, or an edge is a loop.
    """
    found = edges.detach().cpu().numpy() if isinstance(edges, Tensor) else np.asarray(edges)
    found = found.reshape(0, 2) if found.size == 0 else found
    if found.ndim != 2 or found.shape[1] != 2 or (found.dtype.kind not in "ui" and found.size):
        raise ValueError(f"edges must be whole numbers (E, 2), found {found.dtype} {found.shape}")
    found = found.astype(np.int64)
    outside = (found < 0) | (found >= n_units)
    if outside.any():
        raise ValueError(f"edges must name units 0 to {n_units - 1}, found {found[outside][0]}")
    loops = found[:, 0] == found[:, 1]
    if loops.any():
        raise ValueError(f"edges must join different units, found a loop at {found[loops][0, 0]}")
    return found


def merged(edges: np.ndarray, values: Tensor) -> tuple[np.ndarray, Tensor]:
    """Edges with the smaller unit first, each pair once; couplings of the same pair are added."""
    pairs, place = np.unique(np.sort(edges, axis=1), axis=0, return_inverse=True)
    total = values.new_zeros(len(pairs))
    return pairs, total.index_add_(
        0, torch.from_numpy(place.reshape(-1)).to(values.device), values
    )


def checked_field(n_units: int, field: Any, like: Tensor) -> Tensor:
    """A field (n,) from a number, an array or None, in the type of the couplings.

    Raises:
        ValueError: if there is not one finite number per unit.
    """
    if field is None:
        return like.new_zeros(n_units)
    (found,) = as_tensors(field=field)
    check_finite(field=found)
    if found.ndim == 0:
        return like.new_full((n_units,), float(found))
    if found.numel() != n_units:
        raise ValueError(
            f"field must have one number per unit, {n_units}, found shape {tuple(found.shape)}"
        )
    return found.detach().reshape(-1).to(like).clone()
