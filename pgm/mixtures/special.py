"""Gamma functions of working arrays: numpy on the CPU, tensors elsewhere.

.. math:: \\log \\Gamma(x), \\qquad \\psi(x) = \\frac{d}{dx} \\log \\Gamma(x), \\qquad
          \\log \\Gamma_d(x) = \\tfrac{d (d - 1)}{4} \\log \\pi
          + \\sum_{i=0}^{d-1} \\log \\Gamma\\bigl(x - \\tfrac{i}{2}\\bigr)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["digamma", "log_gamma", "log_multivariate_gamma", "multivariate_digamma"]


def log_gamma(x: Any) -> Any:
    """Logarithm of the gamma function of positive numbers.

    Example:
        >>> log_gamma(np.array([1.0, 3.0])).round(6).tolist()
        [0.0, 0.693147]
    """
    if isinstance(x, Tensor):
        return torch.lgamma(x)
    from scipy.special import gammaln

    return gammaln(x)


def digamma(x: Any) -> Any:
    """Derivative of `log_gamma`, of positive numbers.

    Example:
        >>> float(digamma(np.array(1.0)).round(6))
        -0.577216
    """
    if isinstance(x, Tensor):
        return torch.digamma(x)
    from scipy.special import psi

    return psi(x)


def log_multivariate_gamma(x: Any, d: int) -> Any:
    """Logarithm of the multivariate gamma function.

    Arguments:
        x: above (d - 1) / 2.
        d: its order.

    Reference:
        Bishop 2006, appendix B (the constant of the Wishart law).
    """
    return 0.25 * d * (d - 1) * math.log(math.pi) + _sum(log_gamma, x, d)


def multivariate_digamma(x: Any, d: int) -> Any:
    """Derivative of `log_multivariate_gamma`: sum of psi(x - i / 2) for i from 0 to d - 1."""
    return _sum(digamma, x, d)


def _sum(function: Callable[[Any], Any], x: Any, d: int) -> Any:
    """Sum of f(x - i / 2)."""
    halves = 0.5 * (torch.arange(d, device=x.device) if isinstance(x, Tensor) else np.arange(d))
    return function(x[..., None] - halves).sum(-1)
