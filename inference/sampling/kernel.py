"""What moves Markov chains, and what a path of laws is that annealing follows.

.. math:: x_{t+1} \\sim K(x_t, \\cdot), \\qquad \\pi K = \\pi
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeAlias, TypeVar

import torch
from torch import Tensor

__all__ = [
    "Annealable",
    "Beta",
    "FixedBeta",
    "Kernel",
    "Rule",
    "S",
    "SearchLaw",
    "TemperedLaw",
    "select",
]

#: A named tuple of tensors, the chains along their first axis.
S = TypeVar("S", bound=tuple[Any, ...])

#: How a discrete variable moves: drawn from its conditional law, or by Metropolis' rule, which
#: changes it more often.
Rule: TypeAlias = Literal["heat-bath", "metropolis"]

#: An inverse temperature for all chains, or one for each, (chain,).
Beta = float | Tensor


class Kernel(Protocol[S]):
    """A step of all chains at once that leaves a law invariant.

    Pure: a step makes a new state, and what advances is the generator alone. So a state and the
    state of the generator are all that going on later takes.
    """

    @property
    def device(self) -> torch.device:
        """Where the chains are."""
        ...

    def init(self, position: Tensor) -> S:
        """State of chains at ``position``, (chain, *event)."""
        ...

    def step(self, state: S, generator: torch.Generator) -> S:
        """State after one step."""
        ...

    def position(self, state: S) -> Tensor:
        """Where the chains are, (chain, *event)."""
        ...


class TemperedLaw(ABC, Generic[S]):
    """A path of laws of one variable, from one that is drawn from directly to the one wanted.

    .. math:: p_\\beta(x) = e^{g(x, \\beta)} / Z_\\beta, \\qquad 0 \\le \\beta

    At beta = 0 draws are exact and :attr:`log_base` is log Z; the law wanted is at beta = 1. Most
    paths are geometric, :math:`g = g_0 + \\beta w`. Temperature belongs to the law: an inverse
    temperature is one number, or one per chain.
    """

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where the chains are."""

    @property
    @abstractmethod
    def log_base(self) -> float:
        """Log Z at beta = 0, nats."""

    @abstractmethod
    def start(self, chains: int, generator: torch.Generator) -> S:
        """Independent draws from the law at beta = 0."""

    @abstractmethod
    def init(self, position: Tensor) -> S:
        """State of chains at ``position``, (chain, *event)."""

    @abstractmethod
    def position(self, state: S) -> Tensor:
        """Where the chains are, (chain, *event)."""

    @abstractmethod
    def log_density(self, state: S, beta: Beta) -> Tensor:
        """g(x, beta) of every chain, (chain,) float64, nats; -inf where x is impossible."""

    @abstractmethod
    def step(self, state: S, beta: Beta, generator: torch.Generator) -> S:
        """State after a step that leaves the law at ``beta`` invariant; ``state`` stays."""

    def log_ratio(self, state: S, before: Beta, after: Beta) -> Tensor:
        """What log densities gain from one inverse temperature to another, (chain,), nats.

        .. math:: g(x, \\beta') - g(x, \\beta)

        -inf where a state is impossible at either: a chain without weight gains none.
        """
        old, new = self.log_density(state, before), self.log_density(state, after)
        return torch.where(old == -math.inf, -math.inf, new - old)

    def run(self, state: S, betas: Iterable[Beta], generator: torch.Generator) -> S:
        """State after one step at each inverse temperature in turn."""
        for beta in betas:
            state = self.step(state, beta, generator)
        return state

    def at(self, beta: Beta = 1.0) -> FixedBeta[S]:
        """The kernel of the law at one inverse temperature."""
        return FixedBeta(self, beta)


class SearchLaw(TemperedLaw[S]):
    """A path of laws of discrete variables that can also be searched for its heaviest state."""

    @abstractmethod
    def temperature_range(self) -> tuple[float, float]:
        """Inverse temperatures where nearly every move is free, and where hardly any is left."""

    @abstractmethod
    def descend(self, state: S) -> S:
        """State after single changes that gain, until none does."""


class Annealable(ABC):
    """A model that knows its path of laws; what annealing and tempering accept."""

    @abstractmethod
    def tempered_law(self) -> TemperedLaw[Any]:
        """The path from a simple law to the model's own, as its numbers are now."""

    def search_law(self) -> SearchLaw[Any]:
        """The path along which heavy states are searched for.

        Raises:
            TypeError: if the model has no discrete states to search among.
        """
        law = self.tempered_law()
        if isinstance(law, SearchLaw):
            return law
        raise TypeError(f"{type(self).__name__} has no discrete states to search among")


@dataclass(frozen=True, eq=False)
class FixedBeta(Generic[S]):
    """A path of laws held at one inverse temperature: a kernel.

    Arguments:
        law: the path.
        beta: inverse temperature, of all chains or of each, (chain,).

    Raises:
        ValueError: if ``beta`` is negative or NaN, or infinite in a tensor.
    """

    law: TemperedLaw[S]
    beta: Beta = 1.0

    def __post_init__(self) -> None:
        betas = torch.as_tensor(self.beta)
        wrong = betas[~(betas >= 0)]
        if len(wrong):
            raise ValueError(f"beta must be at least 0, found {wrong[0].item():g}")
        if isinstance(self.beta, Tensor) and bool(betas.isinf().any()):
            raise ValueError(
                "beta must be finite in a tensor, found inf; pass math.inf to quench all chains"
            )

    @property
    def device(self) -> torch.device:
        """Where the chains are."""
        return self.law.device

    def init(self, position: Tensor) -> S:
        """State of chains at ``position``, (chain, *event)."""
        return self.law.init(position)

    def step(self, state: S, generator: torch.Generator) -> S:
        """State after one step."""
        return self.law.step(state, self.beta, generator)

    def position(self, state: S) -> Tensor:
        """Where the chains are, (chain, *event)."""
        return self.law.position(state)


def select(state: S, chains: Tensor) -> S:
    """The state of some chains, repeated as often as they are named.

    Arguments:
        state: named tuple of tensors, the chains along their first axis.
        chains: their numbers, int64.

    Example:
        >>> from collections import namedtuple
        >>> State = namedtuple("State", "position")
        >>> select(State(torch.tensor([5, 6, 7])), torch.tensor([2, 2])).position.tolist()
        [7, 7]
    """
    return type(state)(*[part.index_select(0, chains) for part in state])
