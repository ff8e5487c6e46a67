"""Learning a conditional random field by gradients of its (approximate) log-likelihood.

.. math:: \\min_\\theta \\; \\frac{1}{N} \\Bigl[-\\sum_b \\log p_\\theta(y_b \\mid x_b)
          + \\tfrac{\\lambda}{2} \\lVert \\theta \\rVert^2\\Bigr], \\qquad
          N = \\text{number of labels}
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from inference.convergence import ConvergenceWarning
from inference.inputs import as_whole
from inference.learning.descent import Player, descend
from inference.learning.lbfgs import minimize
from inference.learning.optimization import MakeOptimizer, Optimization
from inference.learning.schedule import Schedule as StepSchedule
from inference.random import GeneratorLike, as_generator
from pgm.conditional.objectives import Bounded

__all__ = ["Learner", "OptimizerForm", "Schedule"]

OptimizerForm: TypeAlias = Literal["adam", "lbfgs"] | MakeOptimizer


@dataclass(frozen=True)
class Schedule:
    """How long and in which steps to learn; checked.

    Arguments:
        epochs: passes over the data; with L-BFGS most iterations.
        batch_size: inputs per step; with L-BFGS those worked on at a time.
        learning_rate: of Adam.
        optimizer: "adam", "lbfgs" (all data in every step), or a function from parameters to an
            optimiser of torch.
        l2: strength of the penalty on all parameters.
        parts: how many batches are cut in, for processes to share; None for none.

    Raises:
        TypeError, ValueError: if one is of the wrong kind or out of range.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: OptimizerForm
    l2: float
    parts: int | None = None

    def __post_init__(self) -> None:
        as_whole("epochs", self.epochs, least=1)
        as_whole("batch_size", self.batch_size, least=1)
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(
                f"learning_rate must be positive and finite, found {self.learning_rate}"
            )
        if not 0 <= self.l2 < math.inf:
            raise ValueError(f"l2 must be finite and not negative, found {self.l2}")
        if self.optimizer not in ("adam", "lbfgs") and not callable(self.optimizer):
            raise ValueError(
                "optimizer must be 'adam', 'lbfgs' or a function that makes one, "
                f"found {self.optimizer!r}"
            )
        if self.parts is not None and self.optimizer == "lbfgs":
            raise ValueError("parts are of learning in batches; pass optimizer='adam'")


@dataclass(frozen=True, eq=False)
class Learner:
    """The objective of a data set, and the steps down.

    Arguments:
        parameters: what is learned.
        log_likelihood: of rows with these numbers, (B,), nats.
        n_rows: how many rows there are.
        n_labels: how many labels there are in all.
        precision: how short a gradient can be told from zero; ends L-BFGS.
        schedule: how to step.
        progress: True, False, or None: a bar if on a terminal.
    """

    parameters: list[nn.Parameter]
    log_likelihood: Callable[[Tensor], Bounded]
    n_rows: int
    n_labels: int
    precision: float
    schedule: Schedule
    progress: bool | None

    def run(self, generator: GeneratorLike) -> list[dict[str, Any]]:
        """Learn; returns the history.

        Raises:
            ValueError, FloatingPointError: if the objective or a parameter is not finite: a
                labelling has probability zero, or the steps are too long. The parameters are
                then where the steps had led.
        """
        if self.schedule.optimizer == "lbfgs":
            history = self._full_batches()
        else:
            history = self._mini_batches(generator)
        if history and history[-1]["converged"] < 1:
            warnings.warn(
                f"inference converged in {history[-1]['converged']:.0%} of the last epoch's "
                "inputs only, so that its gradients are rough; a weaker coupling (l2), method="
                "'tree-reweighted' or 'pseudo-likelihood' avoids that",
                ConvergenceWarning,
                stacklevel=3,
            )
        return history

    def _mini_batches(self, generator: GeneratorLike) -> list[dict[str, Any]]:
        def loss(rows: Tensor, source: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
            found = self._negative(rows)
            per_label = found.value * (self.n_rows / len(rows) / self.n_labels)
            figures = {"loss": per_label, "converged": found.converged.double().mean()}
            return per_label + self._penalty(), figures

        method, rate = self.schedule.optimizer, self.schedule.learning_rate
        return descend(
            nn.ParameterList(self.parameters),
            [Player[Tensor]("", self.parameters, loss)],
            torch.arange(self.n_rows),
            StepSchedule(self.schedule.epochs, self.schedule.batch_size, rate),
            Optimization(
                "adam" if method == "lbfgs" else method,
                decay="constant",
                parts=self.schedule.parts,
            ),
            as_generator(generator),
            progress=self.progress,
            description="CRF",
        )

    def _full_batches(self) -> list[dict[str, Any]]:
        history: list[dict[str, Any]] = []
        shares: list[float] = []

        def objective(vector: Tensor) -> tuple[float, Tensor]:
            self._write(vector)
            for parameter in self.parameters:
                parameter.grad = None
            penalty = self._penalty()
            penalty.backward()
            total, converged = penalty.item(), 0
            for rows in torch.arange(self.n_rows).split(self.schedule.batch_size):
                found = self._negative(rows, strict=not shares)
                if not math.isfinite(found.value.item()):
                    # The line search has gone too far, and makes its step shorter.
                    return math.inf, torch.zeros_like(vector)
                (found.value / self.n_labels).backward()
                total += found.value.item() / self.n_labels
                converged += int(found.converged.sum())
            shares.append(converged / self.n_rows)
            return total, self._gradient()

        rounding = max([torch.finfo(parameter.dtype).eps for parameter in self.parameters])
        found = minimize(
            objective,
            torch.cat([parameter.detach().flatten().double() for parameter in self.parameters]),
            max_iterations=self.schedule.epochs,
            gradient_tolerance=max(self.precision, 10 * rounding),
            value_tolerance=0.0,
            progress=self.progress,
            description="CRF",
        )
        self._write(found.x)
        for step in found.history:
            share = shares[step["evaluations"] - 1]
            history.append({"epoch": step["iteration"], "loss": step["value"], "converged": share})
        return history

    def _negative(self, rows: Tensor, *, strict: bool = True) -> Bounded:
        """Minus the log-likelihood of some rows, summed; ``strict`` refuses what is not finite."""
        found = self.log_likelihood(rows)
        finite = found.value.isfinite()
        if strict and not finite.all():
            place = int((~finite).nonzero()[0])
            raise ValueError(
                f"Y[{int(rows[place])}] has log-probability {found.value[place].item()}: a hard "
                "zero forbids it, or the potentials are no longer finite (lower learning_rate)"
            )
        return Bounded(-found.value.sum(), found.converged)

    def _penalty(self) -> Tensor:
        """The penalty per label."""
        squares = torch.stack([parameter.double().square().sum() for parameter in self.parameters])
        return 0.5 * self.schedule.l2 / self.n_labels * squares.sum()

    def _write(self, vector: Tensor) -> None:
        """Put a flat vector into the parameters."""
        with torch.no_grad():
            parts = vector.split([parameter.numel() for parameter in self.parameters])
            for parameter, part in zip(self.parameters, parts, strict=True):
                parameter.copy_(part.view_as(parameter))

    def _gradient(self) -> Tensor:
        """The parameters' gradients as a flat vector."""
        parts = [
            torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            for parameter in self.parameters
        ]
        return torch.cat([part.flatten().double() for part in parts])
