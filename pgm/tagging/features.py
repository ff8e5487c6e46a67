"""Features of tokens, as dicts or sets of strings, turned into integer arrays.

.. math:: \\{\\text{name}: \\text{value}\\} \\to
          \\begin{cases} (\\text{"name=value"}, 1) & \\text{a string} \\\\
          (\\text{"name"}, \\text{value}) & \\text{a number} \\end{cases}
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Set
from itertools import chain, count
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

__all__ = ["FeatureTable", "read_features", "read_labels"]


class FeatureTable(NamedTuple):
    """The attributes of all tokens, one after the other.

    Attributes:
        lengths: tokens per sequence, (B,) int64.
        sizes: attributes per token, (N,) int64.
        codes: of every attribute its place in ``names``, (M,) int32.
        values: of every attribute, (M,) float64; not zero.
        names: the distinct attributes.
    """

    lengths: np.ndarray
    sizes: np.ndarray
    codes: np.ndarray
    values: np.ndarray
    names: list[str]

    def known(self, places: Mapping[str, int]) -> tuple[np.ndarray, FeatureTable]:
        """Places of the attributes that a model knows, and a table of those alone."""
        place = np.array([places.get(name, -1) for name in self.names], np.int64)
        kept = place >= 0
        renamed = (np.cumsum(kept) - 1).astype(np.int32)
        table = self.keep(kept[self.codes]) if len(kept) else self
        names = [name for name, keep in zip(self.names, kept.tolist(), strict=True) if keep]
        return place[kept], table._replace(codes=renamed[table.codes], names=names)

    def keep(self, kept: np.ndarray) -> FeatureTable:
        """Some of the attributes, chosen by a mask (M,)."""
        if kept.all():
            return self
        total = np.concatenate([[0], np.cumsum(kept)])
        ends = np.cumsum(self.sizes)
        sizes = total[ends] - total[ends - self.sizes]
        return self._replace(sizes=sizes, codes=self.codes[kept], values=self.values[kept])


def read_features(X: Any, argument: str = "X") -> FeatureTable:
    """Read sequences of tokens.

    A token is a dict of features or a collection of attributes. The feature ``"word": "the"``
    becomes the attribute ``"word=the"`` with value 1; a number or a truth value becomes the
    attribute of the feature's name with that value; an attribute in a list or set has value 1.

    Arguments:
        X: sequences of tokens.
        argument: what messages call it.

    Raises:
        TypeError: X, a sequence or a token is of the wrong kind, a name is no string, or a value
            is neither a string nor a number.
        ValueError: a value is infinite or NaN.

    Example:
        >>> table = read_features([[{"word": "the", "length": 3}, ["word=cat"]], []])
        >>> table.names, table.codes.tolist(), table.values.tolist()
        (['word=the', 'length', 'word=cat'], [0, 1, 2], [1.0, 3.0, 1.0])
        >>> table.lengths.tolist(), table.sizes.tolist()
        ([2, 0], [2, 1])
    """
    sequences = _as_sequences(X, argument)
    lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
    tokens = list(chain.from_iterable(sequences))
    named = {kind: _is_named(kind) for kind in set(map(type, tokens))}
    place = _Places(argument, lengths)
    if None in named.values():
        wrong = next(n for n, token in enumerate(tokens) if named[type(token)] is None)
        raise TypeError(
            f"{place(wrong)} must be a dict of features or a list or set of attributes, "
            f"found {tokens[wrong]!r:.80}"
        )
    sizes = np.fromiter(map(len, tokens), np.int64, len(tokens))
    entries = (token.items() if named[type(token)] else token for token in tokens)
    # Looking up an entry that is new gives it the next number, all of it without a Python frame.
    numbers: defaultdict[Any, int] = defaultdict(count().__next__)
    looked_up = map(numbers.__getitem__, chain.from_iterable(entries))
    try:
        codes = np.fromiter(looked_up, np.int32, int(sizes.sum()))
        read = [_attribute(entry) for entry in numbers]
    except TypeError as error:  # of some entry; also of one without a hash, such as a list
        _refuse_first(tokens, named, place)
        raise TypeError(f"{argument} must hold features: {error}") from error
    values = np.array([value for _, value in read], np.float64)
    places: dict[str, int] = {}
    attributes = np.array([places.setdefault(name, len(places)) for name, _ in read], np.int32)
    if not np.isfinite(values).all():
        occurrence = int((~np.isfinite(values[codes])).argmax())
        name, value = read[codes[occurrence]]
        token = int(np.searchsorted(np.cumsum(sizes), occurrence, side="right"))
        raise ValueError(
            f"{place(token)}: feature {name!r} must be finite, found {value}; leave it out or "
            "replace it"
        )
    table = FeatureTable(lengths, sizes, attributes[codes], values[codes], list(places))
    return table.keep(table.values != 0)


def read_labels(y: Any, lengths: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Read one label per token.

    Arguments:
        y: sequences of labels.
        lengths: of the sequences of tokens.

    Returns:
        Codes of the labels, (N,) int64, and the sorted labels.

    Raises:
        TypeError: y or a sequence is of the wrong kind, or a label is no string.
        ValueError: y has not as many sequences as X, or a sequence not as many labels as tokens.

    Example:
        >>> codes, labels = read_labels([["N", "V"], ["N"]], np.array([2, 1]))
        >>> codes.tolist(), labels
        ([0, 1, 0], ['N', 'V'])
    """
    sequences = _as_sequences(y, "y")
    found = np.fromiter(map(len, sequences), np.int64, len(sequences))
    if len(found) != len(lengths):
        raise ValueError(
            f"X and y must have equally many sequences, found {len(lengths)} and {len(found)}"
        )
    if (found != lengths).any():
        wrong = int((found != lengths).argmax())
        raise ValueError(
            f"y[{wrong}] must have one label per token of X[{wrong}], {lengths[wrong]}, "
            f"found {found[wrong]}"
        )
    flat = list(chain.from_iterable(sequences))
    if not all([issubclass(kind, str) for kind in set(map(type, flat))]):
        wrong = next(n for n, label in enumerate(flat) if not isinstance(label, str))
        raise TypeError(
            f"{_Places('y', lengths)(wrong)} must be a string, found {flat[wrong]!r:.80}"
        )
    labels = sorted(set(flat))
    code = {label: number for number, label in enumerate(labels)}
    return np.fromiter(map(code.__getitem__, flat), np.int64, len(flat)), labels


class _Places:
    """Where a token is, for messages."""

    def __init__(self, argument: str, lengths: np.ndarray) -> None:
        self._argument = argument
        self._ends = np.cumsum(lengths)
        self._lengths = lengths

    def __call__(self, token: int) -> str:
        sequence = int(np.searchsorted(self._ends, token, side="right"))
        start = self._ends[sequence] - self._lengths[sequence]
        return f"{self._argument}[{sequence}][{token - start}]"


def _as_sequences(given: Any, argument: str) -> list[Any]:
    """A list of sequences, each with a length."""
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise TypeError(
            f"{argument} must be a list of sequences, found {type(given).__name__}; "
            "wrap a single sequence in a list"
        )
    sequences = list(given)
    wrong = {
        kind
        for kind in set(map(type, sequences))
        if issubclass(kind, (str, bytes, Mapping, Set)) or not issubclass(kind, Collection)
    }
    for number, sequence in enumerate(sequences if wrong else []):
        if type(sequence) in wrong:
            raise TypeError(
                f"{argument}[{number}] must be a sequence, a list of one entry per token, "
                f"found {sequence!r:.80}"
            )
    return sequences


def _is_named(kind: type) -> bool | None:
    """Whether tokens of a class are dicts; None if they are no tokens at all."""
    if issubclass(kind, Mapping):
        return True
    return None if not issubclass(kind, (list, tuple, Set)) else False


def _attribute(entry: Any) -> tuple[str, float]:
    """Name and value of an attribute from an entry of a token."""
    if isinstance(entry, str):
        return entry, 1.0
    if isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[0], str):
        name, value = entry
        if isinstance(value, str):
            return f"{name}={value}", 1.0
        if isinstance(value, (Real, np.bool_)):
            return name, float(value)
    raise TypeError(
        f"a feature must be a string, or a name with a string or a number, found {entry!r:.80}"
    )


def _refuse_first(tokens: list[Any], named: dict[type, bool | None], place: _Places) -> None:
    """Say where the first wrong feature is."""
    for number, token in enumerate(tokens):
        for entry in token.items() if named[type(token)] else token:
            try:
                _attribute(entry)
            except TypeError as error:
                raise TypeError(f"{place(number)}: {error}") from None
