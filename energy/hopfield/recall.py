"""Recall: what a cue turns into.

.. math:: x^{(0)} \\to x^{(1)} \\to \\dots, \\qquad E(x^{(t+1)}) \\le E(x^{(t)})
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from energy.hopfield.dynamics import Dynamics, Rule, at_once, sharp
from inference.inputs import as_whole, check_choice
from inference.random import GeneratorLike, as_generator

__all__ = ["Order", "Recall", "Update", "follow"]

Update: TypeAlias = Literal["asynchronous", "synchronous"]
Order: TypeAlias = Literal["random", "sequential"]


@dataclass(frozen=True)
class Recall:
    """Where cues have led.

    Attributes:
        state: the last states, -1 and +1, (..., d).
        converged: whether that is a fixed point, (...).
        sweeps: updates of every unit until the end was reached; 0 for a cue that is a fixed point
            itself, (...) int64.
        cycle: 1 at a fixed point, 2 where synchronous updates swap two states for ever, 0 where
            the sweeps ran out, (...) int64.
        energy: of the cue and after every sweep; constant after the end, (sweeps + 1, ...).
    """

    state: Tensor
    converged: Tensor
    sweeps: Tensor
    cycle: Tensor
    energy: Tensor

    def shaped(self, shape: torch.Size, dtype: torch.dtype | None = None) -> Recall:
        """The same of cues of that shape, (..., d); states and energies of another type."""
        state, energy = self.state.to(dtype=dtype), self.energy.to(dtype=dtype)
        batch = shape[:-1]
        return Recall(
            state.reshape(shape),
            self.converged.reshape(batch),
            self.sweeps.reshape(batch),
            self.cycle.reshape(batch),
            energy.reshape(len(energy), *batch),
        )


def follow(
    dynamics: Dynamics,
    cues: Tensor,
    update: Update = "asynchronous",
    max_sweeps: int = 100,
    order: Order = "random",
    generator: GeneratorLike = None,
    draw: Callable[[int, torch.Generator], Rule] | None = None,
) -> Recall:
    """Update all cues until each has come to an end.

    Arguments:
        dynamics: of the network.
        cues: -1 and +1, (C, d).
        update: "asynchronous", one unit after the other, or "synchronous".
        max_sweeps: updates of every unit at most.
        order: of the units in a sweep: "random", the same for all cues, or "sequential".
        generator: None, a seed or a generator.
        draw: thresholds of an update of so many cues, anew for each; None is temperature zero.

    Raises:
        TypeError: if ``max_sweeps`` is no whole number.
        ValueError: if it is negative, or an option is none.
    """
    check_choice("update", update, Update)
    check_choice("order", order, Order)
    max_sweeps = as_whole("max_sweeps", max_sweeps, least=0)
    device = dynamics.uncounted.device
    source = as_generator(generator, device)
    states = cues.T.to(dynamics.uncounted, copy=True, memory_format=torch.contiguous_format)
    run = _Run(dynamics, states)
    for _ in range(max_sweeps):
        if draw is None and not run.drop_finished():
            break
        rule = sharp(dynamics) if draw is None else draw(len(run.active), source)
        if update == "synchronous":
            run.update_at_once(rule)
        else:
            run.update_in_turn(rule, _turn(cues.shape[1], order, source))
    return run.result(settles=draw is None)


def _turn(n_units: int, order: Order, generator: torch.Generator) -> Tensor:
    """The units in the order of their updates."""
    if order == "random":
        return torch.randperm(n_units, generator=generator, device=generator.device)
    return torch.arange(n_units, device=generator.device)


class _Run:
    """Cues on their way; those that have come to an end are no longer computed."""

    def __init__(self, dynamics: Dynamics, states: Tensor) -> None:
        self.dynamics = dynamics
        self.states = states
        self.memory = dynamics.start(states)
        self.counted = dynamics.counted(self.memory, states)
        # One and two updates ago, where all units are updated at once.
        self.before: tuple[Tensor, ...] = ()
        self.active = torch.arange(states.shape[1], device=states.device)
        self.end = states.clone()
        self.cycle = torch.zeros_like(self.active)
        self.sweeps = torch.zeros_like(self.active)
        self.trace = [dynamics.energy(self.memory, self.counted, states)]

    def drop_finished(self) -> bool:
        """Set fixed points and cycles aside; say whether a cue is left."""
        after = at_once(self.dynamics, self.counted, self.states, sharp(self.dynamics))
        fixed = (after == self.states).all(0)
        period = fixed.long()
        if len(self.before) == 2:
            period += 2 * ((self.before[1] == self.states).all(0) & ~fixed)
        ended = period > 0
        if ended.any():
            self.end[:, self.active] = self.states
            self.cycle[self.active] = period
            self._keep((~ended).nonzero().squeeze(1))
        return len(self.active) > 0

    def _keep(self, columns: Tensor) -> None:
        """Go on with some of the cues."""
        self.active = self.active[columns]
        self.states, self.memory = self.states[:, columns], self.memory[:, columns]
        self.counted = self.counted[:, columns]
        self.before = tuple([states[:, columns] for states in self.before])

    def update_in_turn(self, rule: Rule, order: Tensor) -> None:
        """Update every unit, one after the other."""
        self.dynamics.sweep(self.memory, self.states, order, rule)
        self._record()

    def update_at_once(self, rule: Rule) -> None:
        """Update all units by the fields as they are."""
        after = at_once(self.dynamics, self.counted, self.states, rule)
        self.before = (self.states, *self.before[:1])
        self.states, self.memory = after, self.dynamics.start(after)
        self._record()

    def _record(self) -> None:
        """Note energies and lengths after an update."""
        self.counted = self.dynamics.counted(self.memory, self.states)
        energy = self.trace[-1].clone()
        energy[self.active] = self.dynamics.energy(self.memory, self.counted, self.states)
        self.trace.append(energy)
        self.sweeps[self.active] += 1

    def result(self, *, settles: bool) -> Recall:
        """What was found; a path by chance settles nowhere."""
        if settles:
            self.drop_finished()
        self.end[:, self.active] = self.states
        state = self.end.T.contiguous()
        return Recall(state, self.cycle == 1, self.sweeps, self.cycle, torch.stack(self.trace))
