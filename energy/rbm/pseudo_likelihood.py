"""How likely single variables are given all others, summed: a score that needs no log Z.

.. math:: \\sum_i \\log p(v_i \\mid v_{-i}) =
          -\\sum_i \\log \\sum_k e^{F(v) - F(v^{(i \\to k)})}
"""

from __future__ import annotations

import torch
from torch import Tensor

from energy.rbm.layers import Layers

__all__ = ["pseudo_log_likelihood"]

#: Rows times weights that are changed at a time.
CHANGED = 2**22


def pseudo_log_likelihood(rows: Tensor, layers: Layers) -> Tensor:
    """Pseudo-log-likelihoods of rows; every variable of each is set to each of its states once.

    Arguments:
        rows: visible units, (n, n_units).
        layers: whose visible units have finitely many states.

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
    width, alphabet = layers.visible.width, layers.visible.alphabet
    if alphabet is None:
        raise ValueError("pseudo-likelihoods are of visible units with states, not of real ones")
    states = alphabet.to(rows)
    weights = layers.weights.unflatten(0, (-1, width))
    biases = layers.visible_bias.unflatten(0, (-1, width))
    turns = torch.arange(1, len(states), device=rows.device)
    parts = []
    for part in rows.split(max(1, CHANGED * width // (weights.numel() * len(turns)))):
        own = (part.unflatten(1, (-1, width))[:, :, None] == states).all(-1).long().argmax(-1)
        # Every other state of a variable, less the one that it is in: (rows, n, K - 1, width).
        change = states[(own[..., None] + turns) % len(states)] - states[own][:, :, None]
        fields = layers.hidden_fields(part)
        moved = fields[:, None, None] + _times(change, weights)
        before = layers.hidden.log_normalizer(fields).sum(-1)[:, None, None]
        gains = layers.hidden.log_normalizer(moved).sum(-1) - before
        gains = gains + (change * biases[:, None]).sum(-1)
        parts.append(-torch.nn.functional.pad(gains, (1, 0)).logsumexp(-1).sum(-1))
    return torch.cat(parts)


def _times(change: Tensor, weights: Tensor) -> Tensor:
    """What changes of units, (rows, n, K - 1, width), do to hidden fields, (..., n_hidden)."""
    if weights.shape[1] == 1:  # one product each, which an einsum would copy for
        return change * weights
    return torch.einsum("nirw,iwh->nirh", change, weights)
