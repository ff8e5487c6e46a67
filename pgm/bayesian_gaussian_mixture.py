"""Bayesian Gaussian mixture: laws of all parameters, and as many components as the rows need.

.. math:: p(x, \\pi, \\mu, \\Lambda) = p(\\pi) \\prod_k p(\\mu_k, \\Lambda_k)
          \\sum_k \\pi_k\\, N(x; \\mu_k, \\Lambda_k^{-1})
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from inference.logspace import logsumexp, safe_log
from inference.random import GeneratorLike
from pgm.gaussian_mixture import GaussianMixture
from pgm.mixtures.components import CovarianceType
from pgm.mixtures.normal_mixture import NormalMixture
from pgm.mixtures.normal_wishart import NormalWishart, log_density_gap
from pgm.mixtures.predictive import student_log_prob
from pgm.mixtures.settings import Init, covariance_shape
from pgm.mixtures.variational_search import FoundPosterior, VariationalSearch
from pgm.mixtures.variational_settings import VariationalSettings, scale_shape
from pgm.mixtures.weight_laws import WeightLawName

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["BayesianGaussianMixture"]

#: Parameters and buffers by the names that scikit-learn gives them.
SCIKIT_LEARN_NAMES = {
    "weight_concentration_": "weight_concentration",
    "mean_precision_": "mean_precision",
    "degrees_of_freedom_": "degrees_of_freedom",
    "weight_concentration_prior_": "prior_weight_concentration",
    "mean_precision_prior_": "prior_mean_precision",
    "mean_prior_": "prior_mean",
    "degrees_of_freedom_prior_": "prior_degrees_of_freedom",
    "covariance_prior_": "prior_covariance",
}


class BayesianGaussianMixture(NormalMixture):
    """Mixture of normal laws whose parameters have laws too, fitted by variational inference.

    .. math:: \\log p(X) \\ge \\mathcal{L}(q) = \\mathbb{E}_q \\log p(X, z, \\pi, \\mu, \\Lambda)
              - \\mathbb{E}_q \\log q(z)\\, q(\\pi) \\prod_k q(\\mu_k, \\Lambda_k)

    Components that the rows do not need keep their prior and next to no weight, so that
    ``n_components`` is only the largest number. Names that scikit-learn has mean the same here,
    and steps give the same numbers; but the components of a Dirichlet process are kept in the
    order of their sizes, which raises the bound. Missing entries (NaN) are integrated out.

    The bound is complete: it is below the log-evidence, constants included, and may be compared
    between numbers of components, priors and covariance types. Every precision has a Wishart
    prior, of full matrices; the covariance type says to what the posteriors are restricted.

    Arguments:
        n_components: K.
        covariance_type: "full" (posteriors have any scale matrix), "tied" (all the same), "diag"
            (diagonal ones), "spherical" (multiples of the identity).
        tol: the change of the bound that ends a run, nats for all rows together.
        regularization: least variance of the default ``covariance_prior`` in any direction,
            relative to the squared robust scale of the columns. Priors keep components from
            collapsing, so nothing else has to.
        reg_covar: scikit-learn's absolute addition to the variances of the data at each step;
            None for none. The bound may then fall a little.
        max_iter: most steps of a run.
        n_init: starts, the best of which is kept.
        init: where starts come from: "kmeans", "k-means++", "random" or "random_from_data".
        weight_concentration_prior_type: "dirichlet_process" (broken sticks) or
            "dirichlet_distribution" (symmetric).
        weight_concentration_prior: alpha; small for few components. None: 1 / K.
        mean_precision_prior: beta_0, the rows that the prior mean is worth. None: 1.
        mean_prior: m_0 (d,). None: the mean of the rows.
        degrees_of_freedom_prior: nu_0, above d - 1. None: d.
        covariance_prior: W_0^{-1}, (d, d) for "full" and "tied", (d,) for "diag", a number for
            "spherical". None: the covariance of the rows (their squared robust scales, where
            outliers enlarge standard deviations more than ten thousand times).
        random_state: seed of `fit`, where that is given no generator; None: another at each fit.

    Attributes:
        weight_concentration: parameter (K,), or (2, K) of the sticks.
        mean_precision: parameter (K,).
        means: parameter (K, d).
        degrees_of_freedom: parameter (K,); () for "tied".
        covariances: parameter, inverses of the expected precisions: (K, d, d), (d, d) for "tied",
            (K, d) for "diag", (K,) for "spherical".
        prior_weight_concentration, prior_mean_precision, prior_mean, prior_degrees_of_freedom,
            prior_covariance: buffers, the priors of the last fit.
        converged, n_iter, lower_bound: buffers (), how that ended.

    Also by scikit-learn's names ``means_``, ``mean_prior_``, ... All are float64.

    Raises:
        TypeError, ValueError: for arguments of the wrong kind or out of range.

    Reference:
        Bishop 2006, "Pattern recognition and machine learning", section 10.2; Blei & Jordan 2006,
        "Variational inference for Dirichlet process mixtures", sections 3 and 4.

    Example:
        >>> noise = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
        >>> x = noise + 6 * (torch.arange(60) % 2)[:, None]
        >>> model = BayesianGaussianMixture(5, max_iter=1000, random_state=0).fit(x)
        >>> int((model.weights > 0.05).sum())
        2
    """

    weight_concentration: nn.Parameter
    mean_precision: nn.Parameter
    means: nn.Parameter
    degrees_of_freedom: nn.Parameter
    covariances: nn.Parameter
    prior_weight_concentration: Tensor
    prior_mean_precision: Tensor
    prior_mean: Tensor
    prior_degrees_of_freedom: Tensor
    prior_covariance: Tensor
    converged: Tensor
    n_iter: Tensor
    lower_bound: Tensor

    def __init__(
        self,
        n_components: int = 1,
        covariance_type: CovarianceType = "full",
        *,
        tol: float = 1e-3,
        regularization: float = 1e-6,
        reg_covar: float | None = None,
        max_iter: int = 100,
        n_init: int = 1,
        init: Init = "kmeans",
        weight_concentration_prior_type: WeightLawName = "dirichlet_process",
        weight_concentration_prior: float | None = None,
        mean_precision_prior: float | None = None,
        mean_prior: Any = None,
        degrees_of_freedom_prior: float | None = None,
        covariance_prior: Any = None,
        random_state: int | None = None,
    ) -> None:
        super().__init__()
        self._configure(
            VariationalSettings(
                n_components,
                covariance_type,
                tol,
                regularization,
                reg_covar,
                max_iter,
                n_init,
                init,
                weight_concentration_prior_type,
                weight_concentration_prior,
                mean_precision_prior,
                mean_prior,
                degrees_of_freedom_prior,
                covariance_prior,
                random_state,
            )
        )

    def _allocate(self, n_features: int) -> None:
        """Parameters and buffers of the shapes that this many features need."""
        k, d, device = self.settings.n_components, n_features, self.device
        parameters = {
            "weight_concentration": self.settings.weight_law.shape(k),
            "mean_precision": (k,),
            "means": (k, d),
            "degrees_of_freedom": () if self.covariance_type == "tied" else (k,),
            "covariances": covariance_shape(k, d, self.covariance_type),
        }
        for name, shape in parameters.items():
            value = torch.ones(shape, dtype=torch.float64, device=device)
            setattr(self, name, nn.Parameter(value))
        priors = {
            "prior_weight_concentration": (),
            "prior_mean_precision": (),
            "prior_mean": (d,),
            "prior_degrees_of_freedom": (),
            "prior_covariance": scale_shape(d, self.covariance_type),
        }
        for name, shape in priors.items():
            self.register_buffer(name, torch.ones(shape, dtype=torch.float64, device=device))
        self.register_buffer("converged", torch.tensor(False, device=device))
        self.register_buffer("n_iter", torch.tensor(0, device=device))
        bound = torch.tensor(-math.inf, dtype=torch.float64, device=device)
        self.register_buffer("lower_bound", bound)

    # Learning --------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        generator: GeneratorLike = None,
        progress: bool | None = None,
    ) -> Self:
        """Find the laws with the highest bound on the log-evidence of the rows.

        Arguments:
            X: rows, NaN for missing entries.
            y: ignored, as in scikit-learn.
            sample_weight: of the rows; a weight of two is a row that is there twice.
            generator: for starts; by default ``random_state``.
            progress: True, False, or None: a bar if on a terminal.

        Fills ``history``: one dict per step of every run, with ``start``, ``iteration``,
        ``objective`` (the bound before the step, nats) and ``change``.

        Shapes:
            X: (n, d). sample_weight: (n,).

        Warns:
            ConvergenceWarning: if ``max_iter`` steps did not suffice.

        Raises:
            TypeError, ValueError: for rows or weights that nothing can be learned from, and for
                priors that do not fit them. The model is then unchanged.
        """
        rows, weights, source = self._read_fit(X, sample_weight, generator)
        search = VariationalSearch(
            rows, weights, self.settings, generator=source, progress=progress
        )
        self._take(search.run())
        return self

    @torch.no_grad()
    def _take(self, found: FoundPosterior) -> None:
        """Make what a search found the model's."""
        self._allocate(found.prior.means.shape[-1])
        alpha = self.settings.weight_law.alpha
        values = {**found.state(), "prior_weight_concentration": alpha}
        for name, value in values.items():
            own = getattr(self, name)
            own.copy_(torch.as_tensor(value, dtype=own.dtype).reshape(own.shape))
        self.history = found.history

    # Densities -------------------------------------------------------------------------------

    @property
    def weights(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Expected weights (K,), of the sticks in proportion to them."""
        expected, _ = self.settings.weight_law.expected(self.weight_concentration)
        return expected / expected.sum()

    def component_log_prob(self, x: Any) -> Tensor:
        """Expected log-density of every row under every component; differentiable.

        .. math:: \\mathbb{E}_q \\log N(x; \\mu_k, \\Lambda_k^{-1})

        Missing entries (NaN) are integrated out of its exponential.

        Shapes:
            x: (n, d). result: (n, K), nats.

        Raises:
            TypeError, ValueError: for rows that are not the model's.
        """
        return super().component_log_prob(x) + log_density_gap(self._laws)

    def _joint(self, x: Any) -> Tensor:
        logs = self.settings.weight_law.expected_logs(self.weight_concentration)
        return self.component_log_prob(x) + logs

    def log_prob(self, x: Any) -> Tensor:
        """What the bound says of every row, scikit-learn's ``score_samples``; differentiable.

        .. math:: \\log \\sum_k \\exp \\bigl(\\mathbb{E} \\log \\pi_k
                  + \\mathbb{E} \\log N(x; \\mu_k, \\Lambda_k^{-1})\\bigr)
                  \\le \\log p(x \\mid q)

        It integrates to less than one; the density on the right is `predictive_log_prob`.

        Shapes:
            x: (n, d). result: (n,), nats.
        """
        return super().log_prob(x)

    def predictive_log_prob(self, x: Any) -> Tensor:
        """Log-density of a further row, all laws integrated out exactly; differentiable.

        .. math:: \\log p(x \\mid q)
                  = \\log \\Bigl[\\sum_k \\mathbb{E}[\\pi_k]\\, \\mathrm{St}_k(x)
                  + \\Bigl(1 - \\sum_k \\mathbb{E}[\\pi_k]\\Bigr) \\mathrm{St}_0(x)\\Bigr]

        What broken sticks leave goes to a component not seen yet, with the law of the prior.
        Missing entries (NaN) are integrated out.

        Shapes:
            x: (n, d). result: (n,), nats.

        Reference:
            Bishop 2006, equation 10.81; Blei & Jordan 2006, equation 23.
        """
        rows, kind = self._rows(x), self.covariance_type
        shares, left = self.settings.weight_law.expected(self.weight_concentration)
        known = student_log_prob(rows, self._laws, kind) + safe_log(shares)
        new = student_log_prob(rows, self._prior_laws, kind) + safe_log(left)
        return logsumexp(torch.cat([known, new], 1), 1)

    def to_gaussian_mixture(self) -> GaussianMixture:
        """The mixture with the expected weights, means and precisions: a normalised density."""
        self._check_fitted()
        return GaussianMixture.from_parameters(
            self.weights.detach(), self.means_, self.covariances_, self.covariance_type
        )

    # State -----------------------------------------------------------------------------------

    @property
    def converged_(self) -> bool:
        """Whether the best run of the last fit ended by ``tol``."""
        return bool(self.converged)

    @property
    def n_iter_(self) -> int:
        """Steps of that run."""
        return int(self.n_iter)

    @property
    def lower_bound_(self) -> float:
        """The bound on the log-evidence of the rows of the last fit, nats."""
        return float(self.lower_bound)

    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(SCIKIT_LEARN_NAMES.get(name, name))
        learned = name in SCIKIT_LEARN_NAMES
        return found.detach() if learned and isinstance(found, Tensor) else found

    def config(self) -> dict[str, Any]:
        """Constructor arguments, and the number of features."""
        return {**self.settings.config(), "n_features": self.n_features}

    @property
    def _laws(self) -> NormalWishart:
        """Of the components."""
        return NormalWishart(
            self.mean_precision, self.means, self.degrees_of_freedom, self.covariances
        )

    @property
    def _prior_laws(self) -> NormalWishart:
        """Of a component that no row is known of."""
        shape = covariance_shape(1, self.n_features, self.covariance_type)
        nu = self.prior_degrees_of_freedom
        return NormalWishart(
            self.prior_mean_precision[None],
            self.prior_mean[None],
            nu[None],
            (self.prior_covariance / nu).reshape(shape),
        )
