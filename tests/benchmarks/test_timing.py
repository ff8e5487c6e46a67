"""Clocks, tables and verdicts of the benchmarks."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.rates import Rates
from benchmarks.report import MEASUREMENTS, Section, by_peer, measurement, printed, timed, verdict
from benchmarks.timing import Contender, Timing, alternate


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


def test_the_spread_is_between_the_quartiles() -> None:
    samples = [1.0, 2.0, 3.0, 4.0, 9.0]
    lower, middle, upper = np.percentile(samples, [25, 50, 75])
    assert Timing(samples=samples).spread == pytest.approx((upper - lower) / middle)
    assert Timing(samples=[1.0]).spread is None
    row = measurement("load", 3.0, "ms", timing=Timing(samples=samples))
    assert row["spread"] == pytest.approx(2 / 3)
    assert row["samples"] == {"ours": samples}


def test_a_longer_run_less_a_shorter_one_gives_the_time_of_an_item() -> None:
    long, short = Timing("end", [5.0, 9.0, 7.0]), Timing("start", [1.0, 1.0])
    assert long.less(short, 4) == Timing("end", [1.0, 2.0])


def test_clocks_are_read_in_units_and_as_rates() -> None:
    ours, peer = Timing(samples=[0.5, 2.0, 1.0]), Timing(samples=[0.25])
    row = timed("load", "ms", ours, peer, target=900.0)
    assert (row["measured"], row["peer"], row["ratio"], row["verdict"]) == (
        1e3,
        250.0,
        4.0,
        "MISS",
    )
    row = timed("sweeps", "1/s", ours, peer, target=0.9)
    assert (row["measured"], row["peer"], row["verdict"]) == (1.0, 4.0, "ok")
    assert (ours.quartiles, peer.quartiles) == ([0.75, 1.5], [0.25, 0.25])


def test_rows_by_peer_have_targets_of_their_own_and_one_row_stands_alone() -> None:
    times = {
        name: Timing(samples=[seconds]) for name, seconds in (("ours", 1), ("a", 4), ("b", 2))
    }
    rows = by_peer("fit", "s", times, lambda peer: (peer == "a", peer), shares={"a": 0.5})
    found = [(row["what"], row["target"], row["verdict"], row["note"]) for row in rows]
    assert found == [("fit (peer: a)", 2.0, "ok", "a"), ("fit (peer: b)", None, "WRONG", "b")]
    (row,) = by_peer("fit", "s", {"ours": times["ours"]}, lambda peer: (False, peer), target=0.5)
    assert (row["what"], row["verdict"], row["peer"]) == ("fit", "MISS", None)


def test_shares_are_of_the_roof_that_bounds_the_work() -> None:
    rates = Rates(copy=10.0, float32=100.0, float64=50.0)
    assert rates.floor("float32", 40.0, 2.0).share == pytest.approx(0.2)
    row = measurement("step", 2.0, "s", floor=rates.floor("copy", 10.0, 2.0))
    assert (row["roof"], row["share"]) == ("copy", 0.5)


def test_rates_are_of_bytes_both_read_and_written() -> None:
    waits: list[int] = []
    rates = Rates.measured("cpu", lambda: waits.append(1), small=True)
    assert min(rates.copy, rates.float32, rates.float64) > 1e6
    assert len(waits) >= 9  # every call is waited for


def test_table_shows_every_cell(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        measurement("load", 1234.5, "ms", target=3.0),
        measurement("parse", 1e-7, "s"),
        measurement("distance", 7, ""),
    ]
    assert printed(Section("Title", ["a note"], MEASUREMENTS, iter(rows))) == rows
    output = capsys.readouterr().out
    for text in ("Title", "a note", "1,234", "1.0e-07", "MISS", "-", " 7 "):
        assert text in output
