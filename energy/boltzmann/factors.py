"""A Boltzmann machine as a factor graph, and the graph of its pairs.

.. math:: \\log \\phi_i(x_i) = b_i x_i, \\qquad \\log \\phi_{ij}(x_i, x_j) = w_{ij} x_i x_j
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from inference.exact.factor import Factor
from inference.exact.graph import FactorGraph

__all__ = ["pairs_as_factors", "pairs_of"]


def pairs_of(mask: Tensor) -> np.ndarray:
    """Pairs i < j of a mask, (E, 2), int64.

    Example:
        >>> pairs_of(torch.ones(3, 3, dtype=torch.bool)).tolist()
        [[0, 1], [0, 2], [1, 2]]
    """
    return mask.triu(1).nonzero().cpu().numpy()


def pairs_as_factors(weights: Tensor, bias: Tensor, pairs: np.ndarray) -> FactorGraph:
    """The law over variables "0", "1", ...

    Arguments:
        weights: W over the temperature, (n, n).
        bias: b over the temperature, (n,).
        pairs: of units that are joined, (E, 2).

    Example:
        >>> graph = pairs_as_factors(torch.zeros(2, 2), torch.zeros(2), np.array([[0, 1]]))
        >>> round(graph.log_partition().exp().item())
        4
    """
    one = torch.tensor([0.0, 1.0], dtype=torch.float64, device=bias.device)
    both = one[:, None] * one
    factors = [Factor([str(i)], value * one) for i, value in enumerate(bias.double().unbind())]
    values = weights.double()[pairs[:, 0], pairs[:, 1]].unbind()
    for (i, j), value in zip(pairs.tolist(), values, strict=True):
        factors.append(Factor([str(i), str(j)], value * both))
    return FactorGraph({str(i): 2 for i in range(len(bias))}, factors)
