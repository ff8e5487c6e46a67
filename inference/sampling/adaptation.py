"""Finds the settings of a kernel while its chains warm up: step sizes and scales.

.. math:: \\log \\epsilon_t = \\mu - \\frac{\\sqrt t}{\\gamma\\, (t + t_0)}
          \\sum_{s \\le t} (\\delta - a_s)

A chain whose settings still change is not a Markov chain: adapt first, then sample with what came
out. All chains share a step size and a scale, and together find them faster.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from inference.inputs import as_whole
from inference.progress import progress_bar
from inference.random import GeneratorLike, as_generator
from inference.sampling.continuous_law import ContinuousLaw, PathState
from inference.sampling.kernel import Beta
from inference.sampling.metropolis import ContinuousKernel, ContinuousState

__all__ = [
    "DualAveraging",
    "Moments",
    "StepSizes",
    "adapted",
    "warm_up",
    "windows",
]

#: Shrinkage of the log step size, steps that count less, how fast old ones are forgotten, and how
#: far above the first step size the search leans. The mean acceptance of many chains has less
#: noise than that of one: twice the shrinkage of the paper and a third of its lean settle sooner.
GAMMA, DELAY, FORGET, LEAN = 0.1, 10.0, 0.75, 3.0

#: First steps of a warm-up and the first window that adapts a scale, and the share of the last
#: steps: slow kernels must first leave where too long a step has stranded them.
BEFORE, WINDOW, LAST = 75, 25, 0.25

#: As how many draws the scale so far counts, and which share of its square.
PRIOR_DRAWS, PRIOR_SHARE = 5.0, 1e-3

#: How often a first step size is doubled or halved at most.
DOUBLINGS = 60

K = TypeVar("K", bound=ContinuousKernel)
S = TypeVar("S", bound=ContinuousState | PathState)

#: A step of all chains with a step size.
Move = Callable[[S, Tensor], S]


class DualAveraging(NamedTuple):
    """Stochastic approximation of the step size with a wanted mean acceptance.

    .. math:: \\log \\epsilon_t = \\mu - \\frac{\\sqrt t}{\\gamma (t + t_0)}
              \\sum_{s \\le t} (\\delta - a_s), \\qquad
              \\log \\bar\\epsilon_t = t^{-\\kappa} \\log \\epsilon_t
              + (1 - t^{-\\kappa}) \\log \\bar\\epsilon_{t-1}

    Attributes:
        center: mu, where the search leans to: above the first step size.
        log_step: of the next step.
        log_average: of the step size that is the result.
        shortfall: sum of what acceptances lacked.
        taken: how many steps.

    Shapes:
        all: (), float64, on the device of the chains; nothing waits for their values.

    Reference:
        Nesterov 2009, "Primal-dual subgradient methods for convex problems"; Hoffman & Gelman
        2014, "The No-U-Turn sampler", eq. 6 and section 3.2.1.

    Example:
        >>> found = DualAveraging.start(torch.tensor(1.0, dtype=torch.float64))
        >>> for _ in range(1000):  # an acceptance that is 0.8 at step size 0.25
        ...     found = found.updated(1 - 0.8 * found.step_size.clamp(max=1.25), 0.8)
        >>> 0.24 < found.log_average.exp() < 0.26
        tensor(True)
    """

    center: Tensor
    log_step: Tensor
    log_average: Tensor
    shortfall: Tensor
    taken: Tensor

    @classmethod
    def start(cls, step_size: Tensor) -> DualAveraging:
        """Before the first step."""
        log_step = step_size.double().log()
        zero = torch.zeros_like(log_step)
        return cls(log_step + math.log(LEAN), log_step, zero, zero, zero)

    @property
    def step_size(self) -> Tensor:
        """To be used next."""
        return self.log_step.exp()

    def updated(self, acceptance: Tensor, target: float) -> DualAveraging:
        """After a step with a mean acceptance."""
        taken = self.taken + 1
        shortfall = self.shortfall + target - acceptance
        log_step = self.center - taken.sqrt() / (GAMMA * (taken + DELAY)) * shortfall
        share = taken**-FORGET
        log_average = share * log_step + (1 - share) * self.log_average
        return DualAveraging(self.center, log_step, log_average, shortfall, taken)


class Moments(NamedTuple):
    """Count, mean and sum of squared deviations of draws that come in batches.

    .. math:: S = S_a + S_b + \\frac{n_a n_b}{n_a + n_b} (\\bar x_a - \\bar x_b)^2

    Shapes:
        mean, squares: (*event,), float64.

    Reference:
        Welford 1962, "Note on a method for calculating corrected sums of squares and products";
        Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance", eq. 2.1.

    Example:
        >>> moments = Moments.none(torch.zeros(1, 1)).merged(torch.tensor([[1.0]]))
        >>> moments.merged(torch.tensor([[2.0], [6.0]])).variance.tolist()
        [7.0]
    """

    n: int
    mean: Tensor
    squares: Tensor

    @classmethod
    def none(cls, position: Tensor) -> Moments:
        """Of no draws yet, for positions (chain, *event)."""
        zeros = torch.zeros(position.shape[1:], dtype=torch.float64, device=position.device)
        return cls(0, zeros, zeros)

    def merged(self, draws: Tensor) -> Moments:
        """With more draws, (chain, *event)."""
        draws = draws.double()
        n = self.n + len(draws)
        mean = draws.mean(0)
        gap = mean - self.mean
        squares = self.squares + (draws - mean).square().sum(0)
        squares = squares + gap.square() * (self.n * len(draws) / n)
        return Moments(n, self.mean + gap * (len(draws) / n), squares)

    @property
    def variance(self) -> Tensor:
        """Unbiased, (*event,)."""
        return self.squares / max(self.n - 1, 1)


def windows(steps: int) -> list[int]:
    """Lengths of the parts of a warm-up: no scale, windows that double, no scale.

    Arguments:
        steps: of the whole warm-up.

    Reference:
        Stan Development Team, "Stan reference manual", section "Automatic parameter tuning".

    Example:
        >>> windows(1000)
        [75, 25, 50, 100, 500, 250]
        >>> windows(100)
        [15, 60, 25]
    """
    before, after, window = BEFORE, int(LAST * steps), WINDOW
    if steps < before + window + after:
        before = int(0.15 * steps)
        return [before, steps - before - after, after]
    parts, left = [before], steps - before - after
    while left >= 3 * window:
        parts.append(window)
        left -= window
        window *= 2
    return [*parts, left, after]


def warm_up(
    kernel: K,
    position: Tensor,
    steps: int = 1000,
    *,
    target: float | None = None,
    adapt_scale: bool = True,
    generator: GeneratorLike = None,
    progress: bool | None = None,
) -> tuple[K, ContinuousState]:
    """Run chains while the step size and the scale of their kernel are found.

    .. math:: \\mathbb{E}\\, a(\\epsilon) = \\delta, \\qquad
              \\sigma_i^2 \\approx \\operatorname{var} x_i

    The step size follows the acceptance averaged over chains; the scale comes from the draws of
    all chains in windows that double, so that what is early is forgotten.

    Arguments:
        kernel: with a step size to begin from; any positive number will do.
        position: where chains start, (chain, *event).
        steps: of the warm-up.
        target: mean acceptance aimed at; by default what is best for the kernel.
        adapt_scale: whether the scale is found too, or stays.
        generator: None, a seed or a generator.
        progress: a bar; None shows it on a terminal.

    Returns:
        The kernel with what was found, one step size for all chains; and the state of the chains
        to sample on from.

    Raises:
        TypeError: if the kernel accepts every step.
        ValueError: fewer than ten steps, a target outside (0, 1), or a start the kernel refuses.

    Reference:
        Hoffman & Gelman 2014, section 3.2 and algorithm 5; Carpenter et al. 2017, "Stan: a
        probabilistic programming language", section on warm-up.

    Example:
        >>> from inference.sampling.hmc import HMC
        >>> kernel = HMC(lambda x: -0.5 * (x / torch.tensor([1.0, 9.0])).square().sum(1), 1.0)
        >>> start = torch.zeros(64, 2)
        >>> tuned, state = warm_up(kernel, start, 200, generator=0, progress=False)
        >>> 8 < tuned.scale[1] / tuned.scale[0] < 10
        tensor(True)
    """
    as_whole("steps", steps, least=10)
    source = as_generator(generator, kernel.device)
    state = kernel.init(position)
    target = _target(kernel, position, target)
    parts = windows(steps) if adapt_scale else [steps]
    tuned: Any = kernel
    first = torch.as_tensor(kernel.step_size, dtype=torch.float64, device=kernel.device).mean()
    with progress_bar(steps, "warming up", progress) as bar:
        for number, part in enumerate(parts):
            move = _mover(tuned, source)
            first = _first_step_size(move, state, first)
            inner = 0 < number < len(parts) - 1
            moments = Moments.none(position) if inner else None
            state, first, moments = _averaged(move, state, first, target, part, bar, moments)
            if moments is not None:
                tuned = replace(tuned, scale=_scale(moments, tuned.scale).to(position.dtype))
    tuned = replace(tuned, step_size=float(first))
    return tuned, tuned.init(state.position)


@dataclass(frozen=True, eq=False)
class StepSizes:
    """Step sizes between those found at some inverse temperatures.

    .. math:: \\epsilon(\\beta)^{-2} \\text{ is linear between neighbours}

    as the precision of a normal law is, on a path from another one.

    Arguments:
        betas: where they were found, rising.
        found: the step sizes there.

    Shapes:
        betas, found: (B,), float64.

    Example:
        >>> sizes = StepSizes(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.2]))
        >>> sizes(0.125)
        tensor(0.5000)
    """

    betas: Tensor
    found: Tensor

    def __call__(self, beta: Beta) -> Tensor:
        """Step size at an inverse temperature, (), or at one per chain, (chain,)."""
        beta = torch.as_tensor(beta, dtype=self.betas.dtype, device=self.betas.device)
        above = torch.searchsorted(self.betas, beta).clamp(1, len(self.betas) - 1)
        low, high = self.betas[above - 1], self.betas[above]
        share = ((beta - low) / (high - low)).clamp(0, 1)
        precision = self.found**-2
        return torch.lerp(precision[above - 1], precision[above], share).rsqrt()


def adapted(
    law: ContinuousLaw,
    *,
    betas: int | Iterable[float] = 10,
    chains: int = 100,
    steps: int = 100,
    target: float | None = None,
    generator: GeneratorLike = None,
    progress: bool | None = None,
) -> ContinuousLaw:
    """The path with step sizes that give its moves one mean acceptance all along.

    Chains follow the path from its base; at each of some inverse temperatures they stay until
    the step size is found.

    Arguments:
        law: the path.
        betas: rising inverse temperatures from 0 to 1, or how many steps between them, short
            ones near 0.
        chains: that look for step sizes.
        steps: at every inverse temperature.
        target: mean acceptance aimed at; by default what is best for the law's kernel.
        generator: None, a seed or a generator.
        progress: a bar; None shows it on a terminal.

    Raises:
        TypeError: if the kernel accepts every step.
        ValueError: betas that do not rise from 0 to 1, no chains, fewer than ten steps, or a
            target outside (0, 1).

    Example:
        >>> from inference.sampling.continuous_law import NormalBase
        >>> from inference.sampling.langevin import MALA
        >>> kernel = MALA(lambda x: -50 * x.square().sum(1), step_size=1.0)
        >>> law = adapted(ContinuousLaw(NormalBase([0.0]), kernel), generator=0, progress=False)
        >>> bool(law.step_size(0.0) > 5 * law.step_size(1.0))
        True
    """
    source = as_generator(generator, law.device)
    as_whole("steps", steps, least=10)
    grid = _grid(betas)
    state = law.start(as_whole("chains", chains, least=1), source)
    target = _target(law.kernel, state.position, target)
    first = torch.as_tensor(law.kernel.step_size, dtype=torch.float64, device=law.device).mean()
    found = []
    with progress_bar(len(grid) * steps, "adapting step sizes", progress) as bar:
        for beta in grid:

            def move(state: PathState, step_size: Tensor, beta: float = beta) -> PathState:
                return law.moved(state, beta, step_size, source)

            first = _first_step_size(move, state, first)
            state, first, _ = _averaged(move, state, first, target, steps, bar, None)
            found.append(first)
    sizes = torch.stack(found)
    return replace(law, step_size=StepSizes(torch.tensor(grid).to(sizes), sizes))


def _mover(kernel: ContinuousKernel, source: torch.Generator) -> Move[ContinuousState]:
    """A step of a kernel with another step size."""

    def move(state: ContinuousState, step_size: Tensor) -> ContinuousState:
        return kernel.moved(state, step_size, source)

    return move


def _averaged(
    move: Move[S],
    state: S,
    step_size: Tensor,
    target: float,
    steps: int,
    bar: Any,
    moments: Moments | None,
) -> tuple[S, Tensor, Moments | None]:
    """Chains, the step size and what was gathered after some steps of dual averaging."""
    found = DualAveraging.start(step_size)
    for _ in range(steps):
        state = move(state, found.step_size)
        found = found.updated(state.acceptance.mean(), target)
        if moments is not None:
            moments = moments.merged(state.position)
        bar.update(1)
    return state, found.log_average.exp() if steps else step_size, moments


def _first_step_size(move: Move[S], state: S, step_size: Tensor) -> Tensor:
    """A step size at which about half of the proposals are accepted, by doubling or halving."""
    rising = bool(move(state, step_size).acceptance.mean() > 0.5)
    for _ in range(DOUBLINGS):
        step_size = step_size * (2.0 if rising else 0.5)
        if bool(move(state, step_size).acceptance.mean() > 0.5) != rising:
            break
    return step_size


def _scale(moments: Moments, scale: float | Tensor) -> Tensor:
    """Standard deviations of the draws, with a share of what the scale was."""
    prior = PRIOR_SHARE * torch.as_tensor(scale, dtype=torch.float64).to(moments.mean) ** 2
    weight = moments.n / (moments.n + PRIOR_DRAWS)
    return (weight * moments.variance + (1 - weight) * prior).sqrt()


def _target(kernel: ContinuousKernel, position: Tensor, target: float | None) -> float:
    """The acceptance aimed at."""
    best = kernel.target_acceptance(position[0].numel())
    if best is None:
        raise TypeError(
            f"kernel must accept or reject, found {type(kernel).__name__}, which accepts every "
            "step; choose its step size by hand, or use MALA"
        )
    target = best if target is None else target
    if not 0 < target < 1:
        raise ValueError(f"target must be in (0, 1), found {target}")
    return target


def _grid(betas: int | Iterable[float]) -> list[float]:
    """Inverse temperatures from 0 to 1."""
    if isinstance(betas, int | np.integer):
        steps = as_whole("betas", betas, least=1)
        return [(step / steps) ** 2 for step in range(steps + 1)]
    grid = [float(beta) for beta in betas]
    rises = all(low < high for low, high in pairwise(grid))
    if len(grid) < 2 or grid[0] != 0 or grid[-1] != 1 or not rises:
        raise ValueError(f"betas must rise from 0 to 1, found {grid}")
    return grid
