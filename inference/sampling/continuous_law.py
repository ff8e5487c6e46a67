"""Paths from a law of real variables that is drawn from directly to one that a kernel moves.

.. math:: p_\\beta(x) \\propto p_0(x)^{1 - \\beta}\\, e^{\\beta \\ell(x)}
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from inference.inputs import Values, as_tensors, check_finite
from inference.memory import require_memory
from inference.sampling.continuous import (
    LogDensity,
    across,
    check_position,
    check_start,
    counted,
    evaluate,
    failed,
    normal_like,
    sum_event,
)
from inference.sampling.kernel import Beta, TemperedLaw
from inference.sampling.metropolis import ContinuousKernel, StepSize

__all__ = ["Base", "ContinuousLaw", "NormalBase", "PathState", "tempered"]

#: Numbers that a chain needs per number of its position: slopes, noise and what lies between.
COPIES = 12


class Base(Protocol):
    """A normalised law that is drawn from directly."""

    @property
    def device(self) -> torch.device:
        """Where draws are made."""
        ...

    def log_prob(self, x: Tensor) -> Tensor:
        """Log densities, (chain,), nats, of positions (chain, *event)."""
        ...

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Independent draws, (n, *event)."""
        ...


class NormalBase:
    """Independent normal variables.

    .. math:: \\log p_0(x) = -\\sum_i \\Bigl(\\frac{(x_i - \\mu_i)^2}{2 \\sigma_i^2}
              + \\log \\sigma_i + \\frac12 \\log 2\\pi\\Bigr)

    Arguments:
        mean, scale: of the variables; they broadcast to (*event,).

    Raises:
        ValueError: if a mean is not finite, a scale not positive, or both do not broadcast.

    Example:
        >>> base = NormalBase([0.0, 1.0], 2.0)
        >>> base.sample(3, torch.Generator().manual_seed(0)).shape
        torch.Size([3, 2])
    """

    def __init__(self, mean: Values, scale: Values = 1.0) -> None:
        means, scales = as_tensors(mean=mean, scale=scale)
        check_finite(mean=means, scale=scales)
        if not bool((scales > 0).all()):
            raise ValueError(f"scale must be positive, found {scales.min().item():g}")
        try:
            self.mean, self.scale = torch.broadcast_tensors(means, scales)
        except RuntimeError:
            raise ValueError(
                "mean and scale must broadcast, found shapes "
                f"{tuple(means.shape)} and {tuple(scales.shape)}"
            ) from None

    @property
    def device(self) -> torch.device:
        """Where draws are made."""
        return self.mean.device

    def log_prob(self, x: Tensor) -> Tensor:
        """Log densities, (chain,), nats, of positions (chain, *event)."""
        each = -0.5 * ((x - self.mean) / self.scale).square() - self.scale.log()
        return sum_event(each - 0.5 * math.log(2 * math.pi))

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Independent draws, (n, *event); refused where they would not fit in memory."""
        needed = COPIES * n * self.mean.numel() * self.mean.element_size()
        what = f"{n:,} chains of {self.mean.numel():,} numbers"
        require_memory(needed, what, "run fewer", self.device)
        return self.mean + self.scale * normal_like(
            self.mean.expand(n, *self.mean.shape), generator
        )


class PathState(NamedTuple):
    """Chains on a path: log densities of base and target (chain, 2), slopes (chain, 2, *event)."""

    position: Tensor
    parts: Tensor
    slopes: Tensor
    acceptance: Tensor
    divergent: Tensor
    invalid: Tensor


class _PathPoint(NamedTuple):
    """A point under one law of a path, with its parts."""

    position: Tensor
    log_density: Tensor
    gradient: Tensor
    parts: Tensor
    slopes: Tensor

    @property
    def invalid(self) -> Tensor:
        """Whether one of the functions failed there, (chain,)."""
        base = failed(self.parts[:, 0], self.slopes[:, 0])
        return base | failed(self.parts[:, 1], self.slopes[:, 1])


@dataclass(frozen=True, eq=False)
class ContinuousLaw(TemperedLaw[PathState]):
    """The geometric path from a base law to the one that a kernel moves.

    .. math:: g(x, \\beta) = (1 - \\beta) \\log p_0(x) + \\beta\\, \\ell(x),
              \\qquad 0 \\le \\beta \\le 1

    Base and target are evaluated once per position, whatever the inverse temperatures are.

    Arguments:
        base: the law at beta = 0, normalised.
        kernel: its ``log_density`` is the law at beta = 1; its moves are used at every beta.
        step_size: of the moves at an inverse temperature; by default the kernel's own.
            ``adaptation.adapted`` finds one.

    Reference:
        Neal 2001, "Annealed importance sampling", eq. 3; Gelman & Meng 1998, "Simulating
        normalizing constants", section 4.

    Example:
        >>> from inference.sampling.annealed_importance import annealed_importance_sampling
        >>> from inference.sampling.langevin import MALA
        >>> law = ContinuousLaw(
        ...     NormalBase([0.0]), MALA(lambda x: -2 * (x - 1).square().sum(1), step_size=0.7)
        ... )
        >>> found = annealed_importance_sampling(law, betas=50, generator=0)
        >>> abs(float(found) - 0.5 * math.log(math.pi / 2)) < 6 * found.standard_error
        True
    """

    base: Base
    kernel: ContinuousKernel
    step_size: Callable[[Beta], StepSize] | None = None

    @property
    def device(self) -> torch.device:
        """Where the chains are."""
        return self.base.device

    @property
    def log_base(self) -> float:
        """Zero: the base is normalised."""
        return 0.0

    def start(self, chains: int, generator: torch.Generator) -> PathState:
        """Independent draws from the base."""
        return self.init(self.base.sample(chains, generator))

    def init(self, position: Tensor) -> PathState:
        """State of chains at ``position``, (chain, *event), impossible under the target or not.

        Raises:
            TypeError: if ``position`` holds no floating-point numbers.
            ValueError: if it is elsewhere, or a log density is NaN or +inf there.
        """
        check_position(position, self.device)
        point = self._evaluate(position.detach().clone(), 0.5)
        check_start(point.invalid, point.invalid)
        zeros = torch.zeros_like(point.log_density)
        count = zeros.long()
        return PathState(point.position, point.parts, point.slopes, zeros, count, count)

    def position(self, state: PathState) -> Tensor:
        """Where the chains are, (chain, *event)."""
        return state.position

    def log_density(self, state: PathState, beta: Beta) -> Tensor:
        """(1 - beta) times the base's log density plus beta times the target's, (chain,)."""
        return _mixed(state.parts, beta)

    def step(self, state: PathState, beta: Beta, generator: torch.Generator) -> PathState:
        """State after a step of the kernel under the law at ``beta``."""
        step_size = self.kernel.step_size if self.step_size is None else self.step_size(beta)
        return self.moved(state, beta, step_size, generator)

    def moved(
        self, state: PathState, beta: Beta, step_size: StepSize, generator: torch.Generator
    ) -> PathState:
        """State after one step of another size."""
        point = _path_point(state.position, state.parts, state.slopes, beta)
        evaluate = partial(self._evaluate, beta=beta)
        point, outcome = self.kernel.transition(point, evaluate, step_size, generator)
        counts = counted(state.divergent, state.invalid, outcome)
        return PathState(point.position, point.parts, point.slopes, *counts)

    def _evaluate(self, position: Tensor, beta: Beta) -> _PathPoint:
        differentiates = self.kernel.differentiates
        base = evaluate(self.base.log_prob, position, differentiates)
        target = evaluate(self.kernel.log_density, position, differentiates)
        parts = torch.stack([base.log_density, target.log_density], 1)
        slopes = torch.stack([base.gradient, target.gradient], 1)
        return _path_point(position, parts, slopes, beta)


def tempered(log_density: LogDensity, beta: Beta) -> LogDensity:
    """A log density times an inverse temperature; zero times -inf is zero.

    .. math:: p_\\beta(x) \\propto p(x)^\\beta

    Arguments:
        log_density: of the law at beta = 1.
        beta: inverse temperature, not negative: one, or one per chain, (chain,).

    Raises:
        ValueError: if ``beta`` is negative or NaN.

    Example:
        >>> hot = tempered(lambda x: -x.square().sum(1), torch.tensor([1.0, 0.5]))
        >>> hot(torch.ones(2, 1)).tolist()
        [-1.0, -0.5]
    """
    if not bool((torch.as_tensor(beta) >= 0).all()):
        raise ValueError(f"beta must not be negative or NaN, found {beta}")

    def scaled(position: Tensor) -> Tensor:
        return _times(beta, log_density(position))

    return scaled


def _times(beta: Beta, values: Tensor) -> Tensor:
    """Log densities times an inverse temperature, where zero times -inf is zero."""
    return beta * values.masked_fill(values.isneginf() & (beta == 0), 0.0)


def _mixed(parts: Tensor, beta: Beta) -> Tensor:
    """Log density on the path from those of base and target, (chain, 2)."""
    logs = parts.nan_to_num(nan=-math.inf, posinf=-math.inf, neginf=-math.inf)
    return _times(1 - beta, logs[:, 0]) + _times(beta, logs[:, 1])


def _path_point(position: Tensor, parts: Tensor, slopes: Tensor, beta: Beta) -> _PathPoint:
    """A point of the path at an inverse temperature from that of base and target."""
    # Where the target is impossible its slope may be no number. Any slope leaves moves exact.
    slope = slopes.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    share = across(beta.to(slope.dtype), slope[:, 0]) if isinstance(beta, Tensor) else beta
    gradient = (1 - share) * slope[:, 0] + share * slope[:, 1]
    return _PathPoint(position, _mixed(parts, beta), gradient, parts, slopes)
