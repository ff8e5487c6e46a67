"""Rows of a neural energy and what its network says of them, checked.

.. math:: f : (\\text{batch}, *\\text{event}) \\to (\\text{batch},)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsIndex

import torch
from torch import Tensor, nn

from inference.inputs import Values, as_tensors, as_whole, check_finite

__all__ = ["check_network", "checked_output", "checked_shape", "read_rows"]


def checked_shape(event_shape: SupportsIndex | Sequence[int]) -> tuple[int, ...]:
    """The shape of an observation; a number is that of a vector.

    Raises:
        TypeError, ValueError: for sizes that are none, or none at all.

    Example:
        >>> checked_shape(3), checked_shape([1, 8, 8])
        ((3,), (1, 8, 8))
    """
    sizes = tuple(event_shape) if isinstance(event_shape, Sequence) else (event_shape,)
    if not sizes:
        raise ValueError("event_shape must have at least one axis, found none; use (1,)")
    return tuple([as_whole("event_shape", size, least=1) for size in sizes])


def read_rows(name: str, x: Values, like: Tensor) -> Tensor:
    """Observations (batch, *event), in the type and on the device of a tensor like an event.

    Arguments:
        name: of the argument, for messages.
        x: what was passed.
        like: (*event,), or () where the shape of an event is not known yet.

    Raises:
        TypeError: if they are no real numbers.
        ValueError: NaN or infinity, or another shape.
    """
    (rows,) = as_tensors(**{name: x})
    check_finite(**{name: rows})
    known = like.shape if like.ndim else rows.shape[1:]
    if rows.ndim < 2 or rows.shape[1:] != known or not rows.numel():
        wanted = ", ".join(map(str, known)) if like.ndim else "*event"
        raise ValueError(
            f"{name} must be (batch, {wanted}) and not empty, found {tuple(rows.shape)}"
        )
    return rows.to(like)


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
