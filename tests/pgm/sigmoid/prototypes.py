"""Rows that the tests of learning share."""

from __future__ import annotations

import torch
from torch import Tensor


def patterns(n: int, seed: int) -> Tensor:
    """Two prototypes of six pixels with noise: what independent pixels cannot describe."""
    generator = torch.Generator().manual_seed(seed)
    prototypes = torch.tensor([[1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 0]])
    chosen = prototypes[torch.randint(2, (n,), generator=generator)]
    flipped = torch.rand(chosen.shape, generator=generator) < 0.05
    return torch.where(flipped, 1 - chosen, chosen)
