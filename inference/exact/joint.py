"""Everything in one table: the exact engine of networks with a few hundred joint states.

.. math:: p(x_v = s \\mid e) \\propto \\sum_x [x_v = s] \\, \\lambda_e(x) \\prod_f \\phi_f(x)

Nothing needs planning: all marginals are one product of a 0/1 matrix with the weighted table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from inference.exact.bounds import SAFE_LOG, log_smallest
from inference.exact.posed import Posed
from inference.exact.potentials import Potentials

__all__ = ["JointTable"]

#: Joint states up to which one table beats any plan.
MOST_STATES = 1024


class JointTable:
    """The weight of every joint state, and which states of which variables it counts for.

    Arguments:
        potentials: tables with few joint states, see :meth:`fits`.
    """

    def __init__(self, potentials: Potentials) -> None:
        structure = potentials.structure
        cards, count = structure.cards, len(structure.cards)
        table = np.ones(cards)
        for factor, scope in zip(potentials.tables, structure.scopes, strict=True):
            shape = [1] * count
            for v in scope:
                shape[v] = cards[v]
            order = sorted(range(len(scope)), key=scope.__getitem__)
            table *= factor.transpose(order).reshape(shape)
        self._weights = table.reshape(-1)
        self._low = sum(potentials.lows)
        self._starts = [0, *np.cumsum(potentials.cards).tolist()]
        self._first = slice(0, potentials.cards[0])
        # Row of the matrix for each possible state of each variable.
        self._rows = [
            np.arange(start, start + card) if kept is None else kept + start
            for start, card, kept in zip(
                self._starts, potentials.cards, potentials.states, strict=False
            )
        ]
        self._matrix = np.zeros((self._starts[-1], len(self._weights)))
        inner = len(self._weights)
        for v, rows in enumerate(self._rows):
            inner //= cards[v]
            view = self._matrix.reshape(self._starts[-1], -1, cards[v], inner)
            for state, row in enumerate(rows):
                view[row, :, state] = 1.0

    @staticmethod
    def fits(potentials: Potentials) -> bool:
        """Whether the table is small and safe from underflow."""
        cards = potentials.structure.cards
        # numpy arrays have at most 64 axes.
        return (
            0 < len(cards) <= 32
            and 0 < math.prod(cards) <= MOST_STATES
            and sum(potentials.lows) >= SAFE_LOG
        )

    def safe_for(self, posed: Posed) -> bool:
        """Whether likelihoods leave the products within range."""
        if not posed.weights:
            return True
        if posed.tiny:
            return False
        low = sum([log_smallest(weight) for weight in posed.weights.values()])
        return self._low + low >= SAFE_LOG

    def _select(self, posed: Posed) -> np.ndarray:
        """Weights of the joint states times the likelihood of the evidence."""
        weights = self._weights
        for v, state in posed.states.items():
            weights = weights * self._matrix[self._rows[v][state]]
        for v, likelihood in posed.weights.items():
            weights = weights * (likelihood @ self._matrix[self._rows[v]])
        return weights

    def log_evidence(self, posed: Posed) -> float:
        """Log of the summed weight."""
        total = float(np.add.reduce(self._select(posed)))
        return math.log(total) if total > 0 else -math.inf

    def marginals(self, posed: Posed, variables: Sequence[int]) -> np.ndarray | None:
        """Posteriors of variables over the model's own states; None if impossible."""
        found = self._matrix @ self._select(posed)
        total = np.add.reduce(found[self._first])
        if not total > 0:
            return None
        found /= total
        starts = self._starts
        if isinstance(variables, range):
            return found
        parts = [found[starts[v] : starts[v + 1]] for v in variables]
        return np.concatenate(parts) if parts else found[:0]
