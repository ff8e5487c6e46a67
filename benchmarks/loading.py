"""Reading networks from BIF files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.report import MEASUREMENTS, Row, Section, measurement
from benchmarks.settings import Settings
from benchmarks.timing import Contender
from pgm import BayesianNetwork

__all__ = ["section"]

#: Milliseconds for one file, and for every other one.
TARGETS = {"alarm": 1.0}
TARGET = 300.0

NOTES = (
    "Milliseconds of BayesianNetwork.load(path), less those of reading the file's bytes (in the",
    "system's cache), which the note gives. peer: pyAgrum's loadBN, less the same; it keeps the",
    "numbers as float32, and a dash stands where it cannot read the file.",
)


def section(settings: Settings) -> Section:
    """The table of this section."""
    rows = (_row(settings, name) for name in settings.networks)
    return Section("Loading BIF files", NOTES, MEASUREMENTS, rows)


def _row(settings: Settings, name: str) -> Row:
    path = settings.data.path(name)
    contenders = [
        Contender.repeating("bytes", path.read_bytes),
        Contender.repeating("load", lambda: BayesianNetwork.load(path)),
    ]
    theirs = _reader(settings.gum, str(path))
    if theirs is not None:
        contenders.append(Contender.repeating("peer", theirs))
    times = settings.time(*contenders)
    reading = times["bytes"].median
    peer = 1e3 * (times["peer"].median - reading) if theirs is not None else None
    return measurement(
        name,
        1e3 * (times["load"].median - reading),
        "ms",
        target=TARGETS.get(name, TARGET),
        peer=peer,
        note=f"{path.stat().st_size / 1e3:,.0f} kB, bytes in {1e3 * reading:.2f} ms",
        timing=times["load"],
        beside=times.get("peer"),
    )


def _reader(gum: Any, path: str) -> Callable[[], Any] | None:
    """Return pyAgrum's reader, or None where there is none or it fails on this file."""
    if gum is None:
        return None
    try:
        gum.loadBN(path)
    except gum.GumException:
        return None
    return lambda: gum.loadBN(path)
