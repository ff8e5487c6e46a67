"""What is known exactly of the Ising model on the square lattice.

.. math:: \\sinh(2 \\beta_c J)^2 = 1, \\qquad m = \\bigl(1 - \\sinh(2 \\beta J)^{-4}\\bigr)^{1/8}
"""

from __future__ import annotations

import math

import numpy as np

from inference.inputs import as_whole

__all__ = [
    "CRITICAL_BETA",
    "CRITICAL_TEMPERATURE",
    "onsager_energy",
    "onsager_magnetization",
    "torus_log_partition",
]

#: Where the square lattice with J = 1 orders: log(1 + sqrt 2) / 2, and its inverse.
CRITICAL_BETA = math.log1p(math.sqrt(2)) / 2
CRITICAL_TEMPERATURE = 1 / CRITICAL_BETA

#: Beyond this beta J the two ground states are all there is, to the last digit.
COLD = 100.0

#: Up to this beta J all states weigh the same, to the last digit.
HOT = 1e-9

#: Share of a sum below which what is left of it does not count.
ROUNDING = 1e-17


def onsager_energy(beta: float, coupling: float = 1.0) -> float:
    """Energy per spin of the infinite square lattice without a field.

    .. math:: u = -J \\coth 2K \\Bigl[1 + \\frac{2}{\\pi} (2 \\tanh^2 2K - 1)\\, \\mathrm{K}(k)
              \\Bigr], \\quad k = \\frac{2 \\sinh 2K}{\\cosh^2 2K}, \\quad K = \\beta J

    Arguments:
        beta: inverse temperature.
        coupling: J; its sign does not matter.

    Reference:
        Onsager 1944, "Crystal statistics I", Phys. Rev. 65, 117, eq. 116.

    Example:
        >>> round(onsager_energy(CRITICAL_BETA) + math.sqrt(2), 6)
        0.0
        >>> round(onsager_energy(0.5), 10)
        -1.7455645753
    """
    if not 0 <= beta < math.inf:
        raise ValueError(f"beta must be at least 0 and finite, found {beta}")
    strength = beta * abs(coupling)
    if strength == 0:
        return 0.0
    if strength > COLD:
        return -2.0 * abs(coupling)
    tanh = math.tanh(2 * strength)
    order = 2 * tanh**2 - 1
    # By Gauss 2 K(k) / pi is one over the mean of 1 and |order|. Far from order that is nearly
    # one, and the brackets nearly zero: what is missing of one is summed, over tanh, by itself.
    gap = 2 * tanh if order < 0 else (1 - order) / tanh
    mean, other, missing = 1.0, abs(order), 0.0
    while gap > ROUNDING * missing:
        missing += gap / 2
        gap = tanh * (gap / (math.sqrt(mean) + math.sqrt(other))) ** 2 / 2
        mean, other = (mean + other) / 2, math.sqrt(mean * other)
    return -abs(coupling) * (2 * tanh + order * missing / mean)


def onsager_magnetization(beta: float, coupling: float = 1.0) -> float:
    """Spontaneous magnetisation of the infinite square lattice; zero above the critical point.

    .. math:: m = \\bigl(1 - \\sinh(2 \\beta J)^{-4}\\bigr)^{1/8}

    Arguments:
        beta: inverse temperature.
        coupling: J > 0.

    Reference:
        Yang 1952, "The spontaneous magnetization of a two-dimensional Ising model", Phys. Rev. 85,
        808, eq. 96.

    Example:
        >>> onsager_magnetization(0.4), round(onsager_magnetization(0.5), 10)
        (0.0, 0.9113193779)
    """
    if not 0 <= beta < math.inf:
        raise ValueError(f"beta must be at least 0 and finite, found {beta}")
    sinh = math.sinh(2 * min(beta * coupling, COLD))
    return (1 - sinh**-4) ** 0.125 if sinh > 1 else 0.0


def torus_log_partition(rows: int, columns: int, beta: float, coupling: float = 1.0) -> float:
    """Log Z of a square lattice on a torus without a field, nats.

    .. math:: Z = \\tfrac12 (2 \\sinh 2K)^{MN/2} \\Bigl[
              \\prod_r 2 \\cosh \\tfrac{M}{2} \\gamma_{2r+1} + \\prod_r 2 \\sinh \\tfrac{M}{2}
              \\gamma_{2r+1} + \\prod_r 2 \\cosh \\tfrac{M}{2} \\gamma_{2r}
              + \\prod_r 2 \\sinh \\tfrac{M}{2} \\gamma_{2r} \\Bigr]

    .. math:: \\cosh \\gamma_l = \\cosh 2K \\coth 2K - \\cos \\frac{\\pi l}{N}, \\qquad
              \\gamma_0 = 2K + \\log \\tanh K

    Around a side of two each pair of spins is joined twice.

    Arguments:
        rows: one side.
        columns: the other.
        beta: inverse temperature.
        coupling: J >= 0.

    Reference:
        Kaufman 1949, "Crystal statistics II", Phys. Rev. 76, 1232, eq. 4.

    Example:
        >>> round(torus_log_partition(4, 4, 0.4), 10)
        14.5610930238
    """
    m = as_whole("rows", rows, least=2)
    n = as_whole("columns", columns, least=2)
    if not 0 <= beta * coupling < math.inf:
        raise ValueError(f"beta and coupling must not be negative, found {beta} and {coupling}")
    strength = beta * coupling
    if strength <= HOT:
        return m * n * math.log(2)
    if strength > COLD:
        return 2 * m * n * strength + math.log(2)
    level = math.cosh(2 * strength) / math.tanh(2 * strength)
    gamma = np.arccosh(np.maximum(level - np.cos(np.pi * np.arange(2 * n) / n), 1.0))
    gamma[0] = 2 * strength + math.log(math.tanh(strength))
    terms, signs = [], []
    for part in (gamma[1::2], gamma[0::2]):
        half = np.abs(part) * m / 2
        terms.append((half + np.log1p(np.exp(-2 * half))).sum())
        signs.append(1.0)
        with np.errstate(divide="ignore"):
            terms.append((half + np.log(-np.expm1(-2 * half))).sum())
        signs.append(float(np.sign(part).prod()))
    top = max(terms)
    total = sum([s * math.exp(t - top) for s, t in zip(signs, terms, strict=True)])
    front = m * n / 2 * (math.log(2) + _log_sinh(2 * strength)) - math.log(2)
    return float(front + top + math.log(total))


def _log_sinh(x: float) -> float:
    """Log sinh of a positive number, however large."""
    return x + math.log(-math.expm1(-2 * x)) - math.log(2)
