"""What a law of the features given the class must offer to naive Bayes, and shared arithmetic.

.. math:: \\text{data} \\;\\to\\; \\text{sufficient statistics} \\;\\to\\; \\hat\\theta
          \\;\\to\\; \\log p(x \\mid y = k)

An event model is a frozen set of settings with pure functions of tensors; the classifier keeps
the tensors. Rows are n, features D, classes K.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor

from inference.logspace import safe_log

__all__ = [
    "EventModel",
    "Parameters",
    "Titles",
    "all_within",
    "blocks",
    "log_shares",
    "memberships",
    "weighted_sum",
]

Parameters: TypeAlias = Mapping[str, Tensor]
Titles: TypeAlias = Callable[[int], str]

#: Numbers in one block of rows: small enough for a processor's cache.
BLOCK = 2**18


class EventModel(ABC):
    """Law of the features given the class: statistics, estimates, likelihood. Abstract.

    Attributes:
        undefined: when an estimate does not exist and what to do, for messages.
        uses_prior: whether the scores of classes include the prior.
    """

    undefined: ClassVar[str]
    uses_prior: ClassVar[bool] = True

    @abstractmethod
    def prepare(self, x: Tensor, title: Titles) -> Tensor:
        """Rows as the other methods take them, from numbers (n, D) in which NaN is missing.

        Raises:
            ValueError: if an entry has no meaning in this family.
        """

    @abstractmethod
    def statistics(self, x: Tensor, y: Tensor, weight: Tensor, n_classes: int) -> Tensor:
        """Sufficient statistics of prepared rows x (n, D) with class codes y and weights (n,)."""

    @abstractmethod
    def estimate(self, statistics: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Parameters by name, and (K, D) which of them the statistics determine."""

    @abstractmethod
    def log_likelihood(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Log-likelihood (n, K) of prepared rows, up to ``log_base_measure``, nats."""

    @abstractmethod
    def sample(
        self, parameters: Parameters, y: Tensor, n_trials: int | None, generator: torch.Generator
    ) -> Tensor:
        """One row (n, D) for every class code y (n,); ``n_trials`` is what its counts sum to."""

    def merge(self, old: Tensor, new: Tensor) -> Tensor:
        """Statistics of two sets of rows taken together."""
        return old + new

    def log_base_measure(self, x: Tensor) -> Tensor:
        """The factor of the likelihood (n,) that is the same in every class, nats."""
        return torch.zeros(len(x), device=x.device)

    def feature_log_prob(self, parameters: Parameters) -> Tensor | list[Tensor]:
        """Scikit-learn's view of the parameters: (K, D), or one (K, states) per feature."""
        if "feature_log_prob" not in parameters:
            raise AttributeError(f"found only the parameters {list(parameters)}")
        return parameters["feature_log_prob"]

    def tables(self, parameters: Parameters) -> list[Tensor]:
        """Per feature p(state | class), (K, number of states).

        Raises:
            ValueError: if the features are not states that are independent given the class.
        """
        raise ValueError(
            "only the kinds 'bernoulli' and 'categorical' are Bayesian networks of discrete "
            f"variables, found kind {type(self).__name__.lower()!r}; group numbers into states "
            "and fit a model of kind 'categorical'"
        )


def memberships(y: Tensor, weight: Tensor, n_classes: int) -> Tensor:
    """One-hot rows (n, K) of the class codes, times the weights."""
    return weight.new_zeros(len(y), n_classes).scatter(1, y[:, None], weight[:, None])


def log_shares(counts: Tensor, total: Tensor, n_states: int | Tensor) -> tuple[Tensor, Tensor]:
    """Logarithms of counts / total, and which totals are positive; even shares where none is."""
    known = total > 0
    even = -torch.as_tensor(n_states, dtype=counts.dtype, device=counts.device).log()
    return torch.where(known, safe_log(counts) - safe_log(total), even), known


def weighted_sum(x: Tensor, logs: Tensor) -> Tensor:
    """Products x @ logs.T (n, K), where zero times infinity is zero.

    The infinite logarithms all have one sign, the counts are not negative.

    Example:
        >>> counts = torch.tensor([[2.0, 0.0], [2.0, 1.0]])
        >>> weighted_sum(counts, torch.tensor([[-1.0, -torch.inf]])).tolist()
        [[-2.0], [-inf]]
    """
    # In this order, where the long axis is the inner one, products are up to twice as fast.
    infinite = logs.isinf()
    if not infinite.any():
        return (logs @ x.T).T
    sums = logs.masked_fill(infinite, 0.0) @ x.T
    touched = infinite.to(x.dtype) @ x.T > 0
    return torch.where(touched, logs.detach()[infinite][0], sums).T


def blocks(width: int, *rows: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The rows of several tensors, block by block, for work that takes ``width`` numbers a row.

    Example:
        >>> sum(len(x) for x, y in blocks(100_000, torch.zeros(5, 3), torch.zeros(5)))
        5
    """
    size = max(1, BLOCK // max(1, width))
    return zip(*[tensor.split(size) for tensor in rows], strict=True)


def all_within(x: Tensor, low: float, high: float) -> bool:
    """Whether all entries are numbers of an interval; False also where one is missing.

    Example:
        >>> all_within(torch.tensor([0.0, 2.0]), 0, 2), all_within(torch.tensor([torch.nan]), 0, 2)
        (True, False)
    """
    if not x.numel():
        return True
    smallest, largest = x.aminmax()
    return bool((smallest >= low) & (largest <= high))
