"""From rows to the laws with the highest bound that a search over starts finds.

.. math:: q^* = \\arg\\max_r \\mathcal{L}\\bigl(q^{(r)}_\\infty\\bigr)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from inference.arrays import Array, index_like, namespace, to_double, to_working
from inference.learning.em import climb
from inference.memory import require_memory
from pgm.mixtures.components import CovarianceType
from pgm.mixtures.coordinates import Coordinates
from pgm.mixtures.expectation import expect
from pgm.mixtures.floors import Floor
from pgm.mixtures.learning import Learner
from pgm.mixtures.moments import Components, Moments, Scores
from pgm.mixtures.normal_wishart import NormalWishart
from pgm.mixtures.read_rows import check_learnable
from pgm.mixtures.scale_matrices import SCALES
from pgm.mixtures.search import guard_of
from pgm.mixtures.seeding import first_responsibilities
from pgm.mixtures.spread import measure
from pgm.mixtures.variational import Posterior, VariationalModel
from pgm.mixtures.variational_settings import VariationalSettings, scale_shape

__all__ = ["FoundPosterior", "VariationalSearch"]

#: Arrays as large as all laws that a step holds at a time: two of laws, scores, moments, products.
ARRAYS = 8
#: Variance of a column, in units of its squared robust scale, that outliers have made.
WILD = 1e8


@dataclass(frozen=True)
class FoundPosterior:
    """What a search finds, in the units of the data.

    Attributes:
        posterior: laws of one mixture, R = 1.
        prior: of means and precisions.
        bound: on the log-evidence of all rows, at these laws, nats.
        converged, iterations: of the best run.
        history: of all runs.
    """

    posterior: Posterior
    prior: NormalWishart
    bound: float
    converged: bool
    iterations: int
    history: list[dict[str, Any]]

    def state(self) -> dict[str, Any]:
        """What a model keeps, by the names it has there."""
        prior = self.prior
        return {
            "weight_concentration": self.posterior.concentration,
            **self.posterior.laws._asdict(),
            "prior_mean_precision": prior.mean_precision,
            "prior_mean": prior.means,
            "prior_degrees_of_freedom": prior.degrees_of_freedom,
            "prior_covariance": prior.covariances * prior.degrees_of_freedom.reshape(()),
            "converged": self.converged,
            "n_iter": self.iterations,
            "lower_bound": self.bound,
        }


class VariationalSearch:
    """Learning the laws of a mixture's parameters from rows.

    Arguments:
        x: rows as read, NaN for missing.
        weights: of the rows, positive; None: ones.
        settings: checked.
        generator: for starts.
        progress: whether to show a bar.

    Raises:
        ValueError: if the rows are none to learn from, or a prior does not fit them.
    """

    def __init__(
        self,
        x: Array,
        weights: Array | None,
        settings: VariationalSettings,
        *,
        generator: torch.Generator,
        progress: bool | None,
    ) -> None:
        self._x, self._weights, self._settings = x, weights, settings
        self._generator, self._progress = generator, progress
        missing = check_learnable(x, settings.n_components)
        d, kind = x.shape[1], settings.covariance_type
        given = settings.mean(d), settings.covariance(d), settings.degrees_of_freedom(d)
        _check_memory(settings, d)
        self._kind: CovarianceType = kind
        self._spread = measure(x, weights, missing=missing)
        self._coordinates = Coordinates.of(self._spread, kind, whiten=not missing)
        self._guard = guard_of(self._spread, self._coordinates, settings)
        self._learner = Learner(
            x,
            weights,
            self._spread,
            self._coordinates,
            self._guard,
            settings.n_components,
            missing=missing,
            rescue=False,
            generator=generator,
        )
        self.prior = self._prior(*given)
        moved = self._into(self.prior)
        self._model = VariationalModel(settings.weight_law, moved, kind)

    def run(self) -> FoundPosterior:
        """Search."""
        settings = self._settings
        found = climb(
            self._step,
            self._first(),
            max_iterations=settings.max_iter,
            tolerance=settings.tol,
            # Rounding of rows that are nearly collinear, or float32, may lower a bound that stands
            # still by more than rounding of the bound itself; so may an addition to the scatters.
            monotone=False,
            progress=self._progress,
        )
        best = found.best
        laws = Posterior(*[part[best : best + 1] for part in found.parameters])
        _, bound = self._step(laws)
        return FoundPosterior(
            self._back(laws),
            self.prior,
            float(bound[0]),
            bool(found.converged[best]),
            int(found.iterations[best]),
            found.history,
        )

    def _step(self, laws: Posterior) -> tuple[Posterior, Any]:
        """The next laws, and the bound at the present ones, (R,)."""
        found, bound = self._model.step(laws, self._expect)
        return found, bound + self._learner.volume

    def _expect(self, scores: Scores) -> Moments:
        """Moments of the rows, with what scikit-learn's ``reg_covar`` adds."""
        moments = expect(self._learner.data, scores, self._kind)
        if self._settings.reg_covar is not None:
            moments = moments._replace(scatters=self._guard.apply(moments.scatters))
        return self._ordered(moments)

    def _ordered(self, moments: Moments) -> Moments:
        """Components as the law of the weights prefers them; their numbers mean nothing else."""
        return by_size(moments) if self._model.weight_law.prefers_falling else moments

    def _first(self) -> Posterior:
        """Laws for the moments of first responsibilities, one run for every start."""
        settings, spread, learner = self._settings, self._spread, self._learner
        k, runs = settings.n_components, settings.n_init
        scaled = (self._x - spread.center) / spread.scales
        seeds = first_responsibilities(
            scaled, k, settings.init, runs, weights=self._weights, generator=self._generator
        )
        weights, means, covariances = learner.start(seeds.block, runs, k)
        moments = Moments(0 * weights.sum(-1), learner.total * weights, means, covariances)
        return self._model.posterior(self._ordered(moments))

    # Priors ----------------------------------------------------------------------------------

    def _prior(self, mean: Any, covariance: Any, degrees_of_freedom: float) -> NormalWishart:
        """In the units of the data; by default about their mean, and as wide as they are."""
        like, beta = self._spread.mean, self._settings.mean_precision_prior
        center = like if mean is None else to_working(mean, like)
        scale = (
            self._default_scale()
            if covariance is None
            else to_working(covariance, like)[None, None]
        )
        return NormalWishart(
            to_working([[1.0 if beta is None else float(beta)]], like),
            center[None, None],
            to_working([[degrees_of_freedom]], like),
            scale / degrees_of_freedom,
        )

    def _default_scale(self) -> Any:
        """Covariance of the rows, (1, 1, ...) as the type holds it, nowhere below the floor.

        Where outliers have made it, it says nothing of the other rows, and their squared robust
        scales take its place.
        """
        spread, total = self._spread, self._learner.total
        relative = spread.correlations
        if relative is None:
            relative = _variances((self._x - spread.mean) / spread.scales, self._weights)
        if float(relative.max()) > WILD:
            relative = namespace(relative).diag(1 + 0 * spread.scales)
        unbiased = total / (total - 1) if total > 1 else 1.0
        matrix = unbiased * relative * (spread.scales[:, None] * spread.scales)
        own = Floor(self._coordinates.covariance(matrix), self._kind).own()[None, None]
        floor = guard_of(spread, self._coordinates, replace(self._settings, reg_covar=None))
        return self._coordinates.back(Components(None, spread.center, floor.apply(own)))[2]

    def _into(self, prior: NormalWishart) -> NormalWishart:
        """A prior in the coordinates of learning."""
        _, means, covariances = self._coordinates.into(
            Components(None, prior.means, prior.covariances)
        )
        return prior._replace(means=means, covariances=covariances)

    def _back(self, found: Posterior) -> Posterior:
        """Laws in the units of the data."""
        _, means, covariances = self._coordinates.back(
            Components(None, found.means, found.covariances)
        )
        covariances = SCALES[self._kind].mend(covariances, 0 * covariances)
        return found._replace(means=means, covariances=covariances)


def by_size(moments: Moments) -> Moments:
    """Components from the largest down."""
    counts, means, scatters = moments[1:]
    order = namespace(counts).argsort(-counts, -1)
    runs = index_like(np.arange(len(order))[:, None], counts)
    if scatters.shape[1] == counts.shape[1]:
        scatters = scatters[runs, order]
    return Moments(moments.log_likelihood, counts[runs, order], means[runs, order], scatters)


def _check_memory(settings: VariationalSettings, n_features: int) -> None:
    """Refuse laws that would not fit, before they are made."""
    runs, k, kind = settings.n_init, settings.n_components, settings.covariance_type
    numbers = n_features + math.prod(scale_shape(n_features, kind))
    require_memory(
        8 * ARRAYS * runs * k * numbers,
        f"n_init={runs} times n_components={k} of {numbers} numbers",
        "use fewer runs or components, or covariance_type='diag'",
    )


def _variances(x: Any, weights: Any) -> Any:
    """Diagonal matrix of mean squares of the present entries of x (n, d)."""
    xp = namespace(x)
    there = to_double(~xp.isnan(x))
    if weights is not None:
        there *= weights[:, None]
    squares = (there * xp.nan_to_num(x, nan=0.0) ** 2).sum(0)
    return xp.diag(squares / there.sum(0))
