"""Discrete laws, whose statistics are counts of cells.

.. math:: \\log p(x \\mid k) = \\sum_c \\phi_c(x) \\log \\theta_{kc}, \\qquad
          \\theta_{kc} \\propto \\sum_i r_{ik} \\phi_c(x_i) + a\\, m_c

Here phi tells which cells a row is in, m are the shares of the cells in all rows, and a is the
number of pseudo-rows.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor

from pgm.class_models.events import weighted_sum
from pgm.mixtures.families.family import Family, Init, Numbers

__all__ = ["CountedFamily"]

#: Share of the row in the law of a component that starts at it; the rest is spread evenly.
NEAR = 0.6


class CountedFamily(Family):
    """Abstract base of families of independent discrete columns.

    Prepared rows are the features phi (n, F), one for every state of every column and all zero
    where a column is missing; the statistics are expected counts (K, F).
    """

    own_init: ClassVar[Init] = "random_from_data"
    takes_prior: ClassVar[bool] = True

    @abstractmethod
    def features(self, values: Tensor) -> Tensor:
        """Which cells rows (n, d) are in, (n, F) float64."""

    @abstractmethod
    def log_table(self, numbers: Numbers) -> Tensor:
        """Log-probabilities of the cells, (K, F)."""

    @abstractmethod
    def normalize(self, counts: Tensor, otherwise: Tensor) -> Tensor:
        """Counts (K, F) divided by those of their column; ``otherwise`` where that has none."""

    @abstractmethod
    def from_table(self, table: Tensor) -> dict[str, Tensor]:
        """Numbers that stand for probabilities of the cells (K, F)."""

    @property
    @abstractmethod
    def n_cells(self) -> int:
        """F."""

    def row_numbers(self, n_components: int) -> int:
        """One for every cell."""
        return self.n_cells

    def reference(self, values: Tensor, weights: Tensor) -> Tensor:
        """Shares of the cells in all rows, (1, F), with one more row that is spread evenly.

        With two states this is the posterior mean under Jeffreys' prior, with more under Perks'
        prior. So no state is impossible to pseudo-rows.
        """
        counts = weights @ self.features(values)
        even = self._even(counts[None])
        return self.normalize(counts + even, even)

    def _even(self, like: Tensor) -> Tensor:
        """Equal shares."""
        ones = like.new_ones(1, self.n_cells)
        return self.normalize(ones, ones)

    def prepare(self, values: Tensor, reference: Any) -> Tensor:
        """The features."""
        return self.features(values)

    def log_likelihood(self, numbers: Numbers, prepared: Tensor) -> Tensor:
        """One matrix product."""
        logs = self.log_table(numbers)
        return weighted_sum(prepared.to(logs.dtype), logs).T

    def statistics(self, numbers: Numbers, prepared: Tensor, weights: Tensor) -> Tensor:
        """Expected counts, (K, F)."""
        return weights @ prepared

    def maximize(
        self, numbers: Numbers, statistics: Sequence[Tensor], reference: Tensor, prior: float
    ) -> dict[str, Tensor]:
        """Shares of the counts; what is impossible stays so."""
        present = self.log_table(numbers).exp()
        counts = sum(statistics[1:], statistics[0])
        if prior:
            counts = counts + prior * reference * (present > 0)
        return self.from_table(self.normalize(counts, present))

    def log_prior(self, numbers: Numbers, reference: Tensor, prior: float) -> Tensor:
        """Log-likelihood of the pseudo-rows, in what is possible."""
        logs = self.log_table(numbers)
        return prior * (reference * logs.masked_fill(logs.isinf(), 0.0)).sum()

    def broad(self, reference: Tensor, n_components: int) -> dict[str, Tensor]:
        """Shares of the cells in all rows."""
        return self.from_table(reference.expand(n_components, -1))

    def around(self, rows: Tensor, reference: Tensor) -> dict[str, Tensor]:
        """States of the rows are more probable than the others."""
        even = self._even(reference)
        counts = NEAR * self.features(rows) + (1 - NEAR) * even
        return self.from_table(self.normalize(counts, even))

    def points(self, values: Tensor, reference: Tensor) -> Tensor:
        """The features; where a column is missing, its shares."""
        features = self.features(values)
        return self.normalize(features, reference.expand_as(features))
