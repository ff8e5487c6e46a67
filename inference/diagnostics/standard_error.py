"""How far an estimate from chains is from the truth: Monte Carlo standard errors.

.. math:: \\text{MCSE} = \\sigma / \\sqrt{S_\\text{eff}}
"""

from __future__ import annotations

from numbers import Real
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from inference.diagnostics.block import Block, per_dimension
from inference.inputs import Values

__all__ = ["Of", "block_mcse", "mcse"]

#: What an error is of: the mean, the standard deviation, or a quantile, by its share.
Of: TypeAlias = Literal["mean", "sd"] | float

#: Shares below one standard deviation under and over the mean of a normal law, as published.
ONE_SIGMA = 0.1586553, 0.8413447


def mcse(x: Values, of: Of = "mean") -> Tensor:
    """Standard error of a mean, a standard deviation or a quantile from draws of chains.

    .. math:: \\frac{s}{\\sqrt{S_\\text{eff}}}, \\qquad
              \\frac{1}{2 s} \\sqrt{\\frac{\\overline{(x - \\bar x)^4}
              - s^4}{S_\\text{eff}}}, \\qquad
              \\tfrac12 \\bigl(x_{(S a_2)} - x_{(S a_1)}\\bigr)

    For the quantile at p, a are the quantiles of Beta(S_eff p + 1, S_eff (1 - p) + 1) that lie one
    standard deviation from its middle. In the units of x.

    Arguments:
        x: draws of chains.
        of: "mean", "sd", or a number between 0 and 1: the quantile there.

    Shapes:
        x: (chain, draw, *event). result: (*event,) float64; NaN where no draw differs from any
        other (for a quantile: none is above it) or one is not finite: no error can be told.

    Raises:
        TypeError: if ``x`` does not hold real numbers.
        ValueError: if there are fewer than 4 draws per chain, or ``of`` is something else.

    Reference:
        Vehtari et al. 2021, "Rank-normalization, folding, and localization: an improved R-hat for
        assessing convergence of MCMC", sections 3.2 and 4.4, and their R package's error of the
        standard deviation (Kenney & Keeping 1951, p. 141).

    Example:
        >>> noise = torch.randn(4, 2500, generator=torch.Generator().manual_seed(0))
        >>> [round(mcse(noise, of).item(), 3) for of in ("mean", "sd", 0.5)]
        [0.01, 0.007, 0.012]
    """
    check_of(of)
    return per_dimension(x, lambda block: block_mcse(block, of))


def check_of(of: Of) -> None:
    """Refuse what has no error here.

    Raises:
        ValueError: then.
    """
    if isinstance(of, str):
        known = of in ("mean", "sd")
    else:
        known = isinstance(of, (Real, np.ndarray, Tensor)) and not isinstance(of, bool)
        known = known and np.ndim(of) == 0 and 0 < float(of) < 1
    if not known:
        raise ValueError(f'of must be "mean", "sd" or a quantile between 0 and 1, found {of!r}')


def block_mcse(block: Block, of: Of) -> Tensor:
    """Standard errors for the dimensions of a block, (D,)."""
    if of == "mean":
        return block.std / block.mean_size.sqrt()
    if of == "sd":
        return _of_sd(block)
    return _of_quantile(block, float(of))


def _of_sd(block: Block) -> Tensor:
    """Standard errors of standard deviations, by the spread of the squares."""
    squares = (block.scaled - block.scaled.mean((1, 2), keepdim=True)).square()
    variance = squares.mean((1, 2))
    spread = (squares - variance[:, None, None]).square().mean((1, 2))
    return block.scale * (spread / block.mean_size / variance / 4).sqrt()


def _of_quantile(block: Block, share: float) -> Tensor:
    """Half the distance of the order statistics that enclose a quantile with one sigma."""
    from scipy.special import betaincinv

    effective = block.quantile_size(share)
    known = effective.nan_to_num(1.0).cpu().numpy()
    low, high = [
        torch.from_numpy(betaincinv(known * share + 1, known * (1 - share) + 1, sigma))
        for sigma in ONE_SIGMA
    ]
    last = block.size - 1
    places = torch.stack(
        [
            (low * block.size - 1).floor().clamp_min(0),
            (high * block.size - 1).ceil().clamp_max(last),
        ],
        1,
    )
    ends = block.all_ascending.gather(1, places.long().to(effective.device))
    return torch.where(effective.isnan(), torch.nan, ends[:, 1] / 2 - ends[:, 0] / 2)
