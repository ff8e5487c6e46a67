"""Tables measured row by row, verdicts, and a description of the machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from benchmarks.rates import Floor
from benchmarks.timing import UNITS, Timing

__all__ = [
    "MEASUREMENTS",
    "Column",
    "Row",
    "Section",
    "by_peer",
    "cell",
    "machine",
    "measurement",
    "printed",
    "timed",
    "verdict",
]

Row = dict[str, Any]

#: What the numbers depend on: ours, then the peers.
PACKAGES = ("torch", "numpy", "pyagrum", "pgmpy")
PACKAGES += ("hmmlearn", "pgmax", "python-crfsuite", "pytorch-crf", "torch-struct")
PACKAGES += ("scikit-learn", "pomegranate", "thrml", "jax", "dwave-samplers", "arviz-stats")
PACKAGES += ("rbms", "learnergy", "pyro-ppl", "pythae")


@dataclass(frozen=True)
class Column:
    """One column of a table; a negative width aligns to the left."""

    key: str
    head: str
    width: int
    percent: bool = False


@dataclass(frozen=True)
class Section:
    """A table whose rows are measured while they are read.

    A row may hold more than the columns show; the JSON file gets all of it.

    Arguments:
        figure: draws the rows into a file, where a picture says more.
    """

    title: str
    notes: Sequence[str]
    columns: Sequence[Column]
    rows: Iterable[Row]
    figure: Callable[[Sequence[Row], Path], None] | None = None


MEASUREMENTS = (
    Column("what", "", -46),
    Column("measured", "measured", 11),
    Column("spread", "spread", 6, percent=True),
    Column("unit", "unit", -10),
    Column("target", "target", 10),
    Column("peer", "peer", 11),
    Column("peer_spread", "spread", 6, percent=True),
    Column("ratio", "ours/peer", 10),
    Column("verdict", "", -6),
    Column("share", "of roof", 7, percent=True),
    Column("roof", "roof", -7),
    Column("note", "note", -1),
)


def verdict(measured: float, target: float | None, more: bool = False) -> str:
    """``ok`` or ``MISS``; empty without a target. ``more``: more is better."""
    if target is None:
        return ""
    return "ok" if (measured >= target if more else measured <= target) else "MISS"


def measurement(
    what: str,
    measured: float,
    unit: str,
    *,
    target: float | None = None,
    peer: float | None = None,
    more: bool = False,
    right: bool = True,
    note: str = "",
    timing: Timing | None = None,
    beside: Timing | None = None,
    floor: Floor | None = None,
) -> Row:
    """A row of a :data:`MEASUREMENTS` table; a result that is not ``right`` is said to be so.

    ``timing`` holds the samples behind ``measured``, whose spread is shown, ``beside`` those
    behind ``peer``; ``floor`` says how near the work is to what bounds it.
    """
    return {
        "what": what,
        "measured": measured,
        "unit": unit,
        "target": target,
        "peer": peer,
        "ratio": None if peer is None else measured / peer,
        "verdict": verdict(measured, target, more) if right else "WRONG",
        "note": note,
        "spread": None if timing is None else timing.spread,
        "peer_spread": None if beside is None else beside.spread,
        "roof": "" if floor is None else floor.roof,
        "share": None if floor is None else floor.share,
        "samples": {
            name: found.samples
            for name, found in (("ours", timing), ("peer", beside))
            if found is not None
        },
    }


def timed(
    what: str,
    unit: str,
    ours: Timing,
    peer: Timing | None = None,
    *,
    target: float | None = None,
    right: bool = True,
    note: str = "",
    floor: Floor | None = None,
) -> Row:
    """A row of what clocks say, in a unit that they read out; of rates more is better."""
    return measurement(
        what,
        ours.read(unit),
        unit,
        target=target,
        peer=None if peer is None else peer.read(unit),
        more=unit not in UNITS,
        right=right,
        note=note,
        timing=ours,
        beside=peer,
        floor=floor,
    )


def by_peer(
    what: str,
    unit: str,
    times: Mapping[str, Timing],
    judge: Callable[[str], tuple[bool, str]],
    *,
    target: float | None = None,
    shares: Mapping[str, float] | None = None,
) -> Iterator[Row]:
    """A row of "ours" beside each peer's clock, or alone.

    ``judge`` says of a peer whether results agree, and a note; ``shares`` give targets as shares
    of the peers' times.
    """
    ours, peers = times["ours"], [name for name in times if name != "ours"]
    if not peers:
        yield timed(what, unit, ours, target=target)
    for peer in peers:
        if shares is not None:
            target = shares[peer] * times[peer].read(unit) if peer in shares else None
        right, note = judge(peer)
        label = f"{what} (peer: {peer})"
        yield timed(label, unit, ours, times[peer], target=target, right=right, note=note)


def printed(section: Section) -> list[Row]:
    """Print a section while it is being measured; return its rows."""
    print(f"\n{section.title}\n{'=' * len(section.title)}")
    for note in section.notes:
        print(f"  {note}")
    print("\n" + _line([(column.head, column.width) for column in section.columns]))
    rows = []
    for row in section.rows:
        cells = [(cell(row.get(column.key), column), column.width) for column in section.columns]
        print(_line(cells), flush=True)
        rows.append(row)
    return rows


def _line(cells: Iterable[tuple[str, int]]) -> str:
    aligned = [text.ljust(-width) if width < 0 else text.rjust(width) for text, width in cells]
    return "  ".join(aligned).rstrip()


def cell(value: object, column: Column) -> str:
    """Text and whole numbers as they are, others with three digits, nothing known as a dash."""
    if value is None:
        return "-"
    if column.percent and isinstance(value, float):
        return f"{100 * value:.2g}%" if value < 0.1 else f"{100 * value:.0f}%"
    if not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    size = abs(value)
    if size != 0 and (size < 1e-4 or size >= 1e9):
        return f"{value:.1e}"
    places = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3 if size >= 0.1 else 4
    return f"{value:,.{places}f}"


def machine(device: str) -> dict[str, Any]:
    """What the numbers depend on."""
    found: dict[str, Any] = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
    }
    if hasattr(os, "getloadavg"):
        found["load_average"] = os.getloadavg()[0]
    return found


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    """The processor's name as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
