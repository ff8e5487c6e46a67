"""Variational learning of normal mixtures: laws of all parameters, and a bound on the evidence.

.. math:: \\log p(X) \\;\\ge\\; \\sum_i \\log \\sum_k e^{s_k(x_i)}
          - \\mathrm{KL}\\bigl(q(\\pi) \\,\\|\\, p(\\pi)\\bigr)
          - \\sum_k \\mathrm{KL}\\bigl(q(\\mu_k, \\Lambda_k) \\,\\|\\, p(\\mu_k, \\Lambda_k)\\bigr)

.. math:: s_k(x) = \\mathbb{E} \\log \\pi_k + \\mathbb{E} \\log N(x; \\mu_k, \\Lambda_k^{-1})

with responsibilities that are the best ones for the laws, in proportion to exp(s).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from pgm.mixtures.components import CovarianceType
from pgm.mixtures.moments import Moments, Scores
from pgm.mixtures.normal_wishart import (
    Expectations,
    NormalWishart,
    divergence,
    expectations,
    log_constant,
    posterior,
)
from pgm.mixtures.weight_laws import WeightLaw

__all__ = ["Posterior", "VariationalModel"]


class Posterior(NamedTuple):
    """Laws of the parameters of R mixtures.

    Attributes:
        concentration: of the weights, (R, ...) as the law of the weights has it.
        mean_precision: (R, K).
        means: (R, K, d).
        degrees_of_freedom: (R, K), or (R, 1) where covariances are tied.
        covariances: as `Components` holds them.
    """

    concentration: Any
    mean_precision: Any
    means: Any
    degrees_of_freedom: Any
    covariances: Any

    @property
    def laws(self) -> NormalWishart:
        """Those of means and precisions."""
        return NormalWishart(*self[1:])


@dataclass(frozen=True)
class VariationalModel:
    """Priors of a mixture, and the steps that they make.

    Attributes:
        weight_law: prior of the weights.
        prior: of means and precisions, the same for all components (axes of length one).
        covariance_type: of the posteriors' scale matrices.
    """

    weight_law: WeightLaw
    prior: NormalWishart
    covariance_type: CovarianceType

    def posterior(self, moments: Moments) -> Posterior:
        """The best laws for responsibilities with these moments: the M step."""
        concentration = self.weight_law.posterior(moments.counts)
        return Posterior(concentration, *posterior(self.prior, moments, self.covariance_type))

    def scores(self, found: Posterior) -> Scores:
        """What the best responsibilities are made of."""
        return self._scores(found, expectations(found.laws, self.covariance_type))

    def divergence(self, found: Posterior) -> Any:
        """Kullback-Leibler divergence of the posterior from the prior, (R,), nats."""
        return self._divergence(found, expectations(found.laws, self.covariance_type))

    def step(self, found: Posterior, expect: Callable[[Scores], Moments]) -> tuple[Posterior, Any]:
        """One E and one M step.

        Arguments:
            found: present laws.
            expect: moments of the rows under responsibilities with these scores.

        Returns:
            The next laws, and the bound at the present ones, (R,), nats.

        Reference:
            Bishop 2006, sections 10.2.1 and 10.2.2.
        """
        expected = expectations(found.laws, self.covariance_type)
        moments = expect(self._scores(found, expected))
        bound = moments.log_likelihood - self._divergence(found, expected)
        return self.posterior(moments), bound

    def _scores(self, found: Posterior, expected: Expectations) -> Scores:
        d = found.means.shape[-1]
        offsets = (
            self.weight_law.expected_logs(found.concentration)
            + 0.5 * (expected.heights + expected.gaps)
            - 0.5 * d * (math.log(2 * math.pi) + 1 / found.mean_precision)
        )
        return Scores(offsets, found.means, expected.factors)

    def _divergence(self, found: Posterior, expected: Expectations) -> Any:
        kind, prior = self.covariance_type, self.prior
        components = divergence(found.laws, expected, prior, self._prior_constant, kind)
        return self.weight_law.divergence(found.concentration) + components.sum(-1)

    @cached_property
    def _prior_constant(self) -> Any:
        """Of the prior's Wishart law."""
        prior, d = self.prior, self.prior.means.shape[-1]
        found = expectations(prior, self.covariance_type)
        return log_constant(prior.degrees_of_freedom, found.heights, d)
