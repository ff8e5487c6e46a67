"""Rounds of messages until they stand still, damped where they will not.

.. math:: m \\leftarrow (1 - \\delta)\\, F(m) + \\delta\\, m
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeAlias, TypeVar

import torch
from torch import Tensor

from inference.convergence import ConvergenceWarning
from inference.progress import progress_bar

__all__ = [
    "Damping",
    "Kernel",
    "Messages",
    "Schedule",
    "check_settings",
    "iterate",
    "warn_unconverged",
]

Schedule: TypeAlias = Literal["synchronous", "residual"]

#: Share of the messages that a round of the residual schedule renews.
RENEWED = 0.25
#: Dampings tried one after the other, and the rounds without progress that lead to the next.
LADDER = (0.0, 0.3, 0.5)
PATIENCE = 50
#: A residual below this share of the best one so far is progress.
PROGRESS = 0.9


State = TypeVar("State")


class Kernel(Protocol[State]):
    """What a round of messages must offer; states are whatever the kernel keeps."""

    check_every: int

    def start(self) -> State:
        """Messages that say nothing."""
        ...

    def step(self, messages: State) -> State:
        """Every message anew."""
        ...

    def log_change(self, new: State, old: State) -> Tensor:
        """A quarter of the largest change of a logarithm, relative beyond one, (B, n_messages)."""
        ...

    def mix(self, new: State, old: State, damping: float) -> State:
        """Something between new and old messages."""
        ...

    def change(self, new: State, old: State) -> Tensor:
        """Largest change of an entry of every message, (B, n_messages)."""
        ...

    def select(self, chosen: Tensor, new: State, old: State) -> State:
        """New messages where chosen, else the old ones."""
        ...


@dataclass(frozen=True)
class Messages(Generic[State]):
    """Where the rounds ended.

    Attributes:
        state: the messages.
        iterations: rounds made.
        residual: largest change in the last round, (B,).
        converged: whether it is within the tolerance, (B,).
    """

    state: State
    iterations: int
    residual: Tensor
    converged: Tensor


@dataclass
class Damping:
    """How much of the old messages stays: a number, or more and more while nothing improves.

    Arguments:
        fixed: the number in [0, 1); None starts without damping and goes on to 0.3 and 0.5.

    Example:
        >>> damping = Damping(None)
        >>> for iteration in range(80):
        ...     damping.observe(1.0, iteration)
        >>> damping.value
        0.3
    """

    fixed: float | None
    _stage: int = field(default=0, init=False)
    _best: float = field(default=float("inf"), init=False)
    _since: int = field(default=0, init=False)

    @property
    def value(self) -> float:
        """The damping of the next round."""
        return LADDER[self._stage] if self.fixed is None else self.fixed

    def observe(self, residual: float, iteration: int) -> None:
        """Take note of a residual."""
        if residual < PROGRESS * self._best:
            self._best, self._since = residual, iteration
        elif iteration - self._since >= PATIENCE and self._stage + 1 < len(LADDER):
            self._stage += 1
            # Damped rounds are measured in other units.
            self._best, self._since = float("inf"), iteration


def iterate(
    kernel: Kernel[State],
    *,
    start: State | None = None,
    rows: int,
    damping: Damping,
    schedule: Schedule,
    max_iterations: int,
    tolerance: float,
    progress: bool | None,
    description: str,
) -> Messages[State]:
    """Make rounds until the residual of every row is within the tolerance.

    The residual schedule renews in every round the quarter of the messages that would change
    most, all at once. The residual is looked at every ``kernel.check_every`` rounds, which are
    then the only ones where the host waits for a GPU.
    """
    state = kernel.start() if start is None else start
    residual = torch.full((rows,), torch.inf, dtype=torch.float64)
    iteration, largest = 0, float("inf")
    with progress_bar(max_iterations, description, progress) as bar:
        while iteration < max_iterations and largest > tolerance:
            iteration += 1
            new = kernel.step(state)
            look = iteration % kernel.check_every == 0 or iteration == max_iterations
            if look or schedule == "residual":
                # Undamped, a message that is all but sure has gone all its way in one round.
                # Damped, it creeps on in its logarithm, which may yet outweigh the others'.
                change = (kernel.log_change if damping.value else kernel.change)(new, state)
                residual = change.amax(1) if change.shape[1] else change.new_zeros(rows)
                if schedule == "residual" and change.shape[1]:
                    new = kernel.select(_largest(change), new, state)
            state = kernel.mix(new, state, damping.value) if damping.value else new
            if look:
                largest = float(residual.max())
                damping.observe(largest, iteration)
                bar.update(iteration - bar.n)
                bar.set_postfix_str(f"residual {largest:.3g}")
    return Messages(state, iteration, residual, residual <= tolerance)


def warn_unconverged(found: Messages[Any], method: str, tolerance: float, stacklevel: int) -> None:
    """Warn unless every row converged.

    Warns:
        ConvergenceWarning: then, with the residual.
    """
    if bool(found.converged.all()):
        return
    rows = len(found.converged)
    which = f" in {int((~found.converged).sum())} of {rows} rows" if rows > 1 else ""
    warnings.warn(
        f"{method} did not converge{which}: after {found.iterations} iterations the residual is "
        f"{float(found.residual.max()):.3g}, above the tolerance {tolerance:.3g}; more damping or "
        "iterations may help, else use tree_reweighted, mean_field, sampling or exact inference",
        ConvergenceWarning,
        stacklevel=stacklevel + 1,
    )


def check_settings(damping: float | None, tolerance: float) -> None:
    """Refuse a damping or a tolerance that makes no sense.

    Raises:
        ValueError: then.
    """
    if damping is not None and not 0 <= damping < 1:
        raise ValueError(f"damping must be in [0, 1), found {damping}")
    if not 0 <= tolerance < float("inf"):
        raise ValueError(f"tolerance must be finite and not negative, found {tolerance}")


def _largest(change: Tensor) -> Tensor:
    """The messages (B, n) to be renewed: a share of them, and all that change as much."""
    count = max(1, round(RENEWED * change.shape[1]))
    threshold = change.topk(count, dim=1).values[:, -1:]
    return change >= threshold
