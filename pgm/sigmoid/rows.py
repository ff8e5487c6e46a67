"""Rows of binary units as users pass them, complete or in part.

.. math:: x_k \\in \\{0, 1\\} \\quad\\text{or missing}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inference.exact.evidence import is_pandas
from inference.inputs import unmasked

__all__ = ["check_informative", "read_complete", "read_mask", "read_rows"]


def read_rows(
    x: Any, index: Mapping[str, int], visible: Sequence[str], like: Tensor, *, name: str = "x"
) -> Tensor:
    """Turn data into (n, units) zeros, ones and -1 for missing, in the type of ``like``.

    Arguments:
        x: a column per unit, a column per visible unit, or a DataFrame with columns named by
            units (a unit without a column is missing). NaN and None are missing too.
        index: position of every unit.
        visible: the units of narrow data.
        like: gives dtype and device.
        name: of the argument, for messages.

    Raises:
        TypeError: no numbers.
        ValueError: another width, an unknown column, or an entry other than 0, 1 and -1.
    """
    units = list(index)
    if is_pandas(x):
        if x.ndim != 2:
            raise TypeError(f"{name} must be a table, found a pandas {type(x).__name__}")
        columns = [str(column) for column in x.columns]
        if len(set(columns)) < len(columns):
            raise ValueError(f"{name} must name a unit once, found the columns {columns}")
        if unknown := [column for column in columns if column not in index]:
            raise ValueError(f"{name}: column {unknown[0]!r} is no unit; the units are {units}")
        try:
            values = torch.from_numpy(x.to_numpy(dtype=np.float64, na_value=np.nan).copy())
        except (TypeError, ValueError) as error:
            raise TypeError(f"{name} must hold 0, 1 or -1 (missing): {error}") from None
    else:
        values = _as_tensor(x, name)
        if values.ndim != 2 or values.shape[1] not in (len(units), len(visible)):
            narrow = f" or (n, {len(visible)}) for the visible units"
            raise ValueError(
                f"{name} must have shape (n, {len(units)}) for all units"
                f"{narrow if len(visible) < len(units) else ''}, found {tuple(values.shape)}"
            )
        columns = units if values.shape[1] == len(units) else list(visible)
    values = values.to(like)
    values = torch.where(values.isnan(), -1.0, values)
    _check_values(values, columns, name)
    rows = like.new_full((len(values), len(units)), -1.0)
    rows[:, [index[column] for column in columns]] = values
    return rows


def read_complete(x: Any, index: Mapping[str, int], like: Tensor) -> Tensor:
    """Rows without a missing entry, (n, units)."""
    rows = read_rows(x, index, tuple(index), like)
    if (rows < 0).any():
        row, unit = (rows < 0).nonzero()[0].tolist()
        raise ValueError(
            f"x must be complete, found row {row} without unit {list(index)[unit]!r}; "
            "start hidden units anywhere, for instance from sample()"
        )
    return rows


def read_mask(observed: Any, index: Mapping[str, int], rows: Tensor) -> Tensor:
    """Which entries of ``rows`` (n, units) are held fast: by names, or a (broadcastable) mask."""
    if observed is None:
        return torch.zeros_like(rows, dtype=torch.bool)
    if not isinstance(observed, (Tensor, np.ndarray)):
        names = [observed] if isinstance(observed, str) else list(observed)
        for name in names:
            if name not in index:
                raise ValueError(f"observed: unknown unit {name!r}; the units are {list(index)}")
        mask = torch.zeros(len(index), dtype=torch.bool)
        mask[[index[name] for name in names]] = True
    else:
        mask = torch.as_tensor(observed)
        if mask.dtype is not torch.bool:
            raise TypeError(f"observed must be names or a boolean mask, found {mask.dtype}")
        if mask.shape not in (rows.shape, rows.shape[1:]):
            raise ValueError(
                f"observed must have shape {tuple(rows.shape[1:])} or {tuple(rows.shape)}, "
                f"found {tuple(mask.shape)}"
            )
    return mask.to(rows.device).expand(rows.shape)


def check_informative(rows: Tensor) -> None:
    """Refuse to learn from nothing."""
    if not len(rows):
        raise ValueError("data must have at least one row, found none")
    empty = (rows < 0).all(1)
    if empty.any():
        number = int(empty.nonzero()[0])
        raise ValueError(f"data has nothing observed in row {number}; leave such rows out")


def _as_tensor(x: Any, name: str) -> Tensor:
    """An array of real numbers of any kind, as a tensor."""
    if isinstance(x, Tensor):
        if x.is_complex():
            raise TypeError(f"{name} must hold 0, 1 or -1, found dtype {x.dtype}")
        return x.detach()
    try:
        array = np.array(unmasked(x, float))
        array = array.astype(np.float64) if array.dtype.kind in "biufO" else array
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be a rectangular array of numbers: {error}") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold 0, 1 or -1 (missing), found dtype {array.dtype}")
    return torch.from_numpy(array)


def _check_values(values: Tensor, columns: Sequence[str], name: str) -> None:
    wrong = ~((values == 0) | (values == 1) | (values == -1))
    if wrong.any():
        row, column = wrong.nonzero()[0].tolist()
        raise ValueError(
            f"{name} must hold 0, 1 or -1 (missing), found {values[row, column].item():g} in row "
            f"{row}, unit {columns[column]!r}"
        )
