"""Minimisation of smooth functions of many variables, with an optional L1 penalty: L-BFGS, OWL-QN.

.. math:: \\min_x f(x) + \\sum_i \\lambda_i |x_i|
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from inference.inputs import Values, as_tensor, as_whole
from inference.learning.line_search import Trial, backtracking_search, wolfe_search
from inference.memory import require_memory
from inference.progress import progress_bar

__all__ = ["Iterate", "Minimum", "minimize"]

#: Rounding error of values, in units of the last place of the variables' type.
NOISE = 16.0

#: Iterations in a row that may gain nothing but rounding errors, and what the gradient must lose.
PATIENCE, SHRINKAGE = 20, 0.9

#: Least curvature along a step that is remembered, as a share of the largest there could be.
FLAT = 1e-10


@dataclass(frozen=True)
class Iterate:
    """Where an iteration ended.

    Attributes:
        iteration: 0 for the start.
        x: the point, (n,); not to be changed.
        value: of the objective, penalty included.
        gradient_norm: Euclidean; with a penalty that of the steepest descent.
        step: length of the step in units of the direction.
        evaluations: of the function so far.
        seconds: since the beginning.
    """

    iteration: int
    x: Tensor
    value: float
    gradient_norm: float
    step: float
    evaluations: int
    seconds: float

    def record(self) -> dict[str, Any]:
        """What a history keeps: everything but the point."""
        return {name: value for name, value in vars(self).items() if name != "x"}


@dataclass(frozen=True)
class Minimum:
    """What the minimisation found.

    Attributes:
        x: the last point, (n,).
        value: of the objective there, penalty included.
        gradient_norm: Euclidean; with a penalty that of the steepest descent.
        converged: whether a tolerance was met.
        stop: what ended the run: "gradient" or "value" (a tolerance), "iterations" (their limit),
            "callback", or "precision" (no step descends, or for many iterations the value fell by
            no more than its rounding error and the gradient hardly shrank).
        iterations, evaluations: how many there were.
        history: one dict per iteration: ``iteration``, ``value``, ``gradient_norm``, ``step``,
            ``evaluations`` and ``seconds``, the last two counted from the beginning.
    """

    x: Tensor
    value: float
    gradient_norm: float
    converged: bool
    stop: Literal["gradient", "value", "iterations", "callback", "precision"]
    iterations: int
    evaluations: int
    history: list[dict[str, Any]]


def minimize(
    function: Callable[[Tensor], tuple[Any, Any]],
    start: Values,
    *,
    l1: float | Values = 0.0,
    memory: int = 20,
    max_iterations: int = 1000,
    gradient_tolerance: float = 1e-5,
    value_tolerance: float = 1e-9,
    period: int = 10,
    callback: Callable[[Iterate], bool | None] | None = None,
    progress: bool | None = None,
    description: str = "L-BFGS",
) -> Minimum:
    """Minimise a smooth function, by L-BFGS; with an L1 penalty by OWL-QN.

    .. math:: d_t = -H_t \\nabla f(x_t), \\qquad x_{t+1} = x_t + a_t d_t

    H approximates the inverse Hessian from the last ``memory`` changes of x and of the gradient.
    The step a satisfies the strong Wolfe conditions, so that H stays positive definite. With a
    penalty the gradient is replaced by that of the steepest descent among the one-sided ones,
    steps stay in the orthant it points into, and coordinates become exactly zero.

    A run ends when one of these holds:

    .. math:: \\|g_t\\| \\le \\tau_g \\max(1, \\|x_t\\|), \\qquad
              f_{t-p} - f_t \\le \\tau_f \\max(1, |f_t|)

    Arguments:
        function: from x to the value (a number or a 0-d tensor; keep it in float64) and the
            gradient, (n,) like x. Infinity where it is not defined makes steps shrink.
        start: where to begin; its type of numbers and device are those of the run. Integers and
            lists become float64.
        l1: weight of the penalty, one number or one per coordinate; 0 leaves a coordinate free.
        memory: how many changes are remembered.
        max_iterations: most iterations.
        gradient_tolerance: the :math:`\\tau_g` above; 0 turns the rule off.
        value_tolerance: the :math:`\\tau_f` above, compared over ``period`` iterations; 0 turns
            the rule off.
        period: the p above.
        callback: called after every iteration; True ends the run.
        progress: True, False, or None: a bar if on a terminal.
        description: what the bar says.

    Shapes:
        start: (n,). l1: () or (n,). result: ``x`` is (n,).

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: an argument is out of range, ``start`` is not finite, the objective is not
            finite at the start, a gradient has another shape than x, or the remembered changes do
            not fit in memory.

    Reference:
        Liu & Nocedal 1989, "On the limited memory BFGS method for large scale optimization",
        algorithm 2.1; Andrew & Gao 2007, "Scalable training of L1-regularized log-linear models",
        section 3.

    Example:
        >>> target = torch.tensor([3.0, -1.0, 0.2], dtype=torch.float64)
        >>> def distance(x):
        ...     return 0.5 * (x - target).square().sum(), x - target
        >>> minimize(distance, [0, 0, 0]).x.round(decimals=6).tolist()
        [3.0, -1.0, 0.2]
        >>> minimize(distance, [0, 0, 0], l1=0.5).x.round(decimals=6).tolist()
        [2.5, -0.5, 0.0]
    """
    x = _as_point(start)
    weight = _as_penalty(l1, x)
    memory = as_whole("memory", memory, least=1)
    max_iterations = as_whole("max_iterations", max_iterations, least=0)
    period = as_whole("period", period, least=1)
    for name, value in (("gradient", gradient_tolerance), ("value", value_tolerance)):
        if not 0 <= value < math.inf:
            raise ValueError(f"{name}_tolerance must be finite and not negative, found {value}")
    run = _Run(function, x, weight, _Memory(x, memory))
    stop: Any = None
    values = [run.value]
    with progress_bar(max_iterations, description, progress) as bar:
        history: list[dict[str, Any]] = []
        while stop is None:
            if run.gradient_norm <= gradient_tolerance * max(1.0, float(run.x.norm())):
                stop = "gradient"
            elif len(history) == max_iterations:
                stop = "iterations"
            elif not run.advance():
                stop = "precision"
            else:
                iterate = run.iterate(len(history) + 1)
                history.append(iterate.record())
                values.append(run.value)
                bar.update(1)
                bar.set_postfix_str(f"{run.value:.6g}, gradient {run.gradient_norm:.3g}")
                if callback is not None and callback(iterate):
                    stop = "callback"
                elif len(history) >= period and value_tolerance > 0:
                    gain = values[-1 - period] - run.value
                    if gain <= value_tolerance * max(1.0, abs(run.value)):
                        stop = "value"
    return Minimum(
        run.x,
        run.value,
        run.gradient_norm,
        stop in ("gradient", "value"),
        stop,
        len(history),
        run.evaluations,
        history,
    )


class _Memory:
    """The last changes of x and of the gradient: the inverse Hessian as a product of vectors."""

    def __init__(self, x: Tensor, size: int) -> None:
        what = f"memory={size}, which is {2 * size} vectors of {x.numel():,} numbers,"
        require_memory(2 * size * x.numel() * x.element_size(), what, "lower it", x.device)
        self._size = size
        self._pairs: list[tuple[Tensor, Tensor, Tensor]] = []
        self._scale = 1.0

    def __len__(self) -> int:
        return len(self._pairs)

    def clear(self) -> None:
        """Forget everything: the next direction is the steepest descent."""
        self._pairs.clear()

    def add(self, moved: Tensor, turned: Tensor) -> None:
        """Remember a change of x and of the gradient, unless the function is flat along it."""
        product, square = moved.dot(turned), turned.dot(turned)
        curvature = float(product)
        if not curvature > FLAT * math.sqrt(float(square) * float(moved.dot(moved))):
            return
        if len(self._pairs) == self._size:
            del self._pairs[0]
        self._pairs.append((moved, turned, 1 / product))
        self._scale = curvature / float(square)

    def times(self, gradient: Tensor) -> Tensor:
        """Inverse Hessian times a vector: two loops, Nocedal & Wright 2006, algorithm 7.4."""
        result = gradient.clone()
        shares: list[Tensor] = []
        # All factors stay tensors: on a GPU a number would make the host wait, forty times over.
        for moved, turned, inverse in reversed(self._pairs):
            shares.append(inverse * moved.dot(result))
            result.addcmul_(turned, shares[-1], value=-1)
        if self._pairs:
            result.mul_(self._scale)
        for moved, turned, inverse in self._pairs:
            result.addcmul_(moved, shares.pop() - inverse * turned.dot(result))
        return result


class _Run:
    """The state of a minimisation."""

    def __init__(
        self,
        function: Callable[[Tensor], tuple[Any, Any]],
        x: Tensor,
        l1: Tensor | None,
        memory: _Memory,
    ) -> None:
        self._function = function
        self._l1 = l1
        self._memory = memory
        self._begin = time.perf_counter()
        self._noise = NOISE * torch.finfo(x.dtype).eps
        self.evaluations = 0
        self._idle = 0
        self.step = 0.0
        self.x = x
        self.value, self._gradient = self._evaluate(x)
        if not math.isfinite(self.value) or not bool(self._gradient.isfinite().all()):
            raise ValueError(
                f"the function must be finite at start with a finite gradient, found "
                f"{self.value}; begin where it is defined"
            )
        self._descent = self._steepest()
        self.gradient_norm = float(self._descent.norm())
        self._best = self.value, self.gradient_norm

    def iterate(self, iteration: int) -> Iterate:
        """The state as users see it."""
        seconds = time.perf_counter() - self._begin
        return Iterate(
            iteration, self.x, self.value, self.gradient_norm, self.step, self.evaluations, seconds
        )

    def advance(self) -> bool:
        """Make one step; False if none gains anything, not even straight down."""
        if self._idle == PATIENCE:
            return False
        found = self._search()
        if found is None and len(self._memory):
            self._memory.clear()
            found = self._search()
        if found is None:
            return False
        self._memory.add(found.point - self.x, found.gradient - self._gradient)
        self.x, self.value, self._gradient = found.point, found.value, found.gradient
        self.step = found.step
        self._descent = self._steepest()
        self.gradient_norm = float(self._descent.norm())
        self._compare()
        return True

    def _compare(self) -> None:
        """Count the iterations since the last one that gained more than rounding errors."""
        value, norm = self._best
        falls = self.value < value - self._noise * abs(value)
        shrinks = self.gradient_norm < SHRINKAGE * norm
        self._idle = 0 if falls or shrinks else self._idle + 1
        self._best = (
            self.value if falls else value,
            self.gradient_norm if shrinks else norm,
        )

    def _search(self) -> Trial | None:
        """A step along the direction that the memory proposes."""
        direction = self._memory.times(self._descent)
        if self._l1 is not None:
            # A penalised coordinate moves the way that the steepest descent does, or not at all.
            direction.masked_fill_((direction * self._descent <= 0) & (self._l1 > 0), 0.0)
        direction.neg_()
        slope = float(direction.dot(self._descent))
        if not -math.inf < slope < 0:
            return None
        first = 1.0 if len(self._memory) else min(1.0, 1 / self.gradient_norm)
        start = Trial(0.0, self.value, slope, self.x, self._gradient)
        noise = self._noise * abs(self.value)
        if self._l1 is None:
            return wolfe_search(self._along(direction), start, first, noise=noise)
        path = self._within_orthant(direction, self._l1)
        return backtracking_search(path, start, first, noise=noise)

    def _along(self, direction: Tensor) -> Callable[[float], Trial]:
        """The trials on a straight line."""

        def trial(step: float) -> Trial:
            point = self.x.add(direction, alpha=step)
            value, gradient = self._evaluate(point)
            return Trial(step, value, float(gradient.dot(direction)), point, gradient)

        return trial

    def _within_orthant(self, direction: Tensor, l1: Tensor) -> Callable[[float], Trial]:
        """The trials on a line whose penalised coordinates stop where they would change sign."""
        orthant = torch.where(self.x == 0, -self._descent, self.x).sign()

        def trial(step: float) -> Trial:
            point = self.x.add(direction, alpha=step)
            point.masked_fill_((point.sign() != orthant) & (l1 > 0), 0.0)
            value, gradient = self._evaluate(point)
            foreseen = float(self._descent.dot(point - self.x))
            return Trial(step, value, foreseen, point, gradient)

        return trial

    def _evaluate(self, x: Tensor) -> tuple[float, Tensor]:
        """Objective and gradient of its smooth part."""
        # A function may mark its x for a gradient, and use one buffer for all that it returns.
        value, gradient = self._function(x.detach())
        self.evaluations += 1
        gradient = as_tensor("the gradient", gradient).detach().to(x.device, x.dtype, copy=True)
        if gradient.shape != x.shape:
            raise ValueError(
                f"the gradient must have the shape of x, {tuple(x.shape)}, "
                f"found {tuple(gradient.shape)}"
            )
        total = float(value.detach() if isinstance(value, Tensor) else value)
        if self._l1 is not None:
            total += float((self._l1 * x.abs()).sum(dtype=torch.float64))
        return total, gradient

    def _steepest(self) -> Tensor:
        """Gradient; with a penalty the one-sided one against which the objective falls fastest."""
        if self._l1 is None:
            return self._gradient
        at_zero = torch.nn.functional.relu(self._gradient.abs() - self._l1) * self._gradient.sign()
        return torch.where(self.x == 0, at_zero, self._gradient + self._l1 * self.x.sign())


def _as_point(start: Values) -> Tensor:
    """The start as a tensor of its own."""
    x = as_tensor("start", start).detach().clone()
    if x.is_complex() or x.dtype is torch.bool:
        raise TypeError(f"start must hold real numbers, found {x.dtype}")
    x = x if x.is_floating_point() else x.double()
    if x.ndim != 1:
        raise ValueError(f"start must be flat, (n,), found shape {tuple(x.shape)}; reshape it")
    if not x.isfinite().all():
        raise ValueError("start must be finite, found an infinite entry or NaN")
    return x


def _as_penalty(l1: float | Values, x: Tensor) -> Tensor | None:
    """Weights of the L1 penalty like x; None if there is no penalty."""
    weight = as_tensor("l1", l1).detach().to(x.device, x.dtype)
    if weight.ndim and weight.shape != x.shape:
        raise ValueError(
            f"l1 must be one number or have one per coordinate, {tuple(x.shape)}, "
            f"found shape {tuple(weight.shape)}"
        )
    if not ((weight >= 0) & weight.isfinite()).all():
        raise ValueError("l1 must be finite and not negative, found an entry that is not")
    return weight.expand_as(x) if bool((weight > 0).any()) else None
