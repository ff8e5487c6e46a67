"""Products of broadcastable arrays, ordered so that intermediate tables stay small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

__all__ = ["Operand", "Operation", "fold"]

#: Tables up to this many entries cost less to fill than to order well.
SMALL_TABLE = 1024

#: (function, positional arguments): one entry of a compiled record.
Operation = tuple[Any, tuple[Any, ...]]


@dataclass(slots=True)
class Operand:
    """An array aligned with the axes of a clique.

    Arguments:
        mask: bit set of its variables.
        array: its values, with length one along the clique's other axes.
        fixed: whether the values stay the same from run to run.
        scratch: whether the array was made here and may be overwritten.
    """

    mask: int
    array: np.ndarray
    fixed: bool
    scratch: bool = False


def _union_size(a: Operand, b: Operand) -> int:
    return prod(map(max, a.array.shape, b.array.shape))


def _first_pair(operands: Sequence[Operand]) -> tuple[int, int, int]:
    """The first two operands: for tables so small that only the number of calls counts."""
    last = len(operands) - 1
    return _union_size(operands[0], operands[last]), 0, last


def _cheapest_pair(operands: Sequence[Operand]) -> tuple[int, int, int]:
    """The pair whose product is the smallest table: (size, i, j)."""
    if len(operands) > 8:
        # Many operands: neighbours in size order are good enough, and quick to find.
        ranked = sorted(range(len(operands)), key=lambda i: operands[i].array.size)
        i, j = sorted(ranked[:2])
        return _union_size(operands[i], operands[j]), i, j
    best = (0, 0, 0)
    for j in range(1, len(operands)):
        for i in range(j):
            size = _union_size(operands[i], operands[j])
            if not best[0] or size < best[0]:
                best = (size, i, j)
    return best


def fold(
    operands: list[Operand], shape: Sequence[int], product: np.ufunc, kept: int | None = None
) -> list[Operation]:
    """Multiply operands together in place until one is left; return what must run each time.

    Products of fixed operands are carried out now. With ``kept`` given, only fixed operands are
    combined, and only into tables of at most that many entries (or no larger than they were).
    """
    recorded: list[Operation] = []
    choose = _cheapest_pair if prod(shape) > SMALL_TABLE else _first_pair
    if choose is _first_pair:
        operands.sort(key=lambda operand: operand.array.size)
    while len(operands) > 1:
        size, i, j = choose(operands)
        b, a = operands[j], operands[i]
        if kept is not None and size > max(kept, a.array.size, b.array.size):
            break
        fixed = a.fixed and b.fixed
        reusable = [x for x in (a, b) if x.scratch and x.fixed == fixed and x.array.size == size]
        out = reusable[0].array if reusable else _empty(a, b)
        if fixed:
            product(a.array, b.array, out)
        else:
            recorded.append((product, (a.array, b.array, out)))
        del operands[j], operands[i]
        operands.append(Operand(a.mask | b.mask, out, fixed, True))
    return recorded


def _empty(a: Operand, b: Operand) -> np.ndarray:
    """A table for the product of two operands."""
    return np.empty(tuple(map(max, a.array.shape, b.array.shape)))
