"""What scikit-learn's tools ask of an estimator of mixtures.

.. math:: \\text{clone}(e) = \\text{type}(e)(\\ast\\ast e.\\text{get\\_params}())
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from sklearn.utils import Tags
    from typing_extensions import Self

__all__ = ["Estimator"]


class Estimator:
    """Abstract base: the arguments of a constructor as scikit-learn reads and sets them.

    So that `Pipeline`, `GridSearchCV` and `clone` work; scikit-learn's own base class is not
    used, as its way of copying does not fit modules. A subclass keeps its arguments in a frozen
    dataclass, ``settings``, and its parameters in ``weights``, ``means`` and ``covariances``.
    """

    settings: Any
    weights: Tensor
    means: nn.Parameter
    covariances: nn.Parameter

    @abstractmethod
    def _allocate(self, n_features: int) -> None:
        """Parameters before any are learned."""

    def _configure(self, settings: Any) -> None:
        """Check settings and start anew with them."""
        settings.check()
        self.settings = settings
        self._allocate(0)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Arguments of the constructor; there are none inside others (``deep``)."""
        return {f.name: getattr(self.settings, f.name) for f in fields(self.settings)}

    def set_params(self, **parameters: Any) -> Self:
        """Change arguments of the constructor; what was learned is forgotten.

        Raises:
            ValueError: if there is no such argument, or a value is out of range.
        """
        unknown = sorted(set(parameters) - set(self.get_params()))
        if unknown:
            raise ValueError(
                f"there is no argument {unknown[0]!r}; the arguments are "
                f"{sorted(self.get_params())}"
            )
        if parameters:
            self._configure(replace(self.settings, **parameters))
        return self

    def fit_predict(self, X: Any, y: Any = None) -> Tensor:
        """Fit, and the most probable component of every row."""
        return self.fit(X, y).predict(X)  # type: ignore[attr-defined]

    def __sklearn_tags__(self) -> Tags:
        from sklearn.utils import InputTags, Tags, TargetTags

        return Tags(
            estimator_type="density_estimator",
            target_tags=TargetTags(required=False),
            input_tags=InputTags(allow_nan=True),
        )

    def __sklearn_is_fitted__(self) -> bool:
        return self.n_features_in_ > 0

    @property
    def n_features_in_(self) -> int:
        """Columns of the rows learned from."""
        return self.means.shape[1]

    @property
    def weights_(self) -> Tensor:
        """The weights, without a gradient."""
        return self.weights.detach()

    @property
    def means_(self) -> Tensor:
        """The means, without a gradient."""
        return self.means.detach()

    @property
    def covariances_(self) -> Tensor:
        """The covariances, without a gradient."""
        return self.covariances.detach()

    @property
    def precisions_(self) -> Tensor:
        """Inverses of the covariances."""
        found = self.covariances_
        return found.inverse() if self._has_matrices else 1 / found

    @property
    def precisions_cholesky_(self) -> Tensor:
        """Upper triangular U with U U' the precision; 1 / standard deviation without matrices."""
        found = self.covariances_
        if not self._has_matrices:
            return found.rsqrt()
        return torch.linalg.cholesky(found).inverse().mT

    @property
    def _has_matrices(self) -> bool:
        return self.settings.covariance_type in ("full", "tied")
