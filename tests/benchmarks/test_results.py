"""Files of what was measured, and what growth is fitted by."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.growth import slope
from benchmarks.growth_plot import draw
from benchmarks.headlines import headlines
from benchmarks.report import MEASUREMENTS, Row, machine, measurement
from benchmarks.results import index, page, written
from benchmarks.timing import Timing


def content(name: str = "spins", threads: int = 1, **changed: Any) -> dict[str, Any]:
    """What a section hands over."""
    rows = [
        measurement(
            "sweeps | all", 2.0, "ms", target=3.0, peer=8.0, timing=Timing(samples=[1, 2])
        ),
        measurement("recall", 1234.5, "s", target=3.0, note="late"),
    ]
    return {
        "section": name,
        "title": "Spins and memories",
        "notes": ["sweeps  of spins"],
        "date": "2026-01-02",
        "seconds": 61.0,
        "machine": machine("cpu") | {"threads": threads},
        "rates": {"copy": 1e10, "float32": 9e10, "float64": 4e10},
        "arguments": {"repeats": 15, "budget": 3.0},
        "columns": [asdict(column) for column in MEASUREMENTS],
        "rows": rows,
    } | changed


def test_a_page_shows_the_machine_and_every_row() -> None:
    text = page(content())
    for part in (
        "# Spins and memories",
        "2026-01-02",
        "threads in use: 1",
        "copy 10.0 GB/s",
        "sweeps  of spins",
        "1 of 2 rows meet their targets.",
    ):
        assert part in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    # Columns without an entry are left out; a bar in a cell does not end it.
    assert table[0] == ("|   | measured | spread | unit | target | peer | ours/peer |   | note |")
    assert table[2] == "| sweeps \\| all | 2.00 | 33% | ms | 3.00 | 8.00 | 0.250 | ok |  |"
    assert table[3] == "| recall | 1,234 | - | s | 3.00 | - | - | MISS | late |"


def test_headlines_say_how_many_times_as_fast() -> None:
    rows = [
        measurement("sweeps (peer: dwave Gibbs)", 800.0, "1/s", peer=100.0),
        measurement("sweeps (peer: thrml)", 800.0, "1/s", peer=1.0),
        measurement("cut one", 2.0, "s", peer=1.0),
        measurement("cut two", 1.0, "s", peer=300.0),
        measurement("cut, edges", 1.0, "", peer=700.0),
    ]
    assert headlines([content(rows=rows)]) == [
        ["sweeps of Ising spins", "dwave-samplers", "8"],
        ["maximum cuts, to a cut as large", "dwave-samplers", "0.5 to 300"],
    ]


def test_files_are_replaced_and_listed(tmp_path: Path) -> None:
    written(tmp_path, content(title="Old", rows=[]))
    written(tmp_path, content())
    written(tmp_path, content(threads=2))
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [
        "README.md", "spins.json", "spins.json", "spins.md", "spins.md",
    ]  # fmt: skip
    found = json.loads((tmp_path / "cpu-1" / "spins.json").read_text(encoding="utf-8"))
    assert page(found) == (tmp_path / "cpu-1" / "spins.md").read_text(encoding="utf-8")
    listed = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert listed == index(tmp_path)
    assert "## CPU, one thread" in listed
    assert "## CPU, 2 threads" in listed
    assert "| 61 | 2 | 1 | 1 | 0 |" in listed
    assert "| recall | MISS | 1,234 | s | 3.00 | - | - |" in listed
    assert "Old" not in listed


def test_numbers_that_are_not_finite_are_words(tmp_path: Path) -> None:
    written(tmp_path, content(rows=[measurement("gap", float("inf"), "nats")]))
    text = (tmp_path / "cpu-1" / "spins.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=pytest.fail)["rows"][0]["measured"] == "inf"
    assert "| gap | inf | nats |" in (tmp_path / "cpu-1" / "spins.md").read_text(encoding="utf-8")


def test_a_failed_drawing_leaves_the_old_files(tmp_path: Path) -> None:
    written(tmp_path, content())
    before = (tmp_path / "cpu-1" / "spins.json").read_text(encoding="utf-8")

    def broken(rows: object, path: Path) -> None:
        path.write_text("half a picture", encoding="utf-8")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        written(tmp_path, content(rows=[]), broken)
    assert (tmp_path / "cpu-1" / "spins.json").read_text(encoding="utf-8") == before
    assert not list(tmp_path.rglob("*.png"))


def test_slopes_are_those_of_least_squares() -> None:
    sizes = np.array([10.0, 20.0, 40.0, 80.0, 160.0])
    noise = np.exp(0.1 * np.random.default_rng(0).normal(size=5))
    seconds = 3e-3 * sizes**1.5 * noise
    (exponent, start), covariance = np.polyfit(np.log(sizes), np.log(seconds), 1, cov=True)
    found = slope(sizes.tolist(), seconds.tolist())
    assert found.exponent == pytest.approx(exponent)
    assert found.factor == pytest.approx(np.exp(start))
    assert found.error == pytest.approx(np.sqrt(covariance[0, 0]))
    exact = slope([1.0, 2.0], [3.0, 12.0])
    assert exact.exponent == pytest.approx(2.0)
    assert exact.error is None


def test_growth_is_drawn(tmp_path: Path) -> None:
    row: Row = {
        "what": "sweeps", "axis": "chains", "expected": 1, "fitted": 1.1, "error": 0.1,
        "factor": 1e-3, "sizes": [1, 2, 4], "medians": [1e-3, 2e-3, 5e-3],
        "quartiles": [[1e-3, 1e-3], [1e-3, 3e-3], [4e-3, 6e-3]],
    }  # fmt: skip
    draw([row] * 5, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")
