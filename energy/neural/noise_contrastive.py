"""Learning an energy, its log Z included, by telling data from noise.

.. math:: \\log \\frac{P(\\text{data} \\mid x)}{P(\\text{noise} \\mid x)}
          = -E(x) - c - \\log q(x) - \\log \\nu
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

from energy.neural.score_matching import Energy
from inference.sampling.continuous_law import Base

__all__ = ["NoiseContrastive", "noise_contrastive_loss"]


def noise_contrastive_loss(data: Tensor, noise: Tensor) -> Tensor:
    """Log-loss of telling rows of data from rows of noise, nats per row of data, ().

    .. math:: \\mathbb{E}_p \\log\\bigl(1 + \\nu e^{-g}\\bigr)
              + \\nu\\, \\mathbb{E}_q \\log\\bigl(1 + e^{g} / \\nu\\bigr), \\qquad
              g = \\log \\frac{p_{\\text{model}}}{q}

    Least where g is the log ratio of the true densities, for any noise that is nowhere zero where
    data are.

    Arguments:
        data: g of rows of data, (n,).
        noise: g of draws of the noise, (m,); there are nu = m / n for each row.

    Reference:
        Gutmann & Hyvärinen 2012, "Noise-contrastive estimation of unnormalized statistical
        models", eq. 8 and theorem 1.

    Example:
        >>> loss = noise_contrastive_loss(torch.zeros(5), torch.zeros(5))
        >>> round(loss.item() / math.log(4), 6)  # a coin tells as much
        1.0
    """
    ratio = len(noise) / len(data)
    shift = math.log(ratio)
    return softplus(shift - data).mean() + ratio * softplus(noise - shift).mean()


@dataclass(frozen=True, eq=False)
class NoiseContrastive:
    """The loss of a step.

    Arguments:
        energy: what is learned.
        noise: the law that data are told from, normalised.
        log_normalizer: c, which comes to be log Z, ().
        ratio: nu, draws of the noise per row.
    """

    energy: Energy
    noise: Base
    log_normalizer: Tensor
    ratio: int = 1

    def __call__(self, batch: Tensor, generator: torch.Generator) -> Tensor:
        """Mean loss of rows, ()."""
        draws = self.noise.sample(self.ratio * len(batch), generator).to(batch)
        both = torch.cat([batch, draws])
        logs = -self.energy(both) - self.log_normalizer - self.noise.log_prob(both)
        return noise_contrastive_loss(logs[: len(batch)], logs[len(batch) :])
