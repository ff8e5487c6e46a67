"""Rows whose missing units are drawn while the known ones are held.

.. math:: h \\sim p(h \\mid v_O, v_M), \\qquad v_M \\sim p(v_M \\mid h)
"""

from __future__ import annotations

import torch
from torch import Tensor

from energy.rbm.law import LayerLaw
from inference.inputs import Values, as_tensor

__all__ = ["completed", "without_gaps"]


def completed(
    law: LayerLaw, held: Tensor, missing: Tensor, sweeps: int, generator: torch.Generator
) -> Tensor:
    """Rows after sweeps of a chain each.

    Arguments:
        law: of the machine.
        held: rows; what stands where units are missing does not count, (n, n_visible).
        missing: which units are, bool.
        sweeps: length of the chains.
        generator: of the draws.
    """
    state = law.start(len(held), generator)
    for _ in range(sweeps):
        state = law.state_of(torch.where(missing, state.visible, held))
        state = law.step(state, 1.0, generator)
    return torch.where(missing, state.visible, held)


def without_gaps(v: Values) -> tuple[Tensor, Tensor]:
    """Rows with zeros for what is missing, and where it was, bool.

    Missing is NaN among real numbers and -1 among whole ones.

    Raises:
        TypeError: if they are no numbers.

    Example:
        >>> known, missing = without_gaps([[1.0, float("nan")]])
        >>> known.tolist(), missing.tolist()
        ([[1.0, 0.0]], [[False, True]])
        >>> without_gaps([[1, -1]])[0].tolist()
        [[1, 0]]
    """
    given = as_tensor("v", v).detach()
    if given.is_floating_point():
        missing = given.isnan()
    else:
        missing = torch.zeros_like(given).bool() if given.dtype == torch.bool else given == -1
    return given.masked_fill(missing, 0), missing
