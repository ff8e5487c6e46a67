"""Steps up a likelihood whose gradient is only estimated, and the mean of where they lead.

.. math:: \\theta_{t+1} = \\theta_t + \\eta_t\\, \\hat g(\\theta_t), \\qquad
          \\eta_t = \\eta_0 (1 - t / T), \\qquad
          \\bar\\theta = \\frac{1}{|A|} \\sum_{t \\in A} \\theta_t

What the last of such noisy steps leaves is worse than the point they circle around: the rate
falls to zero, and the mean over the last steps A is kept.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from inference.inputs import as_whole
from inference.learning.checkpoint import Checkpoint
from inference.progress import progress_bar

__all__ = ["Learner", "Schedule", "ascend"]


@dataclass(frozen=True)
class Schedule:
    """How long to learn and how fast.

    Arguments:
        epochs: passes over the rows; None for as many as make ``steps`` steps.
        batch_size: rows per step.
        lr: rate of the first step; it falls to zero linearly.
        steps: where ``epochs`` is None.
        averaged: share of the steps, the last ones, whose parameters are averaged.

    Raises:
        TypeError, ValueError: numbers that make no sense.

    Example:
        >>> Schedule(None, batch_size=50, steps=90).planned(100)
        (2, 45)
    """

    epochs: int | None = None
    batch_size: int = 50
    lr: float = 0.1
    steps: int = 10_000
    averaged: float = 0.5

    def __post_init__(self) -> None:
        if self.epochs is not None:
            as_whole("epochs", self.epochs, least=1)
        as_whole("batch_size", self.batch_size, least=1)
        as_whole("steps", self.steps, least=1)
        if not 0 <= self.lr < math.inf:
            raise ValueError(f"lr must be at least 0 and finite, found {self.lr}")
        if not 0 < self.averaged <= 1:
            raise ValueError(f"averaged must be a share above 0, found {self.averaged}")

    def planned(self, rows: int) -> tuple[int, int]:
        """Steps per epoch, and epochs; what is left of the rows waits for the next epoch."""
        per_epoch = rows // min(self.batch_size, rows)
        return per_epoch, self.epochs or math.ceil(self.steps / per_epoch)


class Learner(ABC):
    """What takes a step: parameters, and what it has to remember between steps.

    Attributes:
        parameters: by name; a step changes them in place.
    """

    parameters: dict[str, Tensor]

    @abstractmethod
    def step(self, batch: Tensor, rate: float, taken: int, generator: torch.Generator) -> None:
        """Change the parameters on some rows.

        Arguments:
            batch: rows, (B, ...).
            rate: of this step.
            taken: steps before this one.
            generator: of the draws.
        """

    def memory(self) -> dict[str, Tensor]:
        """Tensors without which it could not go on: chains, velocities."""
        return {}

    def recall(self, memory: Mapping[str, Tensor]) -> None:  # noqa: B027
        """Take over what ``memory`` of such a learner returned."""

    def report(self) -> dict[str, float]:
        """Figures after an epoch, for the history."""
        return {}


class _Progress(NamedTuple):
    """Sums of the averaged parameters, epochs that are done, and what they report."""

    sums: dict[str, Tensor]
    epoch: int
    history: list[dict[str, Any]]


def ascend(
    learner: Learner,
    rows: Tensor,
    schedule: Schedule,
    generator: torch.Generator,
    *,
    checkpoint: Checkpoint | None = None,
    progress: bool | None = None,
    description: str = "learning",
) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """Averaged parameters, and what happened in every epoch.

    Arguments:
        learner: takes the steps.
        rows: what is learned from, (n, ...); in random order in every epoch.
        schedule: how many steps, and their rates.
        generator: of order and draws.
        checkpoint: is written after every epoch. If its file is there, learning goes on from it,
            bit for bit as if it had never stopped.
        progress: a bar; None shows it on a terminal.
        description: of the bar.

    Raises:
        ValueError: a checkpoint of something else.

    Reference:
        Robbins & Monro 1951, "A stochastic approximation method"; Polyak & Juditsky 1992,
        "Acceleration of stochastic approximation by averaging", theorem 2.

    Example:
        >>> class Mean(Learner):
        ...     def __init__(self) -> None:
        ...         self.parameters = {"mean": torch.zeros(1)}
        ...
        ...     def step(self, batch, rate, taken, generator) -> None:
        ...         mean = self.parameters["mean"]
        ...         mean.add_(batch.mean(0) - mean, alpha=rate)
        >>> rows, source = torch.arange(100.0)[:, None], torch.Generator().manual_seed(0)
        >>> found, _ = ascend(Mean(), rows, Schedule(200, 10), source, progress=False)
        >>> 48 < found["mean"].item() < 51
        True
    """
    size = min(schedule.batch_size, len(rows))
    per_epoch, epochs = schedule.planned(len(rows))
    total = per_epoch * epochs
    first_averaged = total - max(1, int(schedule.averaged * total))
    done = _resumed(learner, checkpoint, generator, rows.device)
    with progress_bar(epochs, description, progress) as bar:
        bar.update(done.epoch)
        for epoch in range(done.epoch, epochs):
            order = torch.randperm(len(rows), generator=generator, device=rows.device)
            batches = rows[order[: per_epoch * size]].split(size)
            for taken, batch in enumerate(batches, epoch * per_epoch):
                learner.step(batch, schedule.lr * (1 - taken / total), taken, generator)
                if taken >= first_averaged:
                    for name, kept in done.sums.items():
                        kept.add_(learner.parameters[name])
            done.history.append({"epoch": epoch + 1, **learner.report()})
            done = done._replace(epoch=epoch + 1)
            if checkpoint is not None:
                _keep(checkpoint, learner, done, generator)
            bar.update(1)
    count = total - first_averaged
    return {name: kept / count for name, kept in done.sums.items()}, done.history


def _keep(
    checkpoint: Checkpoint, learner: Learner, done: _Progress, generator: torch.Generator
) -> None:
    """Write all that going on takes."""
    groups = {"parameters": learner.parameters, "sums": done.sums, "memory": learner.memory()}
    tensors = {f"{group}.{key}": x for group, some in groups.items() for key, x in some.items()}
    tensors["generator"] = generator.get_state()
    checkpoint.write(tensors, {"epoch": done.epoch, "history": done.history})


def _resumed(
    learner: Learner,
    checkpoint: Checkpoint | None,
    generator: torch.Generator,
    device: torch.device,
) -> _Progress:
    """Where a checkpoint left off, with learner and generator set back; else the beginning."""
    nothing = {name: torch.zeros_like(x) for name, x in learner.parameters.items()}
    found = None if checkpoint is None else checkpoint.read()
    if checkpoint is None or found is None:
        return _Progress(nothing, 0, [])
    tensors, figures = found
    expected = {"parameters": learner.parameters, "sums": nothing, "memory": learner.memory()}
    parts = {
        group: {key: checkpoint.part(tensors, f"{group}.{key}", like) for key, like in own.items()}
        for group, own in expected.items()
    }
    for name, x in learner.parameters.items():
        x.copy_(parts["parameters"][name])
    learner.recall({key: x.to(device) for key, x in parts["memory"].items()})
    generator.set_state(checkpoint.part(tensors, "generator", generator.get_state()).cpu())
    sums = {name: x.to(device) for name, x in parts["sums"].items()}
    return _Progress(sums, figures["epoch"], list(figures["history"]))
