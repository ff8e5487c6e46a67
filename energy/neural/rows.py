"""Rows of data: their mean and scale, and what the network of a neural energy says of them.

.. math:: f : (\\text{batch}, *\\text{event}) \\to (\\text{batch},)
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["check_network", "checked_output", "mean_and_scale"]


def mean_and_scale(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every number, (*event); one where it is constant.

    Example:
        >>> mean_and_scale(torch.tensor([[3.0, 1.0], [3.0, 5.0]]))
        (tensor([3., 3.]), tensor([1., 2.]))
    """
    scale = rows.std(0, correction=0)
    # Rounding may leave a scale to rows that are all the same.
    varies = (scale > 0) & (rows.amax(0) > rows.amin(0))
    return rows.mean(0), torch.where(varies, scale, 1.0)


def checked_output(found: Any, x: Tensor) -> Tensor:
    """Energies (batch,) as a network returned them for rows x.

    Raises:
        ValueError: if they are not one per row.
    """
    shape = found.shape if isinstance(found, Tensor) else None
    if shape not in ((len(x),), (len(x), 1)):
        kind = type(found).__name__ if shape is None else tuple(shape)
        raise ValueError(
            f"network must return ({len(x)},) or ({len(x)}, 1), one energy per row of "
            f"{tuple(x.shape)}, found {kind}"
        )
    return found.reshape(len(x))


def check_network(network: nn.Module, x: Tensor) -> None:
    """Refuse a network that does not take such rows, or does not give one energy for each.

    Raises:
        ValueError: then.
    """
    with torch.no_grad():
        try:
            found = network(x)
        except RuntimeError as error:
            raise ValueError(
                f"network must take rows of shape {tuple(x.shape[1:])}, found: {error}"
            ) from None
    checked_output(found, x)
