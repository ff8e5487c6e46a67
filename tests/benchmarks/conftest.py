"""Sections measured in this process, on few rows, without other libraries."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.command_line import parse
from benchmarks.run import run

Measure = Callable[..., dict[str, Any]]


@pytest.fixture
def measure(shared: Path, tmp_path: Path) -> Iterator[Measure]:
    """Runs one section of the command and gives what its JSON file holds."""
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()

    def measured(section: str, *options: str) -> dict[str, Any]:
        few = ["--only", section, "--repeats", "1", "--budget", "0.01", "--no-peers"]
        # Fails, with SystemExit, if a result is wrong.
        run(parse([*few, "--results", str(tmp_path), *options]))
        return json.loads((tmp_path / "cpu-1" / f"{section}.json").read_text(encoding="utf-8"))

    yield measured
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(precision)
    gc.unfreeze()
