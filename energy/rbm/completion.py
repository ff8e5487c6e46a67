"""Rows whose missing units are drawn while the known ones are held.

.. math:: h \\sim p(h \\mid v_O, v_M), \\qquad v_M \\sim p(v_M \\mid h)
"""

from __future__ import annotations

import torch
from torch import Tensor

from energy.rbm.law import LayerLaw

__all__ = ["completed"]


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
