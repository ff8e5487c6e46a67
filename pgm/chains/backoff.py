"""Probabilities of symbols after contexts, by going from the empty context to the longest.

.. math:: p(x \\mid h) = d(h, x) + \\beta(h)\\, p(x \\mid h')

Only n-grams that occurred are stored. The same recursion, read downwards, draws symbols: a context
that passes on the share β passes on this draw with probability β.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from inference.exact.enumerate import enumerate_states
from inference.memory import readable_count, require_memory
from pgm.chains.counts import ContextTable, NgramCounts
from pgm.chains.smoothing import Smoothing

__all__ = ["BackoffModel"]

# How many arrays of its size a dense table needs at once while it is computed.
_WORKING_ARRAYS = 7


@dataclass(frozen=True)
class _Level:
    """The contexts of one length after smoothing.

    Attributes:
        table: which contexts and n-grams there are.
        direct: d, (G,).
        passed: β, (C,).
        cumulative: running sums of the d, each divided by its context's total, (G,).
        starts: first n-gram of every context, and their number at the end, (C + 1,).
    """

    table: ContextTable
    direct: Tensor
    passed: Tensor
    cumulative: Tensor
    starts: Tensor

    @classmethod
    def smooth(cls, length: int, table: ContextTable, smoothing: Smoothing) -> _Level:
        """Apply an estimator to the counts for one length."""
        direct, passed = smoothing.shares(length, table)
        # Contexts may have no counts of their own kind: no predecessors, or no data at all.
        passed = torch.where(table.totals > 0, passed, 1.0)
        mass = table.per_context(direct)[table.owners]
        share = torch.where(mass > 0, direct / mass, 0.0)
        cumulative = share.cumsum(0)
        if len(share):
            # A parallel scan may rise at a zero, or fall: zeros are held at what came before.
            cumulative = cumulative.masked_fill(share == 0, 0.0).cummax(0).values
        borders = torch.arange(len(passed) + 1, device=table.owners.device)
        starts = torch.searchsorted(table.owners, borders)
        return cls(table, direct, passed, cumulative, starts)

    def direct_share(self, contexts: Tensor, symbols: Tensor) -> Tensor:
        """Shares d of contexts (negative: never seen) and symbols that broadcast with them."""
        places = self.table.places(contexts, symbols)
        if not len(self.direct):
            return torch.zeros_like(places, dtype=torch.float64)
        return torch.where(places >= 0, self.direct[places], 0.0)

    def passed_share(self, contexts: Tensor) -> Tensor:
        """Shares β of contexts (negative: never seen)."""
        if not len(self.passed):
            return torch.ones_like(contexts, dtype=torch.float64)
        return torch.where(contexts >= 0, self.passed[contexts.clamp(min=0)], 1.0)

    def choose(self, contexts: Tensor, uniform: Tensor) -> Tensor:
        """Symbols drawn in proportion to d, for contexts that have some."""
        start, end = self.starts[contexts], self.starts[contexts + 1]
        base = torch.where(start > 0, self.cumulative[(start - 1).clamp(min=0)], 0.0)
        top = self.cumulative[end - 1]
        # Rounding must not carry a draw beyond the last n-gram of its context.
        below = torch.nextafter(top, torch.full_like(top, -math.inf))
        wanted = torch.minimum(base + uniform * (top - base), below)
        places = torch.searchsorted(self.cumulative, wanted, right=True)
        return self.table.ngrams[places] % self.table.n_symbols


class _Step(NamedTuple):
    """One level of the recursion: its contexts' numbers, and which rows take part."""

    level: _Level
    contexts: Tensor
    applies: Tensor


class BackoffModel:
    """All levels after smoothing, ready to be asked.

    Contexts are given as ``lags``: the symbols before, the most recent first, -1 where a sequence
    had not begun. The longest context that is there decides. With none at all the symbol is the
    first of a sequence, which has its own distribution unless the order is 0.

    Arguments:
        counts: of n-grams and first symbols.
        smoothing: the estimator.
    """

    def __init__(self, counts: NgramCounts, smoothing: Smoothing) -> None:
        self._n_symbols = counts.n_symbols
        self._to_uniform = smoothing.passes_to_uniform
        tables = [counts.level(length) for length in range(counts.order + 1)]
        if smoothing.counts_continuations:
            # From short to long, so that every length reads the occurrences of the next.
            for length in range(counts.order):
                tables[length] = tables[length + 1].continuations(tables[length])
        self._levels = [
            _Level.smooth(length, table, smoothing) for length, table in enumerate(tables)
        ]
        self._first = _Level.smooth(min(1, counts.order), counts.first, smoothing)

    def probability(self, lags: Tensor, symbols: Tensor) -> Tensor:
        """Probabilities of symbols after contexts.

        Shapes:
            lags: (*batch, order). symbols: broadcasts with (*batch,). result: as broadcast.
        """
        uniform = torch.full((), 1 / self._n_symbols, dtype=torch.float64, device=lags.device)
        result = uniform
        for level, contexts, applies in self._steps(lags):
            direct, passed = level.direct_share(contexts, symbols), level.passed_share(contexts)
            lower = uniform if self._to_uniform else result
            result = torch.where(applies, direct + passed * lower, result)
        return result

    def table(self, device: torch.device) -> Tensor:
        """Probabilities of every symbol after every context, (K^order, K), oldest symbol first.

        Raises:
            ValueError: if it does not fit the memory.
        """
        n, order = self._n_symbols, len(self._levels) - 1
        cells = n ** (order + 1)
        what = f"a table of {n} symbols and order {order}, {readable_count(cells)} entries,"
        require_memory(8 * cells * _WORKING_ARRAYS, what, "ask for one context at a time", device)
        contexts = enumerate_states([n] * order, device=device)
        return self.probability(contexts.flip(1)[:, None], torch.arange(n, device=device))

    def draw(self, lags: Tensor, generator: torch.Generator) -> Tensor:
        """One symbol after each context.

        Shapes:
            lags: (n, order). result: (n,).
        """

        def uniform() -> Tensor:
            return torch.rand(
                len(lags), dtype=torch.float64, device=lags.device, generator=generator
            )

        # What no level gives comes from the uniform distribution.
        result = (uniform() * self._n_symbols).long().clamp(max=self._n_symbols - 1)
        waiting = torch.ones_like(result, dtype=torch.bool)
        for level, contexts, applies in reversed(list(self._steps(lags))):
            asked = waiting & applies
            given = asked & (uniform() >= level.passed_share(contexts))
            result[given] = level.choose(contexts[given], uniform()[given])
            waiting &= ~(asked if self._to_uniform else given)
        return result

    def _steps(self, lags: Tensor) -> Iterator[_Step]:
        """The levels, from the empty context to the longest."""
        contexts = lags.new_zeros(lags.shape[:-1])
        yield _Step(self._levels[0], contexts, contexts == 0)
        if len(self._levels) > 1:
            yield _Step(self._first, contexts, lags[..., 0] < 0)
        for level, symbols in zip(self._levels[1:], lags.unbind(-1), strict=True):
            contexts = level.table.children(contexts, symbols)
            yield _Step(level, contexts, symbols >= 0)
