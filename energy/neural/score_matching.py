"""Learning an energy by its slope alone, which needs no log Z and no chains.

.. math:: s(x) = -\\nabla E(x), \\qquad
          J = \\mathbb{E}\\Bigl[\\tfrac12 |s(x)|^2 + \\operatorname{tr} \\nabla s(x)\\Bigr]
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from inference.sampling.continuous import normal_like, sum_event

__all__ = [
    "DenoisingScoreMatching",
    "Energy",
    "SlicedScoreMatching",
    "all_directions",
    "denoising_loss",
    "random_signs",
    "sliced_loss",
]

#: Energies (row,) of rows (row, *event), in nats, differentiable.
Energy = Callable[[Tensor], Tensor]


def scores(energy: Energy, x: Tensor) -> tuple[Tensor, Tensor]:
    """Rows as a leaf, and their slopes -grad E, (row, *event), themselves differentiable."""
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(energy(leaf).sum(), leaf, create_graph=True)
    return leaf, -slope


def denoising_loss(energy: Energy, x: Tensor, noise: Tensor, scale: Tensor | float) -> Tensor:
    """How far slopes at noisy rows are from pointing back to where the rows came from, (row,).

    .. math:: \\tfrac12 \\bigl|\\sigma\\, s(x + \\sigma z) + z\\bigr|^2

    In expectation it is least where s is the slope of the density of the noisy rows.

    Arguments:
        energy: (row,) of rows (row, *event).
        x: rows without noise.
        noise: z, standard normal, like the rows.
        scale: sigma, one or an event of them.

    Reference:
        Vincent 2011, "A connection between score matching and denoising autoencoders", eq. 9.

    Example:
        >>> def energy(x):
        ...     return 0.5 * x.square().sum(1)
        >>> denoising_loss(energy, torch.zeros(1, 2), torch.ones(1, 2), 1.0).tolist()
        [0.0]
    """
    _, slope = scores(energy, x + scale * noise)
    return 0.5 * sum_event((scale * slope + noise).square())


def sliced_loss(energy: Energy, x: Tensor, directions: Tensor, weight: float = 1.0) -> Tensor:
    """Half the squared slope plus its divergence, measured along directions, (row,).

    .. math:: \\tfrac12 |s(x)|^2 + w \\sum_k v_k^\\top \\nabla s(x)\\, v_k

    It is the objective of score matching where the weighted directions have
    :math:`w \\sum_k v_k v_k^\\top = I`, and estimates it without bias where they have so in
    expectation.

    Arguments:
        energy: (row,) of rows (row, *event), twice differentiable: by smooth activations, as the
            second derivative of a piecewise linear network is zero.
        x: rows.
        directions: v, (K, row, *event).
        weight: w.

    Reference:
        Hyvärinen 2005, "Estimation of non-normalized statistical models by score matching",
        eq. 4; Song et al. 2019, "Sliced score matching", eq. 8; Hutchinson 1990.

    Example:
        >>> def energy(x):
        ...     return 0.5 * x.square().sum(1)
        >>> x = torch.tensor([[1.0, 2.0]])
        >>> sliced_loss(energy, x, all_directions(x)).tolist()  # 5 / 2 - 2
        [0.5]
    """
    leaf, slope = scores(energy, x)
    with torch.enable_grad():
        (along,) = torch.autograd.grad(
            slope,
            leaf,
            directions,
            create_graph=True,
            is_grads_batched=True,
            materialize_grads=True,
        )
    curvature = (along * directions).flatten(2).sum((0, 2))
    return 0.5 * sum_event(slope.square()) + weight * curvature


def random_signs(x: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Independent directions of entries -1 and +1, (count, row, *event)."""
    bits = torch.randint(2, (count, *x.shape), device=x.device, generator=generator)
    return (2 * bits - 1).to(x.dtype)


def all_directions(x: Tensor) -> Tensor:
    """Every axis of an event as a direction, the same in all rows, (size, row, *event)."""
    size = x[0].numel()
    axes = torch.eye(size, dtype=x.dtype, device=x.device).reshape(size, 1, *x.shape[1:])
    return axes.expand(size, *x.shape)


@dataclass(frozen=True, eq=False)
class DenoisingScoreMatching:
    """The loss of a step: every row with some noise and with its opposite.

    The pair takes away the part of the loss's variance that grows as the noise becomes small.

    Arguments:
        energy: what is learned.
        scale: standard deviation of the noise, one or an event of them.
    """

    energy: Energy
    scale: Tensor

    def __call__(self, batch: Tensor, generator: torch.Generator) -> Tensor:
        """Mean loss of rows, ()."""
        noise = normal_like(batch, generator)
        both, noises = torch.cat([batch, batch]), torch.cat([noise, -noise])
        return denoising_loss(self.energy, both, noises, self.scale).mean()


@dataclass(frozen=True, eq=False)
class SlicedScoreMatching:
    """The loss of a step along random directions, or along all axes.

    Arguments:
        energy: what is learned.
        projections: directions per row; None takes every axis, which is exact and costs as many
            passes as an event has numbers.
    """

    energy: Energy
    projections: int | None = 1

    def __call__(self, batch: Tensor, generator: torch.Generator) -> Tensor:
        """Mean loss of rows, ()."""
        if self.projections is None:
            return sliced_loss(self.energy, batch, all_directions(batch)).mean()
        directions = random_signs(batch, self.projections, generator)
        return sliced_loss(self.energy, batch, directions, 1 / self.projections).mean()
