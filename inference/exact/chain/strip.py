"""Sequences that a recursion takes together, so that what a step touches stays in the cache.

.. math:: w = \\max\\Bigl(32, \\frac{32\\ \\text{KiB}}{K \\cdot \\text{bytes per number}}\\Bigr)
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from torch import Tensor

from inference.arrays import empty, sum_by
from inference.exact.chain.layout import ChainLayout

__all__ = ["Strip", "scratch", "strips"]

_STEP_BYTES = 32768
_RUN_BYTES = 8 * _STEP_BYTES
# Sequences below which a call costs more than the work it does.
_LEAST_WIDTH = 32


class Strip:
    """Columns and memory of sequences of neighbouring ranks.

    Arguments:
        columns: packed columns of every step, slices or index arrays.
        widths: their numbers, which never grow.
        left: rank of the first sequence.
        memory: two matrices and two vectors, flat, at least as long as the columns need.
        n_states: K.

    Attributes:
        following: sequences at the step after every step.
        likelihoods, messages: (K, n) in one piece for every step.
        scales, peaks: (n,) for every step.
        flat_likelihoods, flat_messages, flat_scales, flat_peaks: the same of all steps.
        offsets: column at which every step begins.
        low: columns that a pass marks.
    """

    def __init__(
        self, columns: list[Any], widths: list[int], left: int, memory: Any, n_states: int
    ) -> None:
        self.columns, self.widths, self.left = columns, widths, left
        self.following = [*self.widths[1:], 0]
        self.n_columns = sum(self.widths)
        sizes = (n_states, n_states, 1, 1)
        flat = [x[: n * self.n_columns] for x, n in zip(memory, sizes, strict=True)]
        self.flat_likelihoods, self.flat_messages, self.flat_scales, self.flat_peaks = flat
        self.offsets = list(accumulate(self.widths, initial=0))
        self.likelihoods, self.messages = [
            [x.reshape(n_states, -1) for x in self.cut(part, n_states)] for part in flat[:2]
        ]
        self.scales, self.peaks = [self.cut(part) for part in flat[2:]]
        self.low: Any = None

    def cut(self, flat: Any, rows: int = 1) -> list[Any]:
        """Views of the steps of an array of all columns."""
        return [flat[rows * a : rows * b] for a, b in pairwise(self.offsets)]

    @cached_property
    def runs(self) -> list[tuple[int, int]]:
        """First step and end of every run of equal width that is short enough for the cache.

        A call for a run does the work of as many as it has steps. Its columns are slices at equal
        distances, or it is a single step.
        """
        n_states = len(self.likelihoods[0])
        step_bytes = n_states * self.widths[0] * self.flat_scales.itemsize
        longest = max(1, _RUN_BYTES // step_bytes)
        found, first = [], 0
        for t in range(1, len(self.widths) + 1):
            if t - first == longest or not self._continues(first, t):
                found.append((first, t))
                first = t
        return found

    def _continues(self, first: int, t: int) -> bool:
        """Whether step t continues the run that has begun with ``first``."""
        if t == len(self.widths) or self.widths[t] != self.widths[first]:
            return False
        columns = self.columns
        if not isinstance(columns[first], slice) or columns[first].step is not None:
            return False
        distance = columns[first + 1].start - columns[first].start
        return columns[t].start - columns[t - 1].start == distance

    def stacked(self, flat: Any, run: tuple[int, int], rows: int | None = None) -> Any:
        """A run's part of the memory of all steps, (steps, n) or (steps, rows, n): a view."""
        first, stop = run
        steps, width = stop - first, self.widths[first]
        start, size = self.offsets[first] * (rows or 1), steps * width * (rows or 1)
        shape = (steps, width) if rows is None else (steps, rows, width)
        return flat[start : start + size].reshape(shape)

    def gathered(self, values: Any, run: tuple[int, int]) -> Any:
        """Columns of a run of an array (K, N), (steps, K, n): a view where they are slices."""
        first, stop = run
        columns = self.columns[first]
        if stop - first == 1:
            return values[:, columns][None]
        distance = self.columns[first + 1].start - columns.start
        head = values[:, columns.start :]
        shape = (stop - first, values.shape[0], self.widths[first])
        if isinstance(values, Tensor):
            down, along = values.stride()
            return head.as_strided(shape, (distance * along, down, along), head.storage_offset())
        down, along = values.strides
        return as_strided(head, shape, (distance * along, down, along))

    def log_scales(self) -> Any:
        """Logarithms of scales and peaks, (n_columns,) float64."""
        scales, peaks = self.flat_scales, self.flat_peaks
        if isinstance(scales, Tensor):
            return scales.double().log() + peaks
        return np.log(scales, dtype=np.float64) + peaks

    def sum_steps(self, values: Any) -> Any:
        """Sums over the steps of every sequence, (widths[0],), of values (n_columns,)."""
        if self.widths[-1] == self.widths[0]:
            return values.reshape(len(self.widths), -1).sum(0)
        offsets = np.cumsum(self.widths) - self.widths
        ranks = np.arange(self.n_columns) - np.repeat(offsets, self.widths)
        return sum_by(ranks, values, self.widths[0])


def strips(like: Any, layout: ChainLayout) -> Iterator[Strip]:
    """Strips of all sequences with tokens, longest first, for messages like (K, N)."""
    active = int(layout.sizes[0]) if layout.n_steps else 1
    width = -(-active // -(-active // strip_width(like)))  # of much the same width
    memory = None
    for left, columns in enumerate(layout.strips(width)):
        widths = [step.stop - step.start for step in columns]
        # The first strip is the longest.
        memory = scratch(like, sum(widths)) if memory is None else memory
        yield Strip(columns, widths, left * width, memory, like.shape[0])


def scratch(like: Any, n_columns: int) -> tuple[Any, Any, Any, Any]:
    """Memory of a strip with so many columns."""
    sizes = (like.shape[0] * n_columns, n_columns)
    matrices, vectors = [(empty(like, size), empty(like, size)) for size in sizes]
    return *matrices, *vectors


def strip_width(like: Any) -> int:
    """How many sequences at once: what fits the cache, all of them off the CPU."""
    if isinstance(like, Tensor):
        return max(like.shape[1], 1)
    return max(_STEP_BYTES // (like.shape[0] * like.itemsize), _LEAST_WIDTH)
