"""One array namespace for both kinds of arrays: numpy on the CPU, torch on other devices.

Steps of a recursion are small, and a call of numpy costs a fraction of a call of torch. Torch's
functions take numpy's names (axis=, out=), so that a recursion is written once, against ``xp``.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "Array",
    "as_kind_of",
    "column_sum",
    "empty",
    "exponentiate",
    "greatest",
    "index_like",
    "look_up",
    "namespace",
    "sum_by",
    "to_double",
    "to_working",
    "zeros",
]

Array: TypeAlias = "np.ndarray | Tensor"


def namespace(x: Array) -> Any:
    """Return the module whose functions work on x."""
    return torch if isinstance(x, Tensor) else np


def to_working(x: Any, like: Array | None = None) -> Any:
    """Numpy views of what is on the CPU; tensors of other devices as they are, without a tape.

    With ``like``, a result of the same type and on the same device as that (working) array.
    """
    if isinstance(x, Tensor):
        x = x.detach()
        if x.device.type == "cpu" and not isinstance(like, Tensor):
            x = x.numpy()
    if like is None:
        return x if isinstance(x, Tensor) else np.asarray(x)
    if isinstance(like, Tensor):
        return torch.as_tensor(x, dtype=like.dtype, device=like.device)
    return np.asarray(x, dtype=like.dtype)


def as_kind_of(given: Array, found: Any) -> Any:
    """A working array as the caller's kind: tensor where the log emissions were one."""
    return torch.from_numpy(found) if isinstance(given, Tensor) and not _torch(found) else found


def to_double(x: Any) -> Any:
    """A working array in double precision."""
    return x.double() if isinstance(x, Tensor) else x.astype(np.float64, copy=False)


def index_like(index: np.ndarray, values: Array) -> Any:
    """An index array where the values are."""
    return torch.from_numpy(index).to(values.device) if isinstance(values, Tensor) else index


def zeros(like: Array, shape: tuple[int, ...], dtype: str | None = None) -> Any:
    """Zeros of a type given by its name (that of ``like`` for None), where ``like`` is."""
    if isinstance(like, Tensor):
        own = like.dtype if dtype is None else getattr(torch, dtype)
        return torch.zeros(shape, dtype=own, device=like.device)
    return np.zeros(shape, dtype=like.dtype if dtype is None else dtype)


def exponentiate(x: Any, least: float = 1.0) -> None:
    """Exponentials in place of x; below the normal numbers of its type they are zero.

    .. math:: x \\leftarrow e^x \\; [e^x > 2 \\, \\text{least} \\, \\text{tiny}]

    What is not normal has lost digits, and some processors take a hundred times as long for it,
    here and wherever it goes from here.

    Example:
        >>> x = np.array([0.0, -700.0, -710.0, -np.inf])
        >>> exponentiate(x)
        >>> x
        array([1.00000000e+000, 9.85967654e-305, 0.00000000e+000, 0.00000000e+000])
    """
    xp = namespace(x)
    low = math.log(2 * least * float(xp.finfo(x.dtype).tiny))
    normal = x > low
    # Underflow is what is slow, in the exponential as well; often there is none. Another device is
    # not asked, which would wait for it.
    if xp is np and normal.all():
        xp.exp(x, out=x)
        return
    xp.clip(x, low, None, out=x)
    xp.exp(x, out=x)
    x *= normal


def empty(like: Array, size: int) -> Any:
    """A vector of the type of ``like``, where that is, with anything in it."""
    if isinstance(like, Tensor):
        return torch.empty(size, dtype=like.dtype, device=like.device)
    return np.empty(size, dtype=like.dtype)


def look_up(table: Array, index: Any, out: Any) -> None:
    """Entries of the last axis of a table; the index must be in range."""
    if isinstance(table, Tensor):
        if table.ndim > 2:  # of matrices torch selects many times as fast
            table = table.flatten(0, -2)
            out = out.view(len(table), len(index))
        torch.index_select(table, table.ndim - 1, index, out=out)
    else:
        # Other modes check the range, and copy the result from a buffer.
        table.take(index, -1, out, "clip")


def greatest(x: Array, axis: int, out: Any) -> Any:
    """Greatest entries along an axis."""
    if isinstance(x, Tensor):
        return torch.amax(x, axis, out=out)
    return np.maximum.reduce(x, axis=axis, out=out)


def column_sum(x: Array, out: Any) -> Any:
    """Sum of every column, (n,), of x (K, n)."""
    if isinstance(x, Tensor):
        return torch.sum(x, 0, out=out)
    return np.add.reduce(x, axis=0, out=out)


def sum_by(groups: np.ndarray, values: Array, n_groups: int) -> Any:
    """Sums of the values of every group, (n_groups,) float64."""
    if isinstance(values, Tensor):
        total = zeros(values, (n_groups,), "float64")
        return total.index_add_(0, index_like(groups, values), values.double())
    return np.bincount(groups, values, n_groups)


def _torch(x: Any) -> bool:
    return isinstance(x, Tensor)
