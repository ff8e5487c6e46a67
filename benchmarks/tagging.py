"""Feature-based taggers: CoNLL-2000 chunking to the same optimum."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.report import MEASUREMENTS, Row, Section, measurement
from benchmarks.settings import Settings
from pgm import CRFTagger
from pgm.tagging.chunks import chunk_score

__all__ = ["section"]

C2 = 1.0
#: Where CRFsuite 0.12 ends, and how close the optimum must be, relative.
CRFSUITE_LOSS, NEAR = 13138.360756, 1e-4
F1 = 0.936
TIME_SHARE = 0.3
#: The templates of CRFsuite's chunking example: words and parts of speech near by, and in a row.
TEMPLATES = (
    *[(("w", offset),) for offset in (-2, -1, 0, 1, 2)],
    *[(("w", offset), ("w", offset + 1)) for offset in (-1, 0)],
    *[(("pos", offset),) for offset in (-2, -1, 0, 1, 2)],
    *[(("pos", offset), ("pos", offset + 1)) for offset in (-2, -1, 0, 1)],
    *[(("pos", offset), ("pos", offset + 1), ("pos", offset + 2)) for offset in (-2, -1, 0)],
)

NOTES = (
    "CoNLL-2000: 8,936 sentences, 211,727 tokens, 22 labels, 19 templates, c2 = 1, float32.",
    "training     seconds of fit() until the objective is within 1e-4 of CRFsuite's last; the",
    "             target is 0.3 of CRFsuite's own time to there. Its reading is not in either",
    "loss         where fit() ends by itself; F1 of chunks on the 2,012 test sentences",
    "peer: python-crfsuite, its L-BFGS in C, same features and penalty, in the same run",
)


def section(settings: Settings) -> Section:
    """The table of this section."""
    return Section("Feature-based tagger", NOTES, MEASUREMENTS, _rows(settings))


def _rows(settings: Settings) -> Iterator[Row]:
    folder = settings.data.folder / "data" / "conll2000"
    if not folder.is_dir():
        return
    X, y = _read(folder / "train.txt", settings.most_rows)
    tests, gold = _read(folder / "test.txt", settings.most_rows)
    theirs = _crfsuite(X, y) if settings.peers and _installed() else None
    tagger = CRFTagger(c2=C2).to(settings.device)
    begin = perf_counter()
    tagger.fit(X, y, progress=False)
    whole = perf_counter() - begin
    trace = [(step["seconds"], step["loss"]) for step in tagger.history]
    best = theirs[0][-1][1] if theirs else CRFSUITE_LOSS
    ours_time = _reaches(trace, best)
    their_time = None if theirs is None else _reaches(theirs[0], best)
    row = measurement(
        "training to the same objective",
        ours_time,
        "s",
        target=None if their_time is None else settings.target(TIME_SHARE * their_time),
        peer=their_time,
        note=f"{len(trace)} iterations; " + (f"CRFsuite {len(theirs[0])}" if theirs else ""),
    )
    yield row | {"trace": {"ours": trace, "peer": theirs[0] if theirs else []}}
    yield measurement(
        "reading the features",
        whole - trace[-1][0],
        "s",
        peer=None if theirs is None else theirs[1],
    )
    yield measurement(
        "loss",
        trace[-1][1],
        "nats",
        target=settings.target(best * (1 + NEAR)),
        peer=best if theirs else None,
        note=f"reached after {trace[-1][0]:.1f} s",
    )
    begin = perf_counter()
    found = tagger.predict(tests)
    seconds = perf_counter() - begin
    score = chunk_score(gold, found)
    yield measurement(
        "F1 on the test sentences",
        score.f1,
        "",
        target=settings.target(F1),
        more=True,
        note=f"{score.f1:.2%}, tokens {tagger.score(tests, gold):.2%}; tagged in {seconds:.2f} s",
    )


def _installed() -> bool:
    return importlib.util.find_spec("pycrfsuite") is not None


def _reaches(trace: list[tuple[float, float]], loss: float) -> float:
    """Seconds until the loss is near the given one; infinite if never."""
    return next((s for s, value in trace if value <= loss * (1 + NEAR)), float("inf"))


def _read(path: Path, most: int | None) -> tuple[list[list[list[str]]], list[list[str]]]:
    """Attributes and labels of sentences in CoNLL's columns."""
    blocks = path.read_text(encoding="utf-8").strip().split("\n\n")[:most]
    sentences = [[line.split() for line in block.splitlines()] for block in blocks]
    return [_attributes(s) for s in sentences], [[row[2] for row in s] for s in sentences]


def _attributes(sentence: list[list[str]]) -> list[list[str]]:
    """Attributes of every token, from its word and part of speech and those near by."""
    fields = {"w": [row[0] for row in sentence], "pos": [row[1] for row in sentence]}
    n = len(sentence)
    found = []
    for t in range(n):
        row = []
        for template in TEMPLATES:
            if all(0 <= t + offset < n for _, offset in template):
                name = "|".join([f"{field}[{offset}]" for field, offset in template])
                value = "|".join([fields[field][t + offset] for field, offset in template])
                row.append(f"{name}={value}")
        row += ["__BOS__"] * (t == 0) + ["__EOS__"] * (t == n - 1)
        found.append(row)
    return found


def _crfsuite(X: Any, y: Any) -> tuple[list[tuple[float, float]], float]:
    """(seconds, loss) of every iteration, and the seconds it took to read."""
    import pycrfsuite

    trace: list[tuple[float, float]] = []

    class Trainer(pycrfsuite.BaseTrainer):
        def message(self, text: str) -> None:
            if "Loss:" in text:
                trace.append((perf_counter() - begin, float(text.split("Loss:")[1].split()[0])))

    start = perf_counter()
    trainer = Trainer("lbfgs", {"c1": 0.0, "c2": C2})
    for features, labels in zip(X, y, strict=True):
        trainer.append(features, labels)
    reading = perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        begin = perf_counter()
        trainer.train(f"{folder}/model", -1)
    return trace, reading
