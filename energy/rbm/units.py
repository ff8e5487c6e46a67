"""Kinds of units of a layer: what they do in the fields that the other layer makes.

.. math:: p(x_i \\mid f_i) = e^{f_i x_i - s(x_i) - A(f_i)}, \\qquad
          A(f) = \\log \\int e^{f x - s(x)}\\, dx
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from inference.sampling.binary.words import random_words

__all__ = ["BernoulliUnits", "GaussianUnits", "Units"]

#: Means of units 0 and 1 are moved this many rows towards the middle before log-odds are taken.
PSEUDO_ROWS = 1.0


class Units(ABC):
    """One kind of unit: an exponential family whose natural parameter is its field.

    Fields and units have any number of leading axes; the last one is that of the units. A
    variable is one unit, or several that stand for its states.
    """

    #: Units of one variable.
    width = 1

    @property
    @abstractmethod
    def alphabet(self) -> Tensor | None:
        """Units of a variable in each of its states, (states, width), float64.

        None if there are not finitely many, or not as many for every variable.
        """

    @abstractmethod
    def log_normalizer(self, fields: Tensor) -> Tensor:
        """A(f) of every unit, nats, the shape of the fields."""

    @abstractmethod
    def mean(self, fields: Tensor) -> Tensor:
        """Means of units in fields: the slope of A."""

    @abstractmethod
    def sample(self, fields: Tensor, generator: torch.Generator) -> Tensor:
        """Units drawn in fields, in their type."""

    def draw(self, fields: Tensor, generator: torch.Generator) -> Tensor:
        """As ``sample``, of fields that nobody needs any more: their memory may be taken."""
        return self.sample(fields, generator)

    def mean_and_draw(
        self, fields: Tensor, first: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Means of rows of units, and draws of those from one on; as ``draw``.

        Arguments:
            fields: (rows, n).
            first: the first row that is drawn.
            generator: of the draws.

        Shapes:
            result: (rows, n) and (rows - first, n).
        """
        drawn = self.sample(fields[first:], generator)
        return self.mean(fields), drawn

    @abstractmethod
    def self_energy(self, x: Tensor) -> Tensor:
        """s(x) of all units together, without the last axis."""

    @abstractmethod
    def check(self, name: str, x: Tensor) -> None:
        """Refuse what such units cannot be.

        Raises:
            ValueError: naming the argument and what was found.
        """

    def encode(self, name: str, values: Tensor) -> Tensor:
        """Units that stand for the values of variables, (..., n * width).

        Raises:
            ValueError: values that the variables cannot take.
        """
        self.check(name, values)
        return values

    def decode(self, x: Tensor) -> Tensor:
        """Values of the variables that units stand for, (..., n)."""
        return x

    def independent_bias(self, rows: Tensor) -> Tensor:
        """Fields in which units have the means of rows, (n_units,).

        To units 0 and 1 one row between them is added, so that constant features stay finite.

        Arguments:
            rows: units, (n, n_units).
        """
        means = (rows.sum(0) + 0.5 * PSEUDO_ROWS) / (len(rows) + PSEUDO_ROWS)
        return means.logit()


@dataclass(frozen=True)
class BernoulliUnits(Units):
    """Units 0 and 1.

    .. math:: s(x) = 0, \\qquad A(f) = \\log(1 + e^f), \\qquad \\mathbb{E} x = \\sigma(f)

    Example:
        >>> BernoulliUnits().mean(torch.tensor([0.0])).tolist()
        [0.5]
    """

    @property
    def alphabet(self) -> Tensor:
        """Zero and one."""
        return torch.tensor([[0.0], [1.0]], dtype=torch.float64)

    def log_normalizer(self, fields: Tensor) -> Tensor:
        """log(1 + exp f)."""
        return torch.nn.functional.softplus(fields)

    def mean(self, fields: Tensor) -> Tensor:
        """Probabilities of ones."""
        return fields.sigmoid()

    def sample(self, fields: Tensor, generator: torch.Generator) -> Tensor:
        """Zeros and ones."""
        return _below(fields.sigmoid(), generator)

    def draw(self, fields: Tensor, generator: torch.Generator) -> Tensor:
        """Zeros and ones in the memory of the fields."""
        return _below(fields.sigmoid_(), generator)

    def mean_and_draw(
        self, fields: Tensor, first: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Probabilities in the memory of the fields, and zeros and ones."""
        means = fields.sigmoid_()
        return means, _below(means[first:].clone(), generator)

    def self_energy(self, x: Tensor) -> Tensor:
        """None."""
        return torch.zeros_like(x[..., 0])

    def check(self, name: str, x: Tensor) -> None:
        """Refuse what is not between 0 and 1: probabilities stand for means."""
        if not bool(((x >= 0) & (x <= 1)).all()):
            wrong = x[~((x >= 0) & (x <= 1))][0].item()
            raise ValueError(f"{name} must be 0 and 1, or means between them, found {wrong:g}")


def _below(p: Tensor, generator: torch.Generator) -> Tensor:
    """Where random words are below thresholds, zeros and ones in the memory of probabilities."""
    if torch.finfo(p.dtype).bits < 32:
        # Thresholds need more digits, and a wider range, than such a type has.
        return _below(p.float(), generator).to(p.dtype)
    # In one pass, and to the bit (p - 1/2) 2^32: scaling by a power of two rounds nothing.
    thresholds = torch.add(p.new_full((), -(2.0**31)), p, alpha=2.0**32, out=p)
    return torch.lt(random_words(tuple(p.shape), generator), thresholds, out=thresholds)


@dataclass(frozen=True, eq=False)
class GaussianUnits(Units):
    """Real units with precisions of their own.

    .. math:: s(x) = \\tfrac{\\lambda}{2} x^2, \\qquad
              A(f) = \\frac{f^2}{2 \\lambda} + \\tfrac12 \\log \\frac{2 \\pi}{\\lambda}, \\qquad
              x \\sim N(f / \\lambda, 1 / \\lambda)

    Arguments:
        log_precision: log lambda, (n,) or ().

    Example:
        >>> GaussianUnits(torch.tensor(0.0)).mean(torch.tensor([3.0])).tolist()
        [3.0]
    """

    log_precision: Tensor

    @property
    def alphabet(self) -> None:
        """Not finitely many."""
        return None

    def log_normalizer(self, fields: Tensor) -> Tensor:
        """Half the squared field over the precision, and the normal law's constant."""
        scaled = fields.square() * (0.5 * (-self.log_precision).exp())
        return scaled + 0.5 * (math.log(2 * math.pi) - self.log_precision)

    def mean(self, fields: Tensor) -> Tensor:
        """Fields over precisions."""
        return fields * (-self.log_precision).exp()

    def sample(self, fields: Tensor, generator: torch.Generator) -> Tensor:
        """Normal draws."""
        noise = torch.empty_like(fields).normal_(generator=generator)
        return self.mean(fields).addcmul(noise, (-0.5 * self.log_precision).exp())

    def self_energy(self, x: Tensor) -> Tensor:
        """Half the squared units times the precision."""
        return 0.5 * (x.square() * self.log_precision.exp()).sum(-1)

    def check(self, name: str, x: Tensor) -> None:
        """Refuse what is not finite."""
        if not bool(x.isfinite().all()):
            raise ValueError(f"{name} must be finite, found {x[~x.isfinite()][0].item():g}")

    def independent_bias(self, rows: Tensor) -> Tensor:
        """Means of the rows times the precisions."""
        return rows.mean(0) * self.log_precision.exp()
