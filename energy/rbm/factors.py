"""A small machine of two layers of finitely many states as a factor graph.

.. math:: \\log \\phi_{ij}(v_i, h_j) = x(v_i)^\\top W_{ij}\\, x(h_j)
"""

from __future__ import annotations

import torch

from energy.rbm.layers import Layers
from inference.exact.factor import Factor
from inference.exact.graph import FactorGraph

__all__ = ["layers_as_factors"]


def layers_as_factors(layers: Layers) -> FactorGraph:
    """The law over variables "v0", "v1", ... and "h0", "h1", ..., by their states.

    Raises:
        ValueError: real units.

    Example:
        >>> from energy.rbm.units import BernoulliUnits
        >>> nothing = torch.zeros(2, 1), torch.zeros(2), torch.zeros(1)
        >>> graph = layers_as_factors(Layers(*nothing, BernoulliUnits(), BernoulliUnits()))
        >>> round(graph.log_partition().exp().item())
        8
    """
    visible, hidden = layers.visible, layers.hidden
    if visible.alphabet is None or hidden.alphabet is None:
        raise ValueError("a factor graph has no real units; use bernoulli ones")
    # x(v_i) for every state, and all that weights and biases say of pairs of states.
    sides = visible.alphabet.to(layers.weights.device), hidden.alphabet.to(layers.weights.device)
    shape = (-1, visible.width, len(layers.hidden_bias) // hidden.width, hidden.width)
    pairs = torch.einsum(
        "sa,iajb,tb->ijst", sides[0], layers.weights.double().reshape(shape), sides[1]
    )
    biases = [
        bias.double().unflatten(0, (-1, units.width)) @ side.T
        for bias, units, side in zip(
            (layers.visible_bias, layers.hidden_bias), (visible, hidden), sides, strict=True
        )
    ]
    names = [
        [f"{letter}{i}" for i in range(len(b))] for letter, b in zip("vh", biases, strict=True)
    ]
    factors = [
        Factor([name], row)
        for some, bias in zip(names, biases, strict=True)
        for name, row in zip(some, bias, strict=True)
    ]
    for name, row in zip(names[0], pairs, strict=True):
        factors += [Factor([name, h], table) for h, table in zip(names[1], row, strict=True)]
    cards = dict.fromkeys(names[0], len(sides[0])) | dict.fromkeys(names[1], len(sides[1]))
    return FactorGraph(cards, factors)
