"""What is told from the networks of a game: sizes, ranges, and whether rows can be joined.

.. math:: G : (\\text{batch}, \\text{latent}) \\to (\\text{batch}, *\\text{event}), \\qquad
          D : (\\text{batch}, *\\text{event}) \\to (\\text{batch})
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvTransposeNd

from generative.gan.packing import packed
from generative.trial import evaluating, one_per_row, tried

__all__ = ["ends_bounded", "latent_dim_of", "reads_rows_apart", "try_networks"]

#: Last layers whose range is that of the data already.
BOUNDED = (nn.Tanh, nn.Sigmoid, nn.Hardtanh, nn.Hardsigmoid, nn.Softmax, nn.Softsign)

#: Where modules come from in which no row of a batch affects another one.
ROW_BY_ROW = tuple(
    [f"torch.nn.modules.{name}" for name in ("linear", "conv", "container", "flatten", "dropout")]
    + [f"torch.nn.modules.{name}" for name in ("pooling", "padding", "normalization")]
    + ["torch.nn.modules.activation", "torch.nn.modules.instancenorm"]
    + ["torch.nn.utils.parametrize", "torch.nn.utils.parametrizations", "generative.networks"]
)


def latent_dim_of(generator: nn.Module, features: int | None) -> int:
    """Latent numbers that a generator takes, told from its first layer.

    Arguments:
        generator: the network.
        features: numbers of its condition; None where they are not known.

    Raises:
        ValueError: if it cannot be told.

    Example:
        >>> latent_dim_of(nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 2)), features=3)
        2
    """
    for layer in generator.modules() if features is not None else ():
        if isinstance(layer, (nn.Linear, _ConvTransposeNd)):
            inputs = layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels
            if inputs > (features or 0):
                return inputs - (features or 0)
            break
    raise ValueError(
        "latent_dim cannot be told from the generator's first layer; pass latent_dim, the number "
        "of latent numbers that it takes"
    )


def ends_bounded(generator: nn.Module) -> bool:
    """Whether the last layer of a network bounds its range.

    Example:
        >>> ends_bounded(nn.Sequential(nn.Linear(2, 2), nn.Tanh()))
        True
    """
    return isinstance(list(generator.modules())[-1], BOUNDED)


def reads_rows_apart(network: nn.Module) -> bool:
    """Whether what a network says of a row is known not to depend on the other rows.

    Such networks take rows of data and generated ones in one batch, which costs less. False for
    batch normalisation, features of a minibatch, and modules of which nothing is known.

    Example:
        >>> reads_rows_apart(nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1)))
        True
        >>> reads_rows_apart(nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)))
        False
    """
    return all(
        [
            type(part).__module__ in ROW_BY_ROW
            and not isinstance(part, (_BatchNorm, nn.MultiheadAttention))
            for part in network.modules()
        ]
    )


@torch.no_grad()
def try_networks(
    generator: nn.Module,
    judge: nn.Module,
    role: str,
    z: Tensor,
    features: Tensor | None,
    event: Sequence[int],
    pack: int,
) -> None:
    """Refuse networks that do not fit each other or the rows.

    Arguments:
        generator: from latent numbers to rows.
        judge: from packed rows to ratings.
        role: what the judge is called.
        z: some latent numbers, (k, latent), where ``pack`` divides k.
        features: of as many conditions, or None.
        event: shape of a row of data.
        pack: rows that are judged together.

    Raises:
        ValueError: then; it says which network was given what, and what it returned.
    """
    with evaluating(generator, judge):
        rows = tried("generator", generator, z, features)
        if rows.shape != (len(z), *event):
            raise ValueError(
                f"generator must return rows {tuple(event)} as the data are, found that the "
                f"generator returned {tuple(rows.shape[1:])}, but data rows are {tuple(event)}"
            )
        told = None if features is None else packed(features, pack)
        found = tried(role, judge, packed(rows, pack), told)
    one_per_row(role, found, len(z) // pack)
