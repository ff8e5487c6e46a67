"""Rows of discrete observations, read from whatever a user has and held by column.

.. math:: D = (x^{(1)}, \\dots, x^{(n)}), \\qquad x_v \\in \\{0, \\dots, r_v - 1\\} \\cup \\{-1\\}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import torch

from inference.exact.evidence import Variables, is_pandas
from inference.inputs import as_weights, unmasked

__all__ = ["DiscreteData"]

#: Largest state code that the small integer types hold, and the type.
TYPES = ((127, np.int8), (32767, np.int16), (2**31 - 1, np.int32))


class DiscreteData:
    """A table of state codes, one small contiguous column per variable, with optional weights.

    Reading a matrix costs more than counting it: make one of these when the same rows are used
    several times.

    Arguments:
        data: (n, V) codes (tensor or array; -1, NaN or masked = missing), a DataFrame, or a
            mapping from names to columns (labels or codes; -1, None or NaN = missing).
        states: per variable its number of states or labels, or ``Variables``; by default found in
            the data: the codes up to the largest, the categories, or the sorted labels.
        sample_weight: (n,) weights of the rows, not negative; 1 by default.
        names: of the columns of a matrix without ``states``; x0, x1, ... by default.
        argument: what messages call the data.

    Attributes:
        vocabulary: names, labels and cardinalities.
        columns: per variable its codes, -1 for missing.
        weights: float64 weights, or None.
        n_rows: number of rows.

    Raises:
        TypeError, ValueError: unknown states, wrong shapes or lengths, bad weights.

    Example:
        >>> rows = DiscreteData({"rain": ["no", "yes", None], "dice": [0, 5, 2]})
        >>> rows.vocabulary.labels["rain"], rows.columns[0].tolist()
        (('no', 'yes'), [0, 1, -1])
    """

    def __init__(
        self,
        data: Any,
        states: Mapping[str, int | Sequence[str]] | Variables | None = None,
        sample_weight: Any = None,
        names: Sequence[str] | None = None,
        *,
        argument: str = "data",
    ) -> None:
        given = states if isinstance(states, Variables) or states is None else Variables(states)
        if isinstance(data, DiscreteData):
            data = _reordered(data, given, argument)
            given, self.columns = data.vocabulary, data.columns
            self.weights = data.weights
        elif is_pandas(data) or isinstance(data, Mapping):
            given, self.columns = _from_columns(data, given, argument)
            self.weights = None
        else:
            given, self.columns = _from_matrix(data, given, names, argument)
            self.weights = None
        self.vocabulary = given
        self.n_rows = len(self.columns[0]) if self.columns else len(data)
        if sample_weight is not None:
            self.weights = as_weights(sample_weight, self.n_rows).cpu().numpy()

    @property
    def cards(self) -> tuple[int, ...]:
        """Numbers of states."""
        return self.vocabulary.cards

    @cached_property
    def gaps(self) -> tuple[bool, ...]:
        """For every variable whether some of its cells are missing."""
        return tuple([bool(len(column)) and bool(column.min() < 0) for column in self.columns])

    @property
    def complete(self) -> bool:
        """Whether no cell is missing."""
        return not any(self.gaps)

    def __len__(self) -> int:
        return self.n_rows

    @cached_property
    def total(self) -> float:
        """Sum of the weights: the number of rows where there are none."""
        return float(self.n_rows if self.weights is None else self.weights.sum())

    def codes(self) -> np.ndarray:
        """All rows as an (n, V) int64 matrix."""
        out = np.empty((self.n_rows, len(self.columns)), dtype=np.int64)
        for v, column in enumerate(self.columns):
            out[:, v] = column
        return out

    def take(self, rows: np.ndarray) -> DiscreteData:
        """The rows of the given numbers (or where a mask is true)."""
        columns = tuple([column[rows] for column in self.columns])
        weights = None if self.weights is None else self.weights[rows]
        return self._made(self.vocabulary, columns, weights, len(np.arange(self.n_rows)[rows]))

    @classmethod
    def _made(
        cls,
        vocabulary: Variables,
        columns: tuple[np.ndarray, ...],
        weights: np.ndarray | None,
        n_rows: int,
    ) -> DiscreteData:
        """Data of parts that were checked before."""
        made = cls.__new__(cls)
        made.vocabulary, made.columns = vocabulary, columns
        made.weights, made.n_rows = weights, n_rows
        return made

    def keys(self, scope: Sequence[int]) -> np.ndarray:
        """Number of every row's cell in the table over ``scope``, last axis fastest.

        Only for columns without gaps.
        """
        size = prod([self.cards[v] for v in scope])
        dtype = np.uint16 if size < 1 << 16 else np.int64
        keys = np.zeros(self.n_rows, dtype=dtype)
        for position, v in enumerate(scope):
            column = self.columns[v].view(f"u{self.columns[v].itemsize}")
            if position:
                np.multiply(keys, dtype(self.cards[v]), out=keys)
                np.add(keys, column, out=keys, casting="unsafe")
            else:
                keys[:] = column
        return keys

    def require_complete(self, argument: str, advice: str) -> None:
        """Raise a ValueError that names the first variable with missing cells."""
        for v, gap in enumerate(self.gaps):
            if gap:
                missing = int((self.columns[v] < 0).sum())
                raise ValueError(
                    f"{argument}: {self.vocabulary.names[v]!r} has {missing} missing cells of "
                    f"{self.n_rows}; {advice}"
                )

    def require_rows(self, argument: str) -> None:
        """Raise a ValueError if there is no row, or no weight."""
        if not self.n_rows:
            raise ValueError(f"{argument} has no rows; there is nothing to learn from")
        if self.total <= 0:
            raise ValueError("sample_weight is zero in every row; there is nothing to learn from")


def _reordered(data: DiscreteData, given: Variables | None, argument: str) -> DiscreteData:
    """Data that were read before, under the wanted vocabulary."""
    known = data.vocabulary
    if given is None or given is known:
        return data
    missing = [name for name in given.names if name not in known.index]
    if missing:
        raise ValueError(f"{argument} has no column for {missing[0]!r} ({len(missing)} missing)")
    order = [known.index[name] for name in given.names]
    for v, old in enumerate(order):
        name = given.names[v]
        if (given.labels[name], given.cards[v]) != (known.labels[name], known.cards[old]):
            raise ValueError(
                f"{argument}[{name!r}] was read with the states "
                f"{known.labels[name] or known.cards[old]}, "
                f"the model has {given.labels[name] or given.cards[v]}"
            )
    columns = tuple([data.columns[old] for old in order])
    return DiscreteData._made(given, columns, data.weights, data.n_rows)


def _from_columns(
    data: Any, given: Variables | None, argument: str
) -> tuple[Variables, tuple[np.ndarray, ...]]:
    """Read a DataFrame or a mapping."""
    names = list(data.keys()) if given is None else list(given.names)
    if given is not None:
        missing = [name for name in names if name not in data]
        if missing:
            raise ValueError(
                f"{argument} has no column for {missing[0]!r} ({len(missing)} missing); "
                "for a hidden variable add a column of -1"
            )
    columns = [_column(data[name], f"{argument}[{name!r}]") for name in names]
    for name, column in zip(names, columns, strict=True):
        if column.ndim != 1:
            raise ValueError(
                f"{argument}[{name!r}] must be one column, found shape {column.shape}; "
                "is the name there twice?"
            )
    lengths = {str(name): len(column) for name, column in zip(names, columns, strict=True)}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{argument} has columns of different lengths: {lengths}")
    if given is None:
        found = zip(names, columns, strict=True)
        given = Variables({name: _states(name, column, argument) for name, column in found})
    coded = [_codes(given, v, column, argument) for v, column in enumerate(columns)]
    return given, tuple(coded)


def _from_matrix(
    data: Any, given: Variables | None, names: Sequence[str] | None, argument: str
) -> tuple[Variables, tuple[np.ndarray, ...]]:
    """Read an (n, V) matrix."""
    array = _array(data.detach().cpu() if isinstance(data, torch.Tensor) else data, argument)
    width = "V" if given is None else len(given.names)
    if array.ndim != 2 or (given is not None and array.shape[1] != width):
        raise ValueError(f"{argument} must have shape (n, {width}), found {array.shape}")
    if given is None:
        labels = names if names is not None else [f"x{v}" for v in range(array.shape[1])]
        if len(labels) != array.shape[1]:
            raise ValueError(f"names must name {array.shape[1]} columns, found {len(labels)}")
        if len(set(labels)) != len(labels):
            raise ValueError(f"names must be different, found {list(labels)}")
        columns = zip(labels, array.T, strict=True)
        given = Variables({name: _states(name, column, argument) for name, column in columns})
    if array.dtype.kind in "iu" and array.size:
        small = _small_integers(array, given)
        if small is not None:
            return given, small
    coded = [_codes(given, v, column, argument) for v, column in enumerate(array.T)]
    return given, tuple(coded)


def _small_integers(array: np.ndarray, given: Variables) -> tuple[np.ndarray, ...] | None:
    """Columns of an integer matrix by one conversion, if they are all small and legal."""
    largest = int(array.max())
    if int(array.min()) < -1 or largest > TYPES[0][0]:
        return None
    table = np.ascontiguousarray(array.astype(np.int8).T)  # a copy, whatever the layout was
    if (table.max(axis=1) >= np.array(given.cards)).any():
        return None
    return tuple(table)


def _column(values: Any, argument: str) -> Any:
    """One column of a table as an array; pandas columns stay what they are."""
    if isinstance(values, torch.Tensor):
        return values.detach().cpu().numpy()
    return values if is_pandas(values) else _array(values, argument)


def _array(values: Any, argument: str) -> np.ndarray:
    """An array; labels beside numbers or None stay what they are, masked cells become None."""
    values = unmasked(values, object)
    mixed = isinstance(values, (list, tuple)) and any(
        item is None or isinstance(item, (str, bool)) for item in values
    )
    try:
        return np.asarray(values, dtype=object if mixed else None)
    except ValueError as error:
        raise ValueError(f"{argument} must be rectangular: {error}") from None


def _states(name: str, column: Any, argument: str) -> int | list[str]:
    """States of a column, as its values show them."""
    if is_pandas(column) and column.dtype.name == "category":
        values = column.dtype.categories.tolist()
        if any(isinstance(value, str) for value in values):
            return [str(value) for value in values]
    else:
        array = column.to_numpy() if is_pandas(column) else column
        if array.dtype.kind == "b":
            return 2
        if array.dtype.kind in "iuf":
            present = array[array >= 0]
            if present.size and np.isfinite(present).all():
                return _count(name, present.max().item(), argument)
            values = present.tolist()
        else:
            values = list(set(array.tolist()))
    plain = {_plain(value) for value in values}
    labels = sorted([value for value in plain if isinstance(value, str)])
    if labels:
        return labels
    if any(isinstance(value, (bool, np.bool_)) for value in values):
        return 2
    numbers = [value for value in plain if isinstance(value, (int, float)) and value >= 0]
    if not numbers:
        odd = [value for value in plain if not (value is None or isinstance(value, (int, float)))]
        if odd:
            raise TypeError(
                f"{argument}[{name!r}] must hold labels (strings) or state codes, found {odd[0]!r}"
            )
        raise ValueError(f"{argument}[{name!r}] has no observed cell; give its states")
    return _count(name, max(numbers), argument)


def _count(name: str, largest: float, argument: str) -> int:
    """Number of states whose largest code was seen."""
    if not largest < TYPES[-1][0]:
        raise ValueError(
            f"{argument}[{name!r}] must hold state codes below {TYPES[-1][0]}, found {largest:g}"
        )
    return int(largest) + 1


def _plain(value: Any) -> Any:
    """A state without its type: whole numbers are ints, what is missing is None."""
    if isinstance(value, (bool, np.bool_)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return None if value != value else int(value) if float(value).is_integer() else value
    return None if type(value).__name__ in ("NAType", "NaTType") else value


def _codes(given: Variables, v: int, column: Any, argument: str) -> np.ndarray:
    """Codes of one column in the smallest type that holds them."""
    if is_pandas(column) and column.dtype.kind not in "iufb":
        from pandas import factorize

        places, present = factorize(column)
        known = _codes_of_objects(given, v, list(present), argument)
        codes = np.append(known, -1)[places]
    else:
        array = column.to_numpy() if is_pandas(column) else column
        if array.dtype.kind in "iuf":
            codes = given.codes(v, array, argument)
        elif array.dtype.kind == "b":
            codes = given.codes(v, array.astype(np.int8), argument)
        elif array.ndim == 1:
            codes = _codes_of_objects(given, v, array.tolist(), argument)
        else:
            codes = given.codes(v, array, argument)
    card = given.cards[v]
    dtype = next(kind for most, kind in TYPES if card - 1 <= most)
    return np.ascontiguousarray(codes.astype(dtype))


def _codes_of_objects(given: Variables, v: int, values: list[Any], argument: str) -> np.ndarray:
    """Codes of labels, numbers, booleans and gaps of any kind."""
    plain = np.empty(len(values), dtype=object)
    plain[:] = [_plain(value) for value in values]
    wrong = [value for value in plain if isinstance(value, float)]
    if wrong:
        raise ValueError(
            f"{argument}[{given.names[v]!r}]: state codes must be whole numbers, "
            f"found {wrong[0]:g}"
        )
    return given.codes(v, plain, argument)
