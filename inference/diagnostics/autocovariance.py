"""Autocovariances of chains, and how many of their draws one independent draw is worth.

.. math:: \\gamma_t = \\frac1n \\sum_{i=1}^{n-t} (x_i - \\bar x)(x_{i+t} - \\bar x), \\qquad
          \\tau = 1 + 2 \\sum_{t \\ge 1} \\rho_t
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

__all__ = ["Chains", "autocovariances", "centred", "effective_size", "scale_reduction"]


class Chains(NamedTuple):
    """Chains of numbers: their means (D, M), and what is left of the draws, (D, M, n)."""

    means: Tensor
    rest: Tensor


def centred(draws: Tensor) -> Chains:
    """Means of chains (D, M, n), and the draws without them; exact zeros if a chain stands still.

    Example:
        >>> centred(torch.full((1, 1, 3), 0.1, dtype=torch.float64)).rest.tolist()
        [[[0.0, 0.0, 0.0]]]
    """
    first = draws[..., :1]
    moves = draws - first
    shift = moves.mean(-1, keepdim=True)
    return Chains((first + shift)[..., 0], moves.sub_(shift))


def autocovariances(rest: Tensor) -> Tensor:
    """Autocovariances at all lags, the mean of those of the chains.

    .. math:: \\gamma_t = \\frac1n \\sum_{i=1}^{n-t} x_i x_{i+t}

    Arguments:
        rest: centred chains.

    Shapes:
        rest: (D, M, n). result: (D, n).

    Reference:
        Wiener-Khinchin theorem; Geyer 2011, "Introduction to Markov chain Monte Carlo", section
        1.8 (why the divisor is n).

    Example:
        >>> autocovariances(torch.tensor([[[1.0, -1.0]]], dtype=torch.float64)).tolist()
        [[1.0, -0.5]]
    """
    n = rest.shape[-1]
    size = fast_length(2 * n - 1)
    # The inverse transform is linear: the spectra are averaged, and one is transformed back.
    if rest.device.type == "cpu":  # numpy's transform of short rows takes a third of torch's time
        parts = np.fft.rfft(rest.numpy(), size).view(np.float64)
        power = np.square(parts, out=parts).mean(1)
        return torch.from_numpy(np.fft.irfft((power[:, ::2] + power[:, 1::2]) / n, size)[:, :n])
    power = torch.view_as_real(torch.fft.rfft(rest, size)).square().sum(-1).mean(1)
    return torch.fft.irfft(power / n, size)[:, :n]


def effective_size(chains: Chains) -> Tensor:
    """Number of independent draws whose mean would be as precise as that of all chains.

    .. math:: S_\\text{eff} = M n / \\hat\\tau, \\qquad
              \\hat\\rho_t = 1 - \\frac{W - \\gamma_t}{\\widehat{\\mathrm{var}}^+}

    Sums of neighbouring autocorrelations are positive and fall in a reversible chain: the sum
    stops before the first that is not positive, and none counts more than the one before.

    Arguments:
        chains: the chains.

    Shapes:
        result: (D,); NaN where no chain ever moved and all stand at the same number.

    Reference:
        Vehtari et al. 2021, "Rank-normalization, folding, and localization: an improved R-hat for
        assessing convergence of MCMC", section 3.2; Geyer 1992, "Practical Markov chain Monte
        Carlo", section 3.3.
    """
    _, m, n = chains.rest.shape
    covariance = autocovariances(chains.rest)
    # The paper's between and within variance, with the divisor n in the autocovariances.
    within = covariance[:, 0] * (n / (n - 1))
    total = covariance[:, 0] + (_variance(chains.means) if m > 1 else 0.0)
    rho = 1 - (within[:, None] - covariance) / total[:, None]
    rho[:, 0] = 1.0
    last = max(0, (n - 3) // 2)
    pairs = rho[:, : 2 * last + 2].reshape(len(rho), last + 1, 2)
    sums = pairs.sum(-1)
    counts = (sums[:, :last] > 0).cumprod(1)
    falling = torch.where(counts > 0, sums[:, :last].cummin(1).values, 0.0)
    end = counts.sum(1, keepdim=True)
    # Half of the pair where the sum stops still counts if it is positive.
    even, rest = pairs[..., 0].gather(1, end)[:, 0], sums.gather(1, end)[:, 0]
    even = torch.where((even > 0) | (rest >= 0), even, 0.0)
    tau = (2 * falling.sum(1) + even - 1).clamp_min(1 / math.log10(m * n))
    return torch.where(total > 0, m * n / tau, torch.nan)


def scale_reduction(chains: Chains) -> Tensor:
    """How much wider all chains together are than each alone.

    .. math:: \\hat R = \\sqrt{\\frac{(n - 1) W / n + B / n}{W}}

    Arguments:
        chains: the chains.

    Shapes:
        result: (D,); infinite where chains stand still at different numbers, NaN at the same.

    Reference:
        Gelman & Rubin 1992, "Inference from iterative simulation using multiple sequences";
        Vehtari et al. 2021, section 3.1.
    """
    n = chains.rest.shape[-1]
    within = (chains.rest.square().sum(-1) / (n - 1)).mean(-1)
    return (_variance(chains.means) / within + (n - 1) / n).sqrt()


def fast_length(least: int) -> int:
    """The smallest product of twos, threes and fives that is no less: a quick transform.

    Example:
        >>> fast_length(999), fast_length(1025)
        (1000, 1080)
    """
    best, fives = 1 << (least - 1).bit_length(), 1
    while fives < best:
        odd = fives
        while odd < best:
            best = min(best, odd << (-(-least // odd) - 1).bit_length())
            odd *= 3
        fives *= 5
    return best


def _variance(means: Tensor) -> Tensor:
    """Variance between chains (D,), exactly zero where they agree."""
    rest = centred(means[:, None]).rest[:, 0]
    return rest.square().sum(-1) / (means.shape[1] - 1)
