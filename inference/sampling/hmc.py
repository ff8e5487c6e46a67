"""Hamiltonian Monte Carlo: positions move along trajectories of a mechanical system.

.. math:: H(x, p) = -\\ell(x) + \\frac12 \\sum_i \\sigma_i^2 p_i^2, \\qquad
          \\dot x = \\sigma^2 p, \\quad \\dot p = \\nabla \\ell(x)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from inference.inputs import as_whole
from inference.sampling.continuous import Evaluated, LogDensity, P, sum_event
from inference.sampling.metropolis import CPU, ContinuousKernel, StepSize

__all__ = ["HMC", "leapfrog"]


@dataclass(frozen=True, eq=False)
class HMC(ContinuousKernel):
    """Hamiltonian Monte Carlo with a number of leapfrog steps and a diagonal mass.

    .. math:: z \\sim N(0, I), \\quad (x', z') = \\Phi_\\epsilon^L(x, z), \\quad
              a = \\min\\bigl(1, e^{\\ell(x') - \\ell(x) + (|z|^2 - |z'|^2) / 2}\\bigr)

    The momentum is held in units z in which it is standard normal; the mass is the inverse
    square of ``scale``. Trajectories of one length can return to where they began, and then a
    chain does not mix: ``jitter`` spreads the lengths.

    Arguments:
        log_density: of the law, differentiable.
        step_size: of all chains, or one for each, (chain,).
        steps: leapfrog steps of a trajectory.
        scale: standard deviations sigma that multiply the step size, one or an event of them.
        jitter: step sizes are multiplied by a uniform number from 1 - jitter to 1 + jitter, for
            every trajectory of every chain.
        device: where the chains are.

    Raises:
        ValueError: if a step size or scale is not positive, there are no steps, or the jitter is
            outside [0, 1).

    Reference:
        Neal 2011, "MCMC using Hamiltonian dynamics", sections 5.2.3, 5.3.2 and 5.4.2.2;
        Beskos et al. 2013, "Optimal tuning of the hybrid Monte Carlo algorithm" (the acceptance
        aimed at is safely above their 0.65).

    Example:
        >>> kernel = HMC(lambda x: -0.5 * x.square().sum(1), step_size=0.2, steps=8)
        >>> state = kernel.init(torch.zeros(8, 2))
        >>> bool((kernel.step(state, torch.Generator().manual_seed(0)).acceptance > 0.9).all())
        True
    """

    log_density: LogDensity
    step_size: StepSize
    steps: int = 10
    scale: float | Tensor = 1.0
    jitter: float = 0.2
    device: torch.device = CPU

    def __post_init__(self) -> None:
        super().__post_init__()
        as_whole("steps", self.steps, least=1)
        if not 0 <= self.jitter < 1:
            raise ValueError(f"jitter must be in [0, 1), found {self.jitter}")

    def target_acceptance(self, size: int) -> float:
        """Above the best for a product of many equal laws, as other laws want shorter steps."""
        return 0.8

    def width(
        self, point: Evaluated, step_size: StepSize, generator: torch.Generator
    ) -> float | Tensor:
        """Step sizes, jittered for every trajectory, times scales."""
        if self.jitter:
            like = point.log_density
            uniform = torch.rand(
                like.shape, dtype=like.dtype, device=like.device, generator=generator
            )
            step_size = step_size * (1 + self.jitter * (2 * uniform - 1))
        return super().width(point, step_size, generator)

    def proposed(
        self, point: P, evaluate: Callable[[Tensor], P], noise: Tensor, width: float | Tensor
    ) -> tuple[P, Tensor, Tensor]:
        """The end of a trajectory that the noise sets off."""
        proposal, back, reached = leapfrog(point, noise, evaluate, width, self.steps)
        kinetic = 0.5 * sum_event(noise.square() - back.square()).double()
        return proposal, proposal.log_density - point.log_density + kinetic, reached


def leapfrog(
    point: P, momentum: Tensor, evaluate: Callable[[Tensor], P], width: float | Tensor, steps: int
) -> tuple[P, Tensor, Tensor]:
    """Follow trajectories of all chains for some steps.

    .. math:: z \\leftarrow z + \\tfrac{w}{2} \\nabla \\ell(x), \\quad
              x \\leftarrow x + w z, \\quad
              z \\leftarrow z + \\tfrac{w}{2} \\nabla \\ell(x)

    Reversible and volume-preserving, whatever the function that takes the slope's place.

    Arguments:
        point: where the chains are.
        momentum: z, in units in which its law is standard normal.
        evaluate: gives the point at a position.
        width: step sizes times scales.
        steps: how many.

    Shapes:
        momentum: (chain, *event). width: broadcasts to it.

    Returns:
        The points at the end, the momenta there, and which chains stayed finite, (chain,);
        the others' trajectories are cut and end somewhere.

    Reference:
        Neal 2011, eq. 5.18 to 5.20.
    """
    half = 0.5 * width
    broken = torch.zeros_like(momentum)
    momentum = _shifted(momentum, half, point.gradient)
    for step in range(steps):
        position = _shifted(point.position, width, momentum)
        # Zero times what is not finite is no number, and stays none: one test at the end will do.
        broken = torch.add(broken, position, alpha=0.0)
        point = evaluate(position.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0))
        momentum = _shifted(momentum, width if step < steps - 1 else half, point.gradient)
    return point, momentum, broken.isfinite().reshape(len(broken), -1).all(1)


def _shifted(x: Tensor, width: float | Tensor, along: Tensor) -> Tensor:
    """X + width * along."""
    if isinstance(width, Tensor):
        return torch.addcmul(x, along, width)
    return torch.add(x, along, alpha=width)
