"""Vectors given the hidden state, normal: what all forms of the covariance share.

.. math:: p(x_t \\mid z_t = k) = N(x_t; \\mu_k, \\Sigma_k)
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor
from typing_extensions import Self

from pgm.hidden_markov.clusters import assign
from pgm.hidden_markov.emissions import Emissions, Init, Numbers
from pgm.hidden_markov.token_sequences import TokenSequences, flatten

__all__ = ["CovarianceType", "GaussianEmissions", "Place", "as_vectors"]

CovarianceType: TypeAlias = Literal["full", "tied", "diag", "spherical"]

#: Beyond this the square of a number is none.
LARGEST = 1e150
#: Robust scale in units of the plain one, at least; its inverse squared must have a square.
SPAN = 1e-30
#: Share of all tokens below which a state has none.
NEGLIGIBLE = 1e-14


@dataclass(frozen=True)
class Place:
    """Where the data lie, so that sums of squares do not cancel.

    Attributes:
        centre: of every feature, (D,).
        scale: standard deviation of every feature, 1 where it is zero, (D,).
        robust: like the scale, but not moved by single large numbers, (D,).
    """

    centre: Tensor
    scale: Tensor
    robust: Tensor

    def standardize(self, x: Tensor) -> Tensor:
        """Numbers without place and scale; missing ones are zero."""
        return ((x - self.centre) / self.scale).nan_to_num(nan=0.0)


@dataclass(frozen=True)
class GaussianEmissions(Emissions):
    """Normal vectors; NaN are missing entries, which are integrated out.

    The parameters are ``means`` (K, D) and ``covariances``, whose shape depends on their type.

    Arguments:
        n_features: D; 0 learns it.
        covariance_type: form of the covariances.
    """

    n_features: int
    covariance_type: CovarianceType
    name: ClassVar[str] = "gaussian"
    own_init: ClassVar[Init] = "kmeans"
    cancels: ClassVar[bool] = True

    @property
    def width(self) -> int:
        """Number of features."""
        return self.n_features

    def config(self) -> dict[str, Any]:
        """Number of features and form of the covariances."""
        return {"n_features": self.n_features or None, "covariance_type": self.covariance_type}

    def read(self, sequences: Any, lengths: Any, *, learn: bool) -> tuple[Self, TokenSequences]:
        """Rows of numbers (N, D), NaN for missing."""
        found = as_vectors(sequences, lengths, 0 if learn else self.n_features)
        return replace(self, n_features=found.values.shape[1]), found

    def check(self, numbers: Numbers) -> None:
        """Means must be finite and covariances positive definite."""
        means, covariances = numbers["means"], numbers["covariances"]
        if not means.isfinite().all():
            raise ValueError(f"means must be finite, found {means.tolist()}")
        self._check_covariances(covariances)

    @abstractmethod
    def _check_covariances(self, covariances: Tensor) -> None:
        """Refuse covariances that are not positive definite."""

    def reference(self, values: Tensor) -> Place:
        """Means and deviations of the observed numbers."""
        centre = values.nanmean(0).nan_to_num(nan=0.0)
        centre = centre + (values - centre).nanmean(0).nan_to_num(nan=0.0)
        variance = (values - centre).square().nanmean(0).nan_to_num(nan=0.0)
        # Deviations that are rounding errors of equal numbers are none.
        scale = variance.sqrt()
        scale = torch.where(scale > 4e-16 * centre.abs(), scale, 1.0)
        return Place(centre, scale, scale)

    def learning_reference(self, values: Tensor) -> Place:
        """The same, and the scales that the floor of the covariances refers to.

        .. math:: s_j = \\min(\\mathrm{sd}_j, \\mathrm{IQR}_j / 1.349)

        and the standard deviation where half of the numbers are equal; for a constant feature,
        the largest one of all features.

        Raises:
            ValueError: if a feature has no number, or all features are constant.
        """
        missing = values.isnan().all(0)
        if missing.any():
            raise ValueError(
                f"sequences have no observed number of feature {int(missing.nonzero()[0])}; "
                "leave it out"
            )
        place = self.reference(values)
        quartiles = np.nanquantile(values.cpu().numpy(), (0.25, 0.75), axis=0)
        gap = torch.from_numpy(quartiles[1] - quartiles[0]).to(values.device) / 1.349
        spread = (values - place.centre).square().nanmean(0).sqrt()
        spread = spread.masked_fill(spread <= 4e-16 * place.centre.abs(), 0.0)
        robust = torch.where(gap > 0, torch.minimum(gap, spread), spread)
        if not (robust > 0).any():
            raise ValueError("sequences have constant features only; there is nothing to learn")
        robust = torch.where(robust > 0, robust, robust.max())
        return replace(place, robust=torch.maximum(robust, SPAN * place.scale))

    def memberships(
        self,
        values: Tensor,
        reference: Place,
        n_states: int,
        init: Init,
        generator: torch.Generator,
    ) -> Tensor:
        """Every vector belongs to the nearest centre, of k-means or of random vectors."""
        return assign(reference.standardize(values), n_states, init, generator=generator)


def as_vectors(sequences: Any, lengths: Any, width: int) -> TokenSequences:
    """Rows of numbers, NaN for missing.

    Arguments:
        sequences: what the user passed.
        lengths: the same.
        width: how many numbers a row must have; 0 for any.

    Raises:
        TypeError: if they are no numbers.
        ValueError: if rows differ in width, or a number is infinite or beyond 1e150.

    Example:
        >>> as_vectors([[1.0, 2.0], [3.0]], None, 1).values.tolist()
        [[1.0], [2.0], [3.0]]
    """
    parts, sizes = flatten(sequences, lengths, 1, _rows)
    filled = [(i, part) for i, part in enumerate(parts) if len(part)]
    expected = width or (filled[0][1].shape[1] if filled else 0)
    for number, part in filled:
        if part.shape[1] != expected:
            where = f" in sequence {number}" if len(parts) > 1 else ""
            raise ValueError(
                f"sequences must hold rows of {expected} numbers, found rows of "
                f"{part.shape[1]}{where}; several sequences of single numbers are a list of lists "
                "or an array (n, T, 1)"
            )
    rows = np.concatenate([part for _, part in filled]) if filled else np.zeros((0, expected))
    found = TokenSequences(torch.from_numpy(rows), torch.from_numpy(sizes))
    wrong = found.values.abs() > LARGEST
    if wrong.any():
        token, feature = wrong.nonzero()[0].tolist()
        raise ValueError(
            f"sequences hold {rows[token, feature]:g} at {found.place(token)}, feature {feature}; "
            f"numbers must be within {LARGEST:g}, missing ones are NaN"
        )
    return found


def _rows(part: Any) -> np.ndarray:
    """One part as rows of numbers."""
    try:
        array = np.asarray(part)
    except ValueError as error:
        raise ValueError(f"sequences must hold rows of equal width: {error}") from None
    if array.dtype.kind not in "buifO" and array.size > 0:
        raise TypeError(f"sequences must hold real numbers, found {array.dtype}")
    try:
        array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"sequences must hold real numbers: {error}") from None
    if array.ndim not in (1, 2):
        raise ValueError(
            f"sequences must have the shape (T, D) each, or (T,) for D = 1, found {array.shape}"
        )
    return array[:, None] if array.ndim == 1 else array
