"""The law of binary units that are all joined, and sweeps over them, block after block.

.. math:: g(x, \\beta) = \\beta \\Bigl(\\sum_{i < j} w_{ij} x_i x_j + \\sum_i b_i x_i\\Bigr)
          + (1 - \\beta) \\sum_i b^0_i x_i, \\qquad x_i \\in \\{0, 1\\}

With the random numbers of a sweep drawn beforehand, the units of a block solve a triangular system
of thresholds (:mod:`energy.triangular`):

.. math:: y_i = \\Bigl[h_i + \\sum_{j < i} w_{ij} (y_j - x_j) > \\theta_i\\Bigr]
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

import torch
from torch import Tensor

from energy.triangular import settled
from inference.sampling.kernel import Beta, Rule, SearchLaw
from inference.sampling.schedules import range_of_strengths

__all__ = ["DenseLaw", "DenseState"]

#: Units that are updated together: small enough that few of them depend on each other.
BLOCK = 32

#: What stands for infinite beta, and its inverse for zero: no product overflows.
COLDEST = 1e25

#: Share of the largest field that still counts as none in a descent.
TIED = 1e-12


class DenseState(NamedTuple):
    """Units of all chains, (chain, n), zeros and ones. Fast if the transpose is contiguous."""

    units: Tensor


@dataclass(frozen=True, eq=False)
class DenseLaw(SearchLaw[DenseState]):
    """Binary units joined in pairs, all to all.

    Arguments:
        weights: w, symmetric with a diagonal of zeros, (n, n), nats; their type is that of sweeps.
        biases: b, (n,), nats.
        base: b^0, (n,), log-odds of independent units at beta = 0; None is zero.
        rule: how units move.

    Reference:
        Ackley, Hinton & Sejnowski 1985, "A learning algorithm for Boltzmann machines", eq. 2;
        Metropolis et al. 1953, "Equation of state calculations by fast computing machines".

    Example:
        >>> law = DenseLaw(torch.tensor([[0.0, 50.0], [50.0, 0.0]]), torch.zeros(2))
        >>> kernel, generator = law.at(1.0), torch.Generator().manual_seed(0)
        >>> kernel.position(kernel.step(kernel.init(torch.tensor([[1, 1]])), generator)).tolist()
        [[1.0, 1.0]]
    """

    weights: Tensor
    biases: Tensor
    base: Tensor | None = None
    rule: Rule = "heat-bath"

    @cached_property
    def earlier(self) -> list[Tensor]:
        """Couplings of every block's units to those before them in the block."""
        blocks = range(0, len(self.biases), BLOCK)
        return [self.weights[i : i + BLOCK, i : i + BLOCK].tril(-1) for i in blocks]

    # What a path of laws is ----------------------------------------------------------------------

    @property
    def device(self) -> torch.device:
        """Where the chains are."""
        return self.weights.device

    @property
    def log_base(self) -> float:
        """Log Z at beta = 0: of independent units, nats."""
        if self.base is None:
            return len(self.biases) * math.log(2)
        return float(torch.nn.functional.softplus(self.base.double()).sum())

    def start(self, chains: int, generator: torch.Generator) -> DenseState:
        """Independent draws from the law at beta = 0."""
        logits = torch.zeros_like(self.biases) if self.base is None else self.base
        bars = _uniform((len(logits), chains), generator).logit_()
        return DenseState((logits[:, None] > bars).to(self.weights).T)

    def init(self, position: Tensor) -> DenseState:
        """State at units, (chain, n).

        Raises:
            ValueError: other values than 0 and 1, or another number of units.
        """
        x = position.to(self.device)
        if x.ndim != 2 or x.shape[1] != len(self.biases):
            raise ValueError(
                f"position must be (chain, {len(self.biases)}), found {tuple(x.shape)}"
            )
        if not bool(((x == 0) | (x == 1)).all()):
            raise ValueError("position must hold 0 and 1 only")
        return DenseState(x.T.to(self.weights, memory_format=torch.contiguous_format).T)

    def position(self, state: DenseState) -> Tensor:
        """Units, (chain, n)."""
        return state.units

    def log_density(self, state: DenseState, beta: Beta) -> Tensor:
        """g(x, beta) of every chain, (chain,) float64, nats."""
        found = beta * self.log_weight(state)
        if self.base is None:
            return found
        return found + (1 - beta) * (state.units @ self.base).double()

    def log_ratio(self, state: DenseState, before: Beta, after: Beta) -> Tensor:
        """What log densities gain; linear in beta, so that units are summed over once."""
        slope = self.log_weight(state)
        if self.base is not None:
            slope = slope - (state.units @ self.base).double()
        return (after - before) * slope

    def log_weight(self, state: DenseState) -> Tensor:
        """What beta multiplies, (chain,) float64, nats."""
        columns = state.units.T
        pulls = torch.addmm(self.biases[:, None], self.weights, columns, alpha=0.5)
        return (pulls * columns).sum(0, dtype=torch.float64)

    # Sweeps --------------------------------------------------------------------------------------

    def step(self, state: DenseState, beta: Beta, generator: torch.Generator) -> DenseState:
        """State after one sweep over the units, in their order."""
        return self.run(state, [beta], generator)

    def run(
        self,
        state: DenseState,
        betas: Iterable[Beta],
        generator: torch.Generator,
        held: Tensor | None = None,
    ) -> DenseState:
        """State after one sweep at each inverse temperature in turn; units are copied once.

        Arguments:
            state: of the chains.
            betas: inverse temperatures.
            generator: of the draws.
            held: units that stay as they are, (chain, n) or (n,), bool.
        """
        columns = state.units.T.clone(memory_format=torch.contiguous_format)
        frozen = None
        if held is not None:
            # A held one is above every bar, a held zero below.
            walls = torch.where(columns > 0, -math.inf, math.inf)
            frozen = torch.atleast_2d(held).T.expand_as(columns), walls
        for beta in betas:
            bars = self._bars(columns, beta, generator)
            if frozen is not None:
                bars = torch.where(frozen[0], frozen[1], bars)
            self._sweep(columns, bars.to(columns.dtype))
        return DenseState(columns.T)

    def _bars(self, columns: Tensor, beta: Beta, generator: torch.Generator) -> Tensor:
        """What fields must exceed for ones to follow, (n, chain) float64.

        A heat bath draws a one if u < 1 / (1 + exp(-a)) at log-odds a, so if a > logit(u). By
        Metropolis' rule a unit turns if u < exp(-s a) with s = 2x - 1, so that a one follows if
        a > -s log u.
        """
        bars = _uniform(columns.shape, generator)
        if self.rule == "metropolis":
            bars.log_().mul_(1 - 2 * columns)
        else:
            bars.logit_()
        share = torch.as_tensor(beta, dtype=torch.float64, device=self.device)
        if self.base is not None:
            bars -= (1 - share.clamp(max=COLDEST)) * self.base.double()[:, None]
        return bars.div_(share.clamp(1 / COLDEST, COLDEST))

    def _sweep(self, columns: Tensor, bars: Tensor) -> None:
        """Update every unit once, one after the other, in place."""
        for number, earlier in enumerate(self.earlier):
            block = slice(number * BLOCK, number * BLOCK + BLOCK)
            before, bar = columns[block].clone(), bars[block]
            field = torch.addmm(self.biases[block, None], self.weights[block], columns)
            decide = partial(_ones, bar)
            columns[block] = settled(decide, field, earlier, before, decide(field))

    # Search --------------------------------------------------------------------------------------

    def temperature_range(self) -> tuple[float, float]:
        """Inverse temperatures from the strengths of couplings and fields, as those of spins."""
        weights = self.weights.double() / 4
        squares = weights.square().sum(1)
        fields = (self.biases.double() / 2 + weights.sum(1)).abs()
        # What rounding leaves of a field that is none does not count as one.
        fields = fields.masked_fill(fields < 1e-5 * squares.sqrt(), 0.0)
        pairs = weights.triu(1).abs().flatten()
        strengths = torch.cat([pairs[pairs > 0], fields]).cpu().numpy()
        return range_of_strengths((squares + fields.square()).cpu().numpy(), strengths)

    def descend(self, state: DenseState, max_sweeps: int = 10_000) -> DenseState:
        """State where no change of a single unit gains; one that changes nothing is not made."""
        exact = DenseLaw(self.weights.double(), self.biases.double())
        columns = state.units.T.to(torch.float64, copy=True)
        # What rounding may have made of a field of zero is a tie: the unit stays.
        largest = exact.weights.abs().sum(1) + exact.biases.abs()
        slack = (TIED * largest + torch.finfo(torch.float64).tiny)[:, None]
        for _ in range(max_sweeps):
            before = columns.clone()
            exact._sweep(columns, slack * (1 - 2 * columns))
            if torch.equal(before, columns):
                break
        return DenseState(columns.to(self.weights).T)


def _ones(bars: Tensor, fields: Tensor) -> Tensor:
    """Units that are on: those whose fields are above their bars."""
    return (fields > bars).to(fields)


def _uniform(shape: Iterable[int], generator: torch.Generator) -> Tensor:
    """Uniform numbers; double, or the last digits would cut the tails of their logarithms."""
    device = generator.device
    return torch.rand(tuple(shape), dtype=torch.float64, device=device, generator=generator)
