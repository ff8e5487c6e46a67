"""What models of rows share, directed or not: the mean log-likelihood.

.. math:: \\frac1n \\sum_i \\log p(x^{(i)})
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from torch import Tensor

from inference.model import Model

__all__ = ["RowModel"]


class RowModel(Model):
    """Abstract base of models with a log-probability of every row."""

    @abstractmethod
    def log_prob(self, x: Any) -> Tensor:
        """Log-probability of every row, (n,), nats; missing entries are summed or integrated."""

    def score(self, x: Any) -> Tensor:
        """Mean log-probability of the rows, nats, ().

        Raises:
            ValueError: no rows.
        """
        logs = self.log_prob(x)
        if not len(logs):
            raise ValueError("x has no rows; the mean of nothing is not defined")
        return logs.mean()
