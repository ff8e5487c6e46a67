"""Whether an encoder, a decoder and rows of data fit together.

.. math:: f : (\\text{batch}, *\\text{event}) \\to (\\text{batch}, *\\text{code}), \\qquad
          g : (\\text{batch}, *\\text{code}) \\to (\\text{batch}, *\\text{event})
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import SupportsIndex

import torch
from torch import Tensor, nn

from inference.inputs import Values, as_tensors, as_whole, check_finite

__all__ = ["checked_shape", "evaluating", "fitted_code_shape", "read_rows"]


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


def read_rows(
    name: str, x: Values, shape: Sequence[int] | None, like: Tensor, *, shares: bool = False
) -> Tensor:
    """Rows of numbers as users pass them, in the type and on the device of a tensor.

    Arguments:
        name: of the argument, for messages.
        x: what was passed.
        shape: of a row; None where it is not known yet.
        like: a parameter of the network that takes them.
        shares: whether the numbers must be from 0 to 1.

    Shapes:
        result: (batch, *event).

    Raises:
        TypeError: no real numbers.
        ValueError: NaN or infinity, another shape, no rows, or numbers outside [0, 1].
    """
    (rows,) = as_tensors(**{name: x})
    check_finite(**{name: rows})
    if rows.ndim < 2 or not rows.numel() or (shape is not None and rows.shape[1:] != (*shape,)):
        wanted = "*event" if shape is None else ", ".join(map(str, shape))
        raise ValueError(
            f"{name} must be (batch, {wanted}) and not empty, found {tuple(rows.shape)}"
        )
    if shares and not ((rows >= 0) & (rows <= 1)).all():
        raise ValueError(
            f"{name} must be from 0 to 1 for bits, found numbers from {float(rows.min()):g} to "
            f'{float(rows.max()):g}; scale them, or take loss="squared"'
        )
    return rows.to(like)


def fitted_code_shape(
    encoder: nn.Module, decoder: nn.Module, shape: Sequence[int], like: Tensor
) -> tuple[int, ...]:
    """Shape of the code of a row, of networks that have been tried on rows of zeros.

    Arguments:
        encoder: f.
        decoder: g.
        shape: of a row.
        like: a parameter of the encoder, for the type and device of rows.

    Raises:
        ValueError: a network does not take what it is given, or returns something else.

    Example:
        >>> fitted_code_shape(nn.Linear(5, 2), nn.Linear(2, 5), (5,), torch.zeros(()))
        (2,)
    """
    rows = torch.zeros((2, *shape), dtype=like.dtype, device=like.device)
    with torch.no_grad(), evaluating(encoder, decoder):
        codes = _output("encoder", encoder, rows, "rows")
        if codes.ndim < 2 or len(codes) != 2 or not codes.numel():
            raise ValueError(
                f"encoder must return (2, *code) for rows {tuple(rows.shape)}, found "
                f"{tuple(codes.shape)}"
            )
        found = _output("decoder", decoder, codes, "codes")
    if found.shape != rows.shape:
        raise ValueError(
            f"decoder must return rows {tuple(rows.shape)} for codes {tuple(codes.shape)}, found "
            f"{tuple(found.shape)}"
        )
    return tuple(codes.shape[1:])


@contextmanager
def evaluating(*networks: nn.Module) -> Iterator[None]:
    """Networks in evaluation mode for a while, layer by layer as before afterwards.

    Example:
        >>> network = nn.Dropout()
        >>> with evaluating(network):
        ...     print(network.training)
        False
        >>> network.training
        True
    """
    modes = [(part, part.training) for network in networks for part in network.modules()]
    for network in networks:
        network.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def _output(name: str, network: nn.Module, x: Tensor, what: str) -> Tensor:
    """What a network makes of rows or codes."""
    try:
        found = network(x)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise ValueError(f"{name} must take {what} {tuple(x.shape)}, found: {error}") from None
    if not isinstance(found, Tensor):
        raise ValueError(f"{name} must return a tensor, found {type(found).__name__}")
    return found
