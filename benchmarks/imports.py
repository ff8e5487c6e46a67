"""What an import adds to that of torch."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from time import perf_counter

from benchmarks.data import ROOT
from benchmarks.report import MEASUREMENTS, Row, Section, timed
from benchmarks.settings import Settings
from benchmarks.timing import Timing

__all__ = ["section"]

#: Seconds.
TARGET = 0.3
FEWEST, MOST = 5, 7

NOTES = (
    "Seconds from the start of a fresh interpreter to its end, in turns; the median difference of",
    "the pairs. One pair beforehand fills the caches and writes the byte code.",
)


def section(settings: Settings) -> Section:
    """The table of this section."""
    return Section("Import", NOTES, MEASUREMENTS, _rows(settings))


def _rows(settings: Settings) -> Iterator[Row]:
    statements = {"torch": "import torch", "both": "import torch, pgm"}
    with tempfile.TemporaryDirectory() as cache:
        pairs = [
            {key: _seconds(statement, cache) for key, statement in statements.items()}
            for _ in range(1 + min(max(FEWEST, settings.repeats), MOST))
        ][1:]
    medians = {key: statistics.median([pair[key] for pair in pairs]) for key in statements}
    added = Timing(samples=[pair["both"] - pair["torch"] for pair in pairs])
    note = f"{medians['both']:.2f} s and {medians['torch']:.2f} s"
    yield timed("import torch, pgm - import torch", "s", added, target=TARGET, note=note)


def _seconds(statement: str, cache: str) -> float:
    """Wall time of a fresh interpreter that runs one statement, with byte code in a folder."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONPYCACHEPREFIX": cache}
    environment.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # users have the byte code after the first time
    start = perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True, env=environment)
    return perf_counter() - start
