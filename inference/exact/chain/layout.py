"""Where every token of ragged sequences lies: longest first, and time by time.

.. math:: c(b, t) = \\text{starts}_t + \\text{rank}_b, \\qquad
          \\text{starts}_t = \\sum_{s < t} \\#\\{b : \\text{length}_b > s\\}
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import overload

import numpy as np
import torch
from torch import Tensor

from inference.arrays import Array

__all__ = ["ChainLayout"]


class ChainLayout:
    """Columns of ragged sequences in packed order, without padding.

    Sequences are sorted longest first (stably) and stored time by time: all first tokens, then
    all second ones, and so on. The sequences active at a step are then a prefix of those active at
    the step before, and every step of a recursion is one call on a contiguous range of columns.

    Arguments:
        lengths: tokens of every sequence, (B,); a sequence without tokens is legal.

    Attributes:
        lengths: (B,), as given.
        n_sequences, n_tokens, n_steps: B, N and the greatest length.
        order: (B,), sequence at every rank.
        rank: (B,), rank of every sequence.
        sizes: (n_steps,), sequences active at every step.
        starts: (n_steps,), first packed column of every step.
        tokens: (N,), index of the token at every packed column among the tokens of all sequences
            one after the other in the order given.
        columns: (N,), inverse of ``tokens``: packed column of every token.
        first, last: (B,), packed columns of the first and the last token; -1 without tokens.

    All are numpy arrays of type int64.

    Raises:
        ValueError: if a length is negative or they are no vector of whole numbers.

    Reference:
        The packed sequences of recurrent networks, ``torch.nn.utils.rnn.PackedSequence``.

    Example:
        >>> layout = ChainLayout([1, 3])
        >>> layout.sizes.tolist(), layout.order.tolist(), layout.tokens.tolist()
        ([2, 1, 1], [1, 0], [1, 0, 2, 3])
    """

    def __init__(self, lengths: Sequence[int] | Array) -> None:
        self.lengths = _as_lengths(lengths)
        self.n_sequences, self.n_tokens = len(self.lengths), int(self.lengths.sum())
        self.n_steps = int(self.lengths.max(initial=0))
        self.order = np.argsort(-self.lengths, kind="stable")
        self.rank = np.empty_like(self.order)
        self.rank[self.order] = np.arange(self.n_sequences)
        ended = np.bincount(self.lengths, minlength=self.n_steps + 1)[: self.n_steps]
        self.sizes = self.n_sequences - np.cumsum(ended)
        self.starts = np.cumsum(self.sizes) - self.sizes

    @cached_property
    def columns(self) -> np.ndarray:
        """Packed column of every token, in the order given."""
        owner = np.repeat(np.arange(self.n_sequences), self.lengths)
        offsets = np.cumsum(self.lengths) - self.lengths
        return self.starts[np.arange(self.n_tokens) - offsets[owner]] + self.rank[owner]

    @cached_property
    def tokens(self) -> np.ndarray:
        """Index of the token at every packed column."""
        tokens = np.empty(self.n_tokens, dtype=np.int64)
        tokens[self.columns] = np.arange(self.n_tokens)
        return tokens

    @cached_property
    def first(self) -> np.ndarray:
        """Packed column of every sequence's first token, -1 without tokens."""
        return np.where(self.lengths > 0, self.rank, -1)

    @cached_property
    def last(self) -> np.ndarray:
        """Packed column of every sequence's last token, -1 without tokens."""
        if self.n_steps == 0:
            return np.full(self.n_sequences, -1)
        found = self.starts[np.maximum(self.lengths, 1) - 1] + self.rank
        return np.where(self.lengths > 0, found, -1)

    @cached_property
    def previous(self) -> np.ndarray:
        """Packed column of the token before, for every token that is not a first one."""
        later = np.arange(self.sizes[:1].sum(), self.n_tokens)
        return later - self.sizes[self.steps[later] - 1]

    @cached_property
    def steps(self) -> np.ndarray:
        """Time of the token at every packed column, (N,)."""
        return np.repeat(np.arange(self.n_steps), self.sizes)

    @cached_property
    def owners(self) -> np.ndarray:
        """Sequence of the token at every packed column, (N,)."""
        return self.order[np.arange(self.n_tokens) - self.starts[self.steps]]

    def strips(self, width: int) -> Iterator[list[slice]]:
        """Column ranges of the steps of ``width`` sequences (by rank) after the other.

        Within a strip the ranges never get wider; a recursion over one strip at a time works in
        the cache where one over all sequences would not.
        """
        active = int(self.sizes[0]) if self.n_steps else 0
        for left in range(0, active, width):
            n_steps = int(np.searchsorted(-self.sizes, -left))
            starts = self.starts[:n_steps] + left
            stops = self.starts[:n_steps] + np.minimum(self.sizes[:n_steps], left + width)
            yield [slice(a, b) for a, b in zip(starts.tolist(), stops.tolist(), strict=True)]

    def select(self, sequences: np.ndarray) -> tuple[ChainLayout, np.ndarray]:
        """Layout of some sequences, and the columns here of its packed columns."""
        chosen = ChainLayout(self.lengths[sequences])
        ranks = self.rank[np.asarray(sequences)[chosen.owners]]
        return chosen, self.starts[chosen.steps] + ranks

    @overload
    def pack(self, values: np.ndarray) -> np.ndarray: ...
    @overload
    def pack(self, values: Tensor) -> Tensor: ...
    def pack(self, values: Array) -> Array:
        """Rows of all sequences one after the other, (N, ...), in packed order, (N, ...)."""
        return values[_index(self.tokens, values)]

    @overload
    def unpack(self, values: np.ndarray) -> np.ndarray: ...
    @overload
    def unpack(self, values: Tensor) -> Tensor: ...
    def unpack(self, values: Array) -> Array:
        """Rows in packed order, (N, ...), as rows of one sequence after the other, (N, ...)."""
        return values[_index(self.columns, values)]

    @overload
    def pack_padded(self, values: np.ndarray) -> np.ndarray: ...
    @overload
    def pack_padded(self, values: Tensor) -> Tensor: ...
    def pack_padded(self, values: Array) -> Array:
        """Rows of right-padded sequences, (B, T, ...), in packed order, (N, ...)."""
        if self.n_tokens == self.n_sequences * values.shape[1]:
            # Without padding, packed order is time by time.
            return values.swapaxes(0, 1).reshape((-1, *values.shape[2:]))
        rows = self.owners * values.shape[1] + self.steps
        flat = values.reshape((-1, *values.shape[2:]))
        if isinstance(flat, Tensor):
            # Unlike indexing, this has a fast derivative.
            return flat.index_select(0, torch.from_numpy(rows).to(flat.device))
        return flat[rows]

    def unpack_padded(self, values: Tensor, n_steps: int, fill: float = 0) -> Tensor:
        """Rows in packed order, (N, ...), right-padded, (B, n_steps, ...)."""
        padded = values.new_full((self.n_sequences, n_steps, *values.shape[1:]), fill)
        padded[_index(self.owners, values), _index(self.steps, values)] = values
        return padded


def _as_lengths(lengths: Sequence[int] | Array) -> np.ndarray:
    """Check the lengths."""
    if isinstance(lengths, Tensor):
        lengths = lengths.detach().cpu().numpy()
    found = np.array(lengths)
    if found.size == 0:
        found = found.astype(np.int64)
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise ValueError(
            f"lengths must be a vector of whole numbers, found shape {found.shape} of type "
            f"{found.dtype}; give the number of tokens of every sequence"
        )
    if (found < 0).any():
        row = int(np.argmax(found < 0))
        raise ValueError(f"lengths must not be negative, found {found[row]} for sequence {row}")
    return found.astype(np.int64)


def _index(index: np.ndarray, values: Array) -> Array:
    """An index array where the values are."""
    if isinstance(values, Tensor):
        return torch.from_numpy(index).to(values.device)
    return index
