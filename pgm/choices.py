"""Options that are strings: one of the few that a type lists.

.. math:: c \\in \\{c_1, \\dots, c_m\\}
"""

from __future__ import annotations

from typing import Any, get_args

__all__ = ["check_choice"]


def check_choice(name: str, found: object, literal: Any) -> None:
    """Refuse what is not among the choices of a ``Literal``, or of a union of such.

    Raises:
        ValueError: naming the argument and the choices.

    Example:
        >>> from typing import Literal
        >>> check_choice("kind", "bits", Literal["counts", "rates"])
        Traceback (most recent call last):
        ValueError: kind must be one of counts, rates, found 'bits'
    """
    known = [choice for part in get_args(literal) for choice in (get_args(part) or (part,))]
    if found not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, found {found!r}")
