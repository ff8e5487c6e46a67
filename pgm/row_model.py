"""What models of rows share, directed or not: the mean log-likelihood.

.. math:: \\frac1n \\sum_i \\log p(x^{(i)})
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from torch import Tensor

from inference.model import Model
from inference.rows import mean_over_rows

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
        return mean_over_rows(self.log_prob(x))
