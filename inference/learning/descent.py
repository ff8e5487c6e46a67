"""Steps down losses by automatic differentiation: one loss, or those of the sides of a game.

.. math:: \\theta_{t+1} = \\theta_t - \\eta_t\\, u(\\nabla_\\theta L_\\theta), \\qquad
          \\psi_{t+1} = \\psi_t - \\eta_t\\, u(\\nabla_\\psi L_\\psi)
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any, Generic

import torch
from torch import Tensor, nn

from inference.learning.callbacks import Callback, as_callbacks
from inference.learning.checkpoint import Checkpoint, under
from inference.learning.moving_average import MovingWeights
from inference.learning.optimization import (
    Optimization,
    load_optimizer_state,
    optimizer_state,
)
from inference.learning.parted_gradient import PartedGradient, Scored, seed_layers
from inference.learning.schedule import Schedule
from inference.learning.trainer import Batch, Learner, Rows, tensors_of, train
from inference.parallel import Team, draw_key
from inference.progress import check_progress

__all__ = ["Player", "descend"]


@dataclass(frozen=True)
class Player(Generic[Batch]):
    """One side of learning: whose parameters, and what they descend.

    Arguments:
        name: "" where there is a single player; its loss is "loss" in the history then, and
            "name_loss" otherwise.
        parameters: only these follow the loss.
        loss: of a batch, with draws of the generator; and figures for the history, means of which
            are kept by epoch. One of the name of the loss takes its place there.
        every: it plays on every such step.
        then: what happens after each of its steps.
        rate: its rate, in units of that of the schedule.
        averaged: whether its weights are averaged, if any are.
        of_part: the loss of a part of the batches, if parts have something of their own to
            remember, such as chains; else it is ``loss``.
    """

    name: str
    parameters: Sequence[nn.Parameter]
    loss: Callable[[Batch, torch.Generator], Scored]
    every: int = 1
    then: Callable[[], None] | None = None
    rate: float = 1.0
    averaged: bool = True
    of_part: Callable[[int], Callable[[Batch, torch.Generator], Scored]] | None = None


def descend(
    model: nn.Module,
    players: Sequence[Player[Batch]],
    rows: Batch,
    schedule: Schedule,
    optimization: Optimization,
    generator: torch.Generator,
    *,
    callbacks: Sequence[Callback] = (),
    checkpoint: str | os.PathLike[str] | None = None,
    about: Mapping[str, Any] | None = None,
    headline: str = "loss",
    progress: bool | None = None,
    description: str = "learning",
) -> list[dict[str, Any]]:
    """Learn in place; what happened in every epoch.

    Layers that draw from torch's global generator, such as dropout, draw from a state of it that
    follows from ``generator``; it is as before afterwards. The model is left in evaluation mode.

    Arguments:
        model: whose state is learned, and what is kept in a checkpoint.
        players: take turns on every batch.
        rows: what is learned from, (n, ...), or a tuple of such tensors, on the model's device.
        schedule: how many steps; its decay is that of ``optimization``.
        optimization: how gradients become steps.
        generator: of order and draws, on the model's device.
        callbacks: are called after every epoch.
        checkpoint: a file, written after every epoch. If it is there, learning goes on from it,
            bit for bit as if it had never stopped.
        about: JSON values by name that a checkpoint must agree in, besides the settings. With a
            constant rate, learning may go on to more epochs than it was begun with.
        headline: the figure that a bar shows.
        progress: a bar; None shows it on a terminal.
        description: of the bar.

    Raises:
        TypeError: callbacks that are none, a method that makes no optimiser.
        ValueError: no parameters to learn; a checkpoint of something else; more parts than rows
            in a batch or fewer than processes, rows that are not the same in every process.
        FloatingPointError: a loss or a parameter is no longer finite. The last checkpoint stays.

    Reference:
        Goodfellow et al. 2014, "Generative adversarial nets", algorithm 1 (turns of two players).

    Example:
        >>> model, x = nn.Linear(1, 1), torch.linspace(-1, 1, 50)[:, None]
        >>> def loss(batch, generator):
        ...     return (model(batch) - 3 * batch).square().mean(), {}
        >>> players = [Player("", list(model.parameters()), loss)]
        >>> source = torch.Generator().manual_seed(0)
        >>> history = descend(model, players, x, Schedule(100, 10, 0.1), Optimization(), source)
        >>> round(model.weight.item(), 2), history[-1]["loss"] < 1e-4
        (3.0, True)
    """
    check_progress(progress)
    callbacks = as_callbacks(callbacks)
    for player in players:
        if not player.parameters:
            raise ValueError(f"there are no parameters to learn{_whose(player)}")
    schedule = Schedule(**{**asdict(schedule), "averaged": 0.0, "decay": optimization.decay})
    parted = _parted(model, rows, schedule, optimization, generator)
    learner = _Descent(model, players, optimization, callbacks, headline, schedule.lr, parted)
    file = None
    if checkpoint is not None:
        file = Checkpoint(checkpoint, _about(about or {}, schedule, optimization))
    gpus = [generator.device] if generator.device.type == "cuda" else []
    model.train()
    try:
        with torch.random.fork_rng(gpus):
            _, history = train(
                learner,
                rows,
                schedule,
                generator,
                checkpoint=file,
                progress=progress,
                description=description,
                team=None if parted is None else parted.team,
            )
    finally:
        model.eval()
        for player in players:
            _forget_gradients(player.parameters)
    learner.finish()
    return history


def _about(
    about: Mapping[str, Any], schedule: Schedule, optimization: Optimization
) -> dict[str, Any]:
    """What a checkpoint must agree in."""
    planned = asdict(schedule)
    if schedule.decay == "constant":
        del planned["epochs"], planned["steps"]
    return {**about, "schedule": planned, "optimization": optimization.as_json()}


def _parted(
    model: nn.Module,
    rows: Rows,
    schedule: Schedule,
    optimization: Optimization,
    generator: torch.Generator,
) -> PartedGradient | None:
    """What makes gradients by parts, with processes that begin alike; None without parts."""
    if optimization.parts is None:
        return None
    team, some = Team(optimization.parts), tensors_of(rows)
    team.check("rows of a batch", min(schedule.batch_size, len(some[0])))
    team.agree("the rows", some)
    team.follow_first(list(model.state_dict().values()), generator)
    return PartedGradient(team, model, draw_key(generator))


class _Descent(Learner[Batch]):
    """Takes turns: every player descends its loss on the batch, in their order."""

    def __init__(
        self,
        model: nn.Module,
        players: Sequence[Player[Batch]],
        optimization: Optimization,
        callbacks: Sequence[Callback],
        headline: str,
        lr: float,
        parted: PartedGradient | None = None,
    ) -> None:
        self._parted, self._seed = parted, 0
        self.parameters, self.headline = dict(model.state_dict()), headline
        self._model, self._players, self._callbacks = model, players, callbacks
        self._clip_norm = optimization.clip_norm
        self._optimizers = [optimization.optimizer(player.parameters) for player in players]
        # An optimiser that was handed in has a first rate of its own.
        given = callable(optimization.method)
        self._rates = [
            [group["lr"] / lr if given and lr else 1.0 for group in optimizer.param_groups]
            for optimizer in self._optimizers
        ]
        averaged = [x for player in players if player.averaged for x in player.parameters]
        decay = optimization.ema
        self._average = None if decay is None else MovingWeights(averaged, decay)
        device = next(iter(players[0].parameters)).device
        self._device, self._on_cpu = device, device.type == "cpu"
        self._cast = torch.autocast(
            device.type, torch.bfloat16, enabled=optimization.mixed_precision
        )
        self._figures: dict[str, list[Tensor]] = {}
        #: Losses by name in the history, and on which steps they are played.
        self._every = {_loss_name(player): player.every for player in players}
        self._taken = 0

    def step(self, batch: Batch, rate: float, taken: int, generator: torch.Generator) -> None:
        """Every player whose turn it is takes a step."""
        self._taken = taken + 1
        turns = zip(self._players, self._optimizers, self._rates, strict=True)
        for place, (player, optimizer, rates) in enumerate(turns):
            if self._taken % player.every:
                continue
            _forget_gradients(player.parameters)
            if self._parted is None:
                with self._cast:
                    loss, figures = player.loss(batch, generator)
                self._note(player, loss, figures)
                loss.backward(inputs=list(player.parameters))
            else:
                turn = taken * len(self._players) + place
                self._note(player, *self._by_parts(self._parted, player, batch, turn))
            if self._clip_norm is not None:
                nn.utils.clip_grad_norm_(player.parameters, self._clip_norm)
            for group, own in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * own * player.rate
            optimizer.step()
            if player.then is not None:
                player.then()
        if self._average is not None:
            self._average.follow()

    def _by_parts(
        self, parted: PartedGradient, player: Player[Batch], batch: Batch, turn: int
    ) -> Scored:
        """Loss and figures of a batch, with the gradients of all parts left behind."""

        def loss(part: int, rows: Batch, generator: torch.Generator) -> Scored:
            own = player.loss if player.of_part is None else player.of_part(part)
            with self._cast:
                return own(rows, generator)

        return parted(loss, player.parameters, batch, turn)

    def memory(self) -> dict[str, Tensor]:
        """The optimisers' states, the averages, and what the callbacks remember."""
        parts = {
            f"optimizer.{place}": optimizer_state(x) for place, x in enumerate(self._optimizers)
        }
        parts |= {f"callback.{place}": x.memory() for place, x in enumerate(self._callbacks)}
        if self._average is not None:
            parts["average"] = self._average.memory()
        if self._parted is not None:
            parts["parts"] = {"key": torch.tensor(self._parted.key)}
        return {f"{part}.{name}": x for part, own in parts.items() for name, x in own.items()}

    def recall(self, memory: Mapping[str, Tensor]) -> None:
        """Take over what ``memory`` returned."""
        for place, optimizer in enumerate(self._optimizers):
            load_optimizer_state(optimizer, under(f"optimizer.{place}.", memory))
        for place, callback in enumerate(self._callbacks):
            callback.recall(under(f"callback.{place}.", memory))
        if self._average is not None:
            self._average.recall(under("average.", memory))
        if self._parted is not None:
            self._parted.key = int(memory["parts.key"])

    def begin_epoch(self, generator: torch.Generator) -> None:
        """Layers that draw from the global generator follow from ours."""
        self._seed = draw_key(generator)
        seed_layers(self._seed, generator.device)

    def report(self) -> dict[str, Any]:
        """Means over the epoch."""
        found = {name: torch.stack(values) for name, values in self._figures.items()}
        self._figures = {}
        for name, values in found.items():
            if name in self._every and not values.isfinite().all():
                first, every = int((~values.isfinite()).nonzero()[0]), self._every[name]
                last = self._taken // every
                self._diverged(name, every * (last - len(values) + 1 + first))
        for name, x in self._model.named_parameters():
            if not x.isfinite().all():
                raise FloatingPointError(
                    f"parameter {name} is no longer finite after step {self._taken}: {_ADVICE}"
                )
        return {name: float(values.double().mean()) for name, values in found.items()}

    def review(self, figures: dict[str, Any]) -> bool:
        """Let the callbacks see the model as it would be left behind now."""
        if not self._callbacks:
            return False
        self._model.eval()
        if self._parted is not None:
            # Parts have left the global generator elsewhere in every process.
            seed_layers(self._seed, self._device)
        kept = nullcontext() if self._average is None else self._average.swapped()
        with torch.no_grad(), kept:
            # An end that one of them asks for does not keep the others from being called.
            found = [x.after_epoch(self._model, figures) for x in self._callbacks]
        self._model.train()
        return any(found)

    def finish(self) -> None:
        """Leave the averages behind, or what the callbacks have kept."""
        with torch.no_grad():
            if self._average is not None:
                self._average.settle()
            for callback in self._callbacks:
                callback.finish(self._model)

    def _note(self, player: Player[Batch], loss: Tensor, figures: Mapping[str, Tensor]) -> None:
        """Keep the figures of a step, for their means."""
        name = _loss_name(player)
        # Elsewhere the host would wait for the number: it is looked at after the epoch.
        if self._on_cpu and not math.isfinite(loss.item()):
            self._diverged(name, self._taken)
        for key, value in {name: loss, **figures}.items():
            self._figures.setdefault(key, []).append(value.detach())

    def _diverged(self, name: str, step: int) -> None:
        raise FloatingPointError(f"{name} is not finite at step {step}: {_ADVICE}")


_ADVICE = (
    "try a smaller lr, or clip_norm; a checkpoint holds what was learned up to the epoch before"
)


def _loss_name(player: Player[Any]) -> str:
    return f"{player.name}_loss" if player.name else "loss"


def _whose(player: Player[Any]) -> str:
    return f" by the {player.name}" if player.name else ""


def _forget_gradients(parameters: Sequence[nn.Parameter]) -> None:
    for x in parameters:
        x.grad = None
