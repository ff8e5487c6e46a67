"""Search for joint states of large weight: cooled Gibbs sampling, then descent.

.. math:: p_\\beta(x) \\propto e^{\\beta w(x)}, \\qquad \\beta : \\beta_0 \\to \\infty
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from torch import Tensor

from inference.exact.graph import FactorGraph
from inference.inputs import as_whole
from inference.progress import progress_bar
from inference.random import GeneratorLike, as_generator
from inference.sampling.density import DiscreteDensity
from inference.sampling.gibbs import ColoredGibbs

__all__ = [
    "Annealed",
    "geometric_schedule",
    "inverse_temperatures",
    "iterated_conditional_modes",
    "simulated_annealing",
]

#: Hot end in units of the typical strength of all factors at a variable together, cold end in
#: units of the typical strength of one factor.
HOT, COLD = 0.3, 2.0


@dataclass(frozen=True, eq=False)
class Annealed:
    """What a search found.

    Attributes:
        state: final joint states of all chains, (chains, V) int64.
        energy: minus their log-weights, (chains,), nats; infinite where they are impossible.
        best: the one of least energy, (V,).
    """

    state: Tensor
    energy: Tensor
    best: Tensor


def geometric_schedule(hot: float, cold: float, sweeps: int) -> np.ndarray:
    """Inverse temperatures that grow by one factor from sweep to sweep.

    .. math:: \\beta_t = \\beta_0 (\\beta_T / \\beta_0)^{t / T}

    Arguments:
        hot: first inverse temperature.
        cold: last one.
        sweeps: how many.

    Raises:
        ValueError: unless 0 < hot <= cold < inf.

    Example:
        >>> geometric_schedule(0.5, 2.0, 3).tolist()
        [0.5, 1.0, 2.0]
    """
    if not 0 < hot <= cold < math.inf:
        raise ValueError(f"hot and cold must be 0 < hot <= cold < inf, found {hot} and {cold}")
    return np.geomspace(hot, cold, as_whole("sweeps", sweeps, least=1))


def inverse_temperatures(density: DiscreteDensity, sweeps: int) -> np.ndarray:
    """A geometric schedule whose range follows from the strengths of the factors.

    .. math:: \\beta_0 = 0.3 \\,/\\, \\overline{\\textstyle\\sqrt{\\sum_{f \\ni v} a_f^2}},
              \\qquad \\beta_T = 2 \\,/\\, \\operatorname{median}_f a_f

    a is half the range of a factor's finite log-weights: the coupling, for a pair of spins. Hot,
    every move is nearly free; cold, no move against a typical factor is left.
    """
    squares = np.zeros(len(density.arrays.cards))
    found = [np.zeros(0)]
    for group in density.arrays.groups:
        if not group.shape:
            continue
        tables, table_of = np.unique(group.offsets, return_inverse=True)
        cells = torch.from_numpy(tables[:, None] + np.arange(prod(group.shape)))
        logs = density.logs[cells.to(density.device)].double().cpu().numpy()
        finite = np.isfinite(logs)
        high = np.where(finite, logs, -np.inf).max(axis=1)
        low = np.where(finite, logs, np.inf).min(axis=1)
        half = np.where(high > low, (high - low) / 2, 0.0)[table_of.reshape(-1)]
        for column in group.scopes.T:
            np.add.at(squares, column, half**2)
        found.append(half[half > 0])
    strengths = np.concatenate(found)
    if not len(strengths):
        return np.ones(as_whole("sweeps", sweeps, least=1))
    hot = HOT / np.sqrt(squares[squares > 0]).mean()
    return geometric_schedule(hot, max(hot, COLD / float(np.median(strengths))), sweeps)


def simulated_annealing(
    model: DiscreteDensity | FactorGraph,
    *,
    schedule: np.ndarray | Tensor | None = None,
    sweeps: int = 1000,
    chains: int = 32,
    generator: GeneratorLike = None,
    progress: bool | None = None,
) -> Annealed:
    """Search for a joint state of largest weight by Gibbs sampling at falling temperatures.

    .. math:: x^{(t)} \\sim K_{\\beta_t}(x^{(t-1)}, \\cdot), \\qquad
              \\hat x = \\text{ICM}(x^{(T)})

    Every chain ends in a state that no change of a single variable improves. Longer schedules
    help more than more chains.

    Arguments:
        model: a compiled density, or a factor graph.
        schedule: inverse temperatures, one per sweep; by default geometric over ``sweeps``, see
            :func:`inverse_temperatures`.
        sweeps: length of the default schedule.
        chains: independent searches.
        generator: None, a seed or a generator.
        progress: a bar; None shows it on a terminal.

    Returns:
        Final states, their energies, and the best state.

    Raises:
        ValueError: an empty schedule or negative inverse temperatures, no chains.

    Reference:
        Kirkpatrick, Gelatt & Vecchi 1983, "Optimization by simulated annealing"; Geman & Geman
        1984, section XII.

    Example:
        >>> from inference.exact.factor import Factor
        >>> unlike = Factor(["a", "b"], [[-1.0, 0.0], [0.0, -1.0]])
        >>> graph = FactorGraph({"a": 2, "b": 2}, [unlike, Factor(["a"], [0.0, 0.5])])
        >>> simulated_annealing(graph, sweeps=20, chains=4, generator=0).best.tolist()
        [1, 0]
    """
    density = DiscreteDensity.from_graph(model) if isinstance(model, FactorGraph) else model
    chains = as_whole("chains", chains, least=1)
    betas = inverse_temperatures(density, sweeps) if schedule is None else np.asarray(schedule)
    if betas.ndim != 1 or not len(betas) or not (betas >= 0).all():
        raise ValueError(f"schedule must list inverse temperatures >= 0, found {schedule!r}")
    source = as_generator(generator, density.device)
    state = ColoredGibbs(density).init(density.uniform(chains, source))
    with progress_bar(len(betas), "annealing", progress) as bar:
        for beta in betas.tolist():
            state = ColoredGibbs(density, beta).step(state, source)
            bar.update(1)
    codes = iterated_conditional_modes(density, state.codes)
    energy = -density.log_weight(codes)
    return Annealed(codes, energy, codes[energy.argmin()])


def iterated_conditional_modes(
    density: DiscreteDensity, codes: Tensor, max_sweeps: int = 1000
) -> Tensor:
    """Climb from joint states, one variable at a time, until no single change gains anything.

    .. math:: x_v \\leftarrow \\arg\\max_s p(x_v = s \\mid x_{-v})

    A variable whose state is among the best keeps it.

    Arguments:
        density: the law.
        codes: where to start.
        max_sweeps: most sweeps.

    Shapes:
        codes: (C, V). result: (C, V) int64.

    Reference:
        Besag 1986, "On the statistical analysis of dirty pictures", section 2.5.
    """
    columns = density.clamp(codes.to(density.device)).T
    for _ in range(as_whole("max_sweeps", max_sweeps, least=0)):
        before = columns.clone()
        for block in density.blocks:
            logits = density.conditionals(block, columns.T)
            now = columns.index_select(0, block.variables)
            best, mode = logits.max(0)
            kept = logits.gather(0, now[None].long())[0] == best
            columns.index_copy_(0, block.variables, torch.where(kept, now, mode.to(now.dtype)))
        if torch.equal(before, columns):
            break
    return columns.T.long()
