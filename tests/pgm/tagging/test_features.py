"""Tokens read into arrays: every form of a feature, and what is refused where."""

from __future__ import annotations

import math
from collections import OrderedDict
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgm.tagging.features import read_features, read_labels

VALUES = st.one_of(
    st.text(max_size=3), st.booleans(), st.integers(-3, 3), st.floats(-5, 5, width=32)
)
TOKENS = st.one_of(
    st.dictionaries(st.text(max_size=3), VALUES, max_size=4),
    st.lists(st.text(max_size=3), max_size=4),
    st.sets(st.text(max_size=3), max_size=4),
)


def plainly(token) -> list[tuple[str, float]]:
    """Attributes of a token by a loop."""
    if not isinstance(token, dict):
        return [(entry, 1.0) for entry in token]
    found = []
    for name, value in token.items():
        if isinstance(value, str):
            found.append((f"{name}={value}", 1.0))
        elif value != 0:
            found.append((name, float(value)))
    return found


def unread(table) -> list[list[list[tuple[str, float]]]]:
    """Sequences of tokens of pairs from a table."""
    pairs = [
        (table.names[c], v)
        for c, v in zip(table.codes.tolist(), table.values.tolist(), strict=True)
    ]
    tokens, place = [], 0
    for size in table.sizes.tolist():
        tokens.append(pairs[place : place + size])
        place += size
    assert place == len(pairs)
    sequences, place = [], 0
    for length in table.lengths.tolist():
        sequences.append(tokens[place : place + length])
        place += length
    assert place == len(tokens)
    return sequences


@given(st.lists(st.lists(TOKENS, max_size=4), max_size=4))
def test_equals_a_loop(X):
    table = read_features(X)
    assert unread(table) == [[plainly(token) for token in sequence] for sequence in X]
    assert len(set(table.names)) == len(table.names)
    assert table.codes.dtype == np.int32


def test_numbers_of_every_kind():
    kinds = [1, 1.0, True, np.float32(1), np.int8(1), np.bool_(True)]
    table = read_features([[{"f": value} for value in kinds]])
    assert table.names == ["f"] and table.values.tolist() == [1.0] * len(kinds)
    strings = read_features([[{"f": "1"}, {"f": np.str_("1")}, ["f=1"], ("f=1",), {"f=1"}]])
    assert strings.names == ["f=1"] and len(strings.codes) == 5


def test_other_mappings_and_repeated_attributes():
    tokens = [OrderedDict(a="x"), MappingProxyType({"a": "x"}), ["a=x", "a=x"], frozenset({"b"})]
    table = read_features([tokens])
    assert unread(table) == [[[("a=x", 1.0)], [("a=x", 1.0)], [("a=x", 1.0)] * 2, [("b", 1.0)]]]


def test_zeros_are_left_out():
    table = read_features([[{"a": 0, "b": False, "c": -0.0, "d": 2}]])
    assert unread(table) == [[[("d", 2.0)]]]


def test_known_attributes():
    table = read_features([[["a", "new", "b"], ["new"], ["b"]], []])
    places, known = table.known({"z": 0, "b": 1, "a": 2})
    assert places.tolist() == [2, 1] and known.names == ["a", "b"]
    assert unread(known) == [[[("a", 1.0), ("b", 1.0)], [], [("b", 1.0)]], []]
    nothing, rest = table.known({})
    assert nothing.tolist() == [] and unread(rest) == [[[], [], []], []]
    assert read_features([]).known({"a": 0})[1].names == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float64("nan")])
def test_infinite_values_are_named(value):
    X = [[["a"]], [], [{"b": 1}, {"b": 2.0, "size": value}]]
    with pytest.raises(ValueError, match=r"X\[2\]\[1\]: feature 'size' must be finite, found"):
        read_features(X)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ("text", "X must be a list of sequences, found str"),
        (3, "X must be a list of sequences, found int"),
        ({"a": 1}, "X must be a list of sequences, found dict"),
        (["the", "cat"], r"X\[0\] must be a sequence, .* found 'the'"),
        ([[], {"a": 1}], r"X\[1\] must be a sequence"),
        ([[], None], r"X\[1\] must be a sequence"),
        ([[["a"]], [["a"], "cat"]], r"X\[1\]\[1\] must be a dict .* found 'cat'"),
        ([[], [None]], r"X\[1\]\[0\] must be a dict"),
        ([[{"a": 1}], [{"a": None}]], r"X\[1\]\[0\]: a feature must .* \('a', None\)"),
        ([[{"a": 1}], [{"b": "c", "a": [1]}]], r"X\[1\]\[0\]: a feature must .* \('a', \[1\]\)"),
        ([[{"a": b"x"}]], r"X\[0\]\[0\]: a feature must"),
        ([[{"a": 1j}]], r"X\[0\]\[0\]: a feature must"),
        ([[["a"], ["b", 3]]], r"X\[0\]\[1\]: a feature must be a string.* found 3"),
        ([[{1: "a"}]], r"X\[0\]\[0\]: a feature must"),
        ([[[["a"]]]], r"X\[0\]\[0\]: a feature must"),
    ],
)
def test_what_is_no_feature_is_named(X, message):
    with pytest.raises(TypeError, match=message):
        read_features(X)


def test_labels_of_one_and_the_same_order():
    codes, labels = read_labels([["b", "a"], [], ("c",)], np.array([2, 0, 1]))
    assert (codes.tolist(), labels) == ([1, 0, 2], ["a", "b", "c"])


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        ([["a", "b"]], ValueError, "equally many sequences, found 2 and 1"),
        ([["a", "b"], ["a"]], ValueError, r"y\[1\] must have one label per token of X\[1\], 0, "),
        ([["a", 3], []], TypeError, r"y\[0\]\[1\] must be a string, found 3"),
        ([["a", None], []], TypeError, r"y\[0\]\[1\] must be a string, found None"),
        (["ab", []], TypeError, r"y\[0\] must be a sequence"),
        ("ab", TypeError, "y must be a list of sequences"),
    ],
)
def test_wrong_labels_are_named(y, error, message):
    with pytest.raises(error, match=message):
        read_labels(y, np.array([2, 0]))
