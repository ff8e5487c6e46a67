"""Independent counts.

.. math:: p(x \\mid k) = \\prod_j \\frac{\\lambda_{kj}^{x_j} e^{-\\lambda_{kj}}}{x_j!}
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from inference.logspace import safe_log
from pgm.hidden_markov.emissions import Statistics
from pgm.hidden_markov.poisson import PoissonEmissions
from pgm.mixtures.families.family import Numbers, Titles
from pgm.mixtures.families.observed import ObservedFamily, add_up, column_means, floor_options

__all__ = ["Poisson"]

#: Share of the row in the rates of a component that starts at it.
NEAR = 0.6


@dataclass(frozen=True)
class Poisson(ObservedFamily):
    """Independent counts with ``rates`` (K, d); NaN for missing ones.

    .. math:: \\log p(x \\mid k) = \\sum_{j \\text{ observed}} \\bigl[
              x_j \\log \\lambda_{kj} - \\lambda_{kj} - \\log x_j! \\bigr]

    A ``prior`` of a pseudo-rows is a Gamma law with shape 1 + a m and rate a, m the mean count of
    the column.

    Arguments:
        n_features: d.

    Example:
        >>> Poisson(3).n_parameters(2)
        6
    """

    name: ClassVar[str] = "poisson"

    @property
    def law(self) -> PoissonEmissions:
        """Counts given a hidden state."""
        return PoissonEmissions(self.n_features)

    def clean(self, values: Tensor, title: Titles) -> Tensor:
        """Whole numbers, not negative."""
        wrong = (values < 0) | ((values != values.floor()) & ~values.isnan())
        if wrong.any():
            row, j = wrong.nonzero()[0].tolist()
            raise ValueError(
                f"X holds {values[row, j]:g} in row {row}, {title(j)}; counts must be whole and "
                "not negative, missing ones are NaN"
            )
        return values

    def row_numbers(self, n_components: int) -> int:
        """Counts and presence."""
        return 2 * self.n_features + 1

    def reference(self, values: Tensor, weights: Tensor) -> Tensor:
        """Mean counts, (d,), with half an event more: the posterior mean under Jeffreys' prior."""
        present = weights @ (~values.isnan()).to(values.dtype)
        return column_means(values, weights) + 0.5 / present

    def prepare(self, values: Tensor, reference: Any) -> Any:
        """Counts by column."""
        return self.law.prepare(values, reference)

    def maximize(
        self, numbers: Numbers, statistics: Sequence[Statistics], reference: Tensor, prior: float
    ) -> dict[str, Tensor]:
        """Mean counts; a rate of zero stays zero."""
        total, number = add_up(statistics)
        if prior:
            possible = prior * (numbers["rates"] > 0)
            total, number = total + possible * reference, number + possible
        return self.law.maximize(numbers, (total, number), None, floor_options(0.0))[0]

    def log_prior(self, numbers: Numbers, reference: Tensor, prior: float) -> Tensor:
        """Expected log-likelihood of the pseudo-rows, where rates are not zero."""
        rates = numbers["rates"]
        logs = reference * safe_log(rates).masked_fill(rates == 0, 0.0) - rates
        return prior * logs.sum()

    def broad(self, reference: Tensor, n_components: int) -> dict[str, Tensor]:
        """Mean counts of all rows."""
        return {"rates": reference.expand(n_components, -1)}

    def around(self, rows: Tensor, reference: Tensor) -> dict[str, Tensor]:
        """Rates between the counts of the rows and the means."""
        return {"rates": torch.where(rows.isnan(), reference, rows).lerp(reference, 1 - NEAR)}

    def points(self, values: Tensor, reference: Tensor) -> Tensor:
        """Square roots, which vary alike at all rates."""
        return torch.where(values.isnan(), reference, values).sqrt()
