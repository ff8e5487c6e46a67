"""Gibbs sampling of the hidden units of a sigmoid belief network.

.. math:: \\log \\frac{p(x_k = 1 \\mid x_{\\setminus k})}{p(x_k = 0 \\mid x_{\\setminus k})}
          = a_k + \\sum_{j \\in \\mathrm{ch}(k)}
            \\log \\frac{p(x_j \\mid x_k = 1, x_{\\pi(j) \\setminus k})}
                        {p(x_j \\mid x_k = 0, x_{\\pi(j) \\setminus k})}
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from inference.inputs import as_whole
from inference.progress import progress_bar
from inference.random import GeneratorLike, as_generator, bernoulli
from pgm.sigmoid.structure import Block, Parameters, UnitGraph, softplus

__all__ = ["ClampedGibbs", "GibbsState", "gibbs_marginals", "read_beta"]


class GibbsState(NamedTuple):
    """States of all units, (chain, n), zeros and ones."""

    position: Tensor


@dataclass(frozen=True)
class ClampedGibbs:
    """Sweep over the units that are not held fast, colour by colour.

    It leaves :math:`p(h \\mid v)^\\beta`, up to its constant, invariant. Units of one colour of
    the moral graph are independent given the rest and are drawn together; so that a child's
    log-odds change with at most one of them, and are kept up to date by one addition per arrow.

    Arguments:
        graph: the units.
        parameters: weights, zero where there is no arrow, and biases.
        observed: entries held fast, (chain, n) bool.
        beta: inverse temperature of the joint law, one number or one per chain.

    Reference:
        Neal 1992, "Connectionist learning of belief networks", section 3; Pearl 1987.
    """

    graph: UnitGraph
    parameters: Parameters
    observed: Tensor
    beta: float | Tensor = 1.0
    blocks: list[Block] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", self.graph.blocks(~self.observed.all(0)))

    def init(self, position: Tensor) -> GibbsState:
        """State at the given positions."""
        return GibbsState(position)

    def step(self, state: GibbsState, generator: torch.Generator) -> tuple[GibbsState, Tensor]:
        """Next state, and the probability of a one that every unit was drawn with, (chain, n)."""
        weights, bias = self.parameters
        # Units first: what is gathered along the arrows is then contiguous.
        x = state.position.T.clone(memory_format=torch.contiguous_format)
        probs, logits = x.clone(), torch.addmm(bias[:, None], weights.T, x)
        for block in self.blocks:
            own, child = block.units, block.child
            strength = weights[own[block.owner], child][:, None]
            old, fixed = x[own], self.observed.T[own]
            off = logits[child] - strength * old[block.owner]
            said = strength * x[child] - (softplus(off + strength) - softplus(off))
            odds = logits[own].index_add_(0, block.owner, said)
            likely = torch.sigmoid(self.beta * odds)
            new = torch.where(fixed, old, bernoulli(likely, generator=generator))
            probs[own] = torch.where(fixed, old, likely)
            x[own] = new
            logits.index_add_(0, child, (new - old)[block.owner] * strength)
        return GibbsState(x.T), probs.T


def gibbs_marginals(
    graph: UnitGraph,
    parameters: Parameters,
    rows: Tensor,
    *,
    sweeps: int,
    warmup: int,
    chains: int,
    generator: GeneratorLike,
    progress: bool | None = None,
) -> Tensor:
    """Posterior probability of a one for every unit, (n, units), averaged over sweeps and chains.

    Averaged are the probabilities that the units are drawn with, which vary less than the draws.

    Arguments:
        graph: the units.
        parameters: weights, zero where there is no arrow, and biases.
        rows: (n, units), -1 where missing.
        sweeps: over which to average, after the warm-up.
        warmup: sweeps left out.
        chains: independent ones per row.
        generator: None, a seed or a generator.
        progress: True, False, or None: a bar if on a terminal.

    Raises:
        TypeError, ValueError: if a number of sweeps or chains is none or out of range.

    Reference:
        Gelfand & Smith 1990, section 2.4 (averaging conditional laws).
    """
    as_whole("sweeps", sweeps, least=1)
    as_whole("warmup", warmup, least=0)
    as_whole("chains", chains, least=1)
    drawing = as_generator(generator, rows.device)
    spread = rows.repeat_interleave(chains, 0)
    missing = spread < 0
    kernel = ClampedGibbs(graph, parameters, ~missing)
    state = kernel.init(graph.fill(spread, missing, parameters, generator=drawing))
    total = torch.zeros_like(spread)
    with progress_bar(warmup + sweeps, "Gibbs", progress) as bar:
        for sweep in range(warmup + sweeps):
            state, probs = kernel.step(state, drawing)
            if sweep >= warmup:
                total += probs
            bar.update(1)
    return (total / sweeps).view(len(rows), chains, rows.shape[1]).mean(1)


def read_beta(beta: float | Tensor, rows: Tensor) -> Tensor:
    """Inverse temperature, () or one per row."""
    value = torch.as_tensor(beta, dtype=rows.dtype, device=rows.device)
    if value.ndim > 1 or (value.ndim == 1 and len(value) != len(rows)):
        raise ValueError(f"beta must be () or ({len(rows)},), found {tuple(value.shape)}")
    if not ((value >= 0) & value.isfinite()).all():
        raise ValueError(f"beta must be finite and not negative, found {beta}")
    return value
