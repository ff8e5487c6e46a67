"""Units joined in pairs as a factor graph, and the pairs of a mask.

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


def pairs_as_factors(
    couplings: Tensor,
    bias: Tensor,
    pairs: np.ndarray,
    states: tuple[float, float] = (0.0, 1.0),
) -> FactorGraph:
    """The law over variables "0", "1", ..., of which each is in one of two states.

    Arguments:
        couplings: w over the temperature, (E,).
        bias: b over the temperature, (n,).
        pairs: of units that are joined, (E, 2).
        states: what codes 0 and 1 stand for.

    Example:
        >>> graph = pairs_as_factors(torch.zeros(1), torch.zeros(2), np.array([[0, 1]]))
        >>> round(graph.log_partition().exp().item())
        4
    """
    one = torch.tensor(states, dtype=torch.float64, device=bias.device)
    both = one[:, None] * one
    factors = [Factor([str(i)], value * one) for i, value in enumerate(bias.double().unbind())]
    for (i, j), value in zip(pairs.tolist(), couplings.double().unbind(), strict=True):
        factors.append(Factor([str(i), str(j)], value * both))
    return FactorGraph({str(i): 2 for i in range(len(bias))}, factors)
