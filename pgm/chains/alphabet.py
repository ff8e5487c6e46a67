"""Symbols and their codes: characters, tokens and whole numbers turned into arrays of codes.

.. math:: \\text{symbol} \\in \\{s_0, \\dots, s_{K-1}\\}
          \\;\\leftrightarrow\\; \\text{code} \\in \\{0, \\dots, K - 1\\}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from inference.exact.evidence import is_pandas
from inference.inputs import as_whole

__all__ = ["Alphabet", "EncodedSequences", "encode_all"]


class EncodedSequences(NamedTuple):
    """Sequences of codes, one after the other.

    Attributes:
        codes: all codes, (total length,) int64.
        lengths: of the sequences, (n,) int64.
    """

    codes: Tensor
    lengths: Tensor

    @property
    def positions(self) -> Tensor:
        """Place of every code in its sequence, from 0, (total length,)."""
        starts = self.lengths.cumsum(0) - self.lengths
        every = torch.arange(len(self.codes), device=self.codes.device)
        return every - starts.repeat_interleave(self.lengths)

    @property
    def owners(self) -> Tensor:
        """Number of the sequence of every code, (total length,)."""
        every = torch.arange(len(self.lengths), device=self.codes.device)
        return every.repeat_interleave(self.lengths)

    def to(self, device: torch.device) -> EncodedSequences:
        """The same sequences on a device."""
        return EncodedSequences(self.codes.to(device), self.lengths.to(device))


class Alphabet:
    """The symbols of a model: strings, each with its code, or just the codes 0, 1, ...

    What methods call ``sequences`` is one sequence or several: a string is a sequence of
    characters, a list of strings is one sequence of tokens, a list of lists is several. Whole
    numbers are always codes: a list, array or tensor of them is one sequence, and with two axes it
    holds a sequence per row. Lengths may differ.

    Arguments:
        states: number of symbols, or the symbols.

    Raises:
        TypeError: if the symbols are no strings.
        ValueError: if there is none, or one is given twice.

    Example:
        >>> letters = Alphabet("abc")
        >>> letters.encode("cab").codes.tolist(), letters.decode([2, 0, 1])
        ([2, 0, 1], ['c', 'a', 'b'])
    """

    def __init__(self, states: int | Sequence[str]) -> None:
        self.labels: tuple[str, ...] | range = _labels(states)
        named = () if isinstance(self.labels, range) else self.labels
        self._index = {symbol: code for code, symbol in enumerate(named)}

    def __len__(self) -> int:
        return len(self.labels)

    def encode(self, sequences: Iterable[Any]) -> EncodedSequences:
        """Codes of one sequence or several.

        Raises:
            TypeError: if a sequence holds neither strings nor codes.
            ValueError: if a symbol is not known.
        """
        return self._encode(*_flatten(sequences))

    def _encode(self, flat: list[str] | np.ndarray, lengths: list[int]) -> EncodedSequences:
        """Codes of symbols that are one after the other."""
        if isinstance(flat, list):
            codes = np.array([self._index.get(symbol, -1) for symbol in flat], dtype=np.int64)
        else:
            codes = np.where(flat < len(self), flat, -1)
        if len(codes) and codes.min() < 0:
            outside = flat[int(codes.argmin())]
            raise ValueError(
                f"sequences hold {str(outside)!r}, which is not among the {len(self)} symbols of "
                f"the model ({_shorten(self.labels)}) or their codes; give all symbols as states"
            )
        return EncodedSequences(torch.from_numpy(codes), torch.tensor(lengths, dtype=torch.int64))

    def decode(self, codes: Tensor | Sequence[Any]) -> list[Any]:
        """Symbols of codes, in nested lists of the same shape.

        Raises:
            TypeError: if they are no whole numbers, or a single one.
            ValueError: if a code is outside 0..K-1.
        """
        array = torch.as_tensor(codes)
        whole = not (array.is_floating_point() or array.dtype is torch.bool or array.is_complex())
        if array.ndim == 0 or (array.numel() and not whole):
            raise TypeError(
                f"codes must be whole numbers with at least one axis, found {array.dtype} of "
                f"shape {tuple(array.shape)}"
            )
        if array.numel() and not 0 <= int(array.min()) <= int(array.max()) < len(self):
            raise ValueError(
                f"codes must be in 0..{len(self) - 1}, found {int(array.min())} to "
                f"{int(array.max())}"
            )
        return _nested(array.tolist(), self.labels)


def encode_all(
    sequences: Iterable[Any], alphabet: Alphabet | None = None
) -> tuple[Alphabet, EncodedSequences]:
    """Codes of sequences, and the alphabet, which may be learned.

    It is then the sorted symbols that occur; of codes, all from 0 to the largest.

    Arguments:
        sequences: one or several, see :class:`Alphabet`.
        alphabet: the symbols, or None to learn them.

    Raises:
        TypeError: if a sequence holds something else than symbols.
        ValueError: if there is no symbol at all, or one that is not in the alphabet.

    Example:
        >>> alphabet, encoded = encode_all([["it", "rains"], ["it", "pours"]])
        >>> alphabet.labels, encoded.codes.tolist()
        (('it', 'pours', 'rains'), [0, 2, 0, 1])
    """
    flat, lengths = _flatten(sequences)
    if not len(flat):
        raise ValueError("sequences must hold at least one symbol, found none")
    if alphabet is None:
        alphabet = Alphabet(sorted(set(flat)) if isinstance(flat, list) else int(flat.max()) + 1)
    return alphabet, alphabet._encode(flat, lengths)


def _shorten(labels: Sequence[object], most: int = 6) -> str:
    """The first labels, for a message."""
    shown = ", ".join([repr(label) for label in labels[:most]])
    return f"{shown}, ..." if len(labels) > most else shown


def _labels(states: int | Sequence[str]) -> tuple[str, ...] | range:
    """Checked symbols of an alphabet."""
    if isinstance(states, range) and states == range(len(states)):
        states = len(states)
    if not isinstance(states, (Sequence, np.ndarray)):
        return range(as_whole("states", states, least=1))
    wrong = [label for label in states if not isinstance(label, str)]
    if wrong:
        raise TypeError(f"states must be strings, or their number, found {wrong[0]!r}")
    labels = tuple([str(label) for label in states])
    if not labels:
        raise ValueError("states must hold at least one symbol, found none")
    if len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise ValueError(f"states holds {twice!r} twice")
    return labels


def _flatten(sequences: Iterable[Any]) -> tuple[list[str] | np.ndarray, list[int]]:
    """All symbols one after the other, strings as a list and codes as an array, and lengths."""
    if isinstance(sequences, (Tensor, np.ndarray)) or is_pandas(sequences):
        table = _as_array(sequences)
        if table.ndim not in (1, 2):
            raise ValueError(
                "sequences must have one axis (a sequence) or two (a sequence per row), found "
                f"shape {table.shape}"
            )
        rows = 1 if table.ndim == 1 else len(table)
        return _symbols(table.reshape(-1)), [table.shape[-1]] * rows
    if isinstance(sequences, (bytes, Mapping)) or not isinstance(sequences, Iterable):
        raise TypeError(
            "sequences must be a sequence of symbols or a list of sequences, found "
            f"{type(sequences).__name__}"
        )
    items = sequences if isinstance(sequences, str) else list(sequences)
    if len(items) and not _is_sequence(items[0]):
        return _symbols(items), [len(items)]
    parts = [_symbols(part) for part in ([items] if isinstance(items, str) else items)]
    lengths = [len(part) for part in parts]
    filled = [part for part in parts if len(part)]
    if all([isinstance(part, list) for part in filled]):
        return list(chain.from_iterable(filled)), lengths
    if any([isinstance(part, list) for part in filled]):
        raise TypeError("sequences must hold strings only or whole numbers only, found both")
    return np.concatenate(filled), lengths


def _is_sequence(value: Any) -> bool:
    """Whether an entry of a list is a sequence of its own: an iterable, but no string."""
    if isinstance(value, (Tensor, np.ndarray)):
        return value.ndim > 0
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes))


def _as_array(values: Any) -> np.ndarray:
    """The array of a tensor, an array or a pandas column or table."""
    if is_pandas(values):
        return values.to_numpy()
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else values


def _symbols(sequence: Any) -> list[str] | np.ndarray:
    """One sequence, as a list of strings or an array of codes."""
    if isinstance(sequence, (Tensor, np.ndarray)) or is_pandas(sequence):
        array = _as_array(sequence)
        if array.ndim != 1:
            raise ValueError(f"sequences must have one axis each, found shape {array.shape}")
        if array.dtype.kind in "iu":
            return _codes(array)
        items = array.tolist()
    elif isinstance(sequence, (bytes, Mapping)) or not isinstance(sequence, Iterable):
        raise TypeError(f"sequences must hold symbols, found {type(sequence).__name__}")
    else:
        items = list(sequence)
    kinds = set(map(type, items))
    if all([issubclass(kind, str) for kind in kinds]):
        return items
    if all([issubclass(kind, (int, np.integer)) and kind is not bool for kind in kinds]):
        return _codes(items)
    raise TypeError(
        "sequences must hold strings only or whole numbers only, found "
        f"{' and '.join(sorted([kind.__name__ for kind in kinds]))}"
    )


def _codes(sequence: Sequence[int] | np.ndarray) -> np.ndarray:
    """Whole numbers as an array, none of them negative."""
    try:
        array = np.asarray(sequence, dtype=np.int64)
    except OverflowError:
        raise ValueError(f"sequences hold {max(sequence)}, which is beyond 64 bits") from None
    if len(array) and array.min() < 0:
        raise ValueError(
            f"sequences hold {array.min()}, which is no code; missing entries (-1) are not filled "
            "in: split the sequence there"
        )
    return array


def _nested(values: list[Any], labels: Sequence[str | int]) -> list[Any]:
    """Labels of codes in nested lists."""
    if values and isinstance(values[0], list):
        return [_nested(inner, labels) for inner in values]
    return [labels[value] for value in values]
