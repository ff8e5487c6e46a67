"""Which tags may follow each other where tags mark the begin and the inside of segments.

.. math:: \\text{continues}(j) \\Rightarrow
          \\text{open}(i) \\wedge \\text{type}_i = \\text{type}_j, \\qquad
          \\text{unfinished}(i) \\Rightarrow \\text{continues}(j)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from inference.inputs import check_choice

__all__ = ["TagConstraints", "TagScheme", "constrain_tags"]

TagScheme: TypeAlias = Literal["BIO", "IOBES", "BILOU"]

# Per scheme: prefixes that continue a segment, that leave one open, and that must be continued.
_PREFIXES: dict[str, tuple[str, str, str, str]] = {
    "BIO": ("BI", "I", "BI", ""),
    "IOBES": ("BIES", "IE", "BI", "BI"),
    "BILOU": ("BILU", "IL", "BI", "BI"),
}


class TagConstraints(NamedTuple):
    """What is allowed: transitions (K, K) from row to column, starts (K,), ends (K,); boolean."""

    allowed: Tensor
    allowed_start: Tensor
    allowed_end: Tensor


def constrain_tags(tags: Sequence[str], scheme: TagScheme = "BIO") -> TagConstraints:
    """Transitions, starts and ends that a tagging scheme allows.

    A segment of type X is written B-X I-X ... in the scheme "BIO" (also called IOB2). In "IOBES"
    its last tag is E-X, and S-X is a segment of one token; "BILOU" says L and U for these.
    "O" is outside all segments. Types may be left out ("B", "I").

    Arguments:
        tags: the name of every tag.
        scheme: how segments are written.

    Shapes:
        allowed: (K, K), from row to column. allowed_start, allowed_end: (K,).

    Raises:
        ValueError: if the scheme is unknown, or has no such tag.

    Reference:
        Ratinov & Roth 2009, "Design challenges and misconceptions in named entity recognition"
        (BIO against BILOU).

    Example:
        >>> allowed, start, end = constrain_tags(["O", "B-PER", "I-PER"])
        >>> allowed.int().tolist(), start.tolist()
        ([[1, 1, 0], [1, 1, 1], [1, 1, 1]], [True, True, False])
    """
    check_choice("scheme", scheme, TagScheme)
    known, continuing, opening, unfinished = _PREFIXES[scheme]
    parts = [_split(tag, known, scheme) for tag in tags]
    continues = torch.tensor([prefix in continuing for prefix, _ in parts], dtype=torch.bool)
    closes = torch.tensor([prefix not in unfinished for prefix, _ in parts], dtype=torch.bool)
    fits = [[a in opening and x == y for _, y in parts] for a, x in parts]
    follows = torch.tensor(fits, dtype=torch.bool).reshape(len(parts), len(parts))
    allowed = torch.where(continues, follows, closes[:, None])
    return TagConstraints(allowed, ~continues, closes)


def _split(tag: str, known: str, scheme: str) -> tuple[str, str]:
    """Prefix and type of a tag."""
    prefix, _, kind = tag.partition("-")
    if tag != "O" and (len(prefix) != 1 or prefix not in known):
        raise ValueError(
            f"tags: {tag!r} is no tag of the scheme {scheme}, whose tags are 'O' and "
            f"{', '.join(f'{letter}-...' for letter in known)}"
        )
    return prefix, kind
