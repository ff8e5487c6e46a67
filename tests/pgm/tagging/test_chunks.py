"""Chunks and their F1, against the rules of the scoring script written out as tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgm.tagging.chunks import Chunk, chunk_score, chunks

LABELS = st.lists(
    st.sampled_from(["O", *[f"{p}-{k}" for p in "BIES" for k in ("NP", "VP")]]), max_size=9
)

# Where a chunk ends between two prefixes, and where one begins, whatever the types.
ENDS = {("B", "B"), ("B", "O"), ("I", "B"), ("I", "O"), ("B", "S"), ("I", "S")}
ENDS |= {(before, after) for before in "ES" for after in "BIOES"}
BEGINS = {(before, after) for before in "BIOES" for after in "BS"}
BEGINS |= {(before, after) for before in "OES" for after in "IE"}


def by_tables(labels: list[str]) -> list[Chunk]:
    """Chunks by a table of endings and one of beginnings."""
    found, start = [], None
    padded = ["O", *labels, "O"]
    for place in range(len(labels) + 1):
        (p, _, kind), (q, _, other) = (
            padded[place].partition("-"),
            padded[place + 1].partition("-"),
        )
        turned = kind != other
        if p != "O" and ((p, q) in ENDS or turned):
            found.append(Chunk(kind, start, place))
        if q != "O" and ((p, q) in BEGINS or turned):
            start = place
    return found


@given(LABELS)
def test_chunks_equal_the_tables(labels):
    assert chunks(labels) == by_tables(labels)


def test_same_chunks_in_every_notation():
    expected = [Chunk("NP", 0, 2), Chunk("NP", 2, 3), Chunk("VP", 4, 5)]
    assert chunks(["B-NP", "I-NP", "B-NP", "O", "B-VP"]) == expected
    assert chunks(["I-NP", "I-NP", "B-NP", "O", "I-VP"]) == expected
    assert chunks(["B-NP", "E-NP", "S-NP", "O", "S-VP"]) == expected


def test_types_with_a_hyphen_and_none():
    assert chunks(["B-A-B", "I-A-B", "I-A"]) == [Chunk("A-B", 0, 2), Chunk("A", 2, 3)]
    assert chunks(["B", "I", "O"]) == [Chunk("", 0, 2)]


@pytest.mark.parametrize("label", ["NN", "", "X-NP", "O-NP"])
def test_other_labels_are_refused(label):
    with pytest.raises(ValueError, match=f"found '{label}' at token 1"):
        chunks(["O", label])


def test_counts_by_hand():
    true = [["B-NP", "I-NP", "O", "B-VP"], ["B-NP"], []]
    found = [["B-NP", "I-NP", "B-NP", "B-PP"], ["B-NP"], []]
    score = chunk_score(true, found)
    assert (score.n_true, score.n_found, score.n_right) == (3, 4, 2)
    assert (score.precision, score.recall) == (0.5, 2 / 3)
    assert score.f1 == pytest.approx(4 / 7) and score.accuracy == 0.6
    assert list(score.kinds) == ["NP", "PP", "VP"]
    assert score.kinds["NP"][:3] == (2 / 3, 1.0, 0.8)
    assert score.kinds["VP"][:3] == score.kinds["PP"][:3] == (0.0, 0.0, 0.0)


def test_a_boundary_that_is_off_by_one_is_wrong():
    assert chunk_score([["B-NP", "I-NP", "O"]], [["B-NP", "I-NP", "I-NP"]]).f1 == 0.0
    assert chunk_score([["O"]], [["O"]])[:4] == (0.0, 0.0, 0.0, 1.0)
    assert chunk_score([], []).accuracy == 0.0


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="equally many sequences, found 1 and 0"):
        chunk_score([[]], [])
    with pytest.raises(ValueError, match=r"y_pred\[1\] must have 1 labels"):
        chunk_score([[], ["O"]], [[], []])
