"""Draws of a law, and its log Z, from chains that are annealed and resampled on the way.

.. math:: x_k \\sim K_{\\beta_k}(x_{k-1}^{(a)}, \\cdot), \\qquad
          P(a = c) \\propto e^{\\ell^{(c)}_k}
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from inference.inputs import as_whole
from inference.random import GeneratorLike, as_generator
from inference.sampling.adaptive_schedule import as_path
from inference.sampling.annealed_path import follow
from inference.sampling.kernel import S, TemperedLaw, select
from inference.sampling.laws import Tempered, as_tempered_law
from inference.sampling.log_partition_estimate import LogPartition
from inference.sampling.resampling import Resampling, ResamplingScheme, ancestors

__all__ = ["ISLANDS", "Particles", "even_draws", "sequential_monte_carlo"]

#: Independent groups that resampling keeps apart: with 8, an error cannot be told from luck.
ISLANDS = 16


@dataclass(frozen=True, eq=False)
class Particles:
    """What sequential Monte Carlo found.

    Attributes:
        samples: positions, all of the same weight, (chain, *event): nearly draws of the law, and
            independent only as far as they have no common ancestor.
        log_partition: log Z, with its error between islands.
        betas: inverse temperatures of the run, (K + 1,).
    """

    samples: Tensor
    log_partition: LogPartition
    betas: np.ndarray


def sequential_monte_carlo(
    model: Tempered,
    *,
    betas: int | np.ndarray | Tensor | None = None,
    chains: int = 512,
    resample: ResamplingScheme = "systematic",
    threshold: float = 0.5,
    islands: int = ISLANDS,
    generator: GeneratorLike = None,
    progress: bool | None = None,
) -> Particles:
    """Anneal chains from the base to the law, replacing those whose weights have become small.

    .. math:: \\log \\hat Z = \\log Z_0 + \\log \\frac1I \\sum_i \\prod_k
              \\Bigl(\\sum_c W_{k-1}^{(i,c)} v_k^{(i,c)}\\Bigr)

    :func:`annealed_importance_sampling` with resampling, that also gives its chains.

    Arguments:
        model: an energy model, a path of laws, a compiled density, or a factor graph.
        betas: rising inverse temperatures from 0, or how many equal steps from 0 to 1, or None
            for as many as a pilot run asks for; the draws are from the last.
        chains: in all islands together.
        resample: how chains are drawn in proportion to their weights.
        threshold: share of effective chains below which an island is resampled; 0 never, 1 always.
        islands: independent groups, which tell the error.
        generator: None, a seed or a generator.
        progress: a bar; None shows it on a terminal.

    Raises:
        TypeError: a model without a path of laws.
        ValueError: betas that do not rise from 0, islands that do not divide the chains, no
            chain that found a possible state, log densities that are NaN or +inf.

    Reference:
        Del Moral, Doucet & Jasra 2006, "Sequential Monte Carlo samplers", section 3.

    Example:
        >>> from inference.exact.factor import Factor
        >>> from inference.exact.graph import FactorGraph
        >>> biased = FactorGraph({"a": 2}, [Factor.from_potential(["a"], [1.0, 3.0])])
        >>> found = sequential_monte_carlo(biased, betas=10, chains=4000, generator=0)
        >>> abs(found.samples.double().mean().item() - 0.75) < 0.05
        True
        >>> round(float(found.log_partition), 1)
        1.4
    """
    law = as_tempered_law(model)
    chains = as_whole("chains", chains, least=2)
    resampling = Resampling(resample, islands, threshold)
    resampling.check(chains)
    source = as_generator(generator, law.device)
    path = as_path(betas, law, source, progress)
    logs, state = even_draws(
        law, law.start(chains, source), path, resampling, source, progress=progress
    )
    found = LogPartition(law.log_base + logs, islands)
    return Particles(law.position(state), found, path)


def even_draws(
    law: TemperedLaw[S],
    state: S,
    path: np.ndarray,
    resampling: Resampling,
    generator: torch.Generator,
    *,
    progress: bool | None = None,
) -> tuple[Tensor, S]:
    """Weights that chains gather along a path, and chains of even weight at its end.

    Drawn over all islands, and moved one step more so that copies part.
    """
    logs, state = follow(
        law,
        state,
        path,
        generator,
        resampling=resampling,
        description="sequential Monte Carlo",
        progress=progress,
    )
    chosen = ancestors(logs[None], resampling.scheme, generator)[0]
    return logs, law.step(select(state, chosen), float(path[-1]), generator)
