"""Command line of the benchmarks; sets one thread per library before any of them is imported."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

THREAD_SETTINGS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
SECTIONS = (
    "posteriors",
    "batches",
    "loading",
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
    "digits",
    "networks",
    "toy_gans",
    "imports",
    "floors",
)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--networks", nargs="+", metavar="NAME", help="only these networks (default: all 24)")
    add("--only", nargs="+", choices=SECTIONS, metavar="SECTION", help=", ".join(SECTIONS))
    add("--repeats", type=int, default=15, help="samples per cell at most (default: 15)")
    add(
        "--budget",
        type=float,
        default=3.0,
        help="seconds per cell (default: 3); 3 samples or more unless one call takes longer",
    )
    add(
        "--device",
        choices=["cpu", "cuda"],
        default="cpu",
        help="cuda: where it has a use",
    )
    add("--slow", action="store_true", help="also run what takes pyAgrum minutes and gigabytes")
    add("--rows", type=int, metavar="N", help="learn from no more rows than this; a quick try")
    add("--no-peers", action="store_true", help="leave the other libraries out")
    add("--json", type=Path, metavar="OUT", help="write everything measured to this file")
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
    return found


def main(arguments: list[str] | None = None) -> None:
    found = parse(arguments)
    os.environ.update(dict.fromkeys(THREAD_SETTINGS, "1"))
    from benchmarks.run import run

    run(found)


if __name__ == "__main__":
    main()
