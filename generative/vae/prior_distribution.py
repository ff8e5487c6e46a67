"""A prior as a torch distribution.

.. math:: z_n \\sim p(z), \\qquad n = 1, \\dots, N
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from generative.vae.coder import Coder
from generative.vae.prior import NormalPrior

__all__ = ["PriorDistribution", "prior_distribution"]


class PriorDistribution(Distribution):
    """Latent numbers under a coder's prior; draws follow from torch's own generator.

    Arguments:
        coder: whose prior it is.
        like: (*batch, latent_dim), a tensor of the shape and type of a draw.
    """

    arg_constraints = {}  # noqa: RUF012  # pyright: ignore

    def __init__(self, coder: Coder, like: Tensor) -> None:
        super().__init__(like.shape[:-1], like.shape[-1:], validate_args=False)
        self._coder, self._like = coder, like

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draws, (*sample_shape, *batch, latent_dim)."""
        like = self._like.expand(*sample_shape, *self._like.shape)
        source = torch.Generator(like.device).manual_seed(int(torch.randint(2**62, ())))
        rows = like.reshape(-1, like.shape[-1])
        return self._coder.prior.sample(rows, self._coder.encode, source).view(like.shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density, nats."""
        return self._coder.log_prior(value)


def prior_distribution(coder: Coder, *batch: int) -> Distribution:
    """The prior of a coder as a distribution of events (latent_dim,).

    Arguments:
        coder: whose prior it is.
        batch: sizes of the batch.

    Example:
        >>> from torch import nn
        >>> from generative.variational_autoencoder import VariationalAutoencoder
        >>> model = VariationalAutoencoder(nn.Linear(3, 4), nn.Linear(2, 3), 2)
        >>> model.prior_distribution().log_prob(torch.zeros(2))  # -log 2 pi
        tensor(-1.8379)
    """
    like = coder.like.new_zeros(*batch, coder.latent_dim)
    if isinstance(coder.prior, NormalPrior):
        return Independent(Normal(like, torch.ones_like(like)), 1)
    return PriorDistribution(coder, like)
