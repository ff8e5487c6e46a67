"""Symbols and codes: what counts as one sequence, what as several, and what as none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from inference.inputs import as_whole
from pgm.chains.alphabet import Alphabet, encode_all


@pytest.mark.parametrize(
    ("sequences", "labels", "codes", "lengths"),
    [
        ("baa", ("a", "b"), [1, 0, 0], [3]),
        (["b", "a", "a"], ("a", "b"), [1, 0, 0], [3]),
        (("to", "be"), ("be", "to"), [1, 0], [2]),
        (["baa"], ("baa",), [0], [1]),
        ([["to", "be"], [], ["be"]], ("be", "to"), [1, 0, 0], [2, 0, 1]),
        ([list("ab"), tuple("b")], ("a", "b"), [0, 1, 1], [2, 1]),
        (np.array(["to", "be"]), ("be", "to"), [1, 0], [2]),
        (np.array([["to", "be"], ["be", "be"]]), ("be", "to"), [1, 0, 0, 0], [2, 2]),
        (pd.Series(["to", "be"]), ("be", "to"), [1, 0], [2]),
        (pd.Series([2, 0]), range(3), [2, 0], [2]),
        ([2, 0], range(3), [2, 0], [2]),
        ([[2, 0], [1]], range(3), [2, 0, 1], [2, 1]),
        ([[], [1]], range(2), [1], [0, 1]),
        (torch.tensor([2, 0]), range(3), [2, 0], [2]),
        (torch.tensor([[2, 0], [1, 1]], dtype=torch.uint8), range(3), [2, 0, 1, 1], [2, 2]),
        ([torch.tensor([2, 0]), np.array([1])], range(3), [2, 0, 1], [2, 1]),
        (range(3), range(3), [0, 1, 2], [3]),
        ((word for word in ("b", "a")), ("a", "b"), [1, 0], [2]),
        (((c for c in word) for word in ("ab", "b")), ("a", "b"), [0, 1, 1], [2, 1]),
    ],
)
def test_sequences_are_read_and_symbols_learned(sequences, labels, codes, lengths):
    alphabet, encoded = encode_all(sequences)
    assert alphabet.labels == labels and len(alphabet) == len(labels)
    assert encoded.codes.tolist() == codes and encoded.codes.dtype == torch.int64
    assert encoded.lengths.tolist() == lengths


def test_places_and_owners():
    encoded = Alphabet(9).encode([[5, 6, 7], [], [8]])
    assert encoded.positions.tolist() == [0, 1, 2, 0]
    assert encoded.owners.tolist() == [0, 0, 0, 2]


def test_codes_and_symbols_are_inverse():
    alphabet = Alphabet(["x", "y", "z"])
    codes = torch.tensor([[0, 2], [1, 1]])
    assert alphabet.decode(codes) == [["x", "z"], ["y", "y"]]
    assert alphabet.encode(alphabet.decode(codes)).codes.tolist() == codes.flatten().tolist()
    assert alphabet.encode(codes).codes.tolist() == codes.flatten().tolist(), "codes stay codes"
    assert alphabet.decode([]) == [] and alphabet.decode(np.zeros((2, 0), dtype=int)) == [[], []]
    assert Alphabet(3).decode([2, 0]) == [2, 0]
    assert Alphabet(range(3)).labels == Alphabet(np.int64(3)).labels == range(3)


@pytest.mark.parametrize(
    ("sequences", "error", "named"),
    [
        (3, TypeError, "found int"),
        (None, TypeError, "found NoneType"),
        (b"ab", TypeError, "found bytes"),
        ({"a": 1}, TypeError, "found dict"),
        ([b"ab"], TypeError, "bytes"),
        ([None, "a"], TypeError, "NoneType and str"),
        (["a", 1], TypeError, "int and str"),
        ([["a"], [1]], TypeError, "both"),
        ([["a"], "b", 3], TypeError, "int"),
        ([1.0, 2.0], TypeError, "float"),
        (torch.tensor([0.5]), TypeError, "float"),
        ([True, False], TypeError, "bool"),
        (torch.tensor([True]), TypeError, "bool"),
        ([[["a"]]], TypeError, "list"),
        (torch.zeros((1, 1, 1), dtype=torch.int64), ValueError, "axis"),
        (torch.tensor(3), ValueError, "axis"),
        ([np.zeros((2, 2), dtype=int)], ValueError, "axis"),
        ([0, -1], ValueError, "-1.*missing"),
        ([0, 2**70], ValueError, "64 bits"),
    ],
)
def test_what_is_no_sequence_is_named(sequences, error, named):
    with pytest.raises(error, match=f"sequences.*{named}"):
        encode_all(sequences)
    with pytest.raises(error, match=f"sequences.*{named}"):
        Alphabet("abc").encode(sequences)


@pytest.mark.parametrize(
    ("states", "error", "named"),
    [
        (0, ValueError, "at least 1"),
        (-3, ValueError, "at least 1"),
        (2.5, TypeError, "whole number"),
        (True, TypeError, "whole number"),
        ([], ValueError, "at least one symbol"),
        ("", ValueError, "at least one symbol"),
        (["a", "b", "a"], ValueError, "'a' twice"),
        (["a", 3], TypeError, "strings.*3"),
        ([2, 5], TypeError, "strings.*2"),
        ({"a", "b"}, TypeError, "whole number"),
    ],
)
def test_bad_states_are_named(states, error, named):
    with pytest.raises(error, match=f"states.*{named}"):
        Alphabet(states)


def test_unknown_symbols_are_named():
    for alphabet, sequences, named in (
        (Alphabet("ab"), "abz", "'z'.*2 symbols.*'a', 'b'"),
        (Alphabet(2), [0, 2], "'2'.*2 symbols.*0, 1"),
        (Alphabet(2), ["a"], "'a'"),
        (Alphabet("ab"), [0, 2], "'2'"),
        (Alphabet(30), [31], r"0, 1, 2, 3, 4, 5, \.\.\."),
    ):
        with pytest.raises(ValueError, match=named):
            alphabet.encode(sequences)


@pytest.mark.parametrize(
    ("codes", "error"),
    [
        ([2], ValueError),
        ([-1], ValueError),
        (1, TypeError),
        ([0.5], TypeError),
        ([True], TypeError),
    ],
)
def test_bad_codes_are_named(codes, error):
    with pytest.raises(error, match="codes"):
        Alphabet("ab").decode(codes)


def test_whole_numbers():
    assert as_whole("n", np.int32(3), least=0) == 3
    with pytest.raises(ValueError, match="n must be at least 1, found 0"):
        as_whole("n", 0, least=1)
