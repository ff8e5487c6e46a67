"""What keeps covariances from collapsing: a floor under them, or an addition to them.

.. math:: \\hat C = \\arg\\max_{C \\succeq F} -\\log |C| - \\mathrm{tr}(C^{-1} S)
          = B\\, V \\max(\\Lambda, 1)\\, V^\\top B^\\top,
          \\qquad F = B B^\\top, \\quad B^{-1} S B^{-\\top} = V \\Lambda V^\\top
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from inference.arrays import namespace
from pgm.mixtures.components import CovarianceType, cholesky, try_cholesky

__all__ = ["Addition", "Floor", "Guard", "held"]


@dataclass(frozen=True)
class Guard(ABC):
    """Abstract base: a covariance matrix in the coordinates of learning, and what to do with it.

    Attributes:
        matrix: (d, d) float64, positive semi-definite.
        covariance_type: of the mixture.
        near: a variance below so many times that of the matrix has nothing of its own.
    """

    matrix: Any
    covariance_type: CovarianceType
    near: ClassVar[float]

    @abstractmethod
    def apply(self, scatters: Any) -> Any:
        """Covariances from scatters, both of the shape of the type (`Moments`)."""

    def own(self) -> Any:
        """The matrix as the type holds one."""
        return held(self.matrix, self.covariance_type)


def held(matrix: Any, covariance_type: CovarianceType) -> Any:
    """A covariance matrix as a type holds one: (d, d), its diagonal, or the mean of that, (1,)."""
    if covariance_type in ("full", "tied"):
        return matrix
    diagonal = namespace(matrix).einsum("ii->i", matrix)
    return diagonal if covariance_type == "diag" else diagonal.mean()[None]


@dataclass(frozen=True)
class Addition(Guard):
    """Adds the matrix, as scikit-learn's ``reg_covar`` does."""

    near: ClassVar[float] = 1.01

    def apply(self, scatters: Any) -> Any:
        """Scatters and the matrix."""
        return scatters + self.own()


@dataclass(frozen=True)
class Floor(Guard):
    """The most probable covariances among those that are nowhere below the matrix.

    A covariance that is above the floor in every direction is left as it is, and the likelihood
    never falls, as the step is still the best one that is allowed.

    Reference:
        Anderson & Olkin 1985, "Maximum-likelihood estimation of the parameters of a multivariate
        normal distribution", section 3 (maximisation under an order of matrices).
    """

    near: ClassVar[float] = 5.0

    def apply(self, scatters: Any) -> Any:
        """Scatters, raised where they are below the matrix."""
        xp = namespace(scatters)
        if self.covariance_type not in ("full", "tied"):
            return xp.maximum(scatters, self.own() + xp.zeros_like(scatters))
        if try_cholesky(scatters - self.matrix) is not None:
            return scatters
        base = cholesky(self.matrix)
        inverse = xp.linalg.inv(base)
        # In units of the floor, which is the identity there.
        values, vectors = xp.linalg.eigh(inverse @ scatters @ inverse.T)
        raised = xp.maximum(values, xp.ones_like(values))
        roots = base @ (vectors * raised[..., None, :] ** 0.5)
        return roots @ roots.swapaxes(-1, -2)
