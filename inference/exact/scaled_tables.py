"""Log tables made ready for linear arithmetic: every table's largest entry becomes one.

.. math:: \\phi_f = e^{\\ell_f - m_f}, \\qquad \\log c = \\sum_f m_f
"""

from __future__ import annotations

import numpy as np

from inference.exact.structure import Structure

__all__ = ["scaled"]


def scaled(structure: Structure, logs: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """Values at most one, the log of what was divided out, and the logarithms of the values.

    The arguments of the exact engine's ``load``, in order.

    Example:
        >>> pair = Structure((2, 2), ((0,), (1,)), (-1, -1))
        >>> values, log_scale, logs = scaled(pair, np.array([3.0, -np.inf, 1.0, 1.0]))
        >>> values.tolist(), log_scale
        ([1.0, 0.0, 1.0, 1.0], 4.0)
    """
    if not len(logs):
        return logs, 0.0, logs
    starts = np.array(structure.offsets[:-1], dtype=np.intp)
    largest = np.maximum.reduceat(logs, starts)
    largest = np.where(np.isneginf(largest), 0.0, largest)
    shifted = logs - np.repeat(largest, np.diff(structure.offsets))
    return np.exp(shifted), float(largest.sum()), shifted
