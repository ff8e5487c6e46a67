"""The benchmarks' own arithmetic, and one short run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.report import MEASUREMENTS, Section, measurement, printed, verdict
from benchmarks.targets import POSTERIORS
from benchmarks.timing import Contender, alternate


@pytest.mark.parametrize(
    ("measured", "target", "more", "expected"),
    [
        (1.0, 2.0, False, "ok"),
        (2.1, 2.0, False, "MISS"),
        (2.1, 2.0, True, "ok"),
        (1.0, 2.0, True, "MISS"),
        (1.0, None, False, ""),
    ],
)
def test_verdict(measured: float, target: float | None, more: bool, expected: str) -> None:
    assert verdict(measured, target, more) == expected


def test_measurement_gives_the_ratio_and_flags_wrong_results() -> None:
    row = measurement("load", 2.0, "ms", target=3.0, peer=8.0)
    assert (row["ratio"], row["verdict"]) == (0.25, "ok")
    assert measurement("load", 2.0, "ms", target=3.0, right=False)["verdict"] == "WRONG"


def test_contenders_take_turns_with_what_was_made_outside_the_clock() -> None:
    seen: list[str] = []

    def contender(name: str) -> Contender:
        return Contender(name, lambda: lambda: seen.append(name) or name)

    times = alternate([contender("a"), contender("b")], repeats=4, budget=1.0)
    assert [len(timing.samples) for timing in times.values()] == [4, 4]
    assert times["a"].first == "a"
    assert times["b"].median > 0
    assert seen.count("a") > 4  # short calls are repeated within a sample


def test_items_divide_the_time() -> None:
    def call() -> int:
        return sum(range(20_000))

    one = Contender.repeating("one", call)
    many = Contender.repeating("many", call, items=1000)
    times = alternate([one, many], repeats=5, budget=1.0)
    assert times["many"].median < times["one"].median / 10


def test_a_long_call_is_timed_once() -> None:
    times = alternate([Contender.repeating("long", lambda: None)], repeats=50, budget=1e-12)
    assert len(times["long"].samples) == 1


def test_table_shows_every_cell(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [measurement("load", 1234.5, "ms", target=3.0), measurement("parse", 1e-7, "s")]
    assert printed(Section("Title", ["a note"], MEASUREMENTS, iter(rows))) == rows
    output = capsys.readouterr().out
    for text in ("Title", "a note", "1,234", "1.0e-07", "MISS", "-"):
        assert text in output


def test_targets_cover_every_network(shared: Path) -> None:
    assert set(POSTERIORS) == {path.stem for path in (shared / "data" / "bif").glob("*.bif")}


def test_command_writes_what_it_measured(root: Path, shared: Path, tmp_path: Path) -> None:
    out = tmp_path / "measured.json"
    options = ["--only", "loading", "--networks", "asia", "--repeats", "1", "--json", str(out)]
    subprocess.run([sys.executable, "-m", "benchmarks", *options], cwd=root, check=True)
    content = json.loads(out.read_text(encoding="utf-8"))
    assert content["machine"]["threads"] == 1
    assert [row["what"] for row in content["sections"]["loading"]] == ["asia"]
