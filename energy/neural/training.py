"""Training a network by a loss of rows: Adam with a rate that falls to zero.

.. math:: \\theta_{t+1} = \\theta_t - \\eta_0 \\Bigl(1 - \\frac{t}{T}\\Bigr)
          \\operatorname{Adam}(\\nabla_\\theta L_t)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor

from inference.inputs import as_whole
from inference.progress import progress_bar

__all__ = ["LearningMethod", "Loss", "Settings", "train"]

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
        known = get_args(LearningMethod)
        if self.method not in known:
            names = ", ".join(f'"{name}"' for name in known)
            raise ValueError(f"method must be one of {names}, found {self.method!r}")
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


def train(
    loss: Loss,
    groups: Sequence[dict[str, Any]],
    rows: Tensor,
    settings: Settings,
    generator: torch.Generator,
    progress: bool | None = None,
) -> list[dict[str, Any]]:
    """Change parameters in place; the mean loss of every epoch.

    Arguments:
        loss: of a batch of rows.
        groups: parameters, as torch's optimisers take them; each with its first rate "lr".
        rows: (n, *event).
        settings: how many epochs, how many rows per step.
        generator: of order and losses.
        progress: a bar; None shows it on a terminal.

    Raises:
        ValueError: if a loss is no longer a number.

    Reference:
        Kingma & Ba 2015, "Adam: a method for stochastic optimization", algorithm 1.
    """
    adam = torch.optim.Adam(list(groups))
    first = [group["lr"] for group in adam.param_groups]
    batches = math.ceil(len(rows) / settings.batch_size)
    total, taken = batches * settings.epochs, 0
    history = []
    with progress_bar(settings.epochs, "learning", progress) as bar:
        for epoch in range(1, settings.epochs + 1):
            order = torch.randperm(len(rows), device=rows.device, generator=generator)
            summed = torch.zeros((), dtype=torch.float64, device=rows.device)
            for chosen in order.split(settings.batch_size):
                for group, rate in zip(adam.param_groups, first, strict=True):
                    group["lr"] = rate * (1 - taken / total)
                found = loss(rows[chosen], generator)
                adam.zero_grad()
                found.backward()
                adam.step()
                summed += len(chosen) * found.detach()
                taken += 1
            mean = float(summed) / len(rows)
            if not math.isfinite(mean):
                raise ValueError(f"the loss became {mean} in epoch {epoch}; try a smaller lr")
            history.append({"epoch": epoch, "loss": mean})
            bar.set_postfix_str(f"loss {mean:.4g}")
            bar.update(1)
    return history
