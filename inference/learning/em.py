"""Expectation-maximisation: repeated steps that never lower the objective, from several starts.

.. math:: \\theta_{t+1} = \\arg\\max_\\theta
          \\mathbb{E}_{p(z \\mid x, \\theta_t)} \\log p(x, z \\mid \\theta),
          \\qquad \\ell(\\theta_{t+1}) \\ge \\ell(\\theta_t)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from inference.inputs import as_whole
from inference.progress import progress_bar

__all__ = ["EMResult", "check_tolerance", "expectation_maximization"]

Parameters = TypeVar("Parameters")

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


def expectation_maximization(
    step: Callable[[Parameters], tuple[Parameters, float]],
    starts: Sequence[Parameters],
    *,
    max_iterations: int = 100,
    tolerance: float = 1e-6,
    monotone: bool = True,
    progress: bool | None = None,
) -> EMResult[Parameters]:
    """Run EM from every start and keep the best end.

    .. math:: |\\ell_{t} - \\ell_{t-1}| \\le \\tau\\, (1 + |\\ell_{t}|)

    stops a run. The parameters returned are those after the last step.

    Arguments:
        step: from parameters to the next parameters and the objective (log-likelihood, or
            log-posterior for MAP estimates) at the parameters given: one E step and one M step.
        starts: parameters to start from.
        max_iterations: most steps per start.
        tolerance: the relative change that stops a run; 0 makes every step.
        monotone: whether a fall of the objective beyond rounding is an error; False for
            approximate E steps, which do not promise that.
        progress: True, False, or None: a bar if on a terminal.

    Raises:
        TypeError: ``max_iterations`` is no whole number.
        ValueError: no start, or ``max_iterations`` or ``tolerance`` out of range, or the objective
            is -inf or NaN at a start.
        RuntimeError: the objective fell, so the E and the M step do not belong together.

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
    max_iterations = as_whole("max_iterations", max_iterations, least=1)
    check_tolerance(tolerance)
    history: list[dict[str, Any]] = []
    best: EMResult[Parameters] | None = None
    with progress_bar(len(starts) * max_iterations, "EM", progress) as bar:
        for number, start in enumerate(starts):
            run = _Run(number, history, tolerance if max_iterations > 1 else 0.0, monotone)
            found = run.climb(step, start, max_iterations, bar)
            if best is None or found.objective > best.objective:
                best = found
    assert best is not None
    return best


def check_tolerance(tolerance: float) -> None:
    """Refuse a tolerance that is negative, infinite or NaN.

    Raises:
        ValueError: then.
    """
    if not 0 <= tolerance < math.inf:
        raise ValueError(f"tolerance must be finite and not negative, found {tolerance}")


class _Run:
    """The steps from one start."""

    def __init__(
        self, number: int, history: list[dict[str, Any]], tolerance: float, monotone: bool
    ) -> None:
        self._number = number
        self._history = history
        self._tolerance = tolerance
        self._monotone = monotone

    def climb(
        self,
        step: Callable[[Parameters], tuple[Parameters, float]],
        parameters: Parameters,
        max_iterations: int,
        bar: Any,
    ) -> EMResult[Parameters]:
        """Step until the objective stands still."""
        last, converged, iteration = math.nan, False, 0
        for iteration in range(1, max_iterations + 1):
            parameters, objective = step(parameters)
            objective = float(objective)
            self._check(objective, last, iteration)
            change = objective - last
            self._history.append(
                {
                    "start": self._number,
                    "iteration": iteration,
                    "objective": objective,
                    "change": change,
                }
            )
            bar.update(1)
            bar.set_postfix_str(f"objective {objective:.6g}")
            last = objective
            converged = abs(change) <= self._tolerance * (1 + abs(objective))
            if converged and self._tolerance > 0:
                break
        return EMResult(parameters, last, converged, iteration, self._history)

    def _check(self, objective: float, last: float, iteration: int) -> None:
        """Refuse a start that cannot have produced the data, and steps that lose ground."""
        if not math.isfinite(objective):
            raise ValueError(
                f"the objective is {objective} at iteration {iteration} of start {self._number}: "
                "the parameters there give some of the data probability zero (or are not finite)"
            )
        if self._monotone and objective < last - ROUNDING * (1 + abs(last)):
            raise RuntimeError(
                f"the objective fell from {last!r} to {objective!r} at iteration {iteration}: "
                "the E step and the M step do not belong to the same objective"
            )
