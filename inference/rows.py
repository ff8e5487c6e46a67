"""Rows of numbers as users pass them to networks, checked.

.. math:: x : (\\text{batch}, *\\text{event})
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import SupportsIndex

from torch import Tensor

from inference.inputs import Values, as_tensors, as_whole, check_finite

__all__ = ["checked_shape", "mean_over_rows", "read_rows"]


def checked_shape(event_shape: SupportsIndex | Sequence[int]) -> tuple[int, ...]:
    """The shape of one row; a number is that of a vector.

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


def mean_over_rows(values: Tensor) -> Tensor:
    """Mean of a number per row, ().

    Raises:
        ValueError: no rows.

    Example:
        >>> import torch
        >>> mean_over_rows(torch.tensor([1.0, 2.0]))
        tensor(1.5000)
    """
    if not values.numel():
        raise ValueError("x has no rows; the mean of nothing is not defined")
    return values.mean()


def read_rows(name: str, x: Values, shape: Sequence[int] | None, like: Tensor) -> Tensor:
    """Rows in the type and on the device of a tensor.

    Arguments:
        name: of the argument, for messages.
        x: what was passed.
        shape: of a row; None where it is not known yet.
        like: a tensor of what takes them.

    Shapes:
        result: (batch, *event).

    Raises:
        TypeError: no real numbers.
        ValueError: NaN or infinity, another shape, no rows.

    Example:
        >>> import torch
        >>> read_rows("x", [[1, 2]], (2,), torch.zeros(()))
        tensor([[1., 2.]])
    """
    (rows,) = as_tensors(**{name: x})
    check_finite(**{name: rows})
    if rows.ndim < 2 or not rows.numel() or (shape is not None and rows.shape[1:] != (*shape,)):
        wanted = "*event" if shape is None else ", ".join(map(str, shape))
        raise ValueError(
            f"{name} must be (batch, {wanted}) and not empty, found {tuple(rows.shape)}"
        )
    return rows.to(like)
