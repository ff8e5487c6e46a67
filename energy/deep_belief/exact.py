"""Log-probabilities of small networks, all states of the hidden layers summed one layer at a time.

.. math:: p(h_{l-1}) = \\sum_{h_l} p(h_{l-1} \\mid h_l)\\, p(h_l)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from energy.deep_belief.associative_memory import AssociativeMemory
from energy.deep_belief.directed_layer import DirectedLayer
from energy.rbm.exact import exact_log_partition
from inference.exact.enumerate import enumerate_states

__all__ = ["exact_log_prob"]

#: Units of all layers that are summed together, and states of two layers that are at a time.
MOST_UNITS, PAIRS = 20, 2**22


def exact_log_prob(
    v: Tensor, layers: Sequence[DirectedLayer], memory: AssociativeMemory
) -> Tensor:
    """Log-probability of visible units, (n,), nats, float64.

    The layer on top costs nothing, it is summed out unit by unit.

    Arguments:
        v: visible units, (n, n_visible).
        layers: directed ones, from below.
        memory: the machine on top.

    Raises:
        ValueError: more than 2^20 states of the layers between, or a machine on top whose Z is
            too large a sum.
    """
    sizes = [layer.weights.shape[1] for layer in layers]
    if sum(sizes) > MOST_UNITS:
        raise ValueError(
            f"hidden layers of {sizes} units have 2^{sum(sizes)} states below the top, more than "
            "2^20, which can be summed; use log_prob_bound"
        )
    log_z = exact_log_partition(memory.layers)
    if not layers:
        return memory.log_weight(v).double() - log_z
    states = [enumerate_states([2] * size, device=v.device).to(v) for size in sizes]
    table = memory.log_weight(states[-1]).double() - log_z
    for below, above, layer in zip(states[-2::-1], states[:0:-1], layers[:0:-1], strict=True):
        table = _mixture(below, above, table, layer)
    return _mixture(v, states[0], table, layers[0])


def _mixture(below: Tensor, above: Tensor, table: Tensor, layer: DirectedLayer) -> Tensor:
    """Log-probabilities of states below, given those of all states above, (len(below),)."""
    fields = layer.down_fields(above).double()
    own = table - torch.nn.functional.softplus(fields).sum(1)
    size = max(1, PAIRS // len(above))
    parts = below.double().split(size)
    return torch.cat([torch.addmm(own, part, fields.T).logsumexp(1) for part in parts])
