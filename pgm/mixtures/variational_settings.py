"""Constructor arguments of `pgm.BayesianGaussianMixture`, checked.

.. math:: \\alpha, \\qquad \\beta_0, \\; m_0, \\qquad \\nu_0, \\; W_0^{-1}
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from torch import Tensor

from inference.inputs import check_choice
from pgm.mixtures.components import CovarianceType
from pgm.mixtures.settings import (
    MixtureSettings,
    as_array,
    check_eigenvalues,
    check_size,
)
from pgm.mixtures.weight_laws import WEIGHT_LAWS, WeightLaw, WeightLawName

__all__ = ["VariationalSettings", "scale_shape"]


@dataclass(frozen=True, eq=False)
class VariationalSettings(MixtureSettings):
    """Those of `pgm.BayesianGaussianMixture`, as they were given."""

    weight_concentration_prior_type: WeightLawName
    weight_concentration_prior: float | None
    mean_precision_prior: float | None
    mean_prior: Any
    degrees_of_freedom_prior: float | None
    covariance_prior: Any
    random_state: int | None

    def check(self) -> None:
        """Refuse what is out of range whatever the rows."""
        super().check()
        name = "weight_concentration_prior_type"
        check_choice(name, getattr(self, name), WeightLawName)
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
        check_eigenvalues("covariance_prior", given)
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
