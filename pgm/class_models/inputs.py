"""Tables of features and class labels as users pass them, turned into tensors and codes.

.. math:: X \\to \\mathbb{R}^{n \\times D} \\; (\\text{NaN} = \\text{missing}), \\qquad
          y \\to \\{0, \\dots, K - 1\\}^n
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inference.exact.evidence import Variables, is_pandas
from inference.inputs import check_dense
from pgm.class_models.events import all_within

__all__ = ["ClassLabels", "Columns", "read_labels"]


@dataclass(frozen=True, eq=False)
class ClassLabels:
    """The distinct labels of the classes, sorted; the position of a label is its code.

    Arguments:
        values: numbers, booleans or strings.

    Shapes:
        values: (K,).

    Example:
        >>> labels = ClassLabels.of(read_labels(["spam", "ham", "spam"]))
        >>> labels.values.tolist(), labels.codes(read_labels(["spam", "eggs"])).tolist()
        (['ham', 'spam'], [1, -1])
    """

    values: np.ndarray

    @classmethod
    def of(cls, labels: np.ndarray) -> ClassLabels:
        """The classes that occur among labels."""
        return cls(np.unique(labels))

    def __len__(self) -> int:
        return len(self.values)

    def codes(self, labels: np.ndarray) -> np.ndarray:
        """Codes (n,) int64 of labels; -1 for labels that are not among the classes.

        Raises:
            TypeError: strings where the classes are numbers, or the other way round.
        """
        if not len(labels):  # an empty list is of no kind
            return np.zeros(0, dtype=np.int64)
        if (labels.dtype.kind == "U") != (self.values.dtype.kind == "U"):
            raise TypeError(
                f"y must hold labels like those of the classes, {self.values.tolist()[:3]}, "
                f"found {labels.tolist()[:3]}"
            )
        places = np.searchsorted(self.values, labels).clip(max=len(self) - 1)
        return np.where(self.values[places] == labels, places, -1)

    def decode(self, codes: Tensor) -> Tensor | np.ndarray:
        """Labels of codes: a tensor beside the codes, or an array where labels are strings."""
        if self.values.dtype.kind == "U":
            return self.values[codes.cpu().numpy()]
        return torch.from_numpy(self.values).to(codes.device)[codes]


def read_labels(y: Any, argument: str = "y") -> np.ndarray:
    """Class labels as an array of booleans, integers, whole floats or strings.

    Arguments:
        y: a tensor, array, list or pandas column.
        argument: its name, for messages.

    Shapes:
        y, result: (n,).

    Raises:
        TypeError: if the labels are of mixed or other kinds.
        ValueError: if they are not one column, or one is missing or no whole number.

    Example:
        >>> read_labels([True, False]).dtype
        dtype('bool')
    """
    if y is None:
        raise ValueError(f"{argument} must be one column of labels, found None")
    if isinstance(y, Tensor):
        array = y.detach().cpu().numpy()
    elif is_pandas(y):
        array = y.to_numpy()
    else:
        # Left to itself, numpy would turn the numbers in a mixed list into strings.
        array = np.array(y, dtype=object if isinstance(y, (list, tuple)) else None)
    if array.ndim != 1:
        raise ValueError(f"{argument} must be one column of labels, found shape {array.shape}")
    if array.dtype.kind == "O":
        array = _plain_labels(array, argument)
    if array.dtype.kind not in "biufU":
        raise TypeError(f"{argument} must hold numbers or strings, found dtype {array.dtype}")
    if array.dtype.kind == "f":
        _check_whole(array, argument)
    if array.dtype.kind not in "iu":
        return array
    if len(array) and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{argument} must fit 64 bits with a sign, found label {array.max()}")
    return array.astype(np.int64)


def _plain_labels(array: np.ndarray, argument: str) -> np.ndarray:
    """Turn Python objects into an array of one kind."""
    values = array.tolist()
    for row, value in enumerate(values):
        if _is_missing(value):
            raise ValueError(
                f"{argument} must not have missing labels, found {value!r} in row {row}; "
                "leave such rows out"
            )
    kinds = [(str, np.str_), (bool, np.bool_), (int, np.integer), (int, np.integer, float)]
    for kind, dtype in zip(kinds, (str, bool, np.int64, np.float64), strict=True):
        if all(issubclass(found, kind) for found in set(map(type, values))):
            return array.astype(dtype)
    found = sorted({type(value).__name__ for value in values})
    raise TypeError(f"{argument} must hold labels of one kind, numbers or strings, found {found}")


def _check_whole(labels: np.ndarray, argument: str) -> None:
    """Refuse missing and continuous labels."""
    wrong = ~(np.isfinite(labels) & (labels == np.floor(labels)))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        kind = "missing" if np.isnan(labels[row]) else "no whole number"
        raise ValueError(
            f"{argument} must hold class labels, found {labels[row]} in row {row}, which is "
            f"{kind}; leave out unlabelled rows, group continuous targets into classes"
        )


def _is_missing(value: object) -> bool:
    """Whether an object stands for a missing entry, in any spelling."""
    return value is None or type(value).__name__ in {"NAType", "NaTType"} or value != value


@dataclass(frozen=True)
class Columns:
    """What is known of the columns of a table: how many, their names, their states' labels.

    Arguments:
        count: number of columns.
        names: of the columns of a DataFrame, where all are strings.
        labels: per column the labels of its states in the order of the codes, or None where the
            column holds codes; None where the columns hold numbers.

    Example:
        >>> columns = Columns(1, ("size",), (("L", "S"),))
        >>> columns.read(np.array([["S"], [None]]), codes=True).tolist()
        [[1.0], [nan]]
    """

    count: int
    names: tuple[str, ...] | None = None
    labels: tuple[tuple[str, ...] | None, ...] | None = None

    @classmethod
    def of(cls, x: Any, *, labelled: bool) -> Columns:
        """Columns of a table; with ``labelled``, those of strings are states with labels.

        Raises:
            TypeError: if labels are mixed with other objects, or the table is sparse.
            ValueError: if the table is empty or not 2-D, or two columns have one name.
        """
        table = _as_table(x)
        n, count = table.shape
        if n == 0 or count == 0:
            raise ValueError(f"X must have rows and columns, found shape {(n, count)}")
        names = None
        if is_pandas(table):
            names = (
                tuple(table.columns) if all(isinstance(c, str) for c in table.columns) else None
            )
            if len(set(table.columns)) < count:
                raise ValueError(f"X has two columns of one name: {list(table.columns)}")
        plain = cls(count, names)
        if not labelled:
            return plain
        if is_pandas(table):
            found = [_series_labels(table.iloc[:, j], plain.title(j)) for j in range(count)]
        elif _is_numeric(table):
            found = [None] * count
        else:
            found = [_object_labels(table[:, j], plain.title(j)) for j in range(count)]
        return cls(count, names, tuple(found))

    @property
    def variables(self) -> tuple[str, ...]:
        """A name for every column: its own, or x and its position."""
        return self.names or tuple([f"x{j}" for j in range(self.count)])

    def title(self, j: int) -> str:
        """How a message names a column."""
        return f"X[:, {j}]" if self.names is None else f"X[{self.names[j]!r}]"

    def read(self, x: Any, *, codes: bool, device: torch.device | str = "cpu") -> Tensor:
        """The table as float64 numbers, (n, D), with NaN for missing entries.

        Arguments:
            x: a tensor, an array or a DataFrame, whose columns are found by their names.
            codes: whether -1 in columns of integers means missing.
            device: where the result is.

        Raises:
            TypeError: if an entry that is neither number nor label stands where one must.
            ValueError: if columns are missing or too many, a label is unknown, an entry is
                infinite, or a code is below -1.
        """
        table = _as_table(x)
        if is_pandas(table):
            values, whole = self._read_frame(self._select(table))
        elif table.shape[1] != self.count:
            raise ValueError(f"X must have {self.count} columns, found {table.shape[1]}")
        elif isinstance(table, Tensor):
            values, whole = table.detach(), not table.is_floating_point()
        elif _is_numeric(table):
            values, whole = _as_tensor(table), table.dtype.kind != "f"
        else:
            values, whole = self._read_objects(table), False
        values = values.to(device, torch.float64)
        # A finite sum, which is quicker to find, rules infinite entries out.
        if not values.sum().isfinite() and values.isinf().any():
            row, j = values.isinf().nonzero()[0].tolist()
            raise ValueError(
                f"{self.title(j)} must be finite, found {values[row, j]} in row {row}"
            )
        return self._drop_missing_codes(values, whole) if codes else values

    def _drop_missing_codes(self, values: Tensor, whole: bool | np.ndarray) -> Tensor:
        """Put NaN for -1 in the columns of integers."""
        integers = torch.as_tensor(whole, device=values.device)
        if not integers.any() or all_within(values, 0.0, math.inf):
            return values
        low = (values < -1) & integers
        if low.any():
            row, j = low.nonzero()[0].tolist()
            raise ValueError(
                f"{self.title(j)} holds the integer {values[row, j]:g} in row {row}: integers are "
                "codes from 0 (-1 = missing); pass floating-point numbers if it is a measurement"
            )
        return values.masked_fill((values == -1) & integers, torch.nan)

    def _select(self, frame: Any) -> Any:
        """The columns of a DataFrame that belong to the model, in its order."""
        if self.names is None:
            if frame.shape[1] != self.count:
                raise ValueError(f"X must have {self.count} columns, found {frame.shape[1]}")
            return frame
        missing = [name for name in self.names if name not in frame.columns]
        if missing:
            raise ValueError(f"X has no column {missing[0]!r} ({len(missing)} missing)")
        if len(set(frame.columns)) < frame.shape[1]:
            raise ValueError(f"X has two columns of one name: {list(frame.columns)}")
        return frame[list(self.names)]

    def _read_frame(self, frame: Any) -> tuple[Tensor, np.ndarray]:
        """Numbers of a DataFrame, and which columns hold integers."""
        values = np.empty(frame.shape)
        whole = np.zeros(self.count, dtype=bool)
        for j in range(self.count):
            series = frame.iloc[:, j]
            if _series_is_numeric(series):
                values[:, j] = series.to_numpy(dtype=np.float64, na_value=np.nan)
                whole[j] = series.dtype.kind in "biu"
                continue
            # The distinct values are few: they are looked up once each.
            column = series.astype("category").cat.remove_unused_categories()
            known = self._read_column(j, column.cat.categories.to_numpy(dtype=object))
            values[:, j] = np.append(known, np.nan)[column.cat.codes.to_numpy()]
        return torch.from_numpy(values), whole

    def _read_objects(self, table: np.ndarray) -> Tensor:
        """Numbers of an array of Python objects."""
        columns = [self._read_column(j, table[:, j].astype(object)) for j in range(self.count)]
        return torch.from_numpy(np.stack(columns, axis=1))

    def _read_column(self, j: int, column: np.ndarray) -> np.ndarray:
        """Numbers of a column of Python objects."""
        labels = None if self.labels is None else self.labels[j]
        if labels is not None:
            codes = Variables({self.variables[j]: labels}).codes(0, column, "X")
            return np.where(codes < 0, np.nan, codes)
        plain = [np.nan if _is_missing(value) else value for value in column.tolist()]
        for value in plain:
            if isinstance(value, str):
                raise TypeError(f"{self.title(j)} must hold numbers, found {value!r}")
        try:
            return np.asarray(plain, dtype=np.float64)
        except (TypeError, ValueError):
            kinds = sorted({type(value).__name__ for value in plain})
            raise TypeError(f"{self.title(j)} must hold numbers, found {kinds}") from None


def _as_table(x: Any) -> Any:
    """A DataFrame, a 2-D tensor or a 2-D array."""
    check_dense(x)
    if isinstance(x, (list, tuple)):
        x = _from_lists(x)
    elif not isinstance(x, Tensor) and not is_pandas(x):
        x = np.asarray(x)
    if x.ndim != 2:
        raise ValueError(f"X must have shape (n, features), found {tuple(x.shape)}")
    if isinstance(x, Tensor) and x.is_complex():
        raise TypeError(f"X must hold real numbers, found {x.dtype}")
    if isinstance(x, np.ndarray) and x.dtype.kind not in "biufOU":
        raise TypeError(f"X must hold real numbers or labels, found dtype {x.dtype}")
    return x


def _from_lists(x: Sequence[Any]) -> np.ndarray:
    """Nested lists as an array; of objects unless all are numbers."""
    try:
        array = np.array(x)
        return np.array(x, dtype=object) if array.dtype.kind in "OU" else array
    except ValueError as error:
        raise ValueError(f"X must be rectangular: {error}") from None


def _as_tensor(table: np.ndarray) -> Tensor:
    """A tensor of an array of numbers, which torch cannot always share memory with."""
    shared = table.flags.writeable and all(stride >= 0 for stride in table.strides)
    native = table.dtype.isnative and table.dtype.kind in "bif" and table.dtype.itemsize <= 8
    return torch.from_numpy(table if shared and native else table.astype(np.float64))


def _is_numeric(table: Any) -> bool:
    """Whether a tensor or an array holds numbers rather than objects."""
    return isinstance(table, Tensor) or table.dtype.kind in "biuf"


def _series_is_numeric(series: Any) -> bool:
    """Whether a pandas column has a type of numbers, nullable ones included."""
    from pandas.api.types import is_numeric_dtype

    return is_numeric_dtype(series.dtype)


def _series_labels(series: Any, title: str) -> tuple[str, ...] | None:
    """State labels of a pandas column: its categories, in their order, or its strings, sorted."""
    if _series_is_numeric(series):
        return None
    return _check_labels(series.astype("category").cat.categories.tolist(), title)


def _object_labels(column: np.ndarray, title: str) -> tuple[str, ...] | None:
    """State labels of a column of Python objects: its strings, sorted."""
    found = {value for value in column.tolist() if not _is_missing(value)}
    return _check_labels(sorted(found, key=str), title)


def _check_labels(found: list[Any], title: str) -> tuple[str, ...] | None:
    """Labels that are all strings; None where none is, as numbers are codes."""
    kinds = {isinstance(value, str) for value in found}
    if kinds == {True}:
        return tuple(found)
    if True in kinds:
        raise TypeError(f"{title} mixes strings and other objects: {found[:5]}; make all strings")
    return None
