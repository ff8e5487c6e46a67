"""The autoencoder as a pair of programs for Pyro's inference.

.. math:: z_n \\sim p(z), \\quad x_n \\sim p(x \\mid z_n); \\qquad z_n \\sim q(z \\mid x_n)
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from generative.vae.coder import Coder
from generative.vae.prior import NormalPrior
from generative.vae.prior_distribution import prior_distribution

__all__ = ["run_guide", "run_model"]

#: Under which Pyro knows the parameters.
NAME = "variational_autoencoder"


def run_model(module: nn.Module, coder: Coder, x: Tensor, condition: Tensor | None) -> Tensor:
    """Draw latent numbers from the prior and observe rows; the numbers, (n, latent_dim).

    Arguments:
        module: whose parameters Pyro learns.
        coder: its networks.
        x: rows, (n, *event).
        condition: (n, features), or None.

    Raises:
        ValueError: draws with an axis of particles.
    """
    import pyro

    pyro.module(NAME, module)
    with pyro.plate("rows", len(x)):
        z = pyro.sample("z", _prior(coder, len(x)))
        if z.ndim != 2:
            raise ValueError(
                f"z must be (batch, latent_dim), found {tuple(z.shape)}; take particles one after "
                "the other (vectorize_particles=False)"
            )
        pyro.sample("x", _wrapped(coder.law.distribution(coder.decode(z, condition))), obs=x)
    return z


def run_guide(module: nn.Module, coder: Coder, x: Tensor, condition: Tensor | None) -> Tensor:
    """Draw latent numbers from the posterior of every row, (n, latent_dim); see ``run_model``."""
    import pyro
    import pyro.distributions as dist

    pyro.module(NAME, module)
    mean, log_variance = coder.encode(x, condition)
    with pyro.plate("rows", len(x)):
        return pyro.sample("z", dist.Normal(mean, (0.5 * log_variance).exp()).to_event(1))


def _prior(coder: Coder, n: int) -> Any:
    """The prior of every row; in Pyro's own terms where it has a closed divergence from it."""
    import pyro.distributions as dist

    if isinstance(coder.prior, NormalPrior):
        like = coder.like.new_zeros(n, coder.latent_dim)
        return dist.Normal(like, torch.ones_like(like)).to_event(1)
    return _wrapped(prior_distribution(coder, n))


def _wrapped(law: Distribution) -> Any:
    """A torch distribution as one of Pyro's."""
    from pyro.distributions import TorchDistribution

    class Wrapped(TorchDistribution):
        arg_constraints = {}  # noqa: RUF012  # pyright: ignore

        def sample(self, sample_shape: Any = ()) -> Tensor:
            return law.sample(torch.Size(sample_shape))

        def log_prob(self, value: Tensor) -> Tensor:
            return law.log_prob(value)

    return Wrapped(law.batch_shape, law.event_shape, validate_args=False)
