"""A restricted Boltzmann machine that has learned bars and stripes, exactly.

.. math:: \\log Z = \\log \\sum_v \\exp \\Bigl(a^\\top v + \\sum_j \\log(1 + e^{b_j + v^\\top W_j})
          \\Bigr)
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from inference.exact.enumerate import enumerate_states
from inference.sampling.binary.law import PairLaw
from inference.sampling.binary.layout import PairLayout

__all__ = ["bars_against_stripes", "patterns", "trained_law"]

SIDE, HIDDEN = 4, 12
#: Training stops here, nats per picture; -log 30 = -3.40 is best.
ENOUGH = -3.69


def patterns(side: int = SIDE) -> Tensor:
    """All pictures of whole rows, and of whole columns, each once, (count, side^2)."""
    lines = enumerate_states([2] * side)
    rows = lines[:, :, None].expand(-1, side, side).reshape(len(lines), -1)
    columns = lines[:, None, :].expand(-1, side, side).reshape(len(lines), -1)
    return torch.cat([rows, columns]).unique(dim=0).float()


@cache
def _trained() -> tuple[Tensor, Tensor, Tensor, float]:
    """Weights, biases and mean log-likelihood after exact gradient steps."""
    generator = torch.Generator().manual_seed(0)
    data, every = patterns(), enumerate_states([2] * SIDE**2).float()
    weights = 0.1 * torch.randn(SIDE**2, HIDDEN, generator=generator)
    parameters = [weights, torch.zeros(SIDE**2), torch.zeros(HIDDEN)]
    parameters = [p.requires_grad_() for p in parameters]
    optimizer = torch.optim.Adam(parameters, lr=0.05)

    def log_weight(v: Tensor) -> Tensor:
        w, a, b = parameters
        return v @ a + torch.nn.functional.softplus(v @ w + b).sum(1)

    score = -torch.inf
    while score < ENOUGH:
        optimizer.zero_grad()
        likelihood = log_weight(data).mean() - log_weight(every).logsumexp(0)
        (-likelihood).backward()
        optimizer.step()
        score = float(likelihood.detach())
    w, a, b = [p.detach() for p in parameters]
    return w, a, b, score


def trained_law(scale: float) -> tuple[PairLaw, float]:
    """The machine as units joined in pairs, its numbers scaled, and its log-likelihood."""
    w, a, b, score = _trained()
    visible, hidden = np.indices(w.shape).reshape(2, -1)
    edges = np.stack([visible, len(a) + hidden], axis=1)
    layout = PairLayout(len(a) + len(b), edges)
    return PairLaw(layout, scale * w.reshape(-1), scale * torch.cat([a, b])), score


def bars_against_stripes(units: Tensor) -> Tensor:
    """How much rows differ from one another minus how much columns do, (...)."""
    pictures = units[..., : SIDE**2].reshape(*units.shape[:-1], SIDE, SIDE)
    return pictures.mean(-1).var(-1) - pictures.mean(-2).var(-1)
