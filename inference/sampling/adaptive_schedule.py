"""Where on a path of laws to stop, found by a pilot run that does not enter the estimate.

.. math:: \\frac{\\bigl(\\sum_i W_i v_i\\bigr)^2}{\\sum_i W_i v_i^2} = 0.99, \\qquad
          v_i = e^{g(x_i, \\beta_{k+1}) - g(x_i, \\beta_k)}
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inference.inputs import as_whole
from inference.progress import progress_bar
from inference.random import GeneratorLike, as_generator
from inference.sampling.annealed_path import rising
from inference.sampling.kernel import S, TemperedLaw
from inference.sampling.laws import Tempered, as_tempered_law
from inference.sampling.resampling import Resampling

__all__ = ["adaptive_schedule", "as_path"]

#: Chains of the pilot, and how even one step of it leaves their weights.
PILOTS, EVENNESS = 256, 0.99

#: How many steps of the run make up for one of the pilot: at least so many, and one more for
#: every so many steps of the pilot. Unevenness adds up over steps and falls with their number, so
#: that long paths need finer ones; intervals are only to be trusted well above where they are
#: withheld, as runs that are just let pass are those that were lucky.
FEWEST, PER_STEPS = 3, 15

#: Longest pilot, and trials for one of its steps.
MOST_STEPS, TRIALS = 20_000, 60


def as_path(
    betas: Any, law: TemperedLaw[S], generator: torch.Generator, progress: bool | None = None
) -> np.ndarray:
    """Inverse temperatures of a run: a user's, a number of equal steps, or a pilot's.

    Arguments:
        betas: rising from 0, or how many steps from 0 to 1, or None for a pilot.
        law: the path of laws.
        generator: of the pilot's draws.
        progress: a bar; None shows it on a terminal.

    Raises:
        ValueError: betas that do not rise from 0, no step.
    """
    if betas is None:
        return adaptive_schedule(law, generator, progress=progress)
    if isinstance(betas, int | np.integer):
        return np.linspace(0.0, 1.0, as_whole("betas", betas, least=1) + 1)
    return rising(betas)


def adaptive_schedule(
    model: Tempered,
    generator: GeneratorLike = None,
    *,
    chains: int = PILOTS,
    evenness: float = EVENNESS,
    refine: int | None = None,
    progress: bool | None = None,
) -> np.ndarray:
    """Inverse temperatures from 0 to 1, dense where the law changes fast.

    .. math:: \\mathrm{cESS}(\\beta_k, \\beta_{k+1}) = \\tau C

    A pilot takes steps that leave the weights of its chains that even; the schedule has the shape
    of its steps, every one cut into smaller ones, more where the path is long. Estimates must come
    from other chains: steps that follow the chains they are taken with bias them.

    Arguments:
        model: an energy model, a path of laws, a compiled density, or a factor graph.
        generator: of the pilot's draws: None, a seed or a generator.
        chains: of the pilot.
        evenness: tau, the share of chains that stay effective in one step of the pilot, between 0
            and 1.
        refine: steps of the schedule per step of the pilot; by default three, or more.
        progress: a bar; None shows it on a terminal.

    Raises:
        TypeError: a model without a path of laws.
        ValueError: no chain starts at a possible state, a log density is NaN, the pilot does not
            reach 1, or an evenness that is no share.

    Reference:
        Zhou, Johansen & Aston 2016, "Toward automatic model comparison: an adaptive sequential
        Monte Carlo approach", section 3.2 (conditional effective sample size).

    Example:
        >>> from inference.exact.factor import Factor
        >>> from inference.exact.graph import FactorGraph
        >>> bit = FactorGraph({"a": 2}, [Factor(["a"], [0.0, 1.0])])
        >>> len(adaptive_schedule(bit, 0))
        19
    """
    if refine is not None:
        as_whole("refine", refine, least=1)
    if not 0 < evenness < 1:
        raise ValueError(f"evenness must be between 0 and 1, found {evenness}")
    law = as_tempered_law(model)
    generator = as_generator(generator, law.device)
    state = law.start(as_whole("chains", chains, least=2), generator)
    logs = torch.zeros(chains, dtype=torch.float64, device=law.device)
    even = Resampling()
    path, step = [0.0], 1.0
    with progress_bar(None, "choosing temperatures", progress) as bar:
        while path[-1] < 1:
            if len(path) > MOST_STEPS:
                raise ValueError(
                    f"the law at beta = 1 is further than {MOST_STEPS} steps of a pilot from the "
                    f"one at 0 (now at {path[-1]:.3g}); pass betas"
                )
            step, gains = _longest_step(law, state, logs, path[-1], step, evenness)
            path.append(1.0 if path[-1] + step >= 1 else path[-1] + step)
            logs, state = even.apply(logs + gains, state, generator)
            state = law.step(state, path[-1], generator)
            bar.update(1)
    steps = len(path) - 1
    refine = refine or max(FEWEST, math.ceil(steps / PER_STEPS))
    return np.interp(np.linspace(0, steps, refine * steps + 1), np.arange(steps + 1), path)


def _longest_step(
    law: TemperedLaw[S], state: S, logs: Tensor, beta: float, guess: float, evenness: float
) -> tuple[float, Tensor]:
    """A step that leaves the weights just even enough, and what they gain by it.

    How uneven they become grows like the square of the step, which makes for a good next trial;
    known bounds keep it honest.
    """
    low, high = 0.0, math.inf
    found: tuple[float, Tensor] | None = None
    trial, rest = min(guess, 1 - beta), 1 - beta
    for _ in range(TRIALS):
        gains = law.log_ratio(state, beta, beta + trial)
        uneven = 1 - _conditional_evenness(logs, gains)
        if uneven <= 1 - evenness:
            low, found = trial, (trial, gains)
            if trial == rest or uneven >= 0.8 * (1 - evenness):
                return found
        else:
            high = trial
        trial *= min(max(math.sqrt(0.9 * (1 - evenness) / max(uneven, 1e-12)), 0.05), 4.0)
        trial = min(trial, rest)
        if not low < trial < high:
            trial = (low + min(high, rest)) / 2
    if found is None:
        raise ValueError(
            f"no step from beta = {beta:.3g} leaves the weights of the pilot even; pass betas"
        )
    return found


def _conditional_evenness(logs: Tensor, gains: Tensor) -> float:
    """Share of effective chains after one step, of those that are still possible.

    What hard zeros take away they take in any step, however short.
    """
    weights = torch.where(gains == -math.inf, -math.inf, logs).softmax(0)
    change = torch.where(weights > 0, gains, -math.inf)
    ratios = (change - change.max()).exp()
    found = float((weights @ ratios).square() / (weights @ ratios.square()))
    if math.isnan(found):
        raise ValueError(
            "no chain started at a possible state, or log_density gave NaN: the hard zeros leave "
            "too few of them for annealing from the base law; use an exact method"
        )
    return found
