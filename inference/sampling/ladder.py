"""Temperatures between which replicas are exchanged equally often.

.. math:: \\Lambda(\\beta) = \\sum_{k : \\beta_k \\le \\beta} r_k, \\qquad
          \\Lambda(\\beta^{\\text{new}}_k) = \\frac{k}{K - 1} \\Lambda(1)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from inference.inputs import as_whole
from inference.sampling.kernel import S, TemperedLaw
from inference.sampling.replica_exchange import ReplicaExchange, ReplicaState

__all__ = ["advanced", "respaced", "tuned_ladder"]

#: Rungs of the first ladder, of the longest one, and per unit of the barrier.
FIRST, MOST, PER_BARRIER = 8, 256, 3.5

#: The hot end where the law at zero is not the limit of those above it, but has more states.
ABOVE_ZERO = 1e-6

#: How often a ladder is respaced.
ROUNDS = 6


def respaced(betas: np.ndarray, rejections: np.ndarray, rungs: int) -> np.ndarray:
    """Inverse temperatures between which swaps are refused equally often.

    .. math:: \\Lambda(\\beta^{\\text{new}}_k) = \\frac{k}{K - 1} \\sum_j r_j

    The cumulative rejection is taken to be straight between the old rungs.

    Arguments:
        betas: of the old ladder, rising, (J,).
        rejections: by pair, (J - 1,), in [0, 1].
        rungs: of the new one.

    Reference:
        Syed et al. 2022, "Non-reversible parallel tempering", section 5.2 and algorithm 2.

    Example:
        >>> respaced(np.array([0.0, 0.5, 1.0]), np.array([0.6, 0.2]), 3).round(3).tolist()
        [0.0, 0.333, 1.0]
    """
    # Where nothing is refused the rungs still have to rise.
    barrier = np.concatenate([[0.0], np.cumsum(np.maximum(rejections, 1e-6))])
    found = np.interp(
        np.linspace(0.0, barrier[-1], as_whole("rungs", rungs, least=2)), barrier, betas
    )
    found[0], found[-1] = betas[0], betas[-1]
    return found


def tuned_ladder(
    law: TemperedLaw[S],
    rungs: int | None,
    chains: int,
    sweeps: int,
    generator: torch.Generator,
    bar: Any,
) -> tuple[ReplicaExchange[S], ReplicaState]:
    """A ladder from 0 to 1 found by trial, and the replicas that have found it.

    Where hard zeros are no zeros yet at 0, the hot end is just above it: otherwise the replicas
    there would hardly ever be swapped. After each of six rounds the rungs are respaced; a seventh
    lets the replicas settle. The replicas of a new rung start at those of the nearest old one.

    Arguments:
        law: the path of laws.
        rungs: how many; None for 3.5 per unit of the barrier, the sum of the rejections.
        chains: independent ladders.
        sweeps: in all rounds together.
        generator: of the draws.
        bar: told of every sweep.

    Raises:
        ValueError: fewer sweeps than twice the rounds; log densities that are NaN.
    """
    each = as_whole("warmup", sweeps, least=2 * (ROUNDS + 1)) // (ROUNDS + 1)
    first = rungs or FIRST
    inner = law.start(chains * first, generator)
    zeros = bool((law.log_density(inner, 1.0) == -math.inf).any())
    hot = ABOVE_ZERO if zeros else 0.0
    kernel = ReplicaExchange(law, torch.linspace(hot, 1.0, first, dtype=torch.float64))
    state = kernel.resume(inner)
    for _ in range(ROUNDS):
        state = advanced(kernel, state, each, generator, bar)
        rejections = kernel.rejections(state).cpu().numpy()
        wanted = math.ceil(PER_BARRIER * rejections.sum()) + 1
        count = rungs or min(max(wanted, 2), MOST)
        old = kernel.betas.cpu().numpy()
        betas = respaced(old, rejections, count)
        nearest = np.abs(betas[:, None] - old).argmin(1)
        inner = kernel.at_rungs(state, torch.from_numpy(nearest).to(law.device))
        kernel = ReplicaExchange(law, torch.from_numpy(betas))
        state = kernel.resume(inner)
    return kernel, advanced(kernel, state, sweeps - ROUNDS * each, generator, bar)


def advanced(
    kernel: ReplicaExchange[S],
    state: ReplicaState,
    sweeps: int,
    generator: torch.Generator,
    bar: Any,
) -> ReplicaState:
    """State after some steps."""
    for _ in range(sweeps):
        state = kernel.step(state, generator)
        bar.update(1)
    return state
