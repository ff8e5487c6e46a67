"""Sums of large tables over several axes, split so that every step runs along long rows.

numpy adds fast when what is left behind the summed axis is long; where it is short, einsum's
inner loops are several times faster than a reduction.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from string import ascii_letters

import numpy as np

from inference.exact.product import Operation

__all__ = ["sum_operations"]

#: Tables smaller than this are summed by one call: calls cost more than additions.
SMALL_TABLE = 4096
#: Rows at least this long are added as wholes.
LONG_ROW = 32


def sum_operations(source: np.ndarray, shape: Sequence[int], out: np.ndarray) -> list[Operation]:
    """Record the sum of ``source`` over the axes along which ``shape`` has length one.

    Arguments:
        source: a C-contiguous table.
        shape: shape of the result, with the axes kept.
        out: flat array for the result.

    Example:
        >>> table, out = np.ones((4, 3, 2)), np.empty(3)
        >>> for function, arguments in sum_operations(table, (1, 3, 1), out):
        ...     _ = function(*arguments)
        >>> out.tolist()
        [8.0, 8.0, 8.0]
    """
    axes = [i for i, (a, b) in enumerate(zip(source.shape, shape, strict=True)) if a != b]
    leading = axes == list(range(len(axes)))
    if source.size < SMALL_TABLE or len(axes) == 0 or leading:
        return [(np.add.reduce, (source, tuple(axes), None, out.reshape(shape), True))]
    recorded: list[Operation] = []
    while axes and prod(source.shape[axes[0] + 1 :]) >= LONG_ROW:
        axis = axes.pop(0)
        smaller = list(source.shape)
        smaller[axis] = 1
        target = np.empty(smaller) if axes else out.reshape(shape)
        recorded.append((np.add.reduce, (source, axis, None, target, True)))
        source = target
    if axes:
        letters = ascii_letters[: source.ndim]
        kept = [i for i in range(source.ndim) if i not in axes]
        result = out.reshape([source.shape[i] for i in kept])
        formula = f"{letters}->{''.join([letters[i] for i in kept])}"
        recorded.append((partial(np.einsum, formula, out=result), (source,)))
    return recorded
