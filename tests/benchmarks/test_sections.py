"""Every section of the command, once, on as few rows as show that it runs."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from benchmarks import structures
from benchmarks.command_line import QUALITY, RESULTS, SECTIONS, SPEED, parse
from benchmarks.run import SECTIONS as RUN

# Few rows settle nothing, and the library says so.
pytestmark = pytest.mark.filterwarnings("ignore")

Measure = Callable[..., dict[str, Any]]


class Case(NamedTuple):
    """How a section is asked for few rows, and what it then still has to say."""

    options: list[str]
    judged: list[str]
    compared: list[str]


CASES = {
    "floors": Case(["--networks", "asia"], [], []),
    "loading": Case(["--networks", "asia"], ["asia"], []),
    "posteriors": Case(["--networks", "asia"], [], []),
    "batches": Case(["--networks", "alarm"], [], []),
    "sampling": Case(["--networks", "alarm", "--rows", "2000"], [], []),
    "queries": Case(
        ["--networks", "alarm"],
        [
            "alarm none, most_probable",
            "alarm e1, most_probable",
            "alarm e1, log_evidence / all posteriors",
        ],
        [],
    ),
    "parameters": Case(["--networks", "alarm"], [], []),
    "missing": Case(["--networks", "alarm"], [], []),
    "propagation": Case([], [], []),
    "chains": Case([], ["log Z and gradient", "best paths"], []),
    "hidden_markov": Case([], [], []),
    "tagging": Case([], [], []),
    "mixtures": Case(
        ["--rows", "200"],
        ["20 restarts on iris, one step (peer: a loop)"],
        [
            "20 restarts on iris, one step (peer: a loop)",
            "many rows, random start (peer: plain steps)",
            "many rows, kmeans start (peer: plain steps)",
            "holes at random (peer: complete rows)",
            "holes five patterns (peer: complete rows)",
        ],
    ),
    "spins": Case(
        [],
        [],
        [
            "clusters (peer: single spins)",
            "tempering, weights x 1 (peer: Gibbs)",
            "tempering, weights x 1.5 (peer: Gibbs)",
        ],
    ),
    "machines": Case(
        [],
        ["sweeps, 128 chains (beside: tight)"],
        [
            "sweeps, 128 chains (beside: tight)",
            "sweeps, 128 chains (beside: products)",
            "sweeps, 500 chains (beside: tight)",
            "sweeps, 500 chains (beside: products)",
        ],
    ),
    "networks": Case([], [], []),
    "growth": Case([], [], []),
    "digits": Case(["--rows", "3"], [], []),
    "toy_gans": Case(["--rows", "16"], [], []),
}
#: They start interpreters, or search for as long as a limit says.
ELSEWHERE = {"imports", "structures"}
#: Few rows leave these the most to do: a law to learn, sizes to grow through.
LONG = {"growth", "spins"}
#: What is compared with peers beside, which are left out here.
OWN = {"mixtures", "spins", "machines"}


def test_every_section_is_run() -> None:
    assert tuple(RUN) == SECTIONS
    assert set(SECTIONS) == set(CASES) | ELSEWHERE


@pytest.mark.parametrize(
    "section",
    [pytest.param(name, marks=[pytest.mark.slow] if name in LONG else []) for name in CASES],
)
def test_sections_run_on_few_rows(section: str, measure: Measure) -> None:
    case = CASES[section]
    content = measure(section, "--rows", "40", *case.options)
    rows = content["rows"]
    for row in rows:
        assert not isinstance(row.get("measured"), float) or math.isfinite(row["measured"])
    assert [row["what"] for row in rows if row["verdict"]] == case.judged
    if section in OWN:
        assert [row["what"] for row in rows if row["peer"]] == case.compared
    shares = [row["share"] for row in rows if row.get("share") is not None]
    assert bool(shares) == (section in ("floors", "machines", "mixtures", "networks", "spins"))
    assert all(share > 0 for share in shares)


def test_structures_are_searched(measure: Measure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structures, "DRAWS", (0,))
    monkeypatch.setattr(structures, "SEEDS", (0,))
    content = measure("structures", "--rows", "200", "--networks", "insurance")
    # A target for all the rows says nothing about few; one from the same rows does.
    judged = [row["what"] for row in content["rows"] if row["verdict"]]
    assert judged == ["insurance 0, order_search 1 s, score"]


def test_a_section_that_fails_does_not_stop_the_others(
    measure: Measure, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("no such luck")

    monkeypatch.setitem(RUN, "loading", broken)
    with pytest.raises(SystemExit):
        measure("loading", "--only", "loading", "floors", "--networks", "asia", "--rows", "40")
    printed = capsys.readouterr()
    assert "Failed: loading." in printed.out
    assert "small asia" in printed.out
    assert "no such luck" in printed.err


def test_parts_of_the_work_do_not_replace_the_whole() -> None:
    assert parse([]).results == RESULTS
    for part in (["--rows", "3"], ["--networks", "asia"], ["--no-peers"]):
        assert parse(part).results is None
        assert parse([*part, "--results", "here"]).results == Path("here")
    assert not set(QUALITY) & set(SPEED)


def test_the_command_measures_for_each_number_of_threads(
    root: Path, shared: Path, tmp_path: Path
) -> None:
    options = ["--only", "loading", "--networks", "asia", "--repeats", "1", "--no-peers"]
    options += ["--threads", "1", "2", "--results", str(tmp_path)]
    subprocess.run(
        [sys.executable, "-m", "benchmarks", *options], cwd=root, check=True, capture_output=True
    )
    for threads in (1, 2):
        text = (tmp_path / f"cpu-{threads}" / "loading.json").read_text(encoding="utf-8")
        assert json.loads(text)["machine"]["threads"] == threads
    listed = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert listed.index("cpu-1/loading.md") < listed.index("cpu-2/loading.md")
