"""Graph templates: from the shape of an input to nodes, edges, and which edges share a table.

.. math:: E = \\{(p, p + d) : d \\in D\\}
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from inference.approximate.coloring import color_graph
from inference.exact.plan import Plan, Query, make_plan
from inference.exact.recent import Recent
from inference.exact.structure import Structure
from inference.inputs import as_tensor, as_whole

__all__ = ["GraphTemplate", "GridTemplate", "Layout", "Template", "template_of"]

#: Shapes whose edges and plans are remembered.
REMEMBERED = 16

#: Cliques are merged up to this many entries, all graphs of a batch together.
MERGED = 4096


@dataclass(frozen=True, eq=False)
class Layout:
    """Nodes and edges of one shape; what follows from them is found once.

    Arguments:
        shape: of a labelling: its entries are the nodes, numbered in row-major order.
        edges: pairs of nodes.
        kinds: the kind of every edge; edges of one kind may share a table.
        offsets: on a grid the displacement of every kind, else empty.

    Shapes:
        edges: (E, 2) int64. kinds: (E,) int64.
    """

    shape: tuple[int, ...]
    edges: Tensor
    kinds: Tensor
    offsets: tuple[tuple[int, ...], ...] = ()
    _plans: Recent[Plan] = field(default_factory=lambda: Recent(REMEMBERED), repr=False)
    _copies: Recent[Layout] = field(default_factory=lambda: Recent(REMEMBERED), repr=False)

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return prod(self.shape)

    @cached_property
    def degrees(self) -> Tensor:
        """Number of edges at every node, (n,)."""
        return self.edges.flatten().bincount(minlength=self.n_nodes)

    @cached_property
    def colors(self) -> list[Tensor]:
        """Nodes of every colour; neighbours never have the same."""
        found = color_graph(self.n_nodes, self.edges.cpu().numpy())
        groups = [np.flatnonzero(found == color) for color in range(found.max(initial=-1) + 1)]
        return [torch.from_numpy(group).to(self.edges.device) for group in groups]

    def plan(self, n_states: int, rows: int) -> Plan:
        """The exact engine's plan for ``rows`` graphs with n_states states per node."""
        allowance = MERGED // max(1, rows)
        found = self._plans.get((n_states, allowance))
        if found is None:
            query = Query(frozenset(), frozenset(), ())
            plan = make_plan(self.structure(n_states), query, allowance, split=False)
            found = self._plans.put((n_states, allowance), plan)
        return found

    def structure(self, n_states: int) -> Structure:
        """Scopes for the exact engine: all nodes, then all edges."""
        nodes: list[tuple[int, ...]] = [(v,) for v in range(self.n_nodes)]
        scopes = nodes + [tuple(pair) for pair in self.edges.tolist()]
        return Structure((n_states,) * len(nodes), tuple(scopes), (-1,) * len(scopes))

    def to(self, device: torch.device) -> Layout:
        """The same layout with its arrays on a device."""
        if self.edges.device == device:
            return self
        found = self._copies.get(device)
        if found is None:
            edges, kinds = self.edges.to(device), self.kinds.to(device)
            copy = Layout(self.shape, edges, kinds, self.offsets, self._plans)
            found = self._copies.put(device, copy)
        return found


class Template(ABC):
    """Who touches whom, for inputs of any shape that it fits. Abstract.

    Attributes:
        n_kinds: number of kinds of edges.
        class_axis: of scores and marginals, the axis of the states: 1 or the last one.
    """

    n_kinds: int
    class_axis: ClassVar[int]

    @abstractmethod
    def layout(self, shape: Sequence[int]) -> Layout:
        """Nodes and edges of labellings of a shape.

        Raises:
            ValueError: if the template does not fit labellings of that shape.
        """

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """JSON values that describe it."""


class GridTemplate(Template):
    """A grid of any size and number of axes: nodes are joined to those at given displacements.

    .. math:: E_k = \\{(p, p + d_k) : p, p + d_k \\text{ on the grid}\\}

    Every displacement is a kind of edge. Scores have their states on axis 1, (B, K, *grid), as
    torch's convolutions do; labellings are (B, *grid).

    Arguments:
        neighbours: 4 or 8 on a plane; 2 on a line; 6 in space.
        offsets: the displacements themselves, instead; of every pair p, -p only one.

    Raises:
        TypeError, ValueError: an unknown number of neighbours; offsets that are zero, come twice
            or differ in length.

    Example:
        >>> layout = GridTemplate(4).layout((2, 2))
        >>> layout.edges.tolist(), layout.kinds.tolist()
        ([[0, 1], [2, 3], [0, 2], [1, 3]], [0, 0, 1, 1])
    """

    class_axis = 1

    _NEIGHBOURS: ClassVar[dict[int, tuple[tuple[int, ...], ...]]] = {
        2: ((1,),),
        4: ((0, 1), (1, 0)),
        6: ((0, 0, 1), (0, 1, 0), (1, 0, 0)),
        8: ((0, 1), (1, 0), (1, 1), (1, -1)),
    }

    def __init__(
        self, neighbours: int = 4, *, offsets: Sequence[Sequence[int]] | None = None
    ) -> None:
        if offsets is None:
            if neighbours not in self._NEIGHBOURS:
                raise ValueError(
                    f"neighbours must be 2, 4, 6 or 8, found {neighbours!r}; "
                    "name other displacements with offsets"
                )
            self.offsets = self._NEIGHBOURS[neighbours]
        else:
            self.offsets = _checked_offsets(offsets)
        self.n_kinds = len(self.offsets)
        self._layouts: Recent[Layout] = Recent(REMEMBERED)

    def layout(self, shape: Sequence[int]) -> Layout:
        """Nodes and edges of a grid, (*grid)."""
        shape, axes = tuple(shape), len(self.offsets[0])
        if len(shape) != axes or 0 in shape:
            raise ValueError(f"a labelling must be a grid with {axes} axes, found shape {shape}")
        found = self._layouts.get(shape)
        return self._layouts.put(shape, self._make(shape)) if found is None else found

    def _make(self, shape: tuple[int, ...]) -> Layout:
        place = torch.arange(prod(shape)).reshape(shape)
        edges, kinds = [], []
        for kind, offset in enumerate(self.offsets):
            near, far = _shifted(offset, shape)
            pairs = torch.stack([place[near].flatten(), place[far].flatten()], 1)
            edges.append(pairs)
            kinds.append(torch.full((len(pairs),), kind))
        return Layout(shape, torch.cat(edges), torch.cat(kinds), self.offsets)

    def config(self) -> dict[str, Any]:
        """Its displacements."""
        return {"grid": [list(offset) for offset in self.offsets]}

    def __repr__(self) -> str:
        return f"GridTemplate(offsets={list(self.offsets)})"


class GraphTemplate(Template):
    """A fixed graph.

    Scores have their states on the last axis, (B, n, K); labellings are (B, n).

    Arguments:
        n_nodes: number of nodes.
        edges: pairs of different nodes, each once.
        kinds: the kind of every edge, counted from 0; one kind by default. The first node of an
            edge is the first axis of its table.

    Shapes:
        edges: (E, 2). kinds: (E,).

    Raises:
        TypeError, ValueError: edges or kinds of the wrong kind or shape, an edge that leaves the
            graph, a loop, or a pair that comes twice.

    Example:
        >>> GraphTemplate(3, [(0, 1), (0, 2)]).layout((3,)).degrees.tolist()
        [2, 1, 1]
    """

    class_axis = -1

    def __init__(self, n_nodes: int, edges: Any, kinds: Any = None) -> None:
        n_nodes = as_whole("n_nodes", n_nodes, least=1)
        pairs = (
            _integers("edges", edges).reshape(-1, 2) if len(edges) else torch.zeros(0, 2).long()
        )
        if len(pairs) != len(edges):
            raise ValueError(f"edges must be pairs (E, 2), found shape {np.shape(edges)}")
        if len(pairs) and not (pairs.min() >= 0 and pairs.max() < n_nodes):
            raise ValueError(
                f"edges must join nodes 0..{n_nodes - 1}, found {pairs.min()}..{pairs.max()}"
            )
        low, high = pairs.amin(1), pairs.amax(1)
        if (low == high).any():
            raise ValueError(
                f"edges must join different nodes, found a loop at {low[low == high][0]}"
            )
        if len((low * n_nodes + high).unique()) < len(pairs):
            raise ValueError("edges must name every pair of nodes once, found one twice")
        given = torch.zeros(len(pairs), dtype=torch.int64)
        if kinds is not None:
            given = _integers("kinds", kinds)
            if given.shape != (len(pairs),) or (len(given) and given.min() < 0):
                raise ValueError(
                    f"kinds must hold one number from 0 for each of {len(pairs)} edges, "
                    f"found shape {tuple(given.shape)}"
                )
        self.n_kinds = int(given.max()) + 1 if len(given) else 1
        self._layout = Layout((n_nodes,), pairs, given)

    def layout(self, shape: Sequence[int]) -> Layout:
        """Its nodes and edges; the shape must be (n,)."""
        if tuple(shape) != self._layout.shape:
            raise ValueError(
                f"a labelling must have {self._layout.n_nodes} nodes, found shape {tuple(shape)}"
            )
        return self._layout

    def config(self) -> dict[str, Any]:
        """Its nodes, edges and kinds."""
        found = self._layout
        return {"n": found.n_nodes, "edges": found.edges.tolist(), "kinds": found.kinds.tolist()}

    def __repr__(self) -> str:
        return f"GraphTemplate({self._layout.n_nodes} nodes, {len(self._layout.edges)} edges)"


def template_of(config: Mapping[str, Any]) -> Template:
    """The template that its `config` described.

    Example:
        >>> template_of(GridTemplate(4).config())
        GridTemplate(offsets=[(0, 1), (1, 0)])
    """
    if "grid" in config:
        return GridTemplate(offsets=config["grid"])
    return GraphTemplate(config["n"], config["edges"], config["kinds"])


def _checked_offsets(offsets: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    """Displacements, none of which is zero, or there twice."""
    found = tuple(
        [tuple([as_whole("offsets", d, least=-(10**9)) for d in row]) for row in offsets]
    )
    if not found or len({len(row) for row in found}) > 1 or not found[0]:
        raise ValueError(f"offsets must be displacements of one length, found {list(offsets)}")
    if any(not any(row) for row in found):
        raise ValueError("offsets must not be zero: a node is not its own neighbour")
    both = [row for row in found] + [tuple([-d for d in row]) for row in found]
    if len(set(both)) < len(both):
        raise ValueError(
            f"offsets must name each displacement or its opposite once, found {found}"
        )
    return found


def _shifted(
    offset: Sequence[int], shape: Sequence[int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where both ends of the edges with a displacement lie."""
    pairs = list(zip(offset, shape, strict=True))
    near = tuple([slice(max(0, -d), max(0, size - max(0, d))) for d, size in pairs])
    far = tuple([slice(max(0, d), max(0, size - max(0, -d))) for d, size in pairs])
    return near, far


def _integers(name: str, values: Any) -> Tensor:
    """Whole numbers in an int64 tensor."""
    found = as_tensor(name, values)
    if found.is_floating_point() or found.is_complex() or found.dtype is torch.bool:
        raise TypeError(f"{name} must hold whole numbers, found {found.dtype}")
    return found.long().cpu()
