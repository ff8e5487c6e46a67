"""Draws of a law with several modes, by exchange with flatter versions of itself.

.. math:: (x_1, \\dots, x_K) \\sim \\prod_k p_{\\beta_k}, \\qquad \\beta_1 < \\dots < \\beta_K
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inference.inputs import as_tensors, as_whole
from inference.memory import require_memory
from inference.parallel import Team
from inference.progress import progress_bar
from inference.random import GeneratorLike, as_generator
from inference.sampling.kernel import S, TemperedLaw
from inference.sampling.ladder import advanced, tuned_ladder
from inference.sampling.laws import Tempered, as_tempered_law
from inference.sampling.replica_exchange import ReplicaExchange, ReplicaState

__all__ = ["TemperedSamples", "parallel_tempering"]

#: Draws whose positions and energies are computed in one call.
TOGETHER = 32


@dataclass(frozen=True, eq=False)
class TemperedSamples:
    """What parallel tempering drew, and how well replicas moved along its ladder.

    Attributes:
        samples: positions at the last inverse temperature, (chain, draw, *event).
        energy: minus their log densities, (chain, draw), nats.
        betas: the ladder, (K,).
        swap_rates: mean probability that a swap is accepted, by pair of neighbours, (K - 1,);
            NaN for pairs that a single sweep has not tried.
        round_trips: how often a replica came from the hot end to the cold one, in all chains.
        sweeps: of every replica, while drawing.
    """

    samples: Tensor
    energy: Tensor
    betas: Tensor
    swap_rates: Tensor
    round_trips: int
    sweeps: int

    @property
    def barrier(self) -> float:
        """Sum of the rejections; two to four rungs for each unit of it are enough."""
        return float((1 - self.swap_rates).sum())

    @property
    def round_trip_rate(self) -> float:
        """Round trips in a thousand sweeps of a chain's replicas."""
        return 1000 * self.round_trips / (self.sweeps * len(self.samples))


def parallel_tempering(
    model: Tempered,
    *,
    betas: int | np.ndarray | Tensor | None = None,
    draws: int = 1000,
    chains: int = 8,
    warmup: int = 1400,
    thin: int = 1,
    parts: int | None = None,
    generator: GeneratorLike = None,
    progress: bool | None = None,
) -> TemperedSamples:
    """Draw from a law by moving replicas at several temperatures and swapping neighbours.

    .. math:: P(\\text{swap } k, k{+}1) = \\min\\bigl(1,\\, e^{g(x_k, \\beta_{k+1}) +
              g(x_{k+1}, \\beta_k) - g(x_k, \\beta_k) - g(x_{k+1}, \\beta_{k+1})}\\bigr)

    Hot replicas cross between modes and carry what they find to the cold end. The law of the
    draws is exact for any ladder; ``round_trips`` says whether it has been explored: where they
    are fewer than a few per chain, the draws tell little about the weights of the modes.

    Arguments:
        model: an energy model, a path of laws, a compiled density, or a factor graph.
        betas: rising inverse temperatures, the last one the law's that is wanted; or how many,
            spaced automatically from 0 to 1, or from just above 0 where states are possible at
            0 only; or None: that number is found too.
        draws: positions kept per chain.
        chains: independent ladders, each with a replica per temperature.
        warmup: sweeps before, in which the ladder is found.
        thin: sweeps per draw.
        parts: how many the chains are cut in, each with draws of its own, which the processes of
            ``inference.parallel.join`` share; all get the draws of all chains. A ladder that is
            to be found is found by every process alike, with the chains of one part; those of
            all parts begin at the base then, and have the sweeps of ``warmup`` again. None does
            not cut them.
        generator: None, a seed or a generator.
        progress: a bar; None shows it on a terminal.

    Raises:
        TypeError: a model without a path of laws.
        ValueError: betas that are negative or do not rise, fewer than two; no chains or draws;
            log densities that are NaN or +inf; draws that do not fit in memory; more parts than
            chains.

    Reference:
        Geyer 1991, "Markov chain Monte Carlo maximum likelihood", section 3; Syed,
        Bouchard-Côté, Deligiannidis & Doucet 2022, "Non-reversible parallel tempering".

    Example:
        >>> from inference.exact.factor import Factor
        >>> from inference.exact.graph import FactorGraph
        >>> alike = Factor(["a", "b"], [[9.0, 0.0], [0.0, 9.0]])
        >>> found = parallel_tempering(
        ...     FactorGraph({"a": 2, "b": 2}, [alike]), betas=6, draws=500, generator=0
        ... )
        >>> found.samples.shape, found.round_trips > 100
        (torch.Size([8, 500, 2]), True)
    """
    law = as_tempered_law(model)
    rungs, ladder = _rungs(betas)
    draws = as_whole("draws", draws, least=1)
    chains = as_whole("chains", chains, least=1)
    thin = as_whole("thin", thin, least=1)
    warmup = as_whole("warmup", warmup, least=0)
    source = as_generator(generator, law.device)
    if parts is not None:
        plan = draws, chains, warmup, thin
        return _in_parts(law, rungs, ladder, plan, Team(parts), source, progress)
    with progress_bar(warmup + draws * thin, "parallel tempering", progress) as bar:
        if ladder is None:
            kernel, state = tuned_ladder(law, rungs, chains, warmup, source, bar)
        else:
            kernel = ReplicaExchange(law, torch.from_numpy(ladder))
            state = advanced(kernel, kernel.start(chains, source), warmup, source, bar)
        return _drawn(kernel, kernel.recounted(state), draws, thin, source, bar)


def _in_parts(
    law: TemperedLaw[S],
    rungs: int | None,
    ladder: np.ndarray | None,
    plan: tuple[int, int, int, int],
    team: Team,
    source: torch.Generator,
    progress: bool | None,
) -> TemperedSamples:
    """Draws of chains that processes share, on a ladder that all of them find alike."""
    draws, chains, warmup, thin = plan
    team.check("chains", chains)
    team.follow_first([], source)
    counts = team.counts(chains)
    sweeps = len(team.own) * (warmup + draws * thin) + (warmup if ladder is None else 0)
    with progress_bar(sweeps, "parallel tempering", team.bar(progress)) as bar:
        if ladder is None:
            kernel, _ = tuned_ladder(law, rungs, counts[0], warmup, source, bar)
        else:
            kernel = ReplicaExchange(law, torch.from_numpy(ladder))
        found: list[TemperedSamples] = []
        for part, own in zip(team.own, team.generators(source), strict=True):
            state = advanced(kernel, kernel.start(counts[part], own), warmup, own, bar)
            found.append(_drawn(kernel, kernel.recounted(state), draws, thin, own, bar))
    rates = torch.cat(team.gather([x.swap_rates[None] for x in found]))
    trips = team.gather([torch.tensor([x.round_trips], device=law.device) for x in found])
    shares = rates.new_tensor(counts)[:, None] / chains
    return TemperedSamples(
        torch.cat(team.gather([x.samples for x in found])),
        torch.cat(team.gather([x.energy for x in found])),
        kernel.betas,
        (shares * rates).sum(0),
        int(torch.cat(trips).sum()),
        draws * thin,
    )


def _drawn(
    kernel: ReplicaExchange[S],
    state: ReplicaState,
    draws: int,
    thin: int,
    generator: torch.Generator,
    bar: Any,
) -> TemperedSamples:
    """Positions and energies of the cold end, kept as they come; nothing waits for the device."""
    law, target = kernel.law, float(kernel.betas[-1])
    samples, energy = _empty(kernel.position(state), draws)
    for first in range(0, draws, TOGETHER):
        part = slice(first, min(first + TOGETHER, draws))
        cold = []
        for _ in range(part.start, part.stop):
            state = advanced(kernel, state, thin, generator, bar)
            cold.append(kernel.cold(state))
        kept = type(cold[0])(*[torch.cat(rows) for rows in zip(*cold, strict=True)])
        samples[part] = law.position(kept).reshape_as(samples[part])
        energy[part] = -law.log_density(kept, target).reshape_as(energy[part])
    return TemperedSamples(
        samples.transpose(0, 1),
        energy.T,
        kernel.betas,
        1 - kernel.rejections(state),
        int(state.trips.sum()),
        draws * thin,
    )


def _empty(position: Tensor, draws: int) -> tuple[Tensor, Tensor]:
    """Room for draws of all chains, (draw, chain, *event), refused if there is none."""
    needed = draws * (position.numel() * position.element_size() + 8 * len(position))
    what = f"{draws:,} draws of {len(position):,} chains"
    require_memory(needed, what, "keep fewer with thin", position.device)
    energy = position.new_empty((draws, len(position)), dtype=torch.float64)
    return position.new_empty((draws, *position.shape)), energy


def _rungs(betas: Any) -> tuple[int | None, np.ndarray | None]:
    """How many temperatures, if they are to be found, or a user's own, checked."""
    if betas is None:
        return None, None
    if isinstance(betas, int | np.integer):
        return as_whole("betas", betas, least=2), None
    ladder = as_tensors(betas=betas)[0].detach().double().cpu().numpy()
    rises = ladder.ndim == 1 and len(ladder) >= 2 and bool((np.diff(ladder) > 0).all())
    if not rises or ladder[0] < 0 or not ladder[-1] < math.inf:
        raise ValueError(
            "betas must be two or more rising finite inverse temperatures, or how many, "
            f"found {betas!r}"
        )
    return None, ladder
