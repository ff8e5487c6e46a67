"""Writing a file so that its name always holds either the old content or all of the new one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["atomic_write"]


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary name beside `path`; it replaces `path` when the block succeeds.

    When the block raises, the temporary file is removed and `path` stays as it was. A symbolic
    link is followed: the file it points to is replaced. The block creates the file itself.

    Raises:
        FileNotFoundError: the folder of `path` does not exist.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with atomic_write(Path(folder) / "notes.txt") as temporary:
        ...         _ = temporary.write_text("all or nothing")
        ...     [file.name for file in Path(folder).iterdir()]
        ['notes.txt']
    """
    # A rename is atomic only within one file system, hence the folder of the real file.
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{os.fspath(path)}: its folder does not exist; create it first")
    # A name of our own: the files of tempfile may be read by their owner only. It is cut short
    # because the longest name that the folder allows must still be writable: folders count bytes,
    # of which a character has four at most.
    temporary = target.with_name(f".{target.name[:50]}.{secrets.token_hex(6)}")
    try:
        yield temporary
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
