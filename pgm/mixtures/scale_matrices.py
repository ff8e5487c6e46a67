"""Arithmetic of the matrices of a covariance type: what differs, and nothing else.

.. math:: C = L L^\\top, \\qquad A = L^{-1}, \\qquad
          \\log |C^{-1}| = 2 \\sum_j \\log A_{jj}, \\qquad
          \\delta^\\top C^{-1} \\delta = \\|A \\delta\\|^2
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from inference.arrays import namespace
from pgm.mixtures.components import CovarianceType, cholesky, try_cholesky

__all__ = ["SCALES", "ScaleMatrices"]

#: Eigenvalue of a matrix of correlations below which rounding decides whether it has a root.
LEAST_EIGENVALUE = 1e-12


class ScaleMatrices(ABC):
    """Abstract base: matrices C of one type, and factors A, of shapes as in `Scores`.

    The projection of a symmetric matrix to a type has the same trace with every member of it:
    itself, its mean over the components, its diagonal, or the mean of that. Final subclasses have
    no state.
    """

    @abstractmethod
    def factors(self, matrices: Any) -> Any:
        """A of C; ValueError where C is not positive definite."""

    @abstractmethod
    def log_det(self, factors: Any, d: int) -> Any:
        """Log-determinant of the inverse of C in d dimensions, (R, K or 1)."""

    @abstractmethod
    def trace(self, matrices: Any, factors: Any, d: int) -> Any:
        """Trace of B C^{-1} for other matrices B, (R, K or 1)."""

    @abstractmethod
    def squares(self, gaps: Any, factors: Any) -> Any:
        """Squared lengths of gaps (R, K, d) in units of C, (R, K)."""

    @abstractmethod
    def outer(self, gaps: Any) -> Any:
        """Products of gaps (R, K, d) with themselves, (R, K, ...)."""

    @abstractmethod
    def mend(self, matrices: Any, least: Any) -> Any:
        """Matrices that rounding has put below ``least``, which they are not, made usable."""

    def pool(self, values: Any) -> Any:
        """What belongs to components (R, K, ...) as it belongs to matrices."""
        return values

    @staticmethod
    @abstractmethod
    def against(values: Any) -> Any:
        """Numbers (R, K) with the axes that make them broadcast against matrices."""


class Full(ScaleMatrices):
    """One matrix per component."""

    def factors(self, matrices: Any) -> Any:
        xp = namespace(matrices)
        return xp.tril(xp.linalg.inv(cholesky(matrices)))

    def log_det(self, factors: Any, d: int) -> Any:
        xp = namespace(factors)
        return 2 * xp.log(xp.einsum("...ii->...i", factors)).sum(-1)

    def trace(self, matrices: Any, factors: Any, d: int) -> Any:
        return ((factors @ matrices) * factors).sum((-1, -2))

    def squares(self, gaps: Any, factors: Any) -> Any:
        return ((factors @ gaps[..., None])[..., 0] ** 2).sum(-1)

    def outer(self, gaps: Any) -> Any:
        return gaps[..., None] * gaps[..., None, :]

    def mend(self, matrices: Any, least: Any) -> Any:
        # A component of an outlier may be so much wider in one direction than in the others that
        # a matrix cannot hold both: then correlations are made smaller until it has a root.
        xp = namespace(matrices)
        unit = xp.diag(xp.ones_like(matrices[0, 0, 0]))
        if try_cholesky(matrices - LEAST_EIGENVALUE * unit * matrices) is not None:
            return matrices
        variances = xp.einsum("...ii->...i", xp.maximum(matrices, least + 0 * matrices))
        deviations = variances**0.5
        correlations = matrices / (deviations[..., None] * deviations[..., None, :])
        correlations = xp.where(unit > 0, unit, correlations)
        smallest = xp.linalg.eigvalsh(correlations)[..., :1, None]
        # Only those below it are changed, and for these the divisor is about one.
        share = xp.where(smallest < LEAST_EIGENVALUE, LEAST_EIGENVALUE - smallest, 0 * smallest)
        share = share / (share + 1 - LEAST_EIGENVALUE)
        return xp.where(unit > 0, variances[..., None] * unit, (1 - share) * matrices)

    @staticmethod
    def against(values: Any) -> Any:
        return values[..., None, None]


class Tied(Full):
    """One matrix for all components."""

    def pool(self, values: Any) -> Any:
        return values.mean(1)[:, None]


class Diagonal(ScaleMatrices):
    """Independent features."""

    def factors(self, matrices: Any) -> Any:
        if not bool((matrices > 0).all()):
            raise ValueError(f"variances must be positive, found {float(matrices.min()):g}")
        return matrices**-0.5

    def log_det(self, factors: Any, d: int) -> Any:
        return 2 * namespace(factors).log(factors).sum(-1) * (d / factors.shape[-1])

    def trace(self, matrices: Any, factors: Any, d: int) -> Any:
        return (matrices * factors**2).sum(-1) * (d / factors.shape[-1])

    def squares(self, gaps: Any, factors: Any) -> Any:
        return ((factors * gaps) ** 2).sum(-1)

    def outer(self, gaps: Any) -> Any:
        return gaps**2

    def mend(self, matrices: Any, least: Any) -> Any:
        return namespace(matrices).maximum(matrices, least + 0 * matrices)

    @staticmethod
    def against(values: Any) -> Any:
        return values[..., None]


class Spherical(Diagonal):
    """One variance for all features."""

    def outer(self, gaps: Any) -> Any:
        return (gaps**2).mean(-1)[..., None]


#: By covariance type.
SCALES: dict[CovarianceType, ScaleMatrices] = {
    "full": Full(),
    "tied": Tied(),
    "diag": Diagonal(),
    "spherical": Spherical(),
}
