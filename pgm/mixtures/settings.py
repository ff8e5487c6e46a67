"""Constructor arguments of mixtures of normal laws, checked.

.. math:: \\theta_0 = (\\pi, \\mu, \\Sigma^{-1})
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from inference.inputs import as_whole, check_choice
from pgm.mixtures.components import CovarianceType

__all__ = [
    "Init",
    "MixtureSettings",
    "Settings",
    "as_array",
    "check_eigenvalues",
    "check_size",
    "covariance_shape",
]

Init: TypeAlias = Literal["kmeans", "k-means++", "random", "random_from_data"]


@dataclass(frozen=True, eq=False)
class MixtureSettings:
    """Abstract base of what `fit` goes by; the fields are the arguments of the constructor."""

    n_components: int
    covariance_type: CovarianceType
    tol: float
    regularization: float
    reg_covar: float | None
    max_iter: int
    n_init: int
    init: Init

    def check(self) -> None:
        """Refuse what is out of range whatever the rows.

        Raises:
            TypeError: if a number is none.
            ValueError: if it is out of range, or a choice unknown.
        """
        for name in ("n_components", "max_iter", "n_init"):
            as_whole(name, getattr(self, name), least=1)
        check_choice("covariance_type", self.covariance_type, CovarianceType)
        check_choice("init", self.init, Init)
        for name in ("tol", "regularization"):
            check_size(name, getattr(self, name))
        if self.reg_covar is not None:
            check_size("reg_covar", self.reg_covar)


@dataclass(frozen=True, eq=False)
class Settings(MixtureSettings):
    """Those of `pgm.GaussianMixture`."""

    weights_init: Any
    means_init: Any
    precisions_init: Any
    accelerate: bool
    random_state: int | None

    @property
    def is_given(self) -> bool:
        """Whether all first parameters are given."""
        given = (self.weights_init, self.means_init, self.precisions_init)
        return all([x is not None for x in given])

    def first(self, n_features: int) -> tuple[Any, Any, Any]:
        """First weights (K,), means (K, d) and covariances, float64 arrays, None where not given.

        Raises:
            ValueError: if a shape is wrong, weights are no distribution, or a matrix is not
                positive definite.
        """
        k, d = self.n_components, n_features
        weights = as_array("weights_init", self.weights_init, (k,))
        if weights is not None and ((weights < 0).any() or abs(weights.sum() - 1) > 1e-6):
            raise ValueError(f"weights_init must be a distribution, found {weights.tolist()}")
        means = as_array("means_init", self.means_init, (k, d))
        shape = covariance_shape(k, d, self.covariance_type)
        return weights, means, self._covariances(shape)

    def _covariances(self, shape: tuple[int, ...]) -> Any:
        """Inverses of the precisions."""
        precisions = as_array("precisions_init", self.precisions_init, shape)
        if precisions is None:
            return None
        if self.covariance_type in ("diag", "spherical"):
            if not (precisions > 0).all():
                raise ValueError(f"precisions_init must be positive, found {precisions.min():g}")
            return 1 / precisions
        if not np.allclose(precisions, precisions.swapaxes(-1, -2)):
            raise ValueError("precisions_init must be symmetric; pass (p + p.T) / 2")
        check_eigenvalues("precisions_init", precisions)
        return np.linalg.inv(precisions)


def covariance_shape(k: int, d: int, covariance_type: CovarianceType) -> tuple[int, ...]:
    """Shape of the covariances of a mixture of k components in d dimensions."""
    shapes = {"full": (k, d, d), "tied": (d, d), "diag": (k, d), "spherical": (k,)}
    return shapes[covariance_type]


def check_size(name: str, value: Any) -> None:
    """Refuse what is not finite or negative."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.floating, np.integer)):
        raise TypeError(f"{name} must be a number, found {value!r}")
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} must be finite and not negative, found {value}")


def check_eigenvalues(name: str, matrices: np.ndarray) -> None:
    """Refuse symmetric matrices that are not positive definite."""
    least = np.linalg.eigvalsh(matrices).min()
    if not least > 0:
        raise ValueError(f"{name} must be positive definite, found the eigenvalue {least:g}")


def as_array(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    """A float64 array of this shape."""
    if value is None:
        return None
    if isinstance(value, Tensor):
        value = value.detach().cpu().to(torch.float64).numpy()
    found = np.asarray(value, dtype=np.float64)
    if found.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, found {found.shape}")
    if not np.isfinite(found).all():
        raise ValueError(f"{name} must be finite")
    return found
