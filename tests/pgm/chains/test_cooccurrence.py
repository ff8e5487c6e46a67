"""Co-occurrence counts: worked numbers, a loop over all pairs, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference.information import mutual_information, pointwise_mutual_information
from pgm.chains.cooccurrence import cooccurrence
from tests.pgm.chains.rhyme import RHYME, TEXT_OF_RHYME


def by_hand(sequences, n, window):
    """Every ordered pair of places, one at a time."""
    counts = [[0] * n for _ in range(n)]
    for sequence in sequences:
        for s, x in enumerate(sequence):
            for t, y in enumerate(sequence):
                if s != t and abs(s - t) <= window:
                    counts[x][y] += 1
    return counts


@given(
    st.lists(st.lists(st.integers(0, 3), max_size=12), min_size=1, max_size=3), st.integers(1, 9)
)
def test_counts_are_those_of_a_loop(sequences, window):
    if not any(sequences):
        with pytest.raises(ValueError, match="at least one symbol"):
            cooccurrence(sequences, window)
        return
    found = cooccurrence(sequences, window, states=4)
    assert found.counts.tolist() == by_hand(sequences, 4, window)
    assert found.counts.equal(found.counts.T) and found.counts.dtype == torch.int64


def row(window, word):
    counts, states = cooccurrence(RHYME, window)
    return dict(zip(states, counts[states.index(word)].tolist(), strict=True))


def test_T11_next_neighbours():
    found = {word: n for word, n in row(1, "a").items() if n}
    neighbours = ["was", "walked", "found", "upon", "bought", "caught", "in", "little"]
    assert found == {"crooked": 6, **dict.fromkeys(neighbours, 1)}


def test_T11_five_words_to_either_side():
    """The rows as the notes print them, words in alphabetical order, without their misprints."""
    crooked = "13 1 3 2 2 2 10 2 2 1 1 1 2 2 2 1 2 3 1 1 1 2 2 1 4"
    a = "10 2 3 2 2 2 13 3 2 1 1 1 1 2 2 1 2 2 1 2 1 2 2 1 4"
    assert list(row(5, "crooked").values()) == list(map(int, crooked.split()))
    assert list(row(5, "a").values()) == list(map(int, a.split()))
    assert list(row(5, "a")) == sorted(set(RHYME))
    assert row(5, "upon")["a"] == 2
    # A window that stops at the end of a line counts less.
    lines = [line.split() for line in TEXT_OF_RHYME.strip().splitlines()]
    assert cooccurrence(lines, 5).counts.sum() < cooccurrence(RHYME, 5).counts.sum()


def test_T11_information():
    found = cooccurrence(RHYME, 1)
    pmi = found.pointwise_mutual_information(base=2)
    code = {word: i for i, word in enumerate(found.states)}
    assert pmi[code["a"], code["crooked"]].item() == pytest.approx(1.2181802, abs=5e-8)
    assert pmi[code["there"], code["was"]].item() == pytest.approx(5.2479275, abs=5e-8)
    assert pmi[code["there"], code["house"]].item() == -math.inf
    assert found.mutual_information(base=2).item() == pytest.approx(2.4296074, abs=5e-8)
    joint = found.counts / found.counts.sum().double()
    assert found.joint.equal(joint) and joint.sum().item() == pytest.approx(1, abs=1e-15)
    assert found.mutual_information().equal(mutual_information(joint))
    assert found.pointwise_mutual_information().equal(pointwise_mutual_information(joint))


def test_sequences_in_several_spellings():
    expected = cooccurrence([0, 1, 1, 2], 2).counts
    for spelling in (np.array([0, 1, 1, 2]), torch.tensor([[0, 1, 1, 2]]), "abbc"):
        assert cooccurrence(spelling, 2).counts.equal(expected)
    with_more = cooccurrence("ab", 1, states="abz")
    assert with_more.counts.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]
    assert cooccurrence("a", 3).counts.tolist() == [[0]]


@pytest.mark.parametrize(
    ("window", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError)]
)
def test_bad_windows_are_named(window, error):
    with pytest.raises(error, match="window"):
        cooccurrence("ab", window)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="'z'"):
        cooccurrence("az", 1, states="ab")
    with pytest.raises(ValueError, match="PiB"):
        cooccurrence([0, 1], 1, states=10**7)
    alone = cooccurrence([["a"], ["b"]], 5)
    for query in (alone.mutual_information, alone.pointwise_mutual_information):
        with pytest.raises(ValueError, match="no pair"):
            query()
