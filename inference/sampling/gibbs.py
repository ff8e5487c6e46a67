"""Gibbs sampling by colours: all variables of a colour, in all chains, in one update.

.. math:: x_v \\sim p(x_v \\mid x_{N(v)}) \\quad\\text{for all } v \\text{ of a colour}
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from inference.random import GeneratorLike, as_generator
from inference.sampling.density import DiscreteDensity

__all__ = ["ColoredGibbs", "GibbsState", "run_gibbs"]


class GibbsState(NamedTuple):
    """Joint states of all chains, (chain, V) int32."""

    codes: Tensor


@dataclass(frozen=True, eq=False)
class ColoredGibbs:
    """One sweep over the colours of a discrete density.

    Variables of one colour are independent given the rest, so drawing them together is drawing
    them one after the other.

    Arguments:
        density: the law.
        beta: inverse temperature of the law.

    Reference:
        Geman & Geman 1984, "Stochastic relaxation, Gibbs distributions, and the Bayesian
        restoration of images", section XI; Gonzalez et al. 2011, "Parallel Gibbs sampling",
        section 3.1.

    Example:
        >>> from inference.sampling.factor_arrays import FactorArrays
        >>> pair = FactorArrays([2, 2], [[[0, 1]]], [[0]])
        >>> density = DiscreteDensity(pair, torch.tensor([0.0, -torch.inf, -torch.inf, 0.0]))
        >>> kernel, generator = ColoredGibbs(density), torch.Generator().manual_seed(0)
        >>> state = kernel.init(torch.tensor([[0, 0], [1, 1]]))
        >>> kernel.step(state, generator).codes.tolist()
        [[0, 0], [1, 1]]
    """

    density: DiscreteDensity
    beta: float = 1.0

    def init(self, codes: Tensor) -> GibbsState:
        """State at the given joint states (chain, V), evidence filled in."""
        return GibbsState(self.density.clamp(codes.to(self.density.device)))

    def step(self, state: GibbsState, generator: torch.Generator) -> GibbsState:
        """State after a sweep."""
        columns = state.codes.T.clone()
        shape = (self.density.n_free, columns.shape[1])
        uniform = torch.rand(
            shape, dtype=torch.float64, device=columns.device, generator=generator
        )
        first = 0
        for block in self.density.blocks:
            last = first + len(block.variables)
            logits = self.density.conditionals(block, columns.T, self.beta)
            columns.index_copy_(0, block.variables, _inverted(logits, uniform[first:last]))
            first = last
        return GibbsState(columns.T)


def run_gibbs(
    kernel: ColoredGibbs,
    codes: Tensor,
    sweeps: int,
    generator: GeneratorLike = None,
) -> Iterator[Tensor]:
    """Joint states (chain, V) after every sweep.

    Arguments:
        kernel: the sweep.
        codes: where the chains start, (chain, V).
        sweeps: how many.
        generator: None, a seed or a generator.
    """
    source = as_generator(generator, kernel.density.device)
    state = kernel.init(codes)
    for _ in range(sweeps):
        state = kernel.step(state, source)
        yield state.codes


def _inverted(logits: Tensor, uniform: Tensor) -> Tensor:
    """States where the distribution functions (K, ...) pass uniform numbers (...)."""
    if len(logits) == 2:
        return (uniform >= torch.sigmoid(logits[0] - logits[1])).to(torch.int32)
    # Running sums plane by plane never fall, and stand still at a zero, on every device.
    weights = (logits - logits.amax(0)).exp_()
    for below, plane in pairwise(weights):
        plane += below
    return (weights[:-1] <= uniform * weights[-1]).sum(0, dtype=torch.int32)
