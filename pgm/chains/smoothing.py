"""Estimators of n-gram probabilities: how much of every context's mass is left to shorter ones.

.. math:: p(x \\mid h) = d(h, x) + \\beta(h)\\, p(x \\mid h')

h' is the context h without its oldest symbol; the empty context passes its rest on to the uniform
distribution 1/K. An estimator is the pair (d, β). A context that was never seen has d = 0 and
β = 1, whatever the estimator: its distribution is that of the next shorter context.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from torch import Tensor

from pgm.chains.counts import ContextTable

__all__ = [
    "AbsoluteDiscounting",
    "AddK",
    "Interpolated",
    "KneserNey",
    "Laplace",
    "MaximumLikelihood",
    "Smoothing",
    "WittenBell",
    "as_smoothing",
]


class Smoothing(ABC):
    """Abstract base of the estimators, which are frozen dataclasses of their settings.

    Attributes:
        passes_to_uniform: whether the rest goes to the uniform distribution at once.
        counts_continuations: whether short contexts count different predecessors instead of
            occurrences.
    """

    passes_to_uniform: ClassVar[bool] = False
    counts_continuations: ClassVar[bool] = False

    @abstractmethod
    def shares(self, length: int, table: ContextTable) -> tuple[Tensor, Tensor]:
        """What n-grams get directly, (G,), and what contexts pass on, (C,).

        Arguments:
            length: of the contexts.
            table: their counts. Entries of contexts whose total is zero are not used.
        """

    def check_order(self, order: int) -> None:  # noqa: B027
        """Raise a ValueError if the settings do not fit an order."""

    def config(self) -> dict[str, Any]:
        """Name and settings, as JSON values."""
        return {"kind": type(self).__name__, **asdict(self)}  # type: ignore[call-overload]

    @staticmethod
    def from_config(config: Mapping[str, Any]) -> Smoothing:
        """Build the estimator that ``config`` describes."""
        kinds = {kind.__name__: kind for kind in Smoothing.__subclasses__()}
        settings = dict(config)
        kind = settings.pop("kind", None)
        if kind not in kinds:
            raise ValueError(
                f"smoothing must be one of {', '.join(sorted(kinds))}, found {kind!r}"
            )
        return kinds[kind](**settings)


@dataclass(frozen=True)
class MaximumLikelihood(Smoothing):
    """Relative frequencies.

    .. math:: p(x \\mid h) = \\frac{n(h, x)}{n(h)}

    Nothing is passed on, so that what never followed a context has probability zero. Only a
    context that was never followed by anything (0/0) has the distribution of a shorter one.

    Reference:
        Jurafsky & Martin 2009, section 4.2.
    """

    def shares(self, length: int, table: ContextTable) -> tuple[Tensor, Tensor]:
        """Relative frequencies, and nothing to pass on."""
        return table.counts / table.totals[table.owners], table.totals * 0


@dataclass(frozen=True)
class AddK(Smoothing):
    """A pseudo-count for every symbol after every context; k = 1 is Laplace's law of succession.

    .. math:: p(x \\mid h) = \\frac{n(h, x) + k}{n(h) + k K}

    The posterior mean under a symmetric Dirichlet prior with parameter k. Shorter contexts play no
    part: a context that was never seen has the uniform distribution.

    Arguments:
        k: the pseudo-count, positive.

    Raises:
        ValueError: if it is not positive and finite.

    Reference:
        Lidstone 1920; Chen & Goodman 1999, section 2.1.

    Example:
        >>> from pgm.markov_chain import MarkovChain
        >>> MarkovChain(order=1, smoothing=AddK(1.0)).fit("aab").transitions
        tensor([[0.5000, 0.5000],
                [0.5000, 0.5000]], dtype=torch.float64)
    """

    k: float = 1.0
    passes_to_uniform: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_positive("k", self.k)

    def shares(self, length: int, table: ContextTable) -> tuple[Tensor, Tensor]:
        """Counts against counts and pseudo-counts."""
        added = self.k * table.n_symbols
        size = table.totals + added
        return table.counts / size[table.owners], added / size


@dataclass(frozen=True)
class Laplace(Smoothing):
    """Pseudo-counts that are shared out like the next shorter context's distribution.

    .. math:: p(x \\mid h) = \\frac{n(h, x) + \\epsilon\\, p(x \\mid h')}{n(h) + \\epsilon}

    The posterior mean under a Dirichlet prior around the shorter context's distribution.

    Arguments:
        eps: total of the pseudo-counts, positive; one number, or one per context length from 0.

    Raises:
        ValueError: if one is not positive and finite; with the model's order, if their number is
            not order + 1.

    Reference:
        MacKay & Peto 1995, "A hierarchical Dirichlet language model".

    Example:
        >>> from pgm.markov_chain import MarkovChain
        >>> MarkovChain(order=0, smoothing=Laplace(1.0)).fit("aab").table
        tensor([0.6250, 0.3750], dtype=torch.float64)
    """

    eps: float | tuple[float, ...] = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.eps, (list, tuple)):
            object.__setattr__(self, "eps", tuple(self.eps))
        for value in self._values():
            _check_positive("eps", value)

    def _values(self) -> tuple[float, ...]:
        return self.eps if isinstance(self.eps, tuple) else (self.eps,)

    def check_order(self, order: int) -> None:
        """One number, or one per context length."""
        if isinstance(self.eps, tuple):
            _check_lengths("eps", self.eps, order)

    def shares(self, length: int, table: ContextTable) -> tuple[Tensor, Tensor]:
        """Counts against counts and pseudo-counts."""
        eps = self.eps[length] if isinstance(self.eps, tuple) else self.eps
        size = table.totals + eps
        return table.counts / size[table.owners], eps / size


@dataclass(frozen=True)
class Interpolated(Smoothing):
    """Jelinek-Mercer: fixed shares for the frequencies of every context length.

    .. math:: p(x \\mid h) = \\lambda_j \\frac{n(h, x)}{n(h)} + (1 - \\lambda_j)\\, p(x \\mid h'),
              \\qquad j = |h|

    Arguments:
        weights: λ_0 to λ_order, each in [0, 1]; None learns them when the model is fitted, by
            :func:`pgm.chains.deleted_interpolation.deleted_interpolation`.

    Raises:
        ValueError: if one is outside [0, 1]; with the model's order, if their number is not
            order + 1.

    Reference:
        Jelinek & Mercer 1980; Chen & Goodman 1999, section 2.3.

    Example:
        >>> from pgm.markov_chain import MarkovChain
        >>> chain = MarkovChain(order=1, smoothing=Interpolated((1.0, 0.5))).fit("aab")
        >>> chain.transitions
        tensor([[0.5833, 0.4167],
                [0.6667, 0.3333]], dtype=torch.float64)
    """

    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.weights is None:
            return
        object.__setattr__(self, "weights", tuple(self.weights))
        for value in self.weights:
            _check_fraction("weights", value)

    def check_order(self, order: int) -> None:
        """One weight per context length."""
        if self.weights is not None:
            _check_lengths("weights", self.weights, order)

    def shares(self, length: int, table: ContextTable) -> tuple[Tensor, Tensor]:
        """A share of the relative frequencies; the rest is passed on."""
        if self.weights is None:
            raise ValueError("weights are not known yet; fit the model, or pass them")
        weight = self.weights[length]
        direct = weight * table.counts / table.totals[table.owners]
        return direct, table.totals * 0 + (1 - weight)


@dataclass(frozen=True)
class WittenBell(Smoothing):
    """New symbols are expected as often as the context has shown new ones.

    .. math:: p(x \\mid h) = \\frac{n(h, x) + N_{1+}(h\\, \\bullet)\\, p(x \\mid h')}
                                  {n(h) + N_{1+}(h\\, \\bullet)}

    N_{1+}(h •) is the number of different symbols seen after h.

    Reference:
        Witten & Bell 1991 (method C); Chen & Goodman 1999, section 2.5.

    Example:
        >>> from pgm.markov_chain import MarkovChain
        >>> MarkovChain(order=0, smoothing=WittenBell()).fit("aab").table
        tensor([0.6000, 0.4000], dtype=torch.float64)
    """

    def shares(self, length: int, table: ContextTable) -> tuple[Tensor, Tensor]:
        """Counts against counts and numbers of different symbols."""
        size = table.totals + table.distinct
        return table.counts / size[table.owners], table.distinct / size


@dataclass(frozen=True)
class AbsoluteDiscounting(Smoothing):
    """The same amount is taken off every count and passed on.

    .. math:: p(x \\mid h) = \\frac{\\max(n(h, x) - D, 0) + D\\, N_{1+}(h\\, \\bullet)\\,
              p(x \\mid h')}{n(h)}

    Arguments:
        discount: D, in [0, 1].

    Raises:
        ValueError: if it is outside [0, 1].

    Reference:
        Ney, Essen & Kneser 1994; Chen & Goodman 1999, section 2.6.

    Example:
        >>> from pgm.markov_chain import MarkovChain
        >>> MarkovChain(order=0, smoothing=AbsoluteDiscounting(0.75)).fit("aab").table
        tensor([0.6667, 0.3333], dtype=torch.float64)
    """

    discount: float = 0.75

    def __post_init__(self) -> None:
        _check_fraction("discount", self.discount)

    def shares(self, length: int, table: ContextTable) -> tuple[Tensor, Tensor]:
        """What the discount leaves, and what it takes."""
        return _discounted(table, self.discount)


@dataclass(frozen=True)
class KneserNey(Smoothing):
    """Interpolated Kneser-Ney: short contexts count different predecessors, not occurrences.

    .. math:: p(x \\mid h) = \\frac{\\max(n(h, x) - D, 0) + D\\, N_{1+}(h\\, \\bullet)\\,
              p(x \\mid h')}{n(h)}, \\qquad
              n(h', x) = N_{1+}(\\bullet\\, h'\\, x) \\text{ for all shorter contexts } h'

    The empty context is not discounted, so that only symbols with a predecessor somewhere have
    positive probability; ``uniform_base`` discounts it too, in favour of all symbols. With order 0
    nothing is shorter, and the counts are occurrences.

    Arguments:
        discount: D, in [0, 1].
        uniform_base: whether the empty context passes on to the uniform distribution.

    Raises:
        ValueError: if ``discount`` is outside [0, 1].

    Reference:
        Kneser & Ney 1995; Chen & Goodman 1999, section 2.7 and the interpolated form of 2.8.

    Example:
        >>> from pgm.markov_chain import MarkovChain
        >>> MarkovChain(order=1, smoothing=KneserNey(0.5)).fit("aabab").transitions
        tensor([[0.3889, 0.6111],
                [0.8333, 0.1667]], dtype=torch.float64)
    """

    discount: float = 0.75
    uniform_base: bool = False
    counts_continuations: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_fraction("discount", self.discount)
        if not isinstance(self.uniform_base, bool):
            raise TypeError(f"uniform_base must be True or False, found {self.uniform_base!r}")

    def shares(self, length: int, table: ContextTable) -> tuple[Tensor, Tensor]:
        """What the discount leaves, and what it takes."""
        base = length == 0 and not self.uniform_base
        return _discounted(table, 0.0 if base else self.discount)


def as_smoothing(smoothing: Smoothing | None, order: int) -> Smoothing:
    """Check an estimator for a model of some order; None is maximum likelihood.

    Raises:
        TypeError: if it is no estimator.
        ValueError: if its settings do not fit the order.

    Example:
        >>> as_smoothing(None, order=1)
        MaximumLikelihood()
    """
    if smoothing is None:
        return MaximumLikelihood()
    if not isinstance(smoothing, Smoothing):
        kinds = ", ".join(sorted([kind.__name__ for kind in Smoothing.__subclasses__()]))
        raise TypeError(f"smoothing must be None or one of {kinds}, found {smoothing!r}")
    smoothing.check_order(order)
    return smoothing


def _discounted(table: ContextTable, discount: float) -> tuple[Tensor, Tensor]:
    """Shares after taking the same amount off every count, none of which is below one."""
    left = (table.counts - discount) / table.totals[table.owners]
    return left, discount * table.distinct / table.totals


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _check_positive(name: str, value: Any) -> None:
    """Refuse pseudo-counts that are not positive."""
    if not _is_number(value):
        raise TypeError(f"{name} must be a number, found {value!r}")
    if not 0 < value < math.inf:
        raise ValueError(
            f"{name} must be positive and finite, found {value}; smoothing=None adds nothing"
        )


def _check_fraction(name: str, value: Any) -> None:
    """Refuse what is not between zero and one."""
    if not _is_number(value):
        raise TypeError(f"{name} must be a number, found {value!r}")
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be in [0, 1], found {value}")


def _check_lengths(name: str, values: tuple[float, ...], order: int) -> None:
    """Refuse another number of settings than there are context lengths."""
    if len(values) != order + 1:
        raise ValueError(
            f"{name} must have one entry per context length from 0 to order = {order}, that is "
            f"{order + 1}, found {len(values)}"
        )
