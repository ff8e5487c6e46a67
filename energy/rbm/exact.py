"""Sums over all states of a machine of two layers, one of which is small.

.. math:: Z = \\sum_h e^{b \\cdot h - s(h)} \\prod_i e^{A(a_i + \\sum_j w_{ij} h_j)}
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from energy.rbm.layers import Layers
from energy.rbm.units import Units

__all__ = ["exact_log_partition", "summed_states"]

#: Joint states that are summed at most, and at a time.
MOST_STATES, CHUNK = 2**25, 2**13


def summed_states(units: Units, size: int) -> float:
    """Number of joint states of a layer of so many units; infinite if they are real.

    Example:
        >>> from energy.rbm.units import BernoulliUnits
        >>> summed_states(BernoulliUnits(), 3)
        8.0
    """
    alphabet, variables = units.alphabet, size // units.width
    if alphabet is None or variables * math.log2(len(alphabet)) > 1000:
        return math.inf
    return float(len(alphabet)) ** variables


def exact_log_partition(layers: Layers) -> Tensor:
    """Log Z, summing over all states of the layer that has fewer, (), float64, nats.

    Raises:
        ValueError: more states than can be summed.

    Example:
        >>> from energy.rbm.units import BernoulliUnits
        >>> nothing = torch.zeros(3, 2), torch.zeros(3), torch.zeros(2)
        >>> layers = Layers(*nothing, BernoulliUnits(), BernoulliUnits())
        >>> exact_log_partition(layers).exp().round().item()
        32.0
    """
    w, a, b = layers.weights, layers.visible_bias, layers.hidden_bias
    if summed_states(layers.visible, len(a)) <= summed_states(layers.hidden, len(b)):
        return _summed(w, a, b, layers.visible, layers.hidden)
    return _summed(w.T, b, a, layers.hidden, layers.visible)


def _summed(
    weights: Tensor, near_bias: Tensor, far_bias: Tensor, near: Units, far: Units
) -> Tensor:
    """Log Z, summing over all states of the near layer; weights are (near, far)."""
    count = summed_states(near, len(near_bias))
    if near.alphabet is None or count > MOST_STATES:
        shown = f"2^{math.log2(count):.0f}" if count < math.inf else "infinitely many"
        raise ValueError(
            f"the smaller layer has {shown} states, more than 2^25, which can be summed; use "
            'method="ais"'
        )
    weights, near_bias, far_bias = weights.double(), near_bias.double(), far_bias.double()
    alphabet = near.alphabet.to(weights.device)
    total = torch.full((), -math.inf, dtype=torch.float64, device=weights.device)
    for first in range(0, int(count), CHUNK):
        codes = torch.arange(first, min(first + CHUNK, int(count)), device=weights.device)
        digits = _digits(codes, len(alphabet), len(near_bias) // near.width)
        states = alphabet[digits].flatten(1)
        logs = states @ near_bias - near.self_energy(states)
        logs = logs + far.log_normalizer(torch.addmm(far_bias, states, weights)).sum(1)
        total = torch.logaddexp(total, logs.logsumexp(0))
    return total


def _digits(codes: Tensor, base: int, length: int) -> Tensor:
    """Digits of numbers, (n, length), the first changing fastest."""
    powers = base ** torch.arange(length, device=codes.device)
    return codes[:, None] // powers % base
