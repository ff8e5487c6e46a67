"""Packing: the discriminator judges several samples at once, so it sees that they are all alike.

.. math:: D(x_1, \\dots, x_m), \\qquad (x_1, \\dots, x_m) \\sim p^m \\text{ or } q^m
"""

from __future__ import annotations

from torch import Tensor

from inference.inputs import as_whole

__all__ = ["packed"]


def packed(x: Tensor, pack: int) -> Tensor:
    """Join every ``pack`` consecutive rows into one, along the first axis of their events.

    .. math:: (x_1, x_2, \\dots, x_n) \\to
              \\bigl([x_1, \\dots, x_m], [x_{m+1}, \\dots, x_{2m}], \\dots\\bigr)

    Vectors are put end to end, images become channels of one image. Samples from a collapsed
    generator are far from independent draws of the data together even where each alone is
    plausible: total variation between products of laws punishes a missing mode more.

    Arguments:
        x: rows, in an order that says nothing (a shuffled batch).
        pack: how many are judged together, m; one leaves x as it is.

    Shapes:
        x: (n, c, ...). result: (n / pack, pack * c, ...), a view where x is contiguous.

    Raises:
        TypeError: if ``pack`` is no whole number.
        ValueError: if it is less than one or does not divide n, or x has no second axis.

    Reference:
        Lin, Khetan, Fanti & Oh 2018, "PacGAN: the power of two samples in generative adversarial
        networks", sections 2.2 and 3.

    Example:
        >>> import torch
        >>> packed(torch.tensor([[1, 2], [3, 4], [5, 6], [7, 8]]), 2)
        tensor([[1, 2, 3, 4],
                [5, 6, 7, 8]])
    """
    pack = as_whole("pack", pack, least=1)
    if x.ndim < 2:
        raise ValueError(
            f"x must be (n, c, ...), found shape {tuple(x.shape)}; "
            "give rows of one number a second axis"
        )
    n, channels, *rest = x.shape
    if n % pack:
        raise ValueError(
            f"pack must divide the number of rows, found {n} rows and pack={pack}; "
            f"pass {n - n % pack} or {n - n % pack + pack} rows"
        )
    return x.reshape(n // pack, pack * channels, *rest)
