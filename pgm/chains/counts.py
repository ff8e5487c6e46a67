"""How often symbols follow contexts: counts of n-grams in a tree of the contexts that occurred.

.. math:: n(h, x) = \\#\\{t : (x_{t-j}, \\dots, x_{t-1}) = h,\\; x_t = x\\}

A context of length j is its most recent symbol's parent context lengthened by one symbol further
back, so that the context to fall back on is its parent. What did not occur takes no memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from inference.inputs import as_whole
from pgm.chains.alphabet import EncodedSequences

__all__ = ["ContextTable", "NgramCounts", "find", "lagged"]

_LARGEST_CODE = 2**63 - 1


def find(codes: Tensor, wanted: Tensor) -> Tensor:
    """Places of some codes among sorted ones, -1 where they are missing.

    Arguments:
        codes: sorted and distinct.
        wanted: what to look for.

    Shapes:
        codes: (C,). wanted: any. result: like ``wanted``.

    Example:
        >>> find(torch.tensor([2, 5, 9]), torch.tensor([5, 6, 2])).tolist()
        [1, -1, 0]
    """
    if not len(codes):
        return torch.full_like(wanted, -1)
    places = torch.searchsorted(codes, wanted.contiguous()).clamp(max=len(codes) - 1)
    return torch.where(codes[places] == wanted, places, -1)


def lagged(codes: Tensor, positions: Tensor, order: int) -> Tensor:
    """The symbols before every symbol, the most recent first, -1 before a sequence begins.

    Arguments:
        codes: sequences one after the other.
        positions: place of every code in its sequence.
        order: how many symbols back.

    Shapes:
        codes, positions: (N,). result: (N, order).

    Example:
        >>> lagged(torch.tensor([7, 8, 9]), torch.tensor([0, 1, 2]), 2).tolist()
        [[-1, -1], [7, -1], [8, 7]]
    """
    result = codes.new_full((len(codes), order), -1)
    for lag in range(1, min(order, len(codes) - 1) + 1):
        result[lag:, lag - 1] = torch.where(positions[lag:] >= lag, codes[:-lag], -1)
    return result


@dataclass(frozen=True)
class ContextTable:
    """Counts of what followed the contexts of one length.

    Attributes:
        contexts: number of the parent context times K plus the symbol furthest back, sorted, (C,);
            the place in this list is the number of a context. The empty context is [0].
        ngrams: number of the context times K plus the symbol that followed, sorted, (G,).
        counts: how often, (G,), positive.
        n_symbols: K.
    """

    contexts: Tensor
    ngrams: Tensor
    counts: Tensor
    n_symbols: int

    @cached_property
    def owners(self) -> Tensor:
        """Context of every n-gram, (G,)."""
        return self.ngrams // self.n_symbols

    @cached_property
    def totals(self) -> Tensor:
        """How often every context was followed by anything, (C,)."""
        return self.per_context(self.counts)

    @cached_property
    def distinct(self) -> Tensor:
        """By how many different symbols every context was followed, (C,)."""
        return self.per_context(torch.ones_like(self.counts))

    def per_context(self, values: Tensor) -> Tensor:
        """Sums over the n-grams of every context, (C,), of values (G,)."""
        return values.new_zeros(len(self.contexts)).index_add_(0, self.owners, values)

    def children(self, parents: Tensor, symbols: Tensor) -> Tensor:
        """Contexts of this length that lengthen others by a symbol, -1 where there is none."""
        codes = parents * self.n_symbols + symbols
        return find(self.contexts, torch.where((parents < 0) | (symbols < 0), -1, codes))

    def places(self, owners: Tensor, symbols: Tensor) -> Tensor:
        """Places in ``ngrams`` of contexts followed by symbols, -1 where that did not occur."""
        codes = owners * self.n_symbols + symbols
        return find(self.ngrams, torch.where(owners < 0, -1, codes))

    def continuations(self, shorter: ContextTable) -> ContextTable:
        """For the n-grams one symbol shorter, how many different symbols came before them.

        .. math:: N_{1+}(\\bullet\\, h\\, x) = \\#\\{v : n(v h, x) > 0\\}
        """
        codes = (self.contexts // self.n_symbols)[self.owners] * self.n_symbols
        ngrams, counts = torch.unique(codes + self.ngrams % self.n_symbols, return_counts=True)
        return ContextTable(shorter.contexts, ngrams, counts.double(), self.n_symbols)


class NgramCounts(nn.Module):
    """Counts of all n-grams with contexts of length 0 to ``order``, and of first symbols.

    Buffers: ``contexts_j``, ``ngrams_j`` and ``counts_j`` for every length j as in
    :class:`ContextTable`; ``first_symbols`` (sorted) and ``first_counts`` for what sequences
    begin with.

    Arguments:
        levels: the counts for every length, from 0.
        first_symbols: sorted codes.
        first_counts: how many sequences begin with each.
    """

    def __init__(
        self, levels: Sequence[ContextTable], first_symbols: Tensor, first_counts: Tensor
    ) -> None:
        super().__init__()
        self.order = len(levels) - 1
        self.n_symbols = levels[0].n_symbols
        for length, level in enumerate(levels):
            self.register_buffer(f"contexts_{length}", level.contexts)
            self.register_buffer(f"ngrams_{length}", level.ngrams)
            self.register_buffer(f"counts_{length}", level.counts)
        self.register_buffer("first_symbols", first_symbols)
        self.register_buffer("first_counts", first_counts)

    @classmethod
    def count(cls, sequences: EncodedSequences, order: int, n_symbols: int) -> NgramCounts:
        """Count all n-grams of some sequences.

        Raises:
            ValueError: if there are so many symbols that pairs of them have no 64-bit code.
        """
        codes, positions = sequences.codes, sequences.positions
        if (len(codes) + 1) * n_symbols > _LARGEST_CODE:
            raise ValueError(f"{n_symbols} symbols are too many for 64-bit codes of their n-grams")
        lags = lagged(codes, positions, order)
        kept = torch.arange(len(codes), device=codes.device)
        owners, levels = torch.zeros_like(codes), []
        contexts = codes.new_zeros(1)
        for length in range(order + 1):
            if length:
                inside = positions[kept] >= length
                kept = kept[inside]
                longer = owners[inside] * n_symbols + lags[kept, length - 1]
                contexts, owners = torch.unique(longer, return_inverse=True)
            ngrams, counts = torch.unique(owners * n_symbols + codes[kept], return_counts=True)
            levels.append(ContextTable(contexts, ngrams, counts.double(), n_symbols))
        first, counts = torch.unique(codes[positions == 0], return_counts=True)
        return cls(levels, first, counts.double())

    @classmethod
    def from_transitions(cls, transitions: Tensor, initial: Tensor) -> NgramCounts:
        """Counts whose relative frequencies are given probabilities, for order 1."""
        n = len(transitions)
        every = torch.arange(n, device=transitions.device)
        pairs, starts = (x.flatten().nonzero().squeeze(1) for x in (transitions, initial))
        nothing = ContextTable(every[:1], every[:0], initial[:0], n)
        table = ContextTable(every, pairs, transitions.flatten()[pairs], n)
        return cls([nothing, table], starts, initial[starts])

    @classmethod
    def blank(
        cls, n_symbols: int, order: int, sizes: Sequence[Sequence[int]] | None = None
    ) -> NgramCounts:
        """Counts of nothing, or zeros of the :attr:`sizes` of another object's buffers."""
        if sizes is None:
            sizes = [[1, 0], *[[0, 0]] * order, [1, 0]]
        if len(sizes) != order + 2:
            raise ValueError(f"sizes must have {order + 2} entries for order {order}")
        *lengths, (_, n_first) = sizes

        def zeros(n: int) -> Tensor:
            return torch.zeros(n, dtype=torch.int64)

        levels = [
            ContextTable(zeros(c), zeros(g), zeros(g).double(), n_symbols) for c, g in lengths
        ]
        return cls(levels, zeros(n_first), zeros(n_first).double())

    @property
    def sizes(self) -> list[list[int]]:
        """Numbers of contexts and n-grams for every length; then 1 and that of first symbols."""
        tables = [self.level(length) for length in range(self.order + 1)]
        return [[len(t.contexts), len(t.ngrams)] for t in tables] + [[1, len(self.first.ngrams)]]

    def level(self, length: int) -> ContextTable:
        """Counts for the contexts of one length."""
        return ContextTable(
            self.get_buffer(f"contexts_{length}"),
            self.get_buffer(f"ngrams_{length}"),
            self.get_buffer(f"counts_{length}").double(),
            self.n_symbols,
        )

    @property
    def first(self) -> ContextTable:
        """Counts of the symbols that sequences begin with, as what follows one context."""
        symbols = self.get_buffer("first_symbols")
        counts = self.get_buffer("first_counts").double()
        return ContextTable(symbols.new_zeros(1), symbols, counts, self.n_symbols)

    def ancestry(self, length: int) -> list[Tensor]:
        """For the n-grams of a length, their contexts' numbers at lengths 0 to ``length``."""
        owners = [self.level(length).owners]
        for longer in range(length, 0, -1):
            owners.append(self.level(longer).contexts[owners[-1]] // self.n_symbols)
        return owners[::-1]

    def ngrams(self, length: int | None = None) -> tuple[Tensor, Tensor]:
        """The n-grams that occurred, and how often.

        Arguments:
            length: of their contexts, 0 to ``order``; None is ``order``.

        Shapes:
            n-grams: (G, length + 1) codes, oldest symbol first. counts: (G,).

        Raises:
            ValueError: if ``length`` is negative or more than ``order``.

        Example:
            >>> codes = EncodedSequences(torch.tensor([0, 0, 1, 0]), torch.tensor([4]))
            >>> ngrams, counts = NgramCounts.count(codes, order=1, n_symbols=2).ngrams()
            >>> ngrams.tolist(), counts.tolist()
            ([[0, 0], [0, 1], [1, 0]], [1.0, 1.0, 1.0])
        """
        length = self.order if length is None else as_whole("length", length, least=0)
        if length > self.order:
            raise ValueError(f"length must be at most the order, {self.order}, found {length}")
        table = self.level(length)
        columns = [table.ngrams % self.n_symbols]
        for shorter, owners in enumerate(self.ancestry(length)[1:], 1):
            columns.append(self.level(shorter).contexts[owners] % self.n_symbols)
        return torch.stack(columns[::-1], 1), table.counts
