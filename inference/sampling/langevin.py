"""Steps along the slope of a log density plus noise: Langevin dynamics, and made exact.

.. math:: x' = x + \\frac{\\epsilon^2}{2} \\nabla \\ell(x) + \\epsilon z,
          \\qquad z \\sim N(0, I)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from inference.sampling.continuous import LogDensity, Outcome, P, normal_like, sum_event
from inference.sampling.metropolis import (
    CPU,
    ContinuousKernel,
    StepSize,
    metropolis,
    reachable,
    spread,
)

__all__ = ["MALA", "ULA"]


@dataclass(frozen=True, eq=False)
class ULA(ContinuousKernel):
    """Unadjusted Langevin steps: fast, and **biased**.

    .. math:: x' = x + \\frac{\\epsilon^2 \\sigma^2}{2} \\nabla \\ell(x) + \\epsilon \\sigma z

    What it leaves invariant is not the law but one nearby, for a standard normal law
    :math:`N(0, (1 - \\epsilon^2 / 4)^{-1})`; the error vanishes with the square of the step size,
    the number of steps needed grows with its inverse. Nothing is rejected, except steps to where
    the density is zero. Use :class:`MALA` where exactness matters.

    Arguments:
        log_density: of the law, differentiable.
        step_size: of all chains, or one for each, (chain,).
        scale: standard deviations sigma that multiply the step size, one or an event of them.
        device: where the chains are.

    Raises:
        ValueError: if a step size or scale is not positive.

    Reference:
        Roberts & Tweedie 1996, "Exponential convergence of Langevin distributions and their
        discrete approximations", section 1.4.1.

    Example:
        >>> kernel = ULA(lambda x: -0.5 * x.square().sum(1), step_size=0.1)
        >>> state = kernel.init(torch.zeros(8, 2))
        >>> kernel.step(state, torch.Generator().manual_seed(0)).acceptance.tolist()
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """

    log_density: LogDensity
    step_size: StepSize
    scale: float | Tensor = 1.0
    device: torch.device = CPU

    def __post_init__(self) -> None:
        self._check_settings()

    @property
    def differentiates(self) -> bool:
        """Moves follow the slope."""
        return True

    def target_acceptance(self, size: int) -> None:
        """None: every step is taken, whatever its size."""
        return None

    def transition(
        self,
        point: P,
        evaluate: Callable[[Tensor], P],
        step_size: StepSize,
        generator: torch.Generator,
    ) -> tuple[P, Outcome]:
        """Where the chains go next from ``point``."""
        noise = normal_like(point.position, generator)
        width = spread(step_size, self.scale, point.position)
        proposal, reached = _langevin(point, evaluate, width, noise)
        log_ratio = torch.zeros_like(point.log_density)
        return metropolis(point, proposal, log_ratio, generator, reached)


@dataclass(frozen=True, eq=False)
class MALA(ContinuousKernel):
    """Langevin steps accepted or rejected, so that the law is exact.

    .. math:: q(x' \\mid x) = N\\Bigl(x';\\, x + \\frac{\\epsilon^2 \\sigma^2}{2} \\nabla
              \\ell(x),\\, \\epsilon^2 \\sigma^2\\Bigr), \\qquad
              a = \\min\\Bigl(1, \\frac{p(x')\\, q(x \\mid x')}{p(x)\\, q(x' \\mid x)}\\Bigr)

    Arguments:
        log_density: of the law, differentiable.
        step_size: of all chains, or one for each, (chain,).
        scale: standard deviations sigma that multiply the step size, one or an event of them.
        device: where the chains are.

    Raises:
        ValueError: if a step size or scale is not positive.

    Reference:
        Besag 1994, comment on Grenander & Miller; Roberts & Tweedie 1996, section 1.4.2; Roberts
        & Rosenthal 1998, "Optimal scaling of discrete approximations to Langevin diffusions",
        theorems 1 and 2 (the acceptance aimed at).

    Example:
        >>> kernel = MALA(lambda x: -0.5 * x.square().sum(1), step_size=0.5)
        >>> state = kernel.init(torch.zeros(8, 2))
        >>> bool((kernel.step(state, torch.Generator().manual_seed(0)).acceptance > 0.9).all())
        True
    """

    log_density: LogDensity
    step_size: StepSize
    scale: float | Tensor = 1.0
    device: torch.device = CPU

    def __post_init__(self) -> None:
        self._check_settings()

    @property
    def differentiates(self) -> bool:
        """Moves follow the slope."""
        return True

    def target_acceptance(self, size: int) -> float:
        """Best for a product of many equal laws."""
        return 0.574

    def transition(
        self,
        point: P,
        evaluate: Callable[[Tensor], P],
        step_size: StepSize,
        generator: torch.Generator,
    ) -> tuple[P, Outcome]:
        """Where the chains go next from ``point``."""
        noise = normal_like(point.position, generator)
        width = spread(step_size, self.scale, point.position)
        proposal, reached = _langevin(point, evaluate, width, noise)
        # The noise that would lead back, up to its sign.
        back = noise + 0.5 * width * (point.gradient + proposal.gradient)
        kinetic = 0.5 * sum_event(noise.square() - back.square()).double()
        log_ratio = proposal.log_density - point.log_density + kinetic
        return metropolis(point, proposal, log_ratio, generator, reached)


def _langevin(
    point: P, evaluate: Callable[[Tensor], P], width: float | Tensor, noise: Tensor
) -> tuple[P, Tensor]:
    """Where a step leads, and which chains' steps are finite, (chain,)."""
    drift = width * (noise + 0.5 * width * point.gradient)
    position, reached = reachable(point.position + drift, point.position)
    return evaluate(position), reached
