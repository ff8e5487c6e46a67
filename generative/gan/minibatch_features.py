"""Features of a whole batch, which let a discriminator see that generated samples are alike.

.. math:: o(x_i)_k = \\sum_{j \\ne i} e^{-\\|M_{ik} - M_{jk}\\|_1}, \\qquad
          s = \\frac1d \\sum_l \\sqrt{\\operatorname{var}_i f_l(x_i)}
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from inference.inputs import as_whole

__all__ = ["MinibatchDeviation", "MinibatchDiscrimination"]


class MinibatchDiscrimination(nn.Module):
    """Appends to the features of every row how near the other rows of the batch are.

    .. math:: M_{ik} = \\sum_a f_a(x_i)\\, T_{ak \\cdot}, \\qquad
              o(x_i)_k = \\sum_{j \\ne i} e^{-\\|M_{ik} - M_{jk}\\|_1}

    A layer for the inside of a discriminator: near copies of one sample get features that no
    batch of data has. What the discriminator says of a row then depends on the batch, and on its
    size. Batches of data and of generated samples must go through it separately.

    Time grows as batch^2 * n_kernels * kernel_dim, memory as batch^2 * n_kernels, also for the
    gradient; second derivatives, which gradient penalties need, take kernel_dim times that.

    Arguments:
        n_features: of a row.
        n_kernels: measures of nearness, which are the features that are added.
        kernel_dim: numbers that each compares.

    Attributes:
        layer: the tensor T as a linear map without bias, n_features to n_kernels * kernel_dim.

    Shapes:
        features: (batch, n_features). result: (batch, n_features + n_kernels).

    Raises:
        TypeError: if a size is no whole number.
        ValueError: if a size is less than one; if features have another shape.

    Reference:
        Salimans et al. 2016, "Improved techniques for training GANs", section 3.2, whose sum has
        the term j = i too: the constant one.

    Example:
        >>> layer = MinibatchDiscrimination(2, n_kernels=1, kernel_dim=1)
        >>> _ = nn.init.ones_(layer.layer.weight)
        >>> layer(torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 9.0]]))[:, 2].round(decimals=2)
        tensor([1., 1., 0.], grad_fn=<RoundBackward1>)
    """

    def __init__(self, n_features: int, n_kernels: int, kernel_dim: int) -> None:
        super().__init__()
        self.n_features = as_whole("n_features", n_features, least=1)
        self.n_kernels = as_whole("n_kernels", n_kernels, least=1)
        self.kernel_dim = as_whole("kernel_dim", kernel_dim, least=1)
        self.layer = nn.Linear(self.n_features, self.n_kernels * self.kernel_dim, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Features with those of nearness behind them."""
        if features.ndim != 2 or features.shape[1] != self.n_features:
            raise ValueError(
                f"features must be (batch, {self.n_features}), found shape "
                f"{tuple(features.shape)}; flatten images first"
            )
        coordinates = self.layer(features).reshape(-1, self.n_kernels, self.kernel_dim)
        nearness = _Nearness.apply(coordinates.permute(2, 1, 0).contiguous())
        return torch.cat([features, nearness.sum(-1).mT], -1)


class MinibatchDeviation(nn.Module):
    """Appends one channel: how far the batch spreads, on average over all features.

    .. math:: s = \\frac1d \\sum_{l=1}^{d}
              \\sqrt{\\frac1n \\sum_i \\bigl(f_l(x_i) - \\bar f_l\\bigr)^2}

    Has no parameters. A batch of copies has s = 0, where every derivative is defined as zero.
    Batches of data and of generated samples must go through it separately.

    Shapes:
        features: (batch, c, ...), vectors or images. result: (batch, c + 1, ...).

    Raises:
        ValueError: if features have no second axis.

    Reference:
        Karras, Aila, Laine & Lehtinen 2018, "Progressive growing of GANs for improved quality,
        stability, and variation", section 3.

    Example:
        >>> MinibatchDeviation()(torch.tensor([[0.0, 3.0], [2.0, 3.0]]))
        tensor([[0.0000, 3.0000, 0.5000],
                [2.0000, 3.0000, 0.5000]])
    """

    def forward(self, features: Tensor) -> Tensor:
        """Features with the deviation as the last channel."""
        if features.ndim < 2:
            raise ValueError(
                f"features must be (batch, c, ...), found shape {tuple(features.shape)}"
            )
        variance = features.var(0, correction=0)
        varies = variance > 0
        # The root of zero has no slope; it is kept away from it, not only masked afterwards.
        roots = torch.where(varies, variance, 1).sqrt()
        deviation = torch.where(varies, roots, 0).mean()
        channel = deviation.expand(features.shape[0], 1, *features.shape[2:])
        return torch.cat([features, channel], 1)


class _Nearness(torch.autograd.Function):
    """exp(-L1 distance) between rows, (D, K, B) to (K, B, B), with zeros on the diagonal.

    Written out because the distances of torch have no second derivative, and broadcasting keeps
    (D, K, B, B) numbers. The gradient is made of differentiable steps from what is saved, so
    that it can be differentiated again.
    """

    @staticmethod
    def forward(ctx: Any, coordinates: Tensor) -> Tensor:
        distances = _differences(coordinates[0]).abs_()
        for coordinate in coordinates[1:]:
            distances += _differences(coordinate).abs_()
        nearness = distances.neg_().exp_()
        nearness.diagonal(dim1=-2, dim2=-1).zero_()
        ctx.save_for_backward(coordinates, nearness)
        return nearness

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Tensor:
        coordinates, nearness = ctx.saved_tensors
        pull = upstream[0] * nearness
        pull = pull + pull.mT
        return torch.stack([-(pull * _differences(x).sign()).sum(-1) for x in coordinates])


def _differences(x: Tensor) -> Tensor:
    """What every row exceeds every other by, (K, B) to (K, B, B)."""
    return x.unsqueeze(-1) - x.unsqueeze(-2)
