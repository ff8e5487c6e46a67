"""Besag's pseudo-likelihood: every variable given all others, without a sum over joint states.

.. math:: L = \\frac1W \\sum_i w_i \\sum_v \\log p(x^{(i)}_v \\mid x^{(i)}_{-v})
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from inference.sampling.density import DiscreteDensity
from inference.sampling.factor_arrays import FactorArrays
from pgm.discrete_data import DiscreteData

__all__ = ["PseudoLikelihood"]

#: Conditional log-weights computed at a time.
CHUNK = 1 << 21


class PseudoLikelihood:
    """The mean log pseudo-likelihood of complete rows as a function of the log tables.

    Its maximum tends to the true weights as rows are added. All variables of all rows are done
    at once: a Gibbs sweep without the draws.

    Arguments:
        arrays: scopes.
        rows: the data, without gaps and possible under the hard zeros.

    Reference:
        Besag 1975, "Statistical analysis of non-lattice data", section 3; Koller & Friedman
        2009, section 20.6.1.
    """

    def __init__(self, arrays: FactorArrays, rows: DiscreteData) -> None:
        # One colour: nobody moves, so neighbours may stand in one block.
        colors = np.zeros(len(arrays.cards), dtype=np.int64)
        self._density = DiscreteDensity(arrays, torch.zeros(arrays.size).double(), colors=colors)
        codes = torch.from_numpy(rows.codes()).to(torch.int32)
        weights = torch.ones(rows.n_rows).double()
        if rows.weights is not None:
            weights = torch.from_numpy(rows.weights)
        size = max(1, CHUNK // max(int(arrays.cards.sum()), 1))
        self._parts = [
            (part.T.contiguous().T, weight / rows.total)
            for part, weight in zip(codes.split(size), weights.split(size), strict=True)
        ]

    def __call__(self, logs: Tensor) -> tuple[float, Tensor]:
        """Mean log pseudo-likelihood, nats, and its gradient by the log tables, (size,)."""
        density = self._density.with_logs(logs)
        total, gradient = 0.0, torch.zeros_like(logs)
        for codes, weights in self._parts:
            for block in density.blocks:
                logits = density.conditionals(block, codes).log_softmax(0)
                seen = codes.T[block.variables].long()[None]
                picked = logits.gather(0, seen)
                total += float((picked[0] * weights).sum())
                residual = logits.exp_().neg_()
                residual.scatter_add_(0, seen, torch.ones_like(picked))
                gradient += density.pull_back(block, codes, residual.mul_(weights))
        return total if not math.isnan(total) else -math.inf, gradient
