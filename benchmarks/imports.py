"""What an import adds to that of torch."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from time import perf_counter

from benchmarks.data import ROOT
from benchmarks.report import MEASUREMENTS, Row, Section, measurement
from benchmarks.settings import Settings

__all__ = ["section"]

#: Seconds.
TARGET = 0.3
FEWEST = 5

NOTES = (
    "Seconds from the start of a fresh interpreter to its end, in turns; the median difference of",
    "the pairs. One pair beforehand fills the caches and writes the byte code.",
)


def section(settings: Settings) -> Section:
    """The table of this section."""
    return Section("Import", NOTES, MEASUREMENTS, _rows(settings))


def _rows(settings: Settings) -> Iterator[Row]:
    statements = {"torch": "import torch", "both": "import torch, pgm"}
    pairs = [
        {key: _seconds(statement) for key, statement in statements.items()}
        for _ in range(1 + max(FEWEST, settings.repeats))
    ][1:]
    samples = {key: [pair[key] for pair in pairs] for key in statements}
    medians = {key: statistics.median(values) for key, values in samples.items()}
    yield measurement(
        "import torch, pgm - import torch",
        statistics.median([pair["both"] - pair["torch"] for pair in pairs]),
        "s",
        target=TARGET,
        note=f"{medians['both']:.2f} s and {medians['torch']:.2f} s",
        samples=samples,
    )


def _seconds(statement: str) -> float:
    """Wall time of a fresh interpreter that runs one statement."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    start = perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True, env=environment)
    return perf_counter() - start
