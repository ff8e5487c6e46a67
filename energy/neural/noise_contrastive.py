"""Learning an energy, its log Z included, by telling data from noise.

.. math:: \\log \\frac{P(\\text{data} \\mid x)}{P(\\text{noise} \\mid x)}
          = -E(x) - c - \\log q(x) - \\log \\nu
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from energy.neural.score_matching import Energy
from inference.sampling.continuous_law import Base, NormalBase

__all__ = ["NoiseContrastive", "Normalizer", "noise_contrastive_loss"]

#: Log Z of a standard normal variable.
HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)

#: Learning rate of the normaliser in units of that of the network.
NORMALIZER_RATE = 10.0


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


class Normalizer:
    """Log Z as it is learned, (); it begins at that of a normal law.

    Arguments:
        base: the law.

    Example:
        >>> normalizer = Normalizer(NormalBase(torch.zeros(2), torch.ones(2)))
        >>> round(normalizer().item(), 4), round(math.log(2 * math.pi), 4)
        (1.8379, 1.8379)
    """

    def __init__(self, base: NormalBase) -> None:
        self.first = base.scale.log().add(HALF_LOG_2PI).sum()
        #: What it has risen since, in units that make it learn faster than the network.
        self.risen = nn.Parameter(torch.zeros_like(self.first))

    def __call__(self) -> Tensor:
        """The value, with its gradient."""
        return self.first + NORMALIZER_RATE * self.risen


@dataclass(frozen=True, eq=False)
class NoiseContrastive:
    """The loss of a step.

    Arguments:
        energy: what is learned.
        noise: the law that data are told from, normalised.
        log_normalizer: gives c, which comes to be log Z, ().
        ratio: nu, draws of the noise per row.
    """

    energy: Energy
    noise: Base
    log_normalizer: Callable[[], Tensor]
    ratio: int = 1

    def __call__(self, batch: Tensor, generator: torch.Generator) -> Tensor:
        """Mean loss of rows, ()."""
        draws = self.noise.sample(self.ratio * len(batch), generator).to(batch)
        both = torch.cat([batch, draws])
        logs = -self.energy(both) - self.log_normalizer() - self.noise.log_prob(both)
        return noise_contrastive_loss(logs[: len(batch)], logs[len(batch) :])
