"""How likely single units are given all others, summed: a score that needs no log Z.

.. math:: \\sum_i \\log p(v_i \\mid v_{-i}) =
          \\sum_i \\log \\sigma\\bigl(F(v^{(i)}) - F(v)\\bigr)
"""

from __future__ import annotations

import torch
from torch import Tensor

from energy.rbm.layers import Layers

__all__ = ["pseudo_log_likelihood"]

#: Rows times weights that are flipped at a time.
FLIPPED = 2**22


def pseudo_log_likelihood(rows: Tensor, layers: Layers) -> Tensor:
    """Pseudo-log-likelihoods of rows; every unit of each is flipped once.

    Arguments:
        rows: units 0 and 1, (n, n_visible).
        layers: whose visible units are 0 and 1.

    Shapes:
        result: (n,), nats.

    Reference:
        Besag 1975, "Statistical analysis of non-lattice data".

    Example:
        >>> from energy.rbm.units import BernoulliUnits
        >>> nothing = torch.zeros(2, 1), torch.zeros(2), torch.zeros(1)
        >>> layers = Layers(*nothing, BernoulliUnits(), BernoulliUnits())
        >>> pseudo_log_likelihood(torch.ones(1, 2), layers).exp().tolist()
        [0.25]
    """
    weights, units, parts = layers.weights, layers.hidden, []
    for part in rows.split(max(1, FLIPPED // weights.numel())):
        turn = 1 - 2 * part
        fields = layers.hidden_fields(part)
        flipped = fields[:, None] + turn[..., None] * weights
        before = units.log_normalizer(fields).sum(-1, keepdim=True)
        gain = units.log_normalizer(flipped).sum(-1) - before + turn * layers.visible_bias
        parts.append(-torch.nn.functional.softplus(gain).sum(-1))
    return torch.cat(parts)
