"""The sweep operator on many symmetric matrices at once: inverses, regressions and their rests.

.. math:: \\text{after sweeping } O: \\qquad
          H_{OO} = -C_{OO}^{-1}, \\quad H_{UO} = C_{UO} C_{OO}^{-1}, \\quad
          H_{UU} = C_{UU} - C_{UO} C_{OO}^{-1} C_{OU}

The matrices lie along the last axes, so that every step is a few operations on long arrays.

Reference:
    Little & Rubin 2019, "Statistical analysis with missing data", section 7.4.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from inference.arrays import empty, index_like, look_up, namespace, zeros

__all__ = ["PrefixTree", "sweep"]


def sweep(matrices: Any, pivot: int) -> Any:
    """Sweep one variable, in place; return the logarithms of the pivots.

    Shapes:
        matrices: (d, d, ...), symmetric. result: (...,).
    """
    column = matrices[:, pivot] + 0.0
    size = column[pivot] + 0.0
    row = column / size
    matrices -= column[:, None] * row
    matrices[pivot] = row
    matrices[:, pivot] = row
    matrices[pivot, pivot] = -1 / size
    return namespace(matrices).log(size)


@dataclass(frozen=True)
class PrefixTree:
    """Sets of variables, so that those that begin alike are swept together.

    Attributes:
        kept: for every variable, which of the sets of the variables before it go on without it.
        swept: which go on with it.
    """

    kept: list[np.ndarray]
    swept: list[np.ndarray]

    @classmethod
    def of(cls, table: np.ndarray) -> tuple[PrefixTree, np.ndarray]:
        """The tree of different sets (p, d), boolean, and the order in which it yields them."""
        kept, swept = [], []
        places = np.zeros(len(table), dtype=np.int64)
        for column in table.T:
            without, with_it = np.unique(places[~column]), np.unique(places[column])
            kept.append(without)
            swept.append(with_it)
            later = len(without) + np.searchsorted(with_it, places)
            places = np.where(column, later, np.searchsorted(without, places))
        return cls(kept, swept), np.argsort(places)

    def sweep(self, matrices: Any) -> tuple[Any, Any]:
        """Sweep every set.

        Shapes:
            matrices: (d, d, n). result: (d, d, n, p), and the logarithms of the determinants of
            the swept parts, (n, p).
        """
        xp = namespace(matrices)
        states, logs = matrices[..., None], zeros(matrices, (matrices.shape[-1], 1))
        for pivot, (kept, swept) in enumerate(zip(self.kept, self.swept, strict=True)):
            changed = _select(states, swept)
            grown = sweep(changed, pivot)
            states = xp.concatenate([_select(states, kept), changed], -1)
            logs = xp.concatenate([_select(logs, kept), _select(logs, swept) + grown], -1)
        return states, logs


def _select(values: Any, which: np.ndarray) -> Any:
    """Entries of the last axis."""
    out = empty(values, math.prod(values.shape[:-1]) * len(which))
    out = out.reshape(*values.shape[:-1], len(which))
    look_up(values, index_like(which, values), out)
    return out
