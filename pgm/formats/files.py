"""Whole files: gzip by suffix, UTF-8, atomic replacement, and errors that name the line."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path
from typing import NoReturn

from inference.files import atomic_write

__all__ = ["FormatError", "fail", "read_bytes", "read_text", "write_text"]


class FormatError(ValueError):
    """A file does not follow its format; the message starts with `file, line n:`."""


def fail(source: str, text: str | bytes, offset: int, message: str) -> NoReturn:
    """Raise a FormatError for the line of `text` that `offset` is on, the last one at its end."""
    before = text[: min(offset, len(text.rstrip()))]
    newlines = before.count("\n") if isinstance(before, str) else before.count(b"\n")
    raise FormatError(f"{source}, line {newlines + 1}: {message}")


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Content of a file, decompressed when its name ends in `.gz`.

    Raises FormatError for a broken or truncated gzip file.
    """
    path = Path(path)
    data = path.read_bytes()
    if path.suffix.lower() != ".gz":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise FormatError(f"{path.name}: not a complete gzip file ({error})") from error


def read_text(path: str | os.PathLike[str]) -> str:
    """Content of a UTF-8 file (a byte order mark is dropped), decompressed as in `read_bytes`.

    Raises FormatError where the file is not UTF-8.
    """
    data = read_bytes(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        fail(Path(path).name, data, error.start, "expected UTF-8 text, found other bytes")


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text so that `path` holds either its old content or all of the new one.

    A name ending in `.gz` is compressed, with the same bytes for the same text at any time.
    """
    data = text.encode("utf-8")
    if Path(path).suffix.lower() == ".gz":
        data = gzip.compress(data, mtime=0)
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)
