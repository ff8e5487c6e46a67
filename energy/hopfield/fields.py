"""Fields of units, exactly: the same to the last bit in whatever order they are summed.

.. math:: h_i = \\sum_j w_{ij} x_j + b_i

Whether a unit turns, stays or is tied hangs on the sign of its field, and rounding must not
decide that. So fields are whole numbers of steps that a floating-point number holds exactly, and
no sum of them is ever rounded: one unit at a time, block after block and on every device they
agree.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import partial

import torch
from torch import Tensor

from energy.hopfield.dynamics import Dynamics, Rule, decide
from energy.triangular import settled

__all__ = ["DenseFields", "Fields", "OverlapFields", "heat_bath"]

#: Units that are updated together: small enough that few of them depend on each other.
BLOCK = 128

#: Whole numbers up to here are exact in single precision.
EXACT_FLOAT32 = 2**24

#: Of two, in the smallest number of full precision.
SMALLEST_EXPONENT = -1022


class Fields(Dynamics):
    """Abstract base: fields that are linear in the states.

    Attributes:
        scale: steps in a field of one.
        bias: steps of the bias that :meth:`rows` does not contain, (d, 1).
        own: steps of w_ii that :meth:`rows` contains, (d, 1).
        both_biases: what makes :meth:`counted` h_i + b_i, (d, 1) float64, steps; None is zero.
    """

    scale: float
    bias: Tensor
    own: Tensor
    both_biases: Tensor | None

    @abstractmethod
    def rows(self, memory: Tensor, units: Tensor) -> Tensor:
        """Fields of some units, (B, C), steps."""

    @abstractmethod
    def all_rows(self, memory: Tensor) -> Tensor:
        """Fields of all units, (d, C), steps."""

    @abstractmethod
    def couplings(self, units: Tensor) -> Tensor:
        """What the next two need of some units, (B, ...)."""

    @abstractmethod
    def among(self, couplings: Tensor, units: Tensor) -> Tensor:
        """Couplings among the units, (B, B), steps."""

    @abstractmethod
    def advance(self, memory: Tensor, couplings: Tensor, change: Tensor) -> None:
        """Follow a change (B, C) of the units, in place."""

    def counted(self, memory: Tensor, states: Tensor) -> Tensor:
        """Fields of all units without what is no part of the network, (d, C), steps."""
        return self.all_rows(memory) - self.uncounted * states

    def energy(self, memory: Tensor, counted: Tensor, states: Tensor) -> Tensor:
        """Energy of states (d, C) from their fields, (C,) float64.

        .. math:: E = -\\tfrac12 \\sum_i x_i (h_i + b_i)
        """
        twice = (states * counted).sum(0, dtype=torch.float64)
        if self.both_biases is not None:
            twice += (self.both_biases * states).sum(0)
        return twice / (-2 * self.scale)

    def sweep(self, memory: Tensor, states: Tensor, order: Tensor, rule: Rule) -> None:
        """Update every unit once, one after the other, in place.

        Within a block the states after the update solve a system of :mod:`energy.triangular`.
        """
        for units in order.split(BLOCK):
            before = states.index_select(0, units)
            field = torch.addcmul(self.rows(memory, units), rule.own[units], before, value=-1)
            threshold = rule.threshold[units]
            slack = None if rule.slack is None else rule.slack[units]
            decided = partial(decide, states=before, threshold=threshold, slack=slack)
            after = decided(field)
            if torch.equal(after, before):
                continue
            couplings = self.couplings(units)
            earlier = self.among(couplings, units).tril(-1)
            after = settled(decided, field, earlier, before, after)
            states.index_copy_(0, units, after)
            self.advance(memory, couplings, after - before)


def heat_bath(fields: Fields, beta: float, cues: int, generator: torch.Generator) -> Rule:
    """A draw of thresholds, which makes an update a draw from the unit's law given the others.

    .. math:: u < \\frac{1}{1 + e^{-2 \\beta h_i}} \\iff h_i > \\frac{1}{2 \\beta}
              \\log \\frac{u}{1 - u}

    A unit's own coupling only shifts the energy and is no part of that law.
    """
    shape = (len(fields.own), cues)
    device = fields.own.device
    uniform = torch.rand(shape, dtype=torch.float64, device=device, generator=generator)
    logits = uniform.logit()
    if beta > 0:
        threshold = fields.scale / (2 * beta) * logits - fields.bias
    else:
        threshold = torch.full_like(logits, torch.inf).copysign(logits)
    return Rule(threshold.to(fields.own.dtype), None, fields.own)


class OverlapFields(Fields):
    """Couplings by Hebb's rule, as the patterns themselves: 2 P d operations instead of d^2.

    .. math:: d\\, h_i = \\sum_\\mu \\xi^\\mu_i m_\\mu + d\\, b_i, \\qquad
              m_\\mu = \\sum_j \\xi^\\mu_j x_j

    Overlaps m are whole numbers, and so are d times the fields.

    Arguments:
        patterns: -1 and +1.
        bias: b.
        zero_diagonal: whether w_ii = 0.

    Shapes:
        patterns: (P, d). bias: (d,).

    Example:
        >>> fields = OverlapFields(torch.tensor([[1, -1, 1]]), torch.zeros(3), True)
        >>> x = torch.tensor([[1.0], [1.0], [1.0]])
        >>> fields.counted(fields.start(x), x).squeeze(1).tolist()
        [0.0, -2.0, 0.0]
    """

    def __init__(self, patterns: Tensor, bias: Tensor, zero_diagonal: bool) -> None:
        n_patterns, n_units = patterns.shape
        # A field, and twice the couplings of a block on top of it.
        small = 3 * n_patterns * n_units < EXACT_FLOAT32
        kind = torch.float32 if small else torch.float64
        self._patterns = patterns.to(kind)
        self._units = self._patterns.T.contiguous()
        self.scale = float(n_units)
        self.bias = n_units * bias.detach().double()[:, None]
        self.own = torch.full_like(self._units[:, :1], float(n_patterns))
        self.uncounted = self.own if zero_diagonal else torch.zeros_like(self.own)
        self.both_biases = 2 * self.bias if self.bias.any() else None
        self.threshold, self.slack = -_between(self.bias).to(kind), None

    def start(self, states: Tensor) -> Tensor:
        """Overlaps, (P, C)."""
        return self._patterns @ states

    def rows(self, memory: Tensor, units: Tensor) -> Tensor:
        """Fields of some units, (B, C), steps."""
        return self._units.index_select(0, units) @ memory

    def couplings(self, units: Tensor) -> Tensor:
        """The units in all patterns, (B, P)."""
        return self._units.index_select(0, units)

    def among(self, couplings: Tensor, units: Tensor) -> Tensor:
        """Couplings among the units, (B, B), steps."""
        return couplings @ couplings.T

    def advance(self, memory: Tensor, couplings: Tensor, change: Tensor) -> None:
        """Follow a change (B, C) of the units, in place."""
        memory.addmm_(couplings.T, change)

    def all_rows(self, memory: Tensor) -> Tensor:
        """Fields of all units, (d, C), steps."""
        return self._units @ memory


class DenseFields(Fields):
    """Couplings as a matrix.

    Every row is rounded to multiples of a step so small that this changes no weight by more than
    the last digit of the row's sum, and so large that no sum of the row needs more digits than a
    double has. A field within what rounding of the weights may have made of zero counts as zero.

    Arguments:
        weights: symmetric.
        bias: b.

    Shapes:
        weights: (d, d). bias: (d,).

    Example:
        >>> fields = DenseFields(torch.tensor([[0.0, 0.1], [0.1, 0.0]]), torch.tensor([0.1, 0.1]))
        >>> x = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
        >>> field = fields.counted(fields.start(x), x)
        >>> (field.abs() <= fields.slack).squeeze(1).tolist()
        [False, True]
    """

    def __init__(self, weights: Tensor, bias: Tensor) -> None:
        n_units = len(bias)
        precision = torch.finfo(weights.dtype).eps
        exact, bias = weights.detach().double(), bias.detach().double()[:, None]
        largest = exact.abs().sum(1, keepdim=True) + bias.abs()
        # A field is at most one such sum, and turning units add at most two more.
        digits = (torch.frexp(largest).exponent - 50).clamp_min(SMALLEST_EXPONENT)
        step = torch.ldexp(torch.ones_like(largest), digits)
        self._columns = ((exact / step).round_() * step).T.contiguous()
        self._bias = (bias / step).round() * step
        self.scale = 1.0
        self.bias = torch.zeros_like(self._bias)
        self.own = self._columns.diagonal()[:, None].clone()
        self.uncounted = torch.zeros_like(self.own)
        self.both_biases = self._bias if self._bias.any() else None
        self.threshold = torch.zeros_like(largest)
        self.slack = precision * largest + n_units * step

    def start(self, states: Tensor) -> Tensor:
        """Fields, (d, C)."""
        return torch.addmm(self._bias, self._columns.T, states)

    def rows(self, memory: Tensor, units: Tensor) -> Tensor:
        """Fields of some units, (B, C), steps."""
        return memory.index_select(0, units)

    def couplings(self, units: Tensor) -> Tensor:
        """What the units add to every field, (B, d)."""
        return self._columns.index_select(0, units)

    def among(self, couplings: Tensor, units: Tensor) -> Tensor:
        """Couplings among the units, (B, B), steps."""
        return couplings.index_select(1, units).T

    def advance(self, memory: Tensor, couplings: Tensor, change: Tensor) -> None:
        """Follow a change (B, C) of the units, in place."""
        memory.addmm_(couplings.T, change)

    def all_rows(self, memory: Tensor) -> Tensor:
        """Fields of all units, (d, C), steps."""
        return memory


def _between(bias: Tensor) -> Tensor:
    """Numbers that stand between the same whole numbers as these, and need few digits.

    What is a whole number up to rounding is one: there a field can be tied.
    """
    near = bias.round()
    tied = (bias - near).abs() <= 1e-9 * bias.abs().clamp_min(1.0)
    return torch.where(tied, near, bias.floor() + 0.5)
