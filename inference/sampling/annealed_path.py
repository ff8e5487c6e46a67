"""Chains that follow a path of laws, and the weights that they gather on the way.

.. math:: \\ell_k = \\ell_{k-1} + g(x_{k-1}, \\beta_k) - g(x_{k-1}, \\beta_{k-1}), \\qquad
          x_k \\sim K_{\\beta_k}(x_{k-1}, \\cdot)
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inference.inputs import as_tensors
from inference.progress import progress_bar
from inference.sampling.kernel import S, TemperedLaw
from inference.sampling.resampling import Resampling

__all__ = ["follow", "rising"]


def follow(
    law: TemperedLaw[S],
    state: S,
    path: np.ndarray,
    generator: torch.Generator,
    *,
    resampling: Resampling | None = None,
    description: str = "annealing",
    progress: bool | None = None,
) -> tuple[Tensor, S]:
    """Weights that chains gather along a path of inverse temperatures, and where they end.

    .. math:: \\mathbb{E}\\, e^{\\ell_K} = Z_{\\beta_K} / Z_{\\beta_0}

    The path may lead either way, and must be fixed before the chains start, which are draws from
    the law at its beginning. Resampling keeps the mean weight of every island.

    Arguments:
        law: the path of laws.
        state: of the chains at the first inverse temperature.
        path: inverse temperatures, (K + 1,).
        generator: of the draws.
        resampling: of chains whose weights have become uneven.
        description: of the bar.
        progress: a bar; None shows it on a terminal.

    Shapes:
        log weights: (chain,), float64, nats.

    Reference:
        Neal 2001, "Annealed importance sampling", eq. 11; Del Moral, Doucet & Jasra 2006,
        "Sequential Monte Carlo samplers", section 3.
    """
    logs = torch.zeros((), dtype=torch.float64, device=law.device)
    with progress_bar(len(path) - 1, description, progress) as bar:
        for before, after in pairwise(path.tolist()):
            logs = logs + law.log_ratio(state, before, after)
            if resampling is not None:
                logs, state = resampling.apply(logs, state, generator)
            state = law.step(state, after, generator)
            bar.update(1)
    return logs, state


def rising(betas: Any) -> np.ndarray:
    """A user's inverse temperatures, checked: they rise from 0.

    Raises:
        ValueError: if they do not, or there are fewer than two.
    """
    path = as_tensors(betas=betas)[0].detach().double().cpu().numpy()
    if path.ndim != 1 or len(path) < 2 or path[0] != 0 or not (np.diff(path) > 0).all():
        raise ValueError(f"betas must rise from 0, or be a number of steps >= 1, found {betas!r}")
    if not path[-1] < math.inf:
        raise ValueError(f"betas must be finite, found {path[-1]}")
    return path
