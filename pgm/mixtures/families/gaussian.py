"""Independent normal numbers.

.. math:: p(x \\mid k) = \\prod_j N(x_j; \\mu_{kj}, \\sigma_{kj}^2)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from pgm.hidden_markov.diagonal_gaussian import DiagonalGaussianEmissions
from pgm.hidden_markov.emissions import Statistics
from pgm.hidden_markov.gaussian import LARGEST, Place
from pgm.mixtures.families.family import Numbers, Titles
from pgm.mixtures.families.observed import (
    ObservedFamily,
    add_up,
    column_means,
    floor_options,
    worded,
)

__all__ = ["Gaussian", "Spread", "check_floor", "measure", "within_range"]


class Spread(NamedTuple):
    """Where the rows lie.

    Attributes:
        place: what sums are standardised with, and the scales that floors refer to.
        mean, variance: of every column, with the weights of the rows, (d,).
    """

    place: Place
    mean: Tensor
    variance: Tensor


@dataclass(frozen=True)
class Gaussian(ObservedFamily):
    """Independent normal numbers with ``means`` and ``covariances`` (K, d); NaN for missing.

    .. math:: \\log p(x \\mid k) = -\\tfrac12 \\sum_{j \\text{ observed}} \\bigl[
              \\log 2 \\pi \\sigma_{kj}^2 + (x_j - \\mu_{kj})^2 / \\sigma_{kj}^2 \\bigr]

    Normal vectors with other covariances are a `GaussianMixture`, which also starts better.
    A ``prior`` of a pseudo-rows is a normal-inverse-gamma law around mean and variance of the
    column.

    Arguments:
        n_features: d.
        covariance_floor: least variance, as a share of the squared robust scale of the column.

    Example:
        >>> Gaussian(3).n_parameters(2)
        12
    """

    covariance_floor: float = 1e-6
    name: ClassVar[str] = "gaussian"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_floor(self.covariance_floor)

    @property
    def law(self) -> DiagonalGaussianEmissions:
        """Numbers given a hidden state."""
        return DiagonalGaussianEmissions(self.n_features, "diag")

    def config(self) -> dict[str, Any]:
        """Number of columns and floor."""
        return {"n_features": self.n_features, "covariance_floor": self.covariance_floor}

    def clean(self, values: Tensor, title: Titles) -> Tensor:
        """Numbers whose squares are numbers."""
        return within_range(values, title)

    def row_numbers(self, n_components: int) -> int:
        """Numbers, squares and presence."""
        return 4 * self.n_features

    def reference(self, values: Tensor, weights: Tensor) -> Spread:
        """Place and spread."""
        return measure(self.law, values, weights)

    def prepare(self, values: Tensor, reference: Spread | None) -> Any:
        """Numbers and squares by column."""
        known = self.law.reference(values.detach()) if reference is None else reference.place
        return self.law.prepare(values, known)

    def maximize(
        self, numbers: Numbers, statistics: Sequence[Statistics], reference: Spread, prior: float
    ) -> dict[str, Tensor]:
        """Means and variances."""
        weight, first, second = add_up(statistics)
        place, mean, variance = reference
        gap = (mean - numbers["means"]) / place.scale
        weight, first = weight + prior, first + prior * gap
        second = second + prior * (variance / place.scale.square() + gap.square())
        options = floor_options(self.covariance_floor)
        with worded({"state": "component"}):
            return self.law.maximize(numbers, (weight, first, second), place, options)[0]

    def feasible(self, numbers: Numbers, reference: Spread) -> dict[str, Tensor]:
        """Variances not below the floor."""
        options = floor_options(self.covariance_floor)
        with worded({"state": "component"}):
            return self.law.feasible(numbers, reference.place, options)

    def log_prior(self, numbers: Numbers, reference: Spread, prior: float) -> Tensor:
        """Expected log-likelihood of the pseudo-rows."""
        variances = numbers["covariances"]
        squares = reference.variance + (reference.mean - numbers["means"]).square()
        logs = (2 * math.pi * variances).log() + squares / variances
        return -0.5 * prior * logs.sum()

    def broad(self, reference: Spread, n_components: int) -> dict[str, Tensor]:
        """Mean and variance of all rows."""
        return self.law.broad(reference.place, n_components)

    def around(self, rows: Tensor, reference: Spread) -> dict[str, Tensor]:
        """Means at the rows, with the variances of all."""
        variances = self.broad(reference, len(rows))["covariances"]
        means = torch.where(rows.isnan(), reference.mean, rows)
        return {"means": means, "covariances": variances.contiguous()}


def measure(law: Any, values: Tensor, weights: Tensor) -> Spread:
    """Where rows (n, d) lie, for a law of normal vectors.

    Raises:
        ValueError: if all columns are constant.
    """
    present = ~values.isnan()
    if ((values == values.nan_to_num(nan=-math.inf).amax(0)) | ~present).all():
        raise ValueError("X has constant columns only; there is nothing to learn")
    mean = column_means(values, weights)
    with worded({"sequences have": "X has", "features": "columns"}):
        place = law.learning_reference(values)
    return Spread(place, mean, column_means((values - mean).square(), weights))


def within_range(values: Tensor, title: Titles) -> Tensor:
    """Numbers as they are.

    Raises:
        ValueError: if the square of one would not be a number.
    """
    wrong = values.abs() > LARGEST
    if wrong.any():
        row, j = wrong.nonzero()[0].tolist()
        raise ValueError(
            f"X holds {values[row, j]:g} in row {row}, {title(j)}; numbers must be within "
            f"{LARGEST:g}, missing ones are NaN"
        )
    return values


def check_floor(floor: float) -> None:
    """Refuse a floor that is none.

    Raises:
        TypeError: if it is no number.
        ValueError: if it is out of range.
    """
    if not isinstance(floor, Real):
        raise TypeError(f"covariance_floor must be a number, found {floor!r}")
    if not 0 <= floor < 1:
        raise ValueError(f"covariance_floor must be at least 0 and below 1, found {floor}")
