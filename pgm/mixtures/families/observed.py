"""Families whose law the hidden Markov models have too: the same formulas, for rows.

.. math:: p(x_t \\mid z_t = k) = p(x \\mid k)
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from inference.inputs import as_whole
from pgm.hidden_markov.emissions import Emissions, Options, Statistics
from pgm.mixtures.families.family import Family, Numbers

__all__ = ["ObservedFamily", "add_up", "column_means", "floor_options", "worded"]


@dataclass(frozen=True)
class ObservedFamily(Family):
    """Abstract base of families that are laws of observations given a hidden state.

    Arguments:
        n_features: d.
    """

    n_features: int
    takes_prior: ClassVar[bool] = True

    def __post_init__(self) -> None:
        as_whole("n_features", self.n_features, least=1)

    @property
    @abstractmethod
    def law(self) -> Emissions:
        """The law."""

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.n_features

    def config(self) -> dict[str, Any]:
        """Number of columns."""
        return {"n_features": self.n_features}

    def blank(self, n_components: int) -> dict[str, Tensor]:
        """Numbers of the law."""
        return self.law.blank(n_components)

    def check(self, numbers: Numbers) -> None:
        """Refuse numbers that are no law."""
        self.law.check({name: x.detach() for name, x in numbers.items()})

    def n_parameters(self, n_components: int) -> int:
        """Number of free numbers."""
        return self.law.n_parameters(n_components)

    def log_likelihood(self, numbers: Numbers, prepared: Any) -> Tensor:
        """The law's."""
        return self.law.log_likelihood(numbers, prepared)

    def statistics(self, numbers: Numbers, prepared: Any, weights: Tensor) -> Statistics:
        """The law's."""
        return self.law.statistics(numbers, prepared, weights)

    def sample(self, numbers: Numbers, labels: Tensor, generator: torch.Generator) -> Tensor:
        """The law's."""
        return self.law.sample(numbers, labels, generator)


def add_up(statistics: Sequence[Statistics]) -> Statistics:
    """Sums over all blocks of rows."""
    return tuple([torch.stack(parts).sum(0) for parts in zip(*statistics, strict=True)])


def column_means(values: Tensor, weights: Tensor) -> Tensor:
    """Weighted means of the present entries of every column, (d,).

    Example:
        >>> column_means(torch.tensor([[1.0], [torch.nan], [4.0]]), torch.tensor([2.0, 9.0, 1.0]))
        tensor([2.])
    """
    present = weights @ (~values.isnan()).to(values.dtype)
    return weights @ values.nan_to_num(nan=0.0) / present.masked_fill(present == 0, 1.0)


@contextmanager
def worded(words: Mapping[str, str]) -> Iterator[None]:
    """Say what a law of hidden Markov models refuses in the words of mixtures.

    Raises:
        ValueError: with the words replaced.
    """
    try:
        yield
    except ValueError as error:
        text = str(error)
        for old, new in words.items():
            text = text.replace(old, new)
        raise ValueError(text) from None


def floor_options(floor: float) -> Options:
    """Options of a law of numbers with nothing but a floor."""
    nothing = torch.zeros(0, dtype=torch.float64)
    return Options(nothing, nothing, nothing, floor)
