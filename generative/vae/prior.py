"""Laws of latent numbers: the base of them, and the standard normal one.

.. math:: p(z) = N(z; 0, I), \\qquad
          D\\bigl(N(\\mu, \\sigma^2) \\,\\|\\, N(0, 1)\\bigr)
          = \\tfrac12 (\\mu^2 + \\sigma^2 - 1 - \\log \\sigma^2)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from generative.vae.likelihood import LOG_2PI
from inference.gaussian import standard_normal_kl

__all__ = ["Code", "Encode", "NormalPrior", "Prior"]


class Code(NamedTuple):
    """Moments of the posterior of every row: mean and log-variance, (n, latent_dim)."""

    mean: Tensor
    log_variance: Tensor


#: From observations (n, *event) to the moments of their posteriors.
Encode: TypeAlias = Callable[[Tensor], Code]


class Prior(nn.Module, ABC):
    """Law of the latent numbers; its parameters are learned with the networks.

    Reference:
        Tomczak & Welling 2018, "VAE with a VampPrior", section 3 (what a better prior does).
    """

    #: Latent numbers that it is the law of; None is of any number.
    latent_dim: int | None = None

    @abstractmethod
    def log_prob(self, z: Tensor, encode: Encode) -> Tensor:
        """Log density, (...), nats, of latent numbers (..., latent_dim).

        Arguments:
            z: latent numbers.
            encode: the encoder, for priors that are made of posteriors.
        """

    @abstractmethod
    def sample(self, like: Tensor, encode: Encode, generator: torch.Generator) -> Tensor:
        """Independent draws, without a gradient.

        Arguments:
            like: (n, latent_dim), a tensor of the shape and type of the result.
            encode: the encoder.
            generator: on the device of ``like``.
        """

    def divergence(self, code: Code) -> Tensor | None:
        """Divergence of posteriors from the prior by latent number, (n, latent_dim), nats.

        None where it has no closed form: then it is estimated from draws.
        """
        return None

    def check(self, latent_dim: int, conditional: bool) -> None:
        """Refuse latent numbers, or a condition, that the prior does not know.

        Raises:
            ValueError: then.
        """
        if self.latent_dim not in (None, latent_dim):
            raise ValueError(
                f"prior is of {self.latent_dim} numbers, found latent_dim={latent_dim}"
            )


class NormalPrior(Prior):
    """Independent standard normal numbers.

    .. math:: p(z) = N(z; 0, I)

    Reference:
        Kingma & Welling 2014, "Auto-encoding variational Bayes", appendix B (the divergence).

    Example:
        >>> code = Code(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.04, 4.0]]).log())
        >>> round(NormalPrior().divergence(code).sum().item(), 6)
        2.436291
    """

    def log_prob(self, z: Tensor, encode: Encode) -> Tensor:
        """Log density, (...), nats, of z (..., latent_dim)."""
        return -0.5 * (z.square().sum(-1) + z.shape[-1] * LOG_2PI)

    def sample(self, like: Tensor, encode: Encode, generator: torch.Generator) -> Tensor:
        """Independent draws, as ``like`` (n, latent_dim)."""
        return torch.empty_like(like).normal_(generator=generator)

    def divergence(self, code: Code) -> Tensor:
        """The closed form, (n, latent_dim), nats."""
        return standard_normal_kl(*code)
