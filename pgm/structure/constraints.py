"""What is known about a structure before it is learned: edges that must or must not be there.

.. math:: R_v \\subseteq \\mathrm{pa}(v) \\subseteq A_v, \\qquad |\\mathrm{pa}(v)| \\le m
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inference.exact.evidence import Variables
from inference.exact.structure import bits
from pgm.digraph import Digraph

__all__ = ["Constraints"]


@dataclass(frozen=True)
class Constraints:
    """Limits on the parents of every variable; sets of variables are bit masks.

    .. math:: R_v \\subseteq \\mathrm{pa}(v) \\subseteq A_v, \\qquad |\\mathrm{pa}(v)| \\le m

    Attributes:
        required: per child the mask R of parents that it must have.
        allowed: per child the mask A of parents that it may have: not itself, no forbidden one,
            and none that the required edges make its descendant.
        max_parents: largest number m of parents of one child.

    Example:
        >>> known = Constraints.read(Variables({"a": 2, "b": 2, "c": 2}), required=[("a", "b")])
        >>> known.required, [bin(mask) for mask in known.allowed], known.max_parents
        ((0, 1, 0), ['0b100', '0b101', '0b11'], 2)
    """

    required: tuple[int, ...]
    allowed: tuple[int, ...]
    max_parents: int

    @classmethod
    def read(
        cls,
        vocabulary: Variables,
        required: Iterable[Any] = (),
        forbidden: Iterable[Any] = (),
        max_parents: int | None = None,
    ) -> Constraints:
        """Read the limits from lists of (parent, child) pairs of names.

        Arguments:
            vocabulary: the variables.
            required: edges that must be there ("white list"); repeats do no harm.
            forbidden: edges that must not be there ("black list"), in this direction.
            max_parents: largest number of parents of one child; None: no limit.

        Raises:
            TypeError: an edge that is no pair, a ``max_parents`` that is no whole number.
            ValueError: an unknown variable, an edge from a variable to itself, an edge both
                required and forbidden, required edges that close a cycle or are more than
                ``max_parents`` into one child, a negative ``max_parents``.
        """
        names = vocabulary.names
        must = _parent_masks(vocabulary, required, "required")
        must_not = _parent_masks(vocabulary, forbidden, "forbidden")
        limit = _limit(max_parents, len(names))
        for v, name in enumerate(names):
            both = bits(must[v] & must_not[v])
            if both:
                raise ValueError(
                    f"the edge {(names[both[0]], name)} is both required and forbidden; "
                    "remove it from one of the lists"
                )
            above = [names[parent] for parent in bits(must[v])]
            if len(above) > limit:
                raise ValueError(
                    f"max_parents is {limit}, but {len(above)} parents of {name!r} are required: "
                    f"{above}"
                )
        everything = (1 << len(names)) - 1
        allowed = [
            everything & ~below & ~not_these
            for below, not_these in zip(_descendants(names, must), must_not, strict=True)
        ]
        return cls(tuple(must), tuple(allowed), limit)

    def permits(self, parents: Sequence[int]) -> bool:
        """Whether a structure, as one mask of parents per child, keeps to all limits."""
        return len(parents) == len(self.allowed) and all(
            not (must & ~above or above & ~may) and above.bit_count() <= self.max_parents
            for above, must, may in zip(parents, self.required, self.allowed, strict=True)
        )


def _parent_masks(vocabulary: Variables, edges: Iterable[Any], argument: str) -> list[int]:
    """Per child the mask of its parents in a list of pairs of names."""
    masks = [0] * len(vocabulary.names)
    if isinstance(edges, str):
        raise TypeError(f"{argument} must list (parent, child) pairs, found {edges!r}")
    for edge in edges:
        if isinstance(edge, str) or not isinstance(edge, Sequence) or len(edge) != 2:
            raise TypeError(f"{argument} must list (parent, child) pairs, found {edge!r}")
        parent, child = (_number(vocabulary, name, edge, argument) for name in edge)
        if parent == child:
            raise ValueError(f"{argument} has the edge {tuple(edge)} from a variable to itself")
        masks[child] |= 1 << parent
    return masks


def _number(vocabulary: Variables, name: object, edge: Sequence[Any], argument: str) -> int:
    """Number of one end of an edge, or an error that shows the edge."""
    return vocabulary.number(name, f"{argument} edge {tuple(edge)}")


def _limit(max_parents: int | None, n_variables: int) -> int:
    """The largest number of parents; more than all other variables says nothing."""
    most = max(n_variables - 1, 0)
    if max_parents is None:
        return most
    if isinstance(max_parents, bool) or not isinstance(max_parents, (int, np.integer)):
        raise TypeError(f"max_parents must be a whole number or None, found {max_parents!r}")
    if max_parents < 0:
        raise ValueError(f"max_parents must not be negative, found {max_parents}")
    return min(int(max_parents), most)


def _descendants(names: Sequence[str], required: Sequence[int]) -> list[int]:
    """Per variable itself and all that the required edges put below it."""
    parents = {
        name: [names[p] for p in bits(above)] for name, above in zip(names, required, strict=True)
    }
    try:
        graph = Digraph(names, parents)
    except ValueError as error:
        raise ValueError(f"required {error}") from None
    number = {name: v for v, name in enumerate(names)}
    below = [0] * len(names)
    for v, name in enumerate(names):
        for above in graph.ancestors([name]):
            below[number[above]] |= 1 << v
    return below
