"""How long to learn and how fast.

.. math:: \\eta_t = \\eta_0\\, d(t / T), \\qquad
          d(s) = 1,\\; 1 - s \\text{ or } \\tfrac12 (1 + \\cos \\pi s)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from inference.inputs import as_whole, check_choice

__all__ = ["Decay", "Schedule"]

Decay: TypeAlias = Literal["linear", "cosine", "constant"]


@dataclass(frozen=True)
class Schedule:
    """How long to learn and how fast.

    Arguments:
        epochs: passes over the rows; None for as many as make ``steps`` steps.
        batch_size: rows per step.
        lr: rate of the first step.
        steps: where ``epochs`` is None.
        averaged: share of the steps, the last ones, whose parameters are averaged.
        decay: how the rate falls: to zero along a line or a cosine, or not at all.

    Raises:
        TypeError, ValueError: numbers that make no sense.

    Example:
        >>> Schedule(None, batch_size=50, steps=90).planned(100)
        (2, 45)
        >>> Schedule(lr=0.4).rate(30, 40)
        0.1
    """

    epochs: int | None = None
    batch_size: int = 50
    lr: float = 0.1
    steps: int = 10_000
    averaged: float = 0.0
    decay: Decay = "linear"

    def __post_init__(self) -> None:
        counts = ("epochs", "batch_size", "steps")
        for name in counts if self.epochs is not None else counts[1:]:
            # Plain numbers, as checkpoints hold them.
            object.__setattr__(self, name, as_whole(name, getattr(self, name), least=1))
        if not 0 <= self.lr < math.inf:
            raise ValueError(f"lr must be at least 0 and finite, found {self.lr}")
        if not 0 <= self.averaged <= 1:
            raise ValueError(f"averaged must be a share from 0 to 1, found {self.averaged}")
        check_choice("decay", self.decay, Decay)
        for name in ("lr", "averaged"):
            object.__setattr__(self, name, float(getattr(self, name)))

    def planned(self, rows: int) -> tuple[int, int]:
        """Steps per epoch, and epochs; what is left of the rows waits for the next epoch."""
        per_epoch = rows // min(self.batch_size, rows)
        return per_epoch, self.epochs or math.ceil(self.steps / per_epoch)

    def rate(self, taken: int, total: int) -> float:
        """Rate of the step after ``taken`` of ``total``."""
        if self.decay == "constant":
            return self.lr
        if self.decay == "cosine":
            return self.lr * 0.5 * (1 + math.cos(math.pi * taken / total))
        return self.lr * (1 - taken / total)
