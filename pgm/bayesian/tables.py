"""Conditional probability tables: one flat vector, checked and normalised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import torch

from inference.memory import require_memory

__all__ = ["ROW_TOLERANCE", "flatten_tables", "normalized_rows"]

#: A row of a table may miss the sum one by this much; it is then normalised. Published network
#: files miss it by up to 3e-7.
ROW_TOLERANCE = 1e-6
#: What normalised rows still miss it by.
ROUNDING = 1e-14


def _row_label(
    row: int,
    parents: Sequence[str],
    shape: Sequence[int],
    labels: Mapping[str, Sequence[str] | None],
) -> str:
    """Name the parents' states of a row."""
    if not parents:
        return "its table"
    parts = []
    for parent, code in zip(parents, np.unravel_index(row, shape), strict=True):
        known = labels[parent]
        parts.append(f"{parent}={code if known is None else known[int(code)]}")
    return f"the row {', '.join(parts)}"


def normalized_rows(
    values: np.ndarray,
    cards: Sequence[int],
    names: Sequence[str],
    parents: Mapping[str, Sequence[str]],
    labels: Mapping[str, Sequence[str] | None],
) -> np.ndarray:
    """Check that every row of every table is a distribution and return the rows normalised.

    Rows that sum to one within 1e-14 come back bit for bit, so that normalising twice changes
    nothing and what a file held is what it holds after saving again.

    Arguments:
        values: all tables one after the other, rows (child states) contiguous.
        cards: number of states of every variable, in the order of ``names``.
        names: the variables.
        parents: per variable its parents, in the order of the table's axes.
        labels: per variable its state labels, for messages.

    Raises:
        ValueError: NaN, negative entry, or a row that misses one by more than ROW_TOLERANCE.
    """
    card_of = dict(zip(names, cards, strict=True))
    shapes = [[card_of[p] for p in parents[name]] for name in names]
    rows = np.array([prod(shape) for shape in shapes], dtype=np.intp)
    lengths = np.repeat(np.asarray(cards, dtype=np.intp), rows)
    starts = np.cumsum(lengths) - lengths
    sums = np.add.reduceat(values, starts) if len(values) else np.zeros(0)
    lowest = values.min() if len(values) else 0.0
    wrong = ~(np.abs(sums - 1.0) <= ROW_TOLERANCE)
    if lowest >= 0 and not wrong.any():
        sums[np.abs(sums - 1.0) <= ROUNDING] = 1.0
        return values / np.repeat(sums, lengths)
    if not lowest >= 0:
        wrong |= ~(np.minimum.reduceat(values, starts) >= 0)
    first = int(np.flatnonzero(wrong)[0])
    ends = np.cumsum(rows)
    number = int(np.searchsorted(ends, first, side="right"))
    name = names[number]
    row = values[starts[first] : starts[first] + lengths[first]]
    where = _row_label(
        first - int(ends[number] - rows[number]), parents[name], shapes[number], labels
    )
    if np.isnan(row).any():
        problem = "holds NaN"
    elif (row < 0).any():
        problem = f"holds a negative entry ({row.min():g})"
    else:
        problem = f"sums to {row.sum():.9g}, not to one within {ROW_TOLERANCE:g}"
    raise ValueError(f"tables[{name!r}]: {where} {problem}")


def flatten_tables(
    tables: Mapping[str, Any] | None,
    cards: Sequence[int],
    names: Sequence[str],
    parents: Mapping[str, Sequence[str]],
    labels: Mapping[str, Sequence[str] | None],
) -> np.ndarray:
    """Join tables to one float64 vector of exactly normalised rows; uniform where none are given.

    Raises:
        ValueError: missing, unknown or misshapen tables, or rows that are no distributions.
    """
    card_of = dict(zip(names, cards, strict=True))
    shapes = {name: tuple([card_of[v] for v in (*parents[name], name)]) for name in names}
    if tables is None:
        largest = max(shapes, key=lambda name: prod(shapes[name]), default=None)
        what = f"the tables, the largest that of {largest!r},"
        require_memory(8 * sum(map(prod, shapes.values())), what, "use fewer parents or states")
        parts = [np.full(prod(shape), 1.0 / shape[-1]) for shape in shapes.values()]
        return np.concatenate(parts) if parts else np.zeros(0)
    if not isinstance(tables, Mapping):
        raise TypeError(f"tables must map names to tables, found {type(tables).__name__}")
    unknown = [name for name in tables if name not in card_of]
    if unknown:
        raise ValueError(f"tables: unknown variable {unknown[0]!r}")
    missing = [name for name in names if name not in tables]
    if missing:
        raise ValueError(f"tables: no table for {missing[0]!r} ({len(missing)} missing)")
    parts = []
    for name in names:
        table = tables[name]
        if isinstance(table, torch.Tensor):
            table = table.detach().cpu().numpy()
        try:
            array = np.asarray(table, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"tables[{name!r}] is no table of numbers: {error}") from None
        if array.shape != shapes[name]:
            axes = ", ".join([*parents[name], name])
            raise ValueError(
                f"tables[{name!r}] must have shape {shapes[name]} (axes {axes}), "
                f"found {array.shape}"
            )
        parts.append(array.reshape(-1))
    values = np.concatenate(parts) if parts else np.zeros(0)
    return normalized_rows(values, cards, names, parents, labels)
