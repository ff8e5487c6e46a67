"""Sums over all joint states by annealed importance sampling.

.. math:: Z = Z_0\\, \\mathbb{E}\\Bigl[\\prod_{k=1}^{K}
          \\frac{e^{g(x_{k-1}, \\beta_k)}}{e^{g(x_{k-1}, \\beta_{k-1})}}\\Bigr]
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from inference.inputs import Values, as_tensor, as_whole
from inference.parallel import Team
from inference.random import GeneratorLike, as_generator
from inference.sampling.adaptive_schedule import as_path
from inference.sampling.annealed_path import follow
from inference.sampling.kernel import S, TemperedLaw
from inference.sampling.laws import Tempered, as_tempered_law
from inference.sampling.log_partition_estimate import LogPartition, bracket
from inference.sampling.resampling import Resampling, ResamplingScheme
from inference.sampling.sequential_monte_carlo import ISLANDS, even_draws

__all__ = ["LogPartition", "annealed_importance_sampling", "bracket"]

#: Draws of the base among which hard zeros are looked for; more if there are more chains.
LOOKED_AT = 1024


def annealed_importance_sampling(
    model: Tempered,
    *,
    betas: int | np.ndarray | Tensor | None = None,
    chains: int = 256,
    resample: ResamplingScheme | None = None,
    islands: int = ISLANDS,
    reverse: bool = False,
    starts: Values | None = None,
    parts: int | None = None,
    generator: GeneratorLike = None,
    progress: bool | None = None,
) -> LogPartition:
    """Estimate log Z along a path of laws, with steps that leave each invariant in between.

    .. math:: \\log \\hat Z = \\log Z_0 + \\log \\frac1C \\sum_c
              \\exp \\sum_k g(x^{(c)}_{k-1}, \\beta_k) - g(x^{(c)}_{k-1}, \\beta_{k-1})

    In reverse the chains start at draws of the law itself and walk back to the base; the mean of
    their weights is an estimate of 1/Z, so that ``mean_log_weight`` is above log Z in
    expectation. That holds from exact draws. From those that annealing makes by default it is
    only nearly so: where they miss a part of the law, both directions miss it.

    Arguments:
        model: an energy model, a path of laws, a compiled density, or a factor graph.
        betas: rising inverse temperatures from 0, for either direction, or how many equal steps
            from 0 to 1, or None for as many as a pilot run asks for; log Z belongs to the last.
            ``adaptive_schedule`` makes longer ones of the pilot's shape.
        chains: paths, independent unless resampled; in reverse one for each of ``starts``.
        resample: replace chains whose weights have become uneven, then sequential Monte Carlo;
            better where temperatures are few. None never does.
        islands: independent groups that resampling keeps apart, which tell the error; more than
            one chain each.
        reverse: from the law to the base.
        starts: draws of the law, (chain, *event); None makes them by sequential Monte Carlo.
        parts: how many the chains are cut in, each with draws of its own, which the processes of
            ``inference.parallel.join`` share; all find the same temperatures first, and get the
            weights of all chains. None does not cut them.
        generator: None, a seed or a generator.
        progress: a bar; None shows it on a terminal.

    Raises:
        TypeError: a model without a path of laws.
        ValueError: betas that do not rise from 0, fewer than two chains, islands that do not
            divide them, no chain that found a possible state, log densities that are NaN or
            +inf; in reverse, starts that are impossible, or hard zeros, which the way back to
            the base cannot see: they are looked for among a thousand draws of the base, and
            where they exclude so few of them that none is met, log Z is too large by as little;
            more parts than chains, or parts that do not divide the islands and chains where
            these are resampled.

    Reference:
        Neal 2001, "Annealed importance sampling", eq. 11 and section 3; Burda, Grosse &
        Salakhutdinov 2015, "Accurate and conservative estimates of MRF log-likelihood using
        reverse annealing", section 3.

    Example:
        >>> from inference.exact.factor import Factor
        >>> from inference.exact.graph import FactorGraph
        >>> pair = FactorGraph({"a": 2, "b": 2}, [Factor(["a", "b"], [[1.0, 0.0], [0.0, 1.0]])])
        >>> found = annealed_importance_sampling(pair, betas=20, generator=0)
        >>> round(abs(float(found) - math.log(2 * math.e + 2)), 1)
        0.0
    """
    law = as_tempered_law(model)
    if starts is not None and not reverse:
        raise ValueError("starts are of the law, which a forward run does not know; reverse=True")
    starts = None if starts is None else as_tensor("starts", starts)
    chains = as_whole("chains", chains if starts is None else len(starts), least=2)
    resampling = None if resample is None else Resampling(resample, islands)
    if resampling is not None:
        resampling.check(chains)
    source, groups = as_generator(generator, law.device), None if resampling is None else islands
    if parts is None:
        path = as_path(betas, law, source, progress)
        logs = _log_weights(law, path, chains, starts, reverse, resampling, source, progress)
        return LogPartition(law.log_base + logs, groups, reverse)
    team = Team(parts)
    team.check("chains", chains)
    if resampling is not None:
        resampling = _of_part(resampling, chains, team.parts)
    team.follow_first([], source)
    shown, counts, cuts = team.bar(progress), team.counts(chains), team.slices(chains)
    # By every process, with the same draws: it costs less than to tell the others of each step.
    path = as_path(betas, law, source, shown)
    logs = [
        _log_weights(
            law,
            path,
            counts[part],
            None if starts is None else starts[cuts[part]],
            reverse,
            resampling,
            own,
            shown,
        )
        for part, own in zip(team.own, team.generators(source), strict=True)
    ]
    return LogPartition(law.log_base + torch.cat(team.gather(logs)), groups, reverse)


def _of_part(resampling: Resampling, chains: int, parts: int) -> Resampling:
    """Resampling in the islands of one part."""
    if resampling.islands % parts or chains % parts:
        raise ValueError(
            f"parts must divide the islands and the chains where these are resampled, found "
            f"parts={parts}, islands={resampling.islands} and {chains} chains"
        )
    return replace(resampling, islands=resampling.islands // parts)


def _log_weights(
    law: TemperedLaw[S],
    path: np.ndarray,
    chains: int,
    starts: Tensor | None,
    reverse: bool,
    resampling: Resampling | None,
    source: torch.Generator,
    progress: bool | None,
) -> Tensor:
    """Estimates of log Z less that of the base by single chains, (chain,)."""
    if not reverse:
        state, name = law.start(chains, source), "annealed importance sampling"
    else:
        state, name = _ends(law, path, chains, starts, source), "reverse annealed importance"
        path = path[::-1]
    logs, _ = follow(
        law, state, path, source, resampling=resampling, description=name, progress=progress
    )
    return -logs if reverse else logs


def _ends(
    law: TemperedLaw[S],
    path: np.ndarray,
    chains: int,
    starts: Tensor | None,
    generator: torch.Generator,
) -> S:
    """Chains at draws of the law at the end of a path, given or made."""
    base = _start(law, chains, float(path[1]), generator)
    # As many at a time as are known to fit.
    for _ in range(chains, LOOKED_AT, chains):
        _start(law, chains, float(path[1]), generator)
    if starts is None:
        return even_draws(law, base, path, Resampling(), generator)[1]
    state = law.init(starts)
    if not bool((law.log_density(state, float(path[-1])) > -math.inf).all()):
        raise ValueError("starts must be possible states of the law; found one that is not")
    return state


def _start(law: TemperedLaw[S], chains: int, beta: float, generator: torch.Generator) -> S:
    """Draws from the base, refused if one is impossible on the path."""
    base = law.start(chains, generator)
    if bool((law.log_density(base, beta) == -math.inf).any()):
        raise ValueError(
            "reverse=True needs a base whose states are all possible: hard zeros that the law has "
            "and its base has not are never met on the way back; run forward, or use an exact "
            "method"
        )
    return base
