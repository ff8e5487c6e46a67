"""Command line of the benchmarks; sets the threads of all libraries before any is imported."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

__all__ = ["QUALITY", "RESULTS", "SPEED", "main", "parse"]

THREAD_SETTINGS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
#: OpenBLAS's threads spin for 2^20 ticks of the clock, half a millisecond, before they sleep, and
#: not for a tenth of a second in which they take the processor from the next contender.
SPIN = {"OPENBLAS_THREAD_TIMEOUT": "20"}
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
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
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


def main(arguments: list[str] | None = None) -> None:
    """Measure in this process, or in one process for each number of threads."""
    found = parse(arguments)
    if len(found.threads) == 1:
        os.environ.update(dict.fromkeys(THREAD_SETTINGS, str(found.threads[0])) | SPIN)
        from benchmarks.run import run

        run(found)
        return
    given = sys.argv[1:] if arguments is None else arguments
    command = [sys.executable, "-m", "benchmarks", *given, "--threads"]
    failed = [subprocess.run([*command, str(n)]).returncode for n in found.threads]
    if any(failed):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
