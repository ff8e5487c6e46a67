"""Mixtures of normal laws as priors: free ones, and ones made of the encoder's own posteriors.

.. math:: p(z) = \\sum_k w_k N(z; \\mu_k, \\operatorname{diag} \\sigma_k^2), \\qquad
          p_{\\text{Vamp}}(z) = \\frac1K \\sum_k q(z \\mid u_k)
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from generative.vae.likelihood import LOG_2PI
from generative.vae.prior import Code, Encode, Prior
from inference.inputs import Values, as_tensors, as_whole, check_finite
from inference.random import GeneratorLike, as_generator, categorical

__all__ = ["MixturePrior", "VampPrior", "mixture_log_prob"]


def mixture_log_prob(z: Tensor, code: Code, log_weights: Tensor | float) -> Tensor:
    """Log density of a mixture of normal laws with diagonal covariances, (...), nats.

    .. math:: \\log \\sum_k \\exp\\Bigl(\\log w_k - \\tfrac12 \\sum_j z_j^2 / \\sigma_{kj}^2
              - 2 z_j \\mu_{kj} / \\sigma_{kj}^2 + \\mu_{kj}^2 / \\sigma_{kj}^2
              + \\log 2 \\pi \\sigma_{kj}^2\\Bigr)

    One matrix product for all rows and components.

    Arguments:
        z: (..., d).
        code: means and log-variances of the components, (K, d).
        log_weights: of the components, (K,) or one for all.

    Reference:
        Bishop 2006, "Pattern recognition and machine learning", eq. 9.7.

    Example:
        >>> one = Code(torch.zeros(1, 2), torch.zeros(1, 2))
        >>> mixture_log_prob(torch.zeros(2), one, 0.0)  # -log 2 pi
        tensor(-1.8379)
    """
    mean, log_variance = code
    # Around the middle of the components the terms that cancel are smallest.
    middle = mean.detach().mean(0)
    mean, z = mean - middle, z - middle
    precision = (-log_variance).exp()
    constants = log_weights - 0.5 * (mean.square() * precision + log_variance + LOG_2PI).sum(1)
    factors = torch.cat([-0.5 * precision, mean * precision], 1)
    rows = torch.cat([z.square(), z], -1)
    joint = torch.addmm(constants, rows.flatten(0, -2) if z.ndim > 1 else rows[None], factors.T)
    return joint.logsumexp(1).view(z.shape[:-1])


class MixturePrior(Prior):
    """A mixture of normal laws with learned weights, means and variances.

    .. math:: p(z) = \\sum_k w_k N(z; \\mu_k, \\operatorname{diag} \\sigma_k^2)

    Arguments:
        n_components: K; they start at random places of a standard normal law, with its variance.
        latent_dim: latent numbers.
        generator: of the places: None, a seed or a generator.

    Raises:
        TypeError, ValueError: numbers that are no whole numbers from 1.

    Reference:
        Tomczak & Welling 2018, "VAE with a VampPrior", section 2 (as the prior to compare with).

    Example:
        >>> from generative.networks import mlp
        >>> prior = MixturePrior(5, 2, generator=0)
        >>> prior.log_prob(torch.zeros(3, 2), lambda x: Code(x, x)).shape
        torch.Size([3])
    """

    def __init__(
        self, n_components: int, latent_dim: int, *, generator: GeneratorLike = None
    ) -> None:
        super().__init__()
        k = as_whole("n_components", n_components, least=1)
        d = self.latent_dim = as_whole("latent_dim", latent_dim, least=1)
        self.mean = nn.Parameter(torch.randn(k, d, generator=as_generator(generator)))
        self.log_variance = nn.Parameter(torch.zeros(k, d))
        self.logits = nn.Parameter(torch.zeros(k))

    def log_prob(self, z: Tensor, encode: Encode) -> Tensor:
        """Log density, (...), nats, of z (..., latent_dim)."""
        code = Code(self.mean, self.log_variance)
        return mixture_log_prob(z, code, self.logits.log_softmax(0))

    def sample(self, like: Tensor, encode: Encode, generator: torch.Generator) -> Tensor:
        """Independent draws, as ``like`` (n, latent_dim)."""
        chosen = categorical(self.logits, len(like), generator=generator)
        return _around(Code(self.mean.detach(), self.log_variance.detach()), chosen, generator)


class VampPrior(Prior):
    """The mixture of the encoder's posteriors at pseudo-inputs, which are learned.

    .. math:: p(z) = \\frac1K \\sum_{k=1}^K q(z \\mid u_k)

    It is the best prior for the bound, the mean posterior of the data, made of few rows.

    Arguments:
        inputs: first pseudo-inputs; rows of the data are a good choice.

    Shapes:
        inputs: (K, *event).

    Raises:
        TypeError, ValueError: what holds no finite numbers, or no row.

    Reference:
        Tomczak & Welling 2018, "VAE with a VampPrior", eq. 9.

    Example:
        >>> prior = VampPrior(torch.tensor([[0.0], [1.0]]))
        >>> encode = lambda x: Code(x, torch.zeros_like(x))  # N(x, 1)
        >>> prior.log_prob(torch.tensor([[0.5]]), encode)
        tensor([-1.0439], grad_fn=<ViewBackward0>)
    """

    def __init__(self, inputs: Values) -> None:
        super().__init__()
        (rows,) = as_tensors(inputs=inputs)
        check_finite(inputs=rows)
        if rows.ndim < 2 or not rows.numel():
            raise ValueError(f"inputs must be (K, *event) and not empty, found {rows.shape}")
        kept = rows if isinstance(inputs, Tensor) and inputs.is_floating_point() else rows.float()
        self.inputs = nn.Parameter(kept.detach().clone())

    def log_prob(self, z: Tensor, encode: Encode) -> Tensor:
        """Log density, (...), nats, of z (..., latent_dim)."""
        return mixture_log_prob(z, encode(self.inputs), -math.log(len(self.inputs)))

    def sample(self, like: Tensor, encode: Encode, generator: torch.Generator) -> Tensor:
        """Independent draws, as ``like`` (n, latent_dim)."""
        k = len(self.inputs)
        chosen = torch.randint(k, (len(like),), device=generator.device, generator=generator)
        with torch.no_grad():
            return _around(encode(self.inputs), chosen, generator)

    def check(self, latent_dim: int, conditional: bool) -> None:
        """Refuse a condition: pseudo-inputs have none.

        Raises:
            ValueError: then.
        """
        if conditional:
            raise ValueError(
                "prior must not be a VampPrior with a condition, which its pseudo-inputs do not "
                "have; take a MixturePrior or a FlowPrior"
            )


def _around(code: Code, chosen: Tensor, generator: torch.Generator) -> Tensor:
    """Draws from components of a mixture."""
    mean, deviation = code.mean[chosen], (0.5 * code.log_variance[chosen]).exp()
    return mean + deviation * torch.empty_like(mean).normal_(generator=generator)
