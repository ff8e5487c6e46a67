"""Observers that count: how often codes occur, how often numbers fall between edges.

.. math:: \\hat p_k = \\frac{1}{C T} \\sum_{ct} \\mathbb{1}[f(x_{ct}) \\in A_k]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from inference.inputs import as_tensor, as_whole
from inference.memory import require_memory
from inference.sampling.observers import LESS, Function, itself

__all__ = ["Frequencies", "Histogram"]


class CountsCarry(NamedTuple):
    """How often each chain was in each cell, (chain, ..., K) int64."""

    counts: Tensor


class ObservedCounts(NamedTuple):
    """Shares of all draws by cell (..., K) float64, and counts of each chain (chain, ..., K)."""

    shares: Tensor
    counts: Tensor


@dataclass(frozen=True)
class Frequencies:
    """How often each code occurs.

    .. math:: \\hat p_k = \\frac{1}{C T} \\sum_{ct} \\mathbb{1}[f(x_{ct}) = k]

    Arguments:
        n_states: K; codes are 0 to K - 1.
        function: whose codes; by default those of the position itself.

    Raises:
        ValueError: if ``n_states`` is not positive, or the first codes are out of range.
        TypeError: if they are no whole numbers.

    Example:
        >>> observer = Frequencies(2)
        >>> draw = torch.tensor([[0, 1], [1, 1]])
        >>> carry = observer.update(observer.init(draw), draw)
        >>> observer.result(carry).shares.tolist()
        [[0.5, 0.5], [0.0, 1.0]]
    """

    n_states: int
    function: Function = itself

    def __post_init__(self) -> None:
        as_whole("n_states", self.n_states, least=1)

    def init(self, position: Tensor) -> CountsCarry:
        """No draws."""
        codes = self.function(position)
        if codes.is_floating_point() or codes.is_complex():
            raise TypeError(
                f"Frequencies counts codes 0, 1, ..., found {codes.dtype}; pass a function that "
                "makes codes, or observe a Histogram"
            )
        if codes.numel() and not bool(((codes >= 0) & (codes < self.n_states)).all()):
            raise ValueError(
                f"codes must be from 0 to {self.n_states - 1}, found {int(codes.min())} to "
                f"{int(codes.max())}; pass a function that makes codes"
            )
        return _no_counts(codes, self.n_states)

    def update(self, carry: CountsCarry, position: Tensor) -> CountsCarry:
        """One more."""
        return _counted(carry, self.function(position).long())

    def result(self, carry: CountsCarry) -> ObservedCounts:
        """The shares; NaN without draws."""
        return _shares(carry)


@dataclass(frozen=True)
class Histogram:
    """How often real numbers fall between edges.

    .. math:: \\hat p_k = \\frac{1}{C T} \\sum_{ct} \\mathbb{1}[e_{k-1} \\le f(x_{ct}) < e_k],
              \\qquad e_{-1} = -\\infty, \\quad e_K = \\infty

    The first and the last cell are those outside of the edges; NaN is in the last.

    Arguments:
        edges: e, ascending.
        function: of what; by default of the position itself.

    Raises:
        TypeError: if the edges are no numbers.
        ValueError: if they do not ascend.

    Example:
        >>> observer = Histogram([0.0, 1.0])
        >>> draw = torch.tensor([-1.0, 0.0, 0.5, 1.0])
        >>> carry = observer.update(observer.init(draw), draw)
        >>> observer.result(carry).shares.tolist()
        [0.25, 0.5, 0.25]
    """

    edges: Sequence[float]
    function: Function = itself

    def __post_init__(self) -> None:
        edges = as_tensor("edges", self.edges).double()
        lined_up = edges.ndim == 1 and len(edges) > 0 and not bool(edges.isnan().any())
        if not lined_up or not bool((edges.diff() > 0).all()):
            raise ValueError(f"edges must be one or more ascending numbers, found {self.edges}")
        object.__setattr__(self, "edges", tuple(edges.tolist()))

    def init(self, position: Tensor) -> CountsCarry:
        """No draws."""
        return _no_counts(self.function(position), len(self.edges) + 1)

    def update(self, carry: CountsCarry, position: Tensor) -> CountsCarry:
        """One more."""
        value = self.function(position).double().contiguous()
        edges = torch.tensor(self.edges, dtype=torch.float64, device=value.device)
        return _counted(carry, torch.bucketize(value, edges, right=True))

    def result(self, carry: CountsCarry) -> ObservedCounts:
        """The shares; NaN without draws."""
        return _shares(carry)


def _no_counts(cells: Tensor, n_cells: int) -> CountsCarry:
    """Zeros for cells (chain, ...)."""
    require_memory(8 * cells.numel() * n_cells, "counts", LESS, cells.device)
    shape = (*cells.shape, n_cells)
    return CountsCarry(torch.zeros(shape, dtype=torch.int64, device=cells.device))


def _counted(carry: CountsCarry, cells: Tensor) -> CountsCarry:
    """One more in every cell."""
    ones = torch.ones_like(cells[..., None])
    return CountsCarry(carry.counts.scatter_add_(-1, cells[..., None], ones))


def _shares(carry: CountsCarry) -> ObservedCounts:
    """Shares of all chains together."""
    total = carry.counts.sum(0).double()
    return ObservedCounts(total / total.sum(-1, keepdim=True), carry.counts.clone())
