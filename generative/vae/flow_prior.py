"""A prior of any form: a normal law, moved by couplings whose inverse and volume are exact.

.. math:: y_a = z_a, \\qquad y_b = z_b \\odot e^{s(z_a)} + t(z_a), \\qquad
          \\log p(z) = \\log N(y; 0, I) + \\sum s(z_a)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from generative.networks import mlp
from generative.vae.likelihood import LOG_2PI
from generative.vae.prior import Encode, Prior
from inference.inputs import as_whole
from inference.random import GeneratorLike, as_generator

__all__ = ["FlowPrior"]


class _Coupling(nn.Module):
    """One half of the numbers is scaled and shifted by what the other half says."""

    def __init__(
        self, latent_dim: int, width: int, swapped: bool, generator: torch.Generator
    ) -> None:
        super().__init__()
        half = latent_dim // 2
        self.sizes = (half, latent_dim - half)
        self.swapped = swapped
        kept, moved = self.sizes[::-1] if swapped else self.sizes
        self.network = mlp([kept, width, width, 2 * moved], generator=generator)
        # The map is the identity at first.
        last = [x for x in self.network.modules() if isinstance(x, nn.Linear)][-1]
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Moved numbers, and the log of the factor that volumes grow by, (n,)."""
        kept, moved = self._parts(z)
        scale, shift = self._move(kept)
        return self._joined(kept, moved * scale.exp() + shift), scale.sum(1)

    def inverse(self, y: Tensor) -> Tensor:
        """The numbers that ``forward`` moves to y."""
        kept, moved = self._parts(y)
        scale, shift = self._move(kept)
        return self._joined(kept, (moved - shift) * (-scale).exp())

    def _move(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        scale, shift = self.network(kept).chunk(2, 1)
        # A bounded exponent keeps early steps from overflowing; several layers still go anywhere.
        return 2 * (scale / 2).tanh(), shift

    def _parts(self, z: Tensor) -> tuple[Tensor, Tensor]:
        first, second = z.split(self.sizes, 1)
        return (second, first) if self.swapped else (first, second)

    def _joined(self, kept: Tensor, moved: Tensor) -> Tensor:
        return torch.cat([moved, kept] if self.swapped else [kept, moved], 1)


class FlowPrior(Prior):
    """A normal law moved by affine couplings, RealNVP; standard normal at first.

    .. math:: \\log p(z) = \\log N(f(z); 0, I) + \\log |\\det \\partial f / \\partial z|

    Arguments:
        latent_dim: latent numbers, two at least.
        layers: couplings; they keep one half and the other in turns.
        width: of the two hidden layers of each.
        generator: of the first weights: None, a seed or a generator.

    Raises:
        TypeError, ValueError: numbers that are no whole numbers, or too small.

    Reference:
        Dinh, Sohl-Dickstein & Bengio 2017, "Density estimation using Real NVP", eqs. 4-8; Chen et
        al. 2017, "Variational lossy autoencoder", section 3.2 (a flow as the prior).

    Example:
        >>> prior = FlowPrior(2, generator=0)
        >>> round(prior.log_prob(torch.zeros(1, 2), lambda x: x).item(), 4)  # -log 2 pi
        -1.8379
    """

    def __init__(
        self,
        latent_dim: int,
        layers: int = 4,
        width: int = 64,
        *,
        generator: GeneratorLike = None,
    ) -> None:
        super().__init__()
        self.latent_dim = as_whole("latent_dim", latent_dim, least=2)
        count = as_whole("layers", layers, least=2)
        width = as_whole("width", width, least=1)
        source = as_generator(generator)
        self.couplings = nn.ModuleList(
            [_Coupling(latent_dim, width, bool(place % 2), source) for place in range(count)]
        )

    def log_prob(self, z: Tensor, encode: Encode) -> Tensor:
        """Log density, (...), nats, of z (..., latent_dim)."""
        y = z.reshape(-1, z.shape[-1])
        growth = y.new_zeros(len(y))
        for coupling in self.couplings:
            y, more = coupling(y)
            growth = growth + more
        found = growth - 0.5 * (y.square().sum(1) + y.shape[1] * LOG_2PI)
        return found.view(z.shape[:-1])

    def sample(self, like: Tensor, encode: Encode, generator: torch.Generator) -> Tensor:
        """Independent draws, as ``like`` (n, latent_dim)."""
        z = torch.empty_like(like).normal_(generator=generator)
        with torch.no_grad():
            for coupling in reversed(self.couplings):
                z = coupling.inverse(z)  # pyright: ignore[reportCallIssue]
        return z
