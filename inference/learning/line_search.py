"""Line searches: how far to go along a direction that leads down.

.. math:: \\phi(a) = f(x + a d), \\qquad
          \\phi(a) \\le \\phi(0) + c_1 a \\phi'(0), \\qquad |\\phi'(a)| \\le c_2 |\\phi'(0)|
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

__all__ = ["Trial", "backtracking_search", "wolfe_search"]

#: Shares of the first slope: least mean descent, and most slope that may be left.
DESCENT, CURVATURE = 1e-4, 0.9

#: Trials whose values differ by less than their rounding error before the flattest is taken.
BLIND = 4

#: How fast steps grow while the function keeps falling, and how near a bracket's end they may be.
GROWTH, MARGIN = 10.0, 0.1


class Trial(NamedTuple):
    """A point on the line.

    Attributes:
        step: how far along the direction.
        value: of the function there.
        slope: of the function along the direction there.
        point, gradient: both (n,).
    """

    step: float
    value: float
    slope: float
    point: Tensor
    gradient: Tensor

    @property
    def finite(self) -> bool:
        """Whether the function is defined here."""
        return math.isfinite(self.value) and math.isfinite(self.slope)


def wolfe_search(
    evaluate: Callable[[float], Trial],
    start: Trial,
    step: float,
    *,
    noise: float = 0.0,
    max_evaluations: int = 25,
) -> Trial | None:
    """A step that satisfies the strong Wolfe conditions.

    .. math:: \\phi(a) \\le \\phi(0) + c_1 a \\phi'(0) + \\varepsilon, \\qquad
              |\\phi'(a)| \\le c_2 |\\phi'(0)|

    Steps grow until they bracket a minimum, then cubic interpolation shrinks the bracket. Where
    values differ by less than ``noise``, slopes alone decide: close to a minimum they keep digits
    that the values have lost. They may be rounded as well, so that a few such trials are enough.

    Arguments:
        evaluate: from a step to the trial there; where the function is not finite, steps shrink.
        start: the trial at step 0, whose slope is negative.
        step: the first step tried.
        noise: rounding error of the values.
        max_evaluations: most calls of ``evaluate``.

    Returns:
        A trial with both conditions; the flattest of a few whose values are equal but for noise;
        after ``max_evaluations`` the best one that descends, None if there is none.

    Reference:
        Nocedal & Wright 2006, algorithms 3.5 and 3.6; Hager & Zhang 2005, "A new conjugate
        gradient method with guaranteed descent and an efficient line search", eq. 4.1 (noise).

    Example:
        >>> import torch
        >>> def along(a):
        ...     return Trial(a, (a - 3) ** 2, 2 * (a - 3), torch.zeros(0), torch.zeros(0))
        >>> wolfe_search(along, along(0.0), 0.1).step
        1.0
    """
    low, high = start, None
    alike: list[Trial] = []
    for _ in range(max_evaluations):
        trial = evaluate(step)
        if abs(trial.value - start.value) <= noise:
            alike.append(trial)
            if len(alike) == BLIND:
                return min(alike, key=lambda trial: abs(trial.slope))
        if not _descends(start, trial, noise) or trial.value > low.value + noise:
            high = trial
        elif abs(trial.slope) <= -CURVATURE * start.slope:
            return trial
        else:
            # Past a minimum, the bracket's other end is the point the steps came from.
            if trial.slope * ((math.inf if high is None else high.step) - low.step) >= 0:
                high = low
            low = trial
        step = GROWTH * low.step if high is None else _between(low, high)
        if high is not None and step in (low.step, high.step):
            break
    return low if low.step > 0 else None


def backtracking_search(
    evaluate: Callable[[float], Trial],
    start: Trial,
    step: float,
    *,
    noise: float = 0.0,
    max_evaluations: int = 25,
) -> Trial | None:
    """The first of the steps a, a/2, a/4, ... that descends enough.

    .. math:: \\phi(a) \\le \\phi(0) + c_1 s(a) + \\varepsilon

    Arguments:
        evaluate: from a step to the trial there, whose slope s(a) is the change that the gradient
            at the start foresees; steps may bend, as those of a projected search do.
        start: the trial at step 0.
        step: the first step tried.
        noise: rounding error of the values.
        max_evaluations: most calls of ``evaluate``.

    Returns:
        The trial, None if no step descends.

    Reference:
        Nocedal & Wright 2006, algorithm 3.1; Andrew & Gao 2007, section 3.2 (projected steps).

    Example:
        >>> import torch
        >>> def along(a):
        ...     return Trial(a, (a - 3) ** 2, -6 * a, torch.zeros(0), torch.zeros(0))
        >>> backtracking_search(along, along(0.0), 8.0).step
        4.0
    """
    for _ in range(max_evaluations):
        trial = evaluate(step)
        if trial.finite and trial.value <= start.value + DESCENT * trial.slope + noise:
            return trial
        step /= 2
    return None


def _descends(start: Trial, trial: Trial, noise: float) -> bool:
    """Whether a trial lies below the line of least descent, where the function is defined."""
    return trial.finite and trial.value <= start.value + DESCENT * trial.step * start.slope + noise


def _between(low: Trial, high: Trial) -> float:
    """The minimum of the cubic through two trials and their slopes, kept off the ends."""
    width = high.step - low.step
    middle = low.step + width / 2
    if not high.finite:
        return middle
    chord = low.slope + high.slope - 3 * (high.value - low.value) / width
    square = chord * chord - low.slope * high.slope
    if square < 0:
        return middle
    root = math.copysign(math.sqrt(square), width)
    curvature = high.slope - low.slope + 2 * root
    share = 1 - (high.slope + root - chord) / curvature if curvature else 0.5
    return low.step + width * min(max(share, MARGIN), 1 - MARGIN)
