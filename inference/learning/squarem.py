"""SQUAREM: two steps of expectation-maximisation and a leap along what they have in common.

.. math:: r = s_1 - s_0, \\quad v = (s_2 - s_1) - r, \\quad
          s' = s_0 - 2 \\alpha r + \\alpha^2 v, \\quad \\alpha = -\\max(1, |r| / |v|)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from inference.arrays import index_like, namespace
from inference.inputs import as_whole
from inference.learning.em import Stepped
from inference.learning.runs import choose_runs, put_runs, select_runs, to_host

__all__ = ["Squarem"]

#: How often a leap out of the parameters' domain is shortened; that costs no E step.
HALVINGS = 12
#: After a leap that has lost the next ones are shorter by this factor, until they gain.
GROWTH = 4.0

Parameters = TypeVar("Parameters")


class _Evaluated(NamedTuple, Generic[Parameters]):
    """What a plain step found: the next parameters, and what it says of those given."""

    following: Parameters
    objective: np.ndarray
    restarted: np.ndarray


class Squarem(Generic[Parameters]):
    """A step for `climb` that goes further than a plain one, in the same direction.

    Where EM is slow it approaches its limit along a line, at a rate that two steps tell. The leap
    is made on additive sufficient statistics s, of which all convex combinations are valid ones.
    It is shortened while it leads to no valid parameters. A run for which it leads to a lower
    objective than at the point that it left goes on from the second plain step, so that the
    objectives never fall, and leaps less far for a while.

    Arguments:
        step: plain step, as `climb` has it.
        to_vector: statistics (R, P) whose maximum-likelihood estimates the parameters are.
        from_vector: from statistics (R, P), and parameters like those sought, to parameters and
            whether they are valid, (R,) bool. What is not valid may be anything. Long leaps
            magnify rounding: what must sum to one is to be divided by its sum.
        after: number of calls that make a plain step; before EM has become slow a leap costs more
            than it gains.

    Attributes:
        evaluations: E and M steps made so far, counted run by run.

    A call makes two plain steps; the second one is made from the point of the leap, ahead of the
    next call, to see whether it has risen.

    Raises:
        TypeError, ValueError: ``after`` is no whole number, or negative.

    Reference:
        Varadhan & Roland 2008, "Simple and globally convergent methods for accelerating the
        convergence of any EM algorithm", eq. 9 and section 3 (step length S3).

    Example:
        The proportion of 125 animals in four classes that are (1/2 + t/4, (1 - t)/4, (1 - t)/4,
        t/4) of all (Rao's):

        >>> from inference.learning.em import climb
        >>> def step(t):
        ...     hidden = 125 * t / (2 + t)
        ...     value = 125 * np.log(2 + t) + 38 * np.log(1 - t) + 34 * np.log(t)
        ...     return (hidden + 34) / (hidden + 34 + 38), value[:, 0]
        >>> def inside(s, like):
        ...     return s, ((s > 0) & (s < 1)).all(1)
        >>> fast = Squarem(step, lambda t: t, inside, after=1)
        >>> found = climb(fast, np.array([[0.1], [0.9]]), tolerance=1e-12)
        >>> found.parameters.round(6).tolist()
        [[0.626821], [0.626821]]
    """

    def __init__(
        self,
        step: Callable[[Parameters], Stepped[Parameters]],
        to_vector: Callable[[Parameters], Any],
        from_vector: Callable[[Any, Parameters], tuple[Parameters, Any]],
        *,
        after: int = 20,
    ) -> None:
        self._step, self._to_vector, self._from_vector = step, to_vector, from_vector
        self._plain_left = as_whole("after", after, least=0)
        self._ahead: tuple[Parameters, _Evaluated[Parameters]] | None = None
        #: Longest step lengths that are tried, (R,).
        self._longest = np.zeros(0)
        self._has_lost = np.zeros(0, dtype=bool)
        self.evaluations = 0

    def __call__(self, parameters: Parameters) -> tuple[Parameters, np.ndarray, np.ndarray]:
        """The next parameters; objectives (R,) at those given; which runs were restarted."""
        first = self._known(parameters)
        if self._plain_left:
            self._plain_left -= 1
            return first
        second = self._evaluate(first.following)
        restarted = first.restarted | second.restarted
        found, lengths = self._leap(parameters, first.following, second.following)
        leapt = (lengths > 1) & ~restarted
        found = choose_runs(leapt, found, second.following)
        ahead = self._evaluate(found)
        # A comparison with NaN is false.
        fell = leapt & ~(ahead.objective >= second.objective)
        # Losses in a row, not single ones, tell that the leaps are too long.
        shorter = np.where(self._has_lost, np.maximum(lengths / GROWTH, 2), self._longest)
        self._longest = np.where(fell, shorter, self._longest * GROWTH)
        self._has_lost = fell
        lost = np.flatnonzero(fell)
        if len(lost):
            back = select_runs(second.following, lost)
            found = put_runs(found, lost, back)
            ahead = put_runs(ahead, lost, self._evaluate(back))
        self._ahead = found, ahead
        return found, first.objective, restarted

    def _known(self, parameters: Parameters) -> _Evaluated[Parameters]:
        """A plain step, or what is known of it already."""
        # After a run has left, the parameters are new ones.
        if self._ahead is not None and self._ahead[0] is parameters:
            return self._ahead[1]
        found = self._evaluate(parameters)
        self._longest = np.full(len(found.objective), np.inf)
        self._has_lost = np.zeros(len(found.objective), dtype=bool)
        return found

    def _evaluate(self, parameters: Parameters) -> _Evaluated[Parameters]:
        """A plain step."""
        following, objective, *restarted = self._step(parameters)
        objective = to_host(objective)
        self.evaluations += len(objective)
        rescued = to_host(restarted[0], bool) if restarted else np.zeros(len(objective), bool)
        return _Evaluated(following, objective, rescued)

    def _leap(
        self, start: Parameters, one: Parameters, two: Parameters
    ) -> tuple[Parameters, np.ndarray]:
        """Where the line through three points leads, and how far minus alpha goes, (R,).

        At length 1 it is the second plain step.
        """
        s0, s1, s2 = [self._to_vector(x) for x in (start, one, two)]
        first = s1 - s0
        bend = (s2 - s1) - first
        norms = [to_host(namespace(x).sqrt((x * x).sum(-1))) for x in (first, bend)]
        ratio = norms[0] / np.where(norms[1] > 0, norms[1], np.inf)
        lengths = np.maximum(np.minimum(ratio, self._longest), 1.0)
        found, valid = two, np.zeros(len(lengths), dtype=bool)
        for _ in range(HALVINGS):
            by = index_like(lengths[:, None], s0)
            there, good = self._from_vector(s0 + 2 * by * first + by * by * bend, two)
            new = to_host(good, bool) & ~valid
            found, valid = choose_runs(new, there, found), valid | new
            if valid.all():
                break
            lengths = np.where(valid, lengths, 0.5 * (lengths + 1))
        return found, np.where(valid, lengths, 1.0)
