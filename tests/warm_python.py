"""Python that has imported what takes seconds, and runs each script in a fork of itself.

A line of stdin asks for a run, as JSON: the folder to start in, the arguments of Python, and the
files that stdout and stderr go to. Its exit status is the answer, a line of stdout.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import signal
import sys

#: The first optimizer of a process imports torch._dynamo, for longer than torch itself takes.
SLOW = ["torch._dynamo", "matplotlib.pyplot", "pandas", "scipy.stats", "sklearn.datasets"]
SLOW += ["energy", "generative", "inference", "pgm"]
SECONDS = 300


def redirect(path: str, flags: int, number: int) -> None:
    file = os.open(path, flags)
    os.dup2(file, number)
    os.close(file)


def run(folder: str, arguments: list[str], out: str, err: str) -> None:
    """What `python arguments` does, in this process."""
    signal.alarm(SECONDS)
    os.chdir(folder)
    redirect(os.devnull, os.O_RDONLY, 0)
    redirect(out, os.O_WRONLY | os.O_CREAT, 1)
    redirect(err, os.O_WRONLY | os.O_CREAT, 2)
    if arguments[0] == "-m":
        sys.argv, sys.path[0] = arguments[1:], ""
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = arguments, os.path.dirname(arguments[0])
        runpy.run_path(arguments[0], run_name="__main__")


def main() -> None:
    for module in SLOW:
        importlib.import_module(module)
    # A collection in a fork would write to, and so copy, every page of these modules.
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if not child:
            # The fork leaves the loop, so that errors and exit end it as they end any script.
            return run(*json.loads(line))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()
    return None


if __name__ == "__main__":
    main()
