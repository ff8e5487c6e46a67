"""Where the conditional laws of single variables find their numbers: index arrays, no numbers.

.. math:: \\log p(x_v = s \\mid x_{-v}) = b_v(s) + \\sum_{f \\ni v}
          R[o_f + \\sum_{u \\in S_f \\setminus v} t_{fu} x_u,\\; s] + \\text{const}

Every table is turned so that the axis of v comes last: a row of R is what one factor says of all
states of v. Factors over v alone are summed to the bias b.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
import torch
from torch import Tensor

from inference.exact.structure import strides
from inference.sampling.factor_arrays import FactorArrays

__all__ = ["Block", "ConditionalLayout"]

#: What 32-bit indices can count.
MOST_ROWS = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Block:
    """Variables of one colour and one number of states, those with most factors first.

    All rows read for the first variable come first, then those for the second, and so on.

    Arguments:
        card: number of states.
        variables: their numbers, (B,).
        degrees: runs of variables with equally many factors: how many variables, how many each.
        start: rows read when all others are in state 0, (I, 1) int32.
        others: the other variables of the factors, (J, I), padded.
        steps: by how many rows a state of theirs moves on, (J, I, 1) int32, zero in the padding.
    """

    card: int
    variables: Tensor
    degrees: tuple[tuple[int, int], ...]
    start: Tensor
    others: Tensor
    steps: Tensor

    def rows(self, states: Tensor) -> Tensor:
        """Rows read, (I, C) int32, for states (V, C) int32."""
        places = self.start.repeat(1, states.shape[1])
        for other, step in zip(self.others, self.steps, strict=True):
            places.add_(states.index_select(0, other).mul_(step))
        return places

    def summed(self, found: Tensor) -> Tensor:
        """What is read, (I, C), added up per variable, (B, C)."""
        total = found.new_zeros((len(self.variables), found.shape[1]))
        row = entry = 0
        for count, degree in self.degrees:
            part = found[entry : entry + count * degree].view(count, degree, found.shape[1])
            torch.sum(part, 1, out=total[row : row + count])
            row, entry = row + count, entry + count * degree
        return total

    def spread(self, values: Tensor) -> Tensor:
        """Numbers of variables, (B, C), repeated for all that is read for them, (I, C)."""
        parts, row = [values[:0]], 0
        for count, degree in self.degrees:
            parts.append(values[row : row + count].repeat_interleave(degree, 0))
            row += count
        return torch.cat(parts)


@dataclass(frozen=True, eq=False)
class _Incidences:
    """Factors at variables of one number of states: who, the rows of their tables, the others."""

    owners: np.ndarray
    start: np.ndarray
    others: np.ndarray
    steps: np.ndarray


class ConditionalLayout:
    """Blocks of variables that are updated together, and which table rows they read.

    Arguments:
        arrays: scopes and offsets.
        colors: (V,), variables of one colour share no scope; None puts all into one block, for
            conditionals of complete rows.
        clamped: variables left out.
        device: of the index arrays.

    Attributes:
        take: per number of states K, (R, K): where the rows' entries lie in the vector of tables.
        biases: per number of states, entries and variables of the factors over one variable.
    """

    def __init__(
        self,
        arrays: FactorArrays,
        colors: np.ndarray | None,
        clamped: np.ndarray,
        device: torch.device,
    ) -> None:
        self.arrays = arrays
        self.device = device
        n = len(arrays.cards)
        self._colors = np.zeros(n, dtype=np.int64) if colors is None else colors
        self._free = np.ones(n, dtype=bool)
        self._free[clamped] = False
        self.take: dict[int, Tensor] = {}
        self._incidences: dict[int, _Incidences] = {}
        for card in np.unique(arrays.cards).tolist():
            self._read(card)

    def _read(self, card: int) -> None:
        """Collect the factors at variables with so many states."""
        owners, start, others, steps, take = [], [], [], [], []
        total = 0
        for group in self.arrays.groups:
            if len(group.shape) < 2:
                continue
            tables, table_of = np.unique(group.offsets, return_inverse=True)
            stride = np.array(strides(group.shape))
            for axis in range(len(group.shape)):
                if group.shape[axis] != card:
                    continue
                rest = [i for i in range(len(group.shape)) if i != axis]
                shape = [group.shape[i] for i in rest]
                cells = np.indices(shape).reshape(len(rest), -1).T @ stride[rest]
                take.append((tables[:, None] + cells).reshape(-1))
                owners.append(group.scopes[:, axis])
                start.append(total + table_of.reshape(-1) * prod(shape))
                others.append(group.scopes[:, rest])
                steps.append(np.broadcast_to(strides(shape), (len(group.scopes), len(rest))))
                total += len(take[-1])
                take[-1] = take[-1][:, None] + np.arange(card) * stride[axis]
        if total > MOST_ROWS:
            raise ValueError(f"the tables have {total:,} rows, more than 2^31 - 1")
        width = max([part.shape[1] for part in others], default=0)
        self._incidences[card] = _Incidences(
            np.concatenate([np.zeros(0, np.int64), *owners]),
            np.concatenate([np.zeros(0, np.int64), *start]),
            np.concatenate([np.zeros((0, width), np.int64), *[_padded(p, width) for p in others]]),
            np.concatenate([np.zeros((0, width), np.int64), *[_padded(p, width) for p in steps]]),
        )
        self.take[card] = self._tensor(np.concatenate([np.zeros((0, card), np.int64), *take]))

    @cached_property
    def biases(self) -> list[tuple[Tensor, Tensor]]:
        """Per group of factors over one variable: entries (F, K) and variables (F,)."""
        found = []
        for group in self.arrays.groups:
            if len(group.shape) == 1:
                entries = group.offsets[:, None] + np.arange(group.shape[0])
                found.append((self._tensor(entries), self._tensor(group.scopes[:, 0])))
        return found

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """All blocks, colour by colour."""
        return tuple(self._blocks())

    def _blocks(self) -> Iterator[Block]:
        cards, free = self.arrays.cards, self._free
        for color in range(int(self._colors.max(initial=-1)) + 1):
            chosen = free & (self._colors == color)
            for card in np.unique(cards[chosen]).tolist():
                yield self._block(card, chosen & (cards == card))

    def _block(self, card: int, chosen: np.ndarray) -> Block:
        """One block, its factors in the order of its variables."""
        found = self._incidences[card]
        mine = np.flatnonzero(chosen[found.owners])
        degrees = np.bincount(found.owners[mine], minlength=len(chosen))
        variables = np.flatnonzero(chosen)
        variables = variables[np.argsort(-degrees[variables], kind="stable")]
        place = np.empty(len(chosen), dtype=np.int64)
        place[variables] = np.arange(len(variables))
        mine = mine[np.argsort(place[found.owners[mine]], kind="stable")]
        runs, counts = np.unique(-degrees[variables], return_counts=True)
        width = int((found.steps[mine] > 0).any(axis=0).sum())  # the padding is on the right
        return Block(
            card,
            self._tensor(variables),
            tuple([(n, -d) for n, d in zip(counts.tolist(), runs.tolist(), strict=True) if d]),
            self._tensor(found.start[mine][:, None].astype(np.int32)),
            self._tensor(found.others[mine].T[:width]),
            self._tensor(found.steps[mine].T[:width, :, None].astype(np.int32)),
        )

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)


def _padded(table: np.ndarray, width: int) -> np.ndarray:
    """More columns of zeros."""
    return np.pad(table, ((0, 0), (0, width - table.shape[1])))
