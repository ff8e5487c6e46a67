"""How many independent draws the draws of chains are worth.

.. math:: S_\\text{eff} = \\frac{S}{1 + 2 \\sum_{t \\ge 1} \\rho_t}
"""

from __future__ import annotations

from typing import SupportsIndex

import numpy as np
import torch
from torch import Tensor

from inference.diagnostics.autocovariance import autocovariances, centred, effective_size
from inference.diagnostics.block import NEAR, Block, as_draws, per_dimension
from inference.inputs import Values, as_whole

__all__ = [
    "autocorrelation",
    "autocorrelation_time",
    "block_ess_bulk",
    "block_ess_tail",
    "ess",
    "ess_bulk",
    "ess_tail",
]

#: The quantiles that stand for the tails.
TAILS = 0.05, 0.95


def ess(x: Values) -> Tensor:
    """Effective number of draws for the mean.

    .. math:: \\operatorname{Var}[\\bar x] = \\operatorname{Var}[x] \\,/\\, S_\\text{eff}

    Means nothing where the variance is infinite; ``ess_bulk`` does.

    Arguments:
        x: draws of chains.

    Shapes:
        x: (chain, draw, *event). result: (*event,) float64; NaN where no draw differs from any
        other or one is not finite.

    Raises:
        TypeError: if ``x`` does not hold real numbers.
        ValueError: if there are fewer than 4 draws per chain.

    Reference:
        Vehtari et al. 2021, "Rank-normalization, folding, and localization: an improved R-hat for
        assessing convergence of MCMC", section 3.2; Geyer 1992, "Practical Markov chain Monte
        Carlo", section 3.3.

    Example:
        >>> noise = torch.randn(4, 500, generator=torch.Generator().manual_seed(0))
        >>> 1600 < ess(noise) < 2400, ess(noise.cumsum(1)) < 20
        (tensor(True), tensor(True))
    """
    return per_dimension(x, lambda block: block.mean_size)


def ess_bulk(x: Values) -> Tensor:
    """Effective number of draws in the bulk of the law, of the normal scores of the ranks.

    .. math:: S_\\text{bulk} = S_\\text{eff}\\Bigl[
              \\Phi^{-1}\\Bigl(\\frac{r(x) - 3/8}{S + 1/4}\\Bigr)\\Bigr]

    Trust it from about 100 per chain on. It assumes that chains got around: chains that are stuck
    in different places look well by themselves, and only ``rhat`` sees it.

    Arguments:
        x: draws of chains.

    Shapes:
        x: (chain, draw, *event). result: (*event,) float64; NaN where no draw differs from any
        other (others report S there) or one is not finite.

    Raises:
        TypeError: if ``x`` does not hold real numbers.
        ValueError: if there are fewer than 4 draws per chain.

    Reference:
        Vehtari et al. 2021, section 4.1.

    Example:
        >>> heavy = torch.empty(4, 500).cauchy_(generator=torch.Generator().manual_seed(0))
        >>> bool(ess_bulk(heavy) > 1500)
        True
    """
    return per_dimension(x, block_ess_bulk)


def ess_tail(x: Values) -> Tensor:
    """Effective number of draws in the tails: the smaller one at the 5 % and 95 % quantiles.

    .. math:: S_\\text{tail} = \\min\\bigl(S_\\text{eff}[\\mathbb{1}(x \\le q_{.05})],\\;
              S_\\text{eff}[\\mathbb{1}(x \\le q_{.95})]\\bigr)

    Arguments:
        x: draws of chains.

    Shapes:
        x: (chain, draw, *event). result: (*event,) float64; NaN where no draw exceeds the 5 %
        quantile, so that no tail is seen, or one is not finite.

    Raises:
        TypeError: if ``x`` does not hold real numbers.
        ValueError: if there are fewer than 4 draws per chain.

    Reference:
        Vehtari et al. 2021, section 4.3.

    Example:
        >>> noise = torch.randn(4, 500, generator=torch.Generator().manual_seed(0))
        >>> bool(ess_tail(noise) > 1200)
        True
    """
    return per_dimension(x, block_ess_tail)


def autocorrelation_time(x: Values) -> Tensor:
    """Number of draws that are worth one independent draw, for the mean.

    .. math:: \\tau = 1 + 2 \\sum_{t \\ge 1} \\rho_t = S / S_\\text{eff}

    Arguments:
        x: draws of chains.

    Shapes:
        x: (chain, draw, *event). result: (*event,) float64; NaN as ``ess``. An estimate from
        fewer than 50 times as many draws is too small, most likely.

    Raises:
        TypeError: if ``x`` does not hold real numbers.
        ValueError: if there are fewer than 4 draws per chain.

    Reference:
        Sokal 1997, "Monte Carlo methods in statistical mechanics", section 2; Foreman-Mackey et
        al. 2013, "emcee: the MCMC hammer", section 4 (the factor 50 in its documentation).

    Example:
        >>> noise = torch.randn(4, 500, generator=torch.Generator().manual_seed(0))
        >>> 0.8 < autocorrelation_time(noise).item() < 1.25
        True
    """
    return per_dimension(x, lambda block: _drawn(block) / block.mean_size)


def autocorrelation(x: Values, max_lag: SupportsIndex | None = None) -> Tensor:
    """Autocorrelations of every chain.

    .. math:: \\rho_t = \\gamma_t / \\gamma_0, \\qquad
              \\gamma_t = \\frac1n \\sum_{i=1}^{n-t} (x_i - \\bar x)(x_{i+t} - \\bar x)

    Arguments:
        x: draws of chains.
        max_lag: the longest lag; None gives all.

    Shapes:
        x: (chain, draw, *event). result: (chain, lag, *event) float64, from lag 0; NaN for a
        chain that stands still or has a number that is not finite.

    Raises:
        TypeError: if ``x`` does not hold real numbers.
        ValueError: if there are fewer than 2 draws per chain, or the lag is negative.

    Reference:
        Geyer 2011, "Introduction to Markov chain Monte Carlo", section 1.8.

    Example:
        >>> autocorrelation([[0.0, 1.0, 0.0, 1.0]], max_lag=1).tolist()
        [[1.0, -0.75]]
    """
    draws = as_draws(x, least=2)
    n = draws.shape[1]
    lags = n if max_lag is None else min(n, as_whole("max_lag", max_lag, least=0) + 1)
    flat = draws.transpose(0, 1).reshape(n, -1)
    result = torch.empty((lags, flat.shape[1]), dtype=torch.float64, device=draws.device)
    width = max(1, NEAR // n)
    for first in range(0, flat.shape[1], width):
        # Every chain of every dimension is a block's dimension of one chain here.
        block = Block.of(flat[None, :, first : first + width])
        covariance = autocovariances(centred(block.scaled).rest)
        correlation = covariance[:, :lags] / covariance[:, :1]
        correlation[~block.finite | (covariance[:, 0] == 0)] = torch.nan
        result[:, first : first + width] = correlation.T
    return result.reshape((lags, draws.shape[0], *draws.shape[2:])).transpose(0, 1)


def block_ess_bulk(block: Block) -> Tensor:
    """Effective number of draws in the bulk, (D,)."""
    return effective_size(block.scores)


def block_ess_tail(block: Block) -> Tensor:
    """Effective number of draws in the tails, (D,)."""
    low, high = [block.quantile_size(share) for share in TAILS]
    # Where the quantile is the largest number, as of a spin, that side has no error to speak of.
    most = float(_drawn(block))
    seen = ~(low.isnan() & high.isnan())
    smaller = torch.minimum(low.nan_to_num(most), high.nan_to_num(most))
    return torch.where(seen, smaller, torch.nan)


def _drawn(block: Block) -> int:
    """Number of draws in the halves of the chains."""
    return int(np.prod(block.halves.shape[1:]))
