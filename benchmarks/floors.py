"""How far the machine itself would let us go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import numpy as np

from benchmarks.report import Column, Row, Section
from benchmarks.settings import Settings
from benchmarks.timing import Contender

__all__ = ["section"]

SAMPLED = "alarm"
ROWS = 1_000_000
#: Doubles per call of the random generator: the chunk stays in the cache.
CHUNK = 16_384
#: Trees of many entries, on which memory sets the pace.
DENSE = ("andes", "mildew", "barley", "diabetes", "munin")
#: Trees so small that the calls themselves set the pace.
SMALL = ("asia", "alarm", "hailfinder", "win95pts")
#: Doubles in 8 MB.
LARGE_ARRAY = 1 << 20
SMALL_ARRAY = 8

NOTES = (
    "Ours beside the least that the machine does for the same work; no targets.",
    "copy, float32, float64   the roofs that shares in other sections are of: a copy of more than",
    "           caches hold, bytes read and written, and a large product of matrices, on the",
    "           device and threads of this run",
    f"sampling   against drawing one double per variable (PCG64, {CHUNK:,} at a time)",
    "dense      all posteriors without evidence, warm, per table entry of the plan, against one",
    "           np.multiply of 8 MB arrays into a third; both passes together touch an entry",
    "           some six times, unless the plan's zeros were dropped",
    f"small      all posteriors given e1, warm, against one np.multiply of {SMALL_ARRAY} doubles:",
    "           multiple is how many such calls fit into the query",
)
COLUMNS = (
    Column("what", "", -36),
    Column("measured", "measured", 11),
    Column("floor", "floor", 11),
    Column("unit", "unit", -10),
    Column("multiple", "multiple", 9),
    Column("share", "share", 7, percent=True),
    Column("note", "note", -1),
)


def section(settings: Settings) -> Section:
    """The table of this section."""
    return Section("Distance to the floor", NOTES, COLUMNS, _rows(settings))


def _rows(settings: Settings) -> Iterator[Row]:
    yield from _roofs(settings)
    if settings.device != "cpu":
        return
    for name in settings.among([SAMPLED]):
        yield _sampling(settings, name)
    for name in settings.among(DENSE):
        yield _dense(settings, name)
    for name in settings.among(SMALL):
        yield _small(settings, name)


def _roofs(settings: Settings) -> Iterator[Row]:
    """What the machine does in a second."""
    for what, rate in asdict(settings.rates).items():
        unit = "GB/s" if what == "copy" else "GFLOP/s"
        yield {"what": what, "measured": rate / 1e9, "unit": unit, "note": "", "verdict": ""}


def _row(what: str, measured: float, floor: float, unit: str, note: str) -> Row:
    return {
        "what": what,
        "measured": measured,
        "floor": floor,
        "unit": unit,
        "multiple": measured / floor,
        "share": floor / measured,
        "note": note,
        "verdict": "",
    }


def _sampling(settings: Settings, name: str) -> Row:
    network = settings.load(name)
    generator, chunk = np.random.default_rng(0), np.empty(CHUNK)
    rows = settings.rows(ROWS)
    times = settings.time(
        Contender.repeating("ours", lambda: network.sample(rows, generator=0), rows),
        Contender.repeating("floor", lambda: generator.random(out=chunk), CHUNK),
    )
    drawn = 1e9 * times["floor"].median
    return _row(
        f"sampling {name}",
        1e9 * times["ours"].median,
        drawn * len(network.variables),
        "ns/row",
        f"{1e3 / drawn:.0f} M doubles/s",
    )


def _multiply(size: int) -> Contender:
    """One product of two arrays into a third, per call."""
    rng = np.random.default_rng(0)
    a, b, out = rng.random(size), rng.random(size), np.empty(size)
    return Contender.repeating("floor", lambda: np.multiply(a, b, out=out))


def _dense(settings: Settings, name: str) -> Row:
    network = settings.load(name)
    entries = network.plan().entries
    times = settings.time(
        Contender.repeating("ours", network.marginals, entries), _multiply(LARGE_ARRAY)
    )
    floor = 1e9 * times["floor"].median / LARGE_ARRAY
    note = f"{entries:,} entries, {24 / floor:.1f} GB/s"
    return _row(f"dense {name}", 1e9 * times["ours"].median, floor, "ns/entry", note)


def _small(settings: Settings, name: str) -> Row:
    network, given = settings.load(name), settings.data.given(name, "e1")
    times = settings.time(
        Contender.repeating("ours", lambda: network.marginals(given)), _multiply(SMALL_ARRAY)
    )
    ours, floor = (1e6 * times[key].median for key in ("ours", "floor"))
    return _row(f"small {name}", ours, floor, "us", f"{len(network.variables)} variables")
