"""The loop of everything that is learned in steps on mini-batches.

.. math:: \\theta_{t+1} = \\theta_t + \\eta_t\\, \\hat g(\\theta_t), \\qquad
          \\bar\\theta = \\frac{1}{|A|} \\sum_{t \\in A} \\theta_t

A step follows an estimated gradient: up a likelihood by chains, or down a loss by automatic
differentiation (:mod:`inference.learning.descent`). What the last of such noisy steps leaves is
worse than the point they circle around: the rate falls to zero, or the mean over the last steps A
is kept, or both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import torch
from torch import Tensor

from inference.learning.checkpoint import Checkpoint, under
from inference.learning.schedule import Schedule
from inference.parallel import Team
from inference.progress import progress_bar

__all__ = ["Learner", "Rows", "tensors_of", "train"]

#: What is learned from: rows, or several things of every row, all with the same first axis.
Rows: TypeAlias = Tensor | tuple[Tensor, ...]

Batch = TypeVar("Batch", bound=Rows)

#: Numbers that are put in order at a time, so that no second copy of the data is made.
BLOCK = 2**24


class Learner(ABC, Generic[Batch]):
    """What takes a step: parameters, and what it has to remember between steps.

    Attributes:
        parameters: by name; a step changes them in place.
        headline: the figure of ``report`` that a bar shows.
    """

    parameters: dict[str, Tensor]
    headline: str = ""

    @abstractmethod
    def step(self, batch: Batch, rate: float, taken: int, generator: torch.Generator) -> None:
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

    def recall(self, memory: Mapping[str, Tensor]) -> None:
        """Take over what ``memory`` of such a learner returned."""

    def begin_epoch(self, generator: torch.Generator) -> None:
        """Get ready for the steps of an epoch."""

    def report(self) -> dict[str, Any]:
        """Figures after an epoch, for the history."""
        return {}

    def review(self, figures: dict[str, Any]) -> bool:
        """Look at an epoch that is done, and say whether it was the last one.

        Arguments:
            figures: of the epoch, as the history will hold them; more may be added.
        """
        return False


class _Progress(NamedTuple):
    """Sums of the averaged parameters, epochs that are done, what they report, and the end."""

    sums: dict[str, Tensor]
    epoch: int
    history: list[dict[str, Any]]
    stopped: bool


def train(
    learner: Learner[Batch],
    rows: Batch,
    schedule: Schedule,
    generator: torch.Generator,
    *,
    checkpoint: Checkpoint | None = None,
    progress: bool | None = None,
    description: str = "learning",
    team: Team | None = None,
) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """Parameters, averaged if the schedule says so, and what happened in every epoch.

    Arguments:
        learner: takes the steps.
        rows: what is learned from, (n, ...), or a tuple of such tensors, on the generator's
            device; in random order in every epoch.
        schedule: how many steps, and their rates.
        generator: of order and draws.
        checkpoint: is written after every epoch. If its file is there, learning goes on from it,
            bit for bit as if it had never stopped.
        progress: a bar; None shows it on a terminal.
        description: of the bar.
        team: processes that share the steps; all see the checkpoint, the first writes it.

    Raises:
        ValueError: a checkpoint of something else, or not the same in every process.

    Reference:
        Robbins & Monro 1951, "A stochastic approximation method"; Polyak & Juditsky 1992,
        "Acceleration of stochastic approximation by averaging", theorem 2.

    Example:
        >>> class Mean(Learner[Tensor]):
        ...     def __init__(self) -> None:
        ...         self.parameters = {"mean": torch.zeros(1)}
        ...
        ...     def step(self, batch, rate, taken, generator) -> None:
        ...         mean = self.parameters["mean"]
        ...         mean.add_(batch.mean(0) - mean, alpha=rate)
        >>> rows, source = torch.arange(100.0)[:, None], torch.Generator().manual_seed(0)
        >>> found, _ = train(Mean(), rows, Schedule(200, 10), source, progress=False)
        >>> 48 < found["mean"].item() < 51
        True
    """
    count = len(tensors_of(rows)[0])
    size = min(schedule.batch_size, count)
    per_epoch, epochs = schedule.planned(count)
    total = per_epoch * epochs
    averaged = max(1, int(schedule.averaged * total)) if schedule.averaged else 0
    done = _resumed(learner, checkpoint, generator, averaged > 0, team)
    shown = progress if team is None else team.bar(progress)
    with progress_bar(total, description, shown) as bar:
        bar.update(done.epoch * per_epoch)
        for epoch in range(epochs if done.stopped else done.epoch, epochs):
            learner.begin_epoch(generator)
            order = torch.randperm(count, generator=generator, device=generator.device)
            batches = _batches(rows, order[: per_epoch * size], size)
            for taken, batch in enumerate(batches, epoch * per_epoch):
                learner.step(batch, schedule.rate(taken, total), taken, generator)
                if taken >= total - averaged:
                    for name, kept in done.sums.items():
                        kept.add_(learner.parameters[name])
                bar.update(1)
            figures = {"epoch": epoch + 1, **learner.report()}
            stopped = learner.review(figures)
            done.history.append(figures)
            done = done._replace(epoch=epoch + 1, stopped=stopped)
            if checkpoint is not None:
                _keep(checkpoint, learner, done, generator, team)
            if learner.headline in figures:
                bar.set_postfix_str(f"{learner.headline} {figures[learner.headline]:.4g}")
            if stopped:
                break
    if not averaged:
        return learner.parameters, done.history
    return {name: kept / averaged for name, kept in done.sums.items()}, done.history


def tensors_of(rows: Rows) -> tuple[Tensor, ...]:
    """What there is of every row."""
    return (rows,) if isinstance(rows, Tensor) else rows


def _batches(rows: Batch, order: Tensor, size: int) -> Iterator[Batch]:
    """Batches of rows in some order."""
    parts = tensors_of(rows)
    width = sum(part[0].numel() for part in parts)
    for block in order.split(max(1, BLOCK // (width * size)) * size):
        # One gather for many batches costs less than one for each.
        ordered = [part[block].split(size) for part in parts]
        yield from ordered[0] if isinstance(rows, Tensor) else zip(*ordered, strict=True)  # pyright: ignore[reportReturnType]


def _keep(
    checkpoint: Checkpoint,
    learner: Learner[Any],
    done: _Progress,
    generator: torch.Generator,
    team: Team | None,
) -> None:
    """Write all that going on takes."""
    groups = {"parameters": learner.parameters, "sums": done.sums, "memory": learner.memory()}
    tensors = {f"{group}.{key}": x for group, some in groups.items() for key, x in some.items()}
    tensors["generator"] = generator.get_state()
    figures = {"epoch": done.epoch, "history": done.history, "stopped": done.stopped}
    if team is None:
        checkpoint.write(tensors, figures)
        return
    if team.first:
        checkpoint.write(tensors, figures)
    # None goes on to an epoch that would be lost with the file.
    team.wait()


def _resumed(
    learner: Learner[Any],
    checkpoint: Checkpoint | None,
    generator: torch.Generator,
    averaged: bool,
    team: Team | None,
) -> _Progress:
    """Where a checkpoint left off, with learner and generator set back; else the beginning."""
    own = learner.parameters
    sums = {name: torch.zeros_like(x) for name, x in own.items()} if averaged else {}
    found = None if checkpoint is None else checkpoint.read()
    if team is not None:
        epoch = -1 if found is None else found[1]["epoch"]
        team.agree("the epoch of the checkpoint", [torch.tensor(epoch)])
    if checkpoint is None or found is None:
        return _Progress(sums, 0, [], False)
    tensors, figures = found
    # All of it is looked at before any of it is taken over.
    expected = {"parameters": own, "sums": sums, "memory": learner.memory()}
    parts = {
        group: {
            key: checkpoint.part(tensors, f"{group}.{key}", like) for key, like in some.items()
        }
        for group, some in expected.items()
    }
    state = checkpoint.part(tensors, "generator", generator.get_state())
    # What a learner comes to remember later, such as the moments of an optimizer.
    memory = under("memory.", tensors)
    learner.recall({key: x.to(generator.device) for key, x in memory.items()})
    for name, x in own.items():
        x.copy_(parts["parameters"][name])
    generator.set_state(state.cpu())
    sums = {name: x.to(own[name].device) for name, x in parts["sums"].items()}
    return _Progress(sums, figures["epoch"], list(figures["history"]), figures["stopped"])
