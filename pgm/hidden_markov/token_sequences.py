"""Sequences of observations in whatever form a user has them, laid one after the other.

.. math:: (x^{(1)}_1, \\dots, x^{(1)}_{T_1}, \\; x^{(2)}_1, \\dots, x^{(n)}_{T_n})
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from inference.exact.evidence import is_pandas

__all__ = ["TokenSequences", "flatten"]

#: One sequence as a part: its observations, in an array or a list.
Part = Callable[[Any], Any]


@dataclass(frozen=True)
class TokenSequences:
    """Observations of n sequences, one sequence after the other.

    Attributes:
        values: codes (N,) int64 with -1 for missing, or numbers (N, D) float64 with NaN.
        lengths: of the sequences, (n,) int64, on the CPU.

    Example:
        >>> words = TokenSequences(torch.tensor([0, 1, 1]), torch.tensor([2, 1]))
        >>> words.place(2)
        'sequence 1, position 0'
    """

    values: Tensor
    lengths: Tensor

    @property
    def ends(self) -> Tensor:
        """Number of the token after the last one of every sequence, (n,)."""
        return self.lengths.cumsum(0)

    @property
    def positions(self) -> Tensor:
        """Place of every token in its sequence, from 0, (N,)."""
        starts = self.ends - self.lengths
        return torch.arange(int(self.lengths.sum())) - starts.repeat_interleave(self.lengths)

    def place(self, token: int) -> str:
        """Where a token is, for a message."""
        sequence = int(torch.searchsorted(self.ends, token, right=True))
        return f"sequence {sequence}, position {token - int((self.ends - self.lengths)[sequence])}"

    def split(self, values: Tensor) -> list[Tensor]:
        """Cut what belongs to the tokens (N, ...) into one tensor per sequence."""
        return list(values.split(self.lengths.tolist()))

    def select(self, sequences: Tensor) -> TokenSequences:
        """Some of the sequences, (m,) numbers of them."""
        return TokenSequences(self.values[self.tokens(sequences)], self.lengths[sequences])

    def tokens(self, sequences: Tensor) -> Tensor:
        """Numbers of the tokens of some sequences, one sequence after the other."""
        lengths = self.lengths[sequences]
        shift = (self.ends[sequences] - lengths) - (lengths.cumsum(0) - lengths)
        return torch.arange(int(lengths.sum())) + shift.repeat_interleave(lengths)


def flatten(
    sequences: Any, lengths: Any, axes: Literal[0, 1], part: Part
) -> tuple[list[Any], np.ndarray]:
    """Split what a user passed into parts, and find the lengths of the sequences in them.

    An array whose tokens have ``axes`` axes is one sequence, or several one after the other if
    ``lengths`` are given. One more axis in front makes it a batch of rows, of which the first
    ``lengths`` tokens count. A list of tokens is one sequence, a list of sequences is several.

    Arguments:
        sequences: arrays, tensors, tables or lists.
        lengths: of the sequences; None where they show.
        axes: of one token: 0 for symbols, 1 for rows of numbers.
        part: turns the observations of a part into an array or list whose length is their number.

    Returns:
        The parts, and the lengths (n,) of the sequences that they hold together.

    Raises:
        TypeError: if they are no sequences.
        ValueError: if the axes or ``lengths`` do not fit.

    Example:
        >>> parts, sizes = flatten([[3, 1], [], [2]], None, 0, np.array)
        >>> np.concatenate(parts).astype(int).tolist(), sizes.tolist()
        ([3, 1, 2], [2, 0, 1])
    """
    if is_pandas(sequences):
        sequences = _of_pandas(sequences)
    if isinstance(sequences, (Tensor, np.ndarray)):
        return _of_array(_as_array(sequences), _as_lengths(lengths), axes, part)
    if isinstance(sequences, (bytes, Mapping)) or not isinstance(sequences, Iterable):
        raise TypeError(
            f"sequences must be an array or a list of sequences, found {type(sequences).__name__}"
        )
    items = sequences if isinstance(sequences, str) else list(sequences)
    if isinstance(items, str) or (items and not _is_sequence(items[0])):
        whole = part(items)
        return [whole], _as_one(_as_lengths(lengths), len(whole))
    if lengths is not None:
        raise ValueError(
            "lengths must be None for a list of sequences, which have their own lengths; found "
            f"{len(items)} sequences and lengths"
        )
    parts = [part(_plain(item)) for item in items]
    return parts, np.array([len(found) for found in parts], dtype=np.int64)


def _of_array(
    array: np.ndarray, lengths: np.ndarray | None, axes: int, part: Part
) -> tuple[list[Any], np.ndarray]:
    """Parts of one array."""
    single = array.ndim in (1, axes + 1) and array.ndim > 0
    column = axes == 0 and array.ndim == 2 and array.shape[1] == 1 and lengths is not None
    if single or (column and lengths is not None and lengths.sum() == len(array)):
        found = array[:, 0] if column and not single else array
        return [part(found)], _as_one(lengths, len(found))
    if array.ndim != axes + 2:
        forms = ("(T,) or (n, T)", "(T, D) or (n, T, D)")[axes]
        raise ValueError(
            f"sequences must have the shape {forms}, found {array.shape}; pass sequences of "
            "different lengths as a list"
        )
    n, longest = array.shape[:2]
    if lengths is None:
        return [part(array.reshape(n * longest, *array.shape[2:]))], np.full(n, longest)
    if len(lengths) != n or (n and lengths.max() > longest):
        raise ValueError(
            f"lengths must be {n} numbers up to {longest}, one per row of sequences, found "
            f"{len(lengths)} up to {lengths.max(initial=0)}"
        )
    return [part(array[np.arange(longest) < lengths[:, None]])], lengths


def _as_one(lengths: np.ndarray | None, total: int) -> np.ndarray:
    """Lengths of sequences that are one after the other."""
    if lengths is None:
        return np.array([total], dtype=np.int64)
    if lengths.sum() != total:
        raise ValueError(
            f"lengths must sum to the {total} observations in sequences, found {lengths.sum()}"
        )
    return lengths


def _as_lengths(lengths: Any) -> np.ndarray | None:
    """Checked lengths."""
    if lengths is None:
        return None
    array = np.asarray(_as_array(lengths))
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise TypeError(
            f"lengths must be whole numbers in one axis, found {array.dtype} of shape "
            f"{array.shape}"
        )
    if array.size and array.min() < 0:
        raise ValueError(f"lengths must not be negative, found {array.min()}")
    return array.astype(np.int64)


def _plain(item: Any) -> Any:
    return _of_pandas(item) if is_pandas(item) else _as_array(item)


def _of_pandas(table: Any) -> np.ndarray:
    """The array of a column or table, with None for whatever it calls missing among objects."""
    array = table.to_numpy()
    if array.dtype.kind != "O":
        return array
    return np.where(np.asarray(table.isna()), np.array(None), array)


def _as_array(values: Any) -> Any:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else values


def _is_sequence(value: Any) -> bool:
    """Whether an entry of a list is a sequence of its own."""
    if isinstance(value, (Tensor, np.ndarray)):
        return value.ndim > 0
    listed = isinstance(value, Sequence) and not isinstance(value, (str, bytes))
    return listed or is_pandas(value)
