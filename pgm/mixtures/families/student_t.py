"""Vectors with heavy tails: Student's t law.

.. math:: p(x \\mid k) = \\int N(x; \\mu_k, \\Sigma_k / u)\\,
          \\mathrm{Gamma}(u; \\tfrac{\\nu_k}{2}, \\tfrac{\\nu_k}{2})\\, du
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from inference.inputs import as_whole, check_choice
from inference.random import numpy_generator
from pgm.hidden_markov.diagonal_gaussian import DiagonalGaussianEmissions
from pgm.hidden_markov.full_gaussian import FullGaussianEmissions
from pgm.linear_gaussian.missing_patterns import PatternBlock, pattern_blocks
from pgm.mixtures.families.degrees import Distances, improve_degrees, t_log_prob
from pgm.mixtures.families.family import Family, Numbers, Titles
from pgm.mixtures.families.gaussian import Spread, check_floor, measure, within_range
from pgm.mixtures.families.observed import floor_options, worded
from pgm.mixtures.families.scatter import DiagonalScatter, FullScatter

__all__ = ["StudentT"]

Scale: TypeAlias = Literal["full", "diag"]

#: Degrees of freedom that learning starts with.
FIRST_DEGREES = 8.0
#: Robust scales that no entry is farther from the mean than, where k-means looks at it.
FAR = 3.0


class Prepared(NamedTuple):
    """Rows sorted by which entries they have, without those that have none.

    Attributes:
        blocks: of equal numbers of present entries.
        present: these entries, (P, m, k) for every block.
        n_rows: of all rows.
    """

    blocks: list[PatternBlock]
    present: list[Tensor]
    n_rows: int


class Shares(NamedTuple):
    """Rows of a block and what they weigh in the components.

    Attributes:
        block: their places.
        present: their entries, (P, m, k).
        distances: weights and squared distances from the means, (K, P, m).
    """

    block: PatternBlock
    present: Tensor
    distances: Distances


@dataclass(frozen=True)
class StudentT(Family):
    """Student's t law with ``means`` (K, d), ``scales`` and ``degrees`` (K,); NaN for missing.

    .. math:: \\log p(x) = \\log \\frac{\\Gamma(\\frac{\\nu + p}{2})}{\\Gamma(\\frac\\nu2)}
              - \\tfrac12 \\log |\\nu \\pi \\Sigma|
              - \\tfrac{\\nu + p}{2} \\log\\Bigl(1 + \\tfrac{\\delta}{\\nu}\\Bigr), \\qquad
              \\delta = (x - \\mu)^\\top \\Sigma^{-1} (x - \\mu)

    With missing entries these are the present p entries and their part of the scale matrix, which
    is exact. Far rows weigh little: (nu + p) / (nu + delta). A ``prior`` of a pseudo-rows is a
    normal-inverse-Wishart law around means and variances of the columns.

    Arguments:
        n_features: d.
        scale: "full", ``scales`` (K, d, d), or "diag", (K, d). The entries are not independent
            even then: they share the u of a row.
        degrees: of freedom, the same in all components and fixed; None learns one for each,
            between 0.1 and 10,000.
        covariance_floor: least eigenvalue of a scale matrix, as a share of the squared robust
            scales of the columns.

    Reference:
        Peel & McLachlan 2000, "Robust mixture modelling using the t distribution", sections 3 and
        4; Liu & Rubin 1995, "ML estimation of the t distribution using EM and its extensions,
        ECM and ECME", sections 3 (missing entries) and 4 (ECME).

    Example:
        >>> StudentT(3).n_parameters(2)
        20
    """

    n_features: int
    scale: Scale = "full"
    degrees: float | None = None
    covariance_floor: float = 1e-6
    name: ClassVar[str] = "student-t"
    takes_prior: ClassVar[bool] = True

    def __post_init__(self) -> None:
        as_whole("n_features", self.n_features, least=1)
        check_floor(self.covariance_floor)
        check_choice("scale", self.scale, Scale)
        if self.degrees is not None and not 0 < self.degrees < math.inf:
            raise ValueError(f"degrees must be positive and finite, found {self.degrees}")

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.n_features

    @property
    def _law(self) -> FullGaussianEmissions | DiagonalGaussianEmissions:
        """The normal law with the same means and matrices."""
        if self.scale == "full":
            return FullGaussianEmissions(self.n_features, "full")
        return DiagonalGaussianEmissions(self.n_features, "diag")

    @property
    def _scatter(self) -> type[FullScatter] | type[DiagonalScatter]:
        return FullScatter if self.scale == "full" else DiagonalScatter

    def config(self) -> dict[str, Any]:
        """The arguments."""
        return {
            "n_features": self.n_features,
            "scale": self.scale,
            "degrees": self.degrees,
            "covariance_floor": self.covariance_floor,
        }

    def _with_degrees(self, normal: Numbers) -> dict[str, Tensor]:
        """Numbers of a normal law as those of this one."""
        means = normal["means"]
        degrees = means.new_full((len(means),), self.degrees or FIRST_DEGREES)
        return {"means": means, "scales": normal["covariances"], "degrees": degrees}

    def blank(self, n_components: int) -> dict[str, Tensor]:
        """Unit matrices."""
        return self._with_degrees(self._law.blank(n_components))

    def check(self, numbers: Numbers) -> None:
        """Scale matrices must be positive definite, and degrees of freedom positive."""
        degrees = numbers["degrees"]
        if not ((degrees > 0) & degrees.isfinite()).all():
            raise ValueError(f"degrees must be positive and finite, found {degrees.tolist()}")
        with worded({"covariances": "scales"}):
            self._law.check({"means": numbers["means"], "covariances": numbers["scales"]})

    def n_parameters(self, n_components: int) -> int:
        """Means, scale matrices, and degrees of freedom that are learned."""
        free = n_components if self.degrees is None else 0
        return self._law.n_parameters(n_components) + free

    def clean(self, values: Tensor, title: Titles) -> Tensor:
        """Numbers whose squares are numbers."""
        return within_range(values, title)

    def row_numbers(self, n_components: int) -> int:
        """Entries, weights and distances."""
        return 2 * self.n_features + 2 * n_components

    def reference(self, values: Tensor, weights: Tensor) -> Spread:
        """Place and spread."""
        return measure(self._law, values, weights)

    def prepare(self, values: Tensor, reference: Any) -> Prepared:
        """Rows by pattern of missing entries."""
        found = pattern_blocks(~values.detach().isnan())
        blocks = [block for block in found if block.observed.shape[1]]
        return Prepared(blocks, [block.values(values) for block in blocks], len(values))

    def log_likelihood(self, numbers: Numbers, prepared: Prepared) -> Tensor:
        """All components at once, pattern by pattern; a row without entries adds nothing."""
        degrees = numbers["degrees"]
        result = degrees.new_zeros(len(degrees), prepared.n_rows)
        scatter = self._scatter(numbers)
        for block, present in zip(prepared.blocks, prepared.present, strict=True):
            delta, log_det = scatter.distances(block, present)
            logs = t_log_prob(delta, log_det, block.observed.shape[1], degrees)
            result = result.index_copy(1, block.rows[block.valid], logs[:, block.valid])
        return result

    def statistics(self, numbers: Numbers, prepared: Prepared, weights: Tensor) -> list[Shares]:
        """The rows themselves: degrees of freedom have no sums that suffice."""
        scatter, found = self._scatter(numbers), []
        for block, present in zip(prepared.blocks, prepared.present, strict=True):
            mine = torch.where(block.valid, weights[:, block.rows], 0.0)
            delta, _ = scatter.distances(block, present)
            found.append(Shares(block, present, Distances(block.observed.shape[1], mine, delta)))
        return found

    def maximize(
        self,
        numbers: Numbers,
        statistics: Sequence[list[Shares]],
        reference: Spread,
        prior: float,
    ) -> dict[str, Tensor]:
        """Degrees of freedom that raise the likelihood itself, then means and matrices.

        Given the responsibilities both steps raise the same objective, so that their order is
        free, and this one needs the distances from the present means only.
        """
        shares = [part for block in statistics for part in block]
        degrees = numbers["degrees"]
        if self.degrees is None:
            degrees = improve_degrees([part.distances for part in shares], degrees)
        scatter = self._scatter(numbers)
        for block, present, distances in shares:
            scatter.add(block, present, distances, degrees)
        scatter.add_prior(prior, reference.mean, reference.variance)
        means, scales = scatter.estimate()
        found = {"means": means, "scales": scales, "degrees": degrees}
        return self.feasible(found, reference)

    def feasible(self, numbers: Numbers, reference: Spread) -> dict[str, Tensor]:
        """Scale matrices not below the floor."""
        normal = {"means": numbers["means"], "covariances": numbers["scales"]}
        options = floor_options(self.covariance_floor)
        with worded({"state": "component", "covariance has": "scale matrix has"}):
            found = self._law.feasible(normal, reference.place, options)
        return {**numbers, "scales": found["covariances"]}

    def log_prior(self, numbers: Numbers, reference: Spread, prior: float) -> Tensor:
        """Expected log-density of the pseudo-rows under the normal law."""
        scatter = self._scatter(numbers)
        return prior * scatter.normal_log_prob(reference.mean, reference.variance)

    def broad(self, reference: Spread, n_components: int) -> dict[str, Tensor]:
        """Means and variances of all rows."""
        return self._with_degrees(self._law.broad(reference.place, n_components))

    def around(self, rows: Tensor, reference: Spread) -> dict[str, Tensor]:
        """Means at the rows, with the variances of all."""
        found = self.broad(reference, len(rows))
        means = torch.where(rows.isnan(), reference.mean, rows)
        return {**found, "means": means, "scales": found["scales"].contiguous()}

    def points(self, values: Tensor, reference: Spread) -> Tensor:
        """Standardised entries, drawn in so that no outlier is a cluster of its own."""
        z = (values - reference.mean) / reference.place.robust
        return (z / (1 + (z / FAR).square()).sqrt()).nan_to_num(nan=0.0)

    def sample(self, numbers: Numbers, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Normal vectors, stretched by the root of an inverse Gamma number each."""
        means = numbers["means"][labels]
        centred = {"means": torch.zeros_like(numbers["means"]), "covariances": numbers["scales"]}
        noise = self._law.sample(centred, labels, generator)
        half = numbers["degrees"][labels] / 2
        # numpy's generator, as torch has no public Gamma numbers from a generator.
        drawn = numpy_generator(generator).standard_gamma(half.cpu().numpy())
        u = torch.from_numpy(drawn).to(half.device) / half
        return means + noise / u.sqrt()[:, None]
