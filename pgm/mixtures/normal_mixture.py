"""What mixtures of normal laws have in common, however they were learned.

.. math:: p(x) = \\sum_k \\pi_k\\, N(x; \\mu_k, \\Sigma_k)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from inference.arrays import Array
from inference.random import GeneratorLike, as_generator
from pgm.hidden_markov.full_gaussian import FullGaussianEmissions
from pgm.mixture_model import MixtureModel
from pgm.mixtures.components import CovarianceType
from pgm.mixtures.density import as_matrices, normal_log_prob
from pgm.mixtures.estimator import Estimator
from pgm.mixtures.read_rows import read_rows, read_weights

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["NormalMixture"]


class NormalMixture(MixtureModel, Estimator):
    """Abstract base of mixtures of normal laws with scikit-learn's interface.

    Attributes:
        weights: parameter (K,).
        means: parameter (K, d).
        covariances: parameter (K, d, d) full, (d, d) tied, (K, d) diag, (K,) spherical.
    """

    means: nn.Parameter
    covariances: nn.Parameter

    @property
    def covariance_type(self) -> CovarianceType:
        """The covariance type."""
        return self.settings.covariance_type

    @property
    def n_features(self) -> int:
        """d; 0 before the first fit."""
        return self.means.shape[1]

    @property
    def n_parameters(self) -> int:
        """Number of free numbers: weights, means, and variances and covariances once each."""
        k, d = self.means.shape
        shared = d * (d + 1) // 2
        own = {"full": k * shared, "tied": shared, "diag": k * d, "spherical": k}
        return k - 1 + k * d + own[self.covariance_type]

    def distribution(self) -> MixtureSameFamily:
        """The mixture as a torch Distribution, which shares the parameters' gradients.

        Example:
            >>> from pgm.gaussian_mixture import GaussianMixture
            >>> model = GaussianMixture.from_parameters([1.0], [[0.0]], [1.0], "spherical")
            >>> round(model.distribution().log_prob(torch.zeros(1).double()).item(), 4)
            -0.9189
        """
        law = MultivariateNormal(self.means, covariance_matrix=self._matrices())
        return MixtureSameFamily(Categorical(probs=self.weights), law)

    def _matrices(self) -> Tensor:
        """Covariances whatever their type, (K, d, d)."""
        matrices = as_matrices(self.covariances, self.n_features, self.covariance_type)
        return matrices.expand(len(self.means), -1, -1)

    def component_log_prob(self, x: Any) -> Tensor:
        """Log-density of every row under every component, (n, K), nats; differentiable.

        Missing entries (NaN) are integrated out; a row without entries has density one.

        Raises:
            TypeError, ValueError: for rows that are not the model's.
        """
        rows = self._rows(x)
        return normal_log_prob(rows, self.means, self.covariances, self.covariance_type)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A mixture of the shape that `config` tells."""
        arguments = dict(config)
        n_features = int(arguments.pop("n_features"))
        model = cls(**arguments)
        model._allocate(n_features)
        return model

    def _read_fit(
        self, x: Any, sample_weight: Any, generator: GeneratorLike, n_features: int | None = None
    ) -> tuple[Array, Array | None, torch.Generator]:
        """Rows and weights to learn from, and the generator of a fit."""
        self.settings.check()
        rows, weights = read_weights(sample_weight, read_rows(x, n_features, self.device))
        seed = self.settings.random_state if generator is None else generator
        return rows, weights, as_generator(seed, self.device)

    def _rows(self, x: Any) -> Tensor:
        """Checked rows in the type of the parameters; those with a gradient keep it."""
        self._check_fitted()
        rows = read_rows(x, self.n_features, self.device)
        kept = x if isinstance(x, Tensor) and x.requires_grad else torch.as_tensor(rows)
        return kept.to(self.device, self.means.dtype)

    def _check_fitted(self) -> None:
        """Refuse to speak of a law that there is not."""
        if self.n_features == 0:
            raise ValueError("this mixture has no parameters yet; call fit first")

    def _sample_components(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        self._check_fitted()
        law = FullGaussianEmissions(self.n_features, "full")
        return law.sample(
            {"means": self.means, "covariances": self._matrices()}, labels, generator
        )
