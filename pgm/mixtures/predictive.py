"""What a row may be, the laws of means and precisions integrated out: a Student t law.

.. math:: \\int N(x; \\mu, \\Lambda^{-1})\\, q(\\mu, \\Lambda)
          = \\mathrm{St}(x; m, S, \\eta), \\qquad
          S = \\frac{(1 + \\beta)\\, \\nu}{\\beta\\, \\eta}\\, C, \\quad \\eta = \\nu + 1 - d
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pgm.mixtures.components import CovarianceType
from pgm.mixtures.density import normal_log_prob
from pgm.mixtures.normal_wishart import NormalWishart

__all__ = ["student_log_prob"]


def student_log_prob(x: Tensor, laws: NormalWishart, covariance_type: CovarianceType) -> Tensor:
    """Log-density of every row under every component; NaN entries are integrated out.

    .. math:: \\log \\mathrm{St}(x; m, S, \\eta)
              = \\log \\frac{\\Gamma((\\eta + d) / 2)}{\\Gamma(\\eta / 2)}
              - \\tfrac{d}{2} \\log \\pi \\eta - \\tfrac12 \\log |S|
              - \\tfrac{\\eta + d}{2} \\log\\Bigl(1 + \\frac{\\delta^2}{\\eta}\\Bigr)

    Entries that are there have the same law with their part of S, whose size takes the place of d
    but in eta.

    Arguments:
        x: rows.
        laws: of the components, as a model holds them: one run, covariances as
            `normal_log_prob` takes them.
        covariance_type: of the laws.

    Shapes:
        x: (n, d). result: (n, K), nats; 0 for a row without entries.

    Reference:
        Bishop 2006, equations 10.81 and 10.82.
    """
    beta, means, nu, covariances = laws
    eta = nu + 1 - x.shape[1]
    factor = (1 + beta) * nu / (beta * eta)
    present = (~x.isnan()).sum(1, keepdim=True).to(means.dtype)
    # Halved, a covariance doubles the squared distance and shifts the rest by a constant: two
    # normal densities tell distance and determinant apart, whatever is missing.
    normal = normal_log_prob(x, means, covariances, covariance_type)
    narrow = normal_log_prob(x, means, 0.5 * covariances, covariance_type)
    squares = 2 * (normal - narrow) + math.log(2) * present
    heights = normal + 0.5 * squares + 0.5 * present * (math.log(2 * math.pi) - factor.log())
    power = 0.5 * (eta + present)
    constants = (
        torch.lgamma(power) - torch.lgamma(0.5 * eta) - 0.5 * present * (math.pi * eta).log()
    )
    return constants + heights - power * torch.log1p(squares / (factor * eta))
