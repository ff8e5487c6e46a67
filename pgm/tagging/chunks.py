"""Chunks of labelled sequences, and how well one labelling finds those of another.

.. math:: F_1 = \\frac{2 P R}{P + R}, \\qquad
          P = \\frac{\\#\\text{right}}{\\#\\text{found}}, \\quad
          R = \\frac{\\#\\text{right}}{\\#\\text{true}}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

__all__ = ["Chunk", "ChunkScore", "chunk_score", "chunks"]


class Chunk(NamedTuple):
    """A chunk: its type, its first token and the one after its last."""

    kind: str
    start: int
    stop: int


class ChunkScore(NamedTuple):
    """How well chunks were found.

    Attributes:
        precision: share of the chunks found that are right; 0 if none was found.
        recall: share of the true chunks that were found; 0 if there is none.
        f1: harmonic mean of the two; 0 if both are 0.
        accuracy: share of the tokens with the right label; 0 if there is none.
        n_true, n_found, n_right: chunks.
        kinds: the same by type of chunk, in sorted order (accuracy is that of all tokens).
    """

    precision: float
    recall: float
    f1: float
    accuracy: float
    n_true: int
    n_found: int
    n_right: int
    kinds: Mapping[str, ChunkScore]


def chunks(labels: Sequence[str]) -> list[Chunk]:
    """Chunks of one sequence of labels.

    A label is "O", or a prefix, "-" and the type. B and S begin a chunk, E and S end it, and one
    also begins where a label inside a chunk (I or E) follows none, or one of another type. IOB1,
    IOB2 and IOBES labels are thus read alike, broken ones too.

    Arguments:
        labels: of the tokens.

    Raises:
        ValueError: a label has another form.

    Reference:
        The scoring script of the CoNLL-2000 task; Ramshaw & Marcus 1995, "Text chunking using
        transformation-based learning", section 3.1 (the labels).

    Example:
        >>> chunks(["B-NP", "I-NP", "O", "I-VP", "I-NP"])
        [Chunk(kind='NP', start=0, stop=2), Chunk(kind='VP', start=3, stop=4),
        Chunk(kind='NP', start=4, stop=5)]
    """
    found: list[Chunk] = []
    start, kind, is_open = 0, "", False
    for place, label in enumerate(labels):
        prefix, _, name = label.partition("-")
        if prefix not in ("B", "I", "O", "E", "S") or (prefix == "O" and name):
            raise ValueError(
                f"labels must be O or begin with B, I, E or S, found {label!r} at token {place}"
            )
        begins = prefix in ("B", "S") or (prefix != "O" and (not is_open or name != kind))
        if is_open and (prefix == "O" or begins):
            found.append(Chunk(kind, start, place))
            is_open = False
        if begins:
            start, kind, is_open = place, name, True
        if prefix in ("E", "S"):
            found.append(Chunk(kind, start, place + 1))
            is_open = False
    if is_open:
        found.append(Chunk(kind, start, len(labels)))
    return found


def chunk_score(y_true: Sequence[Sequence[str]], y_pred: Sequence[Sequence[str]]) -> ChunkScore:
    """Precision, recall and F1 of chunks: type, beginning and end must all be right.

    Arguments:
        y_true: true labels of the sequences.
        y_pred: labels found.

    Raises:
        ValueError: numbers of sequences or lengths differ, or a label has another form.

    Reference:
        Tjong Kim Sang & Buchholz 2000, "Introduction to the CoNLL-2000 shared task: chunking",
        section 3.

    Example:
        >>> score = chunk_score([["B-NP", "I-NP", "B-VP"]], [["B-NP", "I-NP", "B-NP"]])
        >>> score.precision, score.recall, score.f1, score.kinds["NP"].precision
        (0.5, 0.5, 0.5, 0.5)
    """
    if len(y_true) != len(y_pred):
        raise ValueError(
            f"y_true and y_pred must have equally many sequences, found {len(y_true)} and "
            f"{len(y_pred)}"
        )
    true, found, right = Counter[str](), Counter[str](), Counter[str]()
    n_tokens = n_equal = 0
    for number, (wanted, given) in enumerate(zip(y_true, y_pred, strict=True)):
        if len(wanted) != len(given):
            raise ValueError(
                f"y_pred[{number}] must have {len(wanted)} labels, as y_true[{number}] has, "
                f"found {len(given)}"
            )
        n_tokens += len(wanted)
        n_equal += sum([a == b for a, b in zip(wanted, given, strict=True)])
        a, b = chunks(wanted), chunks(given)
        true.update([chunk.kind for chunk in a])
        found.update([chunk.kind for chunk in b])
        right.update([chunk.kind for chunk in set(a) & set(b)])
    accuracy = n_equal / n_tokens if n_tokens else 0.0
    kinds = {
        kind: _score(true[kind], found[kind], right[kind], accuracy, {})
        for kind in sorted(true.keys() | found.keys())
    }
    return _score(true.total(), found.total(), right.total(), accuracy, kinds)


def _score(
    n_true: int, n_found: int, n_right: int, accuracy: float, kinds: Mapping[str, ChunkScore]
) -> ChunkScore:
    """The three figures from the counts."""
    precision = n_right / n_found if n_found else 0.0
    recall = n_right / n_true if n_true else 0.0
    f1 = 2 * n_right / (n_true + n_found) if n_right else 0.0
    return ChunkScore(precision, recall, f1, accuracy, n_true, n_found, n_right, kinds)
