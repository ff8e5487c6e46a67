"""Log-weight of complete joint states: a sum of table look-ups.

.. math:: \\log \\prod_f \\phi_f(x_{S_f}) = \\sum_f \\ell_f(x_{S_f})
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from inference.exact.structure import Structure

__all__ = ["complete_log_prob"]


def complete_log_prob(structure: Structure, logs: Tensor, codes: np.ndarray) -> Tensor:
    """Return the log-weight of every row, with gradients to the tables.

    Arguments:
        structure: cardinalities and scopes.
        logs: (total,) logarithms of all tables, one after the other.
        codes: (n, V) state codes without gaps.

    Shapes:
        result: (n,).
    """
    columns = torch.from_numpy(np.ascontiguousarray(codes.T)).to(logs.device)
    total = logs.new_zeros(len(codes))
    for offset, scope in zip(structure.offsets, structure.scopes, strict=False):
        index, stride = offset, 1
        for v in reversed(scope):
            index = columns[v] * stride + index
            stride *= structure.cards[v]
        if isinstance(index, int):
            total = total + logs[index]
        else:
            total = total + logs.index_select(0, index)
    return total
