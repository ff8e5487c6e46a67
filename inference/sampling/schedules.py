"""Inverse temperatures over time, and how hot and how cold a search should be.

.. math:: \\beta_t = \\beta_0 (\\beta_T / \\beta_0)^{t / T}
"""

from __future__ import annotations

import math

import numpy as np

from inference.inputs import as_whole

__all__ = ["geometric_schedule", "range_of_strengths"]

#: Hot end in units of the typical strength of all factors at a variable together, cold end in
#: units of the typical strength of one factor.
HOT, COLD = 0.3, 2.0


def geometric_schedule(hot: float, cold: float, sweeps: int) -> np.ndarray:
    """Inverse temperatures that grow by one factor from sweep to sweep.

    .. math:: \\beta_t = \\beta_0 (\\beta_T / \\beta_0)^{t / T}

    Arguments:
        hot: first inverse temperature.
        cold: last one.
        sweeps: how many.

    Raises:
        ValueError: unless 0 < hot <= cold < inf.

    Example:
        >>> geometric_schedule(0.5, 2.0, 3).tolist()
        [0.5, 1.0, 2.0]
    """
    if not 0 < hot <= cold < math.inf:
        raise ValueError(f"hot and cold must be 0 < hot <= cold < inf, found {hot} and {cold}")
    return np.geomspace(hot, cold, as_whole("sweeps", sweeps, least=1))


def range_of_strengths(squares: np.ndarray, strengths: np.ndarray) -> tuple[float, float]:
    """Where a search should begin and end, from the strengths of the factors.

    .. math:: \\beta_0 = 0.3 \\,/\\, \\overline{\\textstyle\\sqrt{\\sum_{f \\ni v} a_f^2}},
              \\qquad \\beta_T = 2 \\,/\\, \\operatorname{median}_f a_f

    a is half the range of a factor's log-weights: the coupling, for a pair of spins. Hot, every
    move is nearly free; cold, no move against a typical factor is left.

    Arguments:
        squares: sums of a^2 over the factors at a variable, (V,).
        strengths: a of every factor, (F,); zeros do not count.

    Returns:
        First and last inverse temperature; (1, 1) where nothing has any strength.

    Example:
        >>> range_of_strengths(np.full(9, 4.0), np.ones(18))
        (0.15, 2.0)
    """
    strengths = strengths[strengths > 0]
    if not len(strengths):
        return 1.0, 1.0
    hot = HOT / float(np.sqrt(squares[squares > 0]).mean())
    return hot, max(hot, COLD / float(np.median(strengths)))
