"""Encoder and decoder and what they mean: laws of latent numbers, draws of them, terms of bounds.

.. math:: q(z \\mid x) = N(z; \\mu(x), \\operatorname{diag} \\sigma^2(x)), \\qquad
          z = \\mu + \\sigma \\odot \\epsilon, \\quad \\epsilon \\sim N(0, I)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from generative.condition import Condition
from generative.trial import like_of
from generative.vae.likelihood import LOG_2PI, Likelihood
from generative.vae.prior import Code, Prior

__all__ = ["Coder", "Draws", "draw", "log_posterior", "path_between"]


class Draws(NamedTuple):
    """Latent numbers (k, batch, latent) drawn from a posterior, and the noise they are made of."""

    z: Tensor
    noise: Tensor


def draw(code: Code, k: int, generator: torch.Generator) -> Draws:
    """Draws from the posterior of every row, differentiable by its moments.

    .. math:: z = \\mu + \\sigma \\odot \\epsilon

    Reference:
        Kingma & Welling 2014, "Auto-encoding variational Bayes", section 2.4.

    Example:
        >>> code = Code(torch.ones(3, 2), torch.zeros(3, 2))
        >>> draw(code, 5, torch.Generator()).z.shape
        torch.Size([5, 3, 2])
    """
    mean, log_variance = code
    noise = torch.empty((k, *mean.shape), dtype=mean.dtype, device=mean.device)
    noise.normal_(generator=generator)
    return Draws(torch.addcmul(mean, noise, (0.5 * log_variance).exp()), noise)


@dataclass(frozen=True, eq=False)
class Coder:
    """The parts of an autoencoder.

    Arguments:
        encoder: from x (n, *event), and a condition (n, features) if there is one, to means and
            log-variances (n, 2 latent_dim).
        decoder: from z (n, latent_dim), and a condition, to what ``law`` reads.
        latent_dim: latent numbers of a row.
        law: of x given z.
        prior: of z.
        conditions: what both networks are told besides.

    Example:
        >>> from generative.networks import mlp
        >>> from generative.vae.likelihood import BernoulliLikelihood
        >>> from generative.vae.prior import NormalPrior
        >>> parts = BernoulliLikelihood(), NormalPrior(), Condition(None)
        >>> coder = Coder(mlp([4, 6]), mlp([3, 4]), 3, *parts)
        >>> coder.encode(torch.zeros(2, 4), None).mean.shape
        torch.Size([2, 3])
    """

    encoder: nn.Module
    decoder: nn.Module
    latent_dim: int
    law: Likelihood
    prior: Prior
    conditions: Condition

    @property
    def like(self) -> Tensor:
        """A tensor () of the type and on the device of the networks."""
        return like_of(self.encoder, self.decoder)

    def encode(self, x: Tensor, condition: Tensor | None = None) -> Code:
        """Moments of the posterior of every row.

        Raises:
            ValueError: if the encoder returns another number of them.
        """
        found = self.encoder(x) if condition is None else self.encoder(x, condition)
        if found.shape != (len(x), 2 * self.latent_dim):
            rest = "".join([f", {size}" for size in found.shape[1:]])
            raise ValueError(
                f"encoder must return (batch, {2 * self.latent_dim}) for latent_dim="
                f"{self.latent_dim}, means and log-variances, found (batch{rest})"
            )
        return Code(*found.chunk(2, 1))

    def decode(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """What the decoder returns for latent numbers (n, latent_dim)."""
        return self.decoder(z) if condition is None else self.decoder(z, condition)

    def reconstruction(self, z: Tensor, x: Tensor, condition: Tensor | None) -> Tensor:
        """Log density, (k, n), nats, of rows (n, *event) given draws (k, n, latent_dim)."""
        k = len(z)
        if k > 1:
            x = x.expand(k, *x.shape).flatten(0, 1)
            condition = None if condition is None else condition.repeat(k, 1)
        output = self.decode(z.flatten(0, 1), condition)
        return self.law.log_prob(output, x).view(k, -1)

    def log_prior(self, z: Tensor) -> Tensor:
        """Log density of latent numbers (..., latent_dim) under the prior, (...), nats."""
        return self.prior.log_prob(z, self.encode)

    def divergence(self, code: Code, draws: Draws) -> Tensor:
        """Divergence of posteriors from the prior, (n,), nats: exact, or a mean over draws.

        .. math:: D(q \\| p) = \\mathbb{E}_q[\\log q(z \\mid x) - \\log p(z)]
        """
        exact = self.prior.divergence(code)
        if exact is not None:
            return exact.sum(1)
        return (log_posterior(code, draws.noise) - self.log_prior(draws.z)).mean(0)

    def log_weights(
        self, x: Tensor, condition: Tensor | None, code: Code, draws: Draws
    ) -> tuple[Tensor, Tensor]:
        """Log weights of draws for importance sampling, and their reconstruction terms, (k, n).

        .. math:: \\log w = \\log p(x \\mid z) + \\log p(z) - \\log q(z \\mid x)
        """
        reconstruction = self.reconstruction(draws.z, x, condition)
        return (
            reconstruction + self.log_prior(draws.z) - log_posterior(code, draws.noise),
            reconstruction,
        )


def log_posterior(code: Code, noise: Tensor) -> Tensor:
    """Log density of draws under the posterior that they are made of, nats."""
    return -0.5 * (noise.square() + (code.log_variance + LOG_2PI)).sum(-1)


def path_between(begin: Tensor, end: Tensor, steps: int) -> Tensor:
    """Points on straight ways, one way after the other, (n * steps, d).

    Arguments:
        begin: (n, d).
        end: (n, d).
        steps: points on each way, its ends included.

    Example:
        >>> path_between(torch.zeros(1, 1), torch.ones(1, 1), 3).tolist()
        [[0.0], [0.5], [1.0]]
    """
    share = torch.linspace(0, 1, steps, dtype=begin.dtype, device=begin.device)[:, None]
    return torch.lerp(begin[:, None], end[:, None], share).flatten(0, 1)
