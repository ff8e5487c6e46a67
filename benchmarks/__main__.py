"""Sets the threads of all libraries before any of them is imported, then measures."""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks.command_line import parse

__all__ = ["main"]

THREAD_SETTINGS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
#: OpenBLAS's threads spin for 2^20 ticks of the clock, half a millisecond, before they sleep, and
#: not for a tenth of a second in which they take the processor from the next contender.
SPIN = {"OPENBLAS_THREAD_TIMEOUT": "20"}


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
