"""A small stack of layers as a factor graph.

.. math:: \\log \\phi_{ij}(h_{l,i}, h_{l+1,j}) = w_{l,ij}\\, h_{l,i} h_{l+1,j}
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor

from inference.exact.factor import Factor
from inference.exact.graph import FactorGraph

__all__ = ["stack_as_factors"]


def stack_as_factors(weights: Sequence[Tensor], biases: Sequence[Tensor]) -> FactorGraph:
    """The law over variables "v0", "v1", ..., "h1_0", "h1_1", ..., "h2_0", ...; codes are units.

    Arguments:
        weights: W_l, (n_l, n_{l+1}).
        biases: b_l, (n_l,), one more.

    Example:
        >>> zeros = torch.zeros
        >>> graph = stack_as_factors([zeros(1, 2), zeros(2, 1)], [zeros(1), zeros(2), zeros(1)])
        >>> list(graph.cardinalities)
        ['v0', 'h1_0', 'h1_1', 'h2_0']
        >>> round(graph.log_partition().exp().item())
        16
    """
    names = [
        [f"h{layer}_{unit}" if layer else f"v{unit}" for unit in range(len(bias))]
        for layer, bias in enumerate(biases)
    ]
    on = torch.tensor([0.0, 1.0], dtype=torch.float64, device=biases[0].device)
    both = on[:, None] * on
    factors = []
    for own, bias in zip(names, biases, strict=True):
        factors += [Factor([name], b * on) for name, b in zip(own, bias.double(), strict=True)]
    for lower, upper, block in zip(names[:-1], names[1:], weights, strict=True):
        for name, row in zip(lower, block.double(), strict=True):
            factors += [Factor([name, h], w * both) for h, w in zip(upper, row, strict=True)]
    return FactorGraph(dict.fromkeys(chain.from_iterable(names), 2), factors)
