"""Reader of the UAI files: a keyword, perhaps, and then nothing but numbers and white space.

From `#` to the end of the line is a comment, which no UAI file needs but some programs write.
"""

from __future__ import annotations

import re
from typing import NoReturn

import numpy as np

from pgm.formats.files import fail
from pgm.formats.values import find_fault, parse_values

__all__ = ["NumberStream"]

_COMMENT = re.compile(r"#[^\n]*")
_WORD = re.compile(r"\S+")


class NumberStream:
    """The numbers of a text in order, with the line of whichever is wrong.

    >>> stream = NumberStream("MAP 2 0 1", "demo.MAP", "MAP")
    >>> stream.integer("a count"), stream.integer("a state"), stream.remaining
    (2, 0, 1)
    """

    def __init__(self, text: str, source: str, *keywords: str) -> None:
        self._text = _COMMENT.sub(lambda comment: " " * len(comment[0]), text)
        self._source = source
        self._start = 0
        self.keyword = self._take_keyword(keywords) if keywords else ""
        values = parse_values(self._text[self._start :])
        if values is None:
            self._fail_in_numbers()
        self._values = values
        self._list: list[float] = values.tolist()
        self.position = 0

    @property
    def remaining(self) -> int:
        """How many numbers are still to be read."""
        return len(self._list) - self.position

    def integer(self, what: str, low: int = 0, high: int | None = None) -> int:
        """Take an integer of at least `low` and, if given, below `high`."""
        if not self.remaining:
            self.fail(f"expected {what}, found the end of the file")
        value = self._list[self.position]
        if value != int(value) or value < low or (high is not None and value >= high):
            bound = f"at least {low}" if high is None else f"from {low} to {high - 1}"
            self.fail(f"expected {what}, an integer {bound}, found {value:g}")
        self.position += 1
        return int(value)

    def values(self, count: int, what: str, signed: bool = False) -> np.ndarray:
        """Take `count` numbers, which may not be negative unless `signed`."""
        if self.remaining < count:
            self.position = len(self._list)
            self.fail(f"expected {count} numbers for {what}, found the end of the file")
        values = self._values[self.position : self.position + count]
        if not signed and (values < 0).any():
            self.position += int(np.argmax(values < 0))
            number = self._list[self.position]
            self.fail(f"expected a number that is not negative, found {number!r}")
        self.position += count
        return values.copy()

    def end(self) -> None:
        """Check that everything was read."""
        if self.remaining:
            self.fail(f"expected the end of the file, found {self._list[self.position]:g}")

    def fail(self, message: str) -> NoReturn:
        """Raise a FormatError for the line of the next number."""
        words = _WORD.finditer(self._text, self._start)
        offset = len(self._text.rstrip())
        for index, match in enumerate(words):
            if index == self.position:
                offset = match.start()
                break
        fail(self._source, self._text, offset, message)

    def _take_keyword(self, keywords: tuple[str, ...]) -> str:
        match = _WORD.search(self._text)
        if match is None or match.group() not in keywords:
            found = "the end of the file" if match is None else repr(match.group())
            message = f"expected {' or '.join(keywords)}, found {found}"
            fail(self._source, self._text, 0 if match is None else match.start(), message)
        self._start = match.end()
        return match.group()

    def _fail_in_numbers(self) -> NoReturn:
        fault = find_fault(self._text[self._start :], signed=True)
        offset, message = fault if fault is not None else (0, "expected numbers")
        fail(self._source, self._text, self._start + offset, message)
