"""Normal vectors whose features are independent given the state.

.. math:: \\log p(x \\mid k) = -\\tfrac12 \\sum_{j \\text{ observed}} \\bigl[
          \\log 2 \\pi \\sigma_{kj}^2 + (x_j - \\mu_{kj})^2 / \\sigma_{kj}^2 \\bigr]
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from pgm.hidden_markov.emissions import Numbers, Options, Statistics
from pgm.hidden_markov.gaussian import NEGLIGIBLE, GaussianEmissions, Place

__all__ = ["DiagonalGaussianEmissions"]

#: Squared distance of a mean from the centre, in variances of its state, beyond which expanded
#: squares would lose more than five digits.
FAR = 1e4
#: Shares of the squared step of a mean below which a variance is a rounding error.
ROUNDING = 64 * torch.finfo(torch.float64).eps


class Prepared(NamedTuple):
    """Vectors in the form in which a density is one matrix product.

    Attributes:
        features: z, z^2 and presence of every feature (one row of ones if all are present), with
            z without place and scale, (2 D + D or 1, n).
        values: the vectors as they are, NaN for missing, (n, D).
        place: what z was standardised with.
    """

    features: Tensor
    values: Tensor
    place: Place


@dataclass(frozen=True)
class DiagonalGaussianEmissions(GaussianEmissions):
    """Normal vectors with variances ``covariances`` (K, D), or (K,) if they are spherical.

    A missing number drops out of the product over features. So it needs no expectation, and an
    estimate is the weighted mean and variance of what was observed.

    The statistics (K, D) are weight, sum and sum of squares about the present means, of z.
    """

    def blank(self, n_states: int) -> dict[str, Tensor]:
        """Standard normal."""
        shape = (n_states, self.n_features)
        spread = shape[: 1 if self.covariance_type == "spherical" else 2]
        return {
            "means": torch.zeros(shape, dtype=torch.float64),
            "covariances": torch.ones(spread, dtype=torch.float64),
        }

    def _check_covariances(self, covariances: Tensor) -> None:
        if not ((covariances > 0) & covariances.isfinite()).all():
            raise ValueError(
                f"covariances must be positive and finite, found {covariances.tolist()}"
            )

    def n_parameters(self, n_states: int) -> int:
        """Means and variances."""
        spherical = self.covariance_type == "spherical"
        return n_states * (self.n_features + (1 if spherical else self.n_features))

    def prepare(self, values: Tensor, reference: Place) -> Prepared:
        """Features of the vectors."""
        z = (values - reference.centre) / reference.scale
        present = ~z.isnan()
        known = z.nan_to_num(nan=0.0).T
        complete = bool(present.all())
        last = torch.ones_like(known[:1]) if complete else present.T.to(z.dtype)
        return Prepared(torch.cat([known, known.square(), last]), values, reference)

    def _variances(self, numbers: Numbers) -> Tensor:
        """Variances as (K, D)."""
        covariances = numbers["covariances"]
        if self.covariance_type == "diag":
            return covariances
        return covariances[:, None].expand_as(numbers["means"])

    def _standardized(self, numbers: Numbers, place: Place) -> tuple[Tensor, Tensor, Tensor]:
        """Means and variances of z, and which states are far from the centre."""
        means = (numbers["means"] - place.centre) / place.scale
        variances = self._variances(numbers) / place.scale.square()
        return means, variances, (means.square() > FAR * variances).any(1)

    def log_likelihood(
        self, numbers: Numbers, prepared: Prepared, out: Tensor | None = None
    ) -> Tensor:
        """One matrix product; states far from the centre one by one."""
        means, variances, far = self._standardized(numbers, prepared.place)
        height = -0.5 * (2 * math.pi * self._variances(numbers)).log()
        linear, square = means / variances, -0.5 / variances
        constant = height - 0.5 * means * linear
        if len(prepared.features) == 2 * self.n_features + 1:
            constant = constant.sum(1, keepdim=True)
        table = torch.cat([linear, square, constant], dim=1).masked_fill(far[:, None], 0.0)
        result = torch.matmul(table, prepared.features, out=out)
        if not far.any():
            return result
        x, variances = prepared.values, self._variances(numbers)
        rows = []
        for k in far.nonzero().flatten().tolist():
            # A gap must not reach the gradient: zero times NaN is NaN.
            gaps = torch.where(x.isnan(), numbers["means"][k], x) - numbers["means"][k]
            logs = height[k] - 0.5 * gaps.square() / variances[k]
            rows.append(logs.masked_fill(x.isnan(), 0.0).sum(1))
        return result.index_copy(0, far.nonzero().flatten(), torch.stack(rows))

    def statistics(self, numbers: Numbers, prepared: Prepared, weights: Tensor) -> Statistics:
        """Sums about the present means."""
        means, _, far = self._standardized(numbers, prepared.place)
        sums = weights @ prepared.features.T
        first, second, weight = sums.tensor_split((self.n_features, 2 * self.n_features), dim=1)
        weight = weight.expand_as(first).contiguous()
        second = second - means * (2 * first - means * weight)
        first = first - means * weight
        for k in far.nonzero().flatten().tolist():
            gaps = (prepared.values - numbers["means"][k]) / prepared.place.scale
            gaps = gaps.nan_to_num(nan=0.0)
            first[k], second[k] = weights[k] @ gaps, weights[k] @ gaps.square()
        return weight, first, second

    def maximize(
        self, numbers: Numbers, statistics: Statistics, reference: Place, options: Options
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Means and variances of the weighted vectors."""
        weight, first, second = statistics
        none = weight <= NEGLIGIBLE * weight.sum(0)
        weight = weight.masked_fill(none, 1.0)
        step = (first / weight).masked_fill(none, 0.0)
        means = numbers["means"] + step * reference.scale
        rest = (second / weight - step.square()).masked_fill(none, 0.0)
        rest = rest.masked_fill(rest <= ROUNDING * step.square(), 0.0)
        squares = rest * reference.scale.square()
        if self.covariance_type == "spherical":
            total = weight.masked_fill(none, 0.0)
            unknown = none.all(1)
            found = (squares * total).sum(1) / total.sum(1).masked_fill(unknown, 1.0)
        else:
            unknown, found = none, squares
        found = torch.where(unknown, numbers["covariances"], found)
        estimate = {"means": means, "covariances": found}
        return self.feasible(estimate, reference, options), none.all(1)

    def feasible(self, numbers: Numbers, reference: Place, options: Options) -> dict[str, Tensor]:
        """Variances below the floor are raised to it.

        Raises:
            ValueError: if there is no floor and a variance is zero.
        """
        least = options.covariance_floor * reference.robust.square()
        if self.covariance_type == "spherical":
            least = least.mean()
        covariances = torch.maximum(numbers["covariances"], least)
        if not (covariances > 0).all():
            state = int((covariances <= 0).nonzero()[0, 0])
            raise ValueError(
                f"state {state} has collapsed onto equal vectors, whose variance is zero; pass "
                "covariance_floor > 0 or fewer states"
            )
        return {**numbers, "covariances": covariances}

    def broad(self, reference: Place, n_states: int) -> dict[str, Tensor]:
        """Mean and variance of all vectors."""
        variances = reference.scale.square().expand(n_states, -1)
        if self.covariance_type == "spherical":
            variances = variances.mean(1)
        return {
            "means": reference.centre.expand(n_states, -1),
            "covariances": variances,
        }

    def sample(self, numbers: Numbers, states: Tensor, generator: torch.Generator) -> Tensor:
        """Normal vectors."""
        means = numbers["means"].detach()[states]
        noise = torch.empty_like(means).normal_(generator=generator)
        return means + self._variances(numbers).detach().sqrt()[states] * noise
