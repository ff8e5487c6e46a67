"""Rows of numbers as users pass them, checked.

.. math:: X \\in (\\mathbb{R} \\cup \\{\\text{NaN}\\})^{n \\times d}
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from inference.arrays import Array, namespace
from inference.exact.evidence import is_pandas
from inference.inputs import as_weights, check_dense
from pgm.mixtures.spread import column_range

__all__ = ["check_learnable", "read_rows", "read_weights"]

#: Beyond this the square of a number is none.
LARGEST = 1e150


def read_rows(x: Any, n_features: int | None, device: torch.device | str = "cpu") -> Array:
    """Rows as a working array: numpy on the CPU, a tensor elsewhere; float32 stays what it is.

    Arguments:
        x: tensor, array, DataFrame or nested sequence; NaN and None are missing.
        n_features: columns there must be, if that is known.
        device: of the model.

    Raises:
        TypeError: if the entries are no numbers.
        ValueError: if the shape is not (n, n_features), or an entry is infinite.
    """
    rows = _as_array(x, device)
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise ValueError(
            f"X must be (rows, features), found shape {tuple(rows.shape)}; a single feature is "
            "X[:, None], a single row X[None]"
        )
    if n_features is not None and rows.shape[1] != n_features:
        raise ValueError(f"X must have {n_features} features, found {rows.shape[1]}")
    infinite = namespace(rows).isinf(rows)
    if bool(infinite.any()):
        row, column = np.argwhere(np.asarray(infinite.tolist()))[0].tolist()
        raise ValueError(
            f"X must be finite (NaN where missing), found {float(rows[row, column])} in row "
            f"{row}, column {column}; remove the row, or make the entry NaN"
        )
    return rows


def _as_array(x: Any, device: torch.device | str) -> Array:
    """Floating-point numbers in any shape."""
    check_dense(x)
    if isinstance(x, Tensor):
        if x.is_complex():
            raise TypeError(f"X must hold real numbers, found {x.dtype}")
        kept = x.dtype in (torch.float32, torch.float64)
        found = x.detach().to(device, x.dtype if kept else torch.float64)
        return found.numpy() if found.device.type == "cpu" else found
    if is_pandas(x):
        x = x.to_numpy(dtype=np.float64, na_value=np.nan)
    try:
        found = np.asarray(x)
    except ValueError as error:
        raise ValueError(f"X must be a rectangular array of numbers: {error}") from None
    if found.dtype.kind in "OUS":
        try:
            found = found.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise TypeError(f"X must hold numbers, found {found.dtype}: {error}") from error
    if found.dtype.kind not in "fiub":
        raise TypeError(f"X must hold real numbers, found {found.dtype}")
    if found.dtype not in (np.float32, np.float64):
        found = found.astype(np.float64)
    if not found.flags.writeable or any([stride < 0 for stride in found.strides]):
        found = found.copy()  # torch warns of the one and does not take the other
    if torch.device(device).type == "cpu":
        return found
    return torch.from_numpy(found).to(device)


def check_learnable(x: Array, n_components: int) -> bool:
    """Whether entries are missing, of rows that a mixture can be learned from.

    Raises:
        ValueError: if there are fewer rows than two or than components, an entry has no square,
            or a row or a column has no entry at all.
    """
    if len(x) < max(2, n_components):
        raise ValueError(
            f"X must have at least {max(2, n_components)} rows for n_components={n_components}, "
            f"found {len(x)}; rows of weight zero do not count"
        )
    absent = namespace(x).isnan(x)
    missing = bool(absent.any())
    for name, axis in (("row", 1), ("column", 0)) if missing else ():
        empty = absent.all(axis)
        if bool(empty.any()):
            first = int(np.flatnonzero(np.asarray(empty.tolist()))[0])
            raise ValueError(
                f"X must have an entry in every {name}, found {name} {first} without any "
                f"({int(empty.sum())} such); leave it out"
            )
    _check_squares(x, missing=missing)
    return missing


def read_weights(sample_weight: Any, x: Array) -> tuple[Array, Array | None]:
    """Rows of positive weight, and these weights, or None for equal ones.

    Raises:
        TypeError, ValueError: as `inference.inputs.as_weights`.
    """
    if sample_weight is None:
        return x, None
    weights: Any = as_weights(sample_weight, len(x))
    weights = weights.to(x.device) if isinstance(x, Tensor) else weights.numpy()
    some = weights > 0
    return (x, weights) if bool(some.all()) else (x[some], weights[some])


def _check_squares(x: Array, *, missing: bool) -> None:
    """Refuse numbers that have no square."""
    low, high = column_range(x, missing=missing)
    wrong = np.flatnonzero(np.fmax(-low, high) > LARGEST)
    if len(wrong):
        column = int(wrong[0])
        value = low[column] if -low[column] > LARGEST else high[column]
        row = int(np.flatnonzero(np.asarray(x[:, column].tolist()) == value)[0])
        raise ValueError(
            f"X must be within {LARGEST:g}, found {value:g} in row {row}, column {column}; "
            "rescale the column"
        )
