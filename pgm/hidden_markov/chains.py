"""Draws of the hidden chain itself.

.. math:: z_1 \\sim \\pi, \\qquad z_t \\mid z_{t-1} \\sim a_{z_{t-1} \\cdot}
"""

from __future__ import annotations

import torch
from torch import Tensor

from inference.logspace import safe_log
from inference.random import categorical

__all__ = ["sample_chains"]

#: Numbers drawn at once: steps times chains times states.
DRAWS = 1 << 20


def sample_chains(
    start: Tensor, transitions: Tensor, n: int, length: int, generator: torch.Generator
) -> Tensor:
    """Independent chains.

    The step from every state is drawn for many times at once, and a chain is led through these
    maps: a gather per step, however long it is.

    Arguments:
        start: probabilities of the first state.
        transitions: from row to column.
        n: how many chains.
        length: states of each.
        generator: advances.

    Shapes:
        start: (K,). transitions: (K, K). result: (n, length) int64.

    Example:
        >>> cycle = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
        >>> sample_chains(torch.tensor([1.0, 0.0]), cycle, 1, 4, torch.Generator()).tolist()
        [[0, 1, 0, 1]]
    """
    states = torch.empty((length, n), dtype=torch.int64, device=start.device)
    if not length:
        return states.T
    now = categorical(safe_log(start), n, generator=generator)
    states[0] = now
    logits = safe_log(transitions)
    most = max(1, DRAWS // max(1, n * len(start)))
    for first in range(1, length, most):
        maps = categorical(logits, (min(most, length - first), n), generator=generator)
        for step, chosen in enumerate(maps, first):
            now = chosen.gather(1, now[:, None])[:, 0]
            states[step] = now
    return states.T.contiguous()
