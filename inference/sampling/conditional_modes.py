"""Climbing the law of discrete variables, one variable at a time.

.. math:: x_v \\leftarrow \\arg\\max_s p(x_v = s \\mid x_{-v})
"""

from __future__ import annotations

import torch
from torch import Tensor

from inference.inputs import as_whole
from inference.sampling.density import DiscreteDensity

__all__ = ["iterated_conditional_modes"]


def iterated_conditional_modes(
    density: DiscreteDensity, codes: Tensor, max_sweeps: int = 1000
) -> Tensor:
    """Climb from joint states, one variable at a time, until no single change gains anything.

    .. math:: x_v \\leftarrow \\arg\\max_s p(x_v = s \\mid x_{-v})

    A variable whose state is among the best keeps it.

    Arguments:
        density: the law.
        codes: where to start.
        max_sweeps: most sweeps.

    Shapes:
        codes: (C, V). result: (C, V) int64.

    Reference:
        Besag 1986, "On the statistical analysis of dirty pictures", section 2.5.
    """
    columns = density.clamp(codes.to(density.device)).T
    for _ in range(as_whole("max_sweeps", max_sweeps, least=0)):
        before = columns.clone()
        for block in density.blocks:
            logits = density.conditionals(block, columns.T)
            now = columns.index_select(0, block.variables)
            best, mode = logits.max(0)
            kept = logits.gather(0, now[None].long())[0] == best
            columns.index_copy_(0, block.variables, torch.where(kept, now, mode.to(now.dtype)))
        if torch.equal(before, columns):
            break
    return columns.T.long()
