"""Joint samples as a sequence of conditional draws, vectorised over rows.

Ancestral sampling draws each variable given its parents; posterior sampling draws the residual of
each clique given its separator, roots first. Both are lists of :class:`Draw`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from inference.exact.program import TreeProgram
from inference.exact.structure import Structure, strides

__all__ = ["Draw", "ancestral_draws", "run_draws", "tree_draws"]

#: Rows per chunk: the columns of a chunk stay in the cache.
CHUNK = 1 << 13
#: Columns lie this much further apart than a chunk is long: at a distance of a power of two they
#: would all fall into the same lines of the cache, and turning them into rows take three times as
#: long.
APART = 8
#: Up to this many states a linear scan of the thresholds is faster than bisection.
SCAN = 12


@dataclass(frozen=True)
class Draw:
    """Draw some columns jointly given others by inverting a conditional distribution function.

    Arguments:
        given: pairs (column, stride) whose mixed-radix sum is the condition's index.
        thresholds: (states, conditions) cumulative probabilities, the last row all one.
        drawn: triples (column, divisor, card) that decode the drawn index.
    """

    given: tuple[tuple[int, int], ...]
    thresholds: np.ndarray
    drawn: tuple[tuple[int, int, int], ...]


def _thresholds(table: np.ndarray) -> np.ndarray:
    """Normalised cumulative sums over the first axis; the last is exactly one.

    A trailing state of probability zero then has the threshold one before it and, since uniform
    numbers are below one, is never drawn.
    """
    cumulative = np.cumsum(table, axis=0)
    total = cumulative[-1].copy()
    total[total == 0] = 1.0
    cumulative /= total
    return np.ascontiguousarray(cumulative)


def ancestral_draws(structure: Structure, tables: Sequence[np.ndarray]) -> list[Draw]:
    """Draws of every variable given its parents, parents first."""
    cards, draws = structure.cards, []
    for factor in structure.topological_factors:
        head, scope = structure.heads[factor], structure.scopes[factor]
        if head not in scope:
            continue  # It has one state.
        axis = scope.index(head)
        parents = [v for v in scope if v != head]
        table = np.moveaxis(tables[factor], axis, 0).reshape(cards[head], -1)
        steps = strides([cards[v] for v in parents])
        draws.append(
            Draw(
                tuple(zip(parents, steps, strict=True)),
                _thresholds(table),
                ((head, 1, cards[head]),),
            )
        )
    return draws


def tree_draws(program: TreeProgram) -> list[Draw]:
    """Draws of every clique's residual given its separator, after an upward pass."""
    tree, draws = program.tree, []
    for c in reversed(range(len(tree.cliques))):
        clique, shape, residual = tree.cliques[c], tree.shapes[c], tree.residuals[c]
        table = program.tables[c].reshape(prod(shape[:residual]), -1)
        if not program.semiring.linear:
            peak = table.max(axis=0)
            table = np.exp(table - np.where(np.isneginf(peak), 0.0, peak))
        given = zip(clique[residual:], strides(shape[residual:]), strict=True)
        drawn = zip(clique[:residual], strides(shape[:residual]), shape[:residual], strict=True)
        draws.append(Draw(tuple(given), _thresholds(table), tuple(drawn)))
    return draws


def run_draws(
    draws: Sequence[Draw],
    n: int,
    fixed: Mapping[int, int],
    states: Sequence[np.ndarray | None],
    generator: np.random.Generator,
) -> np.ndarray:
    """Draw ``n`` rows of all columns, chunk by chunk, and return them as (n, V) int64 codes.

    Arguments:
        n: number of rows.
        draws: in an order in which every condition is drawn before it is used.
        fixed: columns that are not drawn and their code.
        states: per column the code to write for each drawn one, None to write it as it is.
        generator: source of the uniform numbers.
    """
    rows = min(CHUNK, n)
    codes = np.empty((n, len(states)), dtype=np.int64)
    columns = np.zeros((len(states), rows + APART), dtype=np.int64)[:, :rows]
    for column, code in fixed.items():
        columns[column] = code
    renamed = [(column, kept) for column, kept in enumerate(states) if kept is not None]
    space = _Workspace(np.empty(rows), np.empty(rows), np.empty(rows, dtype=np.int64))
    for start in range(0, n, CHUNK):
        stop = min(start + CHUNK, n)
        if stop - start < rows:
            columns, space = columns[:, : stop - start], space.cut(stop - start)
        for draw in draws:
            _run(draw, columns, space, generator)
        block = codes[start:stop]
        block[...] = columns.T
        for column, kept in renamed:
            block[:, column] = kept.take(columns[column])
    return codes


@dataclass(frozen=True)
class _Workspace:
    """Buffers for one chunk."""

    uniform: np.ndarray
    threshold: np.ndarray
    condition: np.ndarray

    def cut(self, rows: int) -> _Workspace:
        return _Workspace(self.uniform[:rows], self.threshold[:rows], self.condition[:rows])


def _run(
    draw: Draw, columns: np.ndarray, space: _Workspace, generator: np.random.Generator
) -> None:
    """Draw one block of columns."""
    generator.random(out=space.uniform)
    condition = None
    for column, stride in draw.given:
        if len(draw.given) == 1:
            condition = columns[column]
        elif condition is None:
            condition = np.multiply(columns[column], stride, out=space.condition)
        elif stride == 1:
            condition += columns[column]
        else:
            condition += columns[column] * stride
    index = _invert(draw.thresholds, condition, space)
    if len(draw.drawn) == 1:
        columns[draw.drawn[0][0]] = index
        return
    for column, divisor, card in draw.drawn:
        columns[column] = index // divisor % card


def _invert(thresholds: np.ndarray, condition: np.ndarray | None, space: _Workspace) -> np.ndarray:
    """First state whose threshold exceeds the uniform number."""
    uniform = space.uniform
    states, conditions = thresholds.shape
    if states == 1:
        return np.zeros(len(uniform), dtype=np.int8)
    if states <= SCAN:
        index: np.ndarray | None = None
        for row in thresholds[:-1]:
            # Indices are valid by construction; "clip" only spares numpy a checking pass.
            level = (
                row[0]
                if condition is None
                else row.take(condition, out=space.threshold, mode="clip")
            )
            above = uniform >= level
            index = above.view(np.int8) if index is None else np.add(index, above, out=index)
        assert index is not None
        return index
    if condition is None:
        return np.searchsorted(thresholds[:, 0], uniform, side="right")
    # Bisection over the column of each row's condition.
    flat = thresholds.reshape(-1)
    low = np.zeros(len(uniform), dtype=np.int64)
    high = np.full(len(uniform), states - 1)
    for _ in range((states - 1).bit_length()):
        middle = (low + high) >> 1
        above = uniform >= flat.take(middle * conditions + condition)
        low = np.where(above, middle + 1, low)
        high = np.where(above, high, middle)
    return low
