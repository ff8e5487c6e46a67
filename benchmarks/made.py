"""A masked autoregressive network over bits, whose likelihood is exact: a baseline.

.. math:: \\log p(x) = \\sum_i \\log p(x_i \\mid x_{<i})

Germain, Gregor, Murray & Larochelle 2015, "MADE: masked autoencoder for distribution estimation",
eq. 8 to 13.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, linear

from inference import Optimization
from inference.learning.descent import Player, descend
from inference.learning.schedule import Schedule
from inference.random import as_generator

__all__ = ["MaskedAutoencoder"]


class MaskedAutoencoder(nn.Module):
    """One hidden layer and direct links, masked so that a bit depends on earlier ones only."""

    def __init__(self, bits: int, hidden: int, dropout: float, seed: int) -> None:
        super().__init__()
        source = as_generator(seed)
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            self.first, self.last = nn.Linear(bits, hidden), nn.Linear(hidden, bits)
        self.direct = nn.Parameter(torch.zeros(bits, bits))
        self.dropout = nn.Dropout(dropout)
        place = torch.randperm(bits, generator=source)
        degree = torch.arange(hidden) % (bits - 1)
        self.register_buffer("seen", (degree[:, None] >= place).float())
        self.register_buffer("used", (place[:, None] > degree).float())
        self.register_buffer("earlier", (place[:, None] > place).float())

    def forward(self, x: Tensor) -> Tensor:
        """Log-odds of every bit given those before it."""
        hidden = linear(x, self.first.weight * self.seen, self.first.bias).relu()
        logits = linear(self.dropout(hidden), self.last.weight * self.used, self.last.bias)
        return logits + linear(x, self.direct * self.earlier)

    def log_prob(self, x: Tensor) -> Tensor:
        return -binary_cross_entropy_with_logits(self(x), x, reduction="none").sum(1)

    def fit(self, x: Tensor, epochs: int, seed: int) -> list[dict[str, Any]]:
        """Maximum likelihood, with the settings that suit small images of digits."""

        def loss(batch: Tensor, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
            return -self.log_prob(batch).mean(), {}

        player = Player[Tensor]("", list(self.parameters()), loss)
        how = Optimization("adamw", weight_decay=0.3, ema=0.998)
        source = as_generator(seed, x.device)
        return descend(self, [player], x, Schedule(epochs, 50, 2e-3), how, source, progress=False)
