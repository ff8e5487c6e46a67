"""Posterior queries to a Gaussian over named variables, one observation or a batch at a time.

.. math:: p(x_H \\mid x_O) = N\\bigl(x_H;\\; \\mu_{H \\mid O},\\; \\Sigma_{H \\mid O}\\bigr)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

from inference.inputs import as_whole
from inference.memory import require_memory
from inference.random import GeneratorLike
from pgm.linear_gaussian.conditioning import GaussianConditioner
from pgm.linear_gaussian.real_variables import RealVariables

__all__ = ["GaussianPosterior", "GaussianQueries"]


@dataclass(frozen=True)
class GaussianPosterior:
    """Joint law of some variables given evidence; a batch of evidence is a leading axis.

    Attributes:
        variables: k names, the order of the axes.
        mean: (k,) or (B, k).
        covariance_matrix: (k, k) or (B, k, k); singular where a variable is known.

    Example:
        >>> from pgm.linear_gaussian_network import LinearGaussianNetwork
        >>> net = LinearGaussianNetwork([("a", "b")], ["a", "b"], {("a", "b"): 1.0})
        >>> net.query(["b"]).stddev
        tensor([1.4142], dtype=torch.float64)
    """

    variables: tuple[str, ...]
    mean: Tensor
    covariance_matrix: Tensor

    @property
    def variance(self) -> Tensor:
        """Variance of every variable, (k,) or (B, k)."""
        return self.covariance_matrix.diagonal(dim1=-2, dim2=-1)

    @property
    def stddev(self) -> Tensor:
        """Standard deviation of every variable, (k,) or (B, k)."""
        return self.variance.sqrt()

    def to_distribution(self) -> MultivariateNormal:
        """The same law as a torch distribution.

        Raises:
            ValueError: if the covariance is singular: a variable is observed or determined.
        """
        if torch.linalg.cholesky_ex(self.covariance_matrix).info.any():
            raise ValueError(
                f"the covariance of {', '.join(self.variables)} is singular, which torch does not "
                "take; leave out the observed and the determined variables"
            )
        return MultivariateNormal(self.mean, self.covariance_matrix)


class GaussianQueries:
    """Answers about named variables; evidence maps names to numbers or batches, NaN = unobserved.

    Arguments:
        names: the variables.
        conditioner: their joint law.
        like: gives the type and the device of the numbers.

    Example:
        >>> root = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
        >>> law = GaussianConditioner(["a", "b"], torch.zeros(2), root)
        >>> GaussianQueries(RealVariables(["a", "b"]), law, root).expected({"b": 3.0})
        tensor([1.5000, 3.0000])
    """

    def __init__(
        self, names: RealVariables, conditioner: GaussianConditioner, like: Tensor
    ) -> None:
        self._names = names
        self._conditioner = conditioner
        self._like = like

    def query(
        self, numbers: Sequence[int], evidence: Mapping[str, Any] | None
    ) -> GaussianPosterior:
        """Joint posterior of the variables with these numbers."""
        rows, batched = self._rows(evidence)
        needed = len(rows) * len(numbers) ** 2 * rows.element_size()
        what = f"variables: {len(rows)} covariances of {len(numbers)} variables"
        require_memory(needed, what, "ask for marginals", rows.device)
        mean = self._mean(rows, batched)[:, list(numbers)]
        covariance = self._conditioner.covariance(~rows.isnan(), numbers)
        covariance = torch.where(mean.isnan().any(-1)[:, None, None], torch.nan, covariance)
        if not batched:
            mean, covariance = mean.squeeze(0), covariance.squeeze(0)
        return GaussianPosterior(tuple([self._names.names[v] for v in numbers]), mean, covariance)

    def marginals(
        self, numbers: Sequence[int], evidence: Mapping[str, Any] | None
    ) -> dict[str, Normal]:
        """Posterior of each of the variables with these numbers."""
        rows, batched = self._rows(evidence)
        mean = self._mean(rows, batched)
        deviation = self._conditioner.deviation(~rows.isnan())
        deviation = torch.where(mean.isnan(), torch.nan, deviation)
        if not batched:
            mean, deviation = mean.squeeze(0), deviation.squeeze(0)
        # Checked, torch would refuse the standard deviation of zero of what is observed.
        return {
            self._names.names[v]: Normal(mean[..., v], deviation[..., v], validate_args=False)
            for v in numbers
        }

    def expected(self, evidence: Mapping[str, Any] | None) -> Tensor:
        """Posterior mean of all variables, (V,), given one observation."""
        return self._mean(self._single(evidence), batched=False).squeeze(0)

    def sample(
        self, n: int, evidence: Mapping[str, Any] | None, generator: GeneratorLike
    ) -> Tensor:
        """Draws of all variables, (n, V), given one observation."""
        n = as_whole("n", n, least=0)
        rows = self._single(evidence)
        self._mean(rows, batched=False)
        return self._conditioner.sample(rows.expand(n, -1), generator)

    def impute(self, rows: Tensor, draw: bool, generator: GeneratorLike) -> Tensor:
        """Rows (n, V) with their gaps filled by draws or by expectations."""
        rows = rows.detach()
        law = self._conditioner
        filled = law.sample(rows, generator) if draw else law.mean(rows)
        if filled.isnan().any():
            row = int(filled.isnan().any(1).nonzero()[0])
            raise ValueError(f"x: row {row} contradicts the deterministic variables")
        return filled

    def _rows(self, evidence: Mapping[str, Any] | None) -> tuple[Tensor, bool]:
        """Rows (B, V) of evidence, and whether it was a batch."""
        rows, batched = self._names.evidence(evidence, self._like)
        return rows.detach(), batched

    def _single(self, evidence: Mapping[str, Any] | None) -> Tensor:
        """The row (1, V) of one observation."""
        rows, batched = self._rows(evidence)
        if batched:
            raise ValueError("evidence must be one observation here, found a batch; see impute")
        return rows

    def _mean(self, rows: Tensor, batched: bool) -> Tensor:
        """Posterior means, (B, V); single evidence must be possible."""
        mean = self._conditioner.mean(rows)
        if not batched and mean.isnan().any():
            raise ValueError(
                "evidence is impossible: it contradicts what deterministic variables must be"
            )
        return mean
