"""The command line of the benchmarks; imports no library, whose threads could be set no more."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["QUALITY", "RESULTS", "SECTIONS", "SPEED", "parse"]

#: What is timed.
SPEED = (
    "floors",
    "imports",
    "loading",
    "posteriors",
    "batches",
    "sampling",
    "queries",
    "parameters",
    "missing",
    "structures",
    "propagation",
    "chains",
    "hidden_markov",
    "tagging",
    "mixtures",
    "spins",
    "machines",
    "networks",
    "growth",
)
#: What is learned to a likelihood or to all modes, which takes long and is not about speed.
QUALITY = ("digits", "toy_gans")
SECTIONS = SPEED + QUALITY
RESULTS = Path(__file__).resolve().parent / "results"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure, beside other libraries."
    )
    add = parser.add_argument
    add("--only", nargs="+", choices=SECTIONS, metavar="SECTION", help=", ".join(SECTIONS))
    add("--quality", action="store_true", help=f"also {' and '.join(QUALITY)}, which take long")
    add(
        "--threads",
        nargs="+",
        type=int,
        default=[1],
        metavar="N",
        help="threads per library; a fresh process for each of several numbers (default: 1)",
    )
    add("--device", choices=["cpu", "cuda"], default="cpu", help="cuda: without the peers")
    add(
        "--results",
        type=Path,
        metavar="FOLDER",
        help="a table and a JSON file per section go there, and their list "
        "(default: benchmarks/results; of a part of the work, nowhere)",
    )
    add("--repeats", type=int, default=15, help="samples per cell at most (default: 15)")
    add(
        "--budget",
        type=float,
        default=3.0,
        help="seconds per cell (default: 3); 3 samples or more unless one call takes longer",
    )
    add("--slow", action="store_true", help="also run what takes minutes and gigabytes")
    add("--networks", nargs="+", metavar="NAME", help="part: only these of 24 networks")
    add("--rows", type=int, metavar="N", help="part: no more rows, steps or sizes; a quick try")
    add("--no-peers", action="store_true", help="part: leave the other libraries out")
    add(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="holds data/bif/*.bif, data/alarm_100k_seed0.npz and references/posteriors.json "
        "(default: ../shared)",
    )
    found = parser.parse_args(arguments)
    if found.repeats < 1 or found.budget <= 0:
        parser.error("--repeats must be at least 1 and --budget positive")
    if found.rows is not None and found.rows < 1:
        parser.error("--rows must be at least 1")
    if min(found.threads) < 1:
        parser.error("--threads must be at least 1")
    if found.results is None and not (found.networks or found.rows or found.no_peers):
        found.results = RESULTS
    return found
