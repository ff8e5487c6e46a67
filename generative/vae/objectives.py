"""What networks descend: the evidence lower bound, and the importance-weighted one.

.. math:: \\mathcal{L}_k(x) = \\mathbb{E}\\Bigl[\\log \\frac1k \\sum_{i=1}^k w_i\\Bigr], \\qquad
          w_i = \\frac{p(x \\mid z_i)\\, p(z_i)}{q(z_i \\mid x)}, \\qquad
          \\mathcal{L}_1 = \\mathbb{E}_q[\\log p(x \\mid z)] - D(q(z \\mid x) \\,\\|\\, p(z))
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from generative.vae.coder import Coder, Draws, draw
from generative.vae.prior import Code
from inference.inputs import as_whole, check_choice

__all__ = ["ElboTerms", "Objective", "ObjectiveName", "elbo_terms"]

ObjectiveName: TypeAlias = Literal["elbo", "iwae", "dreg"]

#: Draws per row of the importance-weighted objectives.
IWAE_SAMPLES = 20


class ElboTerms(NamedTuple):
    """The two terms of the evidence lower bound, (n,), nats: it is the first minus the second."""

    reconstruction: Tensor
    kl: Tensor


def elbo_terms(
    coder: Coder, x: Tensor, condition: Tensor | None, k: int, generator: torch.Generator
) -> ElboTerms:
    """Terms of the bound of every row, (n,), nats, estimated from k draws.

    .. math:: \\mathbb{E}_q[\\log p(x \\mid z)], \\qquad D(q(z \\mid x) \\,\\|\\, p(z))

    Arguments:
        coder: the networks.
        x: rows, (n, *event).
        condition: (n, features), or None.
        k: draws per row.
        generator: of the draws.

    Reference:
        Kingma & Welling 2014, "Auto-encoding variational Bayes", eq. 7.
    """
    code = coder.encode(x, condition)
    draws = draw(code, k, generator)
    reconstruction = coder.reconstruction(draws.z, x, condition).mean(0)
    return ElboTerms(reconstruction, coder.divergence(code, draws))


@dataclass(frozen=True)
class Objective:
    """What a step descends.

    Arguments:
        name: "elbo"; "iwae", the importance-weighted bound; "dreg", the same with a gradient of
            less noise for the encoder.
        n_samples: draws per row; None takes 1 for "elbo" and 20 for the others.
        beta: weight of the divergence, "elbo".
        free_bits: nats per latent number below which its mean divergence costs nothing more,
            "elbo" with the normal prior.

    Raises:
        TypeError, ValueError: an unknown name, numbers that make no sense or do not go together.

    Reference:
        Higgins et al. 2017, "beta-VAE", eq. 4; Kingma et al. 2016, "Improved variational inference
        with inverse autoregressive flow", eq. 15 (free bits); Burda, Grosse & Salakhutdinov 2016,
        "Importance weighted autoencoders", eq. 8; Tucker et al. 2019, "Doubly reparameterized
        gradient estimators", eq. 8.

    Example:
        >>> Objective("iwae").n_samples
        20
    """

    name: ObjectiveName = "elbo"
    n_samples: int | None = None
    beta: float = 1.0
    free_bits: float = 0.0

    def __post_init__(self) -> None:
        check_choice("objective", self.name, ObjectiveName)
        default = 1 if self.name == "elbo" else IWAE_SAMPLES
        count = default if self.n_samples is None else self.n_samples
        object.__setattr__(self, "n_samples", as_whole("n_samples", count, least=1))
        for name in ("beta", "free_bits"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be at least 0, found {getattr(self, name)}")
            object.__setattr__(self, name, float(getattr(self, name)))
        if self.name != "elbo" and (self.beta != 1 or self.free_bits):
            raise ValueError(
                f'beta and free_bits weigh the terms of objective="elbo"; "{self.name}" is a '
                f"bound as it is, found beta={self.beta} and free_bits={self.free_bits}"
            )

    def loss(
        self,
        coder: Coder,
        x: Tensor,
        condition: Tensor | None,
        generator: torch.Generator,
        share: float = 1.0,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What to descend, (), and the true terms of the bound for the history, nats per row.

        Arguments:
            coder: the networks.
            x: rows, (n, *event).
            condition: (n, features), or None.
            generator: of the draws.
            share: of beta that counts in this step.
        """
        k = self.n_samples or 1
        code = coder.encode(x, condition)
        draws = draw(code, k, generator)
        if self.name == "elbo":
            reconstruction = coder.reconstruction(draws.z, x, condition).mean()
            kl, charged = self._divergence(coder, code, draws)
            loss = (share * self.beta) * charged - reconstruction
            return loss, _figures(reconstruction, kl)
        if self.name == "dreg":
            return _dreg(coder, x, condition, code, draws)
        weights, reconstruction = coder.log_weights(x, condition, code, draws)
        loss = math.log(k) - weights.logsumexp(0).mean()
        return loss, _weighted_figures(weights, reconstruction)

    def _divergence(self, coder: Coder, code: Code, draws: Draws) -> tuple[Tensor, Tensor]:
        """Mean divergence over rows, and what of it is charged for."""
        exact = coder.prior.divergence(code) if self.free_bits else None
        if exact is None:
            kl = coder.divergence(code, draws).mean()
            return kl, kl
        by_number = exact.mean(0)
        return by_number.sum(), by_number.clamp_min(self.free_bits).sum()


def _dreg(
    coder: Coder, x: Tensor, condition: Tensor | None, code: Code, draws: Draws
) -> tuple[Tensor, dict[str, Tensor]]:
    """The importance-weighted bound with squared weights on the paths through the draws.

    .. math:: \\nabla_\\phi = \\sum_i \\tilde w_i^2 \\frac{\\partial \\log w_i}{\\partial z_i}
              \\frac{\\partial z_i}{\\partial \\phi}, \\qquad
              \\nabla_\\theta = \\sum_i \\tilde w_i \\frac{\\partial \\log w_i}{\\partial \\theta}
    """
    held = Code(code.mean.detach(), code.log_variance.detach())
    noise = (draws.z - held.mean) * (-0.5 * held.log_variance).exp()
    weights, reconstruction = coder.log_weights(x, condition, held, Draws(draws.z, noise))
    normalised = weights.detach().softmax(0)
    if draws.z.requires_grad:
        # The sum below brings one factor of the weight, the way back through z the other.
        draws.z.register_hook(lambda gradient: gradient * normalised[..., None])
    surrogate = -(normalised * weights).sum(0).mean()
    value = math.log(len(weights)) - weights.detach().logsumexp(0).mean()
    # The bound in value, the estimate in gradient.
    loss = value + (surrogate - surrogate.detach())
    return loss, _weighted_figures(weights, reconstruction)


def _figures(reconstruction: Tensor, kl: Tensor) -> dict[str, Tensor]:
    reconstruction, kl = reconstruction.detach(), kl.detach()
    return {"elbo": reconstruction - kl, "reconstruction": reconstruction, "kl": kl}


def _weighted_figures(weights: Tensor, reconstruction: Tensor) -> dict[str, Tensor]:
    """The bound of one draw, as a mean over all, and the one that all make together."""
    weights, expected = weights.detach(), reconstruction.detach().mean()
    together = weights.logsumexp(0).mean() - math.log(len(weights))
    elbo = weights.mean()
    return {
        "elbo": elbo,
        "reconstruction": expected,
        "kl": expected - elbo,
        "importance_bound": together,
    }
