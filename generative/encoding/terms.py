"""Errors of rows, the size of their codes, and how rows are damaged.

.. math:: L = \\sum_i (x_i - g_i)^2 \\text{ or } -\\log p(x \\mid g), \\qquad
          \\Omega = \\sum_i |h_i|
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from inference.random import bernoulli

__all__ = [
    "absolute_codes",
    "bernoulli_errors",
    "masked",
    "noisy",
    "squared_errors",
]


def squared_errors(found: Tensor, x: Tensor) -> Tensor:
    """Squared distance of every row, (batch,), from what was made of it.

    .. math:: L(x, g) = \\sum_i (x_i - g_i)^2

    Arguments:
        found: g, (batch, *event).
        x: rows, (batch, *event).

    Example:
        >>> squared_errors(torch.zeros(1, 3), torch.full((1, 3), 2.0)).item()
        12.0
    """
    return (found - x).square().flatten(1).sum(1)


def bernoulli_errors(found: Tensor, x: Tensor) -> Tensor:
    """Minus the log-probability of binary rows, (batch,), nats, under independent bits.

    .. math:: L(x, g) = -\\sum_i x_i \\log \\sigma(g_i) + (1 - x_i) \\log (1 - \\sigma(g_i))

    Arguments:
        found: logits g, (batch, *event).
        x: rows of numbers from 0 to 1, (batch, *event).

    Example:
        >>> round(bernoulli_errors(torch.zeros(1, 2), torch.ones(1, 2)).item(), 4)  # 2 log 2
        1.3863
    """
    return binary_cross_entropy_with_logits(found, x, reduction="none").flatten(1).sum(1)


def absolute_codes(codes: Tensor) -> Tensor:
    """Sum of the sizes of a row's code, (batch,); few of its numbers stay away from zero.

    .. math:: \\Omega(x) = \\sum_i |h_i|

    Arguments:
        codes: h = f(x), (batch, *code).

    Reference:
        Goodfellow, Bengio & Courville 2016, "Deep learning", eq. 14.7.

    Example:
        >>> absolute_codes(torch.tensor([[3.0, -1.0]])).item()
        4.0
    """
    return codes.abs().flatten(1).sum(1)


def noisy(x: Tensor, level: float, generator: torch.Generator) -> Tensor:
    """Rows with normal noise of a standard deviation.

    .. math:: \\tilde x = x + \\epsilon, \\qquad \\epsilon \\sim N(0, \\sigma^2)

    Arguments:
        x: rows, (batch, *event).
        level: sigma.
        generator: of the draws, on the device of x.

    Example:
        >>> noise = noisy(torch.zeros(1, 10_000), 2.0, torch.Generator().manual_seed(0))
        >>> round(noise.std().item(), 1)
        2.0
    """
    return x + level * torch.empty_like(x).normal_(generator=generator)


def masked(x: Tensor, level: float, generator: torch.Generator) -> Tensor:
    """Rows of which a share of the entries is zero.

    .. math:: \\tilde x_i = m_i x_i, \\qquad P(m_i = 0) = \\nu

    Arguments:
        x: rows, (batch, *event).
        level: the share nu.
        generator: of the draws, on the device of x.

    Reference:
        Vincent et al. 2010, "Stacked denoising autoencoders", section 3.3.

    Example:
        >>> left = masked(torch.ones(1, 10_000), 0.3, torch.Generator().manual_seed(0))
        >>> round(left.mean().item(), 1)
        0.7
    """
    return x * bernoulli(torch.full_like(x, 1 - level), generator=generator)
