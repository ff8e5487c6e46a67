"""Steps along the slope of a log density plus noise: Langevin dynamics, and made exact.

.. math:: x' = x + \\frac{\\epsilon^2}{2} \\nabla \\ell(x) + \\epsilon z,
          \\qquad z \\sim N(0, I)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from inference.sampling.continuous import LogDensity, P, sum_event
from inference.sampling.metropolis import CPU, ContinuousKernel, StepSize, reachable

__all__ = ["MALA", "ULA"]


@dataclass(frozen=True, eq=False)
class ULA(ContinuousKernel):
    """Unadjusted Langevin steps: fast, and **biased**.

    .. math:: x' = x + \\frac{\\epsilon^2 \\sigma^2}{2} \\nabla \\ell(x) + \\epsilon \\sigma z

    What it leaves invariant is not the law but one nearby, for a standard normal law
    :math:`N(0, (1 - \\epsilon^2 / 4)^{-1})`; the error vanishes with the square of the step size,
    the number of steps needed grows with its inverse. Nothing is rejected, except steps to where
    the density is zero or has no slope. Use :class:`MALA` where exactness matters.

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

    def target_acceptance(self, size: int) -> None:
        """None: every step is taken, whatever its size."""
        return None

    def proposed(
        self, point: P, evaluate: Callable[[Tensor], P], noise: Tensor, width: float | Tensor
    ) -> tuple[P, Tensor, Tensor]:
        """A step along slope and noise, whatever its weight."""
        proposal, reached = _langevin(point, evaluate, width, noise)
        # From where there is no slope no step would lead on.
        sloping = proposal.gradient.isfinite().reshape(len(reached), -1).all(1)
        return proposal, torch.zeros_like(point.log_density), reached & sloping


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

    def target_acceptance(self, size: int) -> float:
        """Best for a product of many equal laws."""
        return 0.574

    def proposed(
        self, point: P, evaluate: Callable[[Tensor], P], noise: Tensor, width: float | Tensor
    ) -> tuple[P, Tensor, Tensor]:
        """A step along slope and noise, and what the step back would weigh."""
        proposal, reached = _langevin(point, evaluate, width, noise)
        # The noise that would lead back, up to its sign.
        back = noise + 0.5 * width * (point.gradient + proposal.gradient)
        kinetic = 0.5 * sum_event(noise.square() - back.square()).double()
        return proposal, proposal.log_density - point.log_density + kinetic, reached


def _langevin(
    point: P, evaluate: Callable[[Tensor], P], width: float | Tensor, noise: Tensor
) -> tuple[P, Tensor]:
    """Where a step leads, and which chains' steps are finite, (chain,)."""
    drift = width * (noise + 0.5 * width * point.gradient)
    position, reached = reachable(point.position + drift, point.position)
    return evaluate(position), reached
