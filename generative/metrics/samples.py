"""Samples as the metrics read them, and the distances between them in pieces.

.. math:: d_{ij} = \\|x_i - y_j\\|
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from inference.inputs import Values, as_tensors, check_finite

__all__ = ["distance_blocks", "read_samples"]

#: Distances that are in memory at a time.
BLOCK = 2**22

#: Dimensions up to which differences are as fast as a product of matrices.
FEW = 32


def read_samples(least: int, **samples: Values) -> list[Tensor]:
    """Turn named arguments into samples in one space, float64.

    Arguments:
        least: rows that every sample must have.
        samples: tensors, arrays or lists.

    Shapes:
        samples: (n, d), with one d.

    Raises:
        TypeError: if an argument holds no real numbers.
        ValueError: if the shapes do not fit, there are too few rows, or a number is not finite.

    Example:
        >>> read_samples(1, x=[[1.0, 2.0]])
        [tensor([[1., 2.]], dtype=torch.float64)]
    """
    tensors = dict(zip(samples, as_tensors(**samples), strict=True))
    sizes = {x.shape[1] if x.ndim == 2 else 0 for x in tensors.values()}
    if len(sizes) > 1 or 0 in sizes:
        names = " and ".join(tensors)
        found = " and ".join(str(tuple(x.shape)) for x in tensors.values())
        raise ValueError(
            f"{names} must be (n, d) with one d, found shapes {found}; give samples of one number "
            "a second axis, images one flat axis"
        )
    for name, x in tensors.items():
        if len(x) < least:
            raise ValueError(f"{name} must hold at least {least} rows, found {len(x)}")
    check_finite(**tensors)
    return [x.double() for x in tensors.values()]


def distance_blocks(x: Tensor, y: Tensor) -> Iterator[Tensor]:
    """Euclidean distances of all rows of x to all rows of y, some rows of x at a time.

    .. math:: d_{ij}^2 = \\sum_l (x_{il} - y_{jl})^2

    Equal rows are at distance zero, and squares of distances between whole numbers are exact
    before the root is taken, so that ties are ties.

    Arguments:
        x: rows, float64.
        y: rows, float64.

    Shapes:
        x: (n, d). y: (m, d). each result: (rows, m).

    Example:
        >>> x = torch.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=torch.float64)
        >>> next(distance_blocks(x, x)).tolist()
        [[0.0, 5.0], [5.0, 0.0]]
    """
    rows = max(1, BLOCK // len(y))
    if x.shape[1] <= FEW:
        for block in x.split(rows):
            yield torch.cdist(block, y, compute_mode="donot_use_mm_for_euclid_dist")
        return
    # Products of matrices are much faster in many dimensions, and lose digits far from the origin.
    # A whole centre keeps whole numbers whole.
    centre = y.mean(0).round()
    x, y = x - centre, y - centre
    lengths = y.square().sum(1)
    rounding = 4 * x.shape[1] * torch.finfo(x.dtype).eps
    for block in x.split(rows):
        scale = block.square().sum(1, keepdim=True) + lengths
        squares = torch.addmm(scale, block, y.mT, alpha=-2)
        yield squares.masked_fill(squares <= rounding * scale, 0.0).sqrt()
