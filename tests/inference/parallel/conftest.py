"""Two processes on this machine, started as torchrun starts them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

#: Seconds after which processes are given up.
PATIENCE = 240


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def two_processes() -> Callable[..., list[int]]:
    """Runs work.py in two processes that find each other; returns how they ended."""

    def run(*arguments: object) -> list[int]:
        here = Path(__file__).parent
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
        shared |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(here.parents[2])}
        processes = [
            subprocess.Popen(
                [sys.executable, str(here / "work.py"), *map(str, arguments)],
                env={**os.environ, **shared, "RANK": str(rank)},
                stdout=subprocess.DEVNULL,
                stderr=None if arguments[-1] != "kill" else subprocess.DEVNULL,
            )
            for rank in range(2)
        ]
        try:
            return [process.wait(PATIENCE) for process in processes]
        finally:
            for process in processes:
                process.kill()

    return run
