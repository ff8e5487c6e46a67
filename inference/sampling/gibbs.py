"""Gibbs sampling by colours: all variables of a colour, in all chains, in one update.

.. math:: x_v \\sim p_\\beta(x_v \\mid x_{N(v)}) \\quad\\text{for all } v \\text{ of a colour}
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from inference.inputs import check_choice
from inference.sampling.conditional_modes import iterated_conditional_modes
from inference.sampling.density import DiscreteDensity
from inference.sampling.kernel import Beta, Rule, SearchLaw
from inference.sampling.schedules import range_of_strengths

__all__ = ["ColoredGibbs", "GibbsState", "metropolised"]


class GibbsState(NamedTuple):
    """Joint states of all chains, (chain, V) int32."""

    codes: Tensor


@dataclass(frozen=True, eq=False)
class ColoredGibbs(SearchLaw[GibbsState]):
    """The path of a discrete density from the uniform law, moved by sweeps over the colours.

    .. math:: p_\\beta(x) \\propto \\mathbb{1}[w(x) > -\\infty]\\, e^{\\beta w(x)}

    Variables of one colour are independent given the rest, so drawing them together is drawing
    them one after the other. At beta = 0 hard zeros are not yet zeros: starts and weights take
    every state for possible. A sweep at 0 avoids zeros all the same, and keeps the uniform law of
    the states without.

    With the rule "metropolis" a variable in state s moves to another state t with probability

    .. math:: \\frac{\\pi_t}{\\max(1 - \\pi_s,\\, 1 - \\pi_t)}

    pi being its conditional law. Every change is at least as likely as in a Gibbs sweep; for two
    states it is Metropolis' rule itself.

    Arguments:
        density: the law.
        rule: how variables move.

    Raises:
        ValueError: an unknown rule.

    Reference:
        Geman & Geman 1984, "Stochastic relaxation, Gibbs distributions, and the Bayesian
        restoration of images", section XI; Gonzalez et al. 2011, "Parallel Gibbs sampling",
        section 3.1; Liu 1996, "Peskun's theorem and a modified discrete-state Gibbs sampler",
        Biometrika 83 (the other rule).

    Example:
        >>> from inference.sampling.factor_arrays import FactorArrays
        >>> pair = FactorArrays([2, 2], [[[0, 1]]], [[0]])
        >>> density = DiscreteDensity(pair, torch.tensor([0.0, -torch.inf, -torch.inf, 0.0]))
        >>> kernel, generator = ColoredGibbs(density).at(1.0), torch.Generator().manual_seed(0)
        >>> state = kernel.init(torch.tensor([[0, 0], [1, 1]]))
        >>> kernel.step(state, generator).codes.tolist()
        [[0, 0], [1, 1]]
    """

    density: DiscreteDensity
    rule: Rule = "heat-bath"

    def __post_init__(self) -> None:
        check_choice("rule", self.rule, Rule)

    @property
    def device(self) -> torch.device:
        """Where the chains are."""
        return self.density.device

    @property
    def log_base(self) -> float:
        """Logarithm of the number of joint states, nats."""
        return self.density.log_states

    def start(self, chains: int, generator: torch.Generator) -> GibbsState:
        """Independent uniform states."""
        return GibbsState(self.density.uniform(chains, generator))

    def init(self, position: Tensor) -> GibbsState:
        """State at the given joint states (chain, V), evidence filled in.

        Raises:
            TypeError: if ``position`` holds no whole numbers.
            ValueError: if it has another shape, or a code is none of its variable's states.
        """
        if position.is_floating_point() or position.is_complex():
            raise TypeError(
                f"position must hold integer codes, found {position.dtype}; pass position.long()"
            )
        cards = torch.from_numpy(self.density.arrays.cards).to(self.device)
        if position.ndim != 2 or position.shape[1] != len(cards):
            raise ValueError(
                f"position must be (chain, {len(cards)}), a code for every variable, "
                f"found {tuple(position.shape)}"
            )
        codes = position.to(self.device)
        wrong = (codes < 0) | (codes >= cards)
        wrong[:, list(self.density.clamped)] = False
        if bool(wrong.any()):
            chain, v = wrong.nonzero()[0].tolist()
            raise ValueError(
                f"position must hold codes 0..{int(cards[v]) - 1} for variable {v}, "
                f"found {int(codes[chain, v])} at chain {chain}"
            )
        return GibbsState(self.density.clamp(codes))

    def position(self, state: GibbsState) -> Tensor:
        """Joint states, (chain, V) int64."""
        return state.codes.long()

    def log_density(self, state: GibbsState, beta: Beta) -> Tensor:
        """Log-weight times beta, (chain,); -inf where a state is impossible and beta not 0."""
        weight = self.density.log_weight(state.codes).double()
        if isinstance(beta, Tensor):
            return torch.where(beta == 0, 0.0, beta * weight)
        return beta * weight if beta else torch.zeros_like(weight)

    def log_ratio(self, state: GibbsState, before: Beta, after: Beta) -> Tensor:
        """What log densities gain; linear in beta, so that factors are summed over once."""
        weight = self.density.log_weight(state.codes).double()
        finite = weight.masked_fill(weight.isneginf(), 0.0)
        met = torch.as_tensor((before != 0) | (after != 0), device=weight.device)
        return ((after - before) * finite).masked_fill(weight.isneginf() & met, -math.inf)

    def step(self, state: GibbsState, beta: Beta, generator: torch.Generator) -> GibbsState:
        """State after a sweep."""
        columns = state.codes.T.clone(memory_format=torch.contiguous_format)
        shape = (self.density.n_free, columns.shape[1])
        uniform = torch.rand(
            shape, dtype=torch.float64, device=columns.device, generator=generator
        )
        first = 0
        for block in self.density.blocks:
            last = first + len(block.variables)
            logits = self.density.conditionals(block, columns.T, beta)
            now = self._moved(logits, columns, block.variables, uniform[first:last])
            columns.index_copy_(0, block.variables, now)
            first = last
        return GibbsState(columns.T)

    def _moved(
        self, logits: Tensor, columns: Tensor, variables: Tensor, uniform: Tensor
    ) -> Tensor:
        """New states of variables from conditional log-weights (K, B, C), (B, C)."""
        if self.rule == "metropolis":
            return _inverted(metropolised(logits, columns[variables]), uniform)
        if len(logits) == 2:
            return (uniform >= torch.sigmoid(logits[0] - logits[1])).to(torch.int32)
        return _inverted((logits - logits.amax(0)).exp_(), uniform)

    def descend(self, state: GibbsState) -> GibbsState:
        """State where no change of a single variable gains anything."""
        return self.init(iterated_conditional_modes(self.density, state.codes))

    def temperature_range(self) -> tuple[float, float]:
        """Inverse temperatures from the ranges of the factors, see ``range_of_strengths``."""
        density = self.density
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
            found.append(half)
        return range_of_strengths(squares, np.concatenate(found))


def metropolised(logits: Tensor, codes: Tensor) -> Tensor:
    """Probabilities of the next state of variables, from their conditional log weights.

    Arguments:
        logits: log weights, each column with a finite entry.
        codes: states now.

    Shapes:
        logits: (K, ...). codes: (...). result: (K, ...), summing to one over K.

    Example:
        >>> logits = torch.tensor([0.0, -torch.inf, 0.0])[:, None]
        >>> metropolised(logits, torch.tensor([0])).T.tolist()
        [[0.0, 0.0, 1.0]]
    """
    weights = (logits - logits.amax(0)).exp()
    # Sums over the other states, from both ends: a difference to the whole would cancel.
    below, above = torch.zeros_like(weights), torch.zeros_like(weights)
    for k in range(1, len(weights)):
        below[k] = below[k - 1] + weights[k - 1]
        above[-k - 1] = above[-k] + weights[-k]
    others = below + above
    now = codes.long()[None]
    # One of two states is not the heaviest, so the larger sum is at least one.
    probs = weights / torch.maximum(others, others.gather(0, now))
    probs.scatter_(0, now, 0.0)
    return probs.scatter_(0, now, (1 - probs.sum(0, keepdim=True)).clamp_(min=0.0))


def _inverted(weights: Tensor, uniform: Tensor) -> Tensor:
    """States where the running sums of weights (K, ...), in place, pass uniform numbers (...)."""
    # Running sums plane by plane never fall, and stand still at a zero, on every device.
    for below, plane in pairwise(weights):
        plane += below
    return (weights[:-1] <= uniform * weights[-1]).sum(0, dtype=torch.int32)
