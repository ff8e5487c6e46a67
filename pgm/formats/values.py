"""Runs of decimal numbers: text to float64 and back, without losing a bit.

A number is what every format here calls one: decimal digits with an optional point and an optional
exponent. `nan`, `inf`, hexadecimal digits and Python's underscores are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

__all__ = ["find_fault", "parse_values", "render_values"]

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_WORD = re.compile(r"\S+")


def parse_values(text: str) -> np.ndarray | None:
    """Float64 array of the numbers in `text`, or None if one is malformed or not finite.

    The numbers are separated by white space; their signs are not looked at.

    >>> parse_values("0.25 1e-3")
    array([0.25 , 0.001])
    """
    # float() reads 1_000 and the digits of every script; no file format does.
    if "_" in text or not text.isascii():
        return None
    words = text.split()
    try:
        values = np.fromiter(map(float, words), np.float64, len(words))
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None


def find_fault(text: str, signed: bool = False) -> tuple[int, str] | None:
    """Offset and description of the first word of `text` that is no acceptable number.

    >>> find_fault("0.5 0,5")
    (4, "expected a number, found '0,5'")
    """
    for match in _WORD.finditer(text):
        word = match.group()
        if _DECIMAL.fullmatch(word) is None:
            return match.start(), f"expected a number, found {word!r}"
        value = float(word)
        if value == float("inf"):
            return match.start(), f"expected a finite number, found {word}"
        if value < 0 and not signed:
            return match.start(), f"expected a number that is not negative, found {word}"
    return None


def render_values(values: Iterable[float], separator: str) -> str:
    """The shortest decimals that read back as the same float64 values.

    >>> render_values([0.1, 1.0], ", ")
    '0.1, 1.0'
    """
    return separator.join(map(float.__repr__, values))
