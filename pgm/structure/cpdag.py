"""Markov equivalence: essential graphs, consistent extensions and Meek's rules on bit masks.

.. math:: G \\sim H \\iff \\text{same skeleton and same v-structures}
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inference.exact.structure import bits

__all__ = [
    "PDAG",
    "children_of",
    "consistent_extension",
    "essential_graph",
    "is_acyclic",
    "meek_closure",
    "skeleton",
    "topological_order",
    "v_structures",
]


@dataclass(frozen=True)
class PDAG:
    """A partially directed graph: between two variables no edge, one arrow or one plain line.

    Arrows may form a cycle; such a graph has no consistent extension.

    Attributes:
        parents: per variable the mask of those with an arrow into it.
        neighbours: per variable the mask of those joined to it by a line.

    Raises:
        ValueError: masks of different numbers of variables, a variable joined to itself, a line
            known to one end only, two edges between the same variables.

    Example:
        >>> PDAG(parents=(0, 0, 0b11), neighbours=(0, 0, 0)).adjacent
        (4, 4, 3)
    """

    parents: tuple[int, ...]
    neighbours: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.parents) != len(self.neighbours):
            raise ValueError(
                f"parents and neighbours must have one mask per variable, found "
                f"{len(self.parents)} and {len(self.neighbours)}"
            )
        children = children_of(self.parents)
        sides = zip(
            self.parents, children, self.neighbours, children_of(self.neighbours), strict=True
        )
        for v, (above, below, beside, mirrored) in enumerate(sides):
            if (above | beside) >> v & 1:
                raise ValueError(f"variable {v} is joined to itself")
            if beside != mirrored:
                raise ValueError(
                    f"the line between {v} and {bits(beside ^ mirrored)[0]} is known to one only"
                )
            twice = above & below | (above | below) & beside
            if twice:
                raise ValueError(f"there are two edges between {v} and {bits(twice)[0]}")

    @property
    def adjacent(self) -> tuple[int, ...]:
        """Per variable the mask of all those it shares an edge with."""
        sides = zip(self.parents, children_of(self.parents), self.neighbours, strict=True)
        return tuple([above | below | beside for above, below, beside in sides])


def children_of(parents: Sequence[int]) -> list[int]:
    """Per variable the mask of its children.

    Raises:
        ValueError: a parent that is no variable.
    """
    children = [0] * len(parents)
    for v, above in enumerate(parents):
        _check_range(v, above, len(parents))
        for parent in bits(above):
            children[parent] |= 1 << v
    return children


def skeleton(parents: Sequence[int]) -> tuple[int, ...]:
    """Per variable the mask of all those it shares an edge with.

    Example:
        >>> skeleton([0, 0b001, 0b010])
        (2, 5, 2)
    """
    return tuple([a | b for a, b in zip(parents, children_of(parents), strict=True)])


def topological_order(parents: Sequence[int]) -> list[int]:
    """All variables, parents before children.

    Raises:
        ValueError: a directed cycle, which is named, or a parent that is no variable.

    Example:
        >>> topological_order([0b110, 0b100, 0])
        [2, 1, 0]
    """
    order, placed, waiting = [], 0, range(len(parents))
    while waiting:
        left = []
        for v in waiting:
            if parents[v] & ~placed:
                left.append(v)
            else:
                order.append(v)
                placed |= 1 << v
        if len(left) == len(waiting):
            children_of(parents)  # refuses masks out of range, which look like a cycle
            raise ValueError(f"the structure has a directed cycle: {_cycle(parents, placed)}")
        waiting = left
    return order


def is_acyclic(parents: Sequence[int]) -> bool:
    """Whether the arrows form no directed cycle.

    Raises:
        ValueError: a parent that is no variable.

    Example:
        >>> is_acyclic([0, 0b01]), is_acyclic([0b10, 0b01])
        (True, False)
    """
    try:
        topological_order(parents)
    except ValueError:
        children_of(parents)
        return False
    return True


def v_structures(parents: Sequence[int]) -> set[tuple[int, int, int]]:
    """All (a, child, b), a < b, where a and b are parents of the child and not adjacent.

    Example:
        >>> v_structures([0, 0, 0b11])
        {(0, 2, 1)}
    """
    adjacent = skeleton(parents)
    return {
        (a, child, b)
        for child, above in enumerate(parents)
        for a in bits(above)
        for b in bits(above & ~adjacent[a] & -(2 << a))
    }


def essential_graph(parents: Sequence[int]) -> PDAG:
    """The CPDAG of a DAG: arrows that all Markov-equivalent DAGs share, and lines.

    Edges are labelled in topological order of the child. Its parents decide together: if the
    last one, x, has a compelled parent that is none of the child's, or the child has a parent
    that is none of x's, all its edges are compelled; else it inherits those of x.

    Raises:
        ValueError: a directed cycle.

    Reference:
        Chickering 1995, "A transformational characterization of equivalent Bayesian network
        structures", figures 3 and 4 (order-edges, label-edges).

    Example:
        >>> essential_graph([0, 0b001, 0b010])
        PDAG(parents=(0, 0, 0), neighbours=(2, 5, 2))
    """
    order = topological_order(parents)
    place = [0] * len(parents)
    for position, v in enumerate(order):
        place[v] = position
    compelled = [0] * len(parents)
    for child in order:
        above = parents[child]
        if not above:
            continue
        last = max(bits(above), key=place.__getitem__)
        if compelled[last] & ~above or above & ~parents[last] & ~(1 << last):
            compelled[child] = above
        else:
            compelled[child] = compelled[last]
    free = [above & ~fixed for above, fixed in zip(parents, compelled, strict=True)]
    return PDAG(tuple(compelled), skeleton(free))


def meek_closure(graph: PDAG) -> PDAG:
    """Turn lines into arrows where every consistent extension has the same arrow.

    Complete for the patterns of v-structures with any background knowledge that is consistent
    with them. Where the graph has no consistent extension, arrows found first stay.

    Reference:
        Meek 1995, "Causal inference and causal explanation with background knowledge", rules
        R1-R4 of figure 1, theorem 4.

    Example:
        >>> meek_closure(PDAG(parents=(0, 0b001, 0), neighbours=(0, 0b100, 0b010)))
        PDAG(parents=(0, 1, 2), neighbours=(0, 0, 0))
    """
    adjacent = graph.adjacent
    parents, neighbours = list(graph.parents), list(graph.neighbours)
    children = children_of(parents)
    changed = True
    while changed:
        changed = False
        for a in range(len(parents)):
            for b in bits(neighbours[a]):
                if _is_compelled(a, b, parents, children, neighbours, adjacent):
                    neighbours[a] ^= 1 << b
                    neighbours[b] ^= 1 << a
                    parents[b] |= 1 << a
                    children[a] |= 1 << b
                    changed = True
    return PDAG(tuple(parents), tuple(neighbours))


def consistent_extension(graph: PDAG) -> tuple[int, ...]:
    """A DAG with the same skeleton, arrows and v-structures, as one parent mask per variable.

    Sinks are taken away one by one; among those possible the last variable goes first.

    Raises:
        ValueError: if there is none.

    Reference:
        Dor & Tarsi 1992, "A simple algorithm to construct a consistent extension of a partially
        oriented graph", section 3.

    Example:
        >>> consistent_extension(PDAG(parents=(0, 0, 0), neighbours=(0b010, 0b101, 0b010)))
        (0, 1, 2)
    """
    adjacent, children = graph.adjacent, children_of(graph.parents)
    left, parents = (1 << len(adjacent)) - 1, [0] * len(adjacent)
    while left:
        for v in reversed(bits(left)):
            beside = graph.neighbours[v] & left
            around = adjacent[v] & left
            if not children[v] & left and all(
                [not around & ~adjacent[u] & ~(1 << u) for u in bits(beside)]
            ):
                parents[v] = around
                left ^= 1 << v
                break
        else:
            raise ValueError(
                f"the partially directed graph has no consistent extension: in its part over "
                f"{bits(left)} every variable has a child or would add a v-structure"
            )
    return tuple(parents)


def _is_compelled(
    a: int,
    b: int,
    parents: Sequence[int],
    children: Sequence[int],
    neighbours: Sequence[int],
    adjacent: Sequence[int],
) -> bool:
    """Whether one of Meek's rules turns the line a - b into a -> b."""
    if parents[a] & ~adjacent[b] or children[a] & parents[b]:
        return True
    between = neighbours[a] & parents[b]
    if any([between & ~adjacent[c] & ~(1 << c) for c in bits(between)]):
        return True
    outside = neighbours[a] & ~adjacent[b] & ~(1 << b)
    return bool(outside) and any([parents[d] & outside for d in bits(parents[b] & adjacent[a])])


def _check_range(v: int, above: int, n_variables: int) -> None:
    """Raise a ValueError if a mask names a parent beyond the variables."""
    if above < 0 or above >> n_variables:
        raise ValueError(
            f"the mask of variable {v} must be within 0..{(1 << n_variables) - 1} for "
            f"{n_variables} variables, found {above}"
        )


def _cycle(parents: Sequence[int], placed: int) -> str:
    """A cycle among the variables that are not placed: all have a parent there."""
    path = [bits(~placed & (1 << len(parents)) - 1)[0]]
    while path.count(path[-1]) < 2:
        path.append(bits(parents[path[-1]] & ~placed)[0])
    return " -> ".join(map(str, path[path.index(path[-1]) :][::-1]))
