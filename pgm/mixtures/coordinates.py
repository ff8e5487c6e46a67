"""The coordinates in which mixtures are learned: centred, scaled, and whitened where that is fit.

.. math:: z = W\\, \\mathrm{diag}(s)^{-1} (x - \\mu), \\qquad
          \\log p(x) = \\log p(z) + \\log |W| - \\sum_j \\log s_j
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from inference.arrays import namespace
from pgm.mixtures.components import CovarianceType, try_cholesky
from pgm.mixtures.moments import Components
from pgm.mixtures.spread import Spread

__all__ = ["Coordinates"]

# Whitening by a matrix that is worse conditioned than this would cost more digits than it saves.
_LEAST_PIVOT = 1e-5


@dataclass(frozen=True)
class Coordinates:
    """An affine map of rows, and what it does to parameters.

    Attributes:
        center: mu (d,) float64.
        matrix: W diag(s)^{-1}, (d, d) float64, lower triangular.
        inverse: of the matrix.
        factors: the diagonal of the matrix where it is diagonal; else None.
        log_volume: log of its determinant.
        covariance_type: "diag" mixtures have a diagonal map and "spherical" ones a multiple of
            the identity, as other maps would leave their family.
    """

    center: Any
    matrix: Any
    inverse: Any
    factors: Any
    log_volume: float
    covariance_type: CovarianceType

    @classmethod
    def of(cls, spread: Spread, covariance_type: CovarianceType, *, whiten: bool) -> Coordinates:
        """Coordinates for data of this spread.

        Arguments:
            spread: of the data.
            covariance_type: of the mixture.
            whiten: whether correlations may be taken out (not where entries are missing, as it
                mixes columns).
        """
        xp, scales = namespace(spread.center), spread.scales
        if covariance_type == "spherical":
            # One unit for all columns: their quadratic mean.
            scales = xp.zeros_like(scales) + (scales**2).mean() ** 0.5
        root, factors = xp.diag(scales), 1 / scales
        if whiten and covariance_type in ("full", "tied") and spread.correlations is not None:
            correlated = try_cholesky(spread.correlations)
            if correlated is not None and float(xp.diagonal(correlated).min()) > _LEAST_PIVOT:
                root, factors = scales[:, None] * correlated, None
        matrix = xp.tril(xp.linalg.inv(root))
        volume = float(xp.log(xp.diagonal(matrix)).sum())
        return cls(spread.center, matrix, root, factors, volume, covariance_type)

    def block(self, x: Any, dtype: Any) -> Any:
        """Rows (c, d) as a block (d, c) in one piece of another type, centred in float64."""
        centred = (x - self.center).T
        factors = self.factors
        moved = self.matrix @ centred if factors is None else centred * factors[:, None]
        if isinstance(moved, Tensor):
            return moved.to(dtype).contiguous()
        return np.ascontiguousarray(moved, dtype=dtype)

    def covariance(self, matrix: Any) -> Any:
        """A covariance matrix (d, d) of the data, here."""
        return self.matrix @ matrix @ self.matrix.T

    def into(self, given: Components) -> Components:
        """Parameters of the data's space, here."""
        means = (given.means - self.center) @ self.matrix.T
        return Components(given.weights, means, self._turn(given.covariances, self.matrix))

    def back(self, found: Components) -> Components:
        """Parameters of these coordinates in the data's space."""
        means = found.means @ self.inverse.T + self.center
        return Components(found.weights, means, self._turn(found.covariances, self.inverse))

    def _turn(self, covariances: Any, matrix: Any) -> Any:
        if self.covariance_type in ("full", "tied"):
            turned = matrix @ covariances @ matrix.T
            return 0.5 * (turned + turned.swapaxes(-1, -2))
        scales = namespace(matrix).diagonal(matrix)
        return covariances * (scales if self.covariance_type == "diag" else scales[:1]) ** 2
