"""What the laws of observations given a hidden state have in common.

.. math:: b_k(x_t) = p(x_t \\mid z_t = k)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import torch
from torch import Tensor

from inference.exact.chain.symbols import SymbolEmissions
from pgm.hidden_markov.token_sequences import TokenSequences

__all__ = ["Emissions", "Init", "Numbers", "Options", "Statistics"]

Init: TypeAlias = Literal["kmeans", "random"]
#: Parameters of an emission law by name, the first axis of most of them the state.
Numbers: TypeAlias = Mapping[str, Tensor]
#: Sums over tokens; those of several sets of tokens are added.
Statistics: TypeAlias = tuple[Tensor, ...]


@dataclass(frozen=True)
class Options:
    """What holds estimates back.

    Attributes:
        start: counts added to the expected counts of first states that are possible, (K,).
        transitions: the same for transitions, (K, K).
        emissions: the same for symbols, (K, M).
        covariance_floor: least variance of a state, as a share of the variance of the data.
    """

    start: Tensor
    transitions: Tensor
    emissions: Tensor
    covariance_floor: float


class Emissions(ABC):
    """Law of the observations given the hidden state, without its numbers.

    A subclass is frozen and knows the shape of an observation. The numbers are passed to its
    methods, so that learning tries new ones without touching a model. K is the number of states.

    Attributes:
        name: what users call the family.
        own_init: how learning starts if the user does not say.
        cancels: whether an estimate is a difference of sums, which large numbers can spoil.
    """

    name: ClassVar[str]
    own_init: ClassVar[Init]
    cancels: ClassVar[bool] = False

    @property
    @abstractmethod
    def width(self) -> int:
        """Number of symbols or features; 0 if the data are to say."""

    @property
    def symbols(self) -> tuple[str, ...] | range:
        """The symbols, where there are any."""
        raise ValueError(f"emissions of the family {self.name!r} have no symbols")

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Arguments of the model that describe the family: JSON values."""

    @abstractmethod
    def read(self, sequences: Any, lengths: Any, *, learn: bool) -> tuple[Any, TokenSequences]:
        """Checked observations, and the family that fits them, which may be learned.

        Raises:
            TypeError, ValueError: naming the sequence and position of what is wrong.
        """

    @abstractmethod
    def blank(self, n_states: int) -> dict[str, Tensor]:
        """Numbers before any are learned: all states alike."""

    @abstractmethod
    def check(self, numbers: Numbers) -> None:
        """Refuse numbers that are no law.

        Raises:
            ValueError: naming the parameter.
        """

    @abstractmethod
    def n_parameters(self, n_states: int) -> int:
        """Number of free numbers."""

    @abstractmethod
    def reference(self, values: Tensor) -> Any:
        """What `prepare` needs to know of all data: their place and scale."""

    def learning_reference(self, values: Tensor) -> Any:
        """What learning needs to know of all data.

        Raises:
            ValueError: if there is nothing to learn from.
        """
        return self.reference(values)

    @abstractmethod
    def prepare(self, values: Tensor, reference: Any) -> Any:
        """Observations (n, ...) in the form that the next methods read again and again."""

    @abstractmethod
    def log_likelihood(self, numbers: Numbers, prepared: Any, out: Tensor | None = None) -> Tensor:
        """Log-probabilities (or densities) of n observations in every state, (K, n), nats.

        Differentiable with respect to the numbers, unless ``out`` takes the result.
        """

    def scores(
        self, numbers: Numbers, prepared: Any, out: Tensor | None = None
    ) -> Tensor | SymbolEmissions:
        """The log-likelihoods in the form that takes the chain engine least time."""
        return self.log_likelihood(numbers, prepared, out)

    @abstractmethod
    def statistics(self, numbers: Numbers, prepared: Any, weights: Tensor) -> Statistics:
        """Sums over n observations that the next estimate needs.

        Arguments:
            numbers: of the present.
            prepared: the observations.
            weights: of every observation in every state, (K, n).
        """

    @abstractmethod
    def maximize(
        self, numbers: Numbers, statistics: Statistics, reference: Any, options: Options
    ) -> tuple[dict[str, Tensor], Tensor]:
        """The estimate, and which states have none and keep their numbers, (K,)."""

    def feasible(self, numbers: Numbers, reference: Any, options: Options) -> dict[str, Tensor]:
        """Numbers moved to where ``options`` let them be."""
        return dict(numbers)

    def log_prior(self, numbers: Numbers, options: Options) -> Tensor:
        """Logarithm of the prior that ``options`` stand for, up to a constant, ()."""
        return torch.zeros((), dtype=torch.float64)

    @abstractmethod
    def broad(self, reference: Any, n_states: int) -> dict[str, Tensor]:
        """Numbers with which every state describes all data."""

    @abstractmethod
    def memberships(
        self, values: Tensor, reference: Any, n_states: int, init: Init, generator: torch.Generator
    ) -> Tensor:
        """Weights (K, n) of observations in states, from which learning starts."""

    @abstractmethod
    def sample(self, numbers: Numbers, states: Tensor, generator: torch.Generator) -> Tensor:
        """One observation for every state in ``states`` (n,)."""
