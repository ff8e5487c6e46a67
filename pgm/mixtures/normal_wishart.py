"""Normal-Wishart laws of means and precisions, the conjugate ones of normal rows.

.. math:: p(\\mu, \\Lambda) = N\\bigl(\\mu;\\, m, (\\beta \\Lambda)^{-1}\\bigr)\\,
          \\mathrm{Wishart}(\\Lambda;\\, W, \\nu), \\qquad C = (\\nu W)^{-1}

Precisions are full matrices whatever the covariance type, which says what the scale matrices W of
the posteriors may be: any, the same for all components, diagonal, or multiples of the identity.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from inference.arrays import namespace
from pgm.mixtures.components import CovarianceType
from pgm.mixtures.moments import Moments
from pgm.mixtures.scale_matrices import SCALES
from pgm.mixtures.special import log_multivariate_gamma, multivariate_digamma

__all__ = [
    "Expectations",
    "NormalWishart",
    "divergence",
    "expectations",
    "log_constant",
    "log_density_gap",
    "posterior",
]


class NormalWishart(NamedTuple):
    """R K laws; axes of length one stand for all runs or components, as in a prior.

    Attributes:
        mean_precision: beta (R, K), rows that the mean is worth.
        means: m (R, K, d).
        degrees_of_freedom: nu (R, K), or (R, 1) where covariances are tied; above d - 1.
        covariances: C, inverses of the expected precisions, by covariance type as `Components`
            holds them.

    Working arrays, float64.
    """

    mean_precision: Any
    means: Any
    degrees_of_freedom: Any
    covariances: Any


def posterior(prior: NormalWishart, moments: Moments, covariance_type: CovarianceType) -> Any:
    """The best laws for responsibilities with these moments.

    .. math:: \\beta_k = \\beta_0 + N_k, \\qquad
              m_k = (\\beta_0 m_0 + N_k \\bar x_k) / \\beta_k, \\qquad \\nu_k = \\nu_0 + N_k

    .. math:: W_k^{-1} = W_0^{-1} + N_k S_k
              + \\frac{\\beta_0 N_k}{\\beta_k} (\\bar x_k - m_0)(\\bar x_k - m_0)^\\top

    projected to the covariance type; where covariances are tied, N and the sum of both products
    are means over the components. That is the maximum of the bound over laws of the type.

    Reference:
        Bishop 2006, equations 10.60 to 10.63 (in which nu_k must be nu_0 + N_k).
    """
    scales, counts = SCALES[covariance_type], moments.counts
    beta = prior.mean_precision + counts
    shares = counts / beta
    gaps = moments.means - prior.means
    between = scales.against(prior.mean_precision * shares) * scales.outer(gaps)
    pooled = scales.pool(counts)
    nu = prior.degrees_of_freedom + pooled
    own = scales.against(prior.degrees_of_freedom) * prior.covariances
    scatter = own + scales.against(pooled) * moments.scatters + scales.pool(between)
    scatter = scales.mend(scatter, own)
    means = prior.means + shares[..., None] * gaps
    return NormalWishart(beta, means, nu, scatter / scales.against(nu))


class Expectations(NamedTuple):
    """What laws of R K precisions say of their logarithms.

    Attributes:
        factors: A of C, as `Scores` holds them.
        heights: ``log |C^{-1}|``, (R, K) or (R, 1).
        gaps: ``E log |Lambda|`` less that, (R, K) or (R, 1); negative.
    """

    factors: Any
    heights: Any
    gaps: Any


def expectations(laws: NormalWishart, covariance_type: CovarianceType) -> Expectations:
    """Expectations under laws.

    .. math:: \\mathbb{E} \\log |\\Lambda| - \\log |C^{-1}|
              = \\psi_d(\\tfrac{\\nu}{2}) - d \\log \\tfrac{\\nu}{2}

    Reference:
        Bishop 2006, equation 10.65.
    """
    scales, d = SCALES[covariance_type], laws.means.shape[-1]
    factors = scales.factors(laws.covariances)
    return Expectations(factors, scales.log_det(factors, d), _gaps(laws))


def log_density_gap(laws: NormalWishart) -> Any:
    """Expected log-density of a row less that of the normal law with mean m and covariance C.

    .. math:: \\mathbb{E} \\log N(x; \\mu, \\Lambda^{-1}) - \\log N(x; m, C)
              = \\tfrac12 \\bigl(\\mathbb{E} \\log |\\Lambda| - \\log |C^{-1}|\\bigr)
              - \\frac{d}{2 \\beta}

    It is the same for all rows, and negative.

    Shapes:
        result: (R, K), nats.

    Reference:
        Bishop 2006, equation 10.64.
    """
    return 0.5 * _gaps(laws) - 0.5 * laws.means.shape[-1] / laws.mean_precision


def log_constant(nu: Any, heights: Any, d: int) -> Any:
    """Logarithm of the constant of Wishart laws.

    .. math:: \\log B(W, \\nu) = -\\tfrac{\\nu}{2} (\\log |W| + d \\log 2)
              - \\log \\Gamma_d(\\tfrac{\\nu}{2}), \\qquad
              \\log |W| = \\log |C^{-1}| - d \\log \\nu

    Arguments:
        nu: degrees of freedom.
        heights: ``log |C^{-1}|``.
        d: number of features.
    """
    logs = heights - d * namespace(nu).log(0.5 * nu)
    return -0.5 * nu * logs - log_multivariate_gamma(0.5 * nu, d)


def divergence(
    laws: NormalWishart,
    found: Expectations,
    prior: NormalWishart,
    constant: Any,
    covariance_type: CovarianceType,
) -> Any:
    """Kullback-Leibler divergence of every law from the prior.

    .. math:: \\mathbb{E}_q \\log \\frac{q(\\mu \\mid \\Lambda)}{p(\\mu \\mid \\Lambda)}
              + \\mathbb{E}_q \\log \\frac{q(\\Lambda)}{p(\\Lambda)}

    Arguments:
        laws: q.
        found: their expectations.
        prior: p.
        constant: `log_constant` of the prior.
        covariance_type: of both.

    Shapes:
        result: (R, K), nats.

    Reference:
        Bishop 2006, equations 10.74 and 10.77.
    """
    scales, d = SCALES[covariance_type], laws.means.shape[-1]
    ratio = prior.mean_precision / laws.mean_precision
    squares = scales.squares(laws.means - prior.means, found.factors)
    logs = namespace(ratio).log(ratio)
    normal = 0.5 * (d * (ratio - 1 - logs) + prior.mean_precision * squares)
    nu, nu0 = laws.degrees_of_freedom, prior.degrees_of_freedom
    trace = scales.trace(prior.covariances, found.factors, d)
    wishart = 0.5 * ((nu - nu0) * (found.heights + found.gaps) + nu0 * trace - nu * d)
    return normal + wishart + log_constant(nu, found.heights, d) - constant


def _gaps(laws: NormalWishart) -> Any:
    """The difference ``E log |Lambda| - log |C^{-1}|``."""
    d, half = laws.means.shape[-1], 0.5 * laws.degrees_of_freedom
    return multivariate_digamma(half, d) - d * namespace(half).log(half)
