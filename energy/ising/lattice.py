"""Neighbours on rectangular lattices of any dimension.

.. math:: i \\sim j \\iff j = i + e_a
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from inference.inputs import as_whole
from inference.memory import readable_count, require_memory

__all__ = ["checked_shape", "lattice_edges"]

#: Numbers that listing and merging the edges holds for each.
HELD = 18


def checked_shape(shape: int | Sequence[int]) -> tuple[int, ...]:
    """The sides of a lattice; one number is a chain.

    Raises:
        TypeError, ValueError: if they are no whole numbers above zero, or the edges would not fit
            the memory.
    """
    given = tuple(shape) if isinstance(shape, Iterable) else (shape,)
    if not given:
        raise ValueError("shape must have at least one side")
    sides = tuple([as_whole("shape", side, least=1) for side in given])
    sites = math.prod(sides)
    what = f"shape, with the edges of {readable_count(sites)} sites,"
    require_memory(8 * HELD * sites * len(sides), what, "use shorter sides")
    return sides


def lattice_edges(shape: Sequence[int], periodic: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of neighbours, and the axis along which they are.

    Around a ring of two each pair is there twice; a ring of one has none.

    Arguments:
        shape: sides.
        periodic: whether the last of a line is the first one's neighbour.

    Returns:
        Edges (E, 2) and axes (E,), int64. Sites are numbered row by row.

    Example:
        >>> lattice_edges((2, 2), periodic=False)[0].tolist()
        [[0, 2], [1, 3], [0, 1], [2, 3]]
    """
    sites = np.arange(int(np.prod(shape))).reshape(shape)
    edges, axes = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.int64)]
    for axis, side in enumerate(shape):
        if side == 1:
            continue
        here, there = sites, np.roll(sites, -1, axis)
        if not periodic:
            inner = np.arange(side - 1)
            here, there = here.take(inner, axis), there.take(inner, axis)
        edges.append(np.stack([here.reshape(-1), there.reshape(-1)], axis=1))
        axes.append(np.full(here.size, axis))
    return np.concatenate(edges), np.concatenate(axes)
