"""Runs of numbers: what is one, and the first that is not."""

from __future__ import annotations

import pytest

from pgm.formats.values import find_fault, parse_values, render_values

GOOD = ["0", "1.", ".5", "0.25", "1e-300", "1E+2", "+3", "007", "5e-324", "0.1000000000000000055"]
BAD = ["x", ".", "e5", "1e", "1e+", "0.1.2", "1_0", "0x1", "nan", "NaN", "inf", "-inf", "infinity",
       "1e999", "--1", "1-1", "1,5", "\u0661", "½", "1d-3"]  # fmt: skip


@pytest.mark.parametrize("word", GOOD)
def test_numbers(word: str) -> None:
    values = parse_values(f" {word}\n{word}\t")
    assert values is not None and values.tolist() == [float(word)] * 2
    assert find_fault(word) is None


@pytest.mark.parametrize("word", BAD)
def test_what_is_no_number(word: str) -> None:
    assert parse_values(f"0.5 {word}") is None
    fault = find_fault(f"0.5\n{word} x")
    assert fault is not None and fault[0] == 4 and word in fault[1]


def test_signs_are_looked_at_where_asked() -> None:
    assert find_fault("0.5 -0.5") == (4, "expected a number that is not negative, found -0.5")
    assert find_fault("0.5 -0.5", signed=True) is None
    assert find_fault("-0.0") is None


def test_rendering_is_exact_and_short() -> None:
    values = [0.1, 1 / 3, 1e-300, 5e-324, 1.0, 0.0]
    text = render_values(values, " ")
    assert text.startswith("0.1 0.3333333333333333 1e-300 5e-324")
    assert [float(word) for word in text.split()] == values
    empty = parse_values("")
    assert empty is not None and empty.shape == (0,)
