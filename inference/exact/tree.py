"""Junction trees: the cliques of an elimination order, joined so that messages run along edges.

Every clique keeps its axes in elimination order: first the *residual* (variables that are not
shared with the parent clique), then the *separator*. Sums over the residual then run over whole
contiguous rows, and a message needs no transposition to meet its parent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

from inference.exact.order import Elimination
from inference.exact.structure import bits

__all__ = ["JunctionTree", "build_tree"]


@dataclass(frozen=True)
class JunctionTree:
    """A forest of cliques, children before parents.

    Arguments:
        cliques: the variables of each clique, residual first, in elimination order.
        residuals: how many leading variables of each clique its parent does not hold.
        parents: index of each clique's parent, always larger than its own; -1 for a root.
        shapes: numbers of states along each clique's axes.
    """

    cliques: tuple[tuple[int, ...], ...]
    residuals: tuple[int, ...]
    parents: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Number of entries of each clique's table."""
        return tuple([prod(shape) for shape in self.shapes])

    @cached_property
    def entries(self) -> int:
        """Number of entries of all tables together."""
        return sum(self.sizes)

    @cached_property
    def masks(self) -> tuple[int, ...]:
        """The cliques as bit sets."""
        return tuple([sum([1 << v for v in clique]) for clique in self.cliques])

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """The children of each clique, ascending."""
        found: list[list[int]] = [[] for _ in self.cliques]
        for child, parent in enumerate(self.parents):
            if parent >= 0:
                found[parent].append(child)
        return tuple(map(tuple, found))

    @cached_property
    def _holders(self) -> dict[int, list[int]]:
        """For every variable the cliques that hold it."""
        found: dict[int, list[int]] = {}
        for index, clique in enumerate(self.cliques):
            for variable in clique:
                found.setdefault(variable, []).append(index)
        return found

    def holders(self, scope: Sequence[int]) -> Sequence[int]:
        """Return the cliques that hold all of ``scope``, children before parents."""
        lists = [self._holders.get(v, ()) for v in scope]
        candidates = min(lists, key=len)
        if len(scope) == 1:
            return candidates
        mask = sum([1 << v for v in scope])
        masks = self.masks
        return [c for c in candidates if not mask & ~masks[c]]

    def home(self, scope: Sequence[int]) -> int:
        """Return the smallest clique that holds ``scope``, or -1."""
        return min(self.holders(scope), key=self.sizes.__getitem__, default=-1)


def build_tree(elimination: Elimination, cards: Sequence[int], allowance: int = 0) -> JunctionTree:
    """Join the maximal cliques of an elimination to a forest.

    Arguments:
        elimination: order and cliques.
        cards: number of states of every variable.
        allowance: a clique is merged into its parent when that adds at most this many table
            entries: visiting a clique costs as much as a few thousand entries.

    Example:
        >>> from inference.exact.order import interaction_graph, min_fill
        >>> chain = min_fill(interaction_graph([(0, 1), (1, 2)]), [0.7] * 3)
        >>> build_tree(chain, (2, 2, 2)).cliques
        ((0, 1), (1, 2))
    """
    owner, residual, separator = _absorb(elimination)
    sizes = {}
    for node, mask in separator.items():
        size = 1
        for v in residual[node]:
            size *= cards[v]
        for v in bits(mask):
            size *= cards[v]
        sizes[node] = size
    place = {v: i for i, v in enumerate(elimination.order)}
    parent = {
        node: owner[min(bits(mask), key=place.__getitem__)] if mask else -1
        for node, mask in separator.items()
    }
    if allowance:
        _merge(parent, residual, separator, sizes, cards, allowance)
    return _assemble(parent, residual, separator, place, cards)


def _absorb(
    elimination: Elimination,
) -> tuple[dict[int, int], dict[int, list[int]], dict[int, int]]:
    """Group eliminated variables into maximal cliques, each named by its first variable."""
    by_separator: dict[int, int] = {}
    owner: dict[int, int] = {}
    residual: dict[int, list[int]] = {}
    separator: dict[int, int] = {}
    for v, clique in zip(elimination.order, elimination.cliques, strict=True):
        node = by_separator.pop(clique, None)
        if node is None:
            node = v
            residual[node] = []
        residual[node].append(v)
        owner[v] = node
        separator[node] = clique ^ (1 << v)
        if separator[node]:
            by_separator[separator[node]] = node
    return owner, residual, separator


def _merge(
    parent: dict[int, int],
    residual: dict[int, list[int]],
    separator: dict[int, int],
    sizes: dict[int, int],
    cards: Sequence[int],
    allowance: int,
) -> None:
    """Merge cliques into their parents while a merged table stays cheap (in place)."""
    moved: dict[int, int] = {}
    for node in list(parent):
        above = parent[node]
        while above in moved:
            above = moved[above]
        parent[node] = above
        if above < 0:
            continue
        grown = sizes[above] * prod([cards[v] for v in residual[node]])
        if grown <= sizes[above] + sizes[node] + allowance:
            residual[above] = residual.pop(node) + residual[above]
            sizes[above] = grown
            moved[node] = above
            del parent[node], separator[node], sizes[node]
    for node, above in parent.items():
        while above in moved:
            above = moved[above]
        parent[node] = above


def _assemble(
    parent: dict[int, int],
    residual: dict[int, list[int]],
    separator: dict[int, int],
    place: dict[int, int],
    cards: Sequence[int],
) -> JunctionTree:
    """Number the cliques children first and order their axes by elimination."""
    last = {node: max([place[v] for v in residual[node]]) for node in parent}
    nodes = sorted(parent, key=last.__getitem__)
    index = {node: i for i, node in enumerate(nodes)}
    key = place.__getitem__
    cliques, shapes = [], []
    for node in nodes:
        axes = sorted(residual[node], key=key) + sorted(bits(separator[node]), key=key)
        cliques.append(tuple(axes))
        shapes.append(tuple([cards[v] for v in axes]))
    return JunctionTree(
        tuple(cliques),
        tuple([len(residual[node]) for node in nodes]),
        tuple([index.get(parent[node], -1) for node in nodes]),
        tuple(shapes),
    )
