"""How strongly a pattern pulls a state towards itself, by their overlap.

.. math:: E(x) = -\\sum_\\mu F(m_\\mu), \\qquad F(m) = m^n \\quad\\text{or}\\quad e^m
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor

from energy.hopfield.dynamics import Dynamics, Rule, decide

__all__ = ["Exponential", "Interaction", "PatternDynamics", "Polynomial", "Pulls"]

#: Units that are looked at together: of so many, a few turn in every cue.
BLOCK = 32


class Pulls(NamedTuple):
    """What one unit more or less that agrees does to F; up to one factor per cue.

    Attributes:
        apart: F(m + 2) - F(m - 2), (P, C).
        alike: the sum over patterns of (F(m + 2) + F(m - 2)) / 2 - F(m), (C,).
        total: the sum of the sizes of all terms, (C,).
    """

    apart: Tensor
    alike: Tensor
    total: Tensor


class Interaction(ABC):
    """Abstract base: the function F of the overlaps."""

    @abstractmethod
    def largest(self, n_units: int) -> float:
        """The largest whole number among F; infinite where F is not whole."""

    @abstractmethod
    def energy(self, overlaps: Tensor) -> Tensor:
        """Energy of overlaps (P, C), (C,)."""

    @abstractmethod
    def pulls(self, overlaps: Tensor) -> Pulls:
        """Differences of F at overlaps (P, C), which one unit changes by two."""


class Polynomial(Interaction):
    """A power of the overlap.

    .. math:: E = -\\sum_\\mu m_\\mu^n

    Arguments:
        degree: n.

    Reference:
        Krotov & Hopfield 2016, "Dense associative memory for pattern recognition", eq. 3.

    Example:
        >>> Polynomial(3).energy(torch.tensor([[2.0], [-1.0]])).tolist()
        [-7.0]
    """

    def __init__(self, degree: int) -> None:
        self.degree = degree

    def largest(self, n_units: int) -> float:
        """F two beyond the largest overlap."""
        return math.exp(min(self.degree * math.log(n_units + 2), 700.0))

    def energy(self, overlaps: Tensor) -> Tensor:
        """Energy of overlaps (P, C), (C,)."""
        return -_power(overlaps, self.degree).sum(0)

    def pulls(self, overlaps: Tensor) -> Pulls:
        """Differences of F at overlaps (P, C)."""
        more, less = _power(overlaps + 2, self.degree), _power(overlaps - 2, self.degree)
        here = _power(overlaps, self.degree)
        alike = (more.sum(0) + less.sum(0)) / 2 - here.sum(0)
        sizes = [torch.linalg.vector_norm(x, 1, 0) for x in (more, less, here)]
        return Pulls(more.sub_(less), alike, sizes[0] + sizes[1] + sizes[2])


class Exponential(Interaction):
    """The exponential of the overlap; the energy is the logarithm of the sum.

    .. math:: E = -\\log \\sum_\\mu e^{m_\\mu}

    The logarithm keeps it finite and changes no comparison of energies.

    Reference:
        Demircigil et al. 2017, "On a model of associative memory with huge storage capacity",
        J. Stat. Phys. 168, 288, eq. 11; Ramsauer et al. 2021, "Hopfield networks is all you
        need", eq. 2 (the logarithm).

    Example:
        >>> Exponential().energy(torch.tensor([[1000.0], [-1000.0]])).tolist()
        [-1000.0]
    """

    def largest(self, n_units: int) -> float:
        """Exponentials are not whole."""
        return math.inf

    def energy(self, overlaps: Tensor) -> Tensor:
        """Energy of overlaps (P, C), (C,)."""
        return -overlaps.logsumexp(0)

    def pulls(self, overlaps: Tensor) -> Pulls:
        """Differences of F at overlaps (P, C), where the largest F is one."""
        here = (overlaps - overlaps.amax(0)).exp_()
        total = here.sum(0)
        alike, sizes = (math.cosh(2) - 1) * total, (1 + 2 * math.cosh(2)) * total
        return Pulls(here.mul_(2 * math.sinh(2)), alike, sizes)


class PatternDynamics(Dynamics):
    """What lowers the energy of a dense associative memory.

    Turning unit i changes the sum over patterns by

    .. math:: \\sum_\\mu F(m_\\mu - 2 \\xi^\\mu_i x_i) - F(m_\\mu)
              = \\sum_\\mu \\Bigl(\\frac{F^+_\\mu + F^-_\\mu}{2} - F_\\mu\\Bigr)
              - x_i \\sum_\\mu \\xi^\\mu_i \\frac{F^+_\\mu - F^-_\\mu}{2}
              = a - x_i g_i,

    with :math:`F^\\pm = F(m \\pm 2)`: one matrix product for all units at once. The unit's field
    is :math:`g_i - a x_i`. It is divided by the sum of all terms, so that one number tells what
    rounding can make of zero.

    Arguments:
        patterns: -1 and +1.
        interaction: F.

    Shapes:
        patterns: (P, d).

    Example:
        >>> dynamics = PatternDynamics(torch.ones(1, 3, dtype=torch.float64), Polynomial(2))
        >>> x = torch.tensor([[1.0], [1.0], [-1.0]], dtype=torch.float64)
        >>> dynamics.counted(dynamics.start(x), x).sign().squeeze(1).tolist()
        [0.0, 0.0, 1.0]
    """

    def __init__(self, patterns: Tensor, interaction: Interaction) -> None:
        n_patterns, n_units = patterns.shape
        self._patterns = patterns
        self._units = patterns.T.contiguous()
        self._interaction = interaction
        self.threshold = self.uncounted = patterns.new_zeros(n_units, 1)
        # Sums of whole numbers are exact up to 2 / eps; else a bound for sums in any order.
        rounding = 4 * n_patterns * torch.finfo(patterns.dtype).eps
        exact = rounding * interaction.largest(n_units) < 1
        self.slack = None if exact else torch.full_like(self.threshold, rounding)

    def start(self, states: Tensor) -> Tensor:
        """Overlaps, (P, C)."""
        return self._patterns @ states

    def counted(self, memory: Tensor, states: Tensor) -> Tensor:
        """Fields of all units, (d, C)."""
        return self._field(self._units, memory, states)

    def energy(self, memory: Tensor, counted: Tensor, states: Tensor) -> Tensor:
        """Energy of states (d, C), (C,)."""
        return self._interaction.energy(memory)

    def sweep(self, memory: Tensor, states: Tensor, order: Tensor, rule: Rule) -> None:
        """Update every unit once, one after the other, in place.

        Every cue goes straight to its next unit that turns: those before it see what they would
        have seen one by one, as nothing has changed.
        """
        for units in order.split(BLOCK):
            patterns = self._units.index_select(0, units)
            before = states.index_select(0, units)
            ties = rule.threshold[units], None if rule.slack is None else rule.slack[units]
            after = self._turned(patterns, memory, before, *ties)
            if not torch.equal(after, before):
                states.index_copy_(0, units, after)
                memory.addmm_(patterns.T, after - before)

    def _turned(
        self,
        patterns: Tensor,
        overlaps: Tensor,
        states: Tensor,
        threshold: Tensor,
        slack: Tensor | None,
    ) -> Tensor:
        """States of some units after their updates, (B, C), from patterns (B, P)."""
        after = states.clone()
        place = torch.arange(len(states), device=states.device)[:, None]
        cues = torch.arange(states.shape[1], device=states.device)
        first = torch.zeros_like(cues)
        while True:
            now = after[:, cues]
            field = self._field(patterns, overlaps, now)
            wanted = decide(field, now, threshold, slack)
            turns = (wanted != now) & (place >= first)
            left = turns.any(0).nonzero().squeeze(1)
            if not len(left):
                return after
            cues, at = cues[left], turns[:, left].to(torch.int8).argmax(0)
            old = now[at, left]
            after[at, cues] = -old
            overlaps = overlaps.index_select(1, left).sub_((patterns[at] * (2 * old)[:, None]).T)
            first = at + 1

    def _field(self, units: Tensor, overlaps: Tensor, states: Tensor) -> Tensor:
        """Fields of units whose patterns are (B, P), (B, C)."""
        apart, alike, total = self._interaction.pulls(overlaps)
        total = torch.where(total > 0, total, 1.0)
        return (units @ apart / 2 - alike * states) / total


def _power(x: Tensor, degree: int) -> Tensor:
    """A whole power by multiplication: exact for whole numbers, much faster than ``pow``."""
    if degree == 1:
        return x
    half = _power(x, degree // 2)
    square = half * half
    return square.mul_(x) if degree % 2 else square
