"""Expectation-maximisation: repeated steps that never lower the objective, from several starts.

.. math:: \\theta_{t+1} = \\arg\\max_\\theta
          \\mathbb{E}_{p(z \\mid x, \\theta_t)} \\log p(x, z \\mid \\theta),
          \\qquad \\ell(\\theta_{t+1}) \\ge \\ell(\\theta_t)
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np

from inference.convergence import ConvergenceWarning
from inference.inputs import as_whole
from inference.learning.runs import join_runs, select_runs, to_host
from inference.progress import progress_bar

__all__ = [
    "Climbed",
    "EMResult",
    "check_tolerance",
    "climb",
    "expectation_maximization",
]

Parameters = TypeVar("Parameters")
#: What a step returns for several runs: the next parameters and the objectives (R,) at those
#: given; and, where components may be rescued, which runs have been restarted, (R,) bool.
Stepped: TypeAlias = tuple[Parameters, Any] | tuple[Parameters, Any, Any]

#: How far rounding may lower the objective, relative to its size.
ROUNDING = 1e-9


@dataclass(frozen=True)
class EMResult(Generic[Parameters]):
    """What expectation-maximisation found.

    Attributes:
        parameters: of the best start, where its steps ended.
        objective: at the last parameters whose objective was computed, nats.
        converged: whether the best start's last change was within the tolerance.
        iterations: steps made from the best start.
        history: one dict per step of every start: ``start``, ``iteration``, ``objective``
            (before the step) and ``change`` since the step before (NaN at the first).
    """

    parameters: Parameters
    objective: float
    converged: bool
    iterations: int
    history: list[dict[str, Any]]


@dataclass(frozen=True)
class Climbed(Generic[Parameters]):
    """What a batch of runs found, every run in its place.

    Attributes:
        parameters: of all runs, where their steps ended.
        objective: at the last parameters whose objective was computed, (R,) float64, nats.
        change: of the objective in the last step, (R,) float64, NaN after a single step.
        converged: whether that was within the tolerance, (R,) bool.
        iterations: steps made, (R,).
        history: one dict per step of every run, as in `EMResult`.
    """

    parameters: Parameters
    objective: np.ndarray
    change: np.ndarray
    converged: np.ndarray
    iterations: np.ndarray
    history: list[dict[str, Any]]

    @property
    def best(self) -> int:
        """Number of the run with the highest objective."""
        return int(self.objective.argmax())


def expectation_maximization(
    step: Callable[[Parameters], tuple[Parameters, float] | tuple[Parameters, float, bool]],
    starts: Sequence[Parameters],
    *,
    max_iterations: int = 100,
    tolerance: float = 1e-6,
    size: float = 1.0,
    monotone: bool = True,
    warn: bool = True,
    progress: bool | None = None,
) -> EMResult[Parameters]:
    """Run EM from every start, one after the other, and keep the best end.

    .. math:: |\\ell_{t} - \\ell_{t-1}| < \\tau\\, n

    stops a run. The parameters returned are those after the last step.

    Arguments:
        step: from parameters to the next parameters and the objective (log-likelihood, or
            log-posterior for MAP estimates) at the parameters given: one E step and one M step.
            It may also return whether it restarted a part of the model, as in `climb`.
        starts: parameters to start from, of any kind.
        max_iterations: most steps per start.
        tolerance: tau, the change per datum that stops a run, nats; 0 makes every step.
        size: n, the data the objective is a sum over: their number, or the sum of their weights.
        monotone: whether a fall of the objective beyond rounding is an error; False for
            approximate E steps and regularised M steps, which do not promise that.
        warn: whether to say so if the best run has not converged.
        progress: True, False, or None: a bar if on a terminal.

    Raises:
        TypeError: ``max_iterations`` is no whole number.
        ValueError: no start, or ``max_iterations``, ``tolerance`` or ``size`` out of range, or
            the objective is -inf or NaN at a start.
        RuntimeError: the objective fell, so the E and the M step do not belong together.

    Warns:
        ConvergenceWarning: the best start was cut short. Never for a single step or tolerance 0.

    Reference:
        Dempster, Laird & Rubin 1977, theorem 1; Neal & Hinton 1998.

    Example:
        Two coins, one of which was chosen for every bag of ten tosses:

        >>> import numpy as np
        >>> heads = np.array([5, 9, 8, 4, 7])
        >>> def step(p):
        ...     joint = 0.5 * p[:, None] ** heads * (1 - p[:, None]) ** (10 - heads)
        ...     share = joint / joint.sum(0)
        ...     return (share @ heads) / (10 * share.sum(1)), float(np.log(joint.sum(0)).sum())
        >>> found = expectation_maximization(step, [np.array([0.6, 0.5])], tolerance=1e-9)
        >>> found.parameters.round(3).tolist(), found.converged
        ([0.797, 0.52], True)
    """
    if not len(starts):
        raise ValueError("starts must hold at least one set of parameters, found none")
    rule = _Rule(max_iterations, tolerance, size, monotone)

    def one(parameters: Parameters) -> Stepped[Parameters]:
        following, *values = step(parameters)
        return following, *[np.array([value]) for value in values]

    history: list[dict[str, Any]] = []
    best: Climbed[Parameters] | None = None
    with progress_bar(len(starts) * rule.max_iterations, "EM", progress) as bar:
        for number, start in enumerate(starts):
            found = _Batch[Parameters](rule, history, bar, number).climb(one, start, select_runs)
            if best is None or found.objective[0] > best.objective[0]:
                best = found
    assert best is not None
    if warn:
        rule.warn_about(best)
    return EMResult(
        best.parameters,
        float(best.objective[0]),
        bool(best.converged[0]),
        int(best.iterations[0]),
        history,
    )


def climb(
    step: Callable[[Parameters], Stepped[Parameters]],
    parameters: Parameters,
    *,
    select: Callable[[Parameters, np.ndarray], Parameters] = select_runs,
    max_iterations: int = 100,
    tolerance: float = 1e-6,
    size: float = 1.0,
    monotone: bool = True,
    rounding: float = ROUNDING,
    warn: bool = True,
    progress: bool | None = None,
) -> Climbed[Parameters]:
    """Run EM from several starts as one batch, which converged runs leave.

    .. math:: |\\ell^{(r)}_{t} - \\ell^{(r)}_{t-1}| < \\tau\\, n

    Arguments:
        step: from parameters of R runs to the next parameters and the objectives (R,) at those
            given. A third result, (R,) bool, tells where the step has restarted a part of the
            model (a lost component, say): such a step may lower the objective, and no run stops
            beside it.
        parameters: arrays with a leading axis of R runs, or a (Named)tuple of such.
        select: gives some runs of the parameters; another one for a step that must know which
            runs are left.
        max_iterations: most steps.
        tolerance: tau, the change per datum that stops a run, nats; 0 makes every step.
        size: n, the data the objective is a sum over: their number, or the sum of their weights.
        monotone: whether a fall of an objective beyond rounding is an error; False for
            regularised M steps, which do not promise that.
        rounding: how far rounding may lower an objective, relative to its size.
        warn: whether to say so if the best run has not converged.
        progress: True, False, or None: a bar if on a terminal.

    Raises:
        TypeError, ValueError, RuntimeError: as `expectation_maximization`.

    Warns:
        ConvergenceWarning: as there.

    Example:
        >>> def halve(x):
        ...     return x / 2, -x * x
        >>> found = climb(halve, np.array([8.0, 0.01]), tolerance=1e-3)
        >>> found.iterations.tolist(), found.parameters.round(4).tolist()
        ([10, 2], [0.0078, 0.0025])
    """
    rule = _Rule(max_iterations, tolerance, size, monotone, rounding)
    with progress_bar(rule.max_iterations, "EM", progress) as bar:
        found = _Batch[Parameters](rule, [], bar, 0).climb(step, parameters, select)
    if warn:
        rule.warn_about(found)
    return found


def check_tolerance(tolerance: float) -> None:
    """Refuse a tolerance that is negative, infinite or NaN.

    Raises:
        ValueError: then.
    """
    if not 0 <= tolerance < math.inf:
        raise ValueError(f"tolerance must be finite and not negative, found {tolerance}")


class _Rule:
    """When a run ends, and what it may not do."""

    def __init__(
        self,
        max_iterations: int,
        tolerance: float,
        size: float,
        monotone: bool,
        rounding: float = ROUNDING,
    ) -> None:
        self.max_iterations = as_whole("max_iterations", max_iterations, least=1)
        check_tolerance(tolerance)
        if not 0 < size < math.inf:
            raise ValueError(f"size must be positive and finite, found {size}")
        self.tolerance, self.size, self.monotone = tolerance, size, monotone
        self.rounding = rounding

    def stops(self, change: np.ndarray) -> np.ndarray:
        """Whether a change (NaN for unknown) is too small to go on, (R,)."""
        return abs(change) < self.tolerance * self.size

    def warn_about(self, found: Climbed[Any]) -> None:
        """Warn if the best run was cut short; a single step has nothing to compare with."""
        best, change = found.best, float(found.change[found.best])
        if found.converged[best] or not self.tolerance or math.isnan(change):
            return
        warnings.warn(
            f"EM has not converged: after {found.iterations[best]} steps the objective still "
            f"changed by {change:.3g} nats in a step, {change / self.size:.3g} per datum, and the "
            f"tolerance is {self.tolerance:g}. Raise max_iterations (max_iter), or the tolerance",
            ConvergenceWarning,
            stacklevel=4,
        )


class _Batch(Generic[Parameters]):
    """Runs under way: which are left, and what those that have left found."""

    def __init__(self, rule: _Rule, history: list[dict[str, Any]], bar: Any, first: int) -> None:
        self._rule, self._history, self._bar = rule, history, bar
        #: Number of the first run, for messages and the history.
        self._first = first
        self._left = np.zeros(0, dtype=np.int64)
        self._last = self._change = self._restarted = self._left
        self._ended: list[tuple[np.ndarray, Parameters, list[np.ndarray]]] = []

    def climb(
        self,
        step: Callable[[Parameters], Stepped[Parameters]],
        parameters: Parameters,
        select: Callable[[Parameters, np.ndarray], Parameters],
    ) -> Climbed[Parameters]:
        """Step until the objectives stand still."""
        for iteration in range(1, self._rule.max_iterations + 1):
            parameters, *values = step(parameters)
            stopped = self._read(iteration, *values)
            ended = stopped | (iteration == self._rule.max_iterations)
            if ended.all():
                self._leave(parameters, ended, stopped, iteration)
                break
            if ended.any():
                self._leave(select(parameters, np.flatnonzero(ended)), ended, stopped, iteration)
                parameters = select(parameters, np.flatnonzero(~ended))
                self._keep(~ended)
        return self._result()

    def _read(self, iteration: int, objective: Any, restarted: Any = None) -> np.ndarray:
        """Take note of a step; which runs have converged, (R,)."""
        objective = to_host(objective)
        if iteration == 1:
            self._left = np.arange(len(objective))
            self._last = np.full(len(objective), math.nan)
            self._restarted = np.zeros(len(objective), dtype=bool)
        self._check(objective, iteration)
        change = self._change = objective - self._last
        for run, value, difference in zip(
            (self._first + self._left).tolist(), objective.tolist(), change.tolist(), strict=True
        ):
            self._history.append(
                {"start": run, "iteration": iteration, "objective": value, "change": difference}
            )
        self._bar.update(1)
        self._bar.set_postfix_str(f"objective {objective.max():.6g}")
        restarts = self._restarted
        self._last, self._restarted = objective, np.zeros(len(objective), dtype=bool)
        if restarted is not None:
            self._restarted = to_host(restarted, bool)
        return self._rule.stops(change) & ~restarts & ~self._restarted

    def _leave(
        self, parameters: Parameters, ended: np.ndarray, stopped: np.ndarray, iteration: int
    ) -> None:
        """Keep what some of the runs have found."""
        n = np.full(int(ended.sum()), iteration)
        figures = [x[ended] for x in (self._last, self._change, stopped)]
        self._ended.append((self._left[ended], parameters, [*figures, n]))

    def _keep(self, left: np.ndarray) -> None:
        """Go on with some of the runs."""
        self._left, self._last = self._left[left], self._last[left]
        self._restarted = self._restarted[left]

    def _result(self) -> Climbed[Parameters]:
        """All runs in their places."""
        runs, parameters, figures = zip(*self._ended, strict=True)
        order = np.argsort(np.concatenate(runs))
        found = parameters[0]
        if len(parameters) > 1:
            found = select_runs(join_runs(parameters), order)
        columns = [np.concatenate(x)[order] for x in zip(*figures, strict=True)]
        objective, change, converged, iterations = columns
        return Climbed(found, objective, change, converged, iterations, self._history)

    def _check(self, objective: np.ndarray, iteration: int) -> None:
        """Refuse a start that cannot have produced the data, and steps that lose ground."""
        wrong = ~np.isfinite(objective)
        if wrong.any():
            run = int(wrong.argmax())
            raise ValueError(
                f"the objective is {objective[run]} at iteration {iteration} of start "
                f"{self._first + self._left[run]}: the parameters there give some of the data "
                "probability zero (or are not finite)"
            )
        last = self._last
        allowed = self._rule.rounding * (1 + abs(last))
        fallen = (objective < last - allowed) & ~self._restarted
        if self._rule.monotone and fallen.any():
            run = int(fallen.argmax())
            raise RuntimeError(
                f"the objective fell from {float(last[run])!r} to {float(objective[run])!r} at "
                f"iteration {iteration} of start {self._first + self._left[run]}: the E step and "
                "the M step do not belong to the same objective"
            )
