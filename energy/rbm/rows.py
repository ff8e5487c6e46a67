"""Units of a layer as users pass them, checked.

.. math:: v : (\\dots, n)
"""

from __future__ import annotations

from torch import Tensor

from energy.rbm.units import Units
from inference.inputs import Values, as_tensors

__all__ = ["check_rows", "read_units"]


def read_units(name: str, x: Values, size: int, units: Units, like: Tensor) -> Tensor:
    """Units that stand for the values of so many variables, in the type of a tensor.

    Raises:
        TypeError: no numbers.
        ValueError: values that the variables cannot take, also for overflow in that type, or
            another number of them.

    Example:
        >>> import torch
        >>> from energy.rbm.units import BernoulliUnits
        >>> read_units("v", [0, 1], 2, BernoulliUnits(), torch.zeros(()))
        tensor([0., 1.])
    """
    (values,) = as_tensors(**{name: x})
    if values.ndim == 0 or values.shape[-1] != size:
        raise ValueError(
            f"{name} must have {size} units on its last axis, found {tuple(values.shape)}"
        )
    found = units.encode(name, values).to(like)
    if not bool(found.isfinite().all()):
        raise ValueError(
            f"{name} must be finite in the machine's {like.dtype}, found numbers up to "
            f"{values.abs().max().item():g}; scale them, or use machine.double()"
        )
    return found


def check_rows(name: str, rows: Tensor, size: int) -> None:
    """Refuse what is not (n, units).

    Raises:
        ValueError: naming the size of a row as it was passed.
    """
    if rows.ndim != 2:
        raise ValueError(f"{name} must be (n, {size}) rows, found {tuple(rows.shape)}")
