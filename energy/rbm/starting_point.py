"""Parameters to begin with, which know how often every visible unit is on and nothing else.

.. math:: a_i = \\log \\frac{\\bar v_i}{1 - \\bar v_i} \\quad\\text{or}\\quad
          \\lambda_i = 1 / \\mathrm{Var}\\, v_i, \\; a_i = \\lambda_i \\bar v_i
"""

from __future__ import annotations

import torch
from torch import Tensor

from energy.rbm.layers import Layers
from energy.rbm.units import GaussianUnits

__all__ = ["fit_independent"]


def fit_independent(layers: Layers, rows: Tensor) -> None:
    """Set visible biases, and precisions, to what fits the rows' own means, and variances.

    A real feature that is constant gets precision one.

    Arguments:
        layers: changed in place.
        rows: visible units, (n, n_visible).

    Reference:
        Hinton 2012, "A practical guide to training restricted Boltzmann machines", section 8.1.
    """
    if isinstance(layers.visible, GaussianUnits):
        variance = rows.var(0, correction=0)
        # Rounding may leave a variance to rows that are all the same.
        varies = (variance > 0) & (rows.amax(0) > rows.amin(0))
        layers.visible.log_precision.copy_(-torch.where(varies, variance, 1.0).log())
    layers.visible_bias.copy_(layers.visible.independent_bias(rows))
