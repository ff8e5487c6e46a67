"""How a network is learned as an energy, in numbers.

.. math:: \\theta_{t+1} = \\theta_t - \\eta_0 \\Bigl(1 - \\frac{t}{T}\\Bigr)
          u(\\nabla_\\theta L_t)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from inference.inputs import as_whole, check_choice

__all__ = ["LearningMethod", "Loss", "Settings"]

LearningMethod: TypeAlias = Literal["persistent", "denoising", "sliced", "noise-contrastive"]

#: Loss () of some rows, which may draw.
Loss: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class Settings:
    """How a network is learned; see ``NeuralEnergy.fit``.

    Raises:
        TypeError, ValueError: a method or number that makes no sense.
    """

    method: LearningMethod = "persistent"
    epochs: int = 100
    batch_size: int = 128
    lr: float = 1e-3
    steps: int = 10
    chains: int = 512
    restart: float = 0.01
    l2: float = 1e-4
    noise_scale: float = 0.1
    projections: int | None = 1
    noise_ratio: int = 1

    def __post_init__(self) -> None:
        check_choice("method", self.method, LearningMethod)
        for name in ("epochs", "batch_size", "steps", "chains", "noise_ratio"):
            as_whole(name, getattr(self, name), least=1)
        if self.projections is not None:
            as_whole("projections", self.projections, least=1)
        for name in ("lr", "noise_scale"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(
                    f"{name} must be positive and finite, found {getattr(self, name)}"
                )
        if not 0 <= self.restart <= 1:
            raise ValueError(f"restart must be a share from 0 to 1, found {self.restart}")
        if not 0 <= self.l2 < math.inf:
            raise ValueError(f"l2 must be at least 0 and finite, found {self.l2}")
