"""Constructor arguments of `pgm.BayesianGaussianMixture`, checked.

.. math:: \\alpha, \\qquad \\beta_0, \\; m_0, \\qquad \\nu_0, \\; W_0^{-1}
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, get_args

import numpy as np
from torch import Tensor

from inference.inputs import as_whole
from pgm.mixtures.components import COVARIANCE_TYPES, CovarianceType
from pgm.mixtures.settings import Init, as_array, check_choice, check_size
from pgm.mixtures.weight_laws import WEIGHT_LAWS, WeightLaw, WeightLawName

__all__ = ["VariationalSettings", "scale_shape"]


@dataclass(frozen=True, eq=False)
class VariationalSettings:
    """What `fit` goes by; the fields are the arguments of the constructor, as they were given."""

    n_components: int
    covariance_type: CovarianceType
    tol: float
    regularization: float
    reg_covar: float | None
    max_iter: int
    n_init: int
    init: Init
    weight_concentration_prior_type: WeightLawName
    weight_concentration_prior: float | None
    mean_precision_prior: float | None
    mean_prior: Any
    degrees_of_freedom_prior: float | None
    covariance_prior: Any
    random_state: int | None

    def check(self) -> None:
        """Refuse what is out of range whatever the rows.

        Raises:
            TypeError: if a number is none.
            ValueError: if it is out of range, or a choice unknown.
        """
        for name in ("n_components", "max_iter", "n_init"):
            as_whole(name, getattr(self, name), least=1)
        choices = {
            "covariance_type": COVARIANCE_TYPES,
            "init": get_args(Init),
            "weight_concentration_prior_type": tuple(WEIGHT_LAWS),
        }
        for name, known in choices.items():
            check_choice(name, getattr(self, name), known)
        for name in ("tol", "regularization"):
            check_size(name, getattr(self, name))
        if self.reg_covar is not None:
            check_size("reg_covar", self.reg_covar)
        for name in (
            "weight_concentration_prior",
            "mean_precision_prior",
            "degrees_of_freedom_prior",
        ):
            value = getattr(self, name)
            if value is not None:
                check_size(name, value)
                if value == 0:
                    raise ValueError(f"{name} must be positive, found 0")

    @property
    def weight_law(self) -> WeightLaw:
        """Prior of the weights; by default the rows of all components are worth one a priori."""
        alpha = self.weight_concentration_prior
        law = WEIGHT_LAWS[self.weight_concentration_prior_type]
        return law(1 / self.n_components if alpha is None else float(alpha))

    def degrees_of_freedom(self, n_features: int) -> float:
        """Of the prior.

        Raises:
            ValueError: if they are too few for a Wishart law.
        """
        given = self.degrees_of_freedom_prior
        if given is None:
            return float(n_features)
        if given <= n_features - 1:
            raise ValueError(
                f"degrees_of_freedom_prior must be above {n_features - 1} for {n_features} "
                f"features, found {given}"
            )
        return float(given)

    def mean(self, n_features: int) -> np.ndarray | None:
        """Prior mean (d,), if it is given.

        Raises:
            ValueError: if its shape is wrong.
        """
        return as_array("mean_prior", self.mean_prior, (n_features,))

    def covariance(self, n_features: int) -> np.ndarray | None:
        """Prior scale matrix, (d, d), (d,) or (1,) by covariance type, if it is given.

        Raises:
            ValueError: if its shape is wrong or it is not positive definite.
        """
        kind = self.covariance_type
        given = as_array("covariance_prior", self.covariance_prior, scale_shape(n_features, kind))
        if given is None:
            return None
        if kind in ("diag", "spherical"):
            if not (given > 0).all():
                raise ValueError(f"covariance_prior must be positive, found {given.min():g}")
            return np.atleast_1d(given)
        if not np.allclose(given, given.T, rtol=1e-6, atol=0):
            raise ValueError("covariance_prior must be symmetric; pass (c + c.T) / 2")
        least = np.linalg.eigvalsh(given).min()
        if not least > 0:
            raise ValueError(
                f"covariance_prior must be positive definite, found the eigenvalue {least:g}"
            )
        return 0.5 * (given + given.T)

    def config(self) -> dict[str, Any]:
        """The arguments as JSON values."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


def scale_shape(n_features: int, covariance_type: CovarianceType) -> tuple[int, ...]:
    """Shape of a prior's scale matrix as scikit-learn has it."""
    d = n_features
    shapes = {"full": (d, d), "tied": (d, d), "diag": (d,), "spherical": ()}
    return shapes[covariance_type]


def _plain(value: Any) -> Any:
    """Numbers of any kind as JSON holds them."""
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
