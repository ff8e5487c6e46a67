"""Rows of incomplete evidence compiled, with a junction tree, into one arithmetic circuit.

What a clique sees of a row is its *situation*: the codes of its variables and the messages that
come from its children. Rows that are all different still share most situations, so each is
computed once. A situation has one *entry* per assignment of the clique's missing variables; a
message has one number per assignment of the missing variables of its separator, and none at all
where the separator is observed, because what lies behind is then independent of the rest.

Entries, messages and situations depend on the data alone: one layout serves all parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import numpy as np

from inference.exact.structure import bits, strides
from inference.exact.tree import JunctionTree

__all__ = ["Block", "CircuitLayout", "Level", "circuit_layout", "number_rows"]

#: Keys up to this many times the rows are numbered by a table instead of by sorting.
TABLE_PER_ROW = 8


@dataclass
class Block:
    """Situations of one clique that miss the same variables.

    Attributes:
        clique: its number.
        missing: the missing variables, separator first: the assignments run over their states,
            last fastest.
        width: assignments of the missing separator variables (the numbers in a message).
        assignments: assignments of all missing variables.
        rows: one row of the data per situation that shows it.
        entry, message, situation: numbers of the first of each.
    """

    clique: int
    missing: tuple[int, ...]
    width: int
    assignments: int
    rows: np.ndarray
    entry: int = 0
    message: int = 0
    situation: int = 0

    @property
    def n_entries(self) -> int:
        """Entries of all situations."""
        return len(self.rows) * self.assignments

    def states(self, variable: int, cards: Sequence[int]) -> np.ndarray:
        """State of a missing variable in every assignment."""
        return _assignments((variable,), self.missing, cards, (1,))


@dataclass(frozen=True)
class Level:
    """All situations of the cliques at one distance from the roots.

    Attributes:
        first_entry, first_message, first_situation: numbers of the first of each.
        cells: for every entry its cell in the vector of clique tables.
        starts: for every message number its first entry, counted from ``first_entry``.
        sums: for every entry the message number it adds to, counted from ``first_message``.
        situation_starts: for every situation its first message number, likewise.
        situations: for every message number its situation, counted from ``first_situation``.
        slots: message numbers of the level below that multiply the entries, counted from that
            level's first; each array serves the leading entries.
        below: number of the first message of the level below.
    """

    first_entry: int
    first_message: int
    first_situation: int
    cells: np.ndarray
    starts: np.ndarray
    sums: np.ndarray
    situation_starts: np.ndarray
    situations: np.ndarray
    slots: tuple[np.ndarray, ...]
    below: int

    @property
    def entries(self) -> slice:
        """Numbers of the level's entries."""
        return slice(self.first_entry, self.first_entry + len(self.cells))

    @property
    def situation_slice(self) -> slice:
        """Numbers of the level's situations."""
        return slice(self.first_situation, self.first_situation + len(self.situation_starts))

    @property
    def messages(self) -> slice:
        """Numbers of the level's message numbers."""
        return slice(self.first_message, self.first_message + len(self.starts))


@dataclass(frozen=True)
class CircuitLayout:
    """A compiled circuit: levels from the deepest to the roots.

    Attributes:
        weights: total weight of the rows in every situation.
        open_messages: whether a message number has a consumer (its separator misses a variable).
        blocks: the situations by clique and pattern, in the order of their numbers.
        row_situations: per clique the situation of every row, counted over all cliques.
    """

    levels: tuple[Level, ...]
    weights: np.ndarray
    open_messages: np.ndarray
    blocks: tuple[Block, ...]
    row_situations: tuple[np.ndarray, ...]

    @property
    def n_entries(self) -> int:
        """Numbers that one pass computes."""
        return sum([len(level.cells) for level in self.levels])

    @property
    def nbytes(self) -> int:
        """Bytes of the index arrays and of one pass' tables, about."""
        slots = sum([slot.size for level in self.levels for slot in level.slots])
        return 8 * (4 * self.n_entries + slots + 6 * len(self.open_messages))


@dataclass
class _Clique:
    """What the parent of a clique needs to know."""

    situations: np.ndarray  # (n,) of every row, counted within the clique
    open: np.ndarray  # per situation whether its message is sent
    blocks: list[Block]
    starts: np.ndarray | None = None  # first message number of every situation, in its level


def circuit_layout(
    tree: JunctionTree,
    offsets: Sequence[int],
    cards: Sequence[int],
    columns: Sequence[np.ndarray],
    weights: np.ndarray | None = None,
    distinct: bool = True,
) -> CircuitLayout:
    """Compile rows.

    Arguments:
        tree: a junction tree over all variables with several states.
        offsets: start of every clique's table in their common vector.
        cards: numbers of states.
        columns: per variable the codes of all rows, -1 for missing.
        weights: of the rows; ones by default.
        distinct: compute shared situations once; otherwise every row keeps its own, so that
            posteriors can be read row by row.
    """
    cliques: list[_Clique] = []
    for c in range(len(tree.cliques)):
        cliques.append(_situations(tree, c, cards, columns, cliques, distinct))
    depth = [0] * len(tree.cliques)
    for c in reversed(range(len(tree.cliques))):
        if tree.parents[c] >= 0:
            depth[c] = depth[tree.parents[c]] + 1
    assembly = _Assembly(tree, offsets, cards, columns, cliques)
    for d in reversed(range(max(depth, default=-1) + 1)):
        assembly.add_level([c for c in range(len(depth)) if depth[c] == d])
    return assembly.finish(weights)


def number_rows(keys: Sequence[tuple[np.ndarray, int]], n: int) -> tuple[np.ndarray, int]:
    """Number rows so that two have the same number if and only if all their keys agree.

    Arguments:
        keys: pairs of a non-negative integer array (n,) and a bound that all of it is below.
        n: number of rows.

    Example:
        >>> number_rows([(np.array([1, 0, 1]), 2), (np.array([5, 5, 5]), 6)], 3)
        (array([1, 0, 1]), 2)
    """
    codes, bound = np.zeros(n, dtype=np.int64), 1
    for column, size in keys:
        if bound * size >= 1 << 62:
            codes, bound = _compressed(codes, bound)
        codes = codes * size + column if bound > 1 else column.astype(np.int64)
        bound *= size
    return _compressed(codes, bound)


def _compressed(codes: np.ndarray, bound: int) -> tuple[np.ndarray, int]:
    """Number the codes that occur 0, 1, ..."""
    if not len(codes):
        return codes, 0
    if bound <= TABLE_PER_ROW * len(codes):
        place = np.cumsum(np.bincount(codes, minlength=bound) > 0)
        return (place - 1)[codes], int(place[-1])
    order = np.argsort(codes)
    ordered = codes[order]
    place = np.empty(len(codes), dtype=np.int64)
    place[0] = 0
    np.cumsum(ordered[1:] != ordered[:-1], out=place[1:])
    found = np.empty_like(place)
    found[order] = place
    return found, int(place[-1]) + 1


def _situations(
    tree: JunctionTree,
    c: int,
    cards: Sequence[int],
    columns: Sequence[np.ndarray],
    cliques: Sequence[_Clique],
    distinct: bool,
) -> _Clique:
    """Number the situations of a clique, those with the same missing variables together."""
    axes, n_residual = tree.cliques[c], tree.residuals[c]
    n = len(columns[axes[0]])
    if distinct:
        keys = [(columns[v] + np.int64(1), cards[v] + 1) for v in axes]
        for child in tree.children[c]:
            below = cliques[child]
            number = np.where(below.open, np.arange(1, len(below.open) + 1), 0)
            keys.append((number[below.situations], len(number) + 1))
        numbers, count = number_rows(keys, n)
    else:
        numbers, count = np.arange(n), n
    rows = np.empty(count, dtype=np.int64)
    rows[numbers] = np.arange(n)
    pattern = np.zeros(count, dtype=np.int64)
    for axis, v in enumerate(axes):
        pattern |= (columns[v][rows] < 0).astype(np.int64) << axis
    order = np.argsort(pattern, kind="stable")
    place = np.empty(count, dtype=np.int64)
    place[order] = np.arange(count)
    rows, pattern = rows[order], pattern[order]
    edges = np.flatnonzero(np.diff(pattern, prepend=-1, append=-1))
    blocks = []
    for first, last in pairwise(edges.tolist()):
        absent = bits(int(pattern[first]))
        shared = [axes[i] for i in absent if i >= n_residual]
        missing = (*shared, *[axes[i] for i in absent if i < n_residual])
        width = prod([cards[v] for v in shared])
        size = prod([cards[v] for v in missing])
        blocks.append(Block(c, missing, width, size, rows[first:last]))
    return _Clique(place[numbers], pattern >> n_residual > 0, blocks)


def _assignments(
    wanted: Sequence[int], missing: Sequence[int], cards: Sequence[int], steps: Sequence[int]
) -> np.ndarray:
    """Sum of state x step over ``wanted`` for every assignment of ``missing``, last fastest."""
    total = np.zeros((1,) * max(len(missing), 1), dtype=np.int64)
    for axis, v in enumerate(missing):
        if v in wanted:
            shape = [1] * len(missing)
            shape[axis] = cards[v]
            total = total + (np.arange(cards[v]) * steps[wanted.index(v)]).reshape(shape)
    return np.broadcast_to(total, [cards[v] for v in missing] or (1,)).reshape(-1)


class _Assembly:
    """Lays the blocks of the cliques out, level by level."""

    def __init__(
        self,
        tree: JunctionTree,
        offsets: Sequence[int],
        cards: Sequence[int],
        columns: Sequence[np.ndarray],
        cliques: Sequence[_Clique],
    ) -> None:
        self._tree = tree
        self._offsets = offsets
        self._cards = cards
        self._columns = columns
        self._cliques = cliques
        self._levels: list[Level] = []
        self._blocks: list[Block] = []
        self._entries = self._messages = self._situations = 0

    def add_level(self, members: Sequence[int]) -> None:
        """Lay out the cliques of one depth; those of the next depth are laid out already."""
        blocks = [(self._sources(b), b) for c in members for b in self._cliques[c].blocks]
        # Blocks that multiply more messages come first: slot k then serves a leading part.
        blocks.sort(key=lambda pair: -len(pair[0]))
        entry = message = situation = 0
        parts: dict[str, list[np.ndarray]] = {
            key: [] for key in ("cells", "starts", "sums", "situation_starts", "situations")
        }
        slots: list[list[np.ndarray]] = []
        for sources, block in blocks:
            block.entry, block.message = self._entries + entry, self._messages + message
            block.situation = self._situations + situation
            count, width, size = len(block.rows), block.width, block.assignments
            parts["cells"].append(self._cells(block))
            starts = np.arange(count * width) * (size // width)
            parts["starts"].append(starts + entry)
            sums = np.arange(count * width).repeat(size // width)
            parts["sums"].append(sums + message)
            parts["situation_starts"].append(np.arange(count) * width + message)
            parts["situations"].append(np.arange(count).repeat(width) + situation)
            for k, child in enumerate(sources):
                if k == len(slots):
                    slots.append([])
                slots[k].append(self._gathered(block, child))
            entry, message = entry + block.n_entries, message + count * width
            situation += count
            self._blocks.append(block)
        joined = {key: _joined(arrays) for key, arrays in parts.items()}
        self._levels.append(
            Level(
                first_entry=self._entries,
                first_message=self._messages,
                first_situation=self._situations,
                slots=tuple([np.concatenate(slot) for slot in slots]),
                below=self._levels[-1].first_message if self._levels else 0,
                **joined,
            )
        )
        for c in members:
            found = self._cliques[c]
            # Situations of a clique are numbered block by block, which a level may interleave.
            found.starts = _joined(
                [
                    np.arange(len(b.rows)) * b.width + (b.message - self._messages)
                    for b in found.blocks
                ]
            )
        self._entries += entry
        self._messages += message
        self._situations += situation

    def finish(self, weights: np.ndarray | None) -> CircuitLayout:
        """The layout with the situations of all rows."""
        total = np.zeros(self._situations)
        rows = []
        for clique in self._cliques:
            numbers = _joined([np.arange(len(b.rows)) + b.situation for b in clique.blocks])
            own = numbers[clique.situations]
            count = np.bincount(clique.situations, weights, minlength=len(numbers))
            total[numbers] = count
            rows.append(own)
        opened = np.zeros(self._messages, dtype=bool)
        for block in self._blocks:
            if block.width > 1:
                opened[block.message : block.message + len(block.rows) * block.width] = True
        return CircuitLayout(tuple(self._levels), total, opened, tuple(self._blocks), tuple(rows))

    def _sources(self, block: Block) -> list[int]:
        """The children whose messages reach a block: their separators miss a variable."""
        missing = set(block.missing)
        tree = self._tree
        return [
            child
            for child in tree.children[block.clique]
            if not missing.isdisjoint(tree.cliques[child][tree.residuals[child] :])
        ]

    def _cells(self, block: Block) -> np.ndarray:
        """Cells of a block's entries in the clique tables."""
        axes = self._tree.cliques[block.clique]
        steps = strides([self._cards[v] for v in axes])
        base = np.full(len(block.rows), self._offsets[block.clique], dtype=np.int64)
        for v, stride in zip(axes, steps, strict=True):
            if v not in block.missing:
                base += self._columns[v][block.rows].astype(np.int64) * stride
        free = _assignments(axes, block.missing, self._cards, steps)
        return (base[:, None] + free).reshape(-1)

    def _gathered(self, block: Block, child: int) -> np.ndarray:
        """Numbers of the child's message that multiply a block's entries."""
        tree, below = self._tree, self._cliques[child]
        separator = tree.cliques[child][tree.residuals[child] :]
        shared = [v for v in separator if v in block.missing]
        steps = strides([self._cards[v] for v in shared])
        free = _assignments(shared, block.missing, self._cards, steps)
        assert below.starts is not None
        first = below.starts[below.situations[block.rows]]
        return (first[:, None] + free).reshape(-1)


def _joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(arrays) if arrays else np.zeros(0, dtype=np.int64)
