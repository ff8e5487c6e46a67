"""Units, weights and masks of Boltzmann machines, checked.

.. math:: x_i \\in \\{0, 1\\}, \\qquad w_{ij} = w_{ji}
"""

from __future__ import annotations

import torch
from torch import Tensor

from inference.inputs import Values, as_tensor, as_tensors, tolerance

__all__ = ["check_symmetric", "checked_couplings", "checked_mask", "checked_units"]


def checked_units(name: str, x: Values, size: int, missing: bool = False) -> Tensor:
    """Units 0 and 1 as users pass them.

    Arguments:
        name: the argument's name, for the message.
        x: what was passed.
        size: number of units.
        missing: whether -1 is allowed, for a unit that is not known.

    Shapes:
        x: (..., size). result: the same, floating.

    Raises:
        TypeError: if they are no numbers.
        ValueError: other values, NaN, or another number of units.

    Example:
        >>> checked_units("x", [0, 1, -1], 3, missing=True).tolist()
        [0.0, 1.0, -1.0]
    """
    (units,) = as_tensors(**{name: x})
    if units.ndim == 0 or units.shape[-1] != size:
        raise ValueError(f"{name} must be (..., {size}) units, found {tuple(units.shape)}")
    wrong = (units != 0) & (units != 1)
    if missing:
        wrong &= units != -1
    if bool(wrong.any()):
        allowed = "0, 1 and -1, for what is not known," if missing else "0 and 1"
        raise ValueError(
            f"{name} must hold {allowed} only, found {units[wrong][0].item():g}; "
            "spins s are units (s + 1) / 2"
        )
    return units.detach()


def check_symmetric(weights: Tensor, bias: Tensor) -> None:
    """Refuse weights that have no energy.

    Raises:
        ValueError: not symmetric, NaN or infinity.
    """
    for name, values in (("weights", weights), ("bias", bias)):
        if not bool(values.isfinite().all()):
            raise ValueError(f"{name} must be finite, found NaN or infinity")
    apart = (weights - weights.T).abs_().max()
    if bool(apart > tolerance(weights.dtype) * weights.abs().max()):
        raise ValueError(
            f"weights must be symmetric to have an energy, found entries {apart.item():g} apart; "
            "use (weights + weights.T) / 2"
        )


def checked_couplings(weights: Tensor, bias: Tensor, mask: Tensor | None) -> Tensor:
    """Weights without their diagonal.

    Raises:
        ValueError: weights that are not symmetric, NaN or infinity, weights outside the mask.

    Example:
        >>> checked_couplings(torch.ones(2, 2), torch.zeros(2), None).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    found = weights.detach()
    check_symmetric(found, bias)
    kept = ~torch.eye(len(bias), dtype=torch.bool, device=weights.device)
    if mask is not None:
        outside = (found != 0) & ~mask & kept
        if bool(outside.any()):
            i, j = outside.nonzero()[0].tolist()
            raise ValueError(
                f"weights[{i}, {j}] must be 0, as the mask has no such pair, found "
                f"{found[i, j].item():g}"
            )
        kept = kept & mask
    return weights * kept


def checked_mask(mask: Values, n: int) -> Tensor:
    """Which pairs may have weights, (n, n), bool, in memory of its own.

    Raises:
        TypeError: if it is not bool.
        ValueError: another shape, or not symmetric.

    Example:
        >>> checked_mask([[False, True], [True, False]], 2).tolist()
        [[False, True], [True, False]]
    """
    found = as_tensor("mask", mask).detach().clone()
    if found.dtype is not torch.bool:
        raise TypeError(f"mask must be bool, found {found.dtype}; use mask != 0")
    if found.shape != (n, n):
        raise ValueError(f"mask must be ({n}, {n}), found {tuple(found.shape)}")
    if not torch.equal(found, found.T):
        raise ValueError("mask must be symmetric; use mask | mask.T")
    return found
