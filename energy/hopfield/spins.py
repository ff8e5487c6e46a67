"""States of units as users pass them, checked to be -1 or +1.

.. math:: x_i \\in \\{-1, +1\\}
"""

from __future__ import annotations

import torch
from torch import Tensor

from inference.inputs import Values, as_tensors

__all__ = ["as_patterns", "as_spins"]


def as_spins(name: str, values: Values, n_units: int | None = None) -> Tensor:
    """Check states of units.

    Arguments:
        name: the argument's name, for the message.
        values: what was passed.
        n_units: length of a state; None allows any.

    Shapes:
        values: (..., d). result: the same, floating.

    Raises:
        TypeError: if it does not hold real numbers.
        ValueError: if states have another length, or a unit is neither -1 nor +1.

    Example:
        >>> as_spins("x", [1, -1]).tolist()
        [1.0, -1.0]
    """
    (spins,) = as_tensors(**{name: values})
    spins = spins.detach()
    if spins.ndim == 0 or (n_units is not None and spins.shape[-1] != n_units):
        width = "at least one axis" if n_units is None else f"{n_units} units on the last axis"
        raise ValueError(f"{name} must have {width}, found shape {tuple(spins.shape)}")
    wrong = spins.abs() != 1
    if wrong.any():
        index = tuple(wrong.nonzero()[0].tolist())
        raise ValueError(
            f"{name} must hold -1 and +1 only, found {spins[index].item():g} at index {index}; "
            "turn zeros and ones into 2 * x - 1"
        )
    return spins


def as_patterns(patterns: Values, n_units: int | None = None) -> Tensor:
    """Check patterns to be stored.

    Shapes:
        patterns: (P, d), or (d,) for a single one. result: (P, d), floating.

    Raises:
        TypeError, ValueError: as :func:`as_spins`; if there is no pattern or no unit.

    Example:
        >>> as_patterns([1, -1]).shape
        torch.Size([1, 2])
    """
    spins = torch.atleast_2d(as_spins("patterns", patterns, n_units))
    if spins.ndim > 2 or 0 in spins.shape:
        raise ValueError(
            f"patterns must be (P, d) with at least one pattern and one unit, found shape "
            f"{tuple(spins.shape)}"
        )
    return spins
