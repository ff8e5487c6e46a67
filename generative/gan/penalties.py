"""Penalties on the slope of a discriminator or critic, row by row.

.. math:: R_1 = \\mathbb{E}_x \\|\\nabla_x f(x)\\|^2, \\qquad
          \\mathbb{E}_{\\hat x} \\bigl(\\|\\nabla_{\\hat x} f(\\hat x)\\| - 1\\bigr)^2
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import relu

__all__ = ["between", "input_slopes", "lipschitz_penalty", "zero_centred_penalty"]


def input_slopes(ratings: Tensor, x: Tensor) -> Tensor:
    """Length of the slope of every row's rating at the row, differentiable again.

    .. math:: \\ell_i = \\|\\nabla_{x_i} f(x_i)\\|

    The ratings' sum is differentiated: right for networks in which no row affects another. At
    length zero every further derivative is zero.

    Arguments:
        ratings: of the rows, with a graph from ``x``.
        x: rows that require a gradient.

    Shapes:
        ratings: (n,). x: (n, *event), any shape of event. result: (n,).

    Raises:
        RuntimeError: if the ratings do not depend on ``x``.

    Example:
        >>> x = torch.tensor([[3.0, 4.0], [0.0, 0.0]], requires_grad=True)
        >>> input_slopes(x.square().sum(1) / 2, x)
        tensor([5., 0.], grad_fn=<LinalgVectorNormBackward0>)
    """
    (slopes,) = torch.autograd.grad(ratings.sum(), x, create_graph=True)
    return torch.linalg.vector_norm(slopes.flatten(1), dim=1)


def zero_centred_penalty(ratings: Tensor, x: Tensor) -> Tensor:
    """Mean squared length of slopes: R1 where x are rows of data.

    .. math:: \\frac1n \\sum_i \\|\\nabla_{x_i} f(x_i)\\|^2

    Arguments:
        ratings: of the rows, with a graph from ``x``.
        x: rows that require a gradient.

    Shapes:
        ratings: (n,). x: (n, *event). result: ().

    Reference:
        Mescheder, Geiger & Nowozin 2018, "Which training methods for GANs do actually converge?",
        eq. 9 (there with gamma / 2 in front).

    Example:
        >>> x = torch.tensor([[3.0, 4.0], [0.0, 0.0]], requires_grad=True)
        >>> zero_centred_penalty(x.square().sum(1) / 2, x).item()
        12.5
    """
    (slopes,) = torch.autograd.grad(ratings.sum(), x, create_graph=True)
    return slopes.square().sum() / len(x)


def lipschitz_penalty(ratings: Tensor, x: Tensor, *, one_sided: bool = True) -> Tensor:
    """How far the lengths of slopes are from one, or above it.

    .. math:: \\frac1n \\sum_i (\\ell_i - 1)_+^2 \\quad \\text{or} \\quad
              \\frac1n \\sum_i (\\ell_i - 1)^2

    Arguments:
        ratings: of the rows, with a graph from ``x``.
        x: rows that require a gradient.
        one_sided: whether slopes below one are free, as they are for Lipschitz functions.

    Shapes:
        ratings: (n,). x: (n, *event). result: ().

    Reference:
        Gulrajani et al. 2017, "Improved training of Wasserstein GANs", eq. 3 (two-sided); Petzka,
        Fischer & Lukovnikov 2018, "On the regularization of Wasserstein GANs", eq. 8 (one-sided).

    Example:
        >>> x = torch.ones(64, 2, requires_grad=True)
        >>> lipschitz_penalty(x[:, 0], x, one_sided=False).item()
        0.0
    """
    excess = input_slopes(ratings, x) - 1
    return (relu(excess) if one_sided else excess).square().mean()


def between(x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
    """A point on the line between every pair of rows, uniform, that requires a gradient.

    .. math:: \\hat x_i = u_i x_i + (1 - u_i) y_i, \\qquad u_i \\sim U(0, 1)

    Arguments:
        x: rows.
        y: as many others.
        generator: of the places.

    Shapes:
        x, y: (n, *event). result: (n, *event), without the graph of either.

    Reference:
        Gulrajani et al. 2017, algorithm 1, line 6.

    Example:
        >>> at = between(torch.zeros(5, 2), torch.ones(5, 2), torch.Generator().manual_seed(0))
        >>> bool((at[:, 0] == at[:, 1]).all()), at.requires_grad
        (True, True)
    """
    places = torch.rand(len(x), dtype=x.dtype, device=x.device, generator=generator)
    places = places.view(-1, *[1] * (x.ndim - 1))
    return torch.lerp(y.detach(), x.detach(), places).requires_grad_()
