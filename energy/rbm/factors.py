"""A small machine of two binary layers as a factor graph.

.. math:: \\log \\phi_{ij}(v_i, h_j) = w_{ij} v_i h_j
"""

from __future__ import annotations

import torch

from energy.rbm.layers import Layers
from inference.exact.factor import Factor
from inference.exact.graph import FactorGraph

__all__ = ["layers_as_factors"]


def layers_as_factors(layers: Layers) -> FactorGraph:
    """The law over variables "v0", "v1", ... and "h0", "h1", ...; codes are the units.

    Raises:
        ValueError: real units.

    Example:
        >>> from energy.rbm.units import BernoulliUnits
        >>> nothing = torch.zeros(2, 1), torch.zeros(2), torch.zeros(1)
        >>> graph = layers_as_factors(Layers(*nothing, BernoulliUnits(), BernoulliUnits()))
        >>> round(graph.log_partition().exp().item())
        8
    """
    if layers.visible.states is None or layers.hidden.states is None:
        raise ValueError("a factor graph has no real units; use bernoulli ones")
    weights, sides = layers.weights, (layers.visible_bias, layers.hidden_bias)
    visible = [f"v{i}" for i in range(len(sides[0]))]
    hidden = [f"h{j}" for j in range(len(sides[1]))]
    biases = torch.cat(sides).double().unbind()
    on = torch.tensor([0.0, 1.0], dtype=torch.float64, device=weights.device)
    factors = [
        Factor([name], bias * on) for name, bias in zip(visible + hidden, biases, strict=True)
    ]
    both = on[:, None] * on
    for name, row in zip(visible, weights.double(), strict=True):
        factors += [Factor([name, h], w * both) for h, w in zip(hidden, row, strict=True)]
    return FactorGraph(dict.fromkeys(visible + hidden, 2), factors)
