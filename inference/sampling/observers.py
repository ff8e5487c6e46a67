"""What is made of draws as they come, so that they need not be kept.

.. math:: c_0 = \\text{init}, \\qquad c_t = \\text{update}(c_{t-1}, x_t), \\qquad
          \\text{result}(c_T)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

import torch
from torch import Tensor

from inference.memory import require_memory

__all__ = [
    "LESS",
    "Covariance",
    "Function",
    "Mean",
    "Moments",
    "Observer",
    "Trace",
    "itself",
]

#: Something of positions: (chain, *event) to (chain, ...).
Function: TypeAlias = Callable[[Tensor], Tensor]

C = TypeVar("C")

#: What to do where an observer does not fit.
LESS = "observe less of the position, or fewer chains"


class Observer(Protocol[C]):
    """Makes something of positions, one draw of all chains after the other.

    A carry is a named tuple of tensors, and ``update`` may reuse its memory.
    """

    def init(self, position: Tensor) -> C:
        """Carry before the first draw; ``position`` only tells shape, type and device."""
        ...

    def update(self, carry: C, position: Tensor) -> C:
        """Carry after one more draw (chain, *event)."""
        ...

    def result(self, carry: C) -> Any:
        """What was found: a tensor or a named tuple of tensors."""
        ...


def itself(position: Tensor) -> Tensor:
    """The position itself."""
    return position


# Moments -------------------------------------------------------------------------------------


class MeanCarry(NamedTuple):
    """Number of draws (), and means of each chain (chain, ...), float64."""

    seen: Tensor
    means: Tensor


@dataclass(frozen=True)
class Mean:
    """The mean over all draws, (...,) float64.

    .. math:: m_t = m_{t-1} + (f(x_t) - m_{t-1}) / t

    Arguments:
        function: of what; by default of the position itself.

    Example:
        >>> observer = Mean()
        >>> carry = observer.init(torch.zeros(2))
        >>> for draw in (torch.tensor([1.0, 2.0]), torch.tensor([3.0, 6.0])):
        ...     carry = observer.update(carry, draw)
        >>> observer.result(carry)
        tensor(3., dtype=torch.float64)
    """

    function: Function = itself

    def init(self, position: Tensor) -> MeanCarry:
        """No draws."""
        zeros = torch.zeros_like(self.function(position), dtype=torch.float64)
        return MeanCarry(zeros.new_zeros(()), zeros)

    def update(self, carry: MeanCarry, position: Tensor) -> MeanCarry:
        """One more."""
        count = carry.seen + 1
        value = _numbers(self.function(position))
        return MeanCarry(count, carry.means + (value - carry.means) / count)

    def result(self, carry: MeanCarry) -> Tensor:
        """The mean; NaN without draws."""
        return torch.where(carry.seen > 0, carry.means.mean(0), torch.nan)


class MomentsCarry(NamedTuple):
    """Draws (), means and sums of squared deviations of each chain (chain, ...), float64."""

    seen: Tensor
    means: Tensor
    squares: Tensor


class ObservedMoments(NamedTuple):
    """Moments over all draws (...,), and those of each chain (chain, ...), float64.

    ``standard_error`` is that of the mean, from how far the chains' means are apart: no
    autocorrelation is needed, but several independent chains are; ``rhat`` compares chains
    without splitting or ranks.
    """

    mean: Tensor
    variance: Tensor
    standard_error: Tensor
    rhat: Tensor
    chain_means: Tensor
    chain_variances: Tensor


@dataclass(frozen=True)
class Moments:
    """Mean and variance over all draws, and whether the chains agree.

    .. math:: s_t = s_{t-1} + (f_t - m_{t-1})(f_t - m_t), \\qquad
              \\text{SE} = \\sqrt{\\operatorname{Var}_c[m^c] / C}, \\qquad
              \\hat R^2 = \\tfrac{n-1}{n} + (n - 1) \\operatorname{Var}_c[m^c] / \\overline{s^c}

    The standard error and R-hat are NaN for one chain, which tells neither; R-hat and variances
    are NaN for fewer than two draws. Divisors are numbers of draws less one.

    Arguments:
        function: of what; by default of the position itself.

    Reference:
        Welford 1962, "Note on a method for calculating corrected sums of squares and products";
        Gelman & Rubin 1992, "Inference from iterative simulation using multiple sequences".

    Example:
        >>> observer = Moments(lambda x: x.square())
        >>> carry = observer.init(torch.zeros(2))
        >>> for draw in (torch.tensor([1.0, 2.0]), torch.tensor([3.0, 2.0])):
        ...     carry = observer.update(carry, draw)
        >>> found = observer.result(carry)
        >>> found.mean.item(), found.chain_variances.tolist()
        (4.5, [32.0, 0.0])
    """

    function: Function = itself

    def init(self, position: Tensor) -> MomentsCarry:
        """No draws."""
        zeros = torch.zeros_like(self.function(position), dtype=torch.float64)
        return MomentsCarry(zeros.new_zeros(()), zeros, zeros)

    def update(self, carry: MomentsCarry, position: Tensor) -> MomentsCarry:
        """One more."""
        count = carry.seen + 1
        value = _numbers(self.function(position))
        before = value - carry.means
        means = carry.means + before / count
        return MomentsCarry(count, means, carry.squares + before * (value - means))

    def result(self, carry: MomentsCarry) -> ObservedMoments:
        """The moments."""
        n, chains = carry.seen, len(carry.means)
        means = torch.where(n > 0, carry.means, torch.nan)
        variances = torch.where(n > 1, carry.squares / (n - 1), torch.nan)
        mean, within = means.mean(0), variances.mean(0)
        apart = (means - mean).square().sum(0)
        total = chains * n - 1
        variance = torch.where(total > 0, (carry.squares.sum(0) + n * apart) / total, torch.nan)
        between = apart / (chains - 1) if chains > 1 else torch.full_like(mean, torch.nan)
        error = (between / chains).sqrt()
        rhat = (between / within + (n - 1) / n).sqrt()
        return ObservedMoments(mean, variance, error, rhat, means, variances)


class CovarianceCarry(NamedTuple):
    """Draws of all chains (), mean (D,) and sums of products of deviations (D, D), float64."""

    seen: Tensor
    mean: Tensor
    products: Tensor


class ObservedCovariance(NamedTuple):
    """Mean (D,) and covariance (D, D) over all draws, float64."""

    mean: Tensor
    covariance: Tensor


@dataclass(frozen=True)
class Covariance:
    """Mean and covariance matrix over all draws; what has several axes is flattened.

    .. math:: S \\leftarrow S + \\sum_c (f_c - \\bar f)(f_c - \\bar f)^\\top
              + \\frac{n C}{n + C} (\\bar f - m)(\\bar f - m)^\\top

    The divisor is the number of draws less one.

    Arguments:
        function: of what; by default of the position itself.

    Raises:
        ValueError: if the matrix would not fit in memory.

    Reference:
        Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance", eq. 2.1.

    Example:
        >>> observer = Covariance()
        >>> draw = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
        >>> carry = observer.update(observer.init(draw), draw)
        >>> observer.result(carry).covariance.tolist()
        [[2.0, 0.0], [0.0, 0.0]]
    """

    function: Function = itself

    def init(self, position: Tensor) -> CovarianceCarry:
        """No draws."""
        size = _rows(self.function(position)).shape[1]
        require_memory(24 * size**2, "the covariance", LESS, position.device)
        like = {"dtype": torch.float64, "device": position.device}
        zeros = torch.zeros(size, **like), torch.zeros((size, size), **like)
        return CovarianceCarry(torch.zeros((), **like), *zeros)

    def update(self, carry: CovarianceCarry, position: Tensor) -> CovarianceCarry:
        """One more of every chain."""
        rows = _rows(self.function(position)).double()
        mean = rows.mean(0)
        rest, shift = rows - mean, mean - carry.mean
        count = carry.seen + len(rows)
        weight = carry.seen * len(rows) / count
        products = carry.products.addmm(rest.T, rest).addr(weight * shift, shift)
        return CovarianceCarry(count, carry.mean + shift * (len(rows) / count), products)

    def result(self, carry: CovarianceCarry) -> ObservedCovariance:
        """The moments; NaN for fewer than two draws."""
        known = carry.seen > 1
        covariance = torch.where(known, carry.products / (carry.seen - 1), torch.nan)
        return ObservedCovariance(torch.where(carry.seen > 0, carry.mean, torch.nan), covariance)


def _numbers(value: Tensor) -> Tensor:
    """Numbers as they are, and whether something holds as 0 and 1: torch subtracts no bools."""
    return value.double() if value.dtype == torch.bool else value


def _rows(value: Tensor) -> Tensor:
    """What a function finds, (chain, ...), flattened to (chain, D)."""
    return value.flatten(1) if value.ndim > 1 else value[:, None]


# Traces --------------------------------------------------------------------------------------


class TraceCarry(NamedTuple):
    """Room for values (room, chain, ...), and how many there are, () int64 on the CPU."""

    values: Tensor
    seen: Tensor


@dataclass(frozen=True)
class Trace:
    """A function of every draw, (chain, draw, ...): an energy, a magnetisation.

    .. math:: (f(x_{ct}))_{ct}

    Arguments:
        function: (chain, *event) to (chain, ...).

    Example:
        >>> observer = Trace(lambda x: x.sum(1))
        >>> carry = observer.init(torch.zeros(2, 3))
        >>> for draw in (torch.ones(2, 3), torch.zeros(2, 3)):
        ...     carry = observer.update(carry, draw)
        >>> observer.result(carry).tolist()
        [[3.0, 0.0], [3.0, 0.0]]
    """

    function: Function

    def init(self, position: Tensor) -> TraceCarry:
        """No draws."""
        return TraceCarry(self.function(position)[None, :][:0], torch.zeros((), dtype=torch.int64))

    def update(self, carry: TraceCarry, position: Tensor) -> TraceCarry:
        """One more; room doubles when there is none."""
        values, count, value = carry.values, int(carry.seen), self.function(position)
        if count == len(values):
            shape = (max(16, 2 * count), *value.shape)
            require_memory(prod(shape) * value.element_size(), "a trace", LESS, value.device)
            values = value.new_empty(shape)
            values[:count] = carry.values
        values[count] = value
        return TraceCarry(values, carry.seen + 1)

    def result(self, carry: TraceCarry) -> Tensor:
        """The values, (chain, draw, ...)."""
        return carry.values[: int(carry.seen)].transpose(0, 1).contiguous()
