"""Progress bars on long work: shown on a terminal, silent elsewhere.

.. math:: \\text{None} \\to \\text{shown if the standard error is a terminal}
"""

from __future__ import annotations

from typing import Any

__all__ = ["check_progress", "progress_bar"]


def check_progress(progress: object) -> None:
    """Refuse what is neither a bool nor None.

    Raises:
        TypeError: then.
    """
    if progress is not None and not isinstance(progress, bool):
        raise TypeError(f"progress must be True, False or None, found {progress!r}")


def progress_bar(total: int | None, description: str, progress: bool | None) -> Any:
    """A tqdm bar; call ``update(n)`` and ``set_postfix_str(figure)``, close it by ``with``.

    Arguments:
        total: number of steps, None if it is not known.
        description: what is being done.
        progress: True shows the bar, False does not, None shows it on a terminal.

    Raises:
        TypeError: if ``progress`` is neither a bool nor None.

    Example:
        >>> with progress_bar(2, "counting", progress=False) as bar:
        ...     bar.update(1)
    """
    check_progress(progress)
    from tqdm import tqdm

    disable = None if progress is None else not progress
    return tqdm(total=total, desc=description, disable=disable, leave=False)
