"""Inverse temperatures over time, and how hot and how cold a search should be.

.. math:: \\beta_t = \\beta_0 (\\beta_T / \\beta_0)^{t / T}
"""

from __future__ import annotations

import math

import numpy as np

from inference.inputs import as_whole

__all__ = [
    "constant_schedule",
    "geometric_schedule",
    "linear_schedule",
    "linear_temperature_schedule",
    "logarithmic_schedule",
    "quenched",
    "range_of_strengths",
    "settling_schedule",
]

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

    Reference:
        Kirkpatrick, Gelatt & Vecchi 1983, "Optimization by simulated annealing".

    Example:
        >>> geometric_schedule(0.5, 2.0, 3).tolist()
        [0.5, 1.0, 2.0]
    """
    return np.geomspace(*_positive(hot, cold), as_whole("sweeps", sweeps, least=1))


def linear_schedule(hot: float, cold: float, sweeps: int) -> np.ndarray:
    """Inverse temperatures that grow by the same amount from sweep to sweep.

    .. math:: \\beta_t = \\beta_0 + (\\beta_T - \\beta_0)\\, t / T

    Arguments:
        hot: first inverse temperature, may be zero.
        cold: last one.
        sweeps: how many.

    Raises:
        ValueError: unless 0 <= hot <= cold < inf.

    Example:
        >>> linear_schedule(0.0, 2.0, 3).tolist()
        [0.0, 1.0, 2.0]
    """
    return np.linspace(*_rising(hot, cold), as_whole("sweeps", sweeps, least=1))


def linear_temperature_schedule(hot: float, cold: float, sweeps: int) -> np.ndarray:
    """Inverse temperatures whose temperatures fall by the same amount from sweep to sweep.

    .. math:: 1 / \\beta_t = T_0 + (T_T - T_0)\\, t / T

    Arguments:
        hot: first inverse temperature.
        cold: last one.
        sweeps: how many.

    Raises:
        ValueError: unless 0 < hot <= cold < inf.

    Example:
        >>> linear_temperature_schedule(0.5, 1.0, 3).tolist()
        [0.5, 0.6666666666666666, 1.0]
    """
    first, last = _positive(hot, cold)
    return 1 / np.linspace(1 / first, 1 / last, as_whole("sweeps", sweeps, least=1))


def logarithmic_schedule(hot: float, cold: float, sweeps: int) -> np.ndarray:
    """Inverse temperatures that grow like a logarithm.

    .. math:: \\beta_t = \\beta_0 + (\\beta_T - \\beta_0) \\frac{\\log(1 + t)}{\\log(1 + T)}

    From zero this is the law under which a search cannot fail in the limit; in any time that
    there is, the others find heavier states.

    Arguments:
        hot: first inverse temperature, may be zero.
        cold: last one.
        sweeps: how many.

    Raises:
        ValueError: unless 0 <= hot <= cold < inf.

    Reference:
        Geman & Geman 1984, "Stochastic relaxation, Gibbs distributions, and the Bayesian
        restoration of images", theorem B.

    Example:
        >>> logarithmic_schedule(0.0, 2.0, 4).round(2).tolist()
        [0.0, 1.0, 1.58, 2.0]
    """
    first, last = _rising(hot, cold)
    growth = np.log1p(np.arange(as_whole("sweeps", sweeps, least=1)))
    return first + (last - first) * growth / max(growth[-1], np.log(2.0))


def constant_schedule(beta: float, sweeps: int) -> np.ndarray:
    """The same inverse temperature in every sweep.

    .. math:: \\beta_t = \\beta

    Arguments:
        beta: inverse temperature; infinity is a quench.
        sweeps: how many.

    Raises:
        ValueError: if ``beta`` is negative or NaN.

    Example:
        >>> constant_schedule(math.inf, 2).tolist()
        [inf, inf]
    """
    if not beta >= 0:
        raise ValueError(f"beta must be at least 0, found {beta}")
    return np.full(as_whole("sweeps", sweeps, least=1), float(beta))


def quenched(schedule: np.ndarray, sweeps: int) -> np.ndarray:
    """A schedule that ends in sweeps without temperature: nothing but gains.

    Arguments:
        schedule: inverse temperatures.
        sweeps: how many more at infinity.

    Example:
        >>> quenched(np.array([1.0, 2.0]), 1).tolist()
        [1.0, 2.0, inf]
    """
    return np.append(schedule, np.full(as_whole("sweeps", sweeps, least=0), math.inf))


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


def settling_schedule(sweeps: int) -> list[float]:
    """Inverse temperatures that rise from 0 in the first half of the sweeps and then are 1.

    .. math:: \\beta_t = \\min(1, t / \\lfloor T / 2 \\rfloor), \\qquad t = 0, \\dots, T - 1

    Arguments:
        sweeps: how many.

    Example:
        >>> settling_schedule(5)
        [0.0, 0.5, 1.0, 1.0, 1.0]
    """
    rising = sweeps // 2
    rise = np.linspace(0.0, 1.0, rising, endpoint=False).tolist()
    return [*rise, *[1.0] * (sweeps - rising)]


def _positive(hot: float, cold: float) -> tuple[float, float]:
    """The two ends, checked, where zero has no meaning."""
    if not 0 < hot <= cold < math.inf:
        raise ValueError(f"hot and cold must be 0 < hot <= cold < inf, found {hot} and {cold}")
    return float(hot), float(cold)


def _rising(hot: float, cold: float) -> tuple[float, float]:
    """The two ends, checked."""
    if not 0 <= hot <= cold < math.inf:
        raise ValueError(f"hot and cold must be 0 <= hot <= cold < inf, found {hot} and {cold}")
    return float(hot), float(cold)
