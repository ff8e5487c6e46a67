"""A learned graph held against the true one, edge by edge."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

from inference.palette import AXIS
from pgm.digraph import Digraph
from pgm.directed_model import DirectedModel
from pgm.graph_drawing.drawing import canvas, draw_arrow, draw_node
from pgm.graph_drawing.layered_layout import layered_layout
from pgm.graph_drawing.panels import node_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_comparison"]

Edge = tuple[str, str]

#: Colour and line style of an edge of the learned graph.
STYLES = {
    "right": ("#3f7d58", "-"),
    "reversed": ("#d9922f", "-"),
    "extra": ("#c0392b", "-"),
    "missing": ("#c0392b", (0, (1, 2))),
}


def plot_comparison(
    true: DirectedModel, learned: DirectedModel, axes: Sequence[Axes] | None = None
) -> tuple[Axes, Axes]:
    """Draw two graphs over the same variables side by side, nodes in the same places.

    On the right, edges of the learned graph are green where the true one has them, amber where
    it has them the other way round, red where it has none; dotted red edges were not found.

    Arguments:
        true: the graph on the left.
        learned: the graph on the right.
        axes: two axes; a new figure by default.

    Returns:
        Both axes. On the right, edges carry ids such as ``right:a->b`` or ``missing:a->b``.

    Raises:
        ValueError: the graphs have different variables.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from pgm import BayesianNetwork
        >>> there = BayesianNetwork([("a", "b")], {"a": 2, "b": 2})
        >>> back = BayesianNetwork([("b", "a")], {"a": 2, "b": 2})
        >>> _, right = plot_comparison(there, back, Figure().subplots(1, 2))
        >>> [patch.get_gid() for patch in right.patches][0]
        'reversed:b->a'
    """
    if set(true.variables) != set(learned.variables):
        odd = sorted(set(true.variables) ^ set(learned.variables))
        raise ValueError(f"true and learned must have the same variables; {odd[0]!r} is in one")
    if axes is None:
        import matplotlib.pyplot as plt

        # Not a layout engine: it would size the two axes one after the other, differently.
        figure, (left, right) = plt.subplots(1, 2, figsize=(12.5, 5.2))
        figure.subplots_adjust(0.01, 0.01, 0.99, 0.93, wspace=0.04)
    else:
        left, right = axes
    kinds = _kinds(true.edges, learned.edges)
    sizes = {name: node_size(name, None) for name in true.variables}
    drawing = layered_layout(_union(true, learned.edges), sizes)
    known = {edge: "true" for edge in true.edges}
    titles = f"True graph: {len(true.edges)} edges", _summary(kinds)
    for ax, title, edges in ((left, titles[0], known), (right, titles[1], kinds)):
        _, scale = canvas(ax, drawing, lambda _, title=title: title)
        for (parent, child), kind in edges.items():
            route = drawing.routes.get((parent, child))
            if route is None:
                route = drawing.routes[child, parent][::-1]
            color, style = STYLES.get(kind, (AXIS, "-"))
            draw_arrow(ax, (parent, child), route, scale, color, style, kind)
        for name, centre in drawing.centres.items():
            draw_node(ax, name, centre, sizes[name], None, scale)
    return left, right


def _kinds(true: Sequence[Edge], learned: Sequence[Edge]) -> dict[Edge, str]:
    """What the learned graph made of every edge."""
    wanted, found = set(true), set(learned)
    kinds = {}
    for edge in learned:
        back = edge[1], edge[0]
        kinds[edge] = "right" if edge in wanted else "reversed" if back in wanted else "extra"
    for edge in true:
        if edge not in found and (edge[1], edge[0]) not in found:
            kinds[edge] = "missing"
    return kinds


def _summary(kinds: dict[Edge, str]) -> str:
    counts = [(list(kinds.values()).count(kind), kind) for kind in STYLES]
    return "Learned: " + ", ".join([f"{count} {kind}" for count, kind in counts if count])


def _union(true: DirectedModel, learned: Sequence[Edge]) -> dict[str, list[str]]:
    """Parents in a graph with all edges, those of the learned one along the true order."""
    order = Digraph.from_edges(true.variables, true.edges).topological()
    place = {name: number for number, name in enumerate(order)}
    parents: dict[str, list[str]] = {name: [] for name in true.variables}
    for edge in chain(true.edges, learned):
        parent, child = sorted(edge, key=place.__getitem__)
        if parent not in parents[child]:
            parents[child].append(parent)
    return parents
