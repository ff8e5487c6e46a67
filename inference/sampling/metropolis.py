"""The rule of Metropolis: propose a move, accept or reject it, so that a law stays as it is.

.. math:: a(x, x') = \\min\\Bigl(1, \\frac{p(x')\\, q(x \\mid x')}{p(x)\\, q(x' \\mid x)}\\Bigr)
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, TypeAlias, TypeVar

import torch
from torch import Tensor

from inference.inputs import as_tensor
from inference.sampling.continuous import (
    Evaluated,
    LogDensity,
    Outcome,
    P,
    Point,
    across,
    check_position,
    check_start,
    counted,
    evaluate,
    normal_like,
)

__all__ = [
    "CPU",
    "ContinuousKernel",
    "ContinuousState",
    "RandomWalk",
    "StepSize",
    "Weighted",
    "metropolis",
    "reachable",
]

#: Where chains are unless something else is said.
CPU = torch.device("cpu")

#: A step size for all chains, or one for each, (chain,).
StepSize: TypeAlias = float | Tensor

#: A proposal whose weight is this many nats too small counts as divergent.
DIVERGENT = 1000.0


class Weighted(Protocol):
    """A named tuple of tensors with what the rule reads of a point, chains first."""

    @property
    def log_density(self) -> Tensor:
        """Log densities, (chain,) float64, nats."""
        ...

    @property
    def invalid(self) -> Tensor:
        """Whether the user's function failed there, (chain,)."""
        ...


W = TypeVar("W", bound=Weighted)


class ContinuousState(NamedTuple):
    """Chains of a continuous law; ``divergent`` and ``invalid`` count proposals, int64."""

    position: Tensor
    log_density: Tensor
    gradient: Tensor
    acceptance: Tensor
    divergent: Tensor
    invalid: Tensor


class ContinuousKernel(ABC):
    """A move of real variables with a step size; the final classes are frozen dataclasses.

    Attributes:
        log_density: of the law.
        step_size: of all chains, or one for each, (chain,).
        scale: standard deviations that multiply the step size, one or an event of them.
        device: where the chains are.
        differentiates: whether moves use the slope of the log density.
    """

    log_density: LogDensity
    step_size: StepSize
    scale: float | Tensor
    device: torch.device
    differentiates: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse a step size or scale that is not positive; arrays and lists become tensors."""
        object.__setattr__(self, "device", torch.device(self.device))
        for name in ("step_size", "scale"):
            value = as_tensor(name, getattr(self, name))
            if not bool(((value > 0) & value.isfinite()).all()):
                raise ValueError(f"{name} must be positive and finite, found {value.tolist()}")
            if not isinstance(getattr(self, name), int | float):
                object.__setattr__(self, name, value)

    @abstractmethod
    def target_acceptance(self, size: int) -> float | None:
        """Mean acceptance at the best step size, for ``size`` numbers per chain."""

    @abstractmethod
    def proposed(
        self, point: P, evaluate: Callable[[Tensor], P], noise: Tensor, width: float | Tensor
    ) -> tuple[P, Tensor, Tensor]:
        """Where the chains might go, the log ratio and whether they can, see ``metropolis``.

        Arguments:
            point: where the chains are.
            evaluate: gives the point at a position, under the law to be kept.
            noise: standard normal numbers, (chain, *event).
            width: step sizes times scales.
        """

    def width(
        self, point: Evaluated, step_size: StepSize, generator: torch.Generator
    ) -> float | Tensor:
        """Step sizes times scales, such that they multiply positions (chain, *event)."""
        size = step_size
        if isinstance(size, Tensor):
            size = across(size.to(point.position.dtype), point.position)
        scale = self.scale
        return size * (scale.to(point.position.dtype) if isinstance(scale, Tensor) else scale)

    def transition(
        self,
        point: P,
        evaluate: Callable[[Tensor], P],
        step_size: StepSize,
        generator: torch.Generator,
    ) -> tuple[P, Outcome]:
        """Where the chains go next from ``point``, under the law that ``evaluate`` evaluates."""
        _check_fit(point.position, step_size, self.scale)
        noise = normal_like(point.position, generator)
        width = self.width(point, step_size, generator)
        proposal, log_ratio, reached = self.proposed(point, evaluate, noise, width)
        return metropolis(point, proposal, log_ratio, generator, reached)

    def init(self, position: Tensor) -> ContinuousState:
        """State of chains at ``position``, (chain, *event).

        Raises:
            TypeError: if ``position`` holds no floating-point numbers.
            ValueError: if it is on another device, or a chain has no finite log density there.
        """
        check_position(position, self.device)
        point = self._evaluate(position.detach().clone())
        check_start(~point.log_density.isfinite() | point.invalid, point.invalid)
        zeros = torch.zeros_like(point.log_density)
        count = zeros.long()
        return ContinuousState(*point, zeros, count, count)

    def step(self, state: ContinuousState, generator: torch.Generator) -> ContinuousState:
        """State after one step."""
        return self.moved(state, self.step_size, generator)

    def moved(
        self, state: ContinuousState, step_size: StepSize, generator: torch.Generator
    ) -> ContinuousState:
        """State after one step of another size."""
        point = Point(*state[:3])
        point, outcome = self.transition(point, self._evaluate, step_size, generator)
        counts = counted(state.divergent, state.invalid, outcome)
        return ContinuousState(*point, *counts)

    def position(self, state: ContinuousState) -> Tensor:
        """Where the chains are, (chain, *event)."""
        return state.position

    def _evaluate(self, position: Tensor) -> Point:
        return evaluate(self.log_density, position, self.differentiates)


def metropolis(
    point: W, proposal: W, log_ratio: Tensor, generator: torch.Generator, reached: Tensor
) -> tuple[W, Outcome]:
    """Accept or reject the proposals of all chains.

    .. math:: a = \\min\\Bigl(1, \\frac{p(x')\\, q(x \\mid x')}{p(x)\\, q(x' \\mid x)}\\Bigr)

    Arguments:
        point: where the chains are, a named tuple of tensors with chains first.
        proposal: where they might go.
        log_ratio: logarithm of the fraction, (chain,); NaN is -inf.
        generator: for one uniform number per chain.
        reached: chains that have a proposal, (chain,), see ``reachable``.

    Reference:
        Hastings 1970, "Monte Carlo sampling methods using Markov chains and their applications",
        section 2.
    """
    hopeless = log_ratio.isnan() | ~(reached & proposal.log_density.isfinite())
    log_ratio = log_ratio.masked_fill(hopeless, -math.inf)
    acceptance = log_ratio.clamp(max=0.0).exp()
    uniform = torch.rand(
        acceptance.shape, dtype=torch.float64, device=acceptance.device, generator=generator
    )
    taken = uniform < acceptance
    parts: Any = zip(point, proposal, strict=True)  # type: ignore[call-overload]
    chosen: Any = [torch.where(across(taken, old), new, old) for old, new in parts]
    return type(point)(*chosen), Outcome(acceptance, log_ratio < -DIVERGENT, proposal.invalid)


def reachable(position: Tensor, origin: Tensor) -> tuple[Tensor, Tensor]:
    """Positions that no number has left the range of, and which chains' they are, (chain,).

    The other chains are given back their origin, where a log density can be computed.
    """
    finite = position.isfinite().reshape(len(position), -1).all(1)
    return torch.where(across(finite, position), position, origin), finite


def _check_fit(position: Tensor, step_size: StepSize, scale: float | Tensor) -> None:
    """Refuse step sizes and scales of other chains or events: they would make more of both."""
    chains, *event = position.shape
    if isinstance(step_size, Tensor) and step_size.numel() not in (1, chains):
        raise ValueError(
            f"step_size must be one number or one for each of {chains} chains, "
            f"found shape {tuple(step_size.shape)}"
        )
    if isinstance(scale, Tensor):
        pairs = zip(reversed(scale.shape), reversed(position.shape), strict=False)
        if scale.ndim > position.ndim or any([n not in (1, most) for n, most in pairs]):
            raise ValueError(
                f"scale must be one number or an event {tuple(event)} of them, "
                f"found shape {tuple(scale.shape)}"
            )


@dataclass(frozen=True, eq=False)
class RandomWalk(ContinuousKernel):
    """Metropolis with normal steps around where a chain is.

    .. math:: x' = x + \\epsilon \\sigma \\odot z, \\qquad z \\sim N(0, I)

    Arguments:
        log_density: of the law; needs no gradient.
        step_size: of all chains, or one for each, (chain,).
        scale: standard deviations that multiply the step size, one or an event of them.
        device: where the chains are.

    Raises:
        ValueError: if a step size or scale is not positive.

    Reference:
        Metropolis et al. 1953, "Equation of state calculations by fast computing machines";
        Roberts, Gelman & Gilks 1997, "Weak convergence and optimal scaling of random walk
        Metropolis algorithms", corollary 1.2 (the acceptance aimed at).

    Example:
        >>> kernel = RandomWalk(lambda x: -x.abs().sum(1), step_size=1.0)
        >>> state = kernel.init(torch.zeros(8, 2))
        >>> kernel.step(state, torch.Generator().manual_seed(0)).position.shape
        torch.Size([8, 2])
    """

    log_density: LogDensity
    step_size: StepSize
    scale: float | Tensor = 1.0
    device: torch.device = CPU
    differentiates: ClassVar[bool] = False

    def target_acceptance(self, size: int) -> float:
        """Best for a product of many equal laws, and for a single normal one."""
        return 0.234 if size > 1 else 0.44

    def proposed(
        self, point: P, evaluate: Callable[[Tensor], P], noise: Tensor, width: float | Tensor
    ) -> tuple[P, Tensor, Tensor]:
        """A step along the noise."""
        position, reached = reachable(point.position + width * noise, point.position)
        proposal = evaluate(position)
        return proposal, proposal.log_density - point.log_density, reached
