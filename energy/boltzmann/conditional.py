"""States of all units given those that are known: drawn by chains, or searched for.

.. math:: x_F \\sim p(x_F \\mid x_K), \\qquad \\hat x_F = \\arg\\max_{x_F} p(x_F \\mid x_K)
"""

from __future__ import annotations

import torch
from torch import Tensor

from energy.boltzmann.dense_law import DenseLaw
from energy.boltzmann.exact import MOST_FREE, heaviest_state
from inference.random import GeneratorLike
from inference.sampling.annealing import simulated_annealing
from inference.sampling.schedules import settling_schedule

__all__ = ["completed", "most_probable_given"]


def completed(law: DenseLaw, rows: Tensor, sweeps: int, generator: torch.Generator) -> Tensor:
    """Rows after sweeps of a chain each, whose known units are held; beta rises in the first half.

    Arguments:
        law: of the machine.
        rows: all units, -1 for one that is drawn.
        sweeps: length of the chains.
        generator: of the draws.

    Shapes:
        rows: (R, n). result: the same, in the type of the law.

    Example:
        >>> law = DenseLaw(torch.zeros(2, 2), torch.tensor([0.0, 90.0]))
        >>> completed(law, torch.tensor([[0, -1]]), 9, torch.Generator().manual_seed(0)).tolist()
        [[0.0, 1.0]]
    """
    known, drawn = rows >= 0, law.start(len(rows), generator).units
    state = law.init(torch.where(known, rows.to(drawn), drawn))
    return law.run(state, settling_schedule(sweeps), generator, known).units


def most_probable_given(
    weights: Tensor,
    bias: Tensor,
    row: Tensor,
    *,
    sweeps: int = 1000,
    chains: int = 32,
    generator: GeneratorLike = None,
    progress: bool | None = None,
) -> Tensor:
    """A heaviest state that agrees with a row, (n,).

    Up to 22 free units all states are compared; more are searched by simulated annealing.

    Arguments:
        weights: W over the temperature, symmetric with a diagonal of zeros, (n, n).
        bias: b over the temperature, (n,).
        row: 0, 1 and -1 for a unit that is free, (n,).
        sweeps: of the annealing.
        chains: independent searches.
        generator: None, a seed or a generator.
        progress: a bar; None shows it on a terminal.

    Example:
        >>> weights = torch.tensor([[0.0, -2.0], [-2.0, 0.0]])
        >>> most_probable_given(weights, torch.ones(2), torch.tensor([1, -1])).tolist()
        [1.0, 0.0]
    """
    free, filled = (row < 0).nonzero()[:, 0], row.to(bias)
    if not len(free):
        return filled
    among = weights[free[:, None], free]
    fields = (bias + filled.clamp_min(0) @ weights)[free]
    if len(free) <= MOST_FREE:
        found = heaviest_state(among, fields)
    else:
        found = simulated_annealing(
            DenseLaw(among, fields, rule="metropolis"),
            sweeps=sweeps,
            chains=chains,
            generator=generator,
            progress=progress,
        ).best
    return filled.index_copy(0, free, found.to(filled))
