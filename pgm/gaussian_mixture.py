"""Gaussian mixture: a density, and clusters, made of several normal laws.

.. math:: p(x) = \\sum_{k=1}^{K} \\pi_k\\, N(x; \\mu_k, \\Sigma_k)
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from inference.inputs import check_distribution
from inference.random import GeneratorLike
from pgm.mixtures.components import COVARIANCE_TYPES, CovarianceType
from pgm.mixtures.density import normal_log_prob
from pgm.mixtures.normal_mixture import NormalMixture
from pgm.mixtures.online import Stream
from pgm.mixtures.parts import condition, marginalize, read_columns
from pgm.mixtures.search import Found, Search
from pgm.mixtures.selection import Criterion, MixtureSelection, choose
from pgm.mixtures.settings import Init, Settings, covariance_shape

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["CollapsedComponentWarning", "GaussianMixture"]


class CollapsedComponentWarning(UserWarning):
    """A component of a mixture describes a few rows, not a part of the density."""


class GaussianMixture(NormalMixture):
    """Mixture of normal laws, fitted by expectation-maximisation.

    .. math:: p(x) = \\sum_k \\pi_k\\, N(x; \\mu_k, \\Sigma_k)

    Names that scikit-learn has mean the same here. Missing entries (NaN) are integrated out
    exactly, in fits as in every other method.

    Arguments:
        n_components: K.
        covariance_type: "full" (every component its own matrix), "tied" (all the same matrix),
            "diag" (independent features), "spherical" (one variance per component).
        tol: the change of the mean log-likelihood per row that ends a run, nats.
        regularization: least variance of a component in any direction, relative to the squared
            robust scale of the columns. A floor, not an addition: what is above it is left as it
            is. Columns that hold rounded numbers have one twelfth of the squared step as floor.
        reg_covar: scikit-learn's absolute addition to all variances instead of that floor; with
            it, steps are scikit-learn's to the last digits, and nothing is accelerated or rescued.
        max_iter: most steps of a run.
        n_init: starts; after some steps of all, the best three go on and the best is kept.
        init: where starts come from: "kmeans", "k-means++" (seeds only), "random" (random
            responsibilities) or "random_from_data" (rows).
        weights_init: first weights (K,).
        means_init: first means (K, d).
        precisions_init: inverses of the first covariances, of their shape.
        accelerate: whether steps are extrapolated (SQUAREM) where the first 20 have not sufficed.
        random_state: seed of `fit`, where that is given no generator; None: another at each fit.

    Attributes:
        weights: parameter (K,).
        means: parameter (K, d).
        covariances: parameter (K, d, d) full, (d, d) tied, (K, d) diag, (K,) spherical. All are
            float64.
        collapsed: numbers of the components that had collapsed at the end of the last fit.

    Raises:
        TypeError, ValueError: for arguments of the wrong kind or out of range.

    Reference:
        Dempster, Laird & Rubin 1977, section 4.3; McLachlan & Peel 2000, "Finite mixture models",
        chapter 3; Varadhan & Roland 2008 for the acceleration; Ghahramani & Jordan 1994 for
        missing entries.

    Example:
        >>> x = torch.tensor([[-2.2], [-1.8], [-2.0], [1.5], [2.0], [2.5], [3.0]])
        >>> model = GaussianMixture(2, random_state=0).fit(x)
        >>> model.means.flatten().sort().values.round(decimals=3).tolist()
        [-2.0, 2.25]
        >>> model.predict(x).unique_consecutive().numel()
        2
    """

    collapsed: list[int]
    _stream: Stream | None

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
        weights_init: Any = None,
        means_init: Any = None,
        precisions_init: Any = None,
        accelerate: bool = True,
        random_state: int | None = None,
    ) -> None:
        super().__init__()
        self._configure(
            Settings(
                n_components,
                covariance_type,
                tol,
                regularization,
                reg_covar,
                max_iter,
                n_init,
                init,
                weights_init,
                means_init,
                precisions_init,
                accelerate,
                random_state,
            )
        )

    def _allocate(self, n_features: int) -> None:
        """Parameters before any are learned: standard normal laws."""
        k, kind = self.settings.n_components, self.covariance_type
        shape = covariance_shape(k, n_features, kind)
        ones = torch.ones(shape, dtype=torch.float64)
        if kind in ("full", "tied"):
            ones = torch.eye(n_features, dtype=torch.float64).expand(shape)
        self._assign(
            torch.full((k,), 1 / k, dtype=torch.float64),
            torch.zeros((k, n_features), dtype=torch.float64),
            ones,
        )
        self.collapsed = []
        self._stream = None
        self.converged_, self.n_iter_, self.lower_bound_ = False, 0, -np.inf

    def _assign(self, weights: Tensor, means: Tensor, covariances: Tensor) -> None:
        self.weights = nn.Parameter(weights.clone())
        self.means = nn.Parameter(means.clone())
        self.covariances = nn.Parameter(covariances.clone())

    @classmethod
    def from_parameters(
        cls, weights: Any, means: Any, covariances: Any, covariance_type: CovarianceType = "full"
    ) -> Self:
        """A mixture with these parameters.

        Shapes:
            weights: (K,). means: (K, d). covariances: as the attribute.

        Raises:
            ValueError: if they are no mixture's.

        Example:
            >>> mixture = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [3.0]], [1.0, 1.0],
            ...                                           "spherical")
            >>> mixture.predict([[0.1], [2.9]]).tolist()
            [0, 1]
        """
        weights, means, covariances = [
            torch.as_tensor(x, dtype=torch.float64) for x in (weights, means, covariances)
        ]
        check_distribution("weights", weights)
        model = cls(len(weights), covariance_type)
        if means.ndim != 2 or len(means) != len(weights):
            raise ValueError(
                f"means must be ({len(weights)}, features), found shape {tuple(means.shape)}"
            )
        shape = covariance_shape(len(means), means.shape[1], covariance_type)
        if covariances.shape != shape:
            raise ValueError(
                f"covariances must have shape {shape} for covariance_type={covariance_type!r}, "
                f"found {tuple(covariances.shape)}"
            )
        model._assign(weights, means, covariances)
        normal_log_prob(means[:1], means, covariances, covariance_type)
        return model

    def config(self) -> dict[str, Any]:
        """Constructor arguments without first parameters, and the number of features."""
        first = ("weights_init", "means_init", "precisions_init")
        kept = {k: v for k, v in self.get_params().items() if k not in first}
        return {**kept, "n_features": self.n_features}

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        generator: GeneratorLike = None,
        progress: bool | None = None,
    ) -> Self:
        """Find the parameters that make the rows most probable.

        Arguments:
            X: rows, NaN for missing entries; float32 is computed in float32 as long as that keeps
                enough digits (sums are float64).
            y: ignored, as in scikit-learn.
            sample_weight: of the rows; a weight of two is a row that is there twice.
            generator: for starts; by default ``random_state``.
            progress: True, False, or None: a bar if on a terminal.

        Fills ``history``: one dict per step of every run, with ``start``, ``iteration``,
        ``objective`` (log-likelihood of all rows before the step, nats) and ``change``.

        Shapes:
            X: (n, d). sample_weight: (n,).

        Warns:
            ConvergenceWarning: if ``max_iter`` steps did not suffice.
            CollapsedComponentWarning: if components have collapsed.

        Raises:
            TypeError, ValueError: for rows or weights that nothing can be learned from.
        """
        rows, weights, source = self._read_fit(X, sample_weight, generator)
        search = Search(rows, weights, self.settings, generator=source, progress=progress)
        self._stream = None
        self._take(search.run())
        return self

    def _take(self, found: Found, *, warn: bool = True) -> None:
        """Make what a search found the model's, and tell of collapsed components."""
        weights, means, covariances = [
            torch.as_tensor(x[0], device=self.device) for x in found.components
        ]
        if self.covariance_type == "tied":
            covariances = covariances[0]
        if self.covariance_type == "spherical":
            covariances = covariances[:, 0]
        self._assign(weights, means, covariances)
        self.history = found.history
        self.converged_, self.n_iter_ = found.converged, found.iterations
        self.lower_bound_ = found.log_likelihood
        self.collapsed = np.flatnonzero(found.collapsed).tolist()
        if self.collapsed and warn:
            warnings.warn(
                f"components {self.collapsed} have collapsed: each describes a few rows, or has "
                "no width in some direction. Use fewer components, another covariance_type, more "
                "starts (n_init) or more regularization",
                CollapsedComponentWarning,
                stacklevel=3,
            )

    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        generator: GeneratorLike = None,
    ) -> Self:
        """Learn from one more batch of rows, of data that come one by one or fill no memory.

        .. math:: \\bar g \\leftarrow (1 - \\gamma_t)\\, \\bar g + \\gamma_t\\, g,
                  \\qquad \\gamma_t = (t + 2)^{-0.6}

        The first batch is fitted as `fit` does, and sets the scale of the columns: it should hold
        some hundred rows per component. Every further one is one step of stepwise EM. Near the
        optimum the parameters keep moving a little; `fit` on all rows ends exactly there. Calling
        `fit`, or setting parameters, ends the stream.

        Arguments:
            X: rows, NaN for missing entries.
            y: ignored.
            sample_weight: of the rows.
            generator: for the start.

        Raises:
            TypeError, ValueError: as `fit`.

        Reference:
            Cappe & Moulines 2009, "On-line expectation-maximization algorithm for latent data
            models", section 2.3.
        """
        known = None if self._stream is None else self.n_features
        rows, weights, source = self._read_fit(X, sample_weight, generator, known)
        first = self._stream is None
        if self._stream is None:
            self._stream = Stream(rows, weights, self.settings, generator=source)
        else:
            self._stream.add(rows, weights)
        self._take(self._stream.found, warn=first)
        return self

    @classmethod
    def select(
        cls,
        X: Any,
        n_components: Sequence[int] = range(1, 7),
        covariance_types: Sequence[CovarianceType] = COVARIANCE_TYPES,
        *,
        criterion: Criterion = "bic",
        sample_weight: Any = None,
        n_init: int = 10,
        tol: float = 1e-5,
        max_iter: int = 1000,
        random_state: int | None = None,
        progress: bool | None = None,
    ) -> MixtureSelection[Self]:
        """Fit mixtures of several sizes and shapes, and choose one by a criterion.

        Mixtures with collapsed components are not chosen: the likelihood of a component that sits
        on a few rows, or on one value of rounded data, has no bound, and beats any penalty.

        Arguments:
            X: rows, NaN for missing entries.
            n_components: numbers of components to try.
            covariance_types: shapes to try.
            criterion: "bic" or "aic".
            sample_weight: of the rows.
            n_init: of every fit.
            tol: of every fit.
            max_iter: of every fit.
            random_state: of every fit.
            progress: True, False, or None: a bar if on a terminal.

        Raises:
            ValueError: if there is nothing to try, or all mixtures have collapsed components.

        Reference:
            Fraley & Raftery 2002, "Model-based clustering, discriminant analysis, and density
            estimation", section 2.4.

        Example:
            >>> x = torch.cat([torch.linspace(-1, 1, 40), torch.linspace(9, 11, 40)])[:, None]
            >>> found = GaussianMixture.select(x, [1, 2], ["full"], random_state=0)
            >>> found.best.settings.n_components
            2
        """
        tried: list[tuple[int, CovarianceType]] = [
            (k, kind) for kind in covariance_types for k in n_components
        ]

        def fitted(k: int, kind: CovarianceType) -> Self:
            model = cls(
                k, kind, n_init=n_init, tol=tol, max_iter=max_iter, random_state=random_state
            )
            return model.fit(X, sample_weight=sample_weight, progress=False)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CollapsedComponentWarning)
            return choose(tried, fitted, X, criterion=criterion, progress=progress)

    def marginal(self, columns: Sequence[int]) -> Self:
        """The mixture that some of the columns have, in the order given.

        Raises:
            TypeError, ValueError: if they are no columns.

        Example:
            >>> model = GaussianMixture.from_parameters([1.0], [[1.0, 2.0]], [[1.0, 4.0]], "diag")
            >>> model.marginal([1]).means.tolist()
            [[2.0]]
        """
        kept = read_columns("columns", columns, self.n_features)
        covariances = marginalize(self.covariances_, kept, self.covariance_type)
        return self._like(self.weights_, self.means_[:, kept], covariances)

    def conditional(self, given: Mapping[int, float]) -> Self:
        """The mixture that the other columns have where the values of some are known.

        Arguments:
            given: values by column.

        Raises:
            TypeError, ValueError: if there is no such column, none is left, or the values are so
                far away that their density vanishes.

        Reference:
            Bishop 2006, "Pattern recognition and machine learning", eq. 2.81-2.82.

        Example:
            >>> model = GaussianMixture.from_parameters(
            ...     [1.0], [[0.0, 0.0]], [[[1.0, 0.5], [0.5, 1.0]]])
            >>> model.conditional({0: 2.0}).means.tolist()
            [[1.0]]
        """
        return self._like(
            *condition(self.weights_, self.means_, self.covariances_, self.covariance_type, given)
        )

    def _like(self, weights: Tensor, means: Tensor, covariances: Tensor) -> Self:
        """A mixture of this one's settings with other parameters."""
        model = type(self).from_config({**self.config(), "n_features": means.shape[1]})
        model._assign(weights, means, covariances)
        return model
