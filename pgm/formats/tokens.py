"""Tokens of the text formats that have names: words, quoted strings and symbols.

A quoted string stays on one line; inside it a backslash makes `\\"`, `\\\\`, `\\n` and `\\r`, and
stands for itself before anything else. Commas, comments and white space are the dialect's affair.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn

import numpy as np

from pgm.formats.files import fail
from pgm.formats.values import find_fault, parse_values

__all__ = ["BIF", "NET", "Dialect", "Scanner", "Token", "quote"]

_ESCAPE = re.compile(r"\\([\\\"nr])")
_ESCAPED = {"\\": "\\", '"': '"', "n": "\n", "r": "\r"}
_QUOTED = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r"})
_NUMBERS = re.compile(r"[0-9.eE+\-,\s]*")


class Token(NamedTuple):
    """One token: kind is "word", "string", "symbol" or "end"; the text spans start to end."""

    kind: str
    value: str
    start: int
    end: int

    def __str__(self) -> str:
        return "the end of the file" if self.kind == "end" else repr(self.value)


@dataclass(frozen=True)
class Dialect:
    """Symbols and comments of a language, as pieces of regular expressions."""

    symbols: str
    comment: str
    word: str
    gap: re.Pattern[str] = field(init=False, repr=False)
    token: re.Pattern[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        gap = rf"\s*(?:(?:{self.comment})\s*)*"
        word, symbol = rf"(?P<word>{self.word})", rf"(?P<symbol>[{self.symbols}])"
        string, end = r'(?P<string>"(?:[^"\\\n]|\\.)*")', r"(?P<end>\Z)"
        object.__setattr__(self, "gap", re.compile(gap))
        object.__setattr__(self, "token", re.compile(f"{gap}(?:{word}|{symbol}|{string}|{end})"))

    def is_word(self, name: str) -> bool:
        """Whether `name` can be written without quotes."""
        return re.fullmatch(self.word, name) is not None


# A comment has to reach the end of its line: if it could also stop short of it, a line of slashes
# could be cut into comments in exponentially many ways.
BIF = Dialect(
    symbols=r"{}()\[\]|,;",
    comment=r"//[^\n]*(?![^\n])|/\*[^*]*(?:\*(?!/)[^*]*)*\*/",
    # A slash belongs to the word unless it begins a comment.
    word=r'(?:[^\s{}()\[\]|,;"/]|/(?![/*]))[^\s{}()\[\]|,;"/]*(?:/(?![/*])[^\s{}()\[\]|,;"/]*)*',
)
NET = Dialect(symbols=r"{}()|;=", comment=r"%[^\n]*(?![^\n])", word=r'[^\s{}()|;="%]+')


def quote(name: str) -> str:
    """A quoted string that reads back as `name`.

    >>> print(quote('5" pipe'))
    "5\\" pipe"
    """
    return f'"{name.translate(_QUOTED)}"'


class Scanner:
    """Reads tokens one after the other and reports what it did not expect, with its line.

    >>> scan = Scanner("variable x {", "demo.bif", BIF)
    >>> scan.expect("variable")
    >>> scan.name("a variable").value
    'x'
    >>> scan.expect("(")
    Traceback (most recent call last):
    pgm.formats.files.FormatError: demo.bif, line 1: expected '(', found '{'
    """

    def __init__(self, text: str, source: str, dialect: Dialect) -> None:
        self.text = text
        self.source = source
        self.position = 0
        self._dialect = dialect
        self._next: Token | None = None

    def peek(self) -> Token:
        """The next token, which stays the next one."""
        if self._next is None:
            match = self._dialect.token.match(self.text, self.position)
            if match is None or match.lastgroup is None:
                self._fail_inside()
            kind = match.lastgroup
            value = match.group(kind)
            if kind == "string":
                value = _ESCAPE.sub(lambda escape: _ESCAPED[escape.group(1)], value[1:-1])
            self._next = Token(kind, value, match.start(kind), match.end())
        return self._next

    def take(self) -> Token:
        """The next token, which is then behind."""
        token = self.peek()
        self.move(token.end)
        return token

    def move(self, position: int) -> None:
        """Go on reading at `position`."""
        self.position = position
        self._next = None

    def at(self, value: str) -> bool:
        """Whether the next token is this keyword or symbol."""
        token = self.peek()
        return token.value == value and token.kind != "string"

    def skip(self, value: str) -> bool:
        """Take the next token if it is this keyword or symbol; say whether it was."""
        found = self.at(value)
        if found:
            self.take()
        return found

    def expect(self, value: str) -> None:
        """Take this keyword or symbol."""
        if not self.skip(value):
            self.fail_at(self.peek(), repr(value))

    def name(self, what: str) -> Token:
        """Take a word or a quoted string."""
        if self.peek().kind not in ("word", "string"):
            self.fail_at(self.peek(), what)
        return self.take()

    def names(self, what: str, close: str) -> list[Token]:
        """Take names, with or without commas, and the symbol that closes them."""
        found: list[Token] = []
        while not self.skip(close):
            if not self.skip(","):
                found.append(self.name(f"{what} or {close!r}"))
        return found

    def numbers(self) -> np.ndarray:
        """Take numbers that are not negative, with or without commas, and the `;` after them."""
        start = self.position
        run = _NUMBERS.match(self.text, start)
        end = start if run is None else run.end()
        values = parse_values(self.text[start:end].replace(",", " "))
        if values is not None and (values >= 0).all() and self.text.startswith(";", end):
            self.move(end + 1)
            return values
        return self._numbers_one_by_one()

    def skip_statement(self) -> None:
        """Take everything up to and including the next `;`."""
        while not self.skip(";"):
            token = self.take()
            # Where `=` is a symbol, a second one belongs to the next statement.
            if token.kind == "end" or (token.kind == "symbol" and token.value in "}="):
                self.fail_at(token, "';'")

    def fail_at(self, token: Token, expected: str) -> NoReturn:
        """Raise a FormatError: something else was expected in the place of `token`."""
        self.fail(token.start, f"expected {expected}, found {token}")

    def fail(self, offset: int, message: str) -> NoReturn:
        """Raise a FormatError for the line that `offset` is on."""
        fail(self.source, self.text, offset, message)

    def _numbers_one_by_one(self) -> np.ndarray:
        values: list[float] = []
        while not self.skip(";"):
            if self.skip(","):
                continue
            token = self.peek()
            fault = find_fault(token.value) if token.kind == "word" else None
            if fault is not None:
                self.fail(token.start, fault[1])
            if token.kind != "word":
                self.fail_at(token, "a number or ';'")
            values.append(float(self.take().value))
        return np.array(values, dtype=np.float64)

    def _fail_inside(self) -> NoReturn:
        gap = self._dialect.gap.match(self.text, self.position)
        offset = self.position if gap is None else gap.end()
        what = "string" if self.text.startswith('"', offset) else "comment"
        self.fail(offset, f"the {what} that starts here does not end")
