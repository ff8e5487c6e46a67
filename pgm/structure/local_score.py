"""What a structure search needs to know of a score, and what it gives back.

.. math:: s(G) = \\sum_x s(x \\mid \\mathrm{pa}_G(x))

A structure over the variables 0..V-1 is a list with one set of parents per variable; a set is an
integer whose bit v stands for variable v.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Protocol

from inference.exact.structure import bits
from pgm.structure.constraints import Constraints
from pgm.structure.cpdag import is_acyclic

__all__ = [
    "NEGLIGIBLE",
    "LocalScore",
    "SearchResult",
    "check_sizes",
    "check_start",
    "families",
    "require_finite",
    "total_score",
]

#: A change of the score below this share of it is taken for rounding error.
NEGLIGIBLE = 1e-10


class LocalScore(Protocol):
    """A decomposable score of directed acyclic graphs; larger is better.

    .. math:: s(G) = \\sum_x s(x \\mid \\mathrm{pa}_G(x))

    Searches ask for the same family many times: answers are remembered by the score.
    """

    @property
    def n_variables(self) -> int:
        """Number of variables."""
        ...

    def local(self, child: int, parents: int) -> float:
        """Score of one family, finite; ``parents`` is a bit mask without the child."""
        ...

    def prepare(self, child: int, parents: int) -> None:
        """Families with one parent more are asked for next: they may be scored together."""
        ...


@dataclass(frozen=True)
class SearchResult:
    """The structure that a search found.

    Attributes:
        parents: per variable the bit mask of its parents.
        score: its score, the sum over the families.
        history: one entry per phase of the search: its name, the number of moves and the best
            score after it.
    """

    parents: list[int]
    score: float
    history: list[dict[str, Any]]


def total_score(score: LocalScore, parents: Sequence[int]) -> float:
    """Score of a structure, :math:`\\sum_x s(x \\mid \\mathrm{pa}(x))`.

    Raises:
        ValueError: if the score of a family is not finite.
    """
    values = [score.local(child, above) for child, above in enumerate(parents)]
    for child, (above, value) in enumerate(zip(parents, values, strict=True)):
        require_finite(child, [above], [value])
    return math.fsum(values)


def require_finite(child: int, families: Iterable[int], values: Sequence[float]) -> None:
    """Raise a ValueError that names the first family of a child whose score is not finite."""
    if not math.isfinite(sum(values)):
        for above, value in zip(families, values, strict=True):
            if not math.isfinite(value):
                raise ValueError(
                    f"score.local({child}, {above:#b}) must be finite, found {value}; forbid "
                    "edges by the constraints"
                )


def families(child: int, constraints: Constraints) -> Iterator[int]:
    """All sets of parents that the constraints leave to a child, small ones first.

    Example:
        >>> [bin(s) for s in families(0, Constraints((0b10, 0, 0), (0b110, 0b101, 0b11), 2))]
        ['0b10', '0b110']
    """
    must = constraints.required[child]
    free = [1 << v for v in bits(constraints.allowed[child] & ~must & ~(1 << child))]
    room = constraints.max_parents - must.bit_count()
    for size in range(min(room, len(free)) + 1):
        for chosen in combinations(free, size):
            yield must | sum(chosen)


def check_sizes(score: LocalScore, constraints: Constraints) -> None:
    """Raise a ValueError unless score and constraints speak of the same number of variables."""
    if score.n_variables < 1:
        raise ValueError("score.n_variables must be at least 1, found no variable to search over")
    found = (len(constraints.required), len(constraints.allowed))
    if found != (score.n_variables, score.n_variables):
        raise ValueError(
            f"constraints must have one mask for each of the {score.n_variables} variables of "
            f"the score, found {found[0]} required and {found[1]} allowed"
        )


def check_start(
    start: Sequence[int] | None, score: LocalScore, constraints: Constraints
) -> list[int]:
    """The structure that a search starts from: the one given, or only the required edges.

    Raises:
        ValueError: another number of variables, a directed cycle, a breach of the constraints.
    """
    check_sizes(score, constraints)
    parents = list(constraints.required if start is None else start)
    if len(parents) != score.n_variables:
        raise ValueError(
            f"start must have one mask of parents for each of the {score.n_variables} variables, "
            f"found {len(parents)}"
        )
    if not is_acyclic(parents):
        name = "the required edges" if start is None else "start"
        raise ValueError(f"{name} must be acyclic, found a directed cycle in {parents}")
    if not constraints.permits(parents):
        raise ValueError(
            "start must have all required edges, only allowed ones and at most "
            f"{constraints.max_parents} parents per variable; change it or the constraints"
        )
    return parents
